/* Strands and how one gives way to another. */
#include "strand.h"

#include <string.h>
#include <sys/mman.h>

#include "kernel.h"
#include "stepmill/error.h"
#include "world.h"

enum { STACK = 256 * 1024, GUARD = 4096, STACKS_MAX = 4096 };

#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__)
#define BY_HAND 1
#else
#define BY_HAND 0
#include <ucontext.h>
#endif

struct strand {
    struct strand_turn turn; /* first */
    struct sim_process *process;
    void (*main)(void *ctx);
    void *ctx;
    bool ended;
#if BY_HAND
    void *at; /* its stack pointer while it sleeps */
#else
    ucontext_t at;
#endif
};

static struct {
    struct strand *running;
    void *stacks[STACKS_MAX]; /* kept from history to history */
    size_t used;
#if BY_HAND
    void *world;
#else
    ucontext_t world;
#endif
} all;

#if BY_HAND
/* Saves what a call must keep, changes the stack, takes back what the other saved: glibc's swapcontext asks the kernel twice. */
void strand_switch(void **from, void *to);
__asm__(".text\n"
        ".globl strand_switch\n"
        ".type strand_switch, @function\n"
        "strand_switch:\n"
        "    pushq %rbp\n"
        "    pushq %rbx\n"
        "    pushq %r12\n"
        "    pushq %r13\n"
        "    pushq %r14\n"
        "    pushq %r15\n"
        "    movq %rsp, (%rdi)\n"
        "    movq %rsi, %rsp\n"
        "    popq %r15\n"
        "    popq %r14\n"
        "    popq %r13\n"
        "    popq %r12\n"
        "    popq %rbx\n"
        "    popq %rbp\n"
        "    ret\n"
        ".size strand_switch, .-strand_switch\n");
#endif

static void leave(struct strand *s)
{
    all.running = NULL;
#if BY_HAND
    strand_switch(&s->at, all.world);
#else
    swapcontext(&s->at, &all.world);
#endif
}

static void begin(void)
{
    struct strand *s = all.running;

    s->main(s->ctx);
    s->ended = true;
    s->turn.due_ms = INT64_MAX;
    s->turn.woken = false; /* a wake-up that came in its last turn */
    for (;;)
        leave(s);
}

static char *take_stack(void)
{
    char *at;

    if (all.used == STACKS_MAX)
        bug("more than %d strands in one history", STACKS_MAX);
    if (!all.stacks[all.used]) {
        at = mmap(NULL, STACK + GUARD, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (at == MAP_FAILED || mprotect(at, GUARD, PROT_NONE) < 0)
            bug("no memory for a stack");
        all.stacks[all.used] = at + GUARD;
    }
    return all.stacks[all.used++];
}

static void prepare(struct strand *s, char *stack)
{
#if BY_HAND
    void **top = (void **)(void *)(stack + STACK) - 1; /* aligned as after a call */
    void (*entry)(void) = begin;

    *top = NULL; /* nobody to return to */
    memcpy(--top, &entry, sizeof entry);
    for (int i = 0; i < 6; i++)
        *--top = NULL;
    s->at = top;
#else
    getcontext(&s->at);
    s->at.uc_stack.ss_sp = stack;
    s->at.uc_stack.ss_size = STACK;
    makecontext(&s->at, begin, 0);
#endif
}

void strands_begin(void)
{
    all.used = 0;
    all.running = NULL;
}

struct strand *strand_new(struct sim_process *p, void (*main)(void *ctx), void *ctx)
{
    struct strand *s = memory_take(world_memory(), sizeof *s);

    *s = (struct strand){.process = p, .main = main, .ctx = ctx, .turn = {INT64_MAX, true}};
    prepare(s, take_stack());
    process_add_strand(p, s);
    return s;
}

struct strand *strand_self(void) { return all.running; }
bool strand_has_ended(const struct strand *s) { return s->ended; }
struct sim_process *strand_process(const struct strand *s) { return s->process; }

bool strand_sleep(int64_t until_ms)
{
    struct strand *s = all.running;
    bool woken;

    if (!s)
        bug("the world can't sleep");
    s->turn.due_ms = until_ms;
    if (!s->turn.woken)
        leave(s);
    woken = s->turn.woken;
    s->turn.woken = false;
    s->turn.due_ms = INT64_MAX;
    return woken;
}

void strand_wake(struct strand *s)
{
    if (!s->ended)
        s->turn.woken = true;
}

void strand_run(struct strand *s)
{
    if (s->ended || all.running)
        bug("a strand can't run now");
    all.running = s;
#if BY_HAND
    strand_switch(&all.world, s->at);
#else
    swapcontext(&all.world, &s->at);
#endif
}
