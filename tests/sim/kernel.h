/* The inside of the kernel: what its own files and main share. */
#ifndef SIM_KERNEL_H
#define SIM_KERNEL_H

#include "sim.h"

enum { LEFT_OUT_MAX = 4096, TIMELINE_MAX = 1 << 16 };

/* What main asks of one history. */
struct history_options {
    uint64_t seed;
    const char *rule_off; /* NULL: all rules are on */
    bool told;            /* keep the timeline */
    const bool *left_out; /* of optional things, by number; NULL: none */
};

/* What came of it. */
struct history_outcome {
    size_t violations;
    char rule[64];    /* of the first */
    size_t noptional; /* things that happened and could be left out */
    int64_t ended_ms;
    uint64_t turns; /* of all loops */
};

/* plot.c: one whole history: world, workers, faults, peace, judgement. */
void history_run(const struct history_options *options, struct history_outcome *outcome);

/* kernel.c */
void kernel_begin(const struct history_options *options);
void kernel_outcome(struct history_outcome *outcome);
/* Runs events and processes until that time. False: too much happened, the history has run away (a violation was told). */
bool kernel_run_until(int64_t end_ms);
void kernel_end_faults(void);
/* One in `rate` chances is a fault; 0: never. */
void kernel_set_rate(enum sim_fault kind, uint32_t rate);
bool kernel_is_told(void);

/* process.c */
void processes_begin(void);
struct sim_process *process_start(const char *slot);
void process_kill(struct sim_process *p);
void process_stop(struct sim_process *p, int64_t ms);
/* Asks it to drain, as SIGTERM does. */
void process_drain(struct sim_process *p);
/* The live one with that slot, or NULL. */
struct sim_process *process_of_slot(const char *slot);
bool process_is_alive(const struct sim_process *p);
int process_number(const struct sim_process *p);
const char *process_slot(const struct sim_process *p);
/* When it goes on; not later than now: it runs. */
int64_t process_stopped_until(const struct sim_process *p);
size_t process_count(void);
struct sim_process *process_at(size_t i);
/* The Kafka clients of a process: its membership (broker.h), and where its producer is (kafka_txn.c). */
struct broker_member *process_member(struct sim_process *p);
struct txn_place {
    struct kafka_txn *txn; /* NULL: none (any more) */
};
struct txn_place *process_txn(struct sim_process *p);
/* Lets each process that can run have one turn. False: none could. */
bool processes_run(void);
/* When the next process has something to do; INT64_MAX: none. */
int64_t processes_next_ms(void);
/* An event for a process: kept for its next turn. */
void process_take(struct sim_process *p, void (*fn)(void *ctx), void *ctx);
uint64_t processes_turns(void);

/* loop.c */
struct loop;
bool loop_has_work(const struct loop *l);
int64_t loop_next_ms(const struct loop *l);
void loop_signal(struct loop *l, int signo);

/* process.c, for loop.c */
struct loop *process_set_loop(struct loop *l);
/* Gives the turn back to the kernel; returns at the beginning of the next. */
void process_yield(void);
/* What came for the process meanwhile, told now. */
void process_tell(void);

#endif
