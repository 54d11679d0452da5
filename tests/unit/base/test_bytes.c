/* Slices, numbers, hex and the buffer with a ceiling. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "stepmill/bytes.h"
#include "stepmill/utf8.h"

static void integers_are_checked(void **state)
{
    static const struct {
        const char *text;
        int64_t min, max;
        bool ok;
        int64_t value;
    } cases[] = {
        {"0", 0, 9, true, 0},
        {"-0", 0, 9, true, 0},
        {"007", 0, 9, true, 7},
        {"25", 1, 25, true, 25},
        {"26", 1, 25, false, 0},
        {"0", 1, 25, false, 0},
        {"-1", -5, 5, true, -1},
        {"9223372036854775807", INT64_MIN, INT64_MAX, true, INT64_MAX},
        {"9223372036854775808", INT64_MIN, INT64_MAX, false, 0},
        {"-9223372036854775808", INT64_MIN, INT64_MAX, true, INT64_MIN},
        {"-9223372036854775809", INT64_MIN, INT64_MAX, false, 0},
        {"99999999999999999999", INT64_MIN, INT64_MAX, false, 0},
        {"", INT64_MIN, INT64_MAX, false, 0},
        {"-", INT64_MIN, INT64_MAX, false, 0},
        {"+1", INT64_MIN, INT64_MAX, false, 0},
        {" 1", INT64_MIN, INT64_MAX, false, 0},
        {"1 ", INT64_MIN, INT64_MAX, false, 0},
        {"1x", INT64_MIN, INT64_MAX, false, 0},
        {"--1", INT64_MIN, INT64_MAX, false, 0},
    };
    int64_t value;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(slice_to_int(slice_of(cases[i].text), cases[i].min, cases[i].max, &value), cases[i].ok);
        if (cases[i].ok)
            assert_int_equal(value, cases[i].value);
    }
    assert_false(slice_to_int((struct slice){NULL, 0}, 0, 9, &value));
}

static void integers_are_written(void **state)
{
    static const int64_t values[] = {0, 1, -1, 10, -10, 1234567890123, INT64_MAX, INT64_MIN};

    (void)state;
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        struct buf b = BUF(100);
        int64_t back;

        buf_put_int(&b, values[i]);
        assert_true(slice_to_int(buf_slice(&b), INT64_MIN, INT64_MAX, &back));
        assert_int_equal(back, values[i]);
        buf_free(&b);
    }
}

static void slices_compare(void **state)
{
    (void)state;
    assert_true(slice_equal((struct slice){NULL, 0}, SLICE("")));
    assert_true(slice_is(SLICE("abc"), "abc"));
    assert_false(slice_is(SLICE("abc"), "abd"));
    assert_false(slice_is(SLICE("abc"), "ab"));
    assert_false(slice_equal(SLICE("a\0b"), SLICE("a\0c")));
    assert_true(slice_starts_with(SLICE("meta.x"), "meta."));
    assert_false(slice_starts_with(SLICE("meta"), "meta."));
    assert_true(slice_starts_with((struct slice){NULL, 0}, ""));
    assert_int_equal(slice_of(NULL).len, 0);
}

/* At every ceiling: all that fits is there, what does not fit leaves no trace, and nothing follows it. */
static void a_write_that_does_not_fit_writes_nothing(void **state)
{
    (void)state;
    for (size_t max = 0; max <= 1200; max++) {
        struct buf b = BUF(max);

        while (!b.failed) {
            size_t before = b.len;

            buf_put(&b, "1234567", 7);
            assert_int_equal(b.len, b.failed ? before : before + 7);
        }
        assert_int_equal(b.len, max / 7 * 7);
        buf_put_byte(&b, 'x');
        buf_put(&b, NULL, 0);
        buf_printf(&b, "x");
        assert_int_equal(b.len, max / 7 * 7);
        assert_string_equal(buf_text(&b), "");
        buf_clear(&b);
        assert_string_equal(buf_text(&b), "");
        assert_false(b.failed);
        buf_free(&b);
    }
}

/* The ceiling counts bytes of content: a terminator, printf's too, does not count. */
static void a_full_buffer_still_has_its_terminator(void **state)
{
    (void)state;
    for (size_t max = 1; max < 600; max++) {
        struct buf b = BUF(max);

        for (size_t i = 0; i < max; i++)
            buf_put_byte(&b, 'a');
        assert_int_equal(strlen(buf_text(&b)), max);
        assert_false(b.failed);
        buf_clear(&b);
        buf_printf(&b, "%*d", (int)max, 1);
        assert_false(b.failed);
        assert_int_equal(b.len, max);
        buf_clear(&b);
        buf_printf(&b, "%*d", (int)max + 1, 1);
        assert_true(b.failed);
        buf_free(&b);
    }
}

static void absurd_sizes_are_refused(void **state)
{
    struct buf b = BUF(SIZE_MAX), limited = BUF(1000);

    (void)state;
    buf_put_text(&b, "abc");
    assert_null(buf_reserve(&b, SIZE_MAX));
    assert_null(buf_reserve(&b, 0)); /* failed stays failed */
    b.failed = false;
    assert_string_equal(buf_text(&b), "abc");
    buf_put_text(&limited, "abc");
    assert_null(buf_reserve(&limited, SIZE_MAX - 2));
    buf_free(&b);
    buf_free(&limited);
}

static void hex_both_ways(void **state)
{
    char text[9];
    uint8_t bytes[4];

    (void)state;
    hex_encode(text, "\x00\x7f\xa0\xff", 4);
    assert_string_equal(text, "007fa0ff");
    assert_true(hex_decode(bytes, 4, SLICE("007FA0fF")));
    assert_memory_equal(bytes, "\x00\x7f\xa0\xff", 4);
    assert_false(hex_decode(bytes, 4, SLICE("007fa0f")));
    assert_false(hex_decode(bytes, 4, SLICE("007fa0fff")));
    for (int c = 0; c < 256; c++) { /* every byte that is no hex digit is refused, wherever it stands */
        char pair[2] = {'0', (char)c}, riap[2] = {(char)c, '0'};
        bool digit = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');

        assert_int_equal(hex_decode(bytes, 1, (struct slice){pair, 2}), digit);
        assert_int_equal(hex_decode(bytes, 1, (struct slice){riap, 2}), digit);
    }
}

static void utf8_is_cut_between_characters(void **state)
{
    const struct slice s = SLICE("a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80z"); /* a é € 😀 z: cuts at 0 1 3 6 10 11 */
    static const size_t want[] = {0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 11, 11};

    (void)state;
    for (size_t max = 0; max < sizeof want / sizeof *want; max++)
        assert_int_equal(utf8_cut(s, max).len, want[max]);
    assert_int_equal(utf8_cut(SLICE("\x80\x80\x80\x80\x80\x80\x80\x80"), 6).len, 6);
    assert_int_equal(utf8_cut((struct slice){NULL, 0}, 3).len, 0);
}

static void utf8_is_repaired_as_unicode_says(void **state)
{
    static const struct {
        const char *bytes, *want;
    } cases[] = {
        {"a\xff"
         "b",
         "a\xef\xbf\xbd"
         "b"},
        {"\xc0\xaf", "\xef\xbf\xbd\xef\xbf\xbd"},
        {"\xe2\x82", "\xef\xbf\xbd"},
        {"\xf0\x9f\x98x", "\xef\xbf\xbdx"},
        {"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
        {"\xf0\x80\x80\x41", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\x41"},
        /* Unicode §3.9, table 3-8 */
        {"\x61\xf1\x80\x80\xe1\x80\xc2\x62\x80\x63\x80\xbf\x64", "a\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"
                                                                 "b\xef\xbf\xbd"
                                                                 "c\xef\xbf\xbd\xef\xbf\xbd"
                                                                 "d"},
        {"caf\xc3\xa9", "caf\xc3\xa9"},
        {"", ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf b = BUF(100);

        utf8_put(&b, slice_of(cases[i].bytes));
        assert_string_equal(buf_text(&b), cases[i].want);
        buf_free(&b);
    }
}

/* Every scalar value is written as UTF-8 that is read as one character; every other number's bytes are refused. */
static void every_character_round_trips(void **state)
{
    (void)state;
    for (uint32_t c = 0; c <= 0x10ffff; c++) {
        struct buf b = BUF(4);
        bool surrogate = c >= 0xd800 && c <= 0xdfff;

        utf8_put_char(&b, c);
        assert_int_equal(utf8_char(b.at, b.at + b.len), surrogate ? 0 : b.len);
        if (b.len > 1)
            assert_int_equal(utf8_char(b.at, b.at + b.len - 1), 0);
        buf_free(&b);
        if (c > 0x3000 && c < 0x10f000 && c % 0x400 == 0x3f)
            c += 0x380; /* a sample of the long middle, surrogates among it */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers_are_checked),
        cmocka_unit_test(integers_are_written),
        cmocka_unit_test(slices_compare),
        cmocka_unit_test(a_write_that_does_not_fit_writes_nothing),
        cmocka_unit_test(a_full_buffer_still_has_its_terminator),
        cmocka_unit_test(absurd_sizes_are_refused),
        cmocka_unit_test(hex_both_ways),
        cmocka_unit_test(utf8_is_cut_between_characters),
        cmocka_unit_test(utf8_is_repaired_as_unicode_says),
        cmocka_unit_test(every_character_round_trips),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
