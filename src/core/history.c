/* Cells and their fold: which event may stand where, and who its parents are. */
#include "stepmill/history.h"

enum { WIRE_HEADER = 5 };
static const int64_t YEAR_10000_US = INT64_C(253402300800000000);

const char *event_kind_name(enum event_kind kind)
{
    static const char *const names[] = {
        [EVENT_STARTED] = "TaskStarted",        [EVENT_MODEL_ANSWERED] = "ModelAnswered",
        [EVENT_TOOL_ANSWERED] = "ToolAnswered", [EVENT_COMPLETED] = "TaskCompleted",
        [EVENT_FAILED] = "TaskFailed",          [EVENT_CANCELLED] = "TaskCancelled",
        [EVENT_PARKED] = "TaskParked",          [EVENT_REOPENED] = "TaskReopened",
    };

    return names[kind];
}

const char *tool_outcome_name(enum tool_outcome outcome)
{
    static const char *const names[] = {
        [TOOL_OK] = "ok",
        [TOOL_ERROR] = "error",
        [TOOL_REFUSED] = "refused",
        [TOOL_UNKNOWN] = "unknown",
    };

    return names[outcome];
}

void history_init(struct history *h, struct arena *arena)
{
    *h = (struct history){.arena = arena, .group_first = -1, .group_last = -1, .reopened_deadline_ms = -1};
}

void history_reset(struct history *h)
{
    struct cell *cells = h->cells;
    int32_t room = h->cells_room;

    history_init(h, h->arena);
    h->cells = cells;
    h->cells_room = room;
}

static struct error make_room(struct history *h, int32_t seq)
{
    int32_t room = h->cells_room ? h->cells_room : 8;
    struct cell *cells;

    if (seq < h->cells_room)
        return error_none();
    while (room <= seq)
        room *= 2;
    cells = arena_alloc(h->arena, (size_t)room * sizeof *cells);
    if (!cells)
        return error_make(CLASS_INTERNAL, "out_of_memory", "the task has no memory left for another event");
    if (h->ncells)
        memcpy(cells, h->cells, (size_t)h->ncells * sizeof *cells);
    h->cells = cells;
    h->cells_room = room;
    return error_none();
}

struct error history_hold(struct history *h, int32_t seq, const struct digest *digest, struct slice bytes)
{
    struct error error;
    struct slice copy;

    if (seq < 0 || seq >= HISTORY_CELLS_MAX)
        return error_make(CLASS_INTERNAL, "history_too_long", "the task has more events than a history may hold");
    error = make_room(h, seq);
    if (failed(error))
        return error;
    copy = arena_copy(h->arena, bytes);
    if (!copy.at)
        return error_make(CLASS_INTERNAL, "out_of_memory", "the task has no memory left for another event");
    for (; h->ncells <= seq; h->ncells++)
        h->cells[h->ncells] = (struct cell){.seq = h->ncells};
    h->cells[seq] = (struct cell){.seq = seq, .digest = *digest, .bytes = copy};
    return error_none();
}

bool history_holds(const struct history *h, int32_t seq) { return seq >= 0 && seq < h->ncells && h->cells[seq].bytes.at; }

bool history_group_open(const struct history *h)
{
    for (size_t i = 0; i < h->ncalls; i++)
        if (!h->calls[i].answered)
            return true;
    return false;
}

int32_t history_next_seq(const struct history *h) { return h->group_last + 1; }

bool history_follows(const struct history *h, int32_t seq)
{
    if (h->phase == HISTORY_EMPTY)
        return seq == 0;
    if (seq > h->group_first && seq <= h->group_last)
        return true;
    return seq == history_next_seq(h) && !history_group_open(h);
}

bool history_parents(const struct history *h, int32_t seq, int32_t *first, int32_t *last)
{
    if (seq <= 0)
        return false;
    if (seq > h->group_first && seq <= h->group_last) { /* a tool answer */
        *first = *last = h->group_first;
        return true;
    }
    *first = h->group_first;
    *last = h->group_last;
    return true;
}

struct digest history_digest(const struct history *h, int32_t seq, struct slice bytes)
{
    struct slice parts[EVENT_TOOL_CALLS_MAX + 2];
    int32_t first, last;
    size_t n = 0;

    if (bytes.len < WIRE_HEADER)
        bug("event %d has no wire header", seq);
    if (history_parents(h, seq, &first, &last))
        for (int32_t i = first; i <= last; i++)
            parts[n++] = digest_slice(&h->cells[i].digest);
    parts[n++] = (struct slice){bytes.at + WIRE_HEADER, bytes.len - WIRE_HEADER};
    return digest_of(parts, n);
}

static struct error broken(const char *text) { return error_make(CLASS_INTERNAL, "history_broken", text); }

static void begin_group(struct history *h, const struct event *e, size_t calls)
{
    h->group_first = e->seq;
    h->group_last = e->seq + (int32_t)calls;
    h->group_kind = e->kind;
    h->ncalls = 0;
    h->calls = NULL;
    h->outcome_unknown = false;
}

static struct error apply_started(struct history *h, const struct event *e)
{
    if (h->phase != HISTORY_EMPTY || e->seq != 0)
        return broken("TaskStarted is not the first event");
    h->phase = HISTORY_OPEN;
    h->started = e->started;
    h->origin = e->started.origin;
    h->redrives = e->started.redrives;
    h->started_at_us = e->at_us;
    h->trace_id = e->trace_id;
    begin_group(h, e, 0);
    return error_none();
}

static struct error apply_model(struct history *h, const struct event *e)
{
    const struct event_model_answered *m = &e->model;

    if (h->phase != HISTORY_OPEN || history_group_open(h) || e->seq != history_next_seq(h))
        return broken("ModelAnswered does not follow a full group");
    if (m->ncalls > EVENT_TOOL_CALLS_MAX)
        return broken("ModelAnswered holds too many tool calls");
    begin_group(h, e, m->ncalls);
    if (m->ncalls) {
        h->calls = arena_alloc(h->arena, m->ncalls * sizeof *h->calls);
        if (!h->calls)
            return error_make(CLASS_INTERNAL, "out_of_memory", "the task has no memory left for its tool calls");
        for (size_t i = 0; i < m->ncalls; i++)
            h->calls[i].call = m->calls[i];
        h->ncalls = m->ncalls;
    }
    h->finish = m->finish;
    h->content = m->content;
    h->model = m->model;
    h->steps_used++;
    h->prompt_tokens += m->prompt_tokens;
    h->completion_tokens += m->completion_tokens;
    return error_none();
}

static struct error apply_tool(struct history *h, const struct event *e)
{
    int32_t i = e->seq - h->group_first - 1;
    const struct frozen_tool *tool;

    if (h->phase != HISTORY_OPEN || i < 0 || i >= (int32_t)h->ncalls)
        return broken("ToolAnswered belongs to no call");
    if (h->calls[i].answered)
        return broken("a tool call was answered twice");
    h->calls[i].answered = true;
    h->tool_calls++;
    tool = history_tool(h, h->calls[i].call.name);
    h->outcome_unknown |= e->tool.outcome == TOOL_UNKNOWN && tool && tool->fail_on_unknown;
    return error_none();
}

static struct error apply_terminal(struct history *h, const struct event *e)
{
    if (h->phase != HISTORY_OPEN || history_group_open(h) || e->seq != history_next_seq(h))
        return broken("a terminal event does not follow a full group");
    h->phase = e->kind == EVENT_PARKED ? HISTORY_PARKED : HISTORY_ENDED;
    h->end_kind = e->kind;
    h->ended_at_us = e->at_us;
    if (e->kind == EVENT_COMPLETED)
        h->completed = e->completed;
    else if (e->kind == EVENT_FAILED)
        h->failed = e->failed;
    else if (e->kind == EVENT_CANCELLED)
        h->cancelled = e->cancelled;
    begin_group(h, e, 0);
    return error_none();
}

static struct error apply_reopened(struct history *h, const struct event *e)
{
    bool may = h->phase == HISTORY_PARKED || (h->phase == HISTORY_ENDED && h->end_kind == EVENT_FAILED);

    if (!may || e->seq != history_next_seq(h))
        return broken("TaskReopened does not follow TaskFailed or TaskParked");
    h->phase = HISTORY_OPEN;
    h->opened_seq = e->seq;
    h->before.steps = h->steps_used;
    h->before.prompt_tokens = h->prompt_tokens;
    h->before.completion_tokens = h->completion_tokens;
    h->origin = e->reopened.origin;
    h->redrives = e->reopened.redrives;
    h->reopened_deadline_ms = e->reopened.deadline_at_ms;
    begin_group(h, e, 0);
    return error_none();
}

static struct error apply(struct history *h, const struct event *e)
{
    switch (e->kind) {
    case EVENT_STARTED:
        return apply_started(h, e);
    case EVENT_MODEL_ANSWERED:
        return apply_model(h, e);
    case EVENT_TOOL_ANSWERED:
        return apply_tool(h, e);
    case EVENT_COMPLETED:
    case EVENT_FAILED:
    case EVENT_CANCELLED:
    case EVENT_PARKED:
        return apply_terminal(h, e);
    case EVENT_REOPENED:
        return apply_reopened(h, e);
    }
    return broken("unknown kind of event");
}

/* What no worker writes, but a damaged cell may hold: sums over such numbers would overflow. */
static bool is_possible(const struct event *e)
{
    if (e->at_us < 0 || e->at_us >= YEAR_10000_US)
        return false;
    return e->kind != EVENT_MODEL_ANSWERED || (e->model.prompt_tokens >= 0 && e->model.prompt_tokens <= INT32_MAX &&
                                               e->model.completion_tokens >= 0 && e->model.completion_tokens <= INT32_MAX);
}

struct error history_apply(struct history *h, const struct event *e)
{
    struct error error = is_possible(e) ? apply(h, e) : broken("an event has an impossible time or number of tokens");

    if (!failed(error) && history_holds(h, e->seq)) {
        h->cells[e->seq].group = h->group_first;
        h->cells[e->seq].group_last = h->group_last;
    }
    return error;
}
