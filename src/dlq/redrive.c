/* The engine: one writer, one step at a time, and whose turn it is. */
#include "redrive_parts.h"

#include <stdio.h>
#include <stdlib.h>

#include "known_topics.h"
#include "stepmill/random.h"

/* What it did is in the index now. */
static void step_committed(struct redrives *r)
{
    struct step *s = &r->step;
    enum work_kind kind = s->kind;

    if (s->count)
        *s->count += s->counted;
    if (s->sending.under_way)
        jobs_sent(r, &s->sending);
    s->batch = NULL;
    r->at_once = LETTERS_AT_ONCE;
    r->pause_ms = AGAIN_MS;
    if (kind == WORK_EDIT)
        edit_settle(r, true);
    step_end(r, 0);
}

/* It is not in the topic. What is to blame is not always known (a partition that is away, a record among many that the broker
 * refuses), so fewer go the next time, and one alone waits longer and longer: other work has its turn in between. */
static void step_failed(struct redrives *r)
{
    size_t sent = r->step.sending.sent;
    int64_t again = AGAIN_MS;

    if (sent && sent < r->at_once)
        r->at_once = sent;
    if (r->at_once > 1) {
        r->at_once /= 2;
    } else {
        again = r->pause_ms;
        r->pause_ms = 2 * again < AGAIN_MAX_MS ? 2 * again : AGAIN_MAX_MS;
    }
    step_end(r, again);
}

/* ---- The writer */

static void reached(void *ctx)
{
    struct redrives *r = ctx;
    bool first = !r->status.ready;

    r->phase = WRITER_IDLE;
    r->generation++;
    r->status.ready = true;
    r->status.trouble = NULL;
    acts_settle(r, r->committed, r->refused);
    if (r->step.arena && r->step.submitted) {
        if (r->committed)
            step_committed(r);
        else if (r->step.kind == WORK_EDIT && r->refused)
            edit_settle(r, false);
        else
            step_failed(r);
    }
    r->refused = 0;
    if (first && !r->stopping) {
        log_info(r->o.log, "dlq.engine_ready", LOG_TEXT("transactional_id", r->transactional_id));
        for (int kind = 0; kind < WORK_KINDS; kind++)
            work_due(r, (enum work_kind)kind, 0);
        alerts_start(r->alerts);
    }
    redrives_wake(r);
}

/* Everything that was written before is folded before anything else is decided. */
static void reach(struct redrives *r)
{
    struct kafka_txn_status txn;

    kafka_txn_status(r->txn, &txn);
    r->producer = txn.replaced;
    r->phase = WRITER_REACHING;
    collect_reach(r->o.collect, reached, r);
}

static void on_ready(void *ctx)
{
    struct redrives *r = ctx;

    if (r->phase != WRITER_SENDING && !r->stopping)
        reach(r); /* as long as the old producer was none any more, another processor may have written */
}

static void on_done(void *ctx, struct kafka_batch *batch, const struct kafka_result *result)
{
    struct redrives *r = ctx;

    r->committed = result->fate == KAFKA_COMMITTED;
    r->refused = 0;
    if (!r->committed) {
        r->status.trouble = "kafka_transaction";
        known_topics_doubt(r->topics);
        if (result->record_refused)
            r->refused = kafka_batch_tag(batch, result->refused);
        if (r->refused && r->step.submitted)
            send_refused(r, r->refused);
        log_warn(r->o.log, "dlq.transaction_failed", LOG_TEXT("code", result->name ? result->name : ""),
                 LOG_INT("records", kafka_batch_records(batch)), LOG_INT("refused", r->refused),
                 LOG_TEXT("action", "what was written is read again, then what is left goes again"));
    }
    kafka_batch_free(batch);
    if (r->step.submitted)
        r->step.batch = NULL;
    r->phase = WRITER_STOPPED;
    if (!r->stopping)
        reach(r);
}

static void on_trouble(void *ctx, const struct kafka_trouble *t)
{
    struct redrives *r = ctx;

    log_warn(r->o.log, "dlq.producer_trouble", LOG_TEXT("kind", kafka_trouble_name(t->kind)), LOG_TEXT("code", t->name),
             LOG_TEXT("message", t->detail), LOG_TEXT("topic", t->topic ? t->topic : ""));
    if (t->topic && t->name && !strcmp(t->name, "TOPIC_AUTHORIZATION_FAILED"))
        known_topics_refuse(r->topics, t->topic);
}

static void on_fenced(void *ctx, const char *transactional_id)
{
    struct redrives *r = ctx;

    r->stopping = true;
    r->o.fenced(r->o.ctx, transactional_id);
}

static void on_stopped(void *ctx)
{
    struct redrives *r = ctx;

    r->phase = WRITER_STOPPED;
    r->o.stopped(r->o.ctx);
}

static void submit(struct redrives *r, struct kafka_batch *batch)
{
    r->phase = WRITER_SENDING;
    kafka_batch_set_producer(batch, r->producer);
    kafka_txn_submit(r->txn, batch);
}

static bool submit_acts(struct redrives *r)
{
    struct kafka_batch *batch;

    if (!r->acts.first)
        return false;
    batch = kafka_batch_new();
    if (batch && acts_fill(r, batch)) {
        submit(r, batch);
        return true;
    }
    kafka_batch_free(batch);
    return false;
}

static void submit_step(struct redrives *r)
{
    if (step_is_old(r)) {
        step_end(r, 0);
        return;
    }
    r->step.submitted = true;
    submit(r, r->step.batch);
}

/* ---- Whose turn it is */

static void begin_work(struct redrives *r)
{
    static void (*const work[WORK_KINDS])(struct redrives *) = {[WORK_JOBS] = jobs_work,
                                                                [WORK_DECIDE] = decide_work,
                                                                [WORK_DUE] = due_work,
                                                                [WORK_RESOLVE] = resolve_work,
                                                                [WORK_EDIT] = edit_work};
    int64_t now = loop_now_ms(r->o.loop);
    int next = -1;

    for (int kind = 0; kind < WORK_KINDS; kind++)
        if (r->due_ms[kind] <= now && (next < 0 || r->due_ms[kind] < r->due_ms[next]))
            next = kind;
    if (next >= 0)
        work[next](r);
}

static void turn(void *ctx)
{
    struct redrives *r = ctx;
    int64_t now = loop_now_ms(r->o.loop), next = INT64_MAX;

    if (r->phase != WRITER_IDLE || r->stopping)
        return; /* whoever changes that wakes us */
    r->turning = true;
    if (!submit_acts(r) && r->step.ready)
        submit_step(r);
    for (int i = 0; i < WORK_KINDS && r->phase == WRITER_IDLE && !r->step.arena; i++)
        begin_work(r);
    r->turning = false;
    if (r->phase != WRITER_IDLE)
        return;
    for (int kind = 0; kind < WORK_KINDS && !r->step.arena; kind++)
        if (r->due_ms[kind] < next)
            next = r->due_ms[kind];
    if (r->step.ready)
        next = now;
    if (next < INT64_MAX)
        loop_timer_set(&r->timer, next > now ? next - now : 0);
}

void redrives_folded(struct redrives *r, const struct collect_news *news)
{
    if (news->letters || news->more_actions || news->nactions) {
        work_due(r, WORK_DECIDE, 200);
        work_due(r, WORK_JOBS, 0);
        work_due(r, WORK_DUE, 500);
        alerts_folded(r->alerts);
    }
}

void redrives_forget(struct redrives *r, uint64_t ticket)
{
    acts_forget(r, ticket);
    tries_forget(r, ticket);
    edits_forget(r, ticket);
}

struct redrives_status redrives_status(const struct redrives *r)
{
    struct redrives_status s = r->status;
    struct kafka_txn_status txn;

    kafka_txn_status(r->txn, &txn);
    if (!s.trouble)
        s.trouble = txn.trouble;
    s.ready = s.ready && (r->phase == WRITER_IDLE || r->phase == WRITER_SENDING || r->phase == WRITER_REACHING);
    s.jobs = r->njobs;
    return s;
}

/* ---- Life */

static char *text_of(const char *format, const char *a)
{
    char *text = NULL;

    return asprintf(&text, format, a) < 0 ? NULL : text;
}

static struct error start_writer(struct redrives *r, char *detail, size_t room)
{
    static const struct kafka_txn_events events = {on_ready, on_done, on_trouble, on_fenced, on_stopped};
    const struct config_kafka *k = &r->config->kafka;
    const char *topics[] = {r->config->topics.dlq_actions};

    return kafka_txn_start(&r->txn, loop_base(r->o.loop), NULL,
                           &(struct kafka_txn_options){
                               .kafka = {.at = k->options, .count = k->noptions, .client_id = "stepmill-dlq", .log = r->o.log},
                               .transactional_id = r->transactional_id,
                               .topics = topics,
                               .ntopics = 1},
                           &events, r, detail, room);
}

struct error redrives_new(const struct redrives_options *options, struct redrives **out, char *detail, size_t room)
{
    struct redrives *r = calloc(1, sizeof *r);
    struct error error = error_make(CLASS_INTERNAL, "out_of_memory", "no memory left at start");

    *out = NULL;
    if (!r)
        return error;
    r->o = *options;
    r->config = options->config;
    r->scratch = BUF(KAFKA_MESSAGE_MAX);
    r->at_once = LETTERS_AT_ONCE;
    r->pause_ms = AGAIN_MS;
    random_bytes(&r->seed, sizeof r->seed);
    for (int kind = 0; kind < WORK_KINDS; kind++)
        r->due_ms[kind] = INT64_MAX;
    loop_timer_init(&r->timer, r->o.loop, turn, r);
    r->process = text_of("%s", options->process);
    r->transactional_id = text_of("stepmill-dlq-%s", r->config->dlq.name);
    r->subject = text_of("%s-value", r->config->topics.dlq_actions);
    r->topics = known_topics_new();
    if (r->process && r->transactional_id && r->subject && r->topics)
        error = registry_want(r->o.registry, r->subject, OWN_ACTION);
    if (!failed(error))
        error = restore_new(r, &r->restore);
    if (!failed(error))
        error = alerts_new(r, &r->alerts);
    if (!failed(error))
        error = start_writer(r, detail, room);
    if (failed(error)) {
        redrives_free(r);
        return error;
    }
    edits_want(r);
    *out = r;
    return error;
}

void redrives_stop(struct redrives *r, int64_t deadline_ms)
{
    r->stopping = true;
    alerts_free(r->alerts);
    r->alerts = NULL;
    kafka_txn_stop(r->txn, deadline_ms);
}

void redrives_free(struct redrives *r)
{
    if (!r)
        return;
    r->stopping = r->freeing = true;
    if (r->txn)
        kafka_txn_free(r->txn);
    alerts_free(r->alerts);
    loop_timer_cancel(&r->timer);
    if (r->step.arena) {
        if (!r->step.submitted) /* else the producer has freed it */
            kafka_batch_free(r->step.batch);
        arena_free(r->step.arena);
    }
    restore_free(r->restore);
    tries_drop(r);
    edits_drop(r);
    acts_drop(r);
    jobs_free(r);
    buf_free(&r->scratch);
    free(r->process);
    free(r->transactional_id);
    free(r->subject);
    known_topics_free(r->topics);
    free(r);
}

void redrives_reload(struct redrives *r, const struct config *config)
{
    r->config = config;
    for (int kind = 0; kind < WORK_KINDS && r->status.ready; kind++)
        work_due(r, (enum work_kind)kind, 0);
}
