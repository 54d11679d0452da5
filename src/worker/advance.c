/* What a ready task does next: deadlines first, then what the cells decide. */
#include <stdlib.h>

#include "stepmill/clock.h"
#include "stepmill/rule.h"
#include "worker.h"

enum {
    ARENA_WORTH_SHEDDING = 1024 * 1024,
    ENDING_MEMORY_MAX = 8 * TASK_MEMORY_MAX, /* a cell lies in it twice, and others may have added some */
    RECORD_AT_LEAST_MS = 60 * 1000,
};

static struct slice keep(struct task *t, const char *text) { return arena_copy(t->arena, slice_of(text)); }

static bool end_by(struct task *t, enum event_kind kind)
{
    if (t->ending || t->history.phase == HISTORY_ENDED)
        return false;
    t->ending = arena_alloc(t->arena, sizeof *t->ending);
    if (!t->ending) {
        task_give_up(t, error_make(CLASS_INTERNAL, "out_of_memory", "no memory left to end the task"));
        return false;
    }
    *t->ending = task_event(t, kind, 0);
    return true;
}

void task_end_failed(struct task *t, enum error_class class, const char *code, const char *message, const char *stage,
                     bool retryable)
{
    struct slice text = keep(t, message);

    if (!end_by(t, EVENT_FAILED))
        return;
    t->ending->failed = (struct event_failed){
        .class = slice_of(error_class_name(class)),
        .code = slice_of(code),
        .message = text.at ? text : slice_of(code),
        .stage = slice_of(stage),
        .retryable = retryable,
        .final = !(retryable && t->history.redrives < t->worker->config->dlq.auto_redrives),
        .attempts = t->attempts_total > 0 ? t->attempts_total : 1,
        .output = t->history.content,
    };
}

void task_end_cancelled(struct task *t, const char *reason)
{
    if (!end_by(t, EVENT_CANCELLED))
        return;
    t->ending->cancelled =
        (struct event_cancelled){.by = SLICE("user"), .reason = slice_of(reason), .output = t->history.content};
}

/* Not the machine's memory is used up but the task's own share: any worker would fail at it again, so the task ends and not the
 * worker. The machine is asked, for a single answer may be larger than all that the task has taken so far. */
static bool is_too_large(const struct task *t)
{
    void *volatile probe = malloc(TASK_MEMORY_MAX); /* volatile: or the compiler sees that nobody needs it */
    bool machine_has_it = probe != NULL;

    free(probe);
    return machine_has_it && t->nold_arenas < TASK_ARENAS_MAX;
}

/* All that was learned by loading it, and lies in the arena that it had. */
static void forget(struct task *t)
{
    history_init(&t->history, t->arena);
    t->loaded = false;
    t->hashed.model = NULL;
    t->memory = NULL;
    t->nmemory = 0;
    t->answers = NULL;
    t->runs = NULL;
    t->ending = NULL;
    t->turn[0] = t->turn[1] = (struct slice){NULL, 0};
    t->writing = (struct cells_writing){.model_seq = -1};
}

/* Its fold may be half done, so it is loaded again, without the messages that a model would be told, into an arena that holds any
 * history; then it ends by a terminal cell as any other task. Only one that can't even be loaded so is a dead letter without one.
 */
static void end_too_large(struct task *t)
{
    struct arena *fresh = arena_new(ENDING_MEMORY_MAX);

    if (!fresh) {
        worker_stop_now(t->worker, true);
        return;
    }
    task_cancel_model(t);
    task_cancel_tools(t);
    t->redis_attempt = 0; /* whatever Redis answers now comes too late */
    t->old_arenas[t->nold_arenas++] = t->arena;
    t->arena = fresh;
    if (t->state != TASK_WAITING)
        task_enter(t, TASK_WAITING);
    if (t->decoded && t->nold_arenas == 1) {
        buf_free(&t->body);
        t->body = BUF(0);
        forget(t);
        task_load(t);
    } else {
        task_poison(t, TASK_TOO_LARGE(CLASS_POISON), "");
    }
}

void task_give_up(struct task *t, struct error error)
{
    struct worker *w = t->worker;

    if (error.class == CLASS_INTERNAL && !strcmp(error.code, "out_of_memory") && is_too_large(t)) {
        t->too_large = t->nold_arenas + 1;
        task_wait(t, OUTAGE_VERSION, loop_now_ms(w->loop));
        task_ready(t);
        return;
    }

    log_error(w->log, "task.given_up", LOG_SLICE("task_id", t->input.task_id), LOG_ERROR(error),
              LOG_TEXT("action", "the worker stops; its successor resumes the task from its checkpoint"));
    task_wait(t, OUTAGE_VERSION, loop_now_ms(w->loop) + 60000);
    if (error.class == CLASS_INTERNAL && !strcmp(error.code, "out_of_memory"))
        worker_stop_now(w, true);
}

/* True: the deadlines were looked at and the task may go on (perhaps to its end). */
static void look_at_deadlines(struct task *t)
{
    int64_t now = loop_now_ms(t->worker->loop);

    if (t->ending || !t->loaded || t->state == TASK_SETTLING)
        return;
    if (t->deadline_at_ms >= 0 && clock_wall_ms() >= t->deadline_at_ms)
        task_end_failed(t, CLASS_LIMIT, "deadline_exceeded", "the caller's deadline_at passed before the task ended", "deadline",
                        false);
    else if (t->state != TASK_WAITING && now >= t->deadline_ms)
        task_end_failed(t, CLASS_TIMEOUT, "agent_deadline", "the agent's deadline passed before the task ended", "deadline",
                        true);
}

/* The group is full and the task was told to end. */
static void write_ending(struct task *t)
{
    struct event *e = t->ending;

    e->seq = history_next_seq(&t->history);
    e->at_us = clock_wall_us();
    if (task_add_event(t, e))
        task_save(t);
}

static void write_decided_end(struct task *t, const struct decision *d)
{
    struct event e = task_event(t, d->end_kind, d->seq);

    if (d->end_kind == EVENT_COMPLETED)
        e.completed = d->completed;
    else
        e.failed = d->failed;
    if (task_add_event(t, &e))
        task_save(t);
}

void task_continue(struct task *t)
{
    struct decision d;

    look_at_deadlines(t); /* nothing is begun after them */
    d = history_decide(&t->history);
    if (d.kind == DECIDE_START) {
        if (!task_start(t))
            return;
        d = history_decide(&t->history);
    }
    switch (d.kind) {
    case DECIDE_CALL:
        if (t->ending)
            write_ending(t);
        else if (RULE(save_before_model) && task_has_unsaved(t))
            task_save(t);
        else
            task_call_model(t);
        return;
    case DECIDE_ACT:
        if (d.refuse || t->ending) {
            if (task_close_group(t, d.refuse))
                task_continue(t);
        } else if (RULE(save_before_tools) && task_has_unsaved(t)) {
            task_save(t); /* a step is stored before the next one begins */
        } else {
            task_act(t, &d);
        }
        return;
    case DECIDE_END:
        write_decided_end(t, &d);
        return;
    case DECIDE_SETTLE:
        if (RULE(settle_stored) && task_has_unsaved(t))
            task_save(t);
        else
            task_settle(t);
        return;
    case DECIDE_SLEEP:
        task_wait(t, OUTAGE_VERSION, loop_now_ms(t->worker->loop) + 60000); /* parked by a version that can wake it */
        return;
    case DECIDE_START:
        bug("a started task is to be started");
    }
}

void task_poison(struct task *t, struct error error, const char *detail)
{
    t->poison = error;
    t->poison_detail = keep(t, detail ? detail : "");
    task_settle(t);
}

/* Each load is folded into fresh memory. A task that waits for a schema or for a worker of a newer version loads every minute,
 * for days if need be, so it begins from its record with an empty arena now and then. */
static void load_again(struct task *t)
{
    struct arena *fresh;

    if (t->runs || t->ending || t->outgoing.count || arena_size(t->arena) < ARENA_WORTH_SHEDDING ||
        !(fresh = arena_new(TASK_MEMORY_MAX))) {
        task_load(t);
        return;
    }
    arena_free(t->arena);
    t->arena = fresh;
    forget(t);
    buf_clear(&t->body);
    t->input = (struct task_input){.deadline_at_ms = -1};
    t->decoded = false;
    task_fetch(t);
}

void task_advance(struct task *t)
{
    if (t->too_large > t->nold_arenas && t->state < TASK_SETTLING) {
        end_too_large(t);
        return;
    }
    look_at_deadlines(t);
    switch (t->state) {
    case TASK_FETCHING:
        if (!t->registry_waiter)
            task_fetch(t);
        return;
    case TASK_LOADING:
    case TASK_SAVING:
    case TASK_SETTLING:
    case TASK_GONE:
        return; /* the answer of Redis, or the commit, moves it */
    case TASK_CALLING:
        if (t->ending) {
            task_cancel_model(t);
            task_continue(t);
        } else if (!t->model_attempt || task_has_unsaved(t)) {
            task_continue(t);
        } else {
            task_arm(t); /* the timer rang a moment before the wall clock was there */
        }
        return;
    case TASK_ACTING:
        if (task_has_unsaved(t))
            task_save(t);
        else
            task_continue(t);
        return;
    case TASK_BACKOFF:
    case TASK_WAITING:
        if (!t->ending && t->wake_ms > loop_now_ms(t->worker->loop))
            task_arm(t);
        else if (!t->decoded)
            task_fetch(t);
        else if (!t->loaded)
            load_again(t);
        else if (!t->ending && loop_now_ms(t->worker->loop) - t->recorded_ms >= RECORD_AT_LEAST_MS)
            task_save(t); /* mostly nothing: its life is refreshed, and a wish to cancel is heard */
        else
            task_continue(t);
        return;
    case TASK_STATES:
        return;
    }
}
