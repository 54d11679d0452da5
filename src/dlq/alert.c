/* Alerts: a new kind of dead letter, one that is back, a spike, all resolved; told to PagerDuty, Slack and a webhook.
 *
 * A look into the index gives what is to be told; it is sent, one call per receiver at a time, and remembered by an `alerted`
 * action once the receiver has taken it. The next look begins when all that is folded. So a crash may tell once more, never
 * less; PagerDuty drops the second by its dedup_key.
 */
#include "alert.h"

#include <stdlib.h>

#include "redrive_parts.h"
#include "stepmill/clock.h"
#include "store_parts.h"

enum {
    LOOK_MS = 15000,
    SOON_MS = 1000,
    GROUPS_MAX = 200,
    AT_ONCE_MAX = 50,
    SEND_MS = 10000,
    BACKOFF_MIN_MS = 15000,
    BACKOFF_MAX_MS = 300000,
    DAY_MS = 24 * 60 * 60 * 1000,
    PARTS_OF_A_DAY = DAY_MS / ALERT_SPIKE_MS,
};

struct receiver {
    struct http_endpoint *endpoint; /* NULL: not configured */
    int64_t not_before_ms, backoff_ms;
};

struct telling {
    enum alert_sink sink;
    enum alert_kind kind;
    char group[FINGERPRINT_LENGTH + 1];
    struct buf body;
    char timestamp[24], signature[ALERT_SIGNATURE_SIZE];
};

struct alerts {
    struct redrives *redrives;
    struct receiver receivers[ALERT_SINKS];
    struct loop_timer timer;
    bool started, soon; /* soon: news have set the timer */
    uint64_t ask;
    struct telling list[AT_ONCE_MAX];
    size_t n, at;
    uint64_t call; /* http request under way; 0: none */
    uint64_t act;
    bool ended; /* the call under way frees it */
};

/* ---- What the index says: on a reader thread */

struct alert_question {
    int64_t now_ms, new_after_ms;
    bool sinks[ALERT_SINKS];
};
struct alert_found {
    struct group_row *groups;
    struct alert_facts (*facts)[ALERT_SINKS];
    size_t n;
};

static struct error count_group(struct store *s, struct slice group, int64_t from_ms, int64_t to_ms, int64_t cap, int64_t *n)
{
    const struct letter_filter f = {.group = group, .from_ms = from_ms, .to_ms = to_ms};

    *n = 0;
    return from_ms < to_ms ? store_count(s, &f, cap, n) : error_none();
}

static enum alert_kind kind_of(struct slice name)
{
    enum alert_kind kind = ALERT_RESOLVED;

    while (kind > ALERT_NONE && !slice_is(name, alert_kind_name(kind)))
        kind--;
    return kind;
}

static struct error look_at(struct store *s, const struct alert_question *q, struct alert_found *found,
                            const struct group_row *row, struct arena *arena)
{
    struct alert_facts *facts = found->facts[found->n];
    struct alert_facts common = {.group = &found->groups[found->n]};
    struct slice group = row->fingerprint;
    int64_t of_day = 0, before = 0;
    bool is_old = row->first_ms < q->now_ms - q->new_after_ms;
    struct error error;

    for (size_t i = 0; i < found->n; i++)
        if (slice_equal(found->groups[i].fingerprint, group))
            return error_none();
    found->groups[found->n++] = *row;
    error = count_group(s, group, q->now_ms - ALERT_SPIKE_MS, q->now_ms + 1, 1000000, &common.lately);
    if (!failed(error))
        error = count_group(s, group, q->now_ms - DAY_MS, q->now_ms - ALERT_SPIKE_MS, 1000000, &of_day);
    if (!failed(error) && is_old)
        error = count_group(s, group, q->now_ms - q->new_after_ms, q->now_ms - ALERT_FRESH_MS, 1, &before);
    if (failed(error)) /* a count of nothing would be news */
        return error;
    common.per_five_minutes = of_day * 100 / PARTS_OF_A_DAY;
    common.was_silent = is_old && !before;
    for (enum alert_sink sink = 0; sink < ALERT_SINKS; sink++) {
        struct slice kind = {NULL, 0};

        facts[sink] = common;
        if (!q->sinks[sink])
            continue;
        error = store_alerted(s, group, slice_of(alert_sink_name(sink)), &facts[sink].last_ms, &kind, arena);
        if (failed(error))
            return error;
        facts[sink].last = facts[sink].last_ms >= 0 ? kind_of(kind) : ALERT_NONE;
    }
    return error_none();
}

/* Groups that somebody was alerted about, and not told yet that they are resolved. */
static struct error look_at_told(struct store *s, const struct alert_question *q, struct alert_found *found, struct arena *arena)
{
    struct database *db = store_database(s);
    struct statement *st = database_prepare(db, "SELECT DISTINCT grp FROM alerts WHERE kind <> 'resolved' LIMIT 200");
    struct slice *told = arena_alloc(arena, GROUPS_MAX * sizeof *told);
    struct error error;
    size_t n = 0;

    while (told && n < GROUPS_MAX && statement_step(st))
        told[n++] = store_text(st, 0, arena);
    statement_reset(st);
    error = database_error(db);
    for (size_t i = 0; i < n && !failed(error); i++) {
        struct group_row row;
        bool known = false;

        error = store_group(s, told[i], arena, &row, &known);
        if (!failed(error) && known)
            error = look_at(s, q, found, &row, arena);
    }
    return error;
}

static struct error look(struct ask_place *place, void *question, struct answer *a)
{
    const struct alert_question *q = question;
    const struct group_filter fresh = {.order = GROUP_BY_LAST, .seen_after_ms = q->now_ms - ALERT_FRESH_MS};
    struct alert_found *found = arena_alloc(a->arena, sizeof *found);
    struct group_page page = {.n = 0};
    struct error error;

    a->result = found;
    if (found) {
        found->groups = arena_alloc(a->arena, (size_t)2 * GROUPS_MAX * sizeof *found->groups);
        found->facts = arena_alloc(a->arena, (size_t)2 * GROUPS_MAX * sizeof *found->facts);
    }
    if (!found || !found->groups || !found->facts)
        return error_make(CLASS_INTERNAL, "out_of_memory", "no memory left to look for alerts");
    error = store_groups(place->store, &fresh, 0, GROUPS_MAX, a->arena, &page);
    for (size_t i = 0; i < page.n && !failed(error); i++)
        error = look_at(place->store, q, found, &page.rows[i], a->arena);
    return failed(error) ? error : look_at_told(place->store, q, found, a->arena);
}

/* ---- Telling */

static void look_later(struct alerts *a, int64_t ms)
{
    if (a->started && (!loop_timer_is_set(&a->timer) || ms > SOON_MS))
        loop_timer_set(&a->timer, ms);
}

static void clear(struct alerts *a)
{
    for (size_t i = 0; i < a->n; i++)
        buf_free(&a->list[i].body);
    a->n = a->at = 0;
}

static void next(struct alerts *a);

static void remembered(void *ctx, uint64_t ticket, struct error error)
{
    struct alerts *a = ctx;

    (void)ticket;
    a->act = 0;
    if (failed(error))
        log_warn(a->redrives->o.log, "dlq.alert_not_remembered", LOG_ERROR(error));
    a->at++;
    next(a);
}

static void remember(struct alerts *a, const struct telling *t)
{
    char id[37];
    struct action action = redrives_action(a->redrives, id, ACTION_ALERTED);

    action.group = slice_of(t->group);
    action.name = slice_of(alert_sink_name(t->sink));
    action.detail = slice_of(alert_kind_name(t->kind));
    a->act = redrives_act(a->redrives, &action, 1, remembered, a);
}

static void alerts_drop(struct alerts *a)
{
    clear(a);
    free(a);
}

static void answered(void *ctx, const struct http_answer *answer)
{
    struct alerts *a = ctx;
    const struct telling *t = &a->list[a->at];
    struct receiver *r = &a->receivers[t->sink];

    a->call = 0;
    if (a->ended) {
        alerts_drop(a);
        return;
    }
    if (!failed(answer->error) && answer->status >= 200 && answer->status < 300) {
        a->redrives->status.alerts++;
        r->backoff_ms = 0;
        log_info(a->redrives->o.log, "dlq.alerted", LOG_TEXT("sink", alert_sink_name(t->sink)), LOG_TEXT("group", t->group),
                 LOG_TEXT("kind", alert_kind_name(t->kind)));
        remember(a, t);
        return;
    }
    a->redrives->status.alerts_failed++;
    r->backoff_ms = !r->backoff_ms ? BACKOFF_MIN_MS : r->backoff_ms * 2 < BACKOFF_MAX_MS ? r->backoff_ms * 2 : BACKOFF_MAX_MS;
    r->not_before_ms = loop_now_ms(a->redrives->o.loop) + r->backoff_ms;
    log_warn(a->redrives->o.log, "dlq.alert_failed", LOG_TEXT("sink", alert_sink_name(t->sink)),
             LOG_INT("status", answer->status), LOG_TEXT("detail", answer->detail), LOG_INT("again_ms", r->backoff_ms));
    a->at++;
    next(a);
}

static void send_one(struct alerts *a, struct telling *t)
{
    const char *secret = a->redrives->config->dlq.alerts.webhook_secret.value;
    struct http_header headers[3] = {{SLICE("Content-Type"), SLICE("application/json")}};
    struct slice body = buf_slice(&t->body);
    size_t n = 1;

    if (t->sink == SINK_WEBHOOK && secret) {
        struct buf text = BUF_IN(t->timestamp);

        buf_put_int(&text, clock_wall_ms() / 1000);
        alert_signature(t->signature, secret, buf_text(&text), body);
        headers[n++] = (struct http_header){SLICE("X-Stepmill-Timestamp"), slice_of(t->timestamp)};
        headers[n++] = (struct http_header){SLICE("X-Stepmill-Signature"), slice_of(t->signature)};
    }
    a->call = http_send(a->receivers[t->sink].endpoint, &(struct http_request){.method = "POST",
                                                                               .path = SLICE(""),
                                                                               .headers = headers,
                                                                               .header_count = n,
                                                                               .body = &body,
                                                                               .body_parts = 1,
                                                                               .timeout_ms = SEND_MS,
                                                                               .done = answered,
                                                                               .ctx = a});
}

static void next(struct alerts *a)
{
    while (a->at < a->n && a->receivers[a->list[a->at].sink].not_before_ms > loop_now_ms(a->redrives->o.loop))
        a->at++; /* its turn comes again with a later look */
    if (a->at < a->n) {
        send_one(a, &a->list[a->at]);
        return;
    }
    look_later(a, a->n == AT_ONCE_MAX ? SOON_MS : LOOK_MS);
    clear(a);
}

static void add(struct alerts *a, enum alert_sink sink, enum alert_kind kind, const struct alert_facts *f)
{
    const struct config_dlq *c = &a->redrives->config->dlq;
    struct telling *t = &a->list[a->n];
    const struct alert_text text = {.kind = kind,
                                    .group = f->group,
                                    .instance = a->redrives->transactional_id,
                                    .public_url = c->public_url,
                                    .lately = f->lately,
                                    .at_ms = clock_wall_ms()};

    if (a->n == AT_ONCE_MAX || f->group->fingerprint.len > FINGERPRINT_LENGTH)
        return;
    *t = (struct telling){.sink = sink, .kind = kind, .body = BUF(256 * 1024)};
    memcpy(t->group, f->group->fingerprint.at, f->group->fingerprint.len);
    alert_body(sink, &text, c->alerts.pagerduty_key.value, &t->body);
    if (t->body.failed)
        buf_free(&t->body);
    else
        a->n++;
}

static void looked(void *ctx, uint64_t ticket, void *question, struct answer *answer)
{
    struct alerts *a = ctx;
    const struct alert_question *q = question;
    const struct alert_found *found = answer->result;

    (void)ticket;
    a->ask = 0;
    if (failed(answer->error)) {
        log_warn(a->redrives->o.log, "dlq.alerts_look", LOG_ERROR(answer->error), LOG_TEXT("detail", answer->detail));
        look_later(a, LOOK_MS);
        return;
    }
    for (size_t i = 0; i < found->n; i++)
        for (enum alert_sink sink = 0; sink < ALERT_SINKS; sink++) {
            enum alert_kind kind =
                q->sinks[sink] ? alert_decide(&found->facts[i][sink], a->redrives->config, q->now_ms) : ALERT_NONE;

            if (kind != ALERT_NONE)
                add(a, sink, kind, &found->facts[i][sink]);
        }
    next(a);
}

static void time_to_look(void *ctx)
{
    struct alerts *a = ctx;
    struct alert_question q = {.now_ms = clock_wall_ms(), .new_after_ms = a->redrives->config->dlq.alerts.new_after_ms};
    bool any = false;

    a->soon = false;
    for (enum alert_sink sink = 0; sink < ALERT_SINKS; sink++) {
        q.sinks[sink] = a->receivers[sink].endpoint != NULL;
        any = any || q.sinks[sink];
    }
    if (!any || a->ask || a->call || a->act)
        return; /* what is under way sets the timer when it ends */
    if (!collect_status(a->redrives->o.collect).was_caught_up)
        look_later(a, LOOK_MS); /* half an index is full of news that are none */
    else
        a->ask = ask(a->redrives->o.asks, ASK_INDEX, look, looked, a, &q, sizeof q);
}

/* ---- Life */

void alerts_start(struct alerts *a)
{
    a->started = true;
    look_later(a, SOON_MS);
}

void alerts_folded(struct alerts *a)
{
    if (!a || !a->started || a->ask || a->call || a->act || a->soon)
        return; /* soon: letters that keep coming must not put the look off for ever */
    a->soon = true;
    loop_timer_set(&a->timer, SOON_MS);
}

static struct error make(struct alerts *a, enum alert_sink sink, const char *url)
{
    return http_endpoint_new(a->redrives->o.http, &(struct http_endpoint_options){.url = url, .max_connections = 2},
                             &a->receivers[sink].endpoint);
}

struct error alerts_new(struct redrives *r, struct alerts **out)
{
    const struct config_dlq *c = &r->config->dlq;
    struct alerts *a = calloc(1, sizeof *a);
    struct error error = error_none();

    *out = a;
    if (!a)
        return error_make(CLASS_INTERNAL, "out_of_memory", "no memory left at start");
    a->redrives = r;
    loop_timer_init(&a->timer, r->o.loop, time_to_look, a);
    if (c->alerts.pagerduty_key.value && c->alerts.pagerduty_url)
        error = make(a, SINK_PAGERDUTY, c->alerts.pagerduty_url);
    if (!failed(error) && c->alerts.slack_url.value)
        error = make(a, SINK_SLACK, c->alerts.slack_url.value);
    if (!failed(error) && c->alerts.webhook_url)
        error = make(a, SINK_WEBHOOK, c->alerts.webhook_url);
    return error;
}

void alerts_free(struct alerts *a)
{
    if (!a)
        return;
    loop_timer_cancel(&a->timer);
    if (a->ask && !a->redrives->freeing)
        ask_forget(a->redrives->o.asks, a->ask);
    acts_forget(a->redrives, a->act);
    for (enum alert_sink sink = 0; sink < ALERT_SINKS; sink++)
        http_endpoint_free(a->receivers[sink].endpoint);
    a->ended = true;
    if (!a->call)
        alerts_drop(a);
}
