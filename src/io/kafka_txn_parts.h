/* Inside the transactional producer: what its loop side (kafka_txn.c) and its helper thread (kafka_txn_helper.c, kafka_txn_run.c)
 * share. */
#ifndef STEPMILL_IO_KAFKA_TXN_PARTS_H
#define STEPMILL_IO_KAFKA_TXN_PARTS_H

#include <pthread.h>

#include "kafka_batch.h"
#include "kafka_client.h"
#include "kafka_wake.h"

enum { TROUBLES_MAX = 16 };

/* A trouble on its way to the loop. */
struct trouble_note {
    enum kafka_trouble_kind kind;
    const char *name;
    char detail[256];
    char topic[256];
};

struct kafka_txn {
    struct kafka_opaque opaque;
    struct kafka_txn_events events;
    void *context;
    struct kafka_wake wake;
    pthread_t thread;
    char *id;
    char **topics;
    size_t ntopics;
    struct kafka_options options; /* a copy: producers are made again */
    struct kafka_option *pairs;
    char message_max[24];
    rd_kafka_t *consumer;

    /* Under lock. */
    pthread_mutex_t lock;
    pthread_cond_t more;
    struct kafka_batch *given, *done; /* at most one of them, or `run.batch` */
    struct kafka_result result;       /* of `done` */
    bool busy, stop;                  /* written by the loop only */
    bool ready, fenced, stopped;      /* news for the loop */
    bool told_fenced, told_stopped, is_ready;
    int64_t stop_at_ms; /* when `stop` */
    struct trouble_note troubles[TROUBLES_MAX];
    size_t ntroubles;
    struct kafka_txn_status counts;

    /* The helper thread's own. */
    rd_kafka_t *rk;
    const char *taint;       /* why the producer must be replaced before the next begin; NULL: fine */
    int64_t fenced_ms;       /* when it was fenced last; 0: never */
    rd_kafka_queue_t *sizes; /* where the answer about the topics' sizes will come; NULL: not asked */
    bool compared;           /* it came */
    unsigned failures;       /* batches not committed in a row */
    size_t refused;          /* record whose delivery failed, its index + 1; 0: none */
    size_t nrefused;         /* how many deliveries failed */
    rd_kafka_resp_err_t refused_code;
    struct kafka_batch *batch;
};

/* What an error asks for (DELIVERY §4.5). */
enum verdict { VERDICT_OK, VERDICT_AGAIN, VERDICT_ABORT, VERDICT_REPLACE };

/* kafka_txn_helper.c */
void *txn_helper_main(void *txn);
/* Destroys the producer and makes another that is initialised; tries for as long as it takes. False: stopping, or fenced for
 * good. */
bool txn_replace(struct kafka_txn *t, const char *why);
void txn_trouble(struct kafka_txn *t, rd_kafka_resp_err_t code, bool fatal, const char *detail, const char *topic);
/* Whether the helper must come to its end now. */
bool txn_out_of_time(struct kafka_txn *t);
/* Sleeps, but not beyond the end. */
void txn_pause(struct kafka_txn *t, int ms);

/* kafka_txn_sizes.c */
/* Asks once what the topics take. The answer may come late or never (an old broker, an ACL), so nobody waits for it. */
void txn_ask_sizes(struct kafka_txn *t, rd_kafka_t *rk);
/* If the answer is there: a topic that takes less than message.max.bytes is told as trouble. */
void txn_look_at_sizes(struct kafka_txn *t);
/* Before the producer that asked is destroyed. */
void txn_forget_sizes(struct kafka_txn *t);

/* kafka_txn_run.c */
void txn_run(struct kafka_txn *t, struct kafka_batch *b, struct kafka_result *r);
void txn_delivered(rd_kafka_t *rk, const rd_kafka_message_t *m, void *opaque);

#endif
