/* Edit distance between short names, and the nearest of several. */
#include "stepmill/nearest.h"

enum { NAME_MAX_BYTES = 64, DISTANCE_MAX = 4 };

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

size_t edit_distance(struct slice a, struct slice b)
{
    size_t rows[3][NAME_MAX_BYTES + 1], *before = rows[0], *above = rows[1], *now = rows[2];

    if (a.len > NAME_MAX_BYTES || b.len > NAME_MAX_BYTES)
        return SIZE_MAX;
    for (size_t j = 0; j <= b.len; j++)
        now[j] = j;
    for (size_t i = 1; i <= a.len; i++) {
        size_t *free_row = before;

        before = above;
        above = now;
        now = free_row;
        now[0] = i;
        for (size_t j = 1; j <= b.len; j++) {
            now[j] = least(least(above[j], now[j - 1]) + 1, above[j - 1] + (a.at[i - 1] != b.at[j - 1]));
            if (i > 1 && j > 1 && a.at[i - 1] == b.at[j - 2] && a.at[i - 2] == b.at[j - 1])
                now[j] = least(now[j], before[j - 2] + 1);
        }
    }
    return now[b.len];
}

struct nearest nearest_to(struct slice typed) { return (struct nearest){typed, NULL, SIZE_MAX}; }

void nearest_offer(struct nearest *n, const char *candidate)
{
    struct slice name = slice_of(candidate);
    size_t longer = name.len > n->typed.len ? name.len : n->typed.len;
    size_t distance = edit_distance(n->typed, name);

    if (distance < n->distance && distance <= DISTANCE_MAX && distance * 3 <= longer) {
        n->name = candidate;
        n->distance = distance;
    }
}
