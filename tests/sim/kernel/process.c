/* Simulated processes: worker_run and its helper threads as strands, one life each. */
#include <signal.h>

#include "kernel.h"
#include "stepmill/config.h"
#include "stepmill/error.h"
#include "stepmill/worker.h"
#include "world.h"

enum { PROCESSES_MAX = 200, STRANDS_MAX = 16, WAKES_MAX = 16 };

struct news {
    struct news *next;
    void (*fn)(void *ctx);
    void *ctx;
};

struct sim_process {
    int number;
    const char *slot;
    bool alive, draining;
    int64_t stopped_from, stopped_until;
    struct strand *strands[STRANDS_MAX]; /* the first runs the loop */
    size_t nstrands;
    struct loop *loop;
    struct news *first, **last, *spare;
    void *wakes[WAKES_MAX];
    struct config config;
    struct log log;
    struct worker_options options;
};

static struct {
    struct sim_process *live[PROCESSES_MAX];
    size_t nlive, killed;
    int started;
} all;

struct sim_process *sim_self(void) { return strand_self() ? strand_process(strand_self()) : NULL; }
bool process_is_alive(const struct sim_process *p) { return p->alive; }
int process_number(const struct sim_process *p) { return p->number; }
int64_t process_stopped_until(const struct sim_process *p) { return p->stopped_until; }
void **process_wakes(struct sim_process *p) { return p->wakes; }

void processes_begin(void)
{
    all.nlive = all.killed = 0;
    all.started = 0;
}

static void end(struct sim_process *p)
{
    size_t i = 0;

    p->alive = false;
    while (all.live[i] != p)
        i++;
    for (all.nlive--; i < all.nlive; i++)
        all.live[i] = all.live[i + 1];
}

static void live(void *process)
{
    struct sim_process *p = process;
    int status = worker_run(&p->options);

    sim_note("the worker has ended with status %d", status);
    for (size_t i = 1; i < p->nstrands; i++)
        if (!strand_has_ended(p->strands[i]))
            bug("the worker returned while a thread of it runs");
    end(p);
}

struct sim_process *process_start(const char *slot)
{
    struct sim_process *p;

    if (all.started == PROCESSES_MAX)
        return NULL;
    p = memory_take(world_memory(), sizeof *p);
    *p = (struct sim_process){.number = all.started++, .slot = slot, .alive = true};
    p->last = &p->first;
    p->config = world_config();
    p->config.worker.slot = slot;
    p->log = (struct log){.level = kernel_options()->deep ? LOG_LEVEL_INFO : LOG_LEVEL_ERROR + 1, .fd = 2, .role = "worker"};
    p->options = (struct worker_options){.config = &p->config, .log = &p->log};
    all.live[all.nlive++] = p;
    sim_note("worker %d starts in slot %s", p->number, slot);
    strand_new(p, live, p);
    return p;
}

void process_add_strand(struct sim_process *p, struct strand *s)
{
    if (p->nstrands == STRANDS_MAX)
        bug("worker %d has more than %d threads", p->number, STRANDS_MAX);
    p->strands[p->nstrands++] = s;
}

void process_kill(struct sim_process *p)
{
    sim_note("worker %d is killed", p->number);
    all.killed++;
    end(p);
}

void sim_kill(struct sim_process *p)
{
    if (p->alive)
        process_kill(p);
}

void sim_strike(struct sim_process *p)
{
    if (!p->alive || p->stopped_until > sim_now_ms())
        return;
    if (sim_below(3))
        process_kill(p);
    else
        process_stop(p, 1000 + (int64_t)sim_below(40 * 1000));
}

void process_stop(struct sim_process *p, int64_t ms)
{
    sim_note("worker %d is stopped for %lld ms", p->number, (long long)ms);
    p->stopped_from = sim_now_ms();
    p->stopped_until = sim_now_ms() + ms;
}

static void terminate(void *process)
{
    struct sim_process *p = process;

    if (p->loop)
        loop_signal(p->loop, SIGTERM);
}

bool sim_is_alive(const struct sim_process *p) { return p->alive; }
int sim_number(const struct sim_process *p) { return p->number; }
size_t sim_killed(void) { return all.killed; }
size_t sim_ended(void) { return (size_t)all.started - all.nlive; }

bool sim_was_stopped(const struct sim_process *p, int64_t *from_ms, int64_t *to_ms)
{
    *from_ms = p->stopped_from;
    *to_ms = p->stopped_until;
    return p->stopped_from && p->stopped_until <= sim_now_ms();
}

bool process_is_draining(const struct sim_process *p) { return p->draining; }

void process_drain(struct sim_process *p)
{
    sim_note("worker %d is asked to drain", p->number);
    p->draining = true;
    sim_deliver(p, 0, terminate, p);
}

struct sim_process *process_of_slot(const char *slot)
{
    for (size_t i = 0; i < all.nlive; i++)
        if (!strcmp(all.live[i]->slot, slot))
            return all.live[i];
    return NULL;
}

void process_take(struct sim_process *p, void (*fn)(void *ctx), void *ctx)
{
    struct news *n = p->spare;

    if (n)
        p->spare = n->next;
    else
        n = memory_take(world_memory(), sizeof *n);
    *n = (struct news){NULL, fn, ctx};
    *p->last = n;
    p->last = &n->next;
    strand_wake(p->strands[0]);
}

bool process_has_news(void) { return sim_self()->first != NULL; }

/* What comes meanwhile waits for the next turn. */
void process_tell(void)
{
    struct sim_process *p = sim_self();
    struct news *n = p->first;

    p->first = NULL;
    p->last = &p->first;
    while (n) {
        struct news *next = n->next;

        n->fn(n->ctx);
        n->next = p->spare;
        p->spare = n;
        n = next;
    }
}

void process_set_loop(struct loop *l) { sim_self()->loop = l; }

/* Each that can, once. True: one did. */
static bool run_strands(struct sim_process *p)
{
    bool any = false;

    for (size_t i = 0; i < p->nstrands && p->alive; i++)
        if (strand_due_ms(p->strands[i]) <= sim_now_ms()) {
            strand_run(p->strands[i]);
            kernel_outcome()->turns++;
            any = true;
        }
    return any;
}

static int64_t next_of(const struct sim_process *p)
{
    int64_t next = INT64_MAX;

    for (size_t i = 0; i < p->nstrands; i++)
        if (strand_due_ms(p->strands[i]) < next)
            next = strand_due_ms(p->strands[i]);
    return next != INT64_MAX && next < p->stopped_until ? p->stopped_until : next;
}

int64_t processes_run(void)
{
    int64_t next = INT64_MAX;

    for (size_t i = 0; i < all.nlive;) {
        struct sim_process *p = all.live[i];
        int64_t at = next_of(p);

        if (at <= sim_now_ms() && run_strands(p))
            at = 0;
        next = at < next ? at : next;
        i += i < all.nlive && all.live[i] == p; /* it may have ended */
    }
    return next;
}
