/* A worker without outside: its own code from intake to commit, and a Kafka that only keeps what it is given.
 *
 * Records come by bench_record and become tasks by bench_task; tasks end at once by bench_settle (as duplicates: an offset and no
 * record). What the worker submits is in `submitted` until the test says what became of it.
 */
#ifndef HELPER_BENCH_H
#define HELPER_BENCH_H

#include "worker.h"

struct bench {
    struct worker w;
    struct config config;
    struct agent agent;
    struct log log;
    struct worker_options options;
    struct kafka_batch *submitted; /* NULL: none */
    size_t submits;
    uint64_t assignment;
    bool member; /* of the group */
};

/* One agent, "search", whose tasks come from the topic "tasks". */
void bench_init(struct bench *b);
void bench_free(struct bench *b);

/* The partition is ours, from this committed offset. */
struct owned *bench_assign(struct bench *b, int32_t partition, int64_t committed, struct slice metadata);
void bench_lost(struct bench *b, int32_t partition);
/* A record without a key, and its task. */
struct task *bench_task(struct bench *b, int32_t partition, int64_t offset);
/* An event of this task waits for a transaction. */
void bench_emit(struct task *t, struct cell *cell);
void bench_settle(struct task *t);

/* The batch that was submitted is done with this fate. */
void bench_done(struct bench *b, const struct kafka_result *result);
void bench_committed(struct bench *b);
/* The offset that the submitted batch commits for this partition, and the finished set beside it; KAFKA_OFFSET_NONE: none. */
int64_t bench_offset(const struct bench *b, int32_t partition, struct slice *metadata);
/* The batch that was submitted finishes this offset. */
bool bench_finishes(const struct bench *b, int32_t partition, int64_t offset);

#endif
