/* When a tool may be called, and how long a call waits for that: not while the tool asked for a pause, not more often than its
 * rate_limit says, and not for ever. */
#include <stdio.h>

#include "stepmill/random.h"
#include "worker.h"

/* The model can do without a tool, or say that it can't: a task that waits until its deadline helps nobody. */
enum { SPREAD_MS = 250, WAITED_MOST_MS = 3 * 60 * 1000, SOON_MS = 1000 };

int64_t tool_wait_ms(struct agent *a, const struct tool *tool)
{
    struct worker *w = a->worker;
    int64_t now = loop_now_ms(w->loop), wait_ms;
    size_t i = 0;

    if (tool->slow_until_ms > now)
        return tool->slow_until_ms - now;
    while (a->tools[i] != tool)
        i++;
    wait_ms = rate_wait_ms(&a->rates[i], tool->definition->rate_limit, now);
    if (!wait_ms)
        return 0;
    metric_add(metric_of(w->numbers->rate_waits, (struct slice[]){a->name, tool->definition->name}), 1);
    return wait_ms + (int64_t)random_below(&w->seed, SPREAD_MS); /* only one of those that wait is next */
}

bool task_tools_are_out(const struct task *t)
{
    for (size_t i = 0; t->runs && i < t->history.ncalls; i++)
        if (t->runs[i].state == RUN_CALLING || t->runs[i].state == RUN_CLAIMING)
            return true;
    return false;
}

void task_pause_run(struct task *t, struct tool_run *run, int64_t until_ms)
{
    run->state = RUN_PAUSE;
    run->wake_ms = until_ms;
    task_arm(t);
}

void task_wait_to_begin(struct task *t, struct tool_run *run, enum outage outage, int64_t until_ms)
{
    int64_t soon = loop_now_ms(t->worker->loop) + SOON_MS;

    run->state = RUN_IDLE;     /* it may have been the claim that failed */
    if (task_tools_are_out(t)) /* the task does not wait as a whole, so nobody wakes it when the outage is over */
        task_pause_run(t, run, until_ms < soon ? until_ms : soon);
    else
        task_wait(t, outage, until_ms);
}

void task_wait_for_tool(struct task *t, struct tool_run *run, int64_t wait_ms)
{
    char text[200];

    run->waited_ms += wait_ms;
    if (run->waited_ms <= WAITED_MOST_MS) {
        task_pause_run(t, run, loop_now_ms(t->worker->loop) + wait_ms);
        return;
    }
    snprintf(text, sizeof text, "error: the tool takes no calls now; it may be called again in %lld s",
             (long long)(wait_ms + 999) / 1000);
    task_fail_run(t, run, text);
}
