/* Calls per minute: never more than the limit in any minute, and not much less. */
#include "helper_unit.h"

#include <stdbool.h>

#include "stepmill/rate.h"

enum { MINUTE_MS = 60000, CALLS_MAX = 20000 };

/* Asks every ms, or when it was told to; returns how many calls started within `ms`, and when. */
static size_t run(struct rate *r, int32_t limit, int64_t from_ms, int64_t ms, bool eager, int64_t *started)
{
    size_t n = 0;

    for (int64_t now = from_ms; now < from_ms + ms && n < CALLS_MAX;) {
        int64_t wait = rate_wait_ms(r, limit, now);

        assert_true(wait >= 0 && wait <= MINUTE_MS);
        if (!wait)
            started[n++] = now;
        else
            now += eager ? 1 : wait;
    }
    return n;
}

static void no_minute_sees_more_calls_than_the_limit(void **state)
{
    static const int32_t limits[] = {1, 2, 7, 9, 10, 11, 19, 60, 600, 5000};
    static int64_t started[CALLS_MAX];

    (void)state;
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        struct rate r = {0};
        int32_t limit = limits[i];
        size_t n = run(&r, limit, 1234567, 3 * MINUTE_MS, i % 2, started);

        assert_true(n + 1 >= (size_t)limit * 3 * 9 / 10); /* near to what was granted */
        for (size_t first = 0, last = 0; last < n; last++) {
            while (started[last] - started[first] >= MINUTE_MS)
                first++;
            assert_true(last - first < (size_t)limit);
        }
    }
}

static void a_few_start_at_once_the_others_wait_their_turn(void **state)
{
    struct rate r = {0};
    int64_t wait;

    (void)state;
    for (int i = 0; i < 7; i++)
        assert_int_equal(rate_wait_ms(&r, 60, 1000), 0);
    wait = rate_wait_ms(&r, 60, 1000);
    assert_in_range(wait, 1000, 1200);
    assert_int_equal(rate_wait_ms(&r, 60, 1000), wait); /* asking costs nothing */
    assert_int_not_equal(rate_wait_ms(&r, 60, 1000 + wait - 1), 0);
    assert_int_equal(rate_wait_ms(&r, 60, 1000 + wait), 0);
    assert_int_not_equal(rate_wait_ms(&r, 60, 1000 + wait), 0);
    for (int i = 0; i < 7; i++) /* idle time fills it again, but not over its brim */
        assert_int_equal(rate_wait_ms(&r, 60, 10 * MINUTE_MS), 0);
    assert_int_not_equal(rate_wait_ms(&r, 60, 10 * MINUTE_MS), 0);
}

static void no_limit_and_the_least_one(void **state)
{
    struct rate r = {0};

    (void)state;
    for (int i = 0; i < 1000; i++)
        assert_int_equal(rate_wait_ms(&r, 0, 5), 0);
    assert_int_equal(rate_wait_ms(&r, 1, 5), 0);
    assert_int_equal(rate_wait_ms(&r, 1, 5), MINUTE_MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_minute_sees_more_calls_than_the_limit),
        cmocka_unit_test(a_few_start_at_once_the_others_wait_their_turn),
        cmocka_unit_test(no_limit_and_the_least_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
