/* Events become cells, cells become the task's state and the message list of the model. */
#include <stdlib.h>

#include "stepmill/clock.h"
#include "stepmill/event_codec.h"
#include "stepmill/rule.h"
#include "stepmill/wire_format.h"
#include "worker.h"

static struct error no_memory(void)
{
    return error_make(CLASS_INTERNAL, "out_of_memory",
                      "no memory left for the task; give the worker more, or lower max_in_flight");
}

static struct slice hex_copy(struct task *t, const uint8_t *bytes, size_t n)
{
    char text[33];

    hex_encode(text, bytes, n);
    return arena_copy(t->arena, slice_of(text));
}

struct event task_event(struct task *t, enum event_kind kind, int32_t seq)
{
    return (struct event){
        .task_id = t->input.task_id,
        .session_id = t->input.session_id,
        .agent = t->agent->name,
        .seq = seq,
        .at_us = clock_wall_us(),
        .trace_id = t->history.trace_id.at ? t->history.trace_id : hex_copy(t, t->trace.trace_id, sizeof t->trace.trace_id),
        .span_id = hex_copy(t, t->trace.span_id, sizeof t->trace.span_id),
        .kind = kind,
    };
}

static void put_start(struct task *t, const struct event_started *s)
{
    t->headed = 0;
    buf_put_slice(&t->body, buf_slice(&t->agent->heads[0])); /* the first model of the cascade is mostly the one that is called */
    for (size_t i = 0; i < s->nmemory; i++)
        openai_put_turn(&t->body, &s->memory[i]);
    openai_put_user(&t->body, s->input.prompt, s->input.context, s->input.ncontext);
}

static bool begin_calls(struct task *t, const struct event_model_answered *m)
{
    t->cascade = (struct cascade){0};
    t->nattempts = 0;
    t->answers = NULL;
    t->runs = NULL;
    if (m->ncalls == 0) /* it ends the task, so no model will read it; a redrive asks the question again */
        return true;
    openai_put_assistant(&t->body, m);
    t->answers = arena_alloc(t->arena, m->ncalls * sizeof *t->answers);
    t->runs = arena_alloc(t->arena, m->ncalls * sizeof *t->runs);
    return t->answers && t->runs;
}

/* The model is told the answers in the order of its calls, whatever order they came in. */
static bool take_answer(struct task *t, int32_t seq, const struct event_tool_answered *answered)
{
    size_t call = (size_t)(seq - t->history.group_first - 1);
    struct event_tool_answered *copy = arena_alloc(t->arena, sizeof *copy);

    if (!copy)
        return false;
    *copy = *answered;
    t->answers[call] = copy;
    t->runs[call].state = RUN_ANSWERED;
    if (!history_group_open(&t->history))
        for (size_t i = 0; i < t->history.ncalls; i++)
            openai_put_tool(&t->body, t->answers[i]);
    return true;
}

static struct error apply(struct task *t, const struct event *e)
{
    struct error error = history_apply(&t->history, e);
    bool ok = true;

    if (failed(error))
        return error;
    task_cancel_model(t); /* is none under way, but if there were, its request would be sent from the body that grows here */
    if (e->kind == EVENT_STARTED)
        put_start(t, &e->started);
    else if (e->kind == EVENT_MODEL_ANSWERED)
        ok = begin_calls(t, &e->model);
    else if (e->kind == EVENT_TOOL_ANSWERED)
        ok = take_answer(t, e->seq, &e->tool);
    return ok && (t->too_large || !t->body.failed) ? error_none() : no_memory(); /* too large: no model is told them */
}

bool task_add_event(struct task *t, struct event *e)
{
    struct worker *w = t->worker;
    struct digest digest;
    struct error error;
    uint32_t id;

    buf_clear(&w->scratch);
    if (!registry_id(w->registry, w->event_subject, &id))
        bug("an event is written before its schema id is known");
    event_put(&w->scratch, id, e);
    if (w->scratch.failed) {
        error = no_memory();
    } else {
        digest = history_digest(&t->history, e->seq, buf_slice(&w->scratch));
        error = history_hold(&t->history, e->seq, &digest, buf_slice(&w->scratch));
        if (!failed(error))
            error = apply(t, e);
    }
    if (failed(error))
        task_give_up(t, error);
    return !failed(error);
}

bool task_start(struct task *t)
{
    struct event e = task_event(t, EVENT_STARTED, 0);
    const struct config_agent *config = t->agent->config;

    e.started = (struct event_started){
        .origin = record_origin(t->record),
        .input_hash = t->input_hash,
        .input = t->input,
        .max_steps = t->input.max_steps >= 0 ? t->input.max_steps : config->max_steps,
        .token_budget = t->input.token_budget >= 0 ? t->input.token_budget : config->token_budget,
        .redrives = t->redrives,
        .tools = t->agent->frozen,
        .ntools = t->agent->ntools,
        .memory = t->memory,
        .nmemory = t->nmemory,
    };
    t->writing = (struct cells_writing){.model_seq = -1};
    return task_add_event(t, &e);
}

/* A cell was written by a schema that is not here yet: fetch it, then load again. */
static void fetch_for_cell(struct task *t, uint32_t schema_id, struct error error)
{
    t->loaded = false;
    if (slice_is(slice_of(error.code), "schema_pending")) {
        task_wait(t, OUTAGE_REGISTRY, loop_now_ms(t->worker->loop) + 1000);
        (void)schema_id;
        return;
    }
    log_error(t->worker->log, "task.cell_unreadable", LOG_SLICE("task_id", t->input.task_id), LOG_INT("schema_id", schema_id),
              LOG_ERROR(error),
              LOG_TEXT("action", "the task waits; run a worker of the version that wrote it, or look at its checkpoint"));
    task_wait(t, OUTAGE_VERSION, loop_now_ms(t->worker->loop) + 60000);
}

bool task_adopt(struct task *t, const struct cell *cell)
{
    const struct avro_plan *plan;
    struct detail detail = {""};
    struct event event;
    struct slice avro;
    uint32_t id = 0;
    struct error error = history_hold(&t->history, cell->seq, &cell->digest, cell->bytes);

    if (!failed(error))
        error = wire_parse(t->history.cells[cell->seq].bytes, &id, &avro);
    if (!failed(error))
        error = registry_plan(t->worker->registry, id, &event_reader, &plan, &detail);
    if (!failed(error))
        error = event_read(plan, avro, t->arena, &event, &detail);
    if (error.class == CLASS_POISON && slice_is(slice_of(error.code), "too_large")) /* our arena's fault, not the cell's */
        error = no_memory();
    if (!failed(error) && event.seq != cell->seq)
        error = error_make(CLASS_INTERNAL, "history_broken", "a cell lies under another number than its event says");
    if (!failed(error))
        error = apply(t, &event);
    if (failed(error) && error.class == CLASS_INTERNAL && slice_is(slice_of(error.code), "out_of_memory"))
        task_give_up(t, error);
    else if (failed(error))
        fetch_for_cell(t, id, error);
    else
        t->history.cells[cell->seq].state = CELL_STORED;
    return !failed(error);
}

static bool same_cell(const struct cell *a, size_t na, int32_t seq, const struct cell *b)
{
    return seq >= 0 && (size_t)seq < na && a[seq].bytes.at && digest_equal(&a[seq].digest, &b->digest);
}

static void cancel_runs(struct task *t, struct tool_run *runs, size_t n)
{
    for (size_t i = 0; runs && i < n; i++)
        task_cancel_run(t, &runs[i]);
}

/* The answer that asked for these calls is the same: those under way go on, and what we know of the others stays known. An answer
 * of ours that is not stored (yet) is offered again: the call must not be made twice for it. */
static bool keep_runs(struct task *t, struct tool_run *runs, const struct cell *old, size_t nold)
{
    for (size_t i = 0; i < t->history.ncalls; i++) {
        size_t seq = (size_t)t->history.group_first + 1 + i;

        if (t->runs[i].state == RUN_ANSWERED) {
            task_cancel_run(t, &runs[i]);
            runs[i].state = RUN_ANSWERED;
        } else if (RULE(keep_answers) && runs[i].state == RUN_ANSWERED && seq < nold && old[seq].bytes.at) {
            if (!task_adopt(t, &old[seq])) {
                cancel_runs(t, runs, t->history.ncalls);
                t->runs = NULL;
                return false;
            }
            t->history.cells[seq].state = CELL_LOCAL;
        }
    }
    t->runs = runs;
    return true;
}

bool task_refold(struct task *t, const struct cell *cells, size_t ncells)
{
    struct history *h = &t->history;
    size_t nold = (size_t)h->ncells;
    struct cell *old = nold ? arena_alloc(t->arena, nold * sizeof *old) : NULL;
    int32_t old_group = h->group_first;
    struct tool_run *runs = t->runs;
    size_t nruns = h->ncalls;

    if (nold && !old) {
        task_give_up(t, no_memory());
        return false;
    }
    if (nold)
        memcpy(old, h->cells, nold * sizeof *old);
    history_reset(h);
    h->ncells = 0;
    buf_clear(&t->body);
    t->hashed.model = NULL;
    t->turn[0] = (struct slice){NULL, 0};
    for (size_t i = 0; i < ncells; i++) {
        /* What lies above a hole belongs to nothing; recording into the hole removes it. */
        if (RULE(holes) && !history_follows(h, cells[i].seq)) {
            log_warn(t->worker->log, "task.history_has_a_hole", LOG_SLICE("task_id", t->input.task_id),
                     LOG_INT("missing", history_next_seq(h)), LOG_INT("found", cells[i].seq));
            break;
        }
        if (!task_adopt(t, &cells[i])) {
            cancel_runs(t, runs, nruns);
            t->runs = NULL;
            return false;
        }
        if (same_cell(old, nold, cells[i].seq, &cells[i]))
            h->cells[cells[i].seq].emitted = old[cells[i].seq].emitted;
    }
    if (t->writing.model_seq >= 0 && t->writing.model_tokens &&
        (t->writing.model_seq >= h->ncells || !same_cell(old, nold, t->writing.model_seq, &h->cells[t->writing.model_seq])))
        worker_count(t->worker->numbers->tokens_unrecorded, (double)t->writing.model_tokens); /* our answer became no cell */
    t->writing = (struct cells_writing){.group_first = h->group_first < 0 ? 0 : h->group_first, .model_seq = -1};
    if (runs && old_group == h->group_first && nruns == h->ncalls && same_cell(old, nold, old_group, &h->cells[old_group]))
        return keep_runs(t, runs, old, nold);
    cancel_runs(t, runs, nruns);
    return true;
}

void task_emit_all(struct task *t)
{
    for (int32_t i = 0; i < t->history.ncells; i++)
        if (t->history.cells[i].state == CELL_STORED && !t->history.cells[i].emitted)
            task_emit(t, &t->history.cells[i]);
}
