/* What the files that stand in for librdkafka share. The API is <librdkafka/rdkafka.h>: what src/io uses of it, with the
 * behaviour of 2.8 that the code depends on (read from its source).
 */
#ifndef SIM_RDKAFKA_H
#define SIM_RDKAFKA_H

#include "cluster.h"

struct rd_kafka_error_s {
    rd_kafka_resp_err_t code;
    bool fatal, retriable, abort;
};
rd_kafka_error_t *fake_error(rd_kafka_resp_err_t code, bool fatal, bool retriable, bool abort);

struct rd_kafka_headers_s {
    struct kafka_header *at;
    size_t n, room;
};

struct rd_kafka_conf_s {
    void *opaque;
    char *transactional_id;
    int64_t socket_timeout_ms, transaction_timeout_ms, message_timeout_ms, session_timeout_ms, heartbeat_ms;
    void (*error_cb)(rd_kafka_t *rk, int err, const char *reason, void *opaque);
    void (*dr_msg_cb)(rd_kafka_t *rk, const rd_kafka_message_t *m, void *opaque);
};

struct rd_kafka_topic_s {
    const char *name;
    struct log_of *log;
};

struct rd_kafka_consumer_group_metadata_s {
    struct member member;
};

/* ---- Queue and its events */

struct rd_kafka_op_s { /* an event of the queue */
    struct rd_kafka_op_s *next;
    rd_kafka_event_type_t type; /* NONE: the position moves, nobody is told */
    rd_kafka_resp_err_t error;
    const char *text;
    struct part *part; /* FETCH, NONE, end of partition */
    uint64_t version;  /* of the part; another one: outdated */
    int64_t offset;
    rd_kafka_message_t message;
    bool taken;
    rd_kafka_topic_partition_list_t *list; /* REBALANCE */
};

struct rd_kafka_queue_s {
    struct rd_kafka_op_s *first, **last;
    struct rd_kafka_s *rk;
    int fd; /* -1: nobody is woken */
};
void fake_enqueue(struct rd_kafka_s *rk, const struct rd_kafka_op_s *op);

/* ---- Consumer */

struct part {
    struct log_of *log;
    struct rd_kafka_topic_s topic;
    bool added, paused, scheduled;
    uint64_t version;
    int64_t start, fetch_at, app_at; /* app_at < 0: nothing consumed yet */
    int64_t end_told;
};

/* Names as in rdkafka_cgrp.c. */
enum join_state { CG_INIT, CG_WAIT_JOIN, CG_WAIT_ASSIGN_CALL, CG_WAIT_UNASSIGN_CALL, CG_STEADY, CG_TERM };

struct cgrp {
    enum join_state state;
    struct member member;
    struct part_list assignment;     /* by the group */
    struct part_list revoking, incr; /* of the event under way; to be assigned after it */
    bool has_incr, rejoin, lost;
    bool closing, heartbeat_under_way;
    uint64_t join_number;   /* the answer to an earlier join is outdated */
    int64_t session_end_ms; /* 0: has ended */
    int64_t told_ms;        /* of the newest event */
};

/* ---- Producer */

enum producer_state { TXN_NOT_INIT, TXN_READY, TXN_IN, TXN_ABORTABLE, TXN_COMMITTING, TXN_ABORTING, TXN_FATAL };

struct message {
    struct message *next;
    struct entry entry;
    void *opaque;
    int64_t queued_ms;
};

struct lane { /* records for one partition */
    struct log_of *log;
    struct message *first, *last; /* not acknowledged */
    size_t n;
    int64_t sequence; /* of the first */
    bool added, under_way;
};

struct report {
    struct report *next;
    struct message *message;
    rd_kafka_resp_err_t error;
};

/* A call of the transaction API that may be repeated until it has an answer. */
enum step { STEP_NONE, STEP_INIT, STEP_ADD_OFFSETS, STEP_OFFSETS, STEP_END };

struct producer {
    enum producer_state state;
    rd_kafka_resp_err_t why; /* ABORTABLE, FATAL */
    int64_t pid;
    int32_t epoch;
    uint64_t number; /* of the transaction, in this client */
    struct lane lanes[OFFSETS_MAX];
    size_t nlanes;
    bool adding; /* AddPartitionsToTxn is under way */
    bool offsets_added;
    bool unsure; /* a record's fate is unknown: after an abort a new epoch is needed */
    struct report *reports, **reports_end;
    enum step step;
    bool step_under_way, step_done;
    uint64_t step_number;
    rd_kafka_resp_err_t step_error;
    struct strand *waiter;
};

struct trouble {
    struct trouble *next;
    rd_kafka_resp_err_t code;
};

struct rd_kafka_s {
    struct client client;
    struct rd_kafka_conf_s conf;
    struct rd_kafka_queue_s queue;
    struct part *parts[OFFSETS_MAX];
    size_t nparts;
    struct cgrp cgrp;
    struct producer p;
    struct trouble *troubles, **troubles_end; /* for error_cb */
};

struct part *fake_part(struct rd_kafka_s *rk, struct log_of *log);
rd_kafka_topic_partition_list_t *fake_list(const struct part_list *parts);

/* rdkafka_cgrp.c */
void cgrp_start(struct rd_kafka_s *rk);
void cgrp_added(struct rd_kafka_s *rk);
/* rdkafka_fetch.c */
void fetch_start(struct rd_kafka_s *rk, struct part *p, int64_t offset);
void fetch_end(struct part *p);
void fetch_pause_all(struct rd_kafka_s *rk);
void fetch_resume_all(struct rd_kafka_s *rk);
void fetch_add_consumer(struct rd_kafka_s *rk);
/* rdkafka_produce.c */
void produce_reset(struct rd_kafka_s *rk);
void produce_pump_soon(struct rd_kafka_s *rk, int64_t delay_ms);
void produce_purge(struct rd_kafka_s *rk);
bool produce_is_empty(const struct rd_kafka_s *rk);
void produce_serve(struct rd_kafka_s *rk);
void produce_fail(struct rd_kafka_s *rk, rd_kafka_resp_err_t code);
void produce_set_abortable(struct rd_kafka_s *rk, rd_kafka_resp_err_t code);
/* rdkafka_client.c */
void fake_serve_troubles(struct rd_kafka_s *rk);

#endif
