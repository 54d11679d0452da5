/* An arena: blocks in a chain, freed together. */
#include "stepmill/arena.h"

#include <stdalign.h>
#include <stdlib.h>

struct block {
    struct block *next;
    size_t size, used; /* of `at` */
    max_align_t at[];
};

struct arena {
    struct block *blocks; /* newest first; only it has room that is looked at */
    size_t size, max;
    bool failed, full;
};

enum { BLOCK_MIN = 2048, BLOCK_MAX = 32 * 1024 };

struct arena *arena_new(size_t max)
{
    struct arena *a = calloc(1, sizeof *a);

    if (a) {
        a->max = max;
        a->size = sizeof *a;
    }
    return a;
}

void arena_free(struct arena *a)
{
    if (!a)
        return;
    for (struct block *b = a->blocks, *next; b; b = next) {
        next = b->next;
        free(b);
    }
    free(a);
}

/* Of the next block, its head included: an eighth of what is there already, so that a large arena has few. */
static size_t usual_block(const struct arena *a)
{
    size_t size = BLOCK_MIN;

    while (size < BLOCK_MAX && size < a->size / 8)
        size *= 2;
    return size;
}

static struct block *add_block(struct arena *a, size_t n)
{
    size_t left = a->size + sizeof(struct block) < a->max ? a->max - a->size - sizeof(struct block) : 0;
    size_t usual = usual_block(a) - sizeof(struct block);
    size_t size = n > usual / 2 || left < usual ? n : usual; /* near the ceiling: what is asked for and no more */
    struct block *b;

    if (size > left) {
        a->full = true;
        return NULL;
    }
    b = malloc(sizeof *b + size);
    if (!b) {
        a->full = false;
        return NULL;
    }
    b->size = size;
    b->used = 0;
    /* A block of its own for a large piece goes behind the one that still has room. */
    if (size != usual && a->blocks) {
        b->next = a->blocks->next;
        a->blocks->next = b;
    } else {
        b->next = a->blocks;
        a->blocks = b;
    }
    a->size += sizeof *b + size;
    return b;
}

static char *take(struct arena *a, size_t n)
{
    struct block *b = a->blocks;
    size_t start = b ? (b->used + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1) : 0;
    char *at;

    if (n > a->max) {
        a->failed = a->full = true;
        return NULL;
    }
    if (!b || start > b->size || n > b->size - start) {
        b = add_block(a, n);
        a->failed |= !b;
        if (!b)
            return NULL;
        start = 0;
    }
    at = (char *)b->at + start;
    b->used = start + n;
    return at;
}

void *arena_alloc(struct arena *a, size_t n)
{
    char *at = take(a, n);

    return at ? memset(at, 0, n) : NULL;
}

struct slice arena_copy(struct arena *a, struct slice s)
{
    char *at;

    if (!s.at)
        return s;
    at = s.len == SIZE_MAX ? NULL : take(a, s.len + 1);
    if (!at)
        return (struct slice){NULL, 0};
    if (s.len)
        memcpy(at, s.at, s.len);
    at[s.len] = '\0';
    return (struct slice){at, s.len};
}

bool arena_failed(const struct arena *a) { return a->failed; }
bool arena_is_full(const struct arena *a) { return a->full; }

size_t arena_size(const struct arena *a) { return a->size; }
