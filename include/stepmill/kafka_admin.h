/* Kafka for hand tools and the doctor: topics, groups, offsets, a plain producer and a plain reader.
 *
 * Every call may block, up to its time-out: never on the worker's loop. One thread per handle. Errors: CLASS_AGAIN
 * "kafka_timeout" (nobody answered in time), CLASS_CONFIG "kafka_…" (the broker refuses; an option is wrong); kafka_admin_detail
 * says it in full.
 */
#ifndef STEPMILL_KAFKA_ADMIN_H
#define STEPMILL_KAFKA_ADMIN_H

#include "kafka.h"

struct kafka_admin;

/* Does not connect yet. `detail` as in kafka_source_start. */
MUST_CHECK struct error kafka_admin_open(struct kafka_admin **admin, const struct kafka_options *options, int timeout_ms,
                                         char *detail, size_t room);
void kafka_admin_close(struct kafka_admin *a);
/* The last failed call's full sentence; valid until the next call. */
const char *kafka_admin_detail(const struct kafka_admin *a);

/* ---- Cluster */
struct kafka_broker {
    int32_t id;
    const char *host;
    int port;
};
struct kafka_cluster {
    const char *id; /* "" when unknown */
    int32_t controller;
    const struct kafka_broker *brokers;
    size_t nbrokers;
};
MUST_CHECK struct error kafka_admin_cluster(struct kafka_admin *a, struct kafka_cluster **cluster);
void kafka_cluster_free(struct kafka_cluster *c);

/* ---- Topics */
struct kafka_topic_partition_info {
    int32_t partition, leader; /* leader -1: none */
    int replicas, in_sync;
};
struct kafka_topic_config {
    const char *name, *value; /* value NULL: the broker hides it */
    bool is_default;          /* not set on the topic itself */
};
struct kafka_topic {
    const char *name;
    bool exists;       /* false: only when the topic was asked for by name */
    const char *error; /* why it cannot be described, e.g. authorization; NULL: fine */
    const struct kafka_topic_partition_info *partitions;
    size_t npartitions;
    const struct kafka_topic_config *configs; /* empty unless asked for */
    size_t nconfigs;
};
struct kafka_topics {
    const struct kafka_topic *at;
    size_t count;
};
/* `names` NULL: all topics. In the order of the names, else by name. */
MUST_CHECK struct error kafka_admin_topics(struct kafka_admin *a, const char *const *names, size_t n, bool with_configs,
                                           struct kafka_topics **topics);
void kafka_topics_free(struct kafka_topics *t);
/* The topic of this name in the answer, or NULL; and one of its configs, or NULL. */
const struct kafka_topic *kafka_topics_find(const struct kafka_topics *t, const char *name);
const char *kafka_topic_config(const struct kafka_topic *t, const char *name);

struct kafka_topic_spec {
    const char *name;
    int partitions;
    int replication; /* -1: the broker's default */
    const struct kafka_option *configs;
    size_t nconfigs;
};
enum kafka_topic_outcome {
    KAFKA_TOPIC_CREATED, /* with dry_run: the broker would create it */
    KAFKA_TOPIC_EXISTS,  /* with the wanted number of partitions (and wanted configs, see `detail`) */
    KAFKA_TOPIC_DIFFERS, /* exists, but partitions or configs are others: `detail` says which; nothing was changed */
    KAFKA_TOPIC_REFUSED, /* `detail` says why */
};
struct kafka_topic_result {
    enum kafka_topic_outcome outcome;
    int partitions; /* it has now */
    char detail[256];
};
/* Idempotent: existing topics are compared, never changed. `results` has n entries. Fails only when the brokers can't be asked at
 * all. */
MUST_CHECK struct error kafka_admin_create_topics(struct kafka_admin *a, const struct kafka_topic_spec *specs, size_t n,
                                                  bool dry_run, struct kafka_topic_result *results);
/* For tests and clean-up: unknown topics are not an error. */
MUST_CHECK struct error kafka_admin_delete_topics(struct kafka_admin *a, const char *const *names, size_t n);

/* ---- Offsets of topics */
struct kafka_offset {
    const char *topic;
    int32_t partition;
    int64_t offset; /* KAFKA_OFFSET_NONE: not known, nothing committed, or no record at or after that time (see the calls) */
    struct slice metadata; /* of committed offsets */
    const char *error;     /* static name of this partition's error; NULL: fine */
};
struct kafka_offsets {
    struct kafka_offset *at;
    size_t count;
};
/* `when`: KAFKA_OFFSET_BEGINNING, KAFKA_OFFSET_END (the last stable offset: what a read_committed reader can reach), or a time in
 * ms (the first record at or after it; no such record: the end). */
MUST_CHECK struct error kafka_admin_offsets(struct kafka_admin *a, const struct kafka_partition *p, size_t n, int64_t when,
                                            struct kafka_offsets **offsets);
void kafka_offsets_free(struct kafka_offsets *o);

/* ---- Groups */
struct kafka_member {
    const char *id, *client_id, *host;
    const struct kafka_partition *partitions; /* assigned */
    size_t npartitions;
};
struct kafka_group {
    const char *state; /* "Stable", "Empty", "Dead" (does not exist), … */
    const struct kafka_member *members;
    size_t nmembers;
};
MUST_CHECK struct error kafka_admin_group(struct kafka_admin *a, const char *group, struct kafka_group **answer);
void kafka_group_free(struct kafka_group *g);
/* Names of all groups the ACLs show; free with kafka_names_free. */
struct kafka_names {
    const char *const *at;
    size_t count;
};
MUST_CHECK struct error kafka_admin_groups(struct kafka_admin *a, struct kafka_names **names);
void kafka_names_free(struct kafka_names *n);

/* Stable committed offsets with their metadata; waits for open transactions (the call's time-out should then be > 25 s). */
MUST_CHECK struct error kafka_admin_committed(struct kafka_admin *a, const char *group, const struct kafka_partition *p, size_t n,
                                              struct kafka_offsets **offsets);
/* Sets a group's offsets. Refused with CLASS_CONFIG "group_not_empty" (detail names the members) while it has members; the broker
 * checks it too. */
MUST_CHECK struct error kafka_admin_commit(struct kafka_admin *a, const char *group, const struct kafka_offset *offsets,
                                           size_t n);

/* ---- A plain producer: idempotent, acks=all */
struct kafka_producer;
struct kafka_delivery {
    uint64_t tag;
    struct error error; /* none: acknowledged */
    const char *name;   /* librdkafka's name of the error; NULL */
    const char *topic;
    int32_t partition;
    int64_t offset;
};
/* `delivered` is called once per record, inside send, poll, flush or close (then with an error). */
MUST_CHECK struct error kafka_producer_open(struct kafka_producer **producer, const struct kafka_options *options,
                                            void (*delivered)(void *context, const struct kafka_delivery *d), void *context,
                                            char *detail, size_t room);
/* Queues a copy; waits while the queue is full. An error (too large, unknown topic): `delivered` is not called for it. */
MUST_CHECK struct error kafka_producer_send(struct kafka_producer *p, const struct kafka_output *record);
/* The same into one given partition. */
MUST_CHECK struct error kafka_producer_send_to(struct kafka_producer *p, const struct kafka_output *record, int32_t partition);
void kafka_producer_poll(struct kafka_producer *p, int timeout_ms);
/* Waits until every record has its outcome. CLASS_AGAIN "kafka_timeout": some have not. */
MUST_CHECK struct error kafka_producer_flush(struct kafka_producer *p, int timeout_ms);
void kafka_producer_close(struct kafka_producer *p);
const char *kafka_producer_detail(const struct kafka_producer *p);

/* ---- A plain reader: read_committed, no group, all partitions of its topics, merged as they come */
struct kafka_reader;
enum kafka_start { KAFKA_START_BEGINNING, KAFKA_START_END, KAFKA_START_OFFSET, KAFKA_START_TIME };
enum kafka_read {
    KAFKA_READ_RECORD, /* *record is valid until the next call */
    KAFKA_READ_END, /* all partitions have been read up to their end as it is now; said once, and again after each further record
                     */
    KAFKA_READ_NOTHING, /* time-out; call again */
    KAFKA_READ_FAILED,  /* kafka_reader_error */
};
/* `at`: the offset (of each partition; below the oldest record: the oldest) or the time in ms. `partition` -1: all. Waits up to
 * timeout_ms for the brokers. */
MUST_CHECK struct error kafka_reader_open(struct kafka_reader **reader, const struct kafka_options *options, const char *topic,
                                          int32_t partition, enum kafka_start start, int64_t at, int timeout_ms, char *detail,
                                          size_t room);
enum kafka_read kafka_reader_next(struct kafka_reader *r, int timeout_ms, const struct kafka_record **record);
/* Nothing more of this partition: it counts as read to its end. Right after a record, which stays valid until the next call. */
void kafka_reader_skip(struct kafka_reader *r, int32_t partition);
struct error kafka_reader_error(const struct kafka_reader *r, const char **detail);
void kafka_reader_close(struct kafka_reader *r);

#endif
