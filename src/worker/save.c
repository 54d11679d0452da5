/* Cells go to Redis before the next step begins; whoever lost a race adopts what is stored (DELIVERY §2). */
#include <stdlib.h>

#include "stepmill/clock.h"
#include "stepmill/rule.h"
#include "stepmill/session_turn.h"
#include "stepmill/time_text.h"
#include "worker.h"

/* It has cost nothing, and leaves with the first answer. Stored alone, by somebody who no longer owns the task and does not know
 * it yet, it would make an answer useless that the new owner has paid for. */
static bool is_lone_start(const struct history *h) { return h->ncells == 1 && h->cells[0].state != CELL_STORED; }

bool task_has_unsaved(const struct task *t)
{
    if (is_lone_start(&t->history))
        return false;
    for (int32_t i = 0; i < t->history.ncells; i++)
        if (t->history.cells[i].bytes.at && t->history.cells[i].state != CELL_STORED)
            return true;
    return false;
}

static void set_parents(const struct history *h, struct cells_write *write)
{
    int32_t seq = write->cell.seq;

    write->above = seq + 1;
    if (seq == 0)
        return;
    if (seq != write->cell.group) { /* a tool answer */
        write->above = write->cell.group_last + 1;
        write->parents = &h->cells[write->cell.group];
        write->nparents = 1;
        return;
    }
    write->parents = &h->cells[h->cells[seq - 1].group];
    write->nparents = (size_t)(seq - h->cells[seq - 1].group);
}

static bool turn_texts(struct task *t, struct slice messages[2])
{
    struct turn turns[2] = {{SLICE("user"), t->input.prompt}, {SLICE("assistant"), t->history.completed.output}};

    for (int i = 0; i < 2; i++) {
        struct buf text = BUF(TASK_MEMORY_MAX);

        session_turn_put(&text, &turns[i]);
        messages[i] = text.failed ? (struct slice){NULL, 0} : arena_copy(t->arena, buf_slice(&text));
        buf_free(&text);
        if (!messages[i].at) {
            messages[0] = (struct slice){NULL, 0};
            return false;
        }
    }
    return true;
}

static void add_memory(struct task *t, struct cells_record *record)
{
    const struct history *h = &t->history;

    record->messages_seq = -1;
    if (h->phase != HISTORY_ENDED || h->end_kind != EVENT_COMPLETED || h->cells[h->group_first].state == CELL_STORED ||
        !h->completed.output.at || !t->agent->config->session_memory)
        return;
    if (!t->turn[0].at && !turn_texts(t, t->turn)) /* made once: an outage of Redis repeats the call for hours */
        return;
    memcpy(record->messages, t->turn, sizeof t->turn);
    record->messages_seq = h->group_first;
}

static uint64_t held_bits(const struct task *t, int32_t group_first)
{
    uint64_t held = 0;

    for (int32_t i = group_first; i < t->history.ncells && i < group_first + 64; i++)
        if (t->history.cells[i].state == CELL_STORED)
            held |= UINT64_C(1) << (i - group_first);
    return held;
}

/* `whole`: after STALE everything we know is offered once, for Redis may have lost it. */
static void send(struct task *t, bool whole)
{
    struct history *h = &t->history;
    struct cells_write *writes = calloc((size_t)h->ncells + 1, sizeof *writes);
    struct cells_record record = {.task_id = t->input.task_id, .session_id = t->input.session_id, .agent = t->agent->name};
    struct ticket ticket = task_ticket(t);

    if (!writes) {
        task_give_up(t, error_make(CLASS_INTERNAL, "out_of_memory", "no memory left to save the task"));
        return;
    }
    for (int32_t i = 0; i < h->ncells && !(RULE(start_with_answer) && is_lone_start(h)); i++) {
        struct cells_write *write = &writes[record.ncells];

        if (!h->cells[i].bytes.at || (h->cells[i].state == CELL_STORED && !whole))
            continue;
        write->cell = h->cells[i];
        set_parents(h, write);
        write->tokens = i == t->writing.model_seq ? t->writing.model_tokens : 0;
        write->day = time_day(clock_wall_ms());
        if (h->cells[i].state == CELL_LOCAL)
            h->cells[i].state = CELL_SENT;
        record.ncells++;
    }
    record.cells = writes;
    record.group_first = whole ? 0 : t->writing.group_first;
    record.held = whole ? 0 : held_bits(t, record.group_first);
    add_memory(t, &record);
    t->redis_attempt = ticket.attempt;
    t->recorded_ms = loop_now_ms(t->worker->loop);
    t->stops_asked = t->worker->stops;
    task_enter(t, TASK_SAVING);
    cells_record(t->worker->cells, ticket, &record);
    free(writes);
}

void task_save(struct task *t)
{
    if (t->redis_attempt == 0)
        send(t, t->writing.offered);
    else if (t->state != TASK_SAVING)
        task_enter(t, TASK_SAVING);
}

static void sent_become(struct history *h, enum cell_state state)
{
    for (int32_t i = 0; i < h->ncells; i++)
        if (h->cells[i].state == CELL_SENT)
            h->cells[i].state = state;
}

/* Folds `n` cells and reads DELIVERY §3 again if the task turns out to be somebody else's. */
static void become(struct task *t, const struct cell *cells, size_t n, const struct cells_answer *a)
{
    struct origin mine = record_origin(t->record);

    if (!task_refold(t, cells, n))
        return;
    if (!RULE(stand_again) || origin_equal(&t->history.origin, &mine)) {
        if (RULE(emit_adopted))
            task_emit_all(t);
        task_continue(t);
    } else {
        task_stand(t, a);
    }
}

/* What is stored now: ours, except where another's cell lies. */
static void adopt(struct task *t, const struct cells_answer *a)
{
    struct history *h = &t->history;
    int32_t n = h->ncells;
    size_t count = 0;
    struct cell *merged;

    for (size_t i = 0; i < a->ncells; i++)
        if (a->cells[i].seq >= n)
            n = a->cells[i].seq + 1;
    merged = calloc((size_t)n, sizeof *merged);
    if (!merged) {
        task_give_up(t, error_make(CLASS_INTERNAL, "out_of_memory", "no memory left to adopt what is stored of the task"));
        return;
    }
    for (int32_t i = 0; i < h->ncells; i++)
        if (h->cells[i].state != CELL_LOCAL)
            merged[i] = h->cells[i];
    for (size_t i = 0; i < a->ncells; i++)
        merged[a->cells[i].seq] = a->cells[i];
    for (int32_t i = 0; i < n; i++)
        if (merged[i].bytes.at)
            merged[count++] = merged[i];
    worker_count(t->worker->numbers->adopted, (double)a->ncells);
    become(t, merged, count, a);
    free(merged);
}

void task_saved(struct task *t, const struct cells_answer *a)
{
    struct history *h = &t->history;

    if (failed(a->error)) {
        sent_become(h, CELL_LOCAL);
        task_wait(t, OUTAGE_REDIS, loop_now_ms(t->worker->loop) + backoff_ms(500, 2000, 2, &t->worker->seed));
        return;
    }
    t->stops_seen = t->stops_asked;
    if (a->written) { /* whatever kills workers, this step did not */
        t->suspect = false;
        task_turn_over(t);
    }
    t->cancel_asked |= a->cancel;
    if (a->session_tokens)
        t->session_tokens = a->session_tokens;
    if (RULE(gone_stands) && a->status == CELLS_GONE) {
        if (task_refold(t, a->cells, a->ncells))
            task_stand(t, a);
    } else if (RULE(offer_whole) && a->status == CELLS_STALE && !t->writing.offered) {
        worker_count(t->worker->numbers->stale, 1);
        t->writing.offered = true;
        sent_become(h, CELL_LOCAL);
        send(t, true);
    } else if (a->status == CELLS_STALE) {
        become(t, a->cells, a->ncells, a);
    } else if (a->ncells) {
        adopt(t, a);
    } else {
        sent_become(h, CELL_STORED);
        t->writing = (struct cells_writing){.group_first = h->group_first, .model_seq = -1};
        task_emit_all(t);
        task_continue(t);
    }
}
