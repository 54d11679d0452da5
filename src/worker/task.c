/* The life of a task: numbers, states, timers, and the two lists that the loop drains. */
#include "task.h"

#include <stdlib.h>

#include "stepmill/clock.h"
#include "stepmill/rule.h"
#include "worker.h"

const char *task_state_name(enum task_state state)
{
    static const char *const names[TASK_STATES] = {
        [TASK_FETCHING] = "fetching", [TASK_LOADING] = "loading",   [TASK_CALLING] = "calling",
        [TASK_SAVING] = "saving",     [TASK_ACTING] = "acting",     [TASK_BACKOFF] = "backoff",
        [TASK_WAITING] = "waiting",   [TASK_SETTLING] = "settling", [TASK_GONE] = "gone",
    };

    return names[state];
}

const char *outage_name(enum outage outage)
{
    static const char *const names[OUTAGES] = {
        [OUTAGE_NONE] = "none",       [OUTAGE_REDIS] = "redis",       [OUTAGE_REGISTRY] = "schema_registry",
        [OUTAGE_MODEL] = "model",     [OUTAGE_FENCE] = "membership",  [OUTAGE_VERSION] = "newer_version",
        [OUTAGE_SUSPECT] = "suspect", [OUTAGE_SYSTEMIC] = "systemic",
    };

    return names[outage];
}

/* Which state may follow which; row = from. SETTLING goes back only when its cells turn out to be another history. */
static bool move_is_legal(enum task_state from, enum task_state to)
{
    static const uint16_t legal[TASK_STATES] = {
        [TASK_FETCHING] = 1 << TASK_LOADING | 1 << TASK_WAITING | 1 << TASK_SETTLING | 1 << TASK_FETCHING | 1 << TASK_CALLING |
                          1 << TASK_SAVING | 1 << TASK_ACTING | 1 << TASK_BACKOFF,
        [TASK_LOADING] = 1 << TASK_FETCHING | 1 << TASK_LOADING | 1 << TASK_CALLING | 1 << TASK_SAVING | 1 << TASK_ACTING |
                         1 << TASK_BACKOFF | 1 << TASK_WAITING | 1 << TASK_SETTLING,
        [TASK_CALLING] = 1 << TASK_SAVING | 1 << TASK_BACKOFF | 1 << TASK_WAITING | 1 << TASK_CALLING,
        [TASK_SAVING] = 1 << TASK_SAVING | 1 << TASK_CALLING | 1 << TASK_ACTING | 1 << TASK_BACKOFF | 1 << TASK_WAITING |
                        1 << TASK_SETTLING | 1 << TASK_LOADING | 1 << TASK_FETCHING,
        [TASK_ACTING] = 1 << TASK_SAVING | 1 << TASK_WAITING | 1 << TASK_ACTING,
        [TASK_BACKOFF] = 1 << TASK_CALLING | 1 << TASK_SAVING | 1 << TASK_WAITING | 1 << TASK_BACKOFF,
        [TASK_WAITING] = 1 << TASK_FETCHING | 1 << TASK_LOADING | 1 << TASK_CALLING | 1 << TASK_SAVING | 1 << TASK_ACTING |
                         1 << TASK_BACKOFF | 1 << TASK_WAITING | 1 << TASK_SETTLING,
        [TASK_SETTLING] = 0,
    };

    return to == TASK_GONE || legal[from] >> to & 1;
}

void task_enter(struct task *t, enum task_state state)
{
    int64_t now = loop_now_ms(t->worker->loop);

    if (!move_is_legal(t->state, state))
        bug("task %.*s moved from %s to %s", SLICE_FMT(t->input.task_id), task_state_name(t->state), task_state_name(state));
    if (t->state == TASK_WAITING && state != TASK_WAITING) { /* the agent's deadline stood still */
        t->deadline_ms += now - t->waiting_since_ms;
        t->outage = OUTAGE_NONE;
    }
    if (state == TASK_WAITING && t->state != TASK_WAITING)
        t->waiting_since_ms = now;
    log_debug(t->worker->log, "task.state", LOG_SLICE("task_id", t->input.task_id), LOG_TEXT("from", task_state_name(t->state)),
              LOG_TEXT("to", task_state_name(state)));
    list_remove(&t->in_state);
    t->state = state;
    list_append(&t->worker->tasks[state], &t->in_state);
    task_arm(t);
}

void task_wait(struct task *t, enum outage outage, int64_t look_again_ms)
{
    t->wake_ms = look_again_ms;
    if (t->state != TASK_WAITING || t->outage != outage)
        metric_add(metric_of(t->worker->numbers->outages, (struct slice[]){slice_of(outage_name(outage))}), 1);
    if (outage != OUTAGE_SUSPECT)
        task_turn_over(t);
    /* Who waits kills no worker: a restart meanwhile must not count against it. A suspect keeps its count until its turn. */
    if (t->loaded && t->state != TASK_WAITING && outage != OUTAGE_SUSPECT && outage != OUTAGE_REDIS)
        cells_release(t->worker->cells, (struct ticket){0, 0}, t->input.task_id);
    task_enter(t, TASK_WAITING);
    t->outage = outage;
}

void task_ready(struct task *t)
{
    if (!t->in_ready.list)
        list_append(&t->worker->ready, &t->in_ready);
}

static void earlier(int64_t *at, int64_t candidate)
{
    if (candidate > 0 && candidate < *at)
        *at = candidate;
}

void task_arm(struct task *t)
{
    int64_t now = loop_now_ms(t->worker->loop);
    int64_t at = INT64_MAX;
    /* Before it is loaded nothing can be written of it, and once its end is decided or written nothing more: a deadline that
     * passed would ring without end. */
    bool may_end = t->loaded && !t->ending && t->history.phase != HISTORY_ENDED;

    if (t->state == TASK_GONE || t->state == TASK_SETTLING) {
        loop_timer_cancel(&t->timer);
        return;
    }
    if (may_end && t->state != TASK_WAITING && t->deadline_ms)
        earlier(&at, t->deadline_ms);
    if (may_end && t->deadline_at_ms >= 0) {
        int64_t left = t->deadline_at_ms - clock_wall_ms();

        earlier(&at, now + (left > 0 ? left + 1 : 0)); /* both clocks are read in whole ms */
    }
    if (t->state == TASK_BACKOFF || t->state == TASK_WAITING)
        earlier(&at, t->wake_ms);
    if (t->state == TASK_ACTING)
        for (size_t i = 0; i < t->history.ncalls; i++)
            if (t->runs[i].state == RUN_PAUSE || t->runs[i].state == RUN_HELD)
                earlier(&at, t->runs[i].wake_ms);
    if (at == INT64_MAX)
        loop_timer_cancel(&t->timer);
    else
        loop_timer_set(&t->timer, at > now ? at - now : 0);
}

static void timer_fired(void *ctx) { task_ready(ctx); }

static bool take_number(struct worker *w, struct task *t)
{
    uint32_t slot;

    if (w->nfree == 0) {
        uint32_t n = w->nslots ? w->nslots * 2 : 1024;
        struct task **slots = realloc(w->slots, n * sizeof *slots);
        uint32_t *free_slots;

        if (!slots)
            return false;
        w->slots = slots;
        free_slots = realloc(w->free_slots, n * sizeof *free_slots);
        if (!free_slots)
            return false;
        w->free_slots = free_slots;
        for (uint32_t i = n; i-- > w->nslots;) {
            w->slots[i] = NULL;
            w->free_slots[w->nfree++] = i;
        }
        w->nslots = n;
    }
    slot = w->free_slots[--w->nfree];
    w->slots[slot] = t;
    if (++w->generation == 0) /* number 0 is nobody */
        w->generation = 1;
    t->number = (uint64_t)w->generation << 32 | slot;
    return true;
}

struct task *task_of(struct worker *w, struct ticket ticket)
{
    uint32_t slot = (uint32_t)ticket.task;
    struct task *t = slot < w->nslots ? w->slots[slot] : NULL;

    if (t && (!RULE(task_number) || t->number == ticket.task) && t->state != TASK_GONE)
        return t;
    worker_count(w->numbers->late, 1);
    return NULL;
}

struct ticket task_ticket(struct task *t) { return (struct ticket){t->number, ++t->last_attempt}; }

struct task *task_new(struct worker *w, struct owned *owned, struct record *record)
{
    struct task *t = calloc(1, sizeof *t);

    if (!t)
        return NULL;
    t->arena = arena_new(TASK_MEMORY_MAX);
    if (!t->arena || !take_number(w, t)) {
        arena_free(t->arena);
        free(t);
        return NULL;
    }
    t->worker = w;
    t->agent = owned->agent;
    t->owned = owned;
    t->record = record;
    t->body = BUF(TASK_MEMORY_MAX);
    t->schema_id = -1;
    t->deadline_at_ms = -1;
    t->admitted_ms = loop_now_ms(w->loop);
    t->deadline_ms = t->admitted_ms + t->agent->config->deadline_ms;
    t->holds_slot = t->holds_lane = true;
    t->agent->in_flight++;
    history_init(&t->history, t->arena);
    loop_timer_init(&t->timer, w->loop, timer_fired, t);
    list_append(&owned->tasks, &t->in_owned);
    t->state = TASK_FETCHING;
    list_append(&w->tasks[TASK_FETCHING], &t->in_state);
    return t;
}

void task_give_back(struct task *t)
{
    if (t->holds_slot) {
        t->holds_slot = false;
        t->agent->in_flight--;
    }
    if (t->holds_lane) {
        t->holds_lane = false;
        partition_release(&t->owned->partition, &t->record->waiting);
    }
    task_turn_over(t);
    t->worker->admission_due = true;
}

void task_unqueue(struct task *t)
{
    struct worker *w = t->worker;
    struct list_node *n;

    while ((n = list_take_first(&t->outgoing))) {
        struct outgoing *o = list_entry(n, struct outgoing, in_task);

        if (o->in_queue.list == &w->outbox) {
            w->outbox_settles -= o->kind == OUTGOING_SETTLE;
            w->outbox_bytes -= o->bytes;
        }
        list_remove(&o->in_queue);
    }
}

void task_drop(struct task *t, bool alive)
{
    struct worker *w = t->worker;

    if (t->state == TASK_GONE)
        return;
    if (alive && t->loaded)
        cells_release(w->cells, (struct ticket){0, 0}, t->input.task_id);
    task_cancel_model(t);
    task_cancel_tools(t);
    if (t->registry_waiter)
        registry_cancel(w->registry, t->registry_waiter);
    if (t->writing.model_seq >= 0 && t->writing.model_seq < t->history.ncells &&
        t->history.cells[t->writing.model_seq].state == CELL_LOCAL)
        worker_count(w->numbers->tokens_unrecorded, (double)t->writing.model_tokens); /* an answer that Redis could not take */
    task_unqueue(t);
    task_give_back(t);
    worker_count(w->numbers->dropped, t->state != TASK_SETTLING);
    task_enter(t, TASK_GONE);
    list_remove(&t->in_owned);
    t->owned = NULL;
}

void task_free(struct task *t)
{
    struct worker *w = t->worker;
    uint32_t slot = (uint32_t)t->number;

    w->slots[slot] = NULL;
    w->free_slots[w->nfree++] = slot;
    list_remove(&t->in_ready);
    list_remove(&t->in_state);
    loop_timer_cancel(&t->timer);
    buf_free(&t->body);
    record_free(t->record);
    arena_free(t->arena);
    for (size_t i = 0; i < t->nold_arenas; i++)
        arena_free(t->old_arenas[i]);
    free(t);
}
