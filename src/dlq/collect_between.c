/* What the collector does between two batches: how far the actions go, who waits for one, what retention took. */
#include <stdlib.h>

#include "collect_reading.h"
#include "stepmill/clock.h"

enum {
    ASK_TIMEOUT_MS = 3000,
    ASK_AGAIN_MS = 300,
    STATUS_MS = 500,
    FORGET_MS = 10 * 60 * 1000,
    FORGET_PIECE = 500,
    PARTITIONS_MAX = 10000,
};

void reading_status(struct reading *r)
{
    struct collect_status *s = &r->c->status;
    int64_t lag = 0;

    for (size_t i = 0; i < kafka_follow_count(r->follow); i++) {
        struct kafka_follow_part p = kafka_follow_part(r->follow, i);

        if (p.end >= 0 && !p.at_end)
            lag += p.end - (p.next >= 0 ? p.next : 0);
    }
    s->lag = kafka_follow_count(r->follow) ? lag : -1;
    s->caught_up = kafka_follow_caught_up(r->follow);
    s->was_caught_up |= s->caught_up;
    s->trouble = kafka_follow_trouble(r->follow);
    s->connected = !s->trouble || strcmp(s->trouble, "topic_missing") == 0;
    s->waiting = r->waiting;
    s->letters = r->letters;
    s->actions = r->actions;
    s->foreign = r->foreign;
    s->unreadable = r->unreadable;
}

/* Asks how far the actions go now. */
static void ask_ends(struct reading *r, uint64_t wanted)
{
    size_t n;
    struct error error;

    if (clock_mono_ms() < r->ask_ms)
        return;
    r->ask_ms = clock_mono_ms() + ASK_AGAIN_MS;
    error = kafka_follow_partitions(r->follow, r->actions_topic, ASK_TIMEOUT_MS, &n);
    if (failed(error) || !n || n > PARTITIONS_MAX)
        return;
    free(r->targets);
    r->ntargets = 0;
    r->targets = calloc(n, sizeof *r->targets);
    if (!r->targets || failed(kafka_follow_written(r->follow, r->actions_topic, n, ASK_TIMEOUT_MS, r->targets)))
        return;
    r->ntargets = n;
    r->asked = wanted;
    r->ask_ms = 0;
}

static bool at_targets(struct reading *r)
{
    for (size_t i = 0; i < r->ntargets; i++) {
        bool there = false;

        for (size_t k = 0; k < kafka_follow_count(r->follow) && !there; k++) {
            struct kafka_follow_part p = kafka_follow_part(r->follow, k);

            there = (size_t)p.partition == i && strcmp(p.topic, r->actions_topic) == 0 && p.next >= r->targets[i];
        }
        if (!there && r->targets[i] > 0)
            return false;
    }
    return true;
}

static void look_at_reach(struct reading *r)
{
    struct collect *c = r->c;
    uint64_t wanted, done;

    pthread_mutex_lock(&c->lock);
    wanted = c->reach_wanted;
    done = c->reach_done;
    pthread_mutex_unlock(&c->lock);
    if (wanted == done || !kafka_follow_knows_topics(r->follow))
        return; /* places of other topics would be beyond any end */
    if (r->asked != wanted)
        ask_ends(r, wanted);
    if (r->asked != wanted || !at_targets(r))
        return;
    pthread_mutex_lock(&c->lock);
    c->reach_done = wanted;
    reading_status(r);
    pthread_mutex_unlock(&c->lock);
    loop_notifier_post(c->notifier);
}

static void look_at_checks(struct reading *r)
{
    struct collect *c = r->c;
    struct check *checks, *last = NULL;

    pthread_mutex_lock(&c->lock);
    checks = c->to_check;
    c->to_check = NULL;
    pthread_mutex_unlock(&c->lock);
    if (!checks)
        return;
    for (struct check *k = checks; k; last = k, k = k->next) {
        struct error error = store_has_action(r->store, (struct slice){k->id, k->id_length}, &k->found);

        k->found = k->found && !failed(error);
    }
    pthread_mutex_lock(&c->lock);
    last->next = c->checked;
    c->checked = checks;
    pthread_mutex_unlock(&c->lock);
    loop_notifier_post(c->notifier);
}

/* ---- What retention took from the topics; a piece at a time, so that records are folded meanwhile */

static void begin_forgetting(struct reading *r)
{
    size_t n = kafka_follow_count(r->follow);

    if (n != r->noldest) {
        free(r->oldest);
        r->oldest = calloc(n + 1, sizeof *r->oldest);
        r->noldest = r->oldest ? n : 0;
    }
    r->forgetting = true;
    r->forgot = false;
    r->forget_part = 0;
    r->forget_to = -1;
}

static void next_part(struct reading *r)
{
    r->forget_part++;
    r->forget_to = -1;
}

static struct error forget_piece(struct reading *r, struct kafka_follow_part p)
{
    bool more = false;
    struct error error;

    if (strcmp(p.topic, r->actions_topic) == 0)
        error = store_forget_actions(r->store, p.partition, r->forget_to, FORGET_PIECE, &r->cursor, &more);
    else
        error = store_forget_before(r->store, p.topic, p.partition, r->forget_to, FORGET_PIECE, &r->cursor, &more);
    r->forgot = true;
    if (!failed(error) && !more) {
        r->oldest[r->forget_part] = r->forget_to;
        next_part(r);
    }
    return error;
}

static struct error forget_old(struct reading *r)
{
    struct kafka_follow_part p;
    int64_t next;

    if (!r->forgetting)
        begin_forgetting(r);
    if (r->forget_part >= r->noldest) {
        r->forgetting = false;
        r->forget_ms = clock_mono_ms() + FORGET_MS;
        return r->forgot ? store_forget_rest(r->store) : error_none();
    }
    p = kafka_follow_part(r->follow, r->forget_part);
    if (r->forget_to >= 0)
        return forget_piece(r, p);
    r->cursor = 0;
    if (failed(kafka_follow_ends(r->follow, p.topic, p.partition, ASK_TIMEOUT_MS, &r->forget_to, &next)) ||
        r->forget_to <= r->oldest[r->forget_part])
        next_part(r);
    return error_none();
}

struct error reading_between(struct reading *r)
{
    reading_retry(r);
    look_at_reach(r);
    look_at_checks(r);
    if (clock_mono_ms() >= r->status_ms) {
        r->status_ms = clock_mono_ms() + STATUS_MS;
        pthread_mutex_lock(&r->c->lock);
        reading_status(r);
        pthread_mutex_unlock(&r->c->lock);
    }
    return clock_mono_ms() >= r->forget_ms && kafka_follow_caught_up(r->follow) ? forget_old(r) : error_none();
}
