/* Simulated processes: worker_run as a coroutine, one life each; killed is never switched to again. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "broker.h"
#include "kernel.h"
#include "stepmill/config.h"
#include "stepmill/error.h"
#include "stepmill/worker.h"
#include "world.h"

enum { PROCESSES_MAX = 200, STACK = 256 * 1024, INBOX = 4096, SESSION_TIMEOUT_MS = 10000 };

struct sim_process {
    int number;
    const char *slot;
    bool alive, fresh;
    int64_t stopped_until;
    ucontext_t context;
    struct loop *loop;
    struct {
        void (*fn)(void *ctx);
        void *ctx;
    } inbox[INBOX];
    size_t told, came;
    struct broker_member *member;
    struct txn_place txn;
    struct config config;
    struct log log;
    struct worker_options options;
};

static struct processes {
    struct sim_process *at[PROCESSES_MAX];
    size_t n;
    struct sim_process *running;
    ucontext_t kernel;
    uint64_t turns;
    void *stacks[PROCESSES_MAX]; /* kept from history to history */
} all;

struct sim_process *sim_self(void) { return all.running; }
bool process_is_alive(const struct sim_process *p) { return p->alive; }
int process_number(const struct sim_process *p) { return p->number; }
const char *process_slot(const struct sim_process *p) { return p->slot; }
int64_t process_stopped_until(const struct sim_process *p) { return p->stopped_until; }
size_t process_count(void) { return all.n; }
struct sim_process *process_at(size_t i) { return all.at[i]; }
struct broker_member *process_member(struct sim_process *p) { return p->member; }
struct txn_place *process_txn(struct sim_process *p) { return &p->txn; }
uint64_t processes_turns(void) { return all.turns; }

void processes_begin(void)
{
    all.n = 0;
    all.turns = 0;
    all.running = NULL;
}

static void live(void)
{
    struct sim_process *p = all.running;
    int status = worker_run(&p->options);

    sim_note("the worker returned %d", status);
    p->alive = false;
    broker_ended(p->member);
    for (;;)
        process_yield();
}

static void *stack_of(size_t i)
{
    if (all.stacks[i])
        return all.stacks[i];
    all.stacks[i] = mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (all.stacks[i] == MAP_FAILED)
        bug("no memory for a stack");
    return all.stacks[i];
}

struct sim_process *process_start(const char *slot)
{
    struct sim_process *p;

    if (all.n == PROCESSES_MAX)
        return NULL;
    p = memory_take(world_memory(), sizeof *p);
    *p = (struct sim_process){.number = (int)all.n, .slot = slot, .alive = true, .fresh = true};
    p->member = broker_member_new(p);
    p->config = world_config();
    p->config.worker.slot = slot;
    p->log = (struct log){.level = kernel_is_told() ? LOG_LEVEL_INFO : LOG_LEVEL_ERROR + 1, .fd = 2, .role = "worker"};
    p->options = (struct worker_options){.config = &p->config, .log = &p->log};
    getcontext(&p->context);
    p->context.uc_stack.ss_sp = stack_of(all.n);
    p->context.uc_stack.ss_size = STACK;
    makecontext(&p->context, live, 0);
    all.at[all.n++] = p;
    sim_note("worker %d starts in slot %s", p->number, slot);
    return p;
}

void process_kill(struct sim_process *p)
{
    sim_note("worker %d is killed", p->number);
    p->alive = false;
    broker_died(p->member);
}

void process_stop(struct sim_process *p, int64_t ms)
{
    sim_note("worker %d is stopped for %lld ms", p->number, (long long)ms);
    p->stopped_until = sim_now_ms() + ms;
    broker_stopped(p->member, p->stopped_until);
}

static void terminate(void *process)
{
    struct sim_process *p = process;

    if (p->loop)
        loop_signal(p->loop, 15);
}

void process_drain(struct sim_process *p)
{
    sim_note("worker %d is asked to drain", p->number);
    sim_deliver(p, 0, terminate, p);
}

struct sim_process *process_of_slot(const char *slot)
{
    for (size_t i = all.n; i-- > 0;)
        if (all.at[i]->alive && !strcmp(all.at[i]->slot, slot))
            return all.at[i];
    return NULL;
}

void process_take(struct sim_process *p, void (*fn)(void *ctx), void *ctx)
{
    if (!p->alive)
        return;
    if (p->came == INBOX)
        bug("worker %d has %d messages waiting", p->number, INBOX);
    p->inbox[p->came].fn = fn;
    p->inbox[p->came++].ctx = ctx;
}

void process_tell(void)
{
    struct sim_process *p = all.running;

    for (size_t end = p->came; p->told < end; p->told++)
        p->inbox[p->told].fn(p->inbox[p->told].ctx);
    if (p->told == p->came)
        p->told = p->came = 0;
}

struct loop *process_set_loop(struct loop *l)
{
    all.running->loop = l;
    return l;
}

void process_yield(void)
{
    struct sim_process *p = all.running;

    all.running = NULL;
    swapcontext(&p->context, &all.kernel);
}

static bool can_run(const struct sim_process *p)
{
    return p->alive && p->stopped_until <= sim_now_ms() && (p->fresh || p->told < p->came || (p->loop && loop_has_work(p->loop)));
}

bool processes_run(void)
{
    bool any = false;

    for (size_t i = 0; i < all.n; i++) {
        struct sim_process *p = all.at[i];

        if (!can_run(p))
            continue;
        p->fresh = false;
        all.running = p;
        all.turns++;
        swapcontext(&all.kernel, &p->context);
        any = true;
    }
    return any;
}

int64_t processes_next_ms(void)
{
    int64_t next = INT64_MAX;

    for (size_t i = 0; i < all.n; i++) {
        const struct sim_process *p = all.at[i];
        int64_t at = !p->alive ? INT64_MAX : p->told < p->came || p->fresh ? 0 : p->loop ? loop_next_ms(p->loop) : INT64_MAX;

        if (at != INT64_MAX && at < p->stopped_until)
            at = p->stopped_until;
        if (at < next)
            next = at;
    }
    return next;
}
