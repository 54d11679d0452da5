/* The event loop: one libevent thread that turns.
 *
 * One turn is: wait for events → their callbacks → due timers → the after-events hooks, in the order they were added. Tasks store
 * what came in callbacks; the ready list and the reap list are drained in a hook, so nothing is re-entered or freed under a
 * callback.
 *
 * Everything here belongs to the thread that runs the loop, except loop_notifier_post. Callbacks never block; a turn that uses
 * more than 100 ms of CPU is a bug and is counted. Times: monotonic milliseconds.
 */
#ifndef STEPMILL_LOOP_H
#define STEPMILL_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "error.h"

struct event_base;
struct loop;

/* Also makes the process ignore SIGPIPE. NULL: no memory or no descriptor left. */
struct loop *loop_new(void);
/* After loop_run returned, and after the owners of timers, notifiers and modules on this loop were freed. NULL is fine. */
void loop_free(struct loop *l);
/* Turns until loop_stop. */
void loop_run(struct loop *l);
/* One turn; `wait` false: don't sleep for events. For tests and for the last words before exit. */
void loop_turn(struct loop *l, bool wait);
/* loop_run returns after the turn that runs now. */
void loop_stop(struct loop *l);
/* For modules of src/io that watch descriptors by libevent themselves. */
struct event_base *loop_base(struct loop *l);

/* For modules of src/io, at the end of each event callback that may be one of thousands: after 20 ms of events the turn goes on
 * to timers and hooks, and the rest of the events come first in the next turn. */
void loop_breathe(struct loop *l);

/* The time as of the first question in this turn: cheap, the same for all callbacks of a turn. Outside a turn: the clock. */
int64_t loop_now_ms(struct loop *l);

/* One-shot timer, embedded in its owner. Setting, setting again and cancelling never fail and never allocate; 20,000 in flight
 * are fine. Timers of one millisecond fire in the order they were set. The callback may free the timer or set it again. */
struct loop_timer {
    struct loop *loop;
    void (*callback)(void *ctx);
    void *ctx;
    int64_t due_ms;
    uint64_t order;                              /* 0: not set */
    struct loop_timer *child, *sibling, *before; /* pairing heap: first child, next sibling, previous sibling or parent */
};

void loop_timer_init(struct loop_timer *t, struct loop *l, void (*callback)(void *ctx), void *ctx);
/* Fires once, `delay_ms` from loop_now_ms; never in the turn phase that set it, so 0 means "later". A timer already set is moved.
 */
void loop_timer_set(struct loop_timer *t, int64_t delay_ms);
/* Does nothing when not set. A zeroed timer that was never initialised may be cancelled. Must be called before the owner is
 * freed. */
void loop_timer_cancel(struct loop_timer *t);
static inline bool loop_timer_is_set(const struct loop_timer *t) { return t->order != 0; }

/* `hook` runs once after each turn's callbacks and timers. True: there is more to do, so the next turn does not sleep (other
 * events get their share in between). At most 8 hooks (BUG); they live as long as the loop. */
void loop_after_events(struct loop *l, bool (*hook)(void *ctx), void *ctx);

/* `callback` runs on the loop (not in signal context) when the process gets `signo`. At most 8 (BUG). A second call for one signo
 * replaces the first. */
struct error loop_on_signal(struct loop *l, int signo, void (*callback)(void *ctx, int signo), void *ctx) MUST_CHECK;

/* Wakes the loop from another thread: post → `callback` runs on the loop, once for any number of posts before it. */
struct loop_notifier;
/* NULL: no memory or no descriptor left. */
struct loop_notifier *loop_notifier_new(struct loop *l, void (*callback)(void *ctx), void *ctx);
/* Any thread, any time between new and free; never blocks. What was written before the post is seen by the callback. */
void loop_notifier_post(struct loop_notifier *n);
/* The eventfd behind it (non-blocking), for libraries that wake a loop by writing: they must write 8 bytes, a uint64_t of 1
 * (librdkafka's io_event). */
int loop_notifier_fd(const struct loop_notifier *n);
/* On the loop thread, when no thread can post any more. NULL is fine. */
void loop_notifier_free(struct loop_notifier *n);

struct loop_stats {
    uint64_t turns;
    uint64_t slow_turns;  /* over 100 ms of CPU: each is a bug */
    int64_t longest_us;   /* most CPU of one turn since the last loop_stats_restart_longest */
    int64_t last_turn_ms; /* when the last turn ended: /livez looks at it */
    uint64_t timers;      /* set now */
};

struct loop_stats loop_stats(const struct loop *l);
/* Begins a new maximum (the metric is "longest turn since the last scrape"). */
void loop_stats_restart_longest(struct loop *l);

#endif
