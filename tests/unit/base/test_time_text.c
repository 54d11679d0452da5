/* Times as people write them: every form, every way to be none, and back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "stepmill/time_text.h"

static const int64_t NOW = INT64_C(1795237921123); /* 2026-11-21T05:12:01.123Z */

/* From memory of exactly its size, so that asan sees a byte read beyond it. */
static bool reads(const char *text, bool ahead, int64_t now, int64_t *ms)
{
    size_t len = strlen(text);
    char *copy = malloc(len + !len);
    bool fine;

    assert_non_null(copy);
    memcpy(copy, text, len);
    fine = time_read((struct slice){copy, len}, ahead, now, ms);
    free(copy);
    return fine;
}

static void every_form_is_read(void **state)
{
    static const struct {
        const char *text;
        int64_t ms;
    } good[] = {
        {"2026-11-21T05:12:01.123Z", NOW},
        {"2026-11-21t05:12:01.123z", NOW},
        {"2026-11-21 06:12:01.123+01:00", NOW},
        {"2026-11-20T23:42:01.1239999-05:30", NOW},
        {"2026-11-21T05:12:01.1Z", NOW - 23},
        {"1970-01-01T00:00:00Z", 0},
        {"1970-01-01T00:00:00+00:01", -60000},
        {"2024-02-29T12:00:00Z", INT64_C(1709208000000)},
        {"2000-02-29T00:00:00Z", INT64_C(951782400000)},
        {"2016-12-31T23:59:60Z", INT64_C(1483228800000)},
        {"1795237921123", NOW},
        {"10m", NOW - 600000},
        {"0", NOW},
    };

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        int64_t ms = 42;

        assert_true(reads(good[i].text, false, NOW, &ms));
        assert_int_equal(ms, good[i].ms);
    }
}

static void a_duration_goes_back_or_ahead(void **state)
{
    int64_t ms = 0;

    (void)state;
    assert_true(reads("7d", true, NOW, &ms));
    assert_int_equal(ms, NOW + 7 * INT64_C(86400000));
    assert_true(reads("9223372036854775807ms", false, NOW, &ms));
    assert_int_equal(ms, NOW - INT64_MAX);
    assert_false(reads("9223372036854775807ms", true, NOW, &ms));
}

static void anything_else_is_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "now",
        "12",
        "179523792112",
        "17952379211230",
        "-795237921123",
        "2026-11-21",
        "2026-11-21T05:12:01",
        "2026-11-21T05:12Z",
        "2026-11-21T05:12:01.Z",
        "2026-11-21T05:12:01Zx",
        "2026-11-21T05:12:01+0100",
        "2026-11-21T05:12:01+24:00",
        "2026-11-21T05:12:01+01:60",
        "2026-11-21T24:00:00Z",
        "2026-11-21T05:60:00Z",
        "2026-11-21T05:12:61Z",
        "2026-13-01T00:00:00Z",
        "2026-00-01T00:00:00Z",
        "2026-02-29T00:00:00Z",
        "1900-02-29T00:00:00Z",
        "2026-04-31T00:00:00Z",
        "2026-11-00T00:00:00Z",
        "0000-01-01T00:00:00Z",
        "02026-11-21T05:12:01Z",
        "2026-1-21T05:12:01Z",
        " 2026-11-21T05:12:01Z",
        "+026-11-21T05:12:01Z",
    };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int64_t ms = 42;

        if (reads(bad[i], false, NOW, &ms))
            fail_msg("\"%s\" was read as %lld", bad[i], (long long)ms);
        assert_int_equal(ms, 42);
    }
}

static void every_cut_of_a_time_is_refused(void **state)
{
    const char *whole = "2026-11-20T23:42:01.123-05:30";
    int64_t ms;

    (void)state;
    for (size_t n = 0; n < strlen(whole); n++)
        assert_false(time_read((struct slice){whole, n}, false, NOW, &ms));
}

static void today_is_written_short(void **state)
{
    static const struct {
        int64_t ms;
        const char *text;
    } rows[] = {
        {NOW, "05:12:01.123"},
        {INT64_C(1795219200000), "00:00:00.000"},
        {INT64_C(1795219199999), "2026-11-20 23:59:59"},
        {INT64_C(1795305600000), "2026-11-22 00:00:00"},
        {0, "1970-01-01 00:00:00"},
        {INT64_C(253402300799999), "9999-12-31 23:59:59"},
        {INT64_C(253402300800000), "-"},
        {INT64_MAX, "-"},
        {-1, "-"},
        {INT64_MIN, "-"},
    };
    char text[TIME_TEXT_SIZE];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        time_write(text, rows[i].ms, NOW);
        assert_string_equal(text, rows[i].text);
    }
}

/* Against the C library's calendar, every day to the end of year 9999. */
static void machines_get_the_date_of_the_calendar(void **state)
{
    char text[TIME_STAMP_LEN + 1] = "", want[96];

    (void)state;
    for (int64_t day = 0; day < 2932897; day++) {
        int64_t ms = day * 86400000 + day * 7919 % 86400000;
        time_t seconds = (time_t)(ms / 1000);
        struct tm utc;

        gmtime_r(&seconds, &utc);
        if (time_day(ms) != (utc.tm_year + 1900) * 10000 + (utc.tm_mon + 1) * 100 + utc.tm_mday)
            fail_msg("day %lld is not %d", (long long)day, time_day(ms));
        if (day % 97)
            continue;
        snprintf(want, sizeof want, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday,
                 utc.tm_hour, utc.tm_min, utc.tm_sec, (int)(ms % 1000));
        time_stamp(text, ms);
        assert_string_equal(text, want);
    }
    time_stamp(text, -1);
    assert_string_equal(text, "1970-01-01T00:00:00.000Z");
    time_stamp(text, INT64_MAX);
    assert_string_equal(text, "9999-12-31T23:59:59.999Z");
    assert_int_equal(time_day(INT64_MIN), 19700101);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_form_is_read),       cmocka_unit_test(a_duration_goes_back_or_ahead),
        cmocka_unit_test(anything_else_is_refused), cmocka_unit_test(every_cut_of_a_time_is_refused),
        cmocka_unit_test(today_is_written_short),   cmocka_unit_test(machines_get_the_date_of_the_calendar),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
