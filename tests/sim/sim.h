/* The simulator's kernel: one thread, one seed, time that is only counted. Workers run as coroutines, each with its own loop; the
 * world around them (world.h) and Kafka (broker.h) live in events.
 *
 * A history is decided by its seed and by what was left out of it (shrinking): the same again gives the same again.
 */
#ifndef SIM_SIM_H
#define SIM_SIM_H

#include "stepmill/kafka.h"

/* ---- Time: milliseconds. */

int64_t sim_now_ms(void);  /* since the history began */
int64_t sim_wall_ms(void); /* Unix time */
/* Calls `fn` in the world, outside all processes; events of one moment come in the order in which they were made. */
void sim_later(int64_t delay_ms, void (*fn)(void *ctx), void *ctx);

/* ---- Choices */

/* Even in [0, n). */
uint64_t sim_below(uint64_t n);

enum sim_fault {
    SIM_FAULT_HTTP,            /* one request to a model or tool */
    SIM_FAULT_HTTP_OUTAGE,     /* a model or tool for a while */
    SIM_FAULT_REDIS,           /* the server for a while, or its data */
    SIM_FAULT_REDIS_CALL,      /* one call */
    SIM_FAULT_REGISTRY,        /* an outage */
    SIM_FAULT_TXN,             /* one transaction */
    SIM_FAULT_PROCESS,         /* a worker: killed, stopped, drained */
    SIM_FAULT_GROUP,           /* a rebalance out of nothing */
    SIM_FAULT_KAFKA_CALL,      /* one request or its answer: lost, or late by up to 40 s */
    SIM_FAULT_KAFKA_CUT,       /* after one request a worker can't reach the transactions' coordinator for up to 45 s */
    SIM_FAULT_KAFKA_SERVER,    /* a coordinator or leader: down, or frozen, for a while */
    SIM_FAULT_KAFKA_MARK,      /* one marker of a transaction: late */
    SIM_FAULT_KAFKA_FETCH,     /* one fetch: slow */
    SIM_FAULT_KAFKA_QUEUE,     /* one record: the producer's queue is full */
    SIM_FAULT_KAFKA_COMMITTED, /* one read of committed offsets: a partition's answer is missing */
    SIM_FAULT_DEATH,           /* one call to Redis, a server or a coordinator: it acts, and its worker is killed or stopped */
    SIM_FAULTS,
};
/* Whether this fault happens here and now. Never once the faults are over. */
bool sim_fault(enum sim_fault kind);
/* How many of a kind there were so far. */
uint32_t sim_faults(enum sim_fault kind);
/* Something that need not be: true unless shrinking leaves it out. Faults ask by themselves. */
bool sim_optional(void);
bool sim_rule_is_off(struct slice name);

/* ---- What is told */

/* A line of the timeline; costs nothing when nobody reads it. */
__attribute__((format(printf, 1, 2))) void sim_note(const char *format, ...);
/* A broken promise: `rule` names it in one word, the text says what happened, to whom, and what was expected. */
__attribute__((format(printf, 2, 3))) void sim_violation(const char *rule, const char *format, ...);

/* ---- Processes (process.c): one life of a worker, from its start to its end. */

struct sim_process;

/* The one that runs now; NULL in the world. */
struct sim_process *sim_self(void);
/* Kills it, if it lives. From the world only. */
void sim_kill(struct sim_process *p);
/* Kills it, or stops it for a while. */
void sim_strike(struct sim_process *p);
/* Whether it was stopped from then on, and runs again: the newest time. False: never. */
bool sim_was_stopped(const struct sim_process *p, int64_t *from_ms, int64_t *to_ms);
bool sim_is_alive(const struct sim_process *p);
int sim_number(const struct sim_process *p);
/* Workers killed so far; that ended in whatever way. */
size_t sim_killed(void);
size_t sim_ended(void);
/* Calls `fn` in a turn of that process' loop, later; not at all if it has ended by then. */
void sim_deliver(struct sim_process *p, int64_t delay_ms, void (*fn)(void *ctx), void *ctx);

/* ---- Kafka, for the checker and the feeder (broker.c) */

/* A committed record of an output topic. */
struct sim_record {
    const char *topic;
    struct slice key, value; /* absent: null */
    const struct kafka_header *headers;
    size_t nheaders;
    int64_t timestamp;
    uint64_t txn; /* the transaction: numbers rise in the order of the commits */
};
/* A committed offset of an input partition. */
struct sim_commit {
    const char *topic;
    int32_t partition;
    int64_t offset;
    struct slice metadata;
    int generation;
    uint64_t txn;
};
/* All that was committed so far, in the order in which it became visible. */
const struct sim_record *sim_kafka_records(size_t *n);
const struct sim_commit *sim_kafka_commits(size_t *n);
/* Appends a record to an input topic; the key decides the partition, a null key chance. */
void sim_kafka_append(const char *topic, struct slice key, struct slice value, const struct kafka_header *headers,
                      size_t nheaders, int64_t timestamp, int32_t *partition, int64_t *offset);

#endif
