/* The simulated Kafka cluster: input partitions, what was committed, transactions (broker.c), and one consumer group (group.c).
 *
 * As a broker does, it looks at a commit's generation only, never at who owns the partition; an open transaction makes its
 * partitions' offsets unstable; initialising a transactional id ends that id's open transaction.
 */
#ifndef SIM_BROKER_H
#define SIM_BROKER_H

#include "memory.h"
#include "sim.h"

enum { PARTITIONS = 2, RECORDS_MAX = 128, SESSION_MS = 10000, REVOKE_MS = 5000 };

struct broker_member;

struct input_record {
    int64_t offset;
    struct slice key, value;
    const struct kafka_header *headers;
    size_t nheaders;
    int64_t timestamp;
};

struct broker_partition {
    int32_t number;
    struct input_record records[RECORDS_MAX];
    size_t nrecords;
    int64_t end;
    int64_t committed; /* KAFKA_OFFSET_NONE: nothing yet */
    struct slice metadata;
    int pending; /* open transactions with an offset of it */
    /* group.c */
    struct broker_member *owner, *revoking;
    uint64_t assignment;
    bool started, paused;
    bool revoke_told; /* `revoking` knows */
    int64_t position;
};

/* What a member believes of the group; it may be behind. */
struct broker_membership {
    struct broker_member *member;
    int generation;
};

/* broker.c */
void broker_begin(void);
struct broker_partition *broker_partition(int32_t number);
/* All input is finished and nothing is open: the checker's end. */
bool broker_is_at_rest(void);

/* A transaction, as its producer made it; records and offsets are copied. */
struct broker_txn;
struct broker_batch {
    const struct kafka_output *records;
    size_t nrecords;
    const struct kafka_partition *partitions; /* of the offsets */
    const int64_t *offsets;
    const struct slice *metadata;
    size_t noffsets;
    struct broker_membership membership;
};
enum txn_end { TXN_COMMITTED, TXN_ABORTED, TXN_NO_MEMBER, TXN_UNKNOWN };
/* `ended` is called in the world when the producer may learn of it; TXN_UNKNOWN: the answer was lost, the transaction has ended.
 */
typedef void broker_ended_fn(void *ctx, enum txn_end end);
void broker_txn(struct sim_process *p, const struct broker_batch *b, broker_ended_fn *ended, void *ctx);
/* The producer of that process takes over its transactional id: an open transaction of an earlier one is aborted. */
void broker_init(struct sim_process *p);

/* group.c */
void group_begin(void);
struct broker_member *broker_member_new(struct sim_process *p);
struct sim_process *member_process(const struct broker_member *m);
/* The client of that process; NULL when it is freed. */
struct kafka_source;
struct kafka_source *member_source(const struct broker_member *m);
void member_set_source(struct broker_member *m, struct kafka_source *s);
void group_join(struct broker_member *m);
void group_leave(struct broker_member *m);
/* It has given up what it was asked to. */
void group_released(struct broker_member *m);
bool group_has(const struct broker_member *m);
struct broker_membership member_belief(const struct broker_member *m); /* generation < 0: it knows that it is out */
/* Whether a commit under that membership is taken. */
bool group_takes(const struct broker_membership *m);
/* New records, or a partition that goes on: its owner gets them. */
void group_fetch(struct broker_partition *p);
/* Of process.c */
void broker_died(struct broker_member *m);
void broker_ended(struct broker_member *m);
void broker_stopped(struct broker_member *m, int64_t until_ms);
/* Someone's heartbeats do not arrive for a while, or the group is made anew without reason. */
void group_disturb(void);
bool group_is_quiet(void);

/* kafka_source.c, in a turn of the process: what the group says. */
void source_assigned(void *assignment);
void source_revoked(void *unused); /* all that it must give up */
void source_lost(void *partition);
void source_records(void *partition);
struct source_assignment {
    struct broker_partition *partition;
    uint64_t number;
    int64_t committed;
    struct slice metadata;
};

/* What a membership says. */
struct kafka_membership;
struct broker_membership kafka_membership_belief(const struct kafka_membership *m);

#endif
