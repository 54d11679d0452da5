/* include/stepmill/loop.h over simulated time: one turn is what came, then due timers, then the hooks. */
#include "stepmill/loop.h"

#include <stdlib.h>

#include "kernel.h"
#include "stepmill/error.h"
#include "timer_heap.h"

enum { HOOKS_MAX = 8, SIGNALS_MAX = 8 };

struct loop {
    struct timer_heap timers;
    struct {
        bool (*hook)(void *ctx);
        void *ctx;
    } hooks[HOOKS_MAX];
    int nhooks;
    struct {
        int signo;
        void (*callback)(void *ctx, int signo);
        void *ctx;
    } signals[SIGNALS_MAX];
    int nsignals;
    bool stopped, more;
    uint64_t turns;
};

struct loop *loop_new(void)
{
    struct loop *l = calloc(1, sizeof *l);

    if (!l)
        bug("no memory for a loop");
    process_set_loop(l);
    return l;
}

void loop_free(struct loop *l)
{
    process_set_loop(NULL);
    free(l);
}

void loop_signal(struct loop *l, int signo)
{
    for (int i = 0; i < l->nsignals; i++)
        if (l->signals[i].signo == signo) {
            l->signals[i].callback(l->signals[i].ctx, signo);
            return;
        }
}

/* As the product's: what a callback sets anew comes in a later turn. */
static void fire(struct loop *l)
{
    uint64_t last = l->timers.order;
    struct loop_timer *t;

    while ((t = l->timers.root) && t->due_ms <= sim_now_ms() && t->order <= last) {
        timer_heap_remove(&l->timers, t);
        t->callback(t->ctx);
    }
}

static bool must_turn(const struct loop *l)
{
    return l->more || process_has_news() || (l->timers.root && l->timers.root->due_ms <= sim_now_ms());
}

void loop_turn(struct loop *l, bool wait)
{
    if (wait && !must_turn(l))
        do
            strand_sleep(l->timers.root ? l->timers.root->due_ms : INT64_MAX);
        while (!must_turn(l));
    else
        strand_sleep(sim_now_ms()); /* others have their turn too */
    process_tell();
    fire(l);
    l->more = false;
    for (int i = 0; i < l->nhooks; i++)
        l->more |= l->hooks[i].hook(l->hooks[i].ctx);
    l->turns++;
}

void loop_run(struct loop *l)
{
    l->stopped = false;
    while (!l->stopped)
        loop_turn(l, true);
}

void loop_stop(struct loop *l) { l->stopped = true; }
struct event_base *loop_base(struct loop *l) { return (struct event_base *)(void *)l; }
void loop_breathe(struct loop *l) { (void)l; }

int64_t loop_now_ms(struct loop *l)
{
    (void)l;
    return sim_now_ms();
}

void loop_timer_init(struct loop_timer *t, struct loop *l, void (*callback)(void *ctx), void *ctx)
{
    *t = (struct loop_timer){.loop = l, .callback = callback, .ctx = ctx};
}

void loop_timer_cancel(struct loop_timer *t)
{
    if (loop_timer_is_set(t))
        timer_heap_remove(&t->loop->timers, t);
}

void loop_timer_set(struct loop_timer *t, int64_t delay_ms)
{
    loop_timer_cancel(t);
    timer_heap_add(&t->loop->timers, t, sim_now_ms() + (delay_ms > 0 ? delay_ms : 0));
}

void loop_after_events(struct loop *l, bool (*hook)(void *ctx), void *ctx)
{
    if (l->nhooks == HOOKS_MAX)
        bug("more than %d hooks", HOOKS_MAX);
    l->hooks[l->nhooks].hook = hook;
    l->hooks[l->nhooks++].ctx = ctx;
}

struct error loop_on_signal(struct loop *l, int signo, void (*callback)(void *ctx, int signo), void *ctx)
{
    if (l->nsignals == SIGNALS_MAX)
        bug("more than %d signals", SIGNALS_MAX);
    l->signals[l->nsignals].signo = signo;
    l->signals[l->nsignals].callback = callback;
    l->signals[l->nsignals++].ctx = ctx;
    return error_none();
}

struct loop_stats loop_stats(const struct loop *l) { return (struct loop_stats){.turns = l->turns}; }
void loop_stats_restart_longest(struct loop *l) { (void)l; }
