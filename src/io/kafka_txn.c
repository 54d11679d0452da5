/* The transactional producer as the loop sees it: start, submit, results, stop. */
#include "stepmill/kafka_txn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kafka_membership.h"
#include "kafka_txn_parts.h"
#include "stepmill/clock.h"

/* Takes what the helper left and calls back, without the lock. */
static void on_wake(void *txn)
{
    struct kafka_txn *t = txn;
    struct trouble_note troubles[TROUBLES_MAX];
    struct kafka_result result;
    struct kafka_batch *done;
    size_t n;
    bool ready, fenced, stopped;

    pthread_mutex_lock(&t->lock);
    n = t->ntroubles;
    memcpy(troubles, t->troubles, n * sizeof *troubles);
    t->ntroubles = 0;
    ready = t->ready;
    t->ready = false;
    done = t->done;
    t->done = NULL;
    result = t->result;
    if (done)
        t->busy = false;
    fenced = t->fenced && !t->told_fenced;
    t->told_fenced = t->fenced;
    stopped = t->stopped && !t->told_stopped;
    t->told_stopped = t->stopped;
    pthread_mutex_unlock(&t->lock);

    for (size_t i = 0; i < n; i++)
        t->events.trouble(t->context, &(struct kafka_trouble){troubles[i].kind, troubles[i].name, troubles[i].detail,
                                                              *troubles[i].topic ? troubles[i].topic : NULL});
    /* First what became of the last batch: `ready` asks for the next one, and the two must not be mixed up. */
    if (done)
        t->events.done(t->context, done, &result);
    if (ready)
        t->events.ready(t->context);
    if (fenced)
        t->events.fenced(t->context, t->id);
    if (stopped)
        t->events.stopped(t->context); /* last: it may free us */
}

/* ---- Start and end */

/* A copy of the user's options, because producers are made again later. */
static bool copy_options(struct kafka_txn *t, const struct kafka_txn_options *o)
{
    size_t max = o->message_max ? o->message_max : KAFKA_MESSAGE_MAX;

    snprintf(t->message_max, sizeof t->message_max, "%zu", max);
    t->id = strdup(o->transactional_id);
    t->pairs = calloc(o->kafka.count + 1, sizeof *t->pairs);
    t->topics = calloc(o->ntopics + 1, sizeof *t->topics);
    t->options = (struct kafka_options){
        .at = t->pairs, .client_id = o->kafka.client_id ? strdup(o->kafka.client_id) : NULL, .log = o->kafka.log};
    if (!t->id || !t->pairs || !t->topics || (o->kafka.client_id && !t->options.client_id))
        return false;
    for (; t->options.count < o->kafka.count; t->options.count++) {
        struct kafka_option *to = &t->pairs[t->options.count];

        to->name = strdup(o->kafka.at[t->options.count].name);
        to->value = strdup(o->kafka.at[t->options.count].value);
        if (!to->name || !to->value)
            return false;
    }
    for (; t->ntopics < o->ntopics; t->ntopics++) {
        t->topics[t->ntopics] = strdup(o->topics[t->ntopics]);
        if (!t->topics[t->ntopics])
            return false;
    }
    return true;
}

static void free_all(struct kafka_txn *t)
{
    for (size_t i = 0; t->pairs && t->pairs[i].name; i++) {
        free((char *)(uintptr_t)t->pairs[i].name);
        free((char *)(uintptr_t)t->pairs[i].value);
    }
    for (size_t i = 0; t->topics && t->topics[i]; i++)
        free(t->topics[i]);
    free(t->pairs);
    free(t->topics);
    free((char *)(uintptr_t)t->options.client_id);
    free(t->id);
    kafka_wake_close(&t->wake);
    kafka_batch_free(t->given);
    kafka_batch_free(t->done);
    free(t);
}

static bool start_thread(struct kafka_txn *t)
{
    pthread_condattr_t attributes;

    pthread_mutex_init(&t->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&t->more, &attributes);
    pthread_condattr_destroy(&attributes);
    if (pthread_create(&t->thread, NULL, txn_helper_main, t) == 0)
        return true;
    pthread_cond_destroy(&t->more);
    pthread_mutex_destroy(&t->lock);
    return false;
}

struct error kafka_txn_start(struct kafka_txn **txn, struct event_base *base, struct kafka_source *source,
                             const struct kafka_txn_options *options, const struct kafka_txn_events *events, void *context,
                             char *detail, size_t room)
{
    struct kafka_txn *t = calloc(1, sizeof *t);
    struct error error;
    rd_kafka_conf_t *conf;

    *txn = NULL;
    if (!t)
        return error_make(CLASS_INTERNAL, "no_memory", "no memory left for the Kafka producer");
    /* Wrong options shall fail here, not in the helper for ever. */
    conf = kafka_conf_new(KAFKA_ROLE_TXN, &options->kafka, NULL, 0, NULL, &error, detail, room);
    if (!conf) {
        free(t);
        return error;
    }
    rd_kafka_conf_destroy(conf);
    t->opaque = (struct kafka_opaque){options->kafka.log, t};
    t->events = *events;
    t->context = context;
    t->consumer = source ? kafka_source_client(source) : NULL;
    t->wake.fd = -1;
    if (copy_options(t, options) && kafka_wake_open(&t->wake, base, on_wake, t) && start_thread(t)) {
        *txn = t;
        return error_none();
    }
    free_all(t);
    return error_make(CLASS_INTERNAL, "no_memory", "no memory, descriptor or thread left for the Kafka producer");
}

void kafka_txn_stop(struct kafka_txn *t, int64_t deadline_ms)
{
    pthread_mutex_lock(&t->lock);
    if (!t->stop || clock_mono_ms() + deadline_ms < t->stop_at_ms)
        t->stop_at_ms = clock_mono_ms() + deadline_ms;
    t->stop = true;
    pthread_cond_signal(&t->more);
    pthread_mutex_unlock(&t->lock);
}

void kafka_txn_free(struct kafka_txn *t)
{
    if (!t)
        return;
    kafka_txn_stop(t, 0);
    pthread_join(t->thread, NULL);
    pthread_cond_destroy(&t->more);
    pthread_mutex_destroy(&t->lock);
    free_all(t);
}

/* ---- Batches */

void kafka_txn_submit(struct kafka_txn *t, struct kafka_batch *b)
{
    if (!b->nrecords && !b->noffsets)
        bug("an empty batch");
    if (b->noffsets && (!b->membership || !t->consumer))
        bug("a batch with offsets but without %s", t->consumer ? "membership" : "a source to reread them from");
    pthread_mutex_lock(&t->lock);
    if (t->busy || t->stop)
        bug("a batch is submitted %s", t->busy ? "while another is in work" : "after stop");
    t->busy = true;
    if (t->stopped)
        bug("a batch is submitted after the end");
    t->given = b;
    pthread_cond_signal(&t->more);
    pthread_mutex_unlock(&t->lock);
}

bool kafka_txn_busy(const struct kafka_txn *t) { return t->busy; /* written by the loop thread only */ }

void kafka_txn_status(struct kafka_txn *t, struct kafka_txn_status *status)
{
    pthread_mutex_lock(&t->lock);
    *status = t->counts;
    status->ready = t->is_ready;
    pthread_mutex_unlock(&t->lock);
}
