/* The ledger of calls: how often each step was paid for, and by whom it was known to be paid already. */
#include "ledger.h"

#include "redis_server.h"
#include "sim.h"
#include "stepmill/cells.h"
#include "stepmill/error.h"
#include "world.h"

enum { GAP_MOST_MS = 5000 }; /* half the session timeout */

struct ledger_task *ledger_task(struct ledger *l, struct slice task_id)
{
    for (size_t i = 0; i < l->ntasks; i++)
        if (slice_equal(l->tasks[i]->fed.script.task_id, task_id))
            return l->tasks[i];
    return NULL;
}

const struct script_task *ledger_script(struct ledger *l, struct slice task_id)
{
    struct ledger_task *t = ledger_task(l, task_id);

    if (!t)
        bug("a call for %.*s, which nobody has fed", SLICE_FMT(task_id));
    return &t->fed.script;
}

bool ledger_was_stored(const struct ledger_task *t, const struct digest *d)
{
    for (size_t i = 0; i < t->nstored; i++)
        if (digest_equal(&t->stored[i], d))
            return true;
    return false;
}

struct ledger_task *ledger_add_task(struct ledger *l, const struct fed_task *fed)
{
    struct ledger_task *t = memory_take(world_memory(), sizeof *t);

    if (l->ntasks == LEDGER_TASKS_MAX)
        bug("more than %d tasks in one history", LEDGER_TASKS_MAX);
    t->fed = *fed;
    t->first_failure_ms = -1;
    return l->tasks[l->ntasks++] = t;
}

struct fed *ledger_add_fed(struct ledger *l, const struct fed *fed)
{
    struct fed *copy = memory_take(world_memory(), sizeof *copy);

    if (l->nfed == LEDGER_FED_MAX)
        bug("more than %d records in one history", LEDGER_FED_MAX);
    *copy = *fed;
    return l->fed[l->nfed++] = copy;
}

struct fed *ledger_fed_at(struct ledger *l, const char *topic, int32_t partition, int64_t offset)
{
    for (size_t i = 0; i < l->nfed; i++)
        if (l->fed[i]->offset == offset && l->fed[i]->partition == partition && !strcmp(l->fed[i]->topic, topic))
            return l->fed[i];
    return NULL;
}

static struct ledger_cell *cell_of(struct ledger_task *t, int32_t seq)
{
    if (seq < 0 || seq >= LEDGER_CELLS)
        bug("cell %d of %.*s: the history has run away", seq, SLICE_FMT(t->fed.script.task_id));
    return &t->cells[seq];
}

static struct ledger_runner *runner_of(struct ledger_task *t, const struct sim_process *process, uint64_t task)
{
    for (size_t i = 0; i < t->nrunners; i++)
        if (t->runners[i].process == process && t->runners[i].task == task)
            return &t->runners[i];
    if (t->nrunners == LEDGER_RUNNERS_MAX)
        bug("more than %d processes ran one task", LEDGER_RUNNERS_MAX);
    t->runners[t->nrunners] = (struct ledger_runner){process, task, 0};
    return &t->runners[t->nrunners++];
}

void ledger_informed(struct ledger_task *t, const struct sim_process *process, uint64_t task, uint64_t call)
{
    struct ledger_runner *r = runner_of(t, process, task);

    if (call > r->informed)
        r->informed = call;
}

/* DELIVERY §2: the same key means the same call. */
static void check_key(struct ledger *l, const struct http_exchange *x)
{
    for (size_t i = 0; i < l->ncalls; i++) {
        if (!slice_equal(l->calls[i].key, x->key))
            continue;
        if (l->calls[i].body != x->body)
            sim_violation("idempotency", "two calls with the key %.*s have different bodies", SLICE_FMT(x->key));
        return;
    }
    if (l->ncalls == l->calls_room) {
        l->calls_room = l->calls_room ? 2 * l->calls_room : 64;
        l->calls = memory_grow(world_memory(), l->calls, l->ncalls, l->calls_room, sizeof *l->calls);
    }
    l->calls[l->ncalls++] = (struct ledger_call){x->key, x->body};
}

/* DELIVERY §2: a step is stored before the next one begins. The first answer brings cell 0 along. */
static void check_saved(const struct ledger_task *t, const struct http_exchange *x)
{
    int32_t before = x->seq - 1;

    while (x->host->kind == HOST_TOOL && before > 0 && !t->cells[before].model)
        before--;
    if (before > 0 && !t->cells[before].stored && !t->fed.lost)
        sim_violation("save-first", "%.*s/%d is called before cell %d is stored", SLICE_FMT(x->task_id), x->seq, before);
}

bool ledger_is_alone(const struct ledger *l, const struct ledger_task *t)
{
    size_t records = 0;

    for (size_t i = 0; i < l->nfed; i++)
        records += l->fed[i]->task == &t->fed;
    return records == 1;
}

/* DELIVERY §2: who was stopped for long makes no call before it knows that its partitions are still its own. While it slept
 * somebody else, so the new owner, has stored this step. */
static void check_zombie(const struct ledger *l, const struct ledger_task *t, const struct http_exchange *x)
{
    const struct sim_process *process = http_port_process(x->port);
    const struct ledger_cell *cell = &t->cells[x->seq];
    int64_t from, to;

    if (!cell->stored || !cell->stored_by || cell->stored_by == process || !sim_was_stopped(process, &from, &to) ||
        to - from <= GAP_MOST_MS || cell->stored_ms < from || cell->stored_ms > to || t->fed.lost || !ledger_is_alone(l, t))
        return;
    sim_violation("zombie", "%.*s/%d is called by a worker that slept while the new owner stored the answer",
                  SLICE_FMT(x->task_id), x->seq);
}

void ledger_called(struct ledger *l, const struct http_exchange *x)
{
    struct ledger_task *t = ledger_task(l, x->task_id);
    const struct sim_process *process = http_port_process(x->port);
    const struct ledger_runner *runner;
    struct ledger_cell *cell;

    if (!t)
        bug("a call for %.*s, which nobody has fed", SLICE_FMT(x->task_id));
    sim_note("calls %s %d for %.*s/%d", x->host->kind == HOST_MODEL ? "model" : "tool", x->host->number, SLICE_FMT(x->task_id),
             x->seq);
    check_key(l, x);
    runner = runner_of(t, process, x->ticket.task);
    cell = cell_of(t, x->seq);
    check_saved(t, x);
    check_zombie(l, t, x);
    if (cell->stored && runner->informed >= cell->stored)
        sim_violation("paid-again", "%.*s/%d is called although Redis told its runner that the answer is stored",
                      SLICE_FMT(x->task_id), x->seq);
    if (x->host->kind == HOST_MODEL && cell->told == process && cell->told_task == x->ticket.task &&
        (!t->fed.lost || t->loads <= 1)) /* what Redis lost it offers again, unless another history took the place */
        sim_violation("paid-again", "%.*s/%d is called although this worker got a good answer for it", SLICE_FMT(x->task_id),
                      x->seq);
}

/* As it was when the task began, whatever the files of this worker say. */
static bool is_once(const struct ledger_task *t, const struct http_exchange *x)
{
    return x->host->kind == HOST_TOOL && ledger_froze_as_once(t, slice_of(script_tool_names[x->host->number]));
}

uint32_t ledger_carried_out(struct ledger *l, const struct http_exchange *x)
{
    struct ledger_task *t = ledger_task(l, x->task_id);
    struct ledger_cell *cell = cell_of(t, x->seq);

    if (world_is_orderly() && cell->asked > cell->failures)
        sim_violation("wasted", "the call %.*s was made again although nothing had failed: its worker went in order",
                      SLICE_FMT(x->key));
    if (is_once(t, x) && cell->asked > 0 && !t->fed.lost)
        sim_violation("once", "the tool call %.*s, which must not be repeated, was carried out %u times", SLICE_FMT(x->key),
                      cell->asked + 1);
    cell->model = x->host->kind == HOST_MODEL;
    return cell->asked++;
}

void ledger_answered(struct ledger *l, const struct http_exchange *x)
{
    struct ledger_task *t = ledger_task(l, x->task_id);
    struct ledger_cell *cell = cell_of(t, x->seq);
    bool good = !failed(x->error) && x->status == 200 && !slice_starts_with(x->body_text, "<");

    if (!good) {
        cell->failures++;
        if (x->host->kind == HOST_MODEL && t->first_failure_ms < 0)
            t->first_failure_ms = sim_now_ms();
        return;
    }
    cell->told = http_port_process(x->port);
    cell->told_task = x->ticket.task;
    for (size_t i = 0; x->host->kind == HOST_MODEL && i < l->ntasks; i++)
        if (l->tasks[i] == t)
            l->last_good_ms[i] = sim_now_ms();
}
