/* Following topics from given offsets: read_committed, no group, all partitions of several topics, for a fold that keeps its own
 * offsets.
 *
 * Every call may block up to its time-out: for a thread of its own, never on a loop; one thread per handle. Topics and partitions
 * that come later are found by themselves (looked for every 10 s). Brokers that go away are waited for.
 */
#ifndef STEPMILL_KAFKA_FOLLOW_H
#define STEPMILL_KAFKA_FOLLOW_H

#include "kafka_admin.h"

struct kafka_follow;

struct kafka_follow_options {
    struct kafka_options kafka;
    const char *const *topics; /* names; each once; outlive the handle */
    size_t ntopics;
    /* Where reading begins: an offset, or KAFKA_OFFSET_BEGINNING. Asked when a partition is first seen. An offset that the topic
     * does not hold (any more) begins at its oldest record. */
    int64_t (*start)(void *ctx, const char *topic, int32_t partition);
    /* The id that the brokers gave this topic, before `start` is asked for its partitions, and every 10 s. False: those offsets
     * are of another topic, which had its name before; then nothing is read any more, and the handle is good for closing. Not
     * called where nobody tells an id: old brokers, refused by ACLs. */
    bool (*same)(void *ctx, const char *topic, const char *id);
    void *ctx;
};

/* Does not connect yet. Errors as kafka_source_start. */
MUST_CHECK struct error kafka_follow_open(struct kafka_follow **follow, const struct kafka_follow_options *options, char *detail,
                                          size_t room);
/* RECORD (a view until the next call), NOTHING (time is over, or a partition came to its end), FAILED (this record cannot be
 * read: damaged; it is skipped, see kafka_follow_trouble). */
enum kafka_read kafka_follow_next(struct kafka_follow *f, int timeout_ms, const struct kafka_record **record);

/* One partition that is read. */
struct kafka_follow_part {
    const char *topic;
    int32_t partition;
    int64_t next; /* everything below was given out, or holds no record for us; KAFKA_OFFSET_NONE: not known yet */
    int64_t end;  /* as of the last fetch; KAFKA_OFFSET_NONE: not known */
    bool at_end;  /* read to its end since the last record */
};
size_t kafka_follow_count(const struct kafka_follow *f);
struct kafka_follow_part kafka_follow_part(struct kafka_follow *f, size_t i);

/* The record that was given out last cannot be dealt with now: its partition is read no further until kafka_follow_release, then
 * from this record on. The others go on. */
void kafka_follow_hold(struct kafka_follow *f);
/* All that are held, from where they were. */
void kafka_follow_release(struct kafka_follow *f);

/* Whether the brokers were asked once which topics these are: until then an offset of `start` may be another topic's. */
bool kafka_follow_knows_topics(const struct kafka_follow *f);
/* Whether the brokers were asked for all topics, and all partitions that there are were read to their end. */
bool kafka_follow_caught_up(const struct kafka_follow *f);

/* Oldest and next offset of one partition, asked from the brokers now; next: what a read_committed reader can reach (the last
 * stable offset). */
MUST_CHECK struct error kafka_follow_ends(struct kafka_follow *f, const char *topic, int32_t partition, int timeout_ms,
                                          int64_t *oldest, int64_t *next);
/* The offset behind all that was written, also by transactions that are under way or just committed: Kafka says a transaction is
 * committed before its markers are in every partition, and until then the last stable offset lies before its records. Whoever
 * must have read what was committed reads up to here. Of partitions 0 to `partitions` - 1, asked for together: each question
 * waits behind the fetch that is under way. */
MUST_CHECK struct error kafka_follow_written(struct kafka_follow *f, const char *topic, size_t partitions, int timeout_ms,
                                             int64_t *ends);
/* How many partitions the topic has, asked now; 0: there is no such topic. */
MUST_CHECK struct error kafka_follow_partitions(struct kafka_follow *f, const char *topic, int timeout_ms, size_t *n);

/* Static name of the last trouble since the last record or end, NULL: none. */
const char *kafka_follow_trouble(const struct kafka_follow *f);
void kafka_follow_close(struct kafka_follow *f);

#endif
