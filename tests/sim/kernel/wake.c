/* What the Kafka files use of the real loop beside loop.h: eventfds (src/io/kafka_wake.h) and libevent's timers. */
#include "kafka_wake.h"

#include <event2/event.h>
#include <stdlib.h>

#include "kernel.h"
#include "stepmill/error.h"
#include "stepmill/loop.h"
#include "world.h"

enum { WAKES_MAX = 16 };

/* One descriptor; in the world's memory, for posts may be under way when it is closed. */
struct wake {
    void (*wake)(void *context);
    void *context;
    bool open, posted;
};

bool kafka_wake_open(struct kafka_wake *w, struct event_base *base, void (*wake)(void *context), void *context)
{
    void **wakes = process_wakes(sim_self());
    int fd = 0;

    (void)base;
    while (fd < WAKES_MAX && wakes[fd])
        fd++;
    if (fd == WAKES_MAX)
        bug("a process has opened more than %d wakes", WAKES_MAX);
    wakes[fd] = memory_take(world_memory(), sizeof(struct wake));
    *(struct wake *)wakes[fd] = (struct wake){wake, context, true, false};
    *w = (struct kafka_wake){.fd = fd, .wake = wake, .context = context};
    return true;
}

static void ring(void *wake)
{
    struct wake *w = wake;

    w->posted = false;
    if (w->open)
        w->wake(w->context);
}

void wake_ring(struct sim_process *p, int fd)
{
    struct wake *w = fd < 0 ? NULL : process_wakes(p)[fd];

    if (!w || !w->open || w->posted)
        return;
    w->posted = true;
    process_take(p, ring, w);
}

void kafka_wake_post(const struct kafka_wake *w) { wake_ring(sim_self(), w->fd); }

void kafka_wake_close(struct kafka_wake *w)
{
    struct wake *at = w->wake && w->fd >= 0 ? process_wakes(sim_self())[w->fd] : NULL;

    if (at)
        at->open = false;
    *w = (struct kafka_wake){.fd = -1};
}

/* libevent's timers, by which kafka_source.c looks after what waits. */
struct event {
    struct loop_timer timer;
    event_callback_fn callback;
    void *ctx;
};

static void on_timer(void *ctx)
{
    struct event *e = ctx;

    e->callback(-1, EV_TIMEOUT, e->ctx);
}

struct event *event_new(struct event_base *base, evutil_socket_t fd, short what, event_callback_fn callback, void *ctx)
{
    struct event *e = calloc(1, sizeof *e);

    if (fd != -1 || what || !e)
        bug("only timers of libevent are simulated");
    e->callback = callback;
    e->ctx = ctx;
    loop_timer_init(&e->timer, (struct loop *)(void *)base, on_timer, e);
    return e;
}

int event_add(struct event *e, const struct timeval *after)
{
    loop_timer_set(&e->timer, (int64_t)after->tv_sec * 1000 + after->tv_usec / 1000);
    return 0;
}

int event_pending(const struct event *e, short what, struct timeval *when)
{
    (void)when;
    return loop_timer_is_set(&e->timer) ? what : 0;
}

void event_free(struct event *e)
{
    loop_timer_cancel(&e->timer);
    free(e);
}
