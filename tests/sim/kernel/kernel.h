/* The inside of the simulator's kernel: what its own files, Kafka and main share. The outside is sim.h. */
#ifndef SIM_KERNEL_H
#define SIM_KERNEL_H

#include "sim.h"
#include "strand.h"

enum { LEFT_OUT_MAX = 8192 };

/* What main asks of one history. */
struct history_options {
    uint64_t seed;
    const char *rule_off;         /* NULL: all rules are on */
    bool told;                    /* print the timeline */
    bool deep;                    /* with the workers' own log */
    const bool *left_out;         /* of optional things, by number; NULL: none */
    int tasks_most, workers_most; /* 0: as the seed says */
    bool mild;                    /* no faults at all */
};

/* What came of it. */
struct history_outcome {
    size_t violations;
    char rule[64];    /* of the first */
    char text[512];   /* what it said */
    size_t noptional; /* things that happened and could be left out */
    uint32_t faults[SIM_FAULTS];
    int64_t ended_ms;
    uint64_t turns;
    uint64_t fingerprint; /* of all that happened, in its order */
    int workers, tasks;
};

/* plot.c: one whole history: world, workers, faults, peace, judgement. */
void history_run(const struct history_options *options, struct history_outcome *outcome);

/* time.c */
void kernel_begin(const struct history_options *options);
const struct history_options *kernel_options(void);
struct history_outcome *kernel_outcome(void);
/* Runs events and processes until that time. False: a violation was told, nothing after it matters. */
bool kernel_run_until(int64_t end_ms);
void kernel_end_faults(void);
bool kernel_faults_are_over(void);
/* One in `rate` chances is a fault; 0: never. */
void kernel_set_rate(enum sim_fault kind, uint32_t rate);
/* As sim_later, but on behalf of a process, outside its strands (a library's own thread): not while it is stopped, never once it
 * has ended. */
void kernel_aside(struct sim_process *p, int64_t delay_ms, void (*fn)(void *ctx), void *ctx);
/* Moves a process forward in its own eyes only: never; time is one for all. Microseconds that are never the same twice. */
int64_t kernel_unique_us(void);
/* Bytes by chance, from the seed. */
void kernel_random(void *to, size_t n);

/* heap.c: the memory of simulated processes, void when the next history begins. */
void heap_begin(void);

/* process.c */
void processes_begin(void);
/* NULL: there were too many in this history. */
struct sim_process *process_start(const char *slot);
void process_kill(struct sim_process *p);
void process_stop(struct sim_process *p, int64_t ms);
/* Asks it to drain, as SIGTERM does. */
void process_drain(struct sim_process *p);
bool process_is_draining(const struct sim_process *p);
/* The live one with that slot, or NULL. */
struct sim_process *process_of_slot(const char *slot);
bool process_is_alive(const struct sim_process *p);
int process_number(const struct sim_process *p);
/* When it goes on; not later than now: it runs. */
int64_t process_stopped_until(const struct sim_process *p);
void process_add_strand(struct sim_process *p, struct strand *s);
/* Lets each strand that can run do so once. 0: one did; else the time when the next one can, INT64_MAX: none. */
int64_t processes_run(void);
/* To be called in the next turn of its loop. */
void process_take(struct sim_process *p, void (*fn)(void *ctx), void *ctx);

/* loop.c, for process.c */
struct loop;
void loop_signal(struct loop *l, int signo);
/* process.c, for loop.c */
void process_set_loop(struct loop *l);
/* Something has come for the turn that begins. */
bool process_has_news(void);
void process_tell(void);

/* wake.c: the descriptors by which librdkafka wakes a loop. */
void wake_ring(struct sim_process *p, int fd);
void **process_wakes(struct sim_process *p);

#endif
