/* The collector's thread: reads, folds, commits, and says what came. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "collect_reading.h"
#include "effect.h"
#include "stepmill/clock.h"

enum {
    BATCH_RECORDS = 5000,
    BATCH_BYTES = 16 * 1024 * 1024,
    BATCH_MS = 300,
    BEHIND_MS = 2000, /* while it is behind: large batches cost less per letter */
    POLL_MS = 20,
    LINGER_MS = 2, /* how long a batch waits for one more record */
    LINGER_BEHIND_MS = 50,
    FORGET_FIRST_MS = 10 * 1000,
    AGAIN_MS = 1000,
};

static int64_t start_of(void *ctx, const char *topic, int32_t partition)
{
    return store_place(((struct reading *)ctx)->store, topic, partition);
}

static bool same_topic(void *ctx, const char *topic, const char *id)
{
    struct reading *r = ctx;

    if (store_is_of_topic(r->store, topic, id))
        return true;
    r->remade = topic;
    return false;
}

static void pause_ms(struct collect *c, int64_t ms)
{
    for (; ms > 0 && !atomic_load(&c->stop); ms -= 50)
        nanosleep(&(struct timespec){.tv_nsec = 50 * 1000 * 1000}, NULL);
}

/* ---- Folding */

static bool is_action(const struct reading *r, const struct kafka_record *record)
{
    return strcmp(record->topic, r->actions_topic) == 0;
}

static void fold_letter(struct reading *r, const struct kafka_record *record)
{
    bool ours = letter_header(record->headers, record->nheaders, "stepmill.id").at;

    store_fold_letter(r->store, record);
    r->letters++;
    r->foreign += !ours;
    r->news.letters++;
    if (!r->news.arena)
        r->news.arena = arena_new(NEWS_MEMORY);
    if (ours && r->news.arena && !arena_failed(r->news.arena) && r->news.letters % 1000 == 1)
        r->news.newest = arena_copy(r->news.arena, letter_header(record->headers, record->nheaders, "stepmill.id"));
}

static struct error fold(struct reading *r, const struct kafka_record *record)
{
    struct error error = error_none();

    if (!r->open) {
        store_begin(r->store);
        r->open = true;
        r->behind = !r->waiting && !kafka_follow_caught_up(r->follow);
        r->began_ms = clock_mono_ms();
        r->records = r->bytes = 0;
    }
    r->records++;
    r->bytes += record->key.len + record->value.len;
    if (is_action(r, record))
        error = reading_action(r, record);
    else
        fold_letter(r, record);
    return failed(error) ? error : database_error(store_database(r->store));
}

static void set_places(struct reading *r)
{
    for (size_t i = 0; i < kafka_follow_count(r->follow); i++) {
        struct kafka_follow_part p = kafka_follow_part(r->follow, i);

        if (p.next >= 0 && p.next != store_place(r->store, p.topic, p.partition))
            store_set_place(r->store, p.topic, p.partition, p.next);
    }
}

static struct error commit(struct reading *r)
{
    struct collect *c = r->c;
    struct error error;

    set_places(r);
    error = store_commit(r->store);
    r->open = false;
    if (failed(error))
        return error;
    pthread_mutex_lock(&c->lock);
    news_join(&c->news, &r->news);
    reading_status(r);
    c->status.batches++;
    c->status.folded_ms = clock_mono_ms();
    pthread_mutex_unlock(&c->lock);
    news_drop(&r->news);
    loop_notifier_post(c->notifier);
    return error_none();
}

static bool batch_is_full(const struct reading *r)
{
    int64_t most = r->behind ? BEHIND_MS : BATCH_MS;

    return r->records >= BATCH_RECORDS || r->bytes >= BATCH_BYTES || clock_mono_ms() - r->began_ms >= most;
}

static int patience_ms(const struct reading *r) { return !r->open ? POLL_MS : r->behind ? LINGER_BEHIND_MS : LINGER_MS; }

/* Until the end, or what cannot be gone on with. */
static struct error read_on(struct reading *r)
{
    struct error error = error_none();

    while (!failed(error) && !r->remade && !atomic_load(&r->c->stop)) {
        const struct kafka_record *record;
        enum kafka_read read = kafka_follow_next(r->follow, patience_ms(r), &record);

        if (read == KAFKA_READ_RECORD)
            error = fold(r, record);
        if (!failed(error) && r->open && (read == KAFKA_READ_NOTHING || batch_is_full(r)))
            error = commit(r);
        if (!failed(error) && !r->open)
            error = reading_between(r);
    }
    if (r->open && !failed(error))
        error = commit(r);
    else if (r->open)
        store_abort(r->store);
    r->open = false;
    return error;
}

/* ---- Opening and closing */

static struct error open_index(struct reading *r, char *detail, size_t room)
{
    struct collect *c = r->c;
    bool made;
    struct error error = store_open_writer(&c->options.store, &r->store, &made, detail, room);

    if (!failed(error) && store_has_other_topics(r->store, c->topics, c->ntopics)) {
        log_warn(c->options.log, "dlq.index_remade", LOG_TEXT("reason", "it was made from topics that are configured no more"));
        error = store_open_anew(&c->options.store, &r->store, detail, room);
        made = true;
    }
    if (failed(error))
        return error;
    log_info(c->options.log, "dlq.index", LOG_TEXT("folder", c->options.store.folder), LOG_BOOL("made", made));
    pthread_mutex_lock(&c->lock);
    c->made = true;
    pthread_mutex_unlock(&c->lock);
    loop_notifier_post(c->notifier);
    return error_none();
}

static struct error open_all(struct reading *r, char *detail, size_t room)
{
    struct collect *c = r->c;
    const struct config *config = c->options.config;
    struct error error = r->store ? error_none() : open_index(r, detail, room);

    if (!failed(error) && !r->plans)
        error = plans_open(config, c->options.log, &r->plans);
    if (!failed(error))
        error = kafka_follow_open(&r->follow,
                                  &(struct kafka_follow_options){.kafka = {.at = config->kafka.options,
                                                                           .count = config->kafka.noptions,
                                                                           .client_id = "stepmill-dlq",
                                                                           .log = c->options.log},
                                                                 .topics = c->topics,
                                                                 .ntopics = c->ntopics,
                                                                 .start = start_of,
                                                                 .same = same_topic,
                                                                 .ctx = r},
                                  detail, room);
    return error;
}

/* Letters of a topic that is no more are nobody's. But half an index has letters redriven twice, so whoever decides by it already
 * must begin anew with it: then nothing is touched here, and the next start comes this way again. */
static struct error begin_anew(struct reading *r, char *detail, size_t room)
{
    struct collect *c = r->c;
    bool decides;

    pthread_mutex_lock(&c->lock);
    decides = c->reach_done > 0;
    pthread_mutex_unlock(&c->lock);
    log_warn(c->options.log, "dlq.index_remade", LOG_TEXT("topic", r->remade),
             LOG_TEXT("reason", "the topic was deleted and made again, or the cluster is another one"),
             LOG_TEXT("action", decides ? "the process ends; its next start makes the index again from the topics"
                                        : "the index is made again from the topics as they are now"));
    if (decides)
        snprintf(detail, room, "%s", r->remade);
    r->remade = NULL;
    return decides ? error_make(CLASS_CONFIG, "topic_remade", "a topic was made again while it was read: start the process again")
                   : store_empty(r->store);
}

static bool may_heal(struct error e) { return e.class == CLASS_WAIT || e.class == CLASS_AGAIN; }

static void tell_trouble(struct collect *c, struct error why, const char *detail)
{
    log_error(c->options.log, "dlq.collect", LOG_ERROR(why), LOG_TEXT("detail", detail),
              LOG_TEXT("action", may_heal(why) ? "tried again every second" : "the process ends"));
    pthread_mutex_lock(&c->lock);
    c->trouble = why;
    c->trouble_told = false;
    snprintf(c->trouble_detail, sizeof c->trouble_detail, "%s", detail);
    pthread_mutex_unlock(&c->lock);
    loop_notifier_post(c->notifier);
}

void *collect_thread(void *collect)
{
    struct collect *c = collect;
    struct reading r = {.c = c, .actions_topic = c->options.config->topics.dlq_actions};
    bool go_on = true;

    while (go_on && !atomic_load(&c->stop)) {
        char detail[512] = "";
        struct error error = open_all(&r, detail, sizeof detail);

        r.forget_ms = clock_mono_ms() + FORGET_FIRST_MS;
        r.asked = 0;
        r.waiting = r.held = r.forgetting = false;
        r.noldest = 0;
        if (!failed(error))
            error = read_on(&r);
        kafka_follow_close(r.follow);
        r.follow = NULL;
        news_drop(&r.news);
        if (!failed(error) && r.remade)
            error = begin_anew(&r, detail, sizeof detail);
        if (atomic_load(&c->stop))
            break;
        if (!failed(error))
            continue;
        if (r.store && !detail[0])
            snprintf(detail, sizeof detail, "%s/letters.db: %s", c->options.store.folder,
                     database_detail(store_database(r.store)));
        tell_trouble(c, error, detail);
        go_on = may_heal(error);
        if (r.store)
            database_error_clear(store_database(r.store));
        pause_ms(c, AGAIN_MS); /* then from the places of the last commit */
    }
    plans_close(r.plans);
    store_close(r.store);
    free(r.targets);
    free(r.oldest);
    return NULL;
}
