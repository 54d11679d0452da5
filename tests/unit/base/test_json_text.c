/* What the JSON scanner hands out, token by token, and strings: read and written, against jansson. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>
#include <stdio.h>

#include "stepmill/json.h"
#include "stepmill/random.h"

static void tokens_come_in_order(void **state)
{
    static const struct {
        enum json_token token;
        const char *raw;
        bool escaped;
        size_t depth, offset;
    } want[] = {
        {JSON_TOKEN_OBJECT, "{", false, 1, 1},     {JSON_TOKEN_KEY, "a", false, 1, 2},
        {JSON_TOKEN_ARRAY, "[", false, 2, 7},      {JSON_TOKEN_NUMBER, "-1.5e3", false, 2, 8},
        {JSON_TOKEN_STRING, "x\\n", true, 2, 15},  {JSON_TOKEN_TRUE, "true", false, 2, 22},
        {JSON_TOKEN_ARRAY_END, "]", false, 1, 26}, {JSON_TOKEN_KEY, "\\u0062", true, 1, 28},
        {JSON_TOKEN_NULL, "null", false, 1, 37},   {JSON_TOKEN_OBJECT_END, "}", false, 0, 42},
    };
    struct json j = json_start(SLICE(" {\"a\" :[-1.5e3,\"x\\n\", true],\"\\u0062\":null }"));

    (void)state;
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        assert_true(json_next(&j));
        assert_int_equal(j.token, want[i].token);
        assert_true(slice_is(j.raw, want[i].raw));
        assert_int_equal(j.depth, want[i].depth);
        assert_int_equal(json_offset(&j), want[i].offset);
        if (j.token == JSON_TOKEN_STRING || j.token == JSON_TOKEN_KEY)
            assert_int_equal(j.escaped, want[i].escaped);
        if (i == 7)
            assert_true(json_key_is(&j, "b") && !json_key_is(&j, "bc") && !json_key_is(&j, "") && !json_string_is(&j, "b"));
    }
    assert_false(json_next(&j));
    assert_int_equal(j.token, JSON_TOKEN_END);
    assert_null(j.error);
    assert_false(json_next(&j)); /* and stays so */
    assert_null(j.error);
}

static void values_are_skipped_and_taken_as_text(void **state)
{
    struct json j =
        json_start(SLICE("{\"a\":{\"x\":[1,{}]},\"b\": \"q\\\"\" ,\"c\":[ 1, [2] ] ,\"d\":3.5,\"e\":[\"s\",{\"t\":1}]}"));
    struct slice text;

    (void)state;
    assert_true(json_next(&j) && json_next(&j) && json_key_is(&j, "a") && json_skip(&j));
    assert_int_equal(j.token, JSON_TOKEN_OBJECT_END);
    assert_true(json_next(&j) && json_key_is(&j, "b") && json_value_text(&j, &text));
    assert_true(slice_is(text, "\"q\\\"\""));
    assert_true(json_next(&j) && json_key_is(&j, "c") && json_value_text(&j, &text));
    assert_true(slice_is(text, "[ 1, [2] ]"));
    assert_true(json_next(&j) && json_key_is(&j, "d") && json_value_text(&j, &text));
    assert_true(slice_is(text, "3.5"));
    assert_true(json_next(&j) && json_key_is(&j, "e") && json_next(&j) && j.token == JSON_TOKEN_ARRAY);
    assert_true(json_next(&j) && json_value_text(&j, &text));
    assert_true(slice_is(text, "\"s\""));
    assert_true(json_next(&j) && json_value_text(&j, &text));
    assert_true(slice_is(text, "{\"t\":1}"));
    assert_true(json_next(&j) && j.token == JSON_TOKEN_ARRAY_END && json_skip(&j) && json_next(&j) && !json_next(&j) && !j.error);
    j = json_start(SLICE("{\"a\":[1,"));
    assert_true(json_next(&j) && json_next(&j));
    assert_false(json_value_text(&j, &text));
    assert_non_null(j.error);
    assert_false(json_skip(&j));
}

static void integers_are_checked(void **state)
{
    static const struct {
        const char *text;
        bool ok;
        int64_t value;
    } cases[] = {
        {"0", true, 0},
        {"-0", true, 0},
        {"-7", true, -7},
        {"9223372036854775807", true, INT64_MAX},
        {"-9223372036854775808", true, INT64_MIN},
        {"1.0", false, 0},
        {"1e2", false, 0},
        {"\"1\"", false, 0},
        {"9223372036854775808", false, 0},
        {"-9223372036854775809", false, 0},
        {"null", false, 0},
        {"99999999999999999999999", false, 0},
    };
    int64_t value;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct json j = json_start(slice_of(cases[i].text));

        assert_true(json_next(&j));
        assert_int_equal(json_int(&j, INT64_MIN, INT64_MAX, &value), cases[i].ok);
        if (cases[i].ok)
            assert_int_equal(value, cases[i].value);
    }
    struct json j = json_start(SLICE("26"));
    assert_true(json_next(&j) && !json_int(&j, 1, 25, &value) && json_int(&j, 1, 26, &value));
}

/* What jansson reads of a text is what json_unescape reads of it. */
static void unescapes_like_jansson(void **state)
{
    static const char *const texts[] = {
        "\"\"",
        "\"plain\"",
        "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"",
        "\"a\\u0000b\"",
        "\"\\u0041\\u00e9\\u20ac\\ud83d\\ude00\"",
        "\"\\udbff\\udfff\\ud800\\udc00\"",
        "\"\xc3\xa9\\n\xf0\x9f\x98\x80\\\\\"",
        "\"\\\\u0041\"",
        "\"tail\\t\"",
    };

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        json_t *theirs = json_loads(texts[i], JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
        struct json j = json_start(slice_of(texts[i]));
        struct buf ours = BUF(1000), small = BUF(3);

        assert_non_null(theirs);
        assert_true(json_next(&j) && json_unescape(&j, &ours));
        assert_true(slice_equal(buf_slice(&ours), (struct slice){json_string_value(theirs), json_string_length(theirs)}));
        assert_int_equal(json_unescape(&j, &small), j.raw.len <= 3);
        buf_free(&ours);
        buf_free(&small);
        json_decref(theirs);
    }
}

/* Random bytes, written by us, read by jansson and by us: the same, with U+FFFD for what is not UTF-8. */
static void writer_round_trip(void **state)
{
    uint64_t seed = 7;

    (void)state;
    for (int i = 0; i < 20000; i++) {
        char bytes[40];
        size_t n = (size_t)random_below(&seed, sizeof bytes), fold = (size_t)random_below(&seed, 3);
        struct buf text = BUF(1000), clean = BUF(1000), back = BUF(1000);
        struct json j;
        json_t *theirs;

        for (size_t k = 0; k < n; k++) /* all bytes, ASCII only, or mostly starts and continuations */
            bytes[k] = (char)(fold == 0   ? random_below(&seed, 256)
                              : fold == 1 ? random_below(&seed, 128)
                                          : 0x80 + random_below(&seed, 128));
        json_put_string(&text, (struct slice){bytes, n});
        utf8_put(&clean, (struct slice){bytes, n});
        assert_false(text.failed);
        assert_true(utf8_valid(buf_slice(&clean)));
        theirs = json_loadb(text.at, text.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
        assert_non_null(theirs);
        assert_true(slice_equal(buf_slice(&clean), (struct slice){json_string_value(theirs), json_string_length(theirs)}));
        j = json_start(buf_slice(&text));
        assert_true(json_next(&j) && json_unescape(&j, &back) && !json_next(&j) && !j.error);
        assert_true(slice_equal(buf_slice(&clean), buf_slice(&back)));
        if (utf8_valid((struct slice){bytes, n}))
            assert_true(slice_equal(buf_slice(&clean), (struct slice){bytes, n}));
        buf_free(&text);
        buf_free(&clean);
        buf_free(&back);
        json_decref(theirs);
    }
}

static void strings_are_written_short(void **state)
{
    struct buf b = BUF(200), full = BUF(4);

    (void)state;
    json_put_string(&b, SLICE("\"\\/\b\f\n\r\t\x01\x1f\x7f\xc3\xa9"));
    assert_string_equal(buf_text(&b), "\"\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\\u001f\x7f\xc3\xa9\"");
    buf_clear(&b);
    json_put_string(&b, (struct slice){"a\0b", 3});
    json_put_string(&b, (struct slice){NULL, 0});
    assert_string_equal(buf_text(&b), "\"a\\u0000b\"\"\"");
    json_put_string(&full, SLICE("abc"));
    assert_true(full.failed);
    buf_free(&b);
    buf_free(&full);
}

/* Words of eight bytes hide off-by-one mistakes: the one byte that needs an escape stands at every place of a long text. */
static void a_quote_is_found_wherever_it_stands(void **state)
{
    (void)state;
    for (size_t len = 1; len < 40; len++)
        for (size_t at = 0; at < len; at++) {
            char plain[40], want[48];
            struct buf b = BUF(100);
            struct json j;

            memset(plain, 'a', sizeof plain);
            plain[at] = '"';
            snprintf(want, sizeof want, "\"%.*s\\\"%.*s\"", (int)at, plain, (int)(len - at - 1), plain + at + 1);
            json_put_string(&b, (struct slice){plain, len});
            assert_string_equal(buf_text(&b), want);
            plain[at] = 'a';
            snprintf(want, sizeof want, "\"%.*s\"%.*s", (int)at, plain, (int)(len - at), plain);
            j = json_start(slice_of(want));
            assert_true(json_next(&j));
            assert_int_equal(j.raw.len, at);
            buf_free(&b);
        }
}

/* At every ceiling: the whole escaped string, or nothing of it and `failed`. */
static void a_string_that_does_not_fit_leaves_no_trace(void **state)
{
    struct buf whole = BUF(2000);
    char bytes[150];

    (void)state;
    for (size_t i = 0; i < sizeof bytes; i++) /* pieces of every length from 0 to 16 between what becomes 2, 3 and 6 bytes */
        bytes[i] = i % 17 == 16 ? "\"\x80\x01"[i / 17 % 3] : (char)(i % 17 < i / 10 ? 'a' : '\n');
    json_put_escaped(&whole, (struct slice){bytes, sizeof bytes});
    assert_false(whole.failed);
    for (size_t max = 1; max <= whole.len + 2; max++) {
        struct buf b = BUF(max);

        buf_put_byte(&b, 'x');
        json_put_escaped(&b, (struct slice){bytes, sizeof bytes});
        assert_int_equal(b.failed, whole.len + 1 > max);
        assert_int_equal(b.len, b.failed ? 1 : whole.len + 1);
        if (!b.failed)
            assert_memory_equal(b.at + 1, whole.at, whole.len);
        buf_free(&b);
    }
    buf_free(&whole);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tokens_come_in_order),
        cmocka_unit_test(values_are_skipped_and_taken_as_text),
        cmocka_unit_test(integers_are_checked),
        cmocka_unit_test(unescapes_like_jansson),
        cmocka_unit_test(writer_round_trip),
        cmocka_unit_test(strings_are_written_short),
        cmocka_unit_test(a_quote_is_found_wherever_it_stands),
        cmocka_unit_test(a_string_that_does_not_fit_leaves_no_trace),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
