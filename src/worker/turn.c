/* A task that may have killed its workers runs alone, and the start of a task that waits for that does not count (DELIVERY §2):
 * else one such task would make all those that were loaded beside it look like it. */
#include "stepmill/cells.h"
#include "stepmill/rule.h"
#include "worker.h"

enum { LOOK_AGAIN_MS = 60 * 1000, LOOK_SOON_MS = 1000 };

/* Calls of others that are under way: one of them may be what kills the worker. Who pauses between two has none out, and might
 * pause for minutes. */
static bool others_are_out(const struct worker *w, const struct task *t)
{
    if (w->tasks[TASK_CALLING].count > (t->state == TASK_CALLING))
        return true;
    for (const struct list_node *n = w->tasks[TASK_ACTING].first; n; n = n->next) {
        const struct task *other = list_entry(n, const struct task, in_state);

        if (other != t && task_tools_are_out(other))
            return true;
    }
    return false;
}

void task_stand_back(struct task *t)
{
    if (t->counted)
        cells_stand_back(t->worker->cells, (struct ticket){0, 0}, t->input.task_id);
    t->counted = false;
}

static void wait_for_turn(struct task *t, int64_t ms)
{
    task_stand_back(t);
    t->turn_began = false;
    task_wait(t, OUTAGE_SUSPECT, loop_now_ms(t->worker->loop) + ms);
}

bool task_waits_its_turn(struct task *t)
{
    struct worker *w = t->worker;

    if (!RULE(suspect_alone) || task_tools_are_out(t) || (!w->suspect && !t->suspect))
        return false;
    if (w->suspect && w->suspect != t) {
        wait_for_turn(t, LOOK_AGAIN_MS);
        return true;
    }
    w->suspect = t; /* from now on nobody else begins a call */
    if (others_are_out(w, t)) {
        wait_for_turn(t, LOOK_SOON_MS);
        return true;
    }
    if (t->counted || t->turn_began)
        return false;
    t->turn_began = true;
    t->loaded = false; /* now its start counts: loading it says so */
    task_wait(t, OUTAGE_SUSPECT, loop_now_ms(w->loop));
    return true;
}

void task_turn_over(struct task *t)
{
    if (t->worker->suspect != t)
        return;
    t->worker->suspect = NULL;
    worker_wake(t->worker, OUTAGE_SUSPECT);
}
