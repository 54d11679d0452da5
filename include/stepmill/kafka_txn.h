/* The transactional producer: one batch of records and offsets at a time, all or nothing (DELIVERY §4.3 – 4.8, 4.12, 4.13).
 *
 * A batch is a snapshot that the app builds on the loop thread: records, the offsets of every partition any of its records came
 * from, and the membership they were read under. It is handed over whole and comes back whole with its fate:
 *
 *     b = kafka_batch_new(); kafka_batch_add_record(b, …)…; kafka_batch_add_offset(b, …)…; kafka_batch_set_membership(b, …);
 *     kafka_txn_submit(txn, b)            → later, on the loop: events.done(context, b, result) → kafka_batch_free(b)
 *
 * Thread: all functions on the loop thread; one helper thread inside owns the producer, because its calls block. Callbacks run on
 * the loop. The producer is replaced (never reused) after anything that leaves its state in doubt; that is the helper's business,
 * the app sees only fates.
 */
#ifndef STEPMILL_KAFKA_TXN_H
#define STEPMILL_KAFKA_TXN_H

#include "kafka.h"

struct kafka_txn;
struct kafka_batch;
struct kafka_source;
struct kafka_membership;

/* ---- Batch: belongs to the app before submit and after `done`, to the helper between. */

struct kafka_batch *kafka_batch_new(void); /* NULL: out of memory */
/* Not while submitted. NULL is allowed. */
void kafka_batch_free(struct kafka_batch *b);
/* Copies all bytes. False: out of memory or past 64 MiB; the batch is then to be freed or submitted without the record. */
bool kafka_batch_add_record(struct kafka_batch *b, const struct kafka_output *record);
/* `offset` = the watermark, or the position when idle: the next one to read. One entry per partition (a second one is a BUG).
 * False: out of memory. */
bool kafka_batch_add_offset(struct kafka_batch *b, const struct kafka_partition *p, int64_t offset, struct slice metadata);
/* Takes ownership. Needed when there are offsets (submitting without is a BUG); not allowed to be NULL. */
void kafka_batch_set_membership(struct kafka_batch *b, struct kafka_membership *m);
/* It goes only by the producer after so many replacements (kafka_txn_status.replaced), else it comes back NOT_COMMITTED, name
 * "replaced": for batches that rest on what was read while that producer was the newest of its id. */
void kafka_batch_set_producer(struct kafka_batch *b, uint64_t replaced);
size_t kafka_batch_records(const struct kafka_batch *b);
size_t kafka_batch_offsets(const struct kafka_batch *b);
size_t kafka_batch_bytes(const struct kafka_batch *b); /* of keys, values and headers */
uint64_t kafka_batch_tag(const struct kafka_batch *b, size_t record);
/* The entry as added; views into the batch. */
void kafka_batch_offset(const struct kafka_batch *b, size_t i, struct kafka_partition *p, int64_t *offset,
                        struct slice *metadata);

/* ---- Fate */

enum kafka_fate {
    KAFKA_COMMITTED,     /* all of it */
    KAFKA_NOT_COMMITTED, /* none of it, for certain: requeue what is still ours (same assignment number), take fresh membership.
                            Comes after a growing pause of up to 1 s, so the app may submit again at once */
    KAFKA_REREAD, /* the commit's answer was lost; `stored` is what the group holds now, after the old transaction has ended for
                     certain: requeue exactly what is not in there. A batch without offsets is reported NOT_COMMITTED instead: its
                     records are at least once */
};

struct kafka_stored {
    int64_t offset; /* KAFKA_OFFSET_NONE: nothing committed */
    struct slice metadata;
};

/* Valid during `done`. */
struct kafka_result {
    enum kafka_fate fate;
    struct error why;    /* not committed: what happened */
    const char *name;    /* librdkafka's name of the error, static; NULL when committed */
    bool needs_lost;     /* the group does not know this member any more: submit nothing until `lost` or `assigned` was served */
    bool record_refused; /* one record alone made it fail (too large, …): settle that one without its text, the rest goes again */
    size_t refused;      /* its index in the batch, when record_refused */
    const struct kafka_stored *stored; /* REREAD: one per offset of the batch, in its order */
    size_t nstored;
    int64_t duration_us; /* from begin to the end of commit or abort */
};

/* Every member must be set. */
struct kafka_txn_events {
    /* The producer can take batches (after init and warming of the topics); called again after each replacement. A batch may be
     * submitted before. */
    void (*ready)(void *context);
    void (*done)(void *context, struct kafka_batch *b, const struct kafka_result *result);
    void (*trouble)(void *context, const struct kafka_trouble *t);
    /* Another live process uses this transactional.id: fenced twice within 10 min. Log the id and exit 1. No batch will be done
     * any more (the one in work, if any, has come back by `done`). */
    void (*fenced)(void *context, const char *transactional_id);
    /* After kafka_txn_stop; no callback follows. */
    void (*stopped)(void *context);
};

struct kafka_txn_options {
    struct kafka_options kafka;
    const char *transactional_id;
    const char *const *topics; /* output topics, to warm their metadata (else the first transaction waits 1 s) */
    size_t ntopics;
    size_t message_max; /* bytes of one record; 0: KAFKA_MESSAGE_MAX */
};

/* Starts the helper, which connects and initialises for as long as it takes. `source` (outlives the txn) is asked for stored
 * offsets after an unknown outcome; NULL only when no batch has offsets. Errors as kafka_source_start. */
MUST_CHECK struct error kafka_txn_start(struct kafka_txn **txn, struct event_base *base, struct kafka_source *source,
                                        const struct kafka_txn_options *options, const struct kafka_txn_events *events,
                                        void *context, char *detail, size_t room);

/* One batch at a time: a second one before `done` is a BUG; so is an empty batch, and any after kafka_txn_stop. Legal: records
 * and offsets; offsets alone (idle commit, duplicates); records alone (step events: nothing is sent to the group then). The batch
 * comes back in any case. */
void kafka_txn_submit(struct kafka_txn *t, struct kafka_batch *b);
bool kafka_txn_busy(const struct kafka_txn *t);

struct kafka_txn_status {
    bool ready;
    uint64_t committed, aborted, unknown; /* batches */
    uint64_t records, bytes;              /* of committed batches */
    uint64_t replaced;                    /* producers replaced */
    uint64_t errors;                      /* error callbacks and failed calls */
    const char *trouble;                  /* name of the last trouble since the last commit or init, static; NULL: none */
};
void kafka_txn_status(struct kafka_txn *t, struct kafka_txn_status *status);

/* Ends the helper: the batch in work gets `deadline_ms` (0: aborts at once if its commit has not begun), then comes back as
 * NOT_COMMITTED, or, when its outcome is not known, as REREAD with nstored = 0 (say so in the log; the next owner reads what is
 * true). Then `stopped`. */
void kafka_txn_stop(struct kafka_txn *t, int64_t deadline_ms);
/* After `stopped` it returns at once, else it stops with deadline 0 and waits (≤ about 10 s); no callback is called, a batch in
 * work is freed. */
void kafka_txn_free(struct kafka_txn *t);

#endif
