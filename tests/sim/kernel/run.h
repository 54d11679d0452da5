/* Histories in child processes: one that dies, or never ends, is a finding and not the end. */
#ifndef SIM_RUN_H
#define SIM_RUN_H

#include "kernel.h"

enum { RUN_PROCESSES_MAX = 64 };

struct settings {
    uint64_t seed, count; /* count 0: until the time is over */
    double seconds;
    int processes; /* so many children at a time */
    const char *rule_off;
    bool told, deep, shrink, keep_going;
};

/* In shared memory: what one child has done so far, also when it dies. As a sum: of all of them. */
struct report {
    uint64_t done;      /* histories */
    uint64_t running;   /* seed */
    uint64_t bad;       /* with a violation */
    uint64_t first_bad; /* the lowest such seed */
    uint64_t turns, simulated_ms;
    uint64_t fingerprint; /* sum */
    uint64_t faults[SIM_FAULTS];
    struct history_outcome outcome; /* of the first bad one, or of the last */
};

/* What shrinking has left out of one history. */
struct cut {
    bool left_out[LEFT_OUT_MAX];
};

/* Seconds of the real clock. */
double run_now(void);
/* CPU that the children which have ended took. */
double run_cpu_ms(void);
void *run_shared(size_t n);
/* The one history of this seed; ended after so many seconds. */
void run_one(const struct settings *s, uint64_t seed, unsigned seconds, const struct cut *cut, struct report *r);
/* Histories of the seeds from settings.seed on, each once, until there are enough of them or, without keep_going, one is bad. */
void run_many(const struct settings *s, struct report *sum);

/* shrink.c: leaves out one thing after another, as long as the same promise is broken, for half a minute at most. `r`: of the
 * shortest. Number of faults and records that are left. */
size_t shrink(const struct settings *s, uint64_t seed, const char *rule, struct cut *cut, struct report *r);

#endif
