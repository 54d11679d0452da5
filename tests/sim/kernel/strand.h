/* Strands: what stands in for threads. One runs at a time, until it sleeps; killed is never switched to again. */
#ifndef SIM_STRAND_H
#define SIM_STRAND_H

#include <stdbool.h>
#include <stdint.h>

struct sim_process;
struct strand;

/* How every strand begins: looked at very often. */
struct strand_turn {
    int64_t due_ms;
    bool woken;
};
/* When it can run: in the past = now; INT64_MAX: when it is woken. */
static inline int64_t strand_due_ms(const struct strand *s)
{
    const struct strand_turn *t = (const struct strand_turn *)(const void *)s;

    return t->woken ? 0 : t->due_ms;
}

/* Forgets all strands of the last history; their stacks are used again. */
void strands_begin(void);
/* Runs `main` from the process' next turn on; after its return the strand has ended. */
struct strand *strand_new(struct sim_process *p, void (*main)(void *ctx), void *ctx);
/* The one that runs now; NULL in the world. */
struct strand *strand_self(void);
/* Until somebody wakes it, or until that time; INT64_MAX: for ever. A wake from before counts. True: woken. */
bool strand_sleep(int64_t until_ms);
void strand_wake(struct strand *s);
bool strand_has_ended(const struct strand *s);
struct sim_process *strand_process(const struct strand *s);
/* From the world: lets it run until it sleeps. */
void strand_run(struct strand *s);

#endif
