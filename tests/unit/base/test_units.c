/* Durations and sizes, there and back; edit distance and the nearest name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "stepmill/nearest.h"
#include "stepmill/units.h"

static void durations_read_and_write(void **state)
{
    static const struct {
        const char *text;
        int64_t ms;
        const char *shortest;
    } good[] = {{"0", 0, "0ms"},         {"20ms", 20, "20ms"},
                {"1000ms", 1000, "1s"},  {"90s", 90000, "90s"},
                {"60m", 3600000, "1h"},  {"24h", 86400000, "1d"},
                {"7d", 604800000, "7d"}, {"9223372036854775807ms", INT64_MAX, "9223372036854775807ms"}};
    static const char *const bad[] = {
        "", "5", "s", "-1s", "1.5s", "5 s", "5S", "1h30m", "9223372036854775808ms", "9223372036854775807s", "00x"};

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct buf to = BUF(64);
        int64_t ms = -1;

        assert_null(duration_read(slice_of(good[i].text), &ms));
        assert_int_equal(ms, good[i].ms);
        duration_write(ms, &to);
        assert_string_equal(buf_text(&to), good[i].shortest);
        buf_free(&to);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int64_t ms;

        assert_non_null(duration_read(slice_of(bad[i]), &ms));
    }
}

static void sizes_read_and_write(void **state)
{
    static const char *const bad[] = {"1", "1MB", "1kiB", "1K", "KiB", "9223372036854775807KiB"};
    struct buf to = BUF(64);
    int64_t bytes;

    (void)state;
    assert_null(size_read(SLICE("1536B"), &bytes));
    assert_int_equal(bytes, 1536);
    assert_null(size_read(SLICE("4096KiB"), &bytes));
    size_write(bytes, &to);
    assert_string_equal(buf_text(&to), "4MiB");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_non_null(size_read(slice_of(bad[i]), &bytes));
    buf_free(&to);
}

static void distance_counts_a_swap_once(void **state)
{
    (void)state;
    assert_int_equal(edit_distance(SLICE(""), SLICE("")), 0);
    assert_int_equal(edit_distance(SLICE(""), SLICE("abc")), 3);
    assert_int_equal(edit_distance(SLICE("kitten"), SLICE("sitting")), 3);
    assert_int_equal(edit_distance(SLICE("redsi"), SLICE("redis")), 1);
    assert_int_equal(edit_distance(SLICE("abcd"), SLICE("badc")), 2);
    assert_true(edit_distance(SLICE("a"), SLICE("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")) ==
                SIZE_MAX);
}

static const char *nearest_of(const char *typed, const char *a, const char *b)
{
    struct nearest n = nearest_to(slice_of(typed));

    nearest_offer(&n, a);
    nearest_offer(&n, b);
    return n.name;
}

static void only_what_is_near_is_offered(void **state)
{
    (void)state;
    assert_string_equal(nearest_of("tymeout", "url", "timeout"), "timeout");
    assert_string_equal(nearest_of("max_stesp", "max_steps", "max_waiting"), "max_steps");
    assert_null(nearest_of("quux", "url", "key"));
    assert_null(nearest_of("ab", "cd", "url"));
    assert_null(nearest_of("", "url", "key"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(durations_read_and_write),
        cmocka_unit_test(sizes_read_and_write),
        cmocka_unit_test(distance_counts_a_swap_once),
        cmocka_unit_test(only_what_is_near_is_offered),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
