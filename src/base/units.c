/* Durations and sizes as people write them. */
#include "stepmill/units.h"

struct unit {
    const char *name;
    int64_t factor;
};

static const struct unit durations[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};
static const struct unit sizes[] = {{"B", 1}, {"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}};

#define DURATION_FORM "is not a duration: write a whole number and ms, s, m, h or d, such as 30s"
#define SIZE_FORM     "is not a size: write a whole number and B, KiB, MiB or GiB, such as 64KiB"

static bool read_unit(struct slice text, const struct unit *units, size_t n, int64_t *value)
{
    size_t digits = 0;
    int64_t number;

    while (digits < text.len && text.at[digits] >= '0' && text.at[digits] <= '9')
        digits++;
    if (!slice_to_int((struct slice){text.at, digits}, 0, INT64_MAX, &number))
        return false;
    for (size_t i = 0; i < n; i++)
        if (slice_is((struct slice){text.at + digits, text.len - digits}, units[i].name))
            return !__builtin_mul_overflow(number, units[i].factor, value);
    *value = 0;
    return number == 0 && digits == text.len;
}

const char *duration_read(struct slice text, int64_t *ms)
{
    return read_unit(text, durations, sizeof durations / sizeof *durations, ms) ? NULL : DURATION_FORM;
}

const char *size_read(struct slice text, int64_t *bytes)
{
    return read_unit(text, sizes, sizeof sizes / sizeof *sizes, bytes) ? NULL : SIZE_FORM;
}

static void write_unit(int64_t value, const struct unit *units, size_t n, struct buf *to)
{
    size_t i = n - 1;

    while (i > 0 && value % units[i].factor)
        i--;
    if (value == 0)
        i = 0;
    buf_put_int(to, value / units[i].factor);
    buf_put_text(to, units[i].name);
}

void duration_write(int64_t ms, struct buf *to) { write_unit(ms, durations, sizeof durations / sizeof *durations, to); }
void size_write(int64_t bytes, struct buf *to) { write_unit(bytes, sizes, sizeof sizes / sizeof *sizes, to); }
