/* Reads committed offsets for the loop, on a thread of its own.
 *
 * All fresh questions go in one request. When that times out, some partition has an open transaction of a dead owner over it (up
 * to 28 s): from then on its questions are asked one by one, so that the others are not held up.
 */
#include "kafka_lookup.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "stepmill/list.h"
#include "stepmill/log.h"
#include "stepmill/rule.h"

enum { ALL_MS = 5000, ONE_MS = 1000, PAUSE_MS = 200 };

struct question {
    struct list_node node;
    uint64_t number;
    char *topic; /* NULL: ping */
    int32_t partition;
    int64_t committed;
    char *metadata;
    size_t len;
    bool known;
};

struct kafka_lookup {
    rd_kafka_t *rk;
    const struct log *log;
    void (*answered)(void *context, const struct kafka_answer *a);
    void *context;
    struct kafka_wake wake;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t more;
    struct list fresh, known; /* under lock */
    bool stop;                /* under lock */
    struct list slow;         /* the thread's own: asked one by one */
};

static void question_free(struct question *q)
{
    free(q->topic);
    free(q->metadata);
    free(q);
}

static void drop_all(struct list *l)
{
    struct list_node *n;

    while ((n = list_take_first(l)) != NULL)
        question_free(list_entry(n, struct question, node));
}

/* ---- On the thread */

static bool stopping(struct kafka_lookup *l)
{
    bool stop;

    pthread_mutex_lock(&l->lock);
    stop = l->stop;
    pthread_mutex_unlock(&l->lock);
    return stop;
}

/* Waits up to `ms`, 0 = without limit, for a fresh question or the end. */
static void nap(struct kafka_lookup *l, int ms)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (until.tv_nsec + ms * 1000000L) / 1000000000;
    until.tv_nsec = (until.tv_nsec + ms * 1000000L) % 1000000000;
    pthread_mutex_lock(&l->lock);
    while (!l->stop && !l->fresh.first)
        if (!ms)
            pthread_cond_wait(&l->more, &l->lock);
        else if (pthread_cond_timedwait(&l->more, &l->lock, &until))
            break;
    pthread_mutex_unlock(&l->lock);
}

static void give(struct kafka_lookup *l, struct question *q)
{
    pthread_mutex_lock(&l->lock);
    list_append(&l->known, &q->node);
    pthread_mutex_unlock(&l->lock);
    kafka_wake_post(&l->wake);
}

int kafka_committed(rd_kafka_t *rk, rd_kafka_topic_partition_list_t *list, int timeout_ms, const struct log *log)
{
    rd_kafka_resp_err_t e = rd_kafka_committed(rk, list, timeout_ms);
    int known = list->cnt;

    if (RULE(request_error) && e) {
        log_info(log, "kafka.committed.failed", LOG_TEXT("code", rd_kafka_err2name(e)), LOG_INT("partitions", list->cnt));
        return -1;
    }
    for (int i = 0; i < list->cnt; i++)
        if (RULE(partition_error) && list->elems[i].err) {
            known--;
            log_info(log, "kafka.committed.failed", LOG_TEXT("code", rd_kafka_err2name(list->elems[i].err)),
                     LOG_TEXT("topic", list->elems[i].topic), LOG_INT("partition", list->elems[i].partition));
        }
    return known;
}

/* False: no memory for the metadata, so it stays unknown. */
static bool take_answer(struct question *q, const rd_kafka_topic_partition_t *p)
{
    /* An error first: the offset beside it means nothing. */
    if (RULE(partition_error) && p->err)
        return false;
    if (p->metadata_size) {
        q->metadata = malloc(p->metadata_size);
        if (!q->metadata)
            return false;
        memcpy(q->metadata, p->metadata, p->metadata_size);
        q->len = p->metadata_size;
    }
    q->committed = p->offset >= 0 ? p->offset : KAFKA_OFFSET_NONE;
    return true;
}

/* Asks all of `questions` at once; those that are answered leave the list. */
static void ask_at_once(struct kafka_lookup *l, struct list *questions, int timeout_ms)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)questions->count);

    /* The same partition may be asked for twice, by two assignments. */
    for (struct list_node *n = questions->first; n; n = n->next) {
        struct question *q = list_entry(n, struct question, node);

        if (!rd_kafka_topic_partition_list_find(list, q->topic, q->partition))
            rd_kafka_topic_partition_list_add(list, q->topic, q->partition);
    }
    if (kafka_committed(l->rk, list, timeout_ms, l->log) > 0)
        for (struct list_node *n = questions->first, *next; n; n = next) {
            struct question *q = list_entry(n, struct question, node);
            const rd_kafka_topic_partition_t *p = rd_kafka_topic_partition_list_find(list, q->topic, q->partition);

            next = n->next;
            if (p && take_answer(q, p)) {
                list_remove(n);
                give(l, q);
            }
        }
    rd_kafka_topic_partition_list_destroy(list);
}

static bool ping(struct kafka_lookup *l)
{
    const struct rd_kafka_metadata *metadata;

    if (rd_kafka_metadata(l->rk, 0, NULL, &metadata, ONE_MS))
        return false;
    rd_kafka_metadata_destroy(metadata);
    return true;
}

/* The oldest slow question, alone; back to the end of the list when it stays unanswered. */
static void ask_one(struct kafka_lookup *l)
{
    struct list one = {NULL, NULL, 0};
    struct question *q = list_entry(list_take_first(&l->slow), struct question, node);

    if (!q->topic && ping(l)) {
        give(l, q);
        return;
    }
    if (!q->topic) {
        list_append(&l->slow, &q->node);
        nap(l, PAUSE_MS);
        return;
    }
    list_append(&one, &q->node);
    ask_at_once(l, &one, ONE_MS);
    if (one.first) {
        list_append(&l->slow, list_take_first(&one));
        nap(l, PAUSE_MS);
    }
}

static void *lookup_main(void *context)
{
    struct kafka_lookup *l = context;

    while (!stopping(l)) {
        struct list batch = {NULL, NULL, 0};
        struct list_node *n;

        if (!l->slow.first)
            nap(l, 0);
        pthread_mutex_lock(&l->lock);
        while ((n = list_take_first(&l->fresh)) != NULL)
            list_append(list_entry(n, struct question, node)->topic ? &batch : &l->slow, n);
        pthread_mutex_unlock(&l->lock);
        if (batch.first)
            ask_at_once(l, &batch, ALL_MS);
        else if (l->slow.first)
            ask_one(l);
        while ((n = list_take_first(&batch)) != NULL)
            list_append(&l->slow, n);
    }
    return NULL;
}

/* ---- On the loop */

static void on_wake(void *context)
{
    struct kafka_lookup *l = context;

    for (;;) {
        struct list_node *n;
        struct question *q;

        pthread_mutex_lock(&l->lock);
        n = list_take_first(&l->known);
        pthread_mutex_unlock(&l->lock);
        if (!n)
            return;
        q = list_entry(n, struct question, node);
        l->answered(l->context, &(struct kafka_answer){q->number, q->topic, q->partition, q->committed, {q->metadata, q->len}});
        question_free(q);
    }
}

struct kafka_lookup *kafka_lookup_new(struct event_base *base, rd_kafka_t *rk, const struct log *log,
                                      void (*answered)(void *context, const struct kafka_answer *a), void *context)
{
    struct kafka_lookup *l = calloc(1, sizeof *l);
    pthread_condattr_t attributes;

    if (!l)
        return NULL;
    *l = (struct kafka_lookup){.rk = rk, .log = log, .answered = answered, .context = context};
    if (!kafka_wake_open(&l->wake, base, on_wake, l)) {
        free(l);
        return NULL;
    }
    pthread_mutex_init(&l->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&l->more, &attributes);
    pthread_condattr_destroy(&attributes);
    if (pthread_create(&l->thread, NULL, lookup_main, l) == 0)
        return l;
    pthread_cond_destroy(&l->more);
    pthread_mutex_destroy(&l->lock);
    kafka_wake_close(&l->wake);
    free(l);
    return NULL;
}

static bool ask(struct kafka_lookup *l, const char *topic, int32_t partition, uint64_t number)
{
    struct question *q = calloc(1, sizeof *q);

    if (!q)
        return false;
    q->number = number;
    q->partition = partition;
    if (topic && !(q->topic = strdup(topic))) {
        free(q);
        return false;
    }
    pthread_mutex_lock(&l->lock);
    list_append(&l->fresh, &q->node);
    pthread_cond_signal(&l->more);
    pthread_mutex_unlock(&l->lock);
    return true;
}

bool kafka_lookup_ask(struct kafka_lookup *l, const char *topic, int32_t partition, uint64_t number)
{
    return ask(l, topic, partition, number);
}

bool kafka_lookup_ping(struct kafka_lookup *l) { return ask(l, NULL, 0, 0); }

void kafka_lookup_free(struct kafka_lookup *l)
{
    if (!l)
        return;
    pthread_mutex_lock(&l->lock);
    l->stop = true;
    pthread_cond_signal(&l->more);
    pthread_mutex_unlock(&l->lock);
    pthread_join(l->thread, NULL);
    drop_all(&l->fresh);
    drop_all(&l->slow);
    drop_all(&l->known);
    pthread_cond_destroy(&l->more);
    pthread_mutex_destroy(&l->lock);
    kafka_wake_close(&l->wake);
    free(l);
}
