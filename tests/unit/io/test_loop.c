/* loop: the order within a turn, timers by the thousand, signals, and wake-ups from another thread. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "stepmill/clock.h"
#include "stepmill/loop.h"
#include "stepmill/random.h"
#include "timer_heap.h"

struct tick {
    struct loop_timer timer;
    struct loop *loop;
    int64_t due_ms;
    int fired;
    int *total;
};

static int64_t last_due;

static void on_tick(void *ctx)
{
    struct tick *t = ctx;

    t->fired++;
    assert_true(clock_mono_ms() >= t->due_ms);
    assert_true(t->due_ms >= last_due); /* in the order they are due */
    last_due = t->due_ms;
    if (--*t->total == 0)
        loop_stop(t->loop);
}

/* 20,000 timers set, half of them cancelled, a quarter moved: each of the rest fires once, in order, not early. */
static void many_timers_fire_once_and_in_order(void **state)
{
    enum { N = 20000 };
    struct loop *l = loop_new();
    struct tick *ticks = calloc(N, sizeof *ticks);
    uint64_t seed = 7;
    int total = 0;

    (void)state;
    last_due = 0;
    for (int i = 0; i < N; i++) {
        int64_t delay = (int64_t)random_below(&seed, 400);

        ticks[i].loop = l;
        ticks[i].total = &total;
        loop_timer_init(&ticks[i].timer, l, on_tick, &ticks[i]);
        loop_timer_set(&ticks[i].timer, delay);
    }
    assert_int_equal(loop_stats(l).timers, N);
    for (int i = 0; i < N; i++) {
        if (i % 2)
            loop_timer_cancel(&ticks[i].timer);
        else if (i % 4)
            loop_timer_set(&ticks[i].timer, (int64_t)random_below(&seed, 400));
        ticks[i].due_ms = ticks[i].timer.due_ms;
        total += i % 2 == 0;
    }
    loop_run(l);
    for (int i = 0; i < N; i++) {
        assert_int_equal(ticks[i].fired, i % 2 == 0);
        assert_false(loop_timer_is_set(&ticks[i].timer));
    }
    assert_int_equal(loop_stats(l).timers, 0);
    free(ticks);
    loop_free(l);
}

static bool fires_before(const struct loop_timer *a, const struct loop_timer *b)
{
    return a->due_ms != b->due_ms ? a->due_ms < b->due_ms : a->order < b->order;
}

/* Setting, moving and cancelling at random against a plain array: the root is always the earliest. */
static void heap_agrees_with_a_plain_model(void **state)
{
    enum { N = 100 };
    struct timer_heap heap = {0};
    struct loop_timer timers[N] = {0};
    uint64_t seed = 99;

    (void)state;
    for (int step = 0; step < 50000; step++) {
        struct loop_timer *t = &timers[random_below(&seed, N)], *first = NULL;
        uint64_t set = 0;

        if (loop_timer_is_set(t))
            timer_heap_remove(&heap, t);
        if (random_below(&seed, 3))
            timer_heap_add(&heap, t, (int64_t)random_below(&seed, 50));
        for (int i = 0; i < N; i++) {
            set += loop_timer_is_set(&timers[i]);
            if (loop_timer_is_set(&timers[i]) && (!first || fires_before(&timers[i], first)))
                first = &timers[i];
        }
        assert_ptr_equal(heap.root, first);
        assert_int_equal(heap.count, set);
    }
}

struct order {
    struct loop *loop;
    struct loop_timer first, second, again;
    char seen[64];
    size_t seen_count;
    int hooks;
    int repeats;
};

static void see(struct order *o, char what)
{
    assert_true(o->seen_count + 1 < sizeof o->seen);
    o->seen[o->seen_count++] = what;
}

static void on_first(void *ctx) { see(ctx, '1'); }
static void on_second(void *ctx) { see(ctx, '2'); }

static void on_again(void *ctx)
{
    struct order *o = ctx;

    see(o, 'a');
    if (++o->repeats < 3)
        loop_timer_set(&o->again, 0); /* in the next turn, not in this one */
}

static bool on_hook(void *ctx)
{
    struct order *o = ctx;

    see(o, 'h');
    return ++o->hooks < 3;
}

static bool on_last_hook(void *ctx)
{
    struct order *o = ctx;

    see(o, 'H');
    if (o->hooks == 4)
        loop_stop(o->loop);
    return false;
}

static void hooks_run_after_timers_once_a_turn(void **state)
{
    struct order o = {.loop = loop_new()};

    (void)state;
    loop_timer_init(&o.first, o.loop, on_first, &o);
    loop_timer_init(&o.second, o.loop, on_second, &o);
    loop_timer_init(&o.again, o.loop, on_again, &o);
    loop_after_events(o.loop, on_hook, &o);
    loop_after_events(o.loop, on_last_hook, &o);
    loop_timer_set(&o.first, 0);
    loop_timer_set(&o.second, 0);
    loop_timer_set(&o.again, 0);
    loop_timer_set(&o.first, 0); /* moved: it fires behind the others */
    {
        struct loop_timer wake;

        loop_timer_init(&wake, o.loop, on_first, &o);
        loop_timer_set(&wake, 30);
        loop_run(o.loop);
        loop_timer_cancel(&wake);
    }
    assert_string_equal(o.seen, "2a1hHahHahH1hH");
    assert_int_equal(loop_stats(o.loop).turns, 4);
    loop_free(o.loop);
}

static void on_self_free(void *ctx)
{
    struct tick *t = ctx;
    struct loop *l = t->loop;

    free(t);
    loop_stop(l);
}

static void a_timer_may_free_itself(void **state)
{
    struct loop *l = loop_new();
    struct tick *t = calloc(1, sizeof *t);
    struct loop_timer zeroed = {0};

    (void)state;
    t->loop = l;
    loop_timer_init(&t->timer, l, on_self_free, t);
    loop_timer_set(&t->timer, 1);
    loop_run(l);
    loop_timer_cancel(&zeroed);
    loop_free(l);
}

struct thread_case {
    struct loop *loop;
    struct loop_notifier *notifier;
    int plain; /* written by the thread before each post, read in the callback: tsan checks the order */
    atomic_int posted;
    int seen;
};

static void on_notice(void *ctx)
{
    struct thread_case *t = ctx;

    t->seen++;
    if (atomic_load(&t->posted) == 1000 && t->plain == 1000)
        loop_stop(t->loop);
}

static void *post_many(void *ctx)
{
    struct thread_case *t = ctx;

    for (int i = 1; i <= 1000; i++) {
        if (i == 1000)
            t->plain = 1000;
        atomic_store(&t->posted, i);
        loop_notifier_post(t->notifier);
    }
    return NULL;
}

static void another_thread_wakes_the_loop(void **state)
{
    struct thread_case t = {.loop = loop_new()};
    pthread_t thread;
    uint64_t one = 1;

    (void)state;
    t.notifier = loop_notifier_new(t.loop, on_notice, &t);
    assert_int_equal(pthread_create(&thread, NULL, post_many, &t), 0);
    loop_run(t.loop);
    pthread_join(thread, NULL);
    assert_in_range(t.seen, 1, 1000);

    t.seen = 0;
    loop_turn(t.loop, false); /* the last post may have come after the last callback */
    t.seen = 0;
    assert_int_equal(write(loop_notifier_fd(t.notifier), &one, sizeof one), sizeof one);
    loop_notifier_post(t.notifier);
    loop_turn(t.loop, true);
    assert_int_equal(t.seen, 1);
    loop_notifier_free(t.notifier);
    loop_free(t.loop);
}

static void on_signal(void *ctx, int signo)
{
    struct order *o = ctx;

    assert_int_equal(signo, SIGUSR1);
    o->hooks++;
    loop_stop(o->loop);
}

static void signals_arrive_on_the_loop(void **state)
{
    struct order o = {.loop = loop_new()};

    (void)state;
    assert_false(failed(loop_on_signal(o.loop, SIGUSR1, on_signal, NULL)));
    assert_false(failed(loop_on_signal(o.loop, SIGUSR1, on_signal, &o)));
    raise(SIGUSR1);
    loop_run(o.loop);
    assert_int_equal(o.hooks, 1);
    loop_free(o.loop);
}

static void on_burn(void *ctx)
{
    struct tick *t = ctx;
    int64_t until = clock_thread_us() + 120 * 1000;

    while (clock_thread_us() < until)
        ;
    loop_stop(t->loop);
}

static void a_turn_that_burns_cpu_is_counted(void **state)
{
    struct tick t = {.loop = loop_new()};

    (void)state;
    loop_timer_init(&t.timer, t.loop, on_burn, &t);
    loop_timer_set(&t.timer, 0);
    loop_run(t.loop);
    assert_int_equal(loop_stats(t.loop).slow_turns, 1);
    assert_in_range(loop_stats(t.loop).longest_us, 120 * 1000, 1000 * 1000);
    loop_stats_restart_longest(t.loop);
    assert_int_equal(loop_stats(t.loop).longest_us, 0);
    loop_free(t.loop);
}

static void on_long(void *ctx)
{
    struct order *o = ctx;
    int64_t until = clock_mono_ms() + 5;

    while (clock_mono_ms() < until)
        ;
    o->repeats++;
}

static bool on_count_turn(void *ctx)
{
    struct order *o = ctx;

    if (++o->hooks == 3)
        loop_stop(o->loop);
    return true;
}

/* 12 timers of 5 ms each are due: they share out over turns, so that hooks and events get their time. */
static void long_work_is_cut_into_turns(void **state)
{
    struct order o = {.loop = loop_new()};
    struct loop_timer timers[12];

    (void)state;
    loop_after_events(o.loop, on_count_turn, &o);
    for (int i = 0; i < 12; i++) {
        loop_timer_init(&timers[i], o.loop, on_long, &o);
        loop_timer_set(&timers[i], 0);
    }
    loop_turn(o.loop, true);
    assert_in_range(o.repeats, 1, 6);
    loop_run(o.loop);
    assert_in_range(o.repeats, 2, 12);
    for (int i = 0; i < 12; i++)
        loop_timer_cancel(&timers[i]);
    loop_free(o.loop);
}

static void on_now(void *ctx)
{
    struct tick *t = ctx;
    int64_t now = loop_now_ms(t->loop);

    usleep(20 * 1000);
    assert_int_equal(loop_now_ms(t->loop), now); /* one time per turn */
    assert_true(clock_mono_ms() >= now + 20);
    loop_stop(t->loop);
}

static void time_stands_still_within_a_turn(void **state)
{
    struct tick t = {.loop = loop_new()};
    int64_t before = clock_mono_ms();

    (void)state;
    loop_timer_init(&t.timer, t.loop, on_now, &t);
    loop_timer_set(&t.timer, 5);
    loop_run(t.loop);
    assert_true(loop_now_ms(t.loop) >= before + 25); /* outside a turn: the clock */
    loop_free(t.loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_timers_fire_once_and_in_order), cmocka_unit_test(heap_agrees_with_a_plain_model),
        cmocka_unit_test(hooks_run_after_timers_once_a_turn), cmocka_unit_test(a_timer_may_free_itself),
        cmocka_unit_test(another_thread_wakes_the_loop),      cmocka_unit_test(signals_arrive_on_the_loop),
        cmocka_unit_test(a_turn_that_burns_cpu_is_counted),   cmocka_unit_test(time_stands_still_within_a_turn),
        cmocka_unit_test(long_work_is_cut_into_turns),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
