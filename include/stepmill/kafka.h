/* Plain data that the Kafka parts share: options, partitions, records. No type of librdkafka appears here or in kafka_*.h, so a
 * simulator can stand in for them. Times of records are milliseconds of the Unix epoch; offsets are Kafka's: int64. */
#ifndef STEPMILL_KAFKA_H
#define STEPMILL_KAFKA_H

#include "bytes.h"
#include "error.h"
#include "kafka_options.h" /* struct kafka_option, and which of them the user may set */

struct event_base; /* libevent's */
struct log;

enum {
    KAFKA_OFFSET_END = -1,       /* behind the last record */
    KAFKA_OFFSET_BEGINNING = -2, /* the oldest record the topic still holds */
    KAFKA_OFFSET_NONE = -1001,   /* nothing committed, or not known */
};

/* Our topics' max.message.bytes and our producers' message.max.bytes (DELIVERY §4.13). */
enum { KAFKA_MESSAGE_MAX = 8 * 1024 * 1024 };

/* The `kafka:` part of the config: bootstrap.servers and whatever else the user passes through. How the clients use it: first our
 * tunable defaults, then these verbatim, then what we own; an owned name in here is overruled, so the config refuses it
 * beforehand. */
struct kafka_options {
    const struct kafka_option *at;
    size_t count;
    const char *client_id;
    const struct log *log; /* gets librdkafka's own log lines, from any thread; outlives the client. NULL: no log */
};

/* Checks the names and values against librdkafka without connecting: for `config check`. On failure `detail` (terminated) names
 * the option. */
MUST_CHECK struct error kafka_options_check(const struct kafka_options *options, char *detail, size_t room);

/* Version of the linked librdkafka, e.g. "2.8.0". */
const char *kafka_version(void);

struct kafka_partition {
    const char *topic;
    int32_t partition;
};

struct kafka_header {
    struct slice name;
    struct slice value; /* absent: a null value */
};

enum kafka_time { KAFKA_TIME_NONE, KAFKA_TIME_CREATED, KAFKA_TIME_APPENDED };

/* A consumed record: a view, valid only during the call that hands it over. Copy what must outlive it: one kept record would pin
 * a whole fetch. */
struct kafka_record {
    const char *topic;
    int32_t partition;
    int64_t offset;
    uint64_t assignment; /* of the partition, see kafka_source.h; 0 from a reader */
    int64_t timestamp;   /* -1 when time_kind is NONE */
    enum kafka_time time_kind;
    struct slice key;                   /* absent: null key */
    struct slice value;                 /* absent: null value (tombstone) */
    const struct kafka_header *headers; /* in the order of the record; names may repeat */
    size_t nheaders;
};

/* A record to be produced. The partition follows from the key as in the Java client (murmur2); a null key: any partition. */
struct kafka_output {
    const char *topic;
    struct slice key, value; /* absent: null */
    const struct kafka_header *headers;
    size_t nheaders;
    int64_t timestamp; /* 0: now */
    uint64_t tag;      /* the caller's; comes back with the outcome */
};

/* Upper bound of the bytes this record takes in a request: what is compared with message.max.bytes. Pure. */
size_t kafka_output_size(const struct kafka_output *o);

/* What a client says about its connection: for the log, /ready and metrics. None of it needs an action of the app except FATAL.
 */
enum kafka_trouble_kind {
    KAFKA_TROUBLE_TRANSPORT,     /* one broker: connection lost or refused, time-out; the client reconnects by itself */
    KAFKA_TROUBLE_ALL_DOWN,      /* no broker can be reached */
    KAFKA_TROUBLE_TOPIC_MISSING, /* `topic` does not exist (yet); it is asked for again every 10 s */
    KAFKA_TROUBLE_AUTH,          /* authentication failed, or an ACL refuses `topic`, the group or the transactional id */
    KAFKA_TROUBLE_OTHER,
    KAFKA_TROUBLE_FATAL, /* this client will never work again: log and exit 1 */
};

/* Valid during the callback only. */
struct kafka_trouble {
    enum kafka_trouble_kind kind;
    const char *name;   /* librdkafka's name of the error, static, e.g. "_TRANSPORT" */
    const char *detail; /* one sentence from librdkafka; may name hosts, never secrets */
    const char *topic;  /* or NULL */
};

/* "transport", "all_down", …: static. */
const char *kafka_trouble_name(enum kafka_trouble_kind kind);

#endif
