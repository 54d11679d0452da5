/* Durations as people write them: a number with a unit (us, ms, s, m, h, d), or a range of two: "300ms", "1.5s", "100ms..300ms".
 */
#ifndef FAKES_DURATION_H
#define FAKES_DURATION_H

#include "text.h"

/* Microseconds, both ends included. Not set: from < 0. */
struct duration {
    int64_t from, to;
};

/* "0" needs no unit. False: not a duration, or longer than 30 days; `*d` is left alone. */
bool duration_parse(struct span s, struct duration *d);

#endif
