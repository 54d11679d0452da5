/* Time, choices and the timeline of one history. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel.h"
#include "stepmill/error.h"
#include "stepmill/random.h"
#include "stepmill/rule.h"

enum { EVENTS_MAX = 1 << 16, TURNS_MAX = 400 * 1000 };

#define EPOCH_MS INT64_C(1790000000000)

enum event_kind { EVENT_WORLD, EVENT_TELL, EVENT_ASIDE };

struct sim_event {
    int64_t at_ms;
    uint64_t order;
    enum event_kind kind;
    struct sim_process *process;
    void (*fn)(void *ctx);
    void *ctx;
};

/* One at a time; functions that stand in for the product's have no argument that leads here. */
static struct kernel {
    struct history_options options;
    struct history_outcome outcome;
    uint64_t random, product_random;
    uint64_t chances[SIM_FAULTS]; /* asked so far */
    int64_t now_ms, last_us;
    struct sim_event events[EVENTS_MAX]; /* a binary heap */
    size_t nevents;
    uint64_t order;
    uint32_t rates[SIM_FAULTS];
    bool faults_over;
    const struct sim_process *speaker; /* for whom an event aside happens */
} it;

void kernel_begin(const struct history_options *options)
{
    it.options = *options;
    it.outcome = (struct history_outcome){.violations = 0};
    it.random = options->seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
    it.product_random = it.random ^ UINT64_C(0x5851f42d4c957f2d);
    it.now_ms = 1000;
    it.last_us = 0;
    it.nevents = 0;
    it.order = 0;
    it.faults_over = false;
    it.speaker = NULL;
    memset(it.rates, 0, sizeof it.rates);
    memset(it.chances, 0, sizeof it.chances);
}

const struct history_options *kernel_options(void) { return &it.options; }

struct history_outcome *kernel_outcome(void)
{
    it.outcome.ended_ms = it.now_ms;
    return &it.outcome;
}

int64_t sim_now_ms(void) { return it.now_ms; }
int64_t sim_wall_ms(void) { return EPOCH_MS + it.now_ms; }
uint64_t sim_below(uint64_t n) { return random_below(&it.random, n); }

/* Two runners that write the same thing at the same moment must be told apart, as by real clocks. */
int64_t kernel_unique_us(void)
{
    int64_t us = sim_wall_ms() * 1000;

    return it.last_us = us > it.last_us ? us : it.last_us + 1;
}

void kernel_random(void *to, size_t n)
{
    char *at = to;

    while (n) {
        uint64_t bits = random_next(&it.product_random);
        size_t part = n < sizeof bits ? n : sizeof bits;

        memcpy(at, &bits, part);
        at += part;
        n -= part;
    }
}

bool sim_optional(void)
{
    size_t number = it.outcome.noptional++;

    return !it.options.left_out || number >= LEFT_OUT_MAX || !it.options.left_out[number];
}

/* Each chance has a number of its kind, and is decided by seed and number alone: leaving a fault out moves no other of them. */
bool sim_fault(enum sim_fault kind)
{
    uint64_t state = it.options.seed * 31 + kind + (it.chances[kind]++ << 8);

    if (it.faults_over || it.options.mild || !it.rates[kind] || random_below(&state, it.rates[kind]) != 0 || !sim_optional())
        return false;
    it.outcome.faults[kind]++;
    return true;
}

uint32_t sim_faults(enum sim_fault kind) { return it.outcome.faults[kind]; }
void kernel_set_rate(enum sim_fault kind, uint32_t rate) { it.rates[kind] = rate; }
void kernel_end_faults(void) { it.faults_over = true; }
bool kernel_faults_are_over(void) { return it.faults_over; }

/* Among the names, which stand with '+' between them: of rules that hold one promise together. */
bool sim_rule_is_off(struct slice name)
{
    for (const char *at = it.options.rule_off; at;) {
        size_t len = strcspn(at, "+");

        if (len == name.len && !memcmp(at, name.at, len))
            return true;
        at = at[len] ? at + len + 1 : NULL;
    }
    return false;
}

bool sim_rule_is_on(const char *name) { return !it.options.rule_off || !sim_rule_is_off(slice_of(name)); }

static void say(const char *format, va_list args)
{
    const struct sim_process *who = sim_self() ? sim_self() : it.speaker;
    char name[16] = "        ";

    if (who)
        snprintf(name, sizeof name, "worker %d", process_number(who));
    printf("%9.3f s  %-9s ", (double)it.now_ms / 1000, name);
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
    char text[512];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (it.outcome.violations++ == 0) {
        snprintf(it.outcome.rule, sizeof it.outcome.rule, "%s", rule);
        snprintf(it.outcome.text, sizeof it.outcome.text, "%s", text);
    }
    sim_note("VIOLATION %s: %s", rule, text);
}

static bool before(const struct sim_event *a, const struct sim_event *b)
{
    return a->at_ms < b->at_ms || (a->at_ms == b->at_ms && a->order < b->order);
}

static void add(struct sim_event e)
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

static struct sim_event take_first(void)
{
    struct sim_event first = it.events[0], last = it.events[--it.nevents];
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
    add((struct sim_event){.at_ms = it.now_ms + delay_ms, .kind = EVENT_WORLD, .fn = fn, .ctx = ctx});
}

void sim_deliver(struct sim_process *p, int64_t delay_ms, void (*fn)(void *ctx), void *ctx)
{
    add((struct sim_event){.at_ms = it.now_ms + delay_ms, .kind = EVENT_TELL, .process = p, .fn = fn, .ctx = ctx});
}

void kernel_aside(struct sim_process *p, int64_t delay_ms, void (*fn)(void *ctx), void *ctx)
{
    add((struct sim_event){.at_ms = it.now_ms + delay_ms, .kind = EVENT_ASIDE, .process = p, .fn = fn, .ctx = ctx});
}

/* Equal seeds must give equal fingerprints, whatever ran before in this process. */
static void leave_print(const struct sim_event *e)
{
    uint64_t what = (uint64_t)e->at_ms << 16 | (uint64_t)e->kind << 12 | (uint64_t)(e->process ? process_number(e->process) : 0);

    it.outcome.fingerprint = (it.outcome.fingerprint ^ what ^ it.outcome.turns << 40) * UINT64_C(1099511628211);
}

static void happen(struct sim_event *e)
{
    leave_print(e);
    if (e->kind == EVENT_WORLD) {
        e->fn(e->ctx);
    } else if (!process_is_alive(e->process)) {
        return;
    } else if (e->kind == EVENT_TELL) {
        process_take(e->process, e->fn, e->ctx);
    } else if (process_stopped_until(e->process) > it.now_ms) {
        e->at_ms = process_stopped_until(e->process);
        add(*e);
    } else {
        it.speaker = e->process;
        e->fn(e->ctx);
        it.speaker = NULL;
    }
}

static void happen_now(void)
{
    while (it.nevents && it.events[0].at_ms <= it.now_ms) {
        struct sim_event e = take_first();

        happen(&e);
    }
}

bool kernel_run_until(int64_t end_ms)
{
    for (uint64_t n = 0; n < TURNS_MAX && !it.outcome.violations; n++) {
        int64_t next = processes_run();

        if (next == 0)
            continue;
        if (it.nevents && it.events[0].at_ms < next)
            next = it.events[0].at_ms;
        if (next >= end_ms) {
            it.now_ms = end_ms > it.now_ms ? end_ms : it.now_ms;
            return true;
        }
        it.now_ms = next > it.now_ms ? next : it.now_ms;
        happen_now();
    }
    if (!it.outcome.violations)
        sim_violation("runs-away", "the workers turned %d times within %lld ms", TURNS_MAX, (long long)(end_ms - it.now_ms));
    return false;
}
