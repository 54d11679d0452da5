/* The systemic breaker of one topic (DELIVERY §5): when more than half of the last 50 tasks ended exhausted or rejected for one
 * cause, the cause is not the tasks: admit one at a time (30 s, doubling to 30 min) and let tasks that meet the same cause wait,
 * instead of emptying the topic into the dead-letter topic.
 *
 * Pure; time is an argument (monotonic ms). Zero-initialise: closed.
 */
#ifndef STEPMILL_SYSTEMIC_H
#define STEPMILL_SYSTEMIC_H

#include "bytes.h"

enum { SYSTEMIC_WINDOW = 50 };

struct systemic {
    uint32_t causes[SYSTEMIC_WINDOW]; /* of the last tasks, 0: ended otherwise */
    size_t n, next;
    uint32_t cause;  /* that opened it; 0: closed */
    int64_t open_ms; /* how long it stays open */
    int64_t open_until_ms;
    bool trial; /* a task that ran after a pause was let end by the cause: its end is the answer to whether it is over */
};

/* A hash of the cause's code and stage, never 0. */
uint32_t systemic_cause(struct slice code, struct slice stage);
/* A task ended; `cause` 0: it was completed. Limits and cancelled tasks are not told: they say nothing of whether others get
 * through. True: it opened just now, or went over to this cause (alert). A completed task closes it; one that ran after the pause
 * and ended by the same cause doubles the pause; those that were about to end when it opened change nothing, nor does another
 * cause, until most end by it. */
bool systemic_ended(struct systemic *s, uint32_t cause, int64_t now_ms);
/* May another record be admitted, with this many tasks of the agent in flight? */
bool systemic_admits(const struct systemic *s, size_t in_flight, int64_t now_ms);
/* Whether a task that would end by this cause must wait; then when to look again. Each time the pause is over one task may end,
 * whoever asks first, and a new pause begins: else tasks that wait in several partitions would wait for each other. */
bool systemic_holds(struct systemic *s, uint32_t cause, int64_t now_ms, int64_t *look_again_ms);

#endif
