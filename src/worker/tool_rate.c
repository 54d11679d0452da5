/* When a tool may be called: not while it asked for a pause, and not more often than its rate_limit says. */
#include "stepmill/random.h"
#include "worker.h"

enum { SPREAD_MS = 250 };

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
