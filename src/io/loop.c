/* The event loop: one turn after the other, with timers, hooks, signals and wake-ups from other threads. */
#include "stepmill/loop.h"

#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "stepmill/clock.h"
#include "timer_heap.h"

enum { HOOKS_MAX = 8, SIGNALS_MAX = 8, SLOW_TURN_US = 100 * 1000, LONG_PHASE_MS = 20 };

struct hook {
    bool (*call)(void *ctx);
    void *ctx;
};

struct signal_watch {
    struct event *event;
    void (*callback)(void *ctx, int signo);
    void *ctx;
    int signo;
};

struct loop {
    struct event_base *base;
    struct timer_heap timers;
    /* Wakes the turn for the first timer. Our own timerfd, because libevent's clock is coarse (4 ms) or costs a system call every
     * turn. */
    int alarm_fd;
    struct event *alarm;
    int64_t alarm_ms; /* when it will ring; 0: it will not */
    struct hook hooks[HOOKS_MAX];
    size_t hook_count;
    struct signal_watch signals[SIGNALS_MAX];
    size_t signal_count;
    struct loop_stats stats;
    int64_t now_ms; /* of this turn, 0: nobody asked yet */
    int64_t cpu_us; /* of this thread when the last turn ended; 0: not known */
    bool in_turn;
    bool more;
    bool stop;
};

static void on_alarm(evutil_socket_t fd, short what, void *ctx)
{
    struct loop *l = ctx;

    (void)fd; /* edge-triggered and armed anew each time: nothing to read */
    (void)what;
    l->alarm_ms = 0;
}

static bool open_alarm(struct loop *l)
{
    l->alarm_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (l->alarm_fd < 0)
        return false;
    l->alarm = event_new(l->base, l->alarm_fd, EV_READ | EV_PERSIST | EV_ET, on_alarm, l);
    return l->alarm && event_add(l->alarm, NULL) == 0;
}

struct loop *loop_new(void)
{
    struct loop *l = calloc(1, sizeof *l);
    struct event_config *config = event_config_new();

    if (l && config) {
        l->alarm_fd = -1;
        signal(SIGPIPE, SIG_IGN); /* a write to a socket that the peer has closed must be an error, not the end */
        /* One thread: no locks. Edge-triggered events need epoll. */
        event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
        event_config_require_features(config, EV_FEATURE_ET);
        l->base = event_base_new_with_config(config);
    }
    if (config)
        event_config_free(config);
    if (l && (!l->base || !open_alarm(l))) {
        loop_free(l);
        return NULL;
    }
    return l;
}

void loop_free(struct loop *l)
{
    if (!l)
        return;
    for (size_t i = 0; i < l->signal_count; i++)
        event_free(l->signals[i].event);
    if (l->alarm)
        event_free(l->alarm);
    if (l->alarm_fd >= 0)
        close(l->alarm_fd);
    if (l->base)
        event_base_free(l->base);
    free(l);
}

struct event_base *loop_base(struct loop *l) { return l->base; }

int64_t loop_now_ms(struct loop *l)
{
    if (!l->in_turn)
        return clock_mono_ms();
    if (!l->now_ms)
        l->now_ms = clock_mono_ms();
    return l->now_ms;
}

void loop_timer_init(struct loop_timer *t, struct loop *l, void (*callback)(void *ctx), void *ctx)
{
    *t = (struct loop_timer){.loop = l, .callback = callback, .ctx = ctx};
}

void loop_timer_set(struct loop_timer *t, int64_t delay_ms)
{
    int64_t now = loop_now_ms(t->loop);

    loop_timer_cancel(t);
    if (delay_ms < 0)
        delay_ms = 0;
    timer_heap_add(&t->loop->timers, t, delay_ms > INT64_MAX - now ? INT64_MAX : now + delay_ms);
}

void loop_timer_cancel(struct loop_timer *t)
{
    if (loop_timer_is_set(t))
        timer_heap_remove(&t->loop->timers, t);
}

void loop_breathe(struct loop *l)
{
    if (clock_mono_ms() - loop_now_ms(l) > LONG_PHASE_MS)
        event_base_loopbreak(l->base); /* what is ready and has not run yet comes first in the next turn */
}

/* Fires what is due, for a while. Timers set meanwhile are due at this turn's time at the earliest and come behind, so they wait
 * for the next turn. */
static void fire_timers(struct loop *l)
{
    uint64_t last = l->timers.order;
    int64_t end = clock_mono_ms() + LONG_PHASE_MS;
    struct loop_timer *t;

    while ((t = l->timers.root) && t->due_ms <= loop_now_ms(l) && t->order <= last && clock_mono_ms() <= end) {
        timer_heap_remove(&l->timers, t);
        t->callback(t->ctx);
    }
}

/* Makes the alarm ring for the first timer. An alarm that rings too early is left alone: one idle turn is cheaper than a system
 * call for each time-out that an answer cancels. False: a timer is due now. */
static bool set_alarm(struct loop *l)
{
    struct itimerspec at = {0};
    int64_t due;

    if (!l->timers.root)
        return true;
    due = l->timers.root->due_ms;
    if (due <= loop_now_ms(l))
        return false;
    if (l->alarm_ms && l->alarm_ms <= due)
        return true;
    at.it_value.tv_sec = (time_t)(due / 1000);
    at.it_value.tv_nsec = (long)(due % 1000 * 1000000);
    if (timerfd_settime(l->alarm_fd, TFD_TIMER_ABSTIME, &at, NULL) < 0)
        bug("timerfd_settime: %s", strerror(errno));
    l->alarm_ms = due;
    return true;
}

static void count_turn(struct loop *l)
{
    int64_t cpu_us = clock_thread_us();
    int64_t used = l->cpu_us ? cpu_us - l->cpu_us : 0;

    l->cpu_us = cpu_us;
    l->stats.turns++;
    l->stats.slow_turns += used > SLOW_TURN_US;
    if (used > l->stats.longest_us)
        l->stats.longest_us = used;
}

void loop_turn(struct loop *l, bool wait)
{
    int flags = EVLOOP_ONCE;

    if (!set_alarm(l) || l->more || !wait)
        flags |= EVLOOP_NONBLOCK;
    l->in_turn = true;
    l->now_ms = 0;
    if (event_base_loop(l->base, flags) < 0)
        bug("event_base_loop failed: %s", strerror(errno));
    fire_timers(l);
    l->more = false;
    for (size_t i = 0; i < l->hook_count; i++)
        l->more |= l->hooks[i].call(l->hooks[i].ctx);
    l->in_turn = false;
    count_turn(l);
    l->stats.last_turn_ms = clock_mono_ms();
}

void loop_run(struct loop *l)
{
    l->stop = false;
    l->cpu_us = clock_thread_us();
    while (!l->stop)
        loop_turn(l, true);
}

void loop_stop(struct loop *l) { l->stop = true; }

void loop_after_events(struct loop *l, bool (*hook)(void *ctx), void *ctx)
{
    if (l->hook_count == HOOKS_MAX)
        bug("more than %d hooks on the loop", HOOKS_MAX);
    l->hooks[l->hook_count++] = (struct hook){hook, ctx};
}

static void on_signal(evutil_socket_t signo, short what, void *ctx)
{
    struct signal_watch *w = ctx;

    (void)signo;
    (void)what;
    w->callback(w->ctx, w->signo);
}

struct error loop_on_signal(struct loop *l, int signo, void (*callback)(void *ctx, int signo), void *ctx)
{
    struct signal_watch *w = l->signals;

    while (w < l->signals + l->signal_count && w->signo != signo)
        w++;
    if (w == l->signals + SIGNALS_MAX)
        bug("more than %d signals on the loop", SIGNALS_MAX);
    if (w == l->signals + l->signal_count) {
        w->event = evsignal_new(l->base, signo, on_signal, w);
        if (!w->event || event_add(w->event, NULL) < 0) {
            if (w->event)
                event_free(w->event);
            w->event = NULL;
            return error_make(CLASS_INTERNAL, "signal_failed", "a signal could not be watched");
        }
        l->signal_count++;
    }
    w->callback = callback;
    w->ctx = ctx;
    w->signo = signo;
    return error_none();
}

struct loop_stats loop_stats(const struct loop *l)
{
    struct loop_stats stats = l->stats;

    stats.timers = l->timers.count;
    return stats;
}

void loop_stats_restart_longest(struct loop *l) { l->stats.longest_us = 0; }

struct loop_notifier {
    int fd;
    struct event *event;
    void (*callback)(void *ctx);
    void *ctx;
};

static void on_notice(evutil_socket_t fd, short what, void *ctx)
{
    struct loop_notifier *n = ctx;
    uint64_t posts;

    (void)what;
    /* Read before the callback: a post during it must wake the loop again. */
    if (read(fd, &posts, sizeof posts) == (ssize_t)sizeof posts)
        n->callback(n->ctx);
}

struct loop_notifier *loop_notifier_new(struct loop *l, void (*callback)(void *ctx), void *ctx)
{
    struct loop_notifier *n = calloc(1, sizeof *n);

    if (!n)
        return NULL;
    n->callback = callback;
    n->ctx = ctx;
    n->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (n->fd >= 0)
        n->event = event_new(l->base, n->fd, EV_READ | EV_PERSIST, on_notice, n);
    if (!n->event || event_add(n->event, NULL) < 0) {
        loop_notifier_free(n);
        return NULL;
    }
    return n;
}

void loop_notifier_post(struct loop_notifier *n)
{
    const uint64_t one = 1;

    /* EAGAIN: 2^64 - 2 posts are waiting, so the loop wakes anyway. */
    while (write(n->fd, &one, sizeof one) < 0 && errno == EINTR)
        ;
}

int loop_notifier_fd(const struct loop_notifier *n) { return n->fd; }

void loop_notifier_free(struct loop_notifier *n)
{
    if (!n)
        return;
    if (n->event)
        event_free(n->event);
    if (n->fd >= 0)
        close(n->fd);
    free(n);
}
