/* How often something may be done per minute: a token bucket (REQUIREMENTS D5).
 *
 * The bucket holds a tenth of a minute's calls, and one: so many may start at once. It is filled a little more slowly than the
 * limit says, so that no minute, wherever it is cut, sees more calls than the limit.
 *
 * Pure; time is an argument (monotonic ms). One bucket counts for one process. Zero-initialise: full.
 */
#ifndef STEPMILL_RATE_H
#define STEPMILL_RATE_H

#include <stdint.h>

struct rate {
    int64_t paid_until_us; /* the calls so far, one behind the other at the bucket's pace, reach up to here */
};

/* 0: a call may start now and is counted. Else how many ms to wait until it is worth asking again; nothing was counted, and who
 * asks first gets the next place. `per_minute` 0: no limit. */
int64_t rate_wait_ms(struct rate *r, int32_t per_minute, int64_t now_ms);

#endif
