/* Points in time as people write and read them. Pure: the present time comes from the caller. Times are Unix milliseconds. */
#ifndef STEPMILL_TIME_TEXT_H
#define STEPMILL_TIME_TEXT_H

#include "bytes.h"

enum {
    TIME_TEXT_SIZE = 20, /* "2026-11-21 05:12:01" and a terminator */
    TIME_STAMP_LEN = 24, /* "2026-11-21T05:12:01.123Z" */
};

/* Reads one of: a duration as of units.h ("10m": so long ago, or with `ahead` so long from now), an RFC 3339 time
 * ("2026-11-21T05:00:00.5+01:00"; an offset or Z must be there), Unix milliseconds of exactly 13 digits. False: none of them, or
 * a date that no calendar has; `*ms` is unchanged. */
bool time_read(struct slice text, bool ahead, int64_t now_ms, int64_t *ms);

/* UTC, terminated: "05:12:01.123" on the day of `now_ms`, else "2026-11-20 05:12:01"; "-" where `ms` is negative or beyond year
 * 9999. */
void time_write(char text[TIME_TEXT_SIZE], int64_t ms, int64_t now_ms);

/* The same for machines: RFC 3339, UTC, not terminated. A time before 1970 is written as the first moment of it, one beyond year
 * 9999 as the last. */
void time_stamp(char text[TIME_STAMP_LEN], int64_t ms);
/* Year, month and day in UTC as one number: 20261121. Times beyond those of time_stamp as there. */
int32_t time_day(int64_t ms);

#endif
