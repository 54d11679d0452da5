/* What the JSON scanner takes and refuses: RFC 8259 by tables, every prefix of a document, and jansson on damaged documents. */
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

/* clang-format off: a line per value would hide the pattern */
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
/* clang-format on */

static void what_rfc_8259_accepts(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        if (!json_valid(slice_of(good[i])))
            fail_msg("refused: %s", good[i]);
}

/* clang-format off: a line per value would hide the pattern */
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
/* clang-format on */

static void what_rfc_8259_refuses(void **state)
{
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_rfc_8259_accepts),   cmocka_unit_test(what_rfc_8259_refuses),
        cmocka_unit_test(every_prefix_is_refused), cmocka_unit_test(depth_ends_at_64),
        cmocka_unit_test(agrees_with_jansson),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
