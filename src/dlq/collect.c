/* The collector as the loop sees it: starting, waiting, hearing what was folded. */
#include <stdlib.h>

#include "collect_parts.h"
#include "stepmill/clock.h"

/* ---- Waiting for actions */

static void end_wait(struct wait *w, bool folded)
{
    list_remove(&w->node);
    w->done(w->ctx, w->ticket, folded);
    free(w);
}

static void set_timer(struct collect *c)
{
    int64_t now = loop_now_ms(c->options.loop), first = INT64_MAX;

    for (struct list_node *n = c->waits.first; n; n = n->next) {
        const struct wait *w = list_entry(n, struct wait, node);

        first = w->until_ms < first ? w->until_ms : first;
    }
    if (first == INT64_MAX)
        loop_timer_cancel(&c->timer);
    else
        loop_timer_set(&c->timer, first > now ? first - now : 0);
}

static void on_timer(void *ctx)
{
    struct collect *c = ctx;
    int64_t now = loop_now_ms(c->options.loop);

    for (bool again = true; again;) { /* a callback may change the list */
        again = false;
        for (struct list_node *n = c->waits.first; n; n = n->next) {
            struct wait *w = list_entry(n, struct wait, node);

            if (w->until_ms <= now) {
                end_wait(w, false);
                again = true;
                break;
            }
        }
    }
    set_timer(c);
}

uint64_t collect_wait(struct collect *c, struct slice action_id, int64_t timeout_ms,
                      void (*done)(void *ctx, uint64_t ticket, bool folded), void *ctx)
{
    struct wait *w = calloc(1, sizeof *w);
    struct check *k = calloc(1, sizeof *k);

    if (!w || !k || action_id.len > ACTION_ID_MAX)
        bug("collect_wait: no memory, or an action id of %zu bytes", action_id.len);
    w->ticket = ++c->tickets;
    memcpy(w->id, action_id.at, action_id.len);
    w->id_length = action_id.len;
    w->until_ms = loop_now_ms(c->options.loop) + timeout_ms;
    w->done = done;
    w->ctx = ctx;
    list_append(&c->waits, &w->node);
    k->ticket = w->ticket;
    memcpy(k->id, action_id.at, action_id.len);
    k->id_length = action_id.len;
    pthread_mutex_lock(&c->lock);
    k->next = c->to_check;
    c->to_check = k;
    pthread_mutex_unlock(&c->lock);
    set_timer(c);
    return w->ticket;
}

static struct wait *wait_of(struct collect *c, uint64_t ticket)
{
    for (struct list_node *n = c->waits.first; n; n = n->next) {
        struct wait *w = list_entry(n, struct wait, node);

        if (w->ticket == ticket)
            return w;
    }
    return NULL;
}

void collect_forget(struct collect *c, uint64_t ticket)
{
    struct wait *w = wait_of(c, ticket);

    if (!w)
        return;
    list_remove(&w->node);
    free(w);
    set_timer(c);
}

static struct wait *wait_for(struct collect *c, struct slice id)
{
    for (struct list_node *n = c->waits.first; n; n = n->next) {
        struct wait *w = list_entry(n, struct wait, node);

        if (slice_equal((struct slice){w->id, w->id_length}, id))
            return w;
    }
    return NULL;
}

/* ---- What the thread tells */

static void end_checks(struct collect *c, struct check *checked)
{
    while (checked) {
        struct check *next = checked->next;
        struct wait *w = checked->found ? wait_of(c, checked->ticket) : NULL;

        if (w)
            end_wait(w, true);
        free(checked);
        checked = next;
    }
}

static void tell_news(struct collect *c, struct news *n)
{
    struct wait *w;

    if (!n->nactions && !n->letters && !n->more_actions)
        return;
    c->options.events.folded(c->options.ctx, &(struct collect_news){.actions = n->actions,
                                                                    .nactions = n->nactions,
                                                                    .more_actions = n->more_actions,
                                                                    .letters = n->letters,
                                                                    .newest_letter = n->newest});
    for (size_t i = 0; i < n->nactions && c->waits.first; i++)
        while ((w = wait_for(c, n->actions[i].id)))
            end_wait(w, true);
    set_timer(c);
}

static void on_notice(void *ctx)
{
    struct collect *c = ctx;
    struct news news;
    struct check *checked;
    struct error why;
    char detail[sizeof c->trouble_detail];
    bool reached, made, trouble;

    pthread_mutex_lock(&c->lock);
    news = c->news;
    c->news = (struct news){0};
    checked = c->checked;
    c->checked = NULL;
    reached = c->reached && c->reach_done == c->reach_wanted;
    made = c->made && !c->made_told;
    c->made_told = c->made_told || made;
    trouble = failed(c->trouble) && !c->trouble_told;
    c->trouble_told = c->trouble_told || trouble;
    why = c->trouble;
    memcpy(detail, c->trouble_detail, sizeof detail);
    pthread_mutex_unlock(&c->lock);
    if (made)
        c->options.events.made(c->options.ctx);
    tell_news(c, &news);
    end_checks(c, checked);
    free(news.actions);
    arena_free(news.arena);
    if (reached) {
        void (*callback)(void *) = c->reached;

        c->reached = NULL;
        callback(c->reached_ctx);
    }
    if (trouble)
        c->options.events.trouble(c->options.ctx, why, detail);
}

void collect_reach(struct collect *c, void (*reached)(void *ctx), void *ctx)
{
    c->reached = reached;
    c->reached_ctx = ctx;
    pthread_mutex_lock(&c->lock);
    c->reach_wanted++;
    pthread_mutex_unlock(&c->lock);
}

struct collect_status collect_status(const struct collect *collect)
{
    struct collect *c = (struct collect *)(uintptr_t)collect; /* the lock is taken, nothing else is changed */
    struct collect_status status;

    pthread_mutex_lock(&c->lock);
    status = c->status;
    pthread_mutex_unlock(&c->lock);
    return status;
}

/* ---- Beginning and end */

static bool take_topics(struct collect *c)
{
    const struct config *config = c->options.config;

    c->topics = calloc(config->dlq.ntopics + 2, sizeof *c->topics);
    if (!c->topics)
        return false;
    c->topics[c->ntopics++] = config->topics.dlq;
    c->topics[c->ntopics++] = config->topics.dlq_actions;
    for (size_t i = 0; i < config->dlq.ntopics; i++)
        if (strcmp(config->dlq.topics[i], c->topics[0]) != 0 && strcmp(config->dlq.topics[i], c->topics[1]) != 0)
            c->topics[c->ntopics++] = config->dlq.topics[i];
    return true;
}

struct error collect_start(const struct collect_options *options, struct collect **out)
{
    struct collect *c = calloc(1, sizeof *c);

    *out = NULL;
    if (!c)
        return error_make(CLASS_INTERNAL, "out_of_memory", "no memory left for the collector");
    c->options = *options;
    c->status.lag = -1;
    pthread_mutex_init(&c->lock, NULL);
    loop_timer_init(&c->timer, options->loop, on_timer, c);
    c->notifier = loop_notifier_new(options->loop, on_notice, c);
    if (c->notifier && take_topics(c))
        c->started = pthread_create(&c->thread, NULL, collect_thread, c) == 0;
    if (!c->started) {
        collect_free(c);
        return error_make(CLASS_INTERNAL, "no_thread", "the collector's thread cannot be started: out of memory or threads");
    }
    *out = c;
    return error_none();
}

void collect_free(struct collect *c)
{
    if (!c)
        return;
    atomic_store(&c->stop, true);
    if (c->started)
        pthread_join(c->thread, NULL);
    loop_timer_cancel(&c->timer);
    loop_notifier_free(c->notifier);
    while (c->waits.first) {
        struct wait *w = list_entry(c->waits.first, struct wait, node);

        list_remove(&w->node);
        free(w);
    }
    for (struct check *k; (k = c->checked);) {
        c->checked = k->next;
        free(k);
    }
    for (struct check *k; (k = c->to_check);) {
        c->to_check = k->next;
        free(k);
    }
    free(c->news.actions);
    arena_free(c->news.arena);
    pthread_mutex_destroy(&c->lock);
    free(c->topics);
    free(c);
}
