/* Tasks from JSON: defaults, every field, every mistake with its words, and what the worker would make of them. */
#include "helper_avro.h"

#include <stdio.h>
#include <stdlib.h>

#include "stepmill/task_json.h"
#include "stepmill/wire_format.h"

static const int64_t NOW = INT64_C(1795237921123);

struct read {
    struct arena *arena;
    struct task_input task;
    struct error error;
    struct detail detail;
};

/* The text lies in memory of exactly its size and is gone afterwards: nothing may point into it. */
static struct read read_json(const char *text)
{
    struct read r = {.arena = arena_new(1 << 20),
                     .task = {.task_id = SLICE("default-id"),
                              .source_agent = SLICE("cli"),
                              .target_agent = SLICE("search"),
                              .session_id = SLICE("default-session"),
                              .created_at_ms = NOW,
                              .max_steps = 7,
                              .token_budget = -1,
                              .deadline_at_ms = -1}};
    struct slice copy = exact(slice_of(text));

    r.error = task_json_read(copy, NOW, r.arena, &r.task, &r.detail);
    memset((void *)(uintptr_t)copy.at, 'x', copy.len);
    free((void *)(uintptr_t)copy.at);
    return r;
}

static void what_is_left_out_or_null_keeps_its_default(void **state)
{
    static const char *const texts[] = {
        "{}", " {\"task_id\": null, \"session_id\": null, \"context\": null, \"created_at\": null, \"max_steps\": null, "
              "\"token_budget\": null, \"deadline_at\": null, \"parent_task_id\": null, \"source_agent\": null, "
              "\"target_agent\": null, \"prompt\": null}\r\n"};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct read r = read_json(texts[i]);

        assert_fine(r.error, r.detail.text);
        assert_slice(r.task.task_id, "default-id");
        assert_slice(r.task.session_id, "default-session");
        assert_slice(r.task.source_agent, "cli");
        assert_null(r.task.prompt.at);
        assert_null(r.task.parent_task_id.at);
        assert_int_equal(r.task.ncontext, 0);
        assert_int_equal(r.task.max_steps, 7);
        assert_int_equal(r.task.created_at_ms, NOW);
        assert_int_equal(r.task.deadline_at_ms, -1);
        arena_free(r.arena);
    }
}

static void every_field_is_read(void **state)
{
    struct read r = read_json("{\"task_id\": \"t-1\", \"source_agent\": \"web\", \"target_agent\": \"orders\", \"session_id\": "
                              "\"s-1\", \"prompt\": \"Gr\\u00fc\\u00dfe\", \"context\": {\"b\": \"2\", \"a\": \"\"}, "
                              "\"created_at\": 5, \"max_steps\": 25, \"token_budget\": 512, \"deadline_at\": "
                              "1795237921999, \"parent_task_id\": \"t-0\"}");

    (void)state;
    assert_fine(r.error, r.detail.text);
    assert_slice(r.task.task_id, "t-1");
    assert_slice(r.task.source_agent, "web");
    assert_slice(r.task.target_agent, "orders");
    assert_slice(r.task.session_id, "s-1");
    assert_slice(r.task.prompt, "Gr\xc3\xbc\xc3\x9f"
                                "e");
    assert_int_equal(r.task.ncontext, 2);
    assert_slice(r.task.context[0].key, "b");
    assert_slice(r.task.context[0].value, "2");
    assert_slice(r.task.context[1].value, "");
    assert_int_equal(r.task.created_at_ms, 5);
    assert_int_equal(r.task.max_steps, 25);
    assert_int_equal(r.task.token_budget, 512);
    assert_int_equal(r.task.deadline_at_ms, INT64_C(1795237921999));
    assert_slice(r.task.parent_task_id, "t-0");
    arena_free(r.arena);
}

static void times_may_be_text(void **state)
{
    struct read r = read_json("{\"created_at\": \"10m\", \"deadline_at\": \"1h\"}");

    (void)state;
    assert_fine(r.error, r.detail.text);
    assert_int_equal(r.task.created_at_ms, NOW - 600000);
    assert_int_equal(r.task.deadline_at_ms, NOW + 3600000);
    arena_free(r.arena);
    r = read_json("{\"deadline_at\": \"2026-11-21T05:12:02.123Z\"}");
    assert_fine(r.error, r.detail.text);
    assert_int_equal(r.task.deadline_at_ms, NOW + 1000);
    arena_free(r.arena);
}

static void mistakes_are_told_and_nothing_is_guessed(void **state)
{
    static const struct {
        const char *text, *code, *detail;
    } rows[] = {
        {"", "not_json", "not JSON"},
        {"{\"prompt\": \"x\"", "not_json", "not JSON"},
        {"{} {}", "not_json", "not JSON"},
        {"[]", "not_json", "not a JSON object"},
        {"\"prompt\"", "not_json", "not a JSON object"},
        {"{\"prompt\": \"a\", \"prompt\": \"b\"}", "not_json", "duplicate"},
        {"{\"prompt\": \"\xff\"}", "not_json", "unable to decode byte 0xff"},
        {"{\"promt\": \"x\"}", "unknown_member", "\"promt\" is unknown: did you mean \"prompt\"?"},
        {"{\"tenant\": \"x\"}", "unknown_member", "\"tenant\" is unknown; context"},
        {"{\"task_id\": 5}", "wrong_type", "task_id must be a string"},
        {"{\"session_id\": [\"s\"]}", "wrong_type", "session_id must be a string"},
        {"{\"parent_task_id\": false}", "wrong_type", "parent_task_id must be a string"},
        {"{\"source_agent\": {}}", "wrong_type", "source_agent must be a string"},
        {"{\"max_steps\": \"5\"}", "wrong_type", "max_steps must be a whole number"},
        {"{\"max_steps\": 5.0}", "wrong_type", "max_steps must be a whole number"},
        {"{\"max_steps\": 0}", "out_of_range", "max_steps must be 1 to 25"},
        {"{\"max_steps\": -1}", "out_of_range", "max_steps must be 1 to 25"},
        {"{\"max_steps\": 4294967301}", "out_of_range", "max_steps must be 1 to 25"},
        {"{\"token_budget\": 511}", "out_of_range", "token_budget must be 512 to 32768"},
        {"{\"token_budget\": 32769}", "out_of_range", "token_budget must be 512 to 32768"},
        {"{\"created_at\": 1.5}", "wrong_type", "created_at must be Unix ms"},
        {"{\"deadline_at\": \"soon\"}", "wrong_type", "deadline_at must be Unix ms"},
        {"{\"deadline_at\": -1}", "out_of_range", "deadline_at lies before 1970"},
        {"{\"deadline_at\": true}", "wrong_type", "deadline_at must be Unix ms"},
        {"{\"context\": [\"a\"]}", "wrong_type", "context must be an object of strings"},
        {"{\"context\": {\"a\": 1}}", "wrong_type", "context: \"a\" must be a string"},
        {"{\"context\": {\"a\": null}}", "wrong_type", "context: \"a\" must be a string"},
        {"{\"context\": {\"a\": \"1\", \"a\": \"2\"}}", "not_json", "duplicate"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct read r = read_json(rows[i].text);

        assert_fails(r.error, rows[i].code);
        assert_int_equal(r.error.class, CLASS_REJECTED);
        if (!strstr(r.detail.text, rows[i].detail))
            fail_msg("%s: \"%s\" does not say \"%s\"", rows[i].text, r.detail.text, rows[i].detail);
        arena_free(r.arena);
    }
}

static void context_has_a_ceiling(void **state)
{
    (void)state;
    for (int n = EVENT_CONTEXT_MAX; n <= EVENT_CONTEXT_MAX + 1; n++) {
        struct buf text = BUF(1 << 16);
        struct read r;

        buf_put_text(&text, "{\"context\": {");
        for (int i = 0; i < n; i++)
            buf_printf(&text, "%s\"k%d\": \"v\"", i ? "," : "", i);
        buf_put_text(&text, "}}");
        r = read_json(buf_text(&text));
        if (n == EVENT_CONTEXT_MAX)
            assert_fine(r.error, r.detail.text);
        else
            assert_fails(r.error, "too_many_elements");
        buf_free(&text);
        arena_free(r.arena);
    }
}

static void a_full_arena_is_no_crash(void **state)
{
    struct arena *arena = arena_new(4096);
    struct task_input task = {0};
    struct buf text = BUF(1 << 16);

    (void)state;
    buf_put_text(&text, "{\"context\": {\"k\": \"");
    for (int i = 0; i < 10000; i++)
        buf_put_byte(&text, 'v');
    buf_put_text(&text, "\"}}");
    assert_fails(task_json_read(buf_slice(&text), NOW, arena, &task, NULL), "out_of_memory");
    buf_free(&text);
    arena_free(arena);
}

/* What task_check lets through, the worker takes; what it refuses, the worker would refuse or read otherwise. */
static struct task_input good(void)
{
    static const struct context_entry context[] = {{SLICE("b"), SLICE("1")}, {SLICE("a"), SLICE("2")}};

    return (struct task_input){.task_id = SLICE("t-1"),
                               .source_agent = SLICE("cli"),
                               .target_agent = SLICE("search"),
                               .session_id = SLICE("s-1"),
                               .prompt = SLICE("Find it"),
                               .context = context,
                               .ncontext = 2,
                               .created_at_ms = NOW,
                               .max_steps = -1,
                               .token_budget = -1,
                               .deadline_at_ms = -1};
}

static struct error worker_reads(const struct task_input *task)
{
    struct avro_plan *plan = own_plan(OWN_TASK, &task_reader);
    struct arena *arena = arena_new(1 << 20);
    struct buf value = BUF(1 << 20);
    struct task_input read;
    struct error error;

    task_put(&value, 1, task);
    error = task_read(plan, (struct slice){value.at + WIRE_HEADER_SIZE, value.len - WIRE_HEADER_SIZE}, SLICE("search"), arena,
                      &read, NULL);
    buf_free(&value);
    arena_free(arena);
    avro_plan_free(plan);
    return error;
}

static void check_refuses_what_the_worker_refuses(void **state)
{
    static const struct context_entry latin1[] = {{SLICE("k"), SLICE("\xe4")}};
    struct task_input rows[10];
    static const char *const codes[10] = {NULL,
                                          "bad_task_id",
                                          "bad_session_id",
                                          "bad_utf8",
                                          "max_steps_out_of_range",
                                          "token_budget_out_of_range",
                                          "bad_utf8",
                                          "wrong_target_agent",
                                          "max_steps_out_of_range",
                                          "bad_task_id"};
    struct detail detail;

    (void)state;
    for (size_t i = 0; i < 10; i++)
        rows[i] = good();
    rows[1].task_id = SLICE("a/b");
    rows[2].session_id = SLICE("");
    rows[3].prompt = SLICE("caf\xe9");
    rows[4].max_steps = 26;
    rows[5].token_budget = 511;
    rows[6].context = latin1;
    rows[6].ncontext = 1;
    rows[7].target_agent = SLICE("other");
    rows[8].max_steps = 0;
    rows[9].task_id = (struct slice){NULL, 0};
    for (size_t i = 0; i < 10; i++) {
        struct error checked = task_check(&rows[i], SLICE("search"), &detail), read = worker_reads(&rows[i]);

        if (!codes[i]) {
            assert_fine(checked, detail.text);
            assert_fine(read, "");
            continue;
        }
        assert_fails(checked, codes[i]);
        assert_fails(read, codes[i]);
    }
}

static void check_refuses_equal_keys(void **state)
{
    static const struct context_entry twice[] = {{SLICE("k"), SLICE("1")}, {SLICE("j"), SLICE("1")}, {SLICE("k"), SLICE("2")}};
    struct task_input task = good();

    (void)state;
    task.context = twice;
    task.ncontext = 3;
    assert_fails(task_check(&task, SLICE("search"), NULL), "duplicate_key");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_left_out_or_null_keeps_its_default),
        cmocka_unit_test(every_field_is_read),
        cmocka_unit_test(times_may_be_text),
        cmocka_unit_test(mistakes_are_told_and_nothing_is_guessed),
        cmocka_unit_test(context_has_a_ceiling),
        cmocka_unit_test(a_full_arena_is_no_crash),
        cmocka_unit_test(check_refuses_what_the_worker_refuses),
        cmocka_unit_test(check_refuses_equal_keys),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
