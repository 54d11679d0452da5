/* The thread that reads agent.events for the task view. */
#include "tasks_collect.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "plans.h"
#include "stepmill/clock.h"
#include "stepmill/event_codec.h"
#include "stepmill/kafka_follow.h"

enum {
    BATCH_RECORDS = 5000,
    BATCH_BYTES = 16 * 1024 * 1024,
    BATCH_MS = 500,
    POLL_MS = 50,
    LINGER_MS = 20,
    TRIM_MS = 30 * 1000,
    TRIM_PIECE = 1000,
    TELL_MS = 300,
    AGAIN_MS = 1000,
    EVENT_MEMORY = 64 * 1024 * 1024,
};

struct tasks_collect {
    struct tasks_collect_options options;
    struct loop_notifier *notifier;
    pthread_t thread;
    bool started;
    atomic_bool stop;
    pthread_mutex_t lock;
    struct tasks_collect_status status;
};

struct reading {
    struct tasks_collect *c;
    struct tasks *tasks;
    struct kafka_follow *follow;
    struct plans *plans;
    bool open;
    size_t records, bytes;
    int64_t began_ms, trim_ms, told_ms;
    bool untold;
    bool remade; /* the topic is another one than the index was folded from */
    uint64_t events, unreadable;
};

static int64_t start_of(void *ctx, const char *topic, int32_t partition)
{
    return tasks_place(((struct reading *)ctx)->tasks, topic, partition);
}

static bool same_topic(void *ctx, const char *topic, const char *id)
{
    struct reading *r = ctx;

    r->remade = !tasks_is_of_topic(r->tasks, topic, id);
    return !r->remade;
}

static struct error fold(struct reading *r, const struct kafka_record *record)
{
    struct arena *arena = arena_new(EVENT_MEMORY);
    const struct avro_plan *plan;
    struct slice avro;
    uint32_t schema_id;
    struct event event;
    struct detail detail;
    struct error error = error_make(CLASS_INTERNAL, "out_of_memory", "no memory left for an event");

    if (!r->open) {
        tasks_begin(r->tasks);
        r->open = true;
        r->began_ms = clock_mono_ms();
        r->records = r->bytes = 0;
    }
    r->records++;
    r->bytes += record->value.len;
    if (arena)
        error = plans_for(r->plans, record->value, &event_reader, PLANS_WAIT, &r->c->stop, &plan, &avro, &schema_id);
    if (!failed(error))
        error = event_read(plan, avro, arena, &event, &detail);
    if (!failed(error)) {
        tasks_fold(r->tasks, &event, record);
        r->events++;
    } else if (error.class == CLASS_POISON || (error.code && strcmp(error.code, "newer_version") == 0)) {
        r->unreadable++; /* the view lacks it; the audit tools tell more */
        error = error_none();
    }
    arena_free(arena);
    return error;
}

static void put_status(struct reading *r)
{
    struct tasks_collect *c = r->c;
    size_t n = kafka_follow_count(r->follow);
    int64_t lag = 0;

    for (size_t i = 0; i < n; i++) {
        struct kafka_follow_part p = kafka_follow_part(r->follow, i);

        if (p.end >= 0 && !p.at_end)
            lag += p.end - (p.next >= 0 ? p.next : 0);
    }
    pthread_mutex_lock(&c->lock);
    c->status = (struct tasks_collect_status){.events = r->events,
                                              .unreadable = r->unreadable,
                                              .lag = n ? lag : -1,
                                              .caught_up = kafka_follow_caught_up(r->follow),
                                              .trouble = kafka_follow_trouble(r->follow)};
    pthread_mutex_unlock(&c->lock);
}

static struct error commit(struct reading *r)
{
    struct error error;

    for (size_t i = 0; i < kafka_follow_count(r->follow); i++) {
        struct kafka_follow_part p = kafka_follow_part(r->follow, i);

        if (p.next >= 0 && p.next != tasks_place(r->tasks, p.topic, p.partition))
            tasks_set_place(r->tasks, p.topic, p.partition, p.next);
    }
    error = tasks_commit(r->tasks);
    r->open = false;
    r->untold = true;
    put_status(r);
    return error;
}

static struct error between_batches(struct reading *r)
{
    int64_t now = clock_mono_ms();
    struct error error = error_none();
    bool more = true;

    if (r->untold && now - r->told_ms >= TELL_MS) {
        r->untold = false;
        r->told_ms = now;
        loop_notifier_post(r->c->notifier);
    }
    if (now < r->trim_ms)
        return error;
    r->trim_ms = now + TRIM_MS;
    put_status(r);
    while (more && !failed(error) && !atomic_load(&r->c->stop))
        error = tasks_trim(r->tasks, clock_wall_ms(), TRIM_PIECE, &more);
    return error;
}

static struct error read_on(struct reading *r)
{
    struct error error = error_none();

    while (!failed(error) && !r->remade && !atomic_load(&r->c->stop)) {
        const struct kafka_record *record;
        enum kafka_read read = kafka_follow_next(r->follow, r->open ? LINGER_MS : POLL_MS, &record);

        if (read == KAFKA_READ_RECORD)
            error = fold(r, record);
        if (!failed(error) && r->open &&
            (read == KAFKA_READ_NOTHING || r->records >= BATCH_RECORDS || r->bytes >= BATCH_BYTES ||
             clock_mono_ms() - r->began_ms >= BATCH_MS))
            error = commit(r);
        if (!failed(error) && !r->open)
            error = between_batches(r);
    }
    if (r->open && !failed(error))
        error = commit(r);
    else if (r->open)
        tasks_abort(r->tasks);
    r->open = false;
    return error;
}

static struct error open_all(struct reading *r, char *detail, size_t room)
{
    struct tasks_collect *c = r->c;
    const struct config *config = c->options.config;
    struct error error = r->tasks ? error_none() : tasks_open_writer(&c->options.tasks, &r->tasks, detail, room);

    if (!failed(error) && !r->plans)
        error = plans_open(config, c->options.log, &r->plans);
    if (!failed(error))
        error = kafka_follow_open(&r->follow,
                                  &(struct kafka_follow_options){.kafka = {.at = config->kafka.options,
                                                                           .count = config->kafka.noptions,
                                                                           .client_id = "stepmill-dlq-tasks",
                                                                           .log = c->options.log},
                                                                 .topics = &config->topics.events,
                                                                 .ntopics = 1,
                                                                 .start = start_of,
                                                                 .same = same_topic,
                                                                 .ctx = r},
                                  detail, room);
    return error;
}

static struct error begin_anew(struct reading *r)
{
    log_warn(r->c->options.log, "dlq.tasks_remade", LOG_TEXT("topic", r->c->options.config->topics.events),
             LOG_TEXT("reason", "the topic was deleted and made again, or the cluster is another one"),
             LOG_TEXT("action", "the task view is made again from the topic as it is now"));
    r->remade = false;
    return tasks_empty(r->tasks);
}

/* The view is a convenience: what goes wrong here is said and tried again, and never ends the process. */
static void *thread(void *collect)
{
    struct tasks_collect *c = collect;
    struct reading r = {.c = c};

    while (!atomic_load(&c->stop)) {
        char detail[512] = "";
        struct error error = open_all(&r, detail, sizeof detail);

        r.trim_ms = clock_mono_ms() + TRIM_MS;
        if (!failed(error))
            error = read_on(&r);
        if (!failed(error) && r.remade)
            error = begin_anew(&r);
        kafka_follow_close(r.follow);
        r.follow = NULL;
        tasks_close(r.tasks); /* what went wrong with it may be gone with it */
        r.tasks = NULL;
        if (atomic_load(&c->stop))
            break;
        if (!failed(error))
            continue;
        log_warn(c->options.log, "dlq.tasks", LOG_ERROR(error), LOG_TEXT("detail", detail),
                 LOG_TEXT("action", "the task view stands still; tried again"));
        for (int i = 0; i < AGAIN_MS / 50 && !atomic_load(&c->stop); i++)
            nanosleep(&(struct timespec){.tv_nsec = 50 * 1000 * 1000}, NULL);
    }
    plans_close(r.plans);
    return NULL;
}

static void on_notice(void *ctx)
{
    struct tasks_collect *c = ctx;

    c->options.folded(c->options.ctx);
}

struct error tasks_collect_start(const struct tasks_collect_options *options, struct tasks_collect **out)
{
    struct tasks_collect *c = calloc(1, sizeof *c);

    *out = NULL;
    if (!c)
        return error_make(CLASS_INTERNAL, "out_of_memory", "no memory left for the task view");
    c->options = *options;
    c->status.lag = -1;
    pthread_mutex_init(&c->lock, NULL);
    c->notifier = loop_notifier_new(options->loop, on_notice, c);
    if (c->notifier)
        c->started = pthread_create(&c->thread, NULL, thread, c) == 0;
    if (!c->started) {
        tasks_collect_free(c);
        return error_make(CLASS_INTERNAL, "no_thread", "the task view's thread cannot be started: out of memory or threads");
    }
    *out = c;
    return error_none();
}

void tasks_collect_free(struct tasks_collect *c)
{
    if (!c)
        return;
    atomic_store(&c->stop, true);
    if (c->started)
        pthread_join(c->thread, NULL);
    loop_notifier_free(c->notifier);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

struct tasks_collect_status tasks_collect_status(const struct tasks_collect *collect)
{
    struct tasks_collect *c = (struct tasks_collect *)(uintptr_t)collect; /* the lock is taken, nothing else is changed */
    struct tasks_collect_status status;

    pthread_mutex_lock(&c->lock);
    status = c->status;
    pthread_mutex_unlock(&c->lock);
    return status;
}
