/* The systemic breaker. */
#include "stepmill/systemic.h"

enum { OPEN_FIRST_MS = 30 * 1000, OPEN_MOST_MS = 30 * 60 * 1000 };

static uint32_t fnv1a(uint32_t hash, struct slice s)
{
    for (size_t i = 0; i < s.len; i++)
        hash = (hash ^ (uint8_t)s.at[i]) * UINT32_C(16777619);
    return hash;
}

uint32_t systemic_cause(struct slice code, struct slice stage)
{
    uint32_t hash = fnv1a(fnv1a(UINT32_C(2166136261), code), stage);

    return hash ? hash : 1;
}

static size_t times(const struct systemic *s, uint32_t cause)
{
    size_t count = 0;

    for (size_t i = 0; i < s->n; i++)
        count += s->causes[i] == cause;
    return count;
}

bool systemic_ended(struct systemic *s, uint32_t cause, int64_t now_ms)
{
    bool opened;

    s->causes[s->next] = cause;
    s->next = (s->next + 1) % SYSTEMIC_WINDOW;
    if (s->n < SYSTEMIC_WINDOW)
        s->n++;
    if (s->cause && !cause) { /* somebody got through: over */
        *s = (struct systemic){0};
        return false;
    }
    /* Another cause is neither a way through nor this one, until most end by it. */
    if (s->cause != cause && (!cause || s->n < SYSTEMIC_WINDOW || times(s, cause) * 2 <= SYSTEMIC_WINDOW))
        return false;
    if (s->cause == cause && !s->trial && now_ms < s->open_until_ms)
        return false;
    opened = s->cause != cause;
    s->trial = false;
    s->open_ms = opened ? OPEN_FIRST_MS : s->open_ms * 2 > OPEN_MOST_MS ? OPEN_MOST_MS : s->open_ms * 2;
    s->cause = cause;
    s->open_until_ms = now_ms + s->open_ms;
    return opened;
}

bool systemic_admits(const struct systemic *s, size_t in_flight, int64_t now_ms)
{
    return !s->cause || (in_flight == 0 && now_ms >= s->open_until_ms);
}

bool systemic_holds(struct systemic *s, uint32_t cause, int64_t now_ms, int64_t *look_again_ms)
{
    if (!s->cause || cause != s->cause)
        return false;
    if (now_ms >= s->open_until_ms) {
        s->open_until_ms = now_ms + s->open_ms;
        s->trial = true;
        return false;
    }
    *look_again_ms = s->open_until_ms;
    return true;
}
