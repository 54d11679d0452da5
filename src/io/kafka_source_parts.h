/* Inside the source: its partitions and their states. Only kafka_source*.c and kafka_rebalance.c include this. */
#ifndef STEPMILL_IO_KAFKA_SOURCE_PARTS_H
#define STEPMILL_IO_KAFKA_SOURCE_PARTS_H

#include "kafka_client.h"
#include "kafka_lookup.h"
#include "kafka_wake.h"
#include "stepmill/kafka_source.h"

struct event;

enum part_state {
    PART_NONE,     /* not ours */
    PART_PENDING,  /* ours by the group; its committed offset is being read; the app does not know it */
    PART_OWNED,    /* assigned to the consumer, the app has state */
    PART_REVOKING, /* as OWNED, but the app gives it up */
    PART_STOPPED,  /* ours by the group, taken from the consumer; the app has dropped its state */
};

struct part {
    int32_t number;
    enum part_state state;
    bool paused;         /* by the app; inside librdkafka it stays so over any rebalance, until start() */
    bool asked;          /* a question for `ask` is under way */
    bool any_offset;     /* STOPPED: start again whatever the committed offset is */
    uint64_t ask;        /* number of the last question; an answer to an earlier one is stale */
    uint64_t assignment; /* of OWNED and REVOKING */
    int64_t next;        /* lowest offset that may still be given to the app */
    int64_t start;       /* the committed offset it was started from */
    int64_t since_ms;    /* when it came into this state, or was asked for */
    int64_t pending_ms;  /* when it became PENDING */
};

struct topic {
    char *name;
    struct part *parts; /* by number */
    size_t nparts;
};

enum source_phase { SOURCE_OPEN, SOURCE_CLOSING, SOURCE_CLOSED };

struct kafka_source {
    struct kafka_opaque opaque;
    rd_kafka_t *rk;
    rd_kafka_queue_t *queue;
    struct kafka_wake wake;
    struct event *tick;  /* polls the queue even when no wake-up came; looks after what waits */
    struct event *again; /* more is queued than one wake-up may serve */
    struct kafka_lookup *lookup;
    struct kafka_source_events events;
    void *context;
    char *group_id;
    struct topic *topics;
    size_t ntopics;
    size_t last; /* topic of the last record */
    struct kafka_headers headers;
    struct kafka_partition *scratch; /* room for all partitions: lists handed to callbacks */
    size_t nscratch;
    enum source_phase phase;
    bool disconnected, pinging;
    bool gave_up;       /* a fatal error: there is nothing to close */
    bool releasing;     /* a REVOKE waits for the app */
    uint64_t numbers;   /* assignments and questions: never used twice */
    int32_t generation; /* of the group, when it last spoke to us; 0: none yet */
    struct kafka_source_status counts;
};

enum { RELEASE_MS = 5000, STOPPED_MS = 30000, TICK_MS = 1000, BUSY_TICK_MS = 50 };

/* NULL: not a topic of ours, or never seen. */
struct part *source_part(struct kafka_source *s, const char *topic, int32_t partition);
void source_part_enter(struct kafka_source *s, struct part *p, enum part_state state);
void source_trouble(struct kafka_source *s, rd_kafka_resp_err_t code, bool fatal, const char *detail, const char *topic);
/* Runs `tick` soon. */
void source_hurry(struct kafka_source *s);

/* kafka_rebalance.c */
void rebalance_event(struct kafka_source *s, rd_kafka_event_t *e);
void rebalance_answer(void *source, const struct kafka_answer *a);
void rebalance_stop(struct kafka_source *s, const char *topic, struct part *p, rd_kafka_resp_err_t code, const char *detail);
void rebalance_tick(struct kafka_source *s);
void rebalance_lose_all(struct kafka_source *s);

#endif
