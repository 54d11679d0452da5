/* Calls per minute. */
#include "stepmill/rate.h"

enum { BURST_PART = 10 };
static const int64_t MINUTE_US = 60 * 1000 * 1000;

int64_t rate_wait_ms(struct rate *r, int32_t per_minute, int64_t now_ms)
{
    int64_t burst = 1 + per_minute / BURST_PART, pace, early, now = now_ms * 1000;

    if (per_minute <= 0)
        return 0;
    pace = (MINUTE_US + per_minute - burst) / (per_minute - burst + 1); /* rounded up */
    early = r->paid_until_us - (burst - 1) * pace - now;
    if (early > 0)
        return (early + 999) / 1000;
    r->paid_until_us = (r->paid_until_us > now ? r->paid_until_us : now) + pace;
    return 0;
}
