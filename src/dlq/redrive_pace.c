/* How fast letters go back: so many a second, of a job, and of those that go by themselves. */
#include "redrive_parts.h"
#include "stepmill/clock.h"

/* What the pace holds back is looked at so often, and at least so much of a second's letters goes at once. */
enum { PACE_MS = 100, SECOND_US = 1000000 };

size_t pace_allows(struct pace *p, int64_t rate, size_t at_once, int64_t *wait_ms)
{
    int64_t now = clock_mono_us(), least = rate * PACE_MS / 1000, n;

    if (p->paid_until_us < now - SECOND_US)
        p->paid_until_us = now - SECOND_US; /* what was not used up to a second ago is lost */
    n = (now - p->paid_until_us) * rate / SECOND_US;
    if (least < 1)
        least = 1;
    if (n < least) {
        *wait_ms = (least - n) * 1000 / rate + 1;
        return 0;
    }
    return n < (int64_t)at_once ? (size_t)n : at_once;
}

void pace_pay(struct pace *p, int64_t rate, size_t sent) { p->paid_until_us += (int64_t)sent * SECOND_US / rate; }
