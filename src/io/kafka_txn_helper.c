/* The helper thread: makes, initialises, replaces and ends the transactional producer (DELIVERY §4.5 – 4.8). */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kafka_txn_parts.h"
#include "stepmill/clock.h"
#include "stepmill/log.h"
#include "stepmill/rule.h"

enum { INIT_MS = 1000, WARM_MS = 2000, IDLE_MS = 1000, FENCED_MS = 10 * 60 * 1000, PACE_MAX_MS = 1000 };

bool txn_out_of_time(struct kafka_txn *t)
{
    bool out;

    pthread_mutex_lock(&t->lock);
    out = t->stop && (!t->batch || clock_mono_ms() >= t->stop_at_ms);
    pthread_mutex_unlock(&t->lock);
    return out;
}

/* With the lock held: waits for a signal, at most `ms`. */
static void wait_signal(struct kafka_txn *t, int ms)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += ms % 1000 * 1000000L;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_cond_timedwait(&t->more, &t->lock, &until);
}

void txn_pause(struct kafka_txn *t, int ms)
{
    int64_t until = clock_mono_ms() + ms;

    for (;;) {
        int64_t left = until - clock_mono_ms();

        if (left <= 0 || txn_out_of_time(t))
            return;
        pthread_mutex_lock(&t->lock);
        wait_signal(t, left < 100 ? (int)left : 100);
        pthread_mutex_unlock(&t->lock);
    }
}

void txn_trouble(struct kafka_txn *t, rd_kafka_resp_err_t code, bool fatal, const char *detail, const char *topic)
{
    struct trouble_note *note;

    pthread_mutex_lock(&t->lock);
    t->counts.errors++;
    t->counts.trouble = rd_kafka_err2name(code);
    if (t->ntroubles < TROUBLES_MAX) { /* the loop is slow to take them: the first ones say enough, `errors` counts all */
        note = &t->troubles[t->ntroubles++];
        note->kind = kafka_trouble_of(code, fatal);
        note->name = rd_kafka_err2name(code);
        kafka_copy_text(note->detail, sizeof note->detail, detail);
        kafka_copy_text(note->topic, sizeof note->topic, topic);
    }
    pthread_mutex_unlock(&t->lock);
    kafka_wake_post(&t->wake);
}

/* A connection that was refused carried no request, so nothing can act late. The only place that reads librdkafka's prose; prose
 * it does not know costs a replacement, no more. */
static bool never_connected(const char *reason)
{
    return strstr(reason, "in state CONNECT") || strstr(reason, "in state TRY_CONNECT");
}

static void on_error(rd_kafka_t *rk, int code, const char *reason, void *opaque)
{
    struct kafka_txn *t = ((struct kafka_opaque *)opaque)->owner;

    (void)rk;
    if (code != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN && !never_connected(reason))
        t->taint = rd_kafka_err2name((rd_kafka_resp_err_t)code);
    /* A fatal error of a producer is answered by another producer: to the app it is not fatal. */
    txn_trouble(t, (rd_kafka_resp_err_t)code, false, reason, NULL);
}

/* ---- One producer */

static rd_kafka_t *make_producer(struct kafka_txn *t)
{
    const struct kafka_option extra[] = {{"transactional.id", t->id}, {"message.max.bytes", t->message_max}};
    char detail[256];
    struct error error;
    rd_kafka_t *rk;
    rd_kafka_conf_t *conf = kafka_conf_new(KAFKA_ROLE_TXN, &t->options, extra, 2, &t->opaque, &error, detail, sizeof detail);

    if (conf) {
        rd_kafka_conf_set_error_cb(conf, on_error);
        rd_kafka_conf_set_dr_msg_cb(conf, txn_delivered);
        rk = kafka_client_new(RD_KAFKA_PRODUCER, conf, &error, detail, sizeof detail);
        if (rk)
            return rk;
    }
    txn_trouble(t, RD_KAFKA_RESP_ERR__INVALID_ARG, false, detail, NULL);
    return NULL;
}

/* False: this producer can't be initialised, or time is up. */
static bool init(struct kafka_txn *t, rd_kafka_t *rk)
{
    while (!txn_out_of_time(t)) {
        rd_kafka_error_t *e = rd_kafka_init_transactions(rk, INIT_MS);
        bool again = e && rd_kafka_error_is_retriable(e);

        rd_kafka_poll(rk, 0);
        if (!e)
            return true;
        log_info(t->opaque.log, "kafka.txn.init.failed", LOG_TEXT("code", rd_kafka_error_name(e)), LOG_BOOL("retriable", again),
                 LOG_TEXT("message", rd_kafka_error_string(e)));
        if (!again || rd_kafka_error_code(e) != RD_KAFKA_RESP_ERR__TIMED_OUT)
            txn_trouble(t, rd_kafka_error_code(e), false, rd_kafka_error_string(e), NULL);
        rd_kafka_error_destroy(e);
        if (!again)
            return false;
        txn_pause(t, 100);
    }
    return false;
}

/* Without the topics' metadata the first transaction waits for a 1 s timer of librdkafka; only a topic object makes it be asked
 * for. */
static void warm(struct kafka_txn *t, rd_kafka_t *rk)
{
    for (size_t i = 0; i < t->ntopics && !txn_out_of_time(t); i++) {
        const struct rd_kafka_metadata *metadata;
        rd_kafka_topic_t *topic = rd_kafka_topic_new(rk, t->topics[i], NULL);
        rd_kafka_resp_err_t e = topic ? rd_kafka_metadata(rk, 0, topic, &metadata, WARM_MS) : RD_KAFKA_RESP_ERR__FAIL;

        if (!e) {
            e = metadata->topic_cnt == 1 ? metadata->topics[0].err : RD_KAFKA_RESP_ERR_NO_ERROR;
            rd_kafka_metadata_destroy(metadata);
        }
        if (e)
            txn_trouble(t, e, false, rd_kafka_err2str(e), t->topics[i]);
        if (topic)
            rd_kafka_topic_destroy(topic);
    }
}

/* Fenced once: a stop longer than the transaction time-out, or the same id elsewhere. Twice within 10 min: the latter. */
static void fenced(struct kafka_txn *t)
{
    int64_t now = clock_mono_ms();
    bool twice = t->fenced_ms && now - t->fenced_ms < FENCED_MS;

    t->fenced_ms = now;
    log_warn(t->opaque.log, "kafka.txn.fenced", LOG_TEXT("transactional_id", t->id), LOG_BOOL("again", twice));
    if (!RULE(fenced_twice) || !twice)
        return;
    pthread_mutex_lock(&t->lock);
    t->fenced = true;
    pthread_mutex_unlock(&t->lock);
    kafka_wake_post(&t->wake);
}

static void destroy(struct kafka_txn *t, rd_kafka_t *rk)
{
    char text[256];
    rd_kafka_resp_err_t fatal = rd_kafka_fatal_error(rk, text, sizeof text);

    txn_forget_sizes(t);
    rd_kafka_purge(rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT | RD_KAFKA_PURGE_F_NON_BLOCKING);
    rd_kafka_destroy(rk);
    if (fatal == RD_KAFKA_RESP_ERR__FENCED || fatal == RD_KAFKA_RESP_ERR_PRODUCER_FENCED)
        fenced(t);
}

static void set_ready(struct kafka_txn *t, bool ready)
{
    pthread_mutex_lock(&t->lock);
    t->is_ready = ready;
    t->ready = ready;
    if (ready)
        t->counts.trouble = NULL;
    pthread_mutex_unlock(&t->lock);
    if (ready)
        kafka_wake_post(&t->wake);
}

bool txn_replace(struct kafka_txn *t, const char *why)
{
    int64_t began = clock_mono_ms();
    int pause = 100;

    set_ready(t, false);
    if (t->rk) {
        log_info(t->opaque.log, "kafka.txn.replaced", LOG_TEXT("reason", why));
        destroy(t, t->rk);
        t->rk = NULL;
        pthread_mutex_lock(&t->lock);
        t->counts.replaced++;
        pthread_mutex_unlock(&t->lock);
    }
    for (; !t->fenced && !txn_out_of_time(t); txn_pause(t, pause), pause = pause < 2500 ? pause * 2 : 5000) {
        rd_kafka_t *rk = make_producer(t);

        if (rk && init(t, rk)) {
            warm(t, rk);
            rd_kafka_poll(rk, 0);
            t->rk = rk;
            t->taint = NULL; /* what failed while it came up touched no transaction */
            log_info(t->opaque.log, "kafka.txn.ready", LOG_TEXT("transactional_id", t->id),
                     LOG_INT("ms", clock_mono_ms() - began));
            txn_ask_sizes(t, rk);
            set_ready(t, true);
            return true;
        }
        if (rk)
            destroy(t, rk);
    }
    return false;
}

/* ---- The thread */

static void finish(struct kafka_txn *t, struct kafka_batch *b, const struct kafka_result *r)
{
    pthread_mutex_lock(&t->lock);
    t->batch = NULL;
    t->done = b;
    t->result = *r;
    if (r->fate == KAFKA_COMMITTED) {
        t->counts.committed++;
        t->counts.records += b->nrecords;
        t->counts.bytes += b->bytes;
        t->counts.trouble = NULL;
    } else if (r->fate == KAFKA_REREAD) {
        t->counts.unknown++;
    } else {
        t->counts.aborted++;
    }
    pthread_mutex_unlock(&t->lock);
    kafka_wake_post(&t->wake);
}

/* So that the app may send again at once, however often it fails. */
static void pace(struct kafka_txn *t, const struct kafka_result *r)
{
    int ms = 50 << (t->failures < 5 ? t->failures : 5);

    if (r->fate != KAFKA_NOT_COMMITTED || r->record_refused) {
        t->failures = 0;
        return;
    }
    t->failures++;
    txn_pause(t, ms < PACE_MAX_MS ? ms : PACE_MAX_MS);
}

/* The next batch, or NULL when the end has come. The producer's callbacks are served meanwhile. */
static struct kafka_batch *next_batch(struct kafka_txn *t)
{
    for (;;) {
        struct kafka_batch *b;
        bool stop;

        if (!t->fenced && (!t->rk || (RULE(taint) && t->taint)) && !txn_replace(t, t->taint ? t->taint : "start") && !t->fenced)
            return NULL;
        txn_look_at_sizes(t);
        pthread_mutex_lock(&t->lock);
        if (!t->stop && (!t->given || t->fenced))
            wait_signal(t, IDLE_MS);
        stop = t->stop;
        b = stop || t->fenced ? NULL : t->given;
        if (b) {
            t->given = NULL;
            t->batch = b;
        }
        pthread_mutex_unlock(&t->lock);
        if (b || stop)
            return b;
        if (t->rk)
            rd_kafka_poll(t->rk, 0);
    }
}

void *txn_helper_main(void *txn)
{
    struct kafka_txn *t = txn;
    struct kafka_batch *b;

    while ((b = next_batch(t)) != NULL) {
        struct kafka_result r;

        txn_run(t, b, &r);
        pace(t, &r);
        finish(t, b, &r);
    }
    if (t->rk)
        destroy(t, t->rk);
    t->rk = NULL;

    pthread_mutex_lock(&t->lock);
    b = t->given;
    t->given = NULL;
    pthread_mutex_unlock(&t->lock);
    if (b)
        finish(t, b,
               &(struct kafka_result){.fate = KAFKA_NOT_COMMITTED,
                                      .name = "_DESTROY",
                                      .why = error_make(CLASS_AGAIN, "kafka_stopping", "the producer is being stopped")});
    set_ready(t, false);
    pthread_mutex_lock(&t->lock);
    t->stopped = true;
    pthread_mutex_unlock(&t->lock);
    kafka_wake_post(&t->wake);
    return NULL;
}
