/* A task's row: what its steps come to. */
#include "tasks_parts.h"

struct sum {
    enum task_status status;
    struct slice error;
    int64_t steps, tool_calls, redrives, prompt_tokens, completion_tokens, first_ms, last_ms, last_seq;
    enum event_kind last_kind;
};

static enum task_status status_after(enum event_kind kind)
{
    switch (kind) {
    case EVENT_COMPLETED:
        return TASK_COMPLETED;
    case EVENT_FAILED:
        return TASK_FAILED;
    case EVENT_CANCELLED:
        return TASK_CANCELLED;
    case EVENT_PARKED:
        return TASK_PARKED;
    default:
        return TASK_RUNNING;
    }
}

static void take_step(struct tasks *t, struct sum *s, struct statement *st)
{
    enum event_kind kind = (enum event_kind)statement_int_at(st, 1);
    int64_t at = statement_int_at(st, 2), redrives = statement_int_at(st, 6);
    struct slice name = statement_text_at(st, 3);

    s->last_seq = statement_int_at(st, 0);
    s->last_kind = kind;
    s->status = status_after(kind);
    s->error = (struct slice){NULL, 0};
    if ((kind == EVENT_FAILED || kind == EVENT_COMPLETED) && name.at)
        s->error = arena_copy(t->arena, name);
    s->steps += kind == EVENT_MODEL_ANSWERED;
    s->tool_calls += kind == EVENT_TOOL_ANSWERED;
    s->prompt_tokens += statement_int_at(st, 4);
    s->completion_tokens += statement_int_at(st, 5);
    s->redrives = redrives > s->redrives ? redrives : s->redrives;
    s->first_ms = s->first_ms < 0 || at < s->first_ms ? at : s->first_ms;
    s->last_ms = at > s->last_ms ? at : s->last_ms;
}

static int64_t number_of(struct slice task_id, int64_t ms)
{
    const int64_t mask = (INT64_C(1) << TASKS_TIME_SHIFT) - 1;
    uint64_t hash = UINT64_C(0xcbf29ce484222325);

    for (size_t i = 0; i < task_id.len; i++)
        hash = (hash ^ (unsigned char)task_id.at[i]) * UINT64_C(0x100000001b3);
    return task_num_at(ms) | ((int64_t)((hash ^ hash >> 32) & (uint64_t)mask) | 1);
}

void tasks_sum_up(struct tasks *t, struct slice task_id)
{
    struct statement *st =
        database_prepare(t->db, "SELECT seq, kind, at_ms, name, prompt_tokens, completion_tokens, redrives FROM steps "
                                "WHERE task_id = ?1 ORDER BY seq");
    struct sum s = {.first_ms = -1};

    statement_text(st, 1, task_id);
    while (statement_step(st))
        take_step(t, &s, st);
    statement_reset(st);
    st = database_prepare(
        t->db, "UPDATE tasks SET num = ?2, status = ?3, error = ?4, steps = ?5, tool_calls = ?6, redrives = ?7, "
               "prompt_tokens = ?8, completion_tokens = ?9, first_ms = ?10, last_ms = ?11, last_seq = ?12, last_kind = "
               "?13 WHERE task_id = ?1");
    statement_text(st, 1, task_id);
    statement_int(st, 2, number_of(task_id, s.last_ms));
    statement_int(st, 3, s.status);
    statement_text(st, 4, s.error);
    statement_int(st, 5, s.steps);
    statement_int(st, 6, s.tool_calls);
    statement_int(st, 7, s.redrives);
    statement_int(st, 8, s.prompt_tokens);
    statement_int(st, 9, s.completion_tokens);
    statement_int(st, 10, s.first_ms);
    statement_int(st, 11, s.last_ms);
    statement_int(st, 12, s.last_seq);
    statement_text(st, 13, slice_of(event_kind_name(s.last_kind)));
    statement_run(st);
}
