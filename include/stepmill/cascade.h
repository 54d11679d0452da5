/* Which model is asked next, and what a failed call means for the task and for the model (DELIVERY §5).
 *
 * Two pure pieces: `struct endpoint` is the health of one model, shared by all tasks (breaker, Retry-After); `struct cascade` is
 * one task's way through its agent's models for one step (rounds, what failed). Time is an argument, in monotonic ms; jitter
 * comes from a seed.
 */
#ifndef STEPMILL_CASCADE_H
#define STEPMILL_CASCADE_H

#include "error.h"
#include "event.h"

enum { CASCADE_MODELS_MAX = 16 };

/* Health of one model (or tool) endpoint. Zero-initialise: healthy. */
struct endpoint {
    int32_t failures;      /* in a row */
    int64_t open_until_ms; /* breaker: nothing is sent before, then one probe. 0: closed */
    uint32_t probe;        /* number of the one probe that is out, 0: none */
    uint32_t probes;       /* sent so far: the last number given out */
    int64_t slow_until_ms; /* closed by Retry-After */
    int64_t answered_ms;   /* of the last good answer, 0: never */
    uint64_t opened;       /* times the breaker opened */
};

struct endpoint_policy {
    int32_t failures; /* that open the breaker */
    int64_t open_ms;
};

/* May a call start now? When the breaker asks for a probe, the call is it: `probe` of the endpoint is then its number. */
bool endpoint_admit(struct endpoint *e, int64_t now_ms);
/* The call with this probe number has ended, whatever came of it (0: it was no probe): the next call may be the probe. Another
 * call's probe stays out. Say so before endpoint_answered or endpoint_failed; alone when the call was cancelled: a call that
 * nobody waits for any more says nothing about the endpoint. */
void endpoint_probe_over(struct endpoint *e, uint32_t probe);
/* When it is worth asking again: now when it is open for calls. */
int64_t endpoint_ready_ms(const struct endpoint *e, int64_t now_ms);
void endpoint_answered(struct endpoint *e, int64_t now_ms);
/* `error`: AGAIN counts for the breaker; SLOW_DOWN closes for retry_after_ms (1 s to an hour; 1–15 s with jitter when < 0); WAIT
 * (401, 403, 404, quota) opens the breaker at once; REJECTED and LIMIT are an answer: the endpoint is healthy. LOST says nothing.
 * True: the breaker opened just now. */
bool endpoint_failed(struct endpoint *e, const struct endpoint_policy *p, struct error error, int64_t retry_after_ms,
                     int64_t now_ms, uint64_t *seed);

/* One task's way through the cascade for one step. Zero-initialise at the start of each step. */
struct cascade {
    uint32_t tried;    /* bit per model, in this round */
    uint32_t rejected; /* bit per model: said 4xx to this very request */
    int32_t rounds;    /* used up */
    int64_t first_round_ms;
    struct error last; /* of the last failed call, for the dead letter */
};

struct cascade_policy {
    int32_t rounds;
    int64_t backoff_min_ms, backoff_max_ms;
};

enum cascade_next { CASCADE_CALL, CASCADE_BACKOFF, CASCADE_WAIT, CASCADE_EXHAUSTED, CASCADE_REJECTED };

struct cascade_choice {
    enum cascade_next next;
    size_t model;     /* CASCADE_CALL: index in the cascade (endpoint_admit was done) */
    uint32_t probe;   /* CASCADE_CALL: for endpoint_probe_over */
    int64_t until_ms; /* CASCADE_BACKOFF, CASCADE_WAIT: look again then */
};

/* What to do now. `endpoints`: pointers to the health of the cascade's models, in order. Models that are closed (breaker,
 * Retry-After) are passed over without using the round; all closed = WAIT. */
struct cascade_choice cascade_next(struct cascade *c, struct endpoint *const *endpoints, size_t n, const struct cascade_policy *p,
                                   int64_t now_ms, uint64_t *seed);
/* A call to `model` failed (endpoint_failed was told too). */
void cascade_failed(struct cascade *c, size_t model, struct error error, int64_t now_ms);

/* Full jitter: even in [min, min(max, min * 2^(attempt + 1))] for attempt 0, 1, … (Exponential Backoff And Jitter, AWS 2015). */
int64_t backoff_ms(int64_t min_ms, int64_t max_ms, int32_t attempt, uint64_t *seed);

#endif
