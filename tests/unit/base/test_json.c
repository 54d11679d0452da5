/* The JSON scanner and writer: RFC 8259 by tables, every prefix of a document, and against jansson on damaged documents. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "stepmill/json.h"
#include "stepmill/random.h"

static const char document[] =
    "{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion\",\"created\":1767225600,\"choices\":[{\"index\":0,\"message\":"
    "{\"role\":\"assistant\",\"content\":\"Gr\xc3\xbc\xc3\x9f Gott \xe2\x82\xac \xf0\x9f\x98\x80 \\ud83d\\ude00 "
    "\\u00e9\\n\\\"x\\\"\\\\\\/\\b\\f\\r\\t\",\"tool_calls\":"
    "[{\"id\":\"call_1\",\"type\":\"function\",\"function\":{\"name\":\"lookup\",\"arguments\":\"{\\\"q\\\":[1,2.50,-0,3e8,4E-2]}"
    "\"}}]},"
    "\"logprobs\":null,\"finish_reason\":\"tool_calls\"}],\"usage\":{\"prompt_tokens\":312,\"a\":[[],{},[{}],true,false]}} "
    "\r\n\t";

static void what_rfc_8259_accepts(void **state)
{
    static const char *const good[] = {
        "0",
        "-0",
        "1",
        "-12",
        "10",
        "0.5",
        "1e5",
        "1E+5",
        "1e-05",
        "123.456e7",
        "true",
        "false",
        "null",
        "\"\"",
        "\"a\"",
        "[]",
        "{}",
        " [ ] ",
        "\t{\r\n}\n",
        "[1]",
        "[1,2]",
        "[[],[]]",
        "{\"a\":1}",
        "{ \"a\" : 1 , \"b\" : [ { } ] }",
        "{\"\":0}",
        "{\"a\":1,\"a\":2}",
        "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"",
        "\"\\u0041\"",
        "\"\\u0000\"",
        "\"\\ud834\\udd1e\"",
        "\"\\uDBFF\\uDFFF\"",
        "\"\x7f\"",
        "\"\xc2\x80\"",
        "\"\xdf\xbf\"",
        "\"\xe0\xa0\x80\"",
        "\"\xed\x9f\xbf\"",
        "\"\xee\x80\x80\"",
        "\"\xef\xbf\xbf\"",
        "\"\xf0\x90\x80\x80\"",
        "\"\xf4\x8f\xbf\xbf\"",
        "123456789012345678901234567890",
        "1e999",
        "{\"\\u0061\":1}",
        "[null,true,false,0,\"\",[],{}]",
        "\"\\u2028\xe2\x80\xa8\"",
    };

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        if (!json_valid(slice_of(good[i])))
            fail_msg("refused: %s", good[i]);
}

static void what_rfc_8259_refuses(void **state)
{
    static const char *const bad[] = {
        "",
        " ",
        "nul",
        "nulll",
        "True",
        "tru",
        "undefined",
        "NaN",
        "Infinity",
        "-Infinity",
        "-",
        "+1",
        "01",
        "-01",
        "1.",
        ".5",
        "1.e5",
        "1e",
        "1e+",
        "0x10",
        "1_000",
        "--1",
        "1 2",
        "0 0",
        "[",
        "]",
        "{",
        "}",
        "[1",
        "[1,",
        "[1,]",
        "[,1]",
        "[,]",
        "[1 2]",
        "[1}",
        "{1}",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{,}",
        "{\"a\" 1}",
        "{\"a\"::1}",
        "{a:1}",
        "{'a':1}",
        "{\"a\":1 \"b\":2}",
        "{\"a\":1]",
        "[] []",
        "[]]",
        "{}}",
        "\"",
        "\"a",
        "\"\\\"",
        "\"\\a\"",
        "\"\\x41\"",
        "\"\\u\"",
        "\"\\u004\"",
        "\"\\u004g\"",
        "\"\\U0041\"",
        "\"\\ud800\"",
        "\"\\ud800x\"",
        "\"\\ud800\\u0041\"",
        "\"\\udc00\"",
        "\"\\udc00\\ud800\"",
        "\"\\ud800\\ud800\"",
        "\"\n\"",
        "\"\t\"",
        "\"\x1f\"",
        "'a'",
        "\"\x80\"",
        "\"\xbf\"",
        "\"\xc0\x80\"",
        "\"\xc1\xbf\"",
        "\"\xc3\"",
        "\"\xc3(\"",
        "\"\xe0\x9f\xbf\"",
        "\"\xe2\x82\"",
        "\"\xe2\x82(\"",
        "\"\xed\xa0\x80\"",
        "\"\xed\xbf\xbf\"",
        "\"\xf0\x8f\xbf\xbf\"",
        "\"\xf4\x90\x80\x80\"",
        "\"\xf5\x80\x80\x80\"",
        "\"\xff\"",
        "\"\xf0\x9f\x98\"",
        "\xef\xbb\xbf{}",
        "// c\n1",
        "[1]/**/",
        "\xc2\xa0"
        "1",
        "\v1",
        "\f1",
        "{\"\\u0000\":1}",
        "{\"a\\u0000b\":1}",
        "[\"a\",\n\"b\"",
        "{\"a\":{\"b\":[1,{\"c\":2}]}",
        "<html>",
        "t",
        "[t]",
        "\"a\"\"b\"",
    };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct json j = json_start(slice_of(bad[i]));

        while (json_next(&j)) {
        }
        if (!j.error)
            fail_msg("accepted: %s", bad[i]);
        assert_true(json_offset(&j) <= strlen(bad[i]));
        assert_int_equal(j.token, JSON_TOKEN_END);
        assert_false(json_next(&j));
    }
    assert_false(json_valid((struct slice){NULL, 0}));
    assert_false(json_valid((struct slice){"1\0", 2}));
    assert_false(json_valid((struct slice){"\"\0\"", 3}));
    assert_true(json_valid((struct slice){"{\"\\\\u0000\":1}", 13})); /* an escaped backslash, then u0000 */
}

static void every_prefix_is_refused(void **state)
{
    const size_t whole = strlen(document) - 4; /* without the white space at its end */

    (void)state;
    for (size_t n = 0; n <= whole; n++) {
        char *copy = malloc(n + 1); /* of its exact size, so that asan sees a byte read behind it */

        assert_non_null(copy);
        memcpy(copy, document, n);
        copy = realloc(copy, n ? n : 1);
        assert_int_equal(json_valid((struct slice){copy, n}), n == whole);
        free(copy);
    }
}

static void depth_ends_at_64(void **state)
{
    char text[2 * JSON_DEPTH_MAX + 8];

    (void)state;
    for (size_t depth = JSON_DEPTH_MAX - 1; depth <= JSON_DEPTH_MAX + 1; depth++) {
        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        assert_int_equal(json_valid((struct slice){text, 2 * depth}), depth <= JSON_DEPTH_MAX);
    }
    for (size_t at = 0; at < 8; at++) { /* objects and arrays mixed: each closes with its own bracket */
        char mixed[] = "{\"a\":[{\"b\":[[{}]]}]}";
        char *closing = strchr(mixed, '}') + at;

        if (closing >= mixed + sizeof mixed - 1)
            break;
        *closing = *closing == '}' ? ']' : '}';
        assert_false(json_valid(slice_of(mixed)));
    }
}

/* Deliberate differences, kept out of the comparison: jansson nests to 2,048, refuses numbers that do not fit its types,
 * and loses some NUL bytes outside strings, which we refuse everywhere. It takes "\u0000" only when told to (JSON_ALLOW_NUL), and
 * never in a key: there we agree. */
static bool jansson_takes(const char *text, size_t len, bool *comparable)
{
    json_error_t error;
    json_t *value = json_loadb(text, len, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
    enum json_error_code code = value ? json_error_unknown : json_error_code(&error);
    bool ok = value != NULL;

    *comparable = (ok || code != json_error_numeric_overflow) && !memchr(text, 0, len);
    json_decref(value);
    return ok;
}

static void damage(char *text, size_t *len, size_t room, uint64_t *seed)
{
    static const char likely[] = "{}[]\",:\\/0123456789.eE+-untrfals \n\t\x01\x7f\x80\xbf\xc3\xe2\xed\xf0\xf4\xff";

    for (uint64_t n = 1 + random_below(seed, 3); n > 0 && *len; n--) {
        size_t at = (size_t)random_below(seed, *len);
        size_t most = *len - at < 12 ? *len - at : 12;
        size_t some = (size_t)random_below(seed, most + 1);

        switch (random_below(seed, 4)) {
        case 0: /* one byte becomes another */
            text[at] = likely[random_below(seed, sizeof likely - 1)];
            break;
        case 1: /* some bytes vanish */
            memmove(text + at, text + at + some, *len - at - some);
            *len -= some;
            break;
        case 2: /* some bytes stand twice */
            if (*len + some > room)
                break;
            memmove(text + at + some, text + at, *len - at);
            *len += some;
            break;
        default: /* one bit */
            text[at] = (char)(text[at] ^ 1 << random_below(seed, 8));
        }
    }
}

static void agrees_with_jansson(void **state)
{
    enum { ROUNDS = 60000, ROOM = sizeof document + 64 };
    uint64_t seed = 20261121;
    int accepted = 0, compared = 0;

    (void)state;
    for (int i = 0; i < ROUNDS; i++) {
        char text[ROOM];
        size_t len, from;
        bool ours, theirs, comparable;

        /* A short window that is JSON by itself survives damage often enough to test both answers. */
        static const char *const seeds[] = {document, "[1,2.5e3,\"\\u00e9\xc3\xa9\",{\"k\":[]}]",
                                            "{\"a\":{\"b\":\"\\ud83d\\ude00\"},\"c\":-0.1}", "\"\xf0\x9f\x98\x80\\n\"",
                                            "-12.5e-3"};

        from = (size_t)random_below(&seed, sizeof seeds / sizeof *seeds);
        len = strlen(seeds[from]);
        memcpy(text, seeds[from], len);
        damage(text, &len, sizeof text, &seed);
        ours = json_valid((struct slice){text, len});
        theirs = jansson_takes(text, len, &comparable);
        if (comparable && ours != theirs)
            fail_msg("round %d: we say %d, jansson %d: %.*s", i, ours, theirs, (int)len, text);
        compared += comparable;
        accepted += ours;
    }
    assert_true(compared > ROUNDS * 9 / 10);
    assert_in_range(accepted, ROUNDS / 20, ROUNDS / 2); /* the damage was neither harmless nor hopeless */
}

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_rfc_8259_accepts),
        cmocka_unit_test(what_rfc_8259_refuses),
        cmocka_unit_test(every_prefix_is_refused),
        cmocka_unit_test(depth_ends_at_64),
        cmocka_unit_test(agrees_with_jansson),
        cmocka_unit_test(tokens_come_in_order),
        cmocka_unit_test(values_are_skipped_and_taken_as_text),
        cmocka_unit_test(integers_are_checked),
        cmocka_unit_test(unescapes_like_jansson),
        cmocka_unit_test(writer_round_trip),
        cmocka_unit_test(strings_are_written_short),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
