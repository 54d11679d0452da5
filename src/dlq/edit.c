/* Edit, then redrive: a new task from a changed text; the letter keeps its record. */
#include <stdio.h>
#include <stdlib.h>

#include "redrive_parts.h"
#include "stepmill/clock.h"
#include "stepmill/random.h"
#include "stepmill/task_json.h"

enum { EDIT_ARENA_MAX = 32 * 1024 * 1024, SCHEMA_LOOK_MS = 200 };

struct edit {
    struct list_node in_edits;
    struct redrives *redrives;
    uint64_t ticket;
    struct arena *arena;
    struct action action;
    struct slice json, task_id;
    bool submitted;
    redrives_edited *done;
    void *ctx;
    struct loop_timer timer;
};

struct edit_question {
    struct load_question load;
    struct slice action_id;
};
struct edit_found {
    struct loaded *loaded;
    struct slice task_id; /* of the task that was made before */
    bool done_before;
};

static void edit_free(struct edit *e)
{
    list_remove(&e->in_edits);
    loop_timer_cancel(&e->timer);
    arena_free(e->arena);
    free(e);
}

static void tell(struct edit *e, struct error error, const char *detail)
{
    redrives_edited *done = e->done;

    e->done = NULL;
    if (done)
        done(e->ctx, e->ticket, error, detail, e->task_id);
}

/* The edit that is in work, if it is. */
static struct edit *first(struct redrives *r)
{
    return r->edits.first ? list_entry(r->edits.first, struct edit, in_edits) : NULL;
}

/* The step ends with its answer. */
static void finish(struct redrives *r, struct error error, const char *detail)
{
    struct edit *e = first(r);

    tell(e, error, detail);
    edit_free(e);
    step_end(r, r->edits.first ? 0 : -1);
}

void edit_settle(struct redrives *r, bool committed)
{
    struct edit *e = first(r);

    tell(e, committed ? error_none() : error_make(CLASS_REJECTED, "too_large", "Kafka does not take a task of this size."), "");
    edit_free(e);
    if (r->edits.first)
        work_due(r, WORK_EDIT, 0);
    if (!committed)
        step_end(r, -1);
}

static void out_of_time(void *ctx)
{
    struct edit *e = ctx;
    struct redrives *r = e->redrives;
    bool in_work = r->step.arena && r->step.kind == WORK_EDIT && e == first(r);

    if (e->submitted) {
        tell(e, error_make(CLASS_WAIT, "not_folded", "It is written, but the index does not show it yet."), "");
        return;
    }
    tell(e, error_make(CLASS_WAIT, "not_ready", "Kafka or the registry does not answer: nothing was done, try again."), "");
    e->json = (struct slice){NULL, 0}; /* whoever has it in work drops it */
    if (!in_work)
        edit_free(e);
}

/* ---- The new task */

static bool want_schema(struct redrives *r, struct slice topic, uint32_t *id)
{
    char subject[300];

    snprintf(subject, sizeof subject, "%.*s-value", SLICE_FMT(topic));
    return !failed(registry_want(r->o.registry, subject, OWN_TASK)) && registry_id(r->o.registry, subject, id);
}

static struct error read_task(struct edit *e, const struct letter *l, struct task_input *task, struct detail *detail)
{
    struct slice given;
    char id[37];
    struct error error;

    *task = (struct task_input){.source_agent = SLICE("stepmill-dlq"),
                                .target_agent = l->agent,
                                .session_id = l->session_id,
                                .created_at_ms = clock_wall_ms(),
                                .max_steps = -1,
                                .token_budget = -1,
                                .deadline_at_ms = -1};
    error = task_json_read(e->json, task->created_at_ms, e->arena, task, detail);
    if (failed(error))
        return error;
    given = task->task_id;
    if (slice_equal(given, l->task_id) || !given.len) {
        random_uuid7(id, task->created_at_ms);
        task->task_id = arena_copy(e->arena, (struct slice){id, 36});
    }
    task->parent_task_id = arena_copy(e->arena, l->task_id);
    e->task_id = task->task_id;
    return task_check(task, l->agent, detail);
}

static bool add(struct redrives *r, struct edit *e, const struct loaded_letter *x, uint32_t schema_id,
                const struct task_input *task)
{
    const struct letter *l = &x->full.row.letter;
    struct redrive_headers headers = {.original = x->full.headers,
                                      .noriginal = x->full.nheaders,
                                      .letter = l->id,
                                      .by = e->action.actor,
                                      .reason = e->action.reason,
                                      .edited = true};
    struct slice topic = arena_copy(r->step.arena, l->topic);
    struct kafka_output out = {.topic = topic.at, .key = task->session_id, .tag = 1};
    struct action a = e->action;

    buf_clear(&r->scratch);
    task_put(&r->scratch, schema_id, task);
    r->step.batch = kafka_batch_new();
    out.value = buf_slice(&r->scratch);
    if (!topic.at || !r->step.batch || r->scratch.failed ||
        !redrive_headers_make(&headers, r->step.arena, &out.headers, &out.nheaders) ||
        !kafka_batch_add_record(r->step.batch, &out))
        return false;
    a.kind = slice_of(action_kind_name(ACTION_REDRIVEN));
    a.group = slice_of(l->fingerprint);
    a.job = (struct slice){NULL, 0};
    a.name = SLICE("edited");
    a.detail = a.task_id = task->task_id;
    a.topic = l->topic;
    a.edited = true;
    a.due_at_ms = -1;
    return step_add(r, &a);
}

static enum redrive_verdict verdict_of(const struct loaded_letter *x)
{
    const struct letter *l = &x->full.row.letter;

    if (x->verdict == REDRIVE_PARKED || x->verdict == REDRIVE_NO_VALUE || x->verdict == REDRIVE_BAD_VALUE)
        return l->topic.len ? REDRIVE_FINE : REDRIVE_NO_ORIGIN; /* somebody has looked at it, and the value is another one */
    return x->verdict;
}

static void write_task(struct redrives *r, struct edit *e, const struct loaded_letter *x)
{
    const struct letter *l = &x->full.row.letter;
    enum redrive_verdict v = verdict_of(x);
    struct task_input task;
    struct detail detail = {""};
    struct error error;
    uint32_t schema_id;

    if (v != REDRIVE_FINE) {
        finish(r, error_make(CLASS_REJECTED, redrive_verdict_name(v), redrive_verdict_text(v)), "");
        return;
    }
    if (l->family != LETTER_FAMILY_STEPMILL || !l->agent.len) {
        finish(r, error_make(CLASS_REJECTED, "not_editable", "Only tasks of agents can be edited."), "");
        return;
    }
    error = read_task(e, l, &task, &detail);
    if (failed(error)) {
        error.class = CLASS_REJECTED;
        finish(r, error, detail.text);
        return;
    }
    if (!want_schema(r, l->topic, &schema_id)) {
        step_end(r, SCHEMA_LOOK_MS);
        return;
    }
    if (!add(r, e, x, schema_id, &task)) {
        finish(r, error_make(CLASS_REJECTED, "too_large", "The task is too large for a record."), "");
        return;
    }
    e->submitted = true;
    step_ready(r);
}

/* ---- Its turn */

static struct error run(struct ask_place *place, void *question, struct answer *a)
{
    struct edit_question *q = question;
    struct edit_found *found = arena_alloc(a->arena, sizeof *found);
    struct error error;

    if (!found)
        return error_make(CLASS_INTERNAL, "out_of_memory", "no memory left to edit a letter");
    error = store_action_detail(place->store, q->action_id, a->arena, &found->task_id, &found->done_before);
    if (!failed(error))
        error = load_run(place, &q->load, a);
    found->loaded = a->result;
    a->result = found;
    return error;
}

static void loaded(void *ctx, uint64_t ticket, void *question, struct answer *a);

/* The bytes of its old value are of no use, so they are never fetched. */
static void look(struct redrives *r, const struct edit *e, bool fetch)
{
    const struct edit_question q = {{.source = LOAD_ONE,
                                     .job = e->action.letter,
                                     .limit = 1,
                                     .fetch = fetch,
                                     .no_values = true,
                                     .config = r->config,
                                     .topics = r->topics},
                                    e->action.id};

    r->step.ask = ask(r->o.asks, fetch ? ASK_SLOW : ASK_INDEX, run, loaded, r, &q, sizeof q);
}

static void finish_before(struct redrives *r, struct slice task_id)
{
    struct edit *e = first(r);

    e->task_id = arena_copy(e->arena, task_id);
    finish(r, error_none(), "");
}

static void loaded(void *ctx, uint64_t ticket, void *question, struct answer *a)
{
    struct redrives *r = ctx;
    struct edit *e = first(r);
    struct edit_found *found = a->result;
    const struct edit_question *asked = question;

    (void)ticket;
    r->step.ask = 0;
    if (!e->json.at)
        finish(r, error_none(), ""); /* its time was over, and was told so */
    else if (failed(a->error))
        step_fail(r, a->error, a->detail);
    else if (found->done_before)
        finish_before(r, found->task_id);
    else if (step_is_old(r))
        step_end(r, 0);
    else if (found->loaded->wants_fetch && !asked->load.fetch)
        look(r, e, true);
    else
        write_task(r, e, &found->loaded->letters[0]);
}

void edit_work(struct redrives *r)
{
    const struct edit *e = first(r);

    r->due_ms[WORK_EDIT] = INT64_MAX;
    if (!e || !step_begin(r, WORK_EDIT))
        return;
    look(r, e, false);
}

uint64_t redrives_edit(struct redrives *r, const struct action *action, struct slice json, redrives_edited *done, void *ctx)
{
    struct edit *e = calloc(1, sizeof *e);

    if (!e || !(e->arena = arena_new(EDIT_ARENA_MAX)))
        bug("out of memory: a decision must not be lost silently");
    e->redrives = r;
    e->ticket = ++r->last_ticket;
    e->done = done;
    e->ctx = ctx;
    e->action = (struct action){.id = arena_copy(e->arena, action->id),
                                .at_ms = action->at_ms,
                                .actor = arena_copy(e->arena, action->actor),
                                .actor_kind = arena_copy(e->arena, action->actor_kind),
                                .reason = arena_copy(e->arena, action->reason),
                                .request = arena_copy(e->arena, action->request),
                                .letter = arena_copy(e->arena, action->letter),
                                .due_at_ms = -1};
    e->json = arena_copy(e->arena, json.at ? json : SLICE(""));
    loop_timer_init(&e->timer, r->o.loop, out_of_time, e);
    loop_timer_set(&e->timer, REDRIVES_ACT_MS);
    list_append(&r->edits, &e->in_edits);
    work_due(r, WORK_EDIT, 0);
    return e->ticket;
}

void edits_forget(struct redrives *r, uint64_t ticket)
{
    for (struct list_node *n = r->edits.first; n; n = n->next) {
        struct edit *e = list_entry(n, struct edit, in_edits);

        if (e->ticket == ticket)
            e->done = NULL;
    }
}

void edits_drop(struct redrives *r)
{
    while (r->edits.first)
        edit_free(list_entry(r->edits.first, struct edit, in_edits));
}

/* The schemas of the agents' tasks, so that the first edit need not wait for them. */
void edits_want(struct redrives *r)
{
    for (size_t i = 0; i < r->config->nagents; i++) {
        struct buf topic = BUF(512);
        uint32_t id;

        config_tasks_topic(r->config, r->config->agents[i].name, &topic);
        if (!topic.failed)
            (void)want_schema(r, buf_slice(&topic), &id);
        buf_free(&topic);
    }
}
