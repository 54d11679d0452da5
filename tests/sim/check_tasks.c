/* Checks what each record and each task_id was owed, and that results of a key left in the order of its records. */
#include "check_private.h"
#include "world.h"

enum { STARTS_MOST = 8 }; /* without a step: one more, and the task is given up */

static bool deserves_letter(struct slice code)
{
    static const char *const limits[] = {"deadline_exceeded", "refused", "session_budget_exceeded"};

    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++)
        if (slice_is(code, limits[i]))
            return false;
    return true;
}

static bool is_conflict(const struct verdict *v) { return v->letter && slice_is(v->letter->code, "task_id_conflict"); }

static bool same_run(const struct verdict *a, const struct verdict *b)
{
    return a->task == b->task && a->fed->input == b->fed->input && a->fed->redrives == b->fed->redrives;
}

/* A record without result: another one of the same run must have it; of a conflict, one that asks for other work. */
static bool somebody_else_ran(const struct checker *c, const struct verdict *v)
{
    for (size_t i = 0; i < c->nverdicts; i++) {
        const struct verdict *other = &c->verdicts[i];

        if (other == v || other->task != v->task || !other->result || other->fed->kind == FEED_REFUSED)
            continue;
        if (is_conflict(v) ? other->fed->input != v->fed->input : same_run(other, v))
            return true;
    }
    return false;
}

static void check_run(struct checker *c, struct verdict *v)
{
    bool excused = v->task->fed.lost > 0;
    bool failed_for_good = v->result && slice_is(v->result->result.status, "failed") && deserves_letter(v->result->result.error);

    if (is_conflict(v)) {
        if (v->result)
            sim_violation("yields", "%s is a conflict and got a result: it would answer the wrong caller", verdict_name(v));
        else if (!somebody_else_ran(c, v) && !excused)
            sim_violation("yields", "%s is called a conflict, but no other work was done under its task_id", verdict_name(v));
        return;
    }
    if (!v->result && v->letter)
        sim_violation("yields", "%s has a dead letter (%.*s) and no result", verdict_name(v), SLICE_FMT(v->letter->code));
    else if (!v->result && !somebody_else_ran(c, v) && !excused)
        sim_violation("yields", "%s was finished without result, and no other record of its run has one", verdict_name(v));
    else if (v->result && failed_for_good != (v->letter != NULL))
        sim_violation("yields", "%s: its result says %.*s %.*s, and it has %s dead letter", verdict_name(v),
                      SLICE_FMT(v->result->result.status), SLICE_FMT(v->result->result.error), v->letter ? "a" : "no");
}

static void check_poison(struct verdict *v)
{
    if (!v->letter || !slice_is(v->letter->class, "poison"))
        sim_violation("yields", "%s can't be a task and has no dead letter that says so", verdict_name(v));
    if (v->fed->kind == FEED_POISON && v->result)
        sim_violation("yields", "%s has a result although it names no task", verdict_name(v));
    if (v->fed->kind == FEED_REFUSED && (!v->result || !slice_is(v->result->result.status, "failed")))
        sim_violation("yields", "%s names its task and got no failed result", verdict_name(v));
}

/* Promise 2: one result for each run of a task_id. */
static void check_once(struct checker *c, const struct verdict *v)
{
    size_t results = 0;

    if (v->fed->kind == FEED_REFUSED || v->task->fed.lost)
        return;
    for (size_t i = 0; i < c->nverdicts; i++) {
        const struct verdict *other = &c->verdicts[i];

        if (other->task != v->task || other->fed->redrives != v->fed->redrives || other->fed->kind == FEED_REFUSED)
            continue;
        if (other->result && other < v)
            return; /* told with that one */
        results += other->result != NULL;
    }
    if (results > 1)
        sim_violation("one-result", "%.*s, redrive %d, has %zu results", SLICE_FMT(v->task->fed.script.task_id), v->fed->redrives,
                      results);
}

/* DELIVERY §5: rounds used up count only when the models serve others. Of two records with one task_id each is an other. */
static void check_exhausted(const struct checker *c, const struct verdict *v)
{
    bool served = false;

    if (!v->letter || !slice_is(v->letter->class, "exhausted") || slice_is(v->letter->code, "crash_loop"))
        return;
    for (size_t i = 0; i < c->ledger->ntasks; i++)
        served |= (c->ledger->tasks[i] != v->task || !ledger_is_alone(c->ledger, v->task)) &&
                  c->ledger->last_good_ms[i] >= v->task->first_failure_ms;
    if (!served)
        sim_violation("outage", "%s was dead-lettered as exhausted, but the models served nobody else since its first failure",
                      verdict_name(v));
}

/* DELIVERY §2: only a task that kills its workers is given up for that. Where Redis lost the count of one that does, those that
 * began beside it have the higher count. */
static void check_crash_loop(const struct checker *c, const struct verdict *v)
{
    bool might = world_mood() == WORLD_DEADLY ? v->task->fed.was_deadly : sim_killed() >= STARTS_MOST;

    for (size_t i = 0; i < c->ledger->ntasks; i++)
        might |= c->ledger->tasks[i]->fed.was_deadly && c->ledger->tasks[i]->fed.lost;
    if (v->letter && slice_is(v->letter->code, "crash_loop") && !might)
        sim_violation("crash-loop", "%s was given up as if it killed its workers, and it does not", verdict_name(v));
}

void check_tasks(struct checker *c)
{
    for (size_t i = 0; i < c->nverdicts; i++) {
        struct verdict *v = &c->verdicts[i];

        if (!v->txn)
            continue; /* said already */
        if (v->fed->kind == FEED_POISON || v->fed->kind == FEED_REFUSED) {
            check_poison(v);
            continue;
        }
        check_run(c, v);
        check_exhausted(c, v);
        check_crash_loop(c, v);
        if (v->result)
            check_once(c, v);
    }
}

/* Results of two sessions may lie in two partitions, where nobody sees which was first. */
static bool same_lane(const struct fed *a, const struct fed *b)
{
    if (!slice_equal(a->task->session_id, b->task->session_id))
        return false;
    return a->key.at && b->key.at && a->partition == b->partition && !strcmp(a->topic, b->topic) && slice_equal(a->key, b->key);
}

/* `records` stand in the order in which they became visible. */
void check_order(struct checker *c)
{
    for (size_t i = 0; i < c->nverdicts; i++)
        for (size_t k = 0; k < c->nverdicts; k++) {
            const struct verdict *first = &c->verdicts[i], *second = &c->verdicts[k];

            if (!first->result || !second->result || first->fed->redrives || second->fed->redrives ||
                first->fed->offset >= second->fed->offset || !same_lane(first->fed, second->fed))
                continue;
            if (first->result->record > second->result->record && !first->result->unsure && !second->result->unsure)
                sim_violation("order", "the result of %s left before that of %s, which came first", verdict_name(second),
                              verdict_name(first));
        }
}
