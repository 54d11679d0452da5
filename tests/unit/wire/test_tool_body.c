/* Tool calls and what the model is told of their answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "stepmill/json.h"
#include "stepmill/tool.h"

static void arguments_are_wrapped_as_written(void **state)
{
    static const char *const cases[][2] = {
        {"{\"a\": [1.50, \"\\u00e9\"]}", "{\"params\":{\"a\": [1.50, \"\\u00e9\"]}}"},
        {" {} ", "{\"params\": {} }"},
        {"", "{\"params\":{}}"},
        {"\n ", "{\"params\":{}}"},
        {"[]", NULL},
        {"null", NULL},
        {"\"{}\"", NULL},
        {"{\"a\":1", NULL},
        {"{\"a\":1}}", NULL},
        {"{} {}", NULL},
        {"{\"a\":\"\xff\"}", NULL},
        {"query: shoes", NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf b = BUF(200);

        assert_int_equal(tool_put_request(&b, slice_of(cases[i][0])), cases[i][1] != NULL);
        assert_string_equal(buf_text(&b), cases[i][1] ? cases[i][1] : "");
        assert_true(!cases[i][1] || json_valid(buf_slice(&b)));
        buf_free(&b);
    }
    struct buf small = BUF(12);

    assert_false(tool_put_request(&small, SLICE("{}")));
    assert_int_equal(small.len, 0);
    buf_free(&small);
}

static void answers_are_told_as_they_are(void **state)
{
    static const char *const bodies[] = {"{\"ok\": true}", "plain text\n", "", "caf\xc3\xa9"};
    struct arena *arena = arena_new(1 << 20);
    bool truncated = true;

    (void)state;
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        assert_string_equal(tool_answer_text(slice_of(bodies[i]), 100, arena, &truncated).at, bodies[i]);
        assert_false(truncated);
    }
    assert_string_equal(tool_answer_text((struct slice){NULL, 0}, 100, arena, &truncated).at, "");
    assert_string_equal(tool_answer_text(SLICE("a\xff\xe2\x82z"), 100, arena, &truncated).at, "a\xef\xbf\xbd\xef\xbf\xbdz");
    assert_false(truncated);
    arena_free(arena);
}

static void long_answers_are_cut_with_a_mark(void **state)
{
    static char body[4000];
    struct arena *arena = arena_new(32 << 20);

    (void)state;
    for (size_t i = 0; i + 3 <= sizeof body; i += 3)
        memcpy(body + i, "\xe2\x82\xac", 3); /* cuts fall inside characters */
    for (int bad = 0; bad < 2; bad++) {
        body[5] = bad ? '\xff' : body[5];
        for (size_t max = 0; max < sizeof body; max += 7) {
            bool truncated = false;
            struct slice text = tool_answer_text((struct slice){body, sizeof body - 1}, max, arena, &truncated);

            assert_true(truncated);
            assert_true(text.at && text.len <= max && utf8_valid(text));
            if (max > 200) {
                assert_true(text.len > max - 8);
                assert_non_null(strstr(text.at, "\n[cut here: the tool's answer has 3999 bytes]"));
            }
        }
    }
    arena_free(arena);
    arena = arena_new(100);
    assert_null(tool_answer_text((struct slice){body, sizeof body}, 3000, arena, &(bool){false}).at);
    arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arguments_are_wrapped_as_written),
        cmocka_unit_test(answers_are_told_as_they_are),
        cmocka_unit_test(long_answers_are_cut_with_a_mark),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
