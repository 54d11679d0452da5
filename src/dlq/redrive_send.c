/* Letters on their way back: each as a task record and its action, in one transaction. */
#include <stdio.h>

#include "redrive_parts.h"
#include "stepmill/clock.h"
#include "stepmill/random.h"
#include "stepmill/task_codec.h"
#include "stepmill/wire_format.h"

enum { HELD_TASKS_LEAST = 10, HELD_MS = 10 * 60 * 1000, SCHEMA_MS = 200 };

/* ---- Today's schema */

/* Only what is a task of ours is looked into: of others' records nobody here knows what they should hold. */
enum redrive_verdict send_check(struct redrives *r, const struct letter_full *full, bool *pending, uint32_t *schema_id,
                                struct slice *problem)
{
    const struct avro_plan *plan;
    struct detail detail = {""};
    struct task_input input;
    struct arena *scratch;
    struct slice avro;
    struct error error;

    *pending = false;
    if (full->row.letter.family != LETTER_FAMILY_STEPMILL)
        return REDRIVE_FINE;
    error = wire_parse(full->value, schema_id, &avro);
    if (failed(error)) {
        *problem = slice_of(error.text);
        return REDRIVE_BAD_VALUE;
    }
    error = registry_plan(r->o.registry, *schema_id, &task_reader, &plan, &detail);
    *pending = error.class == CLASS_WAIT;
    if (*pending)
        return REDRIVE_FINE;
    *problem = slice_of(error.text);
    if (failed(error))
        return REDRIVE_UNKNOWN_SCHEMA;
    scratch = arena_new(4 * 1024 * 1024);
    if (!scratch)
        return REDRIVE_TOO_LARGE;
    error = avro_plan_decode(plan, avro, scratch, &input, &detail);
    arena_free(scratch);
    *problem = slice_of(error.text);
    return failed(error) ? REDRIVE_BAD_VALUE : REDRIVE_FINE;
}

/* ---- Records */

static struct slice reason_of(const struct sending *s)
{
    return s->job && s->job->request.reason.len ? s->job->request.reason : s->job ? SLICE("redriven") : SLICE("retry by itself");
}

static bool add_record(struct redrives *r, const struct loaded_letter *x, int32_t redrives)
{
    struct sending *s = &r->step.sending;
    const struct letter *l = &x->full.row.letter;
    struct redrive_headers headers = {.original = x->full.headers,
                                      .noriginal = x->full.nheaders,
                                      .letter = l->id,
                                      .job = s->job ? slice_of(s->job->id) : SLICE("auto"),
                                      .by = s->job ? s->job->request.actor : slice_of(r->process),
                                      .reason = reason_of(s),
                                      .redrives = redrives,
                                      .from_start = s->job && s->job->request.from_start};
    struct slice topic = arena_copy(r->step.arena, l->topic);
    struct kafka_output out = {
        .topic = topic.at, .key = x->full.key, .value = x->full.value, .tag = (uint64_t)(x - s->loaded->letters) + 1};

    if (!topic.at || !redrive_headers_make(&headers, r->step.arena, &out.headers, &out.nheaders))
        return false;
    if (kafka_output_size(&out) > KAFKA_MESSAGE_MAX)
        return false;
    if (!r->step.batch)
        r->step.batch = kafka_batch_new();
    return r->step.batch && kafka_batch_add_record(r->step.batch, &out);
}

static bool add_redriven(struct redrives *r, const struct loaded_letter *x, int32_t redrives)
{
    struct sending *s = &r->step.sending;
    const struct letter *l = &x->full.row.letter;
    char id[37];
    struct action a = redrives_action(r, id, ACTION_REDRIVEN);

    if (s->job) {
        a.actor = s->job->request.actor;
        a.actor_kind = s->job->request.actor_kind;
    }
    a.reason = reason_of(s);
    a.letter = l->id;
    a.group = slice_of(l->fingerprint);
    a.job = s->job ? slice_of(s->job->id) : SLICE("auto");
    a.redrives = redrives;
    a.topic = l->topic;
    a.task_id = l->task_id;
    a.from_start = s->job && s->job->request.from_start;
    return step_add(r, &a);
}

/* Told once, however often the job looks at it again: the id follows from job, letter and reason. */
static bool add_skipped(struct redrives *r, const struct loaded_letter *x, struct slice problem)
{
    struct sending *s = &r->step.sending;
    struct slice job = s->job ? slice_of(s->job->id) : SLICE("auto"), name = slice_of(redrive_verdict_name(x->verdict));
    char id[37], unused[37];
    struct action a = redrives_action(r, unused, ACTION_SKIPPED);

    action_id_of(id, job, x->id, name);
    a.id = (struct slice){id, 36};
    a.letter = x->id;
    a.group = slice_of(x->full.row.letter.fingerprint);
    a.job = job;
    a.name = name;
    a.detail = problem.len ? problem : slice_of(redrive_verdict_text(x->verdict));
    return step_add(r, &a);
}

/* A retry by itself that can never go: it would come up again and again. */
static bool add_parked(struct redrives *r, const struct loaded_letter *x)
{
    char id[37];
    struct action a = redrives_action(r, id, ACTION_PARKED);

    a.letter = x->id;
    a.reason = slice_of(redrive_verdict_text(x->verdict));
    return step_add(r, &a);
}

/* While its agent fails, a retry by itself only adds to the load. */
static bool is_held(const struct redrives *r, const struct loaded_letter *x)
{
    return !r->step.sending.job && x->ended >= HELD_TASKS_LEAST &&
           x->failed * 100 >= x->ended * r->config->dlq.retry.failure_percent;
}

static bool add_held(struct redrives *r, const struct loaded_letter *x)
{
    char id[37], text[120];
    struct action a = redrives_action(r, id, ACTION_RETRY_SCHEDULED);

    snprintf(text, sizeof text, "put off: %lld of the agent's last %lld tasks failed", (long long)x->failed, (long long)x->ended);
    a.letter = x->id;
    a.detail = slice_of(text);
    a.due_at_ms = a.at_ms + HELD_MS + (int64_t)random_below(&r->seed, (uint64_t)HELD_MS);
    r->status.held++;
    return step_add(r, &a);
}

static bool add_letter(struct redrives *r, struct loaded_letter *x, struct slice problem)
{
    struct sending *s = &r->step.sending;
    int32_t redrives = x->full.row.letter.redrives + 1 + x->full.row.sent;

    if (x->verdict == REDRIVE_FINE && is_held(r, x)) {
        x->verdict = REDRIVE_PARKED; /* for whoever looks at it after this: it does not go */
        return add_held(r, x);
    }
    if (x->verdict == REDRIVE_FINE) {
        s->sent++;
        return add_record(r, x, redrives) && add_redriven(r, x, redrives);
    }
    s->skipped++;
    s->skipped_by[x->verdict]++;
    return s->job ? add_skipped(r, x, problem) : add_parked(r, x);
}

/* ---- All of them */

void send_refused(struct redrives *r, uint64_t tag)
{
    struct sending *s = &r->step.sending;
    char *to = r->refused_letters[r->nrefused++ % REFUSED_MAX];
    struct slice id;

    if (!s->under_way)
        return;
    id = s->ids[tag - 1];
    memcpy(to, id.at, id.len);
    to[id.len] = '\0';
    log_error(r->o.log, "dlq.letter_refused", LOG_SLICE("letter", id),
              LOG_TEXT("action", "Kafka refuses its record, mostly for its size: raise max.message.bytes of its topic"));
}

static bool was_refused(const struct redrives *r, struct slice id)
{
    for (size_t i = 0; i < REFUSED_MAX; i++)
        if (slice_is(id, r->refused_letters[i]))
            return true;
    return false;
}

/* It has been asked for. Other work has its turn meanwhile: the registry may never have an answer for this one id. */
static void wait_for_schema(struct redrives *r)
{
    r->status.trouble = "schema_pending";
    step_end(r, SCHEMA_MS);
}

static void restored(void *ctx, bool fine)
{
    struct redrives *r = ctx;

    if (fine) {
        step_ready(r);
    } else {
        r->status.trouble = "redis_down";
        step_end(r, AGAIN_MS);
    }
}

/* What may have cells: a task of ours that had begun. */
static void loaded(void *ctx, uint64_t ticket, void *question, struct answer *a)
{
    struct redrives *r = ctx;
    struct load_question *q = question;
    struct loaded *l = a->result;

    (void)ticket;
    r->step.ask = 0;
    if (failed(a->error)) {
        step_fail(r, a->error, a->detail);
    } else if (step_is_old(r)) {
        step_end(r, 0);
    } else if (l->wants_fetch && !q->fetch) {
        struct load_question again = *q;

        again.fetch = true;
        load_and_send(r, &again);
    } else if (!l->n && r->step.sending.job) {
        jobs_finish(r, r->step.sending.job);
    } else {
        r->step.sending.loaded = l;
        send_letters(r);
        if (r->step.arena)
            r->step.sending.loaded = NULL;
    }
}

void load_and_send(struct redrives *r, struct load_question *q)
{
    q->config = r->config;
    q->topics = r->topics;
    r->step.ask = ask(r->o.asks, q->fetch ? ASK_SLOW : ASK_INDEX, load_run, loaded, r, q, sizeof *q);
}

static bool may_have_cells(const struct loaded_letter *x)
{
    const struct letter *l = &x->full.row.letter;

    return x->verdict == REDRIVE_FINE && l->family == LETTER_FAMILY_STEPMILL && l->task_id.len && l->session_id.at &&
           !slice_is(l->class, "poison");
}

static void restore_cells(struct redrives *r)
{
    struct sending *s = &r->step.sending;
    struct restore_task *tasks = arena_alloc(r->step.arena, (s->loaded->n + 1) * sizeof *tasks);
    size_t n = 0;

    for (size_t i = 0; tasks && i < s->loaded->n; i++) {
        const struct letter *l = &s->loaded->letters[i].full.row.letter;

        if (may_have_cells(&s->loaded->letters[i]))
            tasks[n++] = (struct restore_task){.task_id = arena_copy(r->step.arena, l->task_id),
                                               .session_id = arena_copy(r->step.arena, l->session_id),
                                               .started_at_ms = l->started_at_ms,
                                               .failed_at_ms = l->failed_at_ms,
                                               .redrives = l->redrives,
                                               .forget = s->job && s->job->request.from_start};
    }
    if (arena_failed(r->step.arena))
        step_end(r, AGAIN_MS);
    else if (!n)
        step_ready(r);
    else
        restore_tasks(r->restore, tasks, n, r->step.arena, restored, r);
}

void send_letters(struct redrives *r)
{
    struct sending *s = &r->step.sending;

    s->under_way = true;
    s->complete = s->loaded->complete;
    s->ids = arena_alloc(r->step.arena, (s->loaded->n + 1) * sizeof *s->ids);
    for (size_t i = 0; s->ids && i < s->loaded->n; i++) {
        struct loaded_letter *x = &s->loaded->letters[i];
        struct slice problem = {NULL, 0};
        uint32_t schema_id = 0;
        bool pending = false;

        if (x->verdict == REDRIVE_FINE)
            x->verdict = send_check(r, &x->full, &pending, &schema_id, &problem);
        if (pending) {
            wait_for_schema(r);
            return;
        }
        s->ids[i] = arena_copy(r->step.arena, x->id);
        if (x->verdict == REDRIVE_FINE && (x->full.value.len > KAFKA_MESSAGE_MAX - 65536 || was_refused(r, x->id)))
            x->verdict = REDRIVE_TOO_LARGE;
        if (!add_letter(r, x, problem)) {
            step_fail(r, error_make(CLASS_AGAIN, "not_written", "A letter could not be made into a record now."), "");
            return;
        }
        s->cursor = x->place > s->cursor ? x->place : s->cursor;
    }
    restore_cells(r);
}
