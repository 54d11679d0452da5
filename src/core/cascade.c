/* The model cascade: health of endpoints, and one task's way through them. */
#include "stepmill/cascade.h"

#include "stepmill/random.h"

/* What a server asks for is heard up to an hour: it may have come to itself long before a day is over. */
enum { SLOW_MIN_MS = 1000, SLOW_MAX_MS = 15000, CLOSED_MOST_MS = 3600 * 1000 };

int64_t backoff_ms(int64_t min_ms, int64_t max_ms, int32_t attempt, uint64_t *seed)
{
    int64_t top = min_ms;

    for (; attempt >= 0 && top < max_ms; attempt--)
        top *= 2;
    if (top > max_ms)
        top = max_ms;
    return top <= min_ms ? min_ms : min_ms + (int64_t)random_below(seed, (uint64_t)(top - min_ms) + 1);
}

int64_t endpoint_ready_ms(const struct endpoint *e, int64_t now_ms)
{
    int64_t ready = e->open_until_ms > e->slow_until_ms ? e->open_until_ms : e->slow_until_ms;

    if (e->open_until_ms && e->probe)
        return now_ms + SLOW_MIN_MS; /* the probe's answer decides */
    return ready > now_ms ? ready : now_ms;
}

bool endpoint_admit(struct endpoint *e, int64_t now_ms)
{
    if (endpoint_ready_ms(e, now_ms) > now_ms)
        return false;
    if (e->open_until_ms) {
        if (++e->probes == 0) /* number 0 is no probe */
            e->probes = 1;
        e->probe = e->probes;
    }
    return true;
}

void endpoint_probe_over(struct endpoint *e, uint32_t probe)
{
    if (e->probe == probe)
        e->probe = 0;
}

void endpoint_answered(struct endpoint *e, int64_t now_ms)
{
    e->failures = 0;
    e->open_until_ms = 0;
    e->probe = 0;
    e->answered_ms = now_ms;
}

static bool open_breaker(struct endpoint *e, const struct endpoint_policy *p, int64_t now_ms)
{
    bool was_open = e->open_until_ms != 0;

    e->open_until_ms = now_ms + p->open_ms;
    e->probe = 0;
    if (!was_open)
        e->opened++;
    return !was_open;
}

bool endpoint_failed(struct endpoint *e, const struct endpoint_policy *p, struct error error, int64_t retry_after_ms,
                     int64_t now_ms, uint64_t *seed)
{
    switch (error.class) {
    case CLASS_AGAIN:
    case CLASS_CONFIG: /* certificate or name: the endpoint's fault, and the operator's */
    case CLASS_INTERNAL:
        e->failures++;
        return e->failures >= p->failures || e->open_until_ms ? open_breaker(e, p, now_ms) : false;
    case CLASS_WAIT:
        e->failures++;
        return open_breaker(e, p, now_ms);
    case CLASS_SLOW_DOWN:
        if (retry_after_ms < 0)
            retry_after_ms = backoff_ms(SLOW_MIN_MS, SLOW_MAX_MS, 4, seed);
        if (retry_after_ms < SLOW_MIN_MS) /* "Retry-After: 0" uses no attempt, so it must not become a loop */
            retry_after_ms = SLOW_MIN_MS;
        if (retry_after_ms > CLOSED_MOST_MS)
            retry_after_ms = CLOSED_MOST_MS;
        if (now_ms + retry_after_ms > e->slow_until_ms)
            e->slow_until_ms = now_ms + retry_after_ms;
        return false;
    case CLASS_LOST:
        return false;
    default:
        endpoint_answered(e, e->answered_ms);
        return false;
    }
}

void cascade_failed(struct cascade *c, size_t model, struct error error, int64_t now_ms)
{
    if (!c->first_round_ms)
        c->first_round_ms = now_ms;
    c->last = error;
    if (error.class == CLASS_REJECTED)
        c->rejected |= UINT32_C(1) << model;
    else if (error.class == CLASS_AGAIN || error.class == CLASS_CONFIG || error.class == CLASS_INTERNAL)
        c->tried |= UINT32_C(1) << model; /* slow down and wait use no attempt: the endpoint is closed by itself */
}

static bool somebody_was_answered(struct endpoint *const *endpoints, size_t n, int64_t since_ms)
{
    for (size_t i = 0; i < n; i++)
        if (endpoints[i]->answered_ms > since_ms)
            return true;
    return false;
}

/* All that could be asked has failed. Those that failed may be asked again before one that is closed is `ready`. */
static struct cascade_choice round_over(struct cascade *c, struct endpoint *const *endpoints, size_t n,
                                        const struct cascade_policy *p, int64_t now_ms, int64_t ready, uint64_t *seed)
{
    int64_t again;

    c->tried = 0;
    c->rounds++;
    if (c->rounds >= p->rounds && somebody_was_answered(endpoints, n, c->first_round_ms))
        return (struct cascade_choice){.next = CASCADE_EXHAUSTED};
    again = now_ms + backoff_ms(p->backoff_min_ms, p->backoff_max_ms, c->rounds - 1, seed);
    return (struct cascade_choice){.next = c->rounds >= p->rounds ? CASCADE_WAIT
                                                                  : CASCADE_BACKOFF, /* nobody is answered: an outage */
                                   .until_ms = ready < again ? ready : again};
}

struct cascade_choice cascade_next(struct cascade *c, struct endpoint *const *endpoints, size_t n, const struct cascade_policy *p,
                                   int64_t now_ms, uint64_t *seed)
{
    uint32_t all = n >= 32 ? UINT32_MAX : (UINT32_C(1) << n) - 1;
    int64_t ready = INT64_MAX;

    if (c->rejected == all)
        return (struct cascade_choice){.next = CASCADE_REJECTED};
    if ((c->tried | c->rejected) == all)
        return round_over(c, endpoints, n, p, now_ms, INT64_MAX, seed);
    for (size_t i = 0; i < n; i++) {
        if ((c->tried | c->rejected) >> i & 1)
            continue;
        if (endpoint_admit(endpoints[i], now_ms))
            return (struct cascade_choice){
                .next = CASCADE_CALL, .model = i, .probe = endpoints[i]->open_until_ms ? endpoints[i]->probe : 0};
        if (endpoint_ready_ms(endpoints[i], now_ms) < ready)
            ready = endpoint_ready_ms(endpoints[i], now_ms);
    }
    if (c->tried) /* the others failed in this round and these are closed */
        return round_over(c, endpoints, n, p, now_ms, ready, seed);
    return (struct cascade_choice){.next = CASCADE_WAIT, .until_ms = ready};
}
