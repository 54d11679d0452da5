/* Reading durations. */
#include "duration.h"

#include <stdlib.h>
#include <string.h>

static bool one(struct span s, int64_t *us)
{
    static const struct {
        const char *name;
        double us;
    } units[] = {{"us", 1}, {"ms", 1e3}, {"s", 1e6}, {"m", 60e6}, {"h", 3600e6}, {"d", 86400e6}};
    char copy[32], *unit;
    double number;

    if (s.len == 0 || s.len >= sizeof copy || s.at[0] < '0' || s.at[0] > '9')
        return false;
    memcpy(copy, s.at, s.len);
    copy[s.len] = '\0';
    number = strtod(copy, &unit);
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (strcmp(unit, units[i].name) == 0 && number * units[i].us <= 30 * 86400e6) {
            *us = (int64_t)(number * units[i].us);
            return true;
        }
    }
    *us = 0;
    return strcmp(copy, "0") == 0;
}

bool duration_parse(struct span s, struct duration *d)
{
    const char *dots = s.len ? memmem(s.at, s.len, "..", 2) : NULL;
    struct duration read;
    size_t left = dots ? (size_t)(dots - s.at) : s.len;

    if (!one((struct span){s.at, left}, &read.from))
        return false;
    read.to = read.from;
    if (dots && !one((struct span){dots + 2, s.len - left - 2}, &read.to))
        return false;
    if (read.to < read.from)
        return false;
    *d = read;
    return true;
}
