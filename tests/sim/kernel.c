/* Time, choices and the timeline of one history. */
#include "kernel.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stepmill/error.h"
#include "stepmill/random.h"
#include "stepmill/rule.h"

enum { EVENTS_MAX = 1 << 16, TURNS_MAX = 40 * 1000 };

#define EPOCH_MS INT64_C(1790000000000)

struct event {
    int64_t at_ms;
    uint64_t order;
    struct sim_process *process; /* NULL: the world */
    void (*fn)(void *ctx);
    void *ctx;
};

/* One at a time; functions that stand in for the product's have no argument that leads here. */
static struct kernel {
    struct history_options options;
    struct history_outcome outcome;
    uint64_t random;
    int64_t now_ms;
    struct event events[EVENTS_MAX]; /* a binary heap */
    size_t nevents;
    uint64_t order;
    uint32_t rates[SIM_FAULTS];
    bool faults_over;
} it;

void kernel_begin(const struct history_options *options)
{
    it.options = *options;
    it.outcome = (struct history_outcome){.violations = 0};
    it.random = options->seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
    it.now_ms = 1000;
    it.nevents = 0;
    it.order = 0;
    it.faults_over = false;
    memset(it.rates, 0, sizeof it.rates);
}

void kernel_outcome(struct history_outcome *outcome)
{
    it.outcome.ended_ms = it.now_ms;
    it.outcome.turns = processes_turns();
    *outcome = it.outcome;
}

int64_t sim_now_ms(void) { return it.now_ms; }
int64_t sim_wall_ms(void) { return EPOCH_MS + it.now_ms; }
uint64_t sim_below(uint64_t n) { return random_below(&it.random, n); }

bool sim_optional(void)
{
    size_t number = it.outcome.noptional++;

    return !it.options.left_out || number >= LEFT_OUT_MAX || !it.options.left_out[number];
}

bool sim_fault(enum sim_fault kind)
{
    if (it.faults_over || !it.rates[kind] || sim_below(it.rates[kind]) != 0)
        return false;
    return sim_optional();
}

void kernel_set_rate(enum sim_fault kind, uint32_t rate) { it.rates[kind] = rate; }
void kernel_end_faults(void) { it.faults_over = true; }
bool kernel_is_told(void) { return it.options.told; }
bool sim_rule_is_off(struct slice name) { return it.options.rule_off && slice_is(name, it.options.rule_off); }

bool sim_rule_is_on(const char *name) { return !it.options.rule_off || strcmp(name, it.options.rule_off) != 0; }

static void say(const char *format, va_list args)
{
    char who[16] = "     ";

    if (sim_self())
        snprintf(who, sizeof who, "w%-4d", process_number(sim_self()));
    printf("%9.3f %s ", (double)it.now_ms / 1000, who);
    vprintf(format, args);
    putchar('\n');
}

void sim_note(const char *format, ...)
{
    va_list args;

    if (!it.options.told)
        return;
    va_start(args, format);
    say(format, args);
    va_end(args);
}

void sim_violation(const char *rule, const char *format, ...)
{
    char text[1024];
    va_list args;

    if (it.outcome.violations++ == 0)
        snprintf(it.outcome.rule, sizeof it.outcome.rule, "%s", rule);
    if (!it.options.told)
        return;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    sim_note("VIOLATION %s: %s", rule, text);
}

static bool before(const struct event *a, const struct event *b)
{
    return a->at_ms < b->at_ms || (a->at_ms == b->at_ms && a->order < b->order);
}

static void add(struct event e)
{
    size_t at = it.nevents++;

    if (it.nevents == EVENTS_MAX)
        bug("more than %d events wait", EVENTS_MAX);
    e.at_ms = e.at_ms < it.now_ms ? it.now_ms : e.at_ms;
    e.order = it.order++;
    for (; at > 0 && before(&e, &it.events[(at - 1) / 2]); at = (at - 1) / 2)
        it.events[at] = it.events[(at - 1) / 2];
    it.events[at] = e;
}

static struct event take_first(void)
{
    struct event first = it.events[0], last = it.events[--it.nevents];
    size_t at = 0;

    for (;;) {
        size_t child = 2 * at + 1;

        if (child >= it.nevents)
            break;
        if (child + 1 < it.nevents && before(&it.events[child + 1], &it.events[child]))
            child++;
        if (!before(&it.events[child], &last))
            break;
        it.events[at] = it.events[child];
        at = child;
    }
    it.events[at] = last;
    return first;
}

void sim_later(int64_t delay_ms, void (*fn)(void *ctx), void *ctx)
{
    add((struct event){.at_ms = it.now_ms + delay_ms, .fn = fn, .ctx = ctx});
}

void sim_deliver(struct sim_process *p, int64_t delay_ms, void (*fn)(void *ctx), void *ctx)
{
    add((struct event){.at_ms = it.now_ms + delay_ms, .process = p, .fn = fn, .ctx = ctx});
}

static void happen(const struct event *e)
{
    if (e->process)
        process_take(e->process, e->fn, e->ctx);
    else
        e->fn(e->ctx);
}

static void happen_now(void)
{
    while (it.nevents && it.events[0].at_ms <= it.now_ms) {
        struct event e = take_first();

        happen(&e);
    }
}

bool kernel_run_until(int64_t end_ms)
{
    while (processes_turns() <= TURNS_MAX) {
        int64_t next;

        if (processes_run())
            continue;
        next = processes_next_ms();
        if (it.nevents && it.events[0].at_ms < next)
            next = it.events[0].at_ms;
        if (next >= end_ms) {
            it.now_ms = end_ms > it.now_ms ? end_ms : it.now_ms;
            return true;
        }
        it.now_ms = next > it.now_ms ? next : it.now_ms;
        happen_now();
    }
    sim_violation("runs-away", "the workers turned %d times and are not done", TURNS_MAX);
    return false;
}
