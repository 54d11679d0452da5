/* Threads that answer questions, and how the answers come back to the loop. */
#include "ask.h"

#include <pthread.h>
#include <stdlib.h>

#include "stepmill/clock.h"
#include "stepmill/list.h"

enum { THREADS_DEFAULT = 2, THREADS_MAX = 16, WAITING_MAX = 1000, QUERY_MS = 10 * 1000 };
#define ANSWER_MAX ((size_t)64 * 1024 * 1024)
#define BODY_MAX   ((size_t)64 * 1024 * 1024)

struct question {
    struct list_node node;
    uint64_t ticket;
    ask_run *run;
    ask_done *done;
    void *ctx;
    struct answer answer;
    bool forgotten;
    _Alignas(max_align_t) char bytes[];
};

struct reader {
    struct asks *asks;
    pthread_t thread;
    bool started;
    enum ask_lane lane;
    struct ask_place place;
    struct database *running; /* with the lock held: what to interrupt */
};

struct asks {
    struct asks_options options;
    struct loop_notifier *notifier;
    struct reader readers[THREADS_MAX];
    size_t nreaders;
    uint64_t tickets; /* loop only */

    pthread_mutex_t lock; /* below */
    pthread_cond_t wake[ASK_LANES];
    struct list waiting[ASK_LANES], answered, running;
    bool ready, stop;
    struct asks_stats stats;
};

static void question_free(struct question *q)
{
    arena_free(q->answer.arena);
    buf_free(&q->answer.body);
    free(q);
}

/* ---- Reader threads */

static void open_index(struct reader *r)
{
    struct asks *a = r->asks;
    char detail[256] = "";
    struct error error;

    if (!r->place.store) {
        error = store_open_reader(&a->options.store, &r->place.store, detail, sizeof detail);
        if (failed(error))
            log_warn(a->options.log, "dlq.index_closed", LOG_ERROR(error), LOG_TEXT("detail", detail));
    }
    if (!r->place.tasks && a->options.tasks.folder) {
        error = tasks_open_reader(&a->options.tasks, &r->place.tasks, detail, sizeof detail);
        if (failed(error))
            log_debug(a->options.log, "dlq.tasks_closed", LOG_ERROR(error), LOG_TEXT("detail", detail));
    }
}

static void answer_question(struct reader *r, struct question *q, bool ready)
{
    struct answer *w = &q->answer;
    struct database *db;

    w->body = BUF(BODY_MAX);
    w->arena = arena_new(r->asks->options.answer_max ? r->asks->options.answer_max : ANSWER_MAX);
    if (!w->arena) {
        w->error = error_make(CLASS_INTERNAL, "out_of_memory", "no memory left for an answer");
        return;
    }
    if (ready)
        open_index(r);
    if (!r->place.store) {
        w->error = error_make(CLASS_WAIT, "index_not_ready", "the index of dead letters is not there yet");
        return;
    }
    db = store_database(r->place.store);
    database_error_clear(db);
    database_deadline(db, r->lane == ASK_INDEX ? clock_mono_ms() + QUERY_MS : 0);
    w->error = q->run(&r->place, q->bytes, w);
    database_deadline(db, 0);
}

static struct question *next_question(struct reader *r, bool *ready)
{
    struct asks *a = r->asks;
    struct list_node *n;

    pthread_mutex_lock(&a->lock);
    while (!a->stop && !a->waiting[r->lane].first)
        pthread_cond_wait(&a->wake[r->lane], &a->lock);
    n = a->stop ? NULL : list_take_first(&a->waiting[r->lane]);
    *ready = a->ready;
    if (n) {
        list_append(&a->running, n);
        a->stats.waiting--;
        a->stats.running++;
        r->running = r->place.store ? store_database(r->place.store) : NULL;
    }
    pthread_mutex_unlock(&a->lock);
    return n ? list_entry(n, struct question, node) : NULL;
}

static void *reader_thread(void *reader)
{
    struct reader *r = reader;
    struct asks *a = r->asks;
    struct question *q;
    bool ready;

    while ((q = next_question(r, &ready))) {
        int64_t began = clock_mono_us(), took;

        answer_question(r, q, ready);
        took = clock_mono_us() - began;
        pthread_mutex_lock(&a->lock);
        r->running = NULL;
        list_remove(&q->node);
        list_append(&a->answered, &q->node);
        a->stats.running--;
        a->stats.failed += failed(q->answer.error);
        a->stats.interrupted += q->answer.error.code && strcmp(q->answer.error.code, "database_interrupted") == 0;
        if (r->lane == ASK_INDEX && took > a->stats.longest_us)
            a->stats.longest_us = took;
        pthread_mutex_unlock(&a->lock);
        loop_notifier_post(a->notifier);
    }
    store_close(r->place.store);
    tasks_close(r->place.tasks);
    return NULL;
}

/* ---- The loop's side */

static void on_answers(void *ctx)
{
    struct asks *a = ctx;

    for (;;) {
        struct list_node *n;
        struct question *q;

        pthread_mutex_lock(&a->lock);
        n = list_take_first(&a->answered);
        pthread_mutex_unlock(&a->lock);
        if (!n)
            return;
        q = list_entry(n, struct question, node);
        if (!q->forgotten)
            q->done(q->ctx, q->ticket, q->bytes, &q->answer);
        question_free(q);
    }
}

static bool start_reader(struct asks *a, enum ask_lane lane)
{
    struct reader *r = &a->readers[a->nreaders];

    *r = (struct reader){.asks = a, .lane = lane, .place = {.shared = a->options.shared, .asks = a}};
    r->started = pthread_create(&r->thread, NULL, reader_thread, r) == 0;
    a->nreaders += r->started;
    return r->started;
}

struct error asks_start(const struct asks_options *options, struct asks **out)
{
    struct asks *a = calloc(1, sizeof *a);
    size_t threads = options->threads ? options->threads : THREADS_DEFAULT;
    bool started;

    *out = NULL;
    if (!a)
        return error_make(CLASS_INTERNAL, "out_of_memory", "no memory left for questions to the index");
    a->options = *options;
    if (!a->options.waiting_max)
        a->options.waiting_max = WAITING_MAX;
    pthread_mutex_init(&a->lock, NULL);
    for (int i = 0; i < ASK_LANES; i++)
        pthread_cond_init(&a->wake[i], NULL);
    a->notifier = loop_notifier_new(options->loop, on_answers, a);
    started = a->notifier && start_reader(a, ASK_SLOW);
    for (size_t i = 0; started && i < threads && i < THREADS_MAX - 1; i++)
        started = start_reader(a, ASK_INDEX);
    if (!started) {
        asks_free(a);
        return error_make(CLASS_INTERNAL, "no_thread", "the index's readers cannot be started: out of memory or threads");
    }
    *out = a;
    return error_none();
}

static void free_list(struct list *l)
{
    for (struct list_node *n; (n = list_take_first(l));)
        question_free(list_entry(n, struct question, node));
}

void asks_free(struct asks *a)
{
    if (!a)
        return;
    pthread_mutex_lock(&a->lock);
    a->stop = true;
    for (size_t i = 0; i < a->nreaders; i++)
        if (a->readers[i].running)
            database_interrupt(a->readers[i].running);
    for (int i = 0; i < ASK_LANES; i++)
        pthread_cond_broadcast(&a->wake[i]);
    pthread_mutex_unlock(&a->lock);
    for (size_t i = 0; i < a->nreaders; i++)
        pthread_join(a->readers[i].thread, NULL);
    for (int i = 0; i < ASK_LANES; i++) {
        free_list(&a->waiting[i]);
        pthread_cond_destroy(&a->wake[i]);
    }
    free_list(&a->answered);
    loop_notifier_free(a->notifier);
    pthread_mutex_destroy(&a->lock);
    free(a);
}

bool ask_stopped(const struct ask_place *place)
{
    struct asks *a = place->asks;
    bool stop;

    pthread_mutex_lock(&a->lock);
    stop = a->stop;
    pthread_mutex_unlock(&a->lock);
    return stop;
}

void asks_ready(struct asks *a)
{
    pthread_mutex_lock(&a->lock);
    a->ready = true;
    pthread_mutex_unlock(&a->lock);
}

uint64_t ask(struct asks *a, enum ask_lane lane, ask_run *run, ask_done *done, void *ctx, const void *question, size_t size)
{
    struct question *q = calloc(1, sizeof *q + size);
    bool full;

    if (!q)
        bug("ask: out of memory for a question of %zu bytes", size);
    q->ticket = ++a->tickets;
    q->run = run;
    q->done = done;
    q->ctx = ctx;
    if (size)
        memcpy(q->bytes, question, size);
    pthread_mutex_lock(&a->lock);
    full = a->stats.waiting >= a->options.waiting_max;
    a->stats.asked++;
    if (full) {
        q->answer.error = error_make(CLASS_AGAIN, "too_many_questions", "too many queries wait already");
        list_append(&a->answered, &q->node);
    } else {
        a->stats.waiting++;
        list_append(&a->waiting[lane], &q->node);
        pthread_cond_signal(&a->wake[lane]);
    }
    pthread_mutex_unlock(&a->lock);
    if (full)
        loop_notifier_post(a->notifier);
    return q->ticket;
}

static struct question *find(struct list *l, uint64_t ticket)
{
    for (struct list_node *n = l->first; n; n = n->next) {
        struct question *q = list_entry(n, struct question, node);

        if (q->ticket == ticket)
            return q;
    }
    return NULL;
}

void ask_forget(struct asks *a, uint64_t ticket)
{
    struct question *q;

    pthread_mutex_lock(&a->lock);
    for (int i = 0; i < ASK_LANES; i++)
        if ((q = find(&a->waiting[i], ticket))) {
            list_remove(&q->node);
            a->stats.waiting--;
            pthread_mutex_unlock(&a->lock);
            question_free(q);
            return;
        }
    q = find(&a->running, ticket);
    if (!q)
        q = find(&a->answered, ticket);
    if (q)
        q->forgotten = true;
    pthread_mutex_unlock(&a->lock);
}

struct asks_stats asks_stats(const struct asks *asks)
{
    struct asks *a = (struct asks *)(uintptr_t)asks; /* the lock is taken, nothing else is changed */
    struct asks_stats stats;

    pthread_mutex_lock(&a->lock);
    stats = a->stats;
    pthread_mutex_unlock(&a->lock);
    return stats;
}

void asks_restart_longest(struct asks *a)
{
    pthread_mutex_lock(&a->lock);
    a->stats.longest_us = 0;
    pthread_mutex_unlock(&a->lock);
}
