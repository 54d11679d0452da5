/* Answers of OpenAI, vLLM, Ollama, llama.cpp and gateways: what they differ in, and what is no answer at all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stepmill/json.h"
#include "stepmill/openai.h"

static const char openai_calls[] = "{\"id\":\"chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT\",\"object\":\"chat.completion\","
                                   "\"created\":1767225600,\"model\":\"gpt-4o-mini-2024-07-18\","
                                   "\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":null,\"tool_"
                                   "calls\":[{\"id\":\"call_8dJmR2kQpX1vTzN7sLwYb3Hc\",\"type\":"
                                   "\"function\",\"function\":{\"name\":\"lookup\",\"arguments\":\"{\\\"query\\\":\\\"order "
                                   "4711\\\",\\\"limit\\\":25}\"}},{\"id\":\"call_9\",\"type\":\"function\","
                                   "\"function\":{\"name\":\"notify\",\"arguments\":\"{}\"}}],\"refusal\":null,\"annotations\":[]"
                                   "},\"logprobs\":null,\"finish_reason\":\"tool_calls\"}],"
                                   "\"usage\":{\"prompt_tokens\":312,\"completion_tokens\":268,\"total_tokens\":580,\"prompt_"
                                   "tokens_details\":{\"cached_tokens\":0,\"audio_tokens\":0}},"
                                   "\"service_tier\":\"default\",\"system_fingerprint\":\"fp_06737a9306\"}\n";

static struct error parse(const char *body, struct arena **arena, struct openai_answer *answer)
{
    *arena = arena_new(1 << 20);
    assert_non_null(*arena);
    return openai_parse(slice_of(body), *arena, answer);
}

static void openai_with_two_calls(void **state)
{
    struct openai_answer a;
    struct arena *arena;

    (void)state;
    assert_false(failed(parse(openai_calls, &arena, &a)));
    assert_true(slice_is(a.model, "gpt-4o-mini-2024-07-18"));
    assert_null(a.content.at);
    assert_int_equal(a.ncalls, 2);
    assert_true(slice_is(a.calls[0].id, "call_8dJmR2kQpX1vTzN7sLwYb3Hc"));
    assert_true(slice_is(a.calls[0].name, "lookup"));
    assert_true(slice_is(a.calls[0].arguments, "{\"query\":\"order 4711\",\"limit\":25}"));
    assert_true(slice_is(a.calls[1].name, "notify"));
    assert_int_equal(a.calls_refused, 0);
    assert_int_equal(a.finish, FINISH_TOOL_CALLS);
    assert_true(a.has_usage);
    assert_int_equal(a.prompt_tokens, 312);
    assert_int_equal(a.completion_tokens, 268);
    arena_free(arena);
}

/* One line each: the message, finish_reason and usage of an answer, and what must come of it. */
struct variant {
    const char *message, *finish, *usage; /* finish with its quotes */
    const char *content;                  /* NULL: absent */
    size_t ncalls;
    const char *name, *id, *arguments; /* of the first call */
    enum finish_reason want;
    bool has_usage;
    int64_t tokens; /* prompt + completion */
};

/* clang-format off: one variant a line */
static const struct variant variants[] = {
    /* Ollama: content "" beside calls, an index in each, arguments as a string; older and native ones as an object */
    {"{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":[{\"id\":\"call_x\",\"index\":0,\"type\":\"function\",\"function\":"
     "{\"name\":\"f\",\"arguments\":\"{\\\"a\\\":1}\"}}]}",
     "\"tool_calls\"", "{\"prompt_tokens\":10,\"completion_tokens\":5,\"total_tokens\":15}", "", 1, "f", "call_x", "{\"a\":1}",
     FINISH_TOOL_CALLS, true, 15},
    {"{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":[{\"function\":{\"name\":\"f\",\"arguments\":{\"a\": [1, "
     "{\"b\":2}]}}}]}",
     "\"stop\"", "null", "", 1, "f", "call_0", "{\"a\": [1, {\"b\":2}]}", FINISH_TOOL_CALLS, false, 0},
    /* vLLM: tool_calls [] beside text, stop_reason, token ids; its own ids; usage with extra members */
    {"{\"role\":\"assistant\",\"content\":\"hi\",\"reasoning_content\":null,\"tool_calls\":[]}",
     "\"stop\",\"stop_reason\":null,\"token_ids\":null",
     "{\"prompt_tokens\":7,\"total_tokens\":9,\"completion_tokens\":2,\"prompt_tokens_details\":null}", "hi", 0, NULL, NULL, NULL,
     FINISH_STOP, true, 9},
    {"{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"chatcmpl-tool-1\",\"type\":\"function\",\"function\":{"
     "\"name\":\"f\",\"arguments\":\"\"}}]}",
     "\"stop\"", "{\"prompt_tokens\":7,\"total_tokens\":9}", NULL, 1, "f", "chatcmpl-tool-1", "{}", FINISH_TOOL_CALLS, true, 9},
    /* llama.cpp: no id, or an empty one; null arguments; timings beside usage */
    {"{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":"
     "null},\"id\":\"\"}]}",
     "\"tool_calls\"", "{\"completion_tokens\":3,\"prompt_tokens\":4,\"total_tokens\":7}", NULL, 1, "f", "call_0", "{}",
     FINISH_TOOL_CALLS, true, 7},
    {"{\"role\":\"assistant\",\"content\":\"x\",\"tool_calls\":null}", "null", "{}", "x", 0, NULL, NULL, NULL, FINISH_OTHER,
     false, 0},
    /* content as parts; a part without text; escapes */
    {"{\"content\":[{\"type\":\"text\",\"text\":\"a\\u00e9\"},{\"type\":\"thinking\",\"thinking\":[{\"text\":\"no\"}]},{\"type\":"
     "\"text\",\"text\":\"\\n\"}]}",
     "\"stop\"", "null", "a\xc3\xa9\n", 0, NULL, NULL, NULL, FINISH_STOP, false, 0},
    /* the old form */
    {"{\"content\":null,\"function_call\":{\"name\":\"f\",\"arguments\":\"{}\"}}", "\"function_call\"", "null", NULL, 1, "f",
     "call_0", "{}", FINISH_TOOL_CALLS, false, 0},
    {"{\"content\":\"t\",\"function_call\":null}", "\"stop\"", "null", "t", 0, NULL, NULL, NULL, FINISH_STOP, false, 0},
    /* ended early */
    {"{\"content\":\"cut of\"}", "\"length\"", "null", "cut of", 0, NULL, NULL, NULL, FINISH_LENGTH, false, 0},
    {"{\"content\":null}", "\"length\"", "null", NULL, 0, NULL, NULL, NULL, FINISH_LENGTH, false, 0},
    {"{\"role\":\"assistant\"}", "\"content_filter\"", "null", NULL, 0, NULL, NULL, NULL, FINISH_CONTENT_FILTER, false, 0},
    {"{\"content\":null,\"refusal\":\"I can't.\"}", "\"stop\"", "null", "I can't.", 0, NULL, NULL, NULL, FINISH_REFUSAL, false,
     0},
    {"{\"content\":\"so\",\"refusal\":\"\"}", "\"stop\"", "null", "so", 0, NULL, NULL, NULL, FINISH_STOP, false, 0},
    /* other APIs' words behind a gateway */
    {"{\"content\":\"x\"}", "\"end_turn\"", "null", "x", 0, NULL, NULL, NULL, FINISH_STOP, false, 0},
    {"{\"content\":\"x\"}", "\"max_tokens\"", "null", "x", 0, NULL, NULL, NULL, FINISH_LENGTH, false, 0},
    {"{\"content\":\"x\"}", "\"recitation\"", "null", "x", 0, NULL, NULL, NULL, FINISH_OTHER, false, 0},
    /* usage that can't be: counted as none; equal keys: the last counts; a key written with escapes */
    {"{\"content\":\"x\"}", "\"stop\"", "{\"prompt_tokens\":-1,\"completion_tokens\":2}", "x", 0, NULL, NULL, NULL, FINISH_STOP,
     false, 0},
    {"{\"content\":\"x\"}", "\"stop\"", "{\"prompt_tokens\":1.5,\"completion_tokens\":2}", "x", 0, NULL, NULL, NULL, FINISH_STOP,
     false, 0},
    {"{\"content\":\"x\"}", "\"stop\"", "{\"prompt_tokens\":3000000000,\"completion_tokens\":2}", "x", 0, NULL, NULL, NULL,
     FINISH_STOP, false, 0},
    {"{\"content\":\"first\",\"cont\\u0065nt\":\"last\"}", "\"length\",\"finish_reason\":\"stop\"", "null", "last", 0, NULL, NULL,
     NULL, FINISH_STOP, false, 0},
    /* members of the wrong type are as if they were not there */
    {"{\"content\":\"x\",\"tool_calls\":{\"0\":{}},\"refusal\":7}", "17", "[1]", "x", 0, NULL, NULL, NULL, FINISH_OTHER, false,
     0},
    {"{\"content\":42,\"tool_calls\":[null,7,{\"function\":\"f\"}]}", "\"stop\"", "null", NULL, 1, "", "call_0", "{}",
     FINISH_TOOL_CALLS, false, 0},
};
/* clang-format on */

static void check_variant(const struct variant *v)
{
    char body[2048];
    struct openai_answer a;
    struct arena *arena;

    snprintf(body, sizeof body,
             "{\"model\":\"m\",\"choices\":[{\"finish_reason\":%s,\"message\":%s,\"index\":0}],\"timings\":{\"a\":[1.5]},"
             "\"usage\":%s}",
             v->finish, v->message, v->usage);
    assert_false(failed(parse(body, &arena, &a)));
    assert_int_equal(a.content.at != NULL, v->content != NULL);
    assert_true(slice_equal(a.content, slice_of(v->content)));
    assert_int_equal(a.ncalls, v->ncalls);
    assert_int_equal(a.finish, v->want);
    assert_int_equal(a.has_usage, v->has_usage);
    assert_int_equal(a.prompt_tokens + a.completion_tokens, v->tokens);
    if (v->ncalls) {
        assert_true(slice_is(a.calls[0].name, v->name));
        assert_true(slice_is(a.calls[0].id, v->id));
        assert_true(slice_is(a.calls[0].arguments, v->arguments));
    }
    arena_free(arena);
}

static void what_servers_differ_in(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof variants / sizeof *variants; i++)
        check_variant(&variants[i]);
}

static void what_is_no_answer(void **state)
{
    static const char *const cases[][2] = {
        {"", "model_answer_not_json"},
        {"<html><body>502 Bad Gateway</body></html>", "model_answer_not_json"},
        {"data: {\"choices\":[]}\n\ndata: [DONE]", "model_answer_not_json"},
        {"{\"choices\":[{\"message\":{\"content\":\"cut", "model_answer_not_json"},
        {"{\"choices\":[{\"message\":{\"content\":\"x\"}}]} trailing", "model_answer_not_json"},
        {"{\"choices\":[{\"message\":{\"content\":\"\xff\"}}]}", "model_answer_not_json"},
        {"[]", "model_answer_not_json"},
        {"null", "model_answer_not_json"},
        {"{}", "model_answer_empty"},
        {"{\"choices\":[]}", "model_answer_empty"},
        {"{\"choices\":null,\"error\":null}", "model_answer_empty"},
        {"{\"choices\":[null]}", "model_answer_empty"},
        {"{\"choices\":[{\"message\":null,\"finish_reason\":\"stop\"}]}", "model_answer_empty"},
        {"{\"choices\":[{\"message\":{\"content\":\"\"},\"finish_reason\":\"stop\"}]}", "model_answer_empty"},
        {"{\"choices\":[{\"message\":{\"content\":[],\"tool_calls\":[]}}]}", "model_answer_empty"},
        {"{\"choices\":[{\"index\":0},{\"message\":{\"content\":\"the second\"}}]}", "model_answer_empty"},
        {"{\"error\":\"busy\"}", "model_answer_error"},
        {"{\"error\":{\"message\":\"Provider returned error\",\"code\":502},\"choices\":[]}", "model_http_502"},
        {"{\"error\":{\"message\":\"slow\",\"code\":429}}", "model_rate_limited"},
        {"{\"error\":{\"message\":\"no\",\"code\":\"content_filter\"}}", "refused"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct openai_answer a;
        struct arena *arena;
        struct error e = parse(cases[i][0], &arena, &a);

        assert_true(failed(e));
        if (strcmp(e.code, cases[i][1]) != 0)
            fail_msg("%s: %s", cases[i][0], e.code);
        if (!strncmp(e.code, "model_answer", 12))
            assert_int_equal(e.class, CLASS_AGAIN);
        arena_free(arena);
    }
}

/* Cut anywhere, an answer is not taken for one; with memory for only a part of it, it says so. */
static void every_prefix_and_every_ceiling(void **state)
{
    size_t len = strlen(openai_calls) - 1; /* the line end may be missing */
    bool enough = false;

    (void)state;
    for (size_t n = 0; n < len; n++) {
        struct arena *arena = arena_new(1 << 20);
        struct openai_answer a;
        char *copy = malloc(n ? n : 1);

        assert_non_null(copy);
        memcpy(copy, openai_calls, n);
        assert_string_equal(openai_parse((struct slice){copy, n}, arena, &a).code, "model_answer_not_json");
        free(copy);
        arena_free(arena);
    }
    for (size_t max = 0; max < 2500; max += 3) {
        struct arena *arena = arena_new(max);
        struct openai_answer a;
        struct error e = openai_parse(slice_of(openai_calls), arena, &a);

        enough |= !failed(e);
        if (failed(e))
            assert_string_equal(e.code, "out_of_memory");
        arena_free(arena);
    }
    assert_true(enough);
}

static void calls_beyond_the_limit_are_counted(void **state)
{
    struct buf body = BUF(1 << 20);
    struct arena *arena = arena_new(1 << 20);
    struct openai_answer a;

    (void)state;
    buf_put_text(&body, "{\"choices\":[{\"message\":{\"content\":null,\"tool_calls\":[");
    for (int i = 0; i < EVENT_TOOL_CALLS_MAX + 5; i++)
        buf_printf(&body, "%s{\"id\":\"c%d\",\"function\":{\"name\":\"f%d\",\"arguments\":\"{}\"}}", i ? "," : "", i, i);
    buf_put_text(&body, "]},\"finish_reason\":\"tool_calls\"}]}");
    assert_false(failed(openai_parse(buf_slice(&body), arena, &a)));
    assert_int_equal(a.ncalls, EVENT_TOOL_CALLS_MAX);
    assert_int_equal(a.calls_refused, 5);
    assert_true(slice_is(a.calls[EVENT_TOOL_CALLS_MAX - 1].name, "f31"));
    arena_free(arena);
    buf_free(&body);
}

static void ids_are_made_unique(void **state)
{
    static const char *const ids[] = {"\"x\"", "\"x\"", "null", "\"call_1\"", "\"\"", "7", "\"call_2\"", "\"call_5\""};
    static const char *const want[] = {"x", "call_3", "call_4", "call_1", "call_6", "call_7", "call_2", "call_5"};
    struct buf body = BUF(1 << 16);
    struct arena *arena = arena_new(1 << 20);
    struct openai_answer a;

    (void)state;
    buf_put_text(&body, "{\"choices\":[{\"message\":{\"tool_calls\":[");
    for (size_t i = 0; i < 8; i++)
        buf_printf(&body, "%s{\"id\":%s,\"function\":{\"name\":\"f\"}}", i ? "," : "", ids[i]);
    buf_put_text(&body, "]}}]}");
    assert_false(failed(openai_parse(buf_slice(&body), arena, &a)));
    for (size_t i = 0; i < 8; i++)
        for (size_t k = 0; k < i; k++)
            assert_false(slice_equal(a.calls[i].id, a.calls[k].id));
    for (size_t i = 0; i < 8; i++) {
        if (ids[i][0] == '"' && ids[i][1] != '"' && i != 1) /* the first of equal ids and all others keep theirs */
            assert_true(slice_is(a.calls[i].id, want[i]));
        else
            assert_true(slice_starts_with(a.calls[i].id, "call_"));
    }
    arena_free(arena);
    buf_free(&body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(openai_with_two_calls),
        cmocka_unit_test(what_servers_differ_in),
        cmocka_unit_test(what_is_no_answer),
        cmocka_unit_test(every_prefix_and_every_ceiling),
        cmocka_unit_test(calls_beyond_the_limit_are_counted),
        cmocka_unit_test(ids_are_made_unique),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
