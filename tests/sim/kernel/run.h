/* Histories in a child process each batch: one that dies, or never ends, is a finding and not the end. */
#ifndef SIM_RUN_H
#define SIM_RUN_H

#include "kernel.h"

struct settings {
    uint64_t seed, count; /* count 0: until the time is over */
    double seconds;
    const char *rule_off;
    bool told, deep, shrink, keep_going;
};

/* Of one child, in shared memory: what it has done so far, also when it dies. */
struct report {
    uint64_t done;      /* histories */
    uint64_t running;   /* seed */
    uint64_t bad;       /* with a violation */
    uint64_t first_bad; /* seed */
    uint64_t turns, simulated_ms;
    uint64_t faults[SIM_FAULTS];
    struct history_outcome outcome; /* of the first bad one, or of the last */
};

/* What shrinking has left out of one history. */
struct cut {
    bool left_out[LEFT_OUT_MAX];
};

void *run_shared(size_t n);
/* Histories `from` … in a child, until the first bad one unless settings.keep_going. */
void run_batch(const struct settings *s, uint64_t from, uint64_t n, const struct cut *cut, struct report *r);

/* shrink.c: leaves out one thing after another, as long as the same promise is broken. `r`: of the shortest. Number of faults and
 * records that are left. */
size_t shrink(const struct settings *s, uint64_t seed, const char *rule, struct cut *cut, struct report *r);

#endif
