/* Events and results: written, read by avro-c against schemas/, read back by us, and read across versions. */
#include "helper_avro.h"

#include <stdio.h>
#include <stdlib.h>

#include <avro.h>

#include "stepmill/avro_json.h"
#include "stepmill/wire_format.h"

/* avro-c decodes the bytes by our schema and encodes them again: the same bytes must come out, with none left over. */
static void assert_avro_c_agrees(enum own_schema which, struct slice avro)
{
    struct slice text = own_schema_text(which);
    avro_schema_t schema;
    avro_value_iface_t *class;
    avro_value_t value;
    char *again = malloc(avro.len + 1);
    avro_reader_t reader = avro_reader_memory(avro.at, (int64_t)avro.len);
    avro_writer_t writer = avro_writer_memory(again, (int64_t)avro.len + 1);

    assert_int_equal(avro_schema_from_json_length(text.at, text.len, &schema), 0);
    class = avro_generic_class_from_schema(schema);
    assert_int_equal(avro_generic_value_new(class, &value), 0);
    if (avro_value_read(reader, &value))
        fail_msg("avro-c: %s", avro_strerror());
    assert_int_equal(avro_value_write(writer, &value), 0);
    assert_int_equal(avro_writer_tell(writer), avro.len);
    assert_memory_equal(again, avro.at, avro.len);
    avro_value_decref(&value);
    avro_value_iface_decref(class);
    avro_schema_decref(schema);
    avro_reader_free(reader);
    avro_writer_free(writer);
    free(again);
}

static const struct context_entry context[] = {{SLICE("a"), SLICE("1")}, {SLICE("b"), SLICE("")}};
static const struct frozen_tool tools[] = {{SLICE("search"), SLICE("1.2"), true, false}, {SLICE("pay"), SLICE("2"), false, true}};
static const struct turn turns[] = {{SLICE("user"), SLICE("hi")}, {SLICE("assistant"), SLICE("hello")}};
static const struct tool_call calls[] = {{SLICE("c1"), SLICE("search"), SLICE("{\"q\":1}")},
                                         {SLICE("c2"), SLICE("pay"), SLICE("not json")}};
static const struct attempt attempts[] = {{SLICE("primary"), SLICE("timeout"), 12, 30000}};

static struct event base(enum event_kind kind)
{
    return (struct event){.task_id = SLICE("t-1"),
                          .session_id = SLICE("s-1"),
                          .agent = SLICE("search"),
                          .seq = 3,
                          .at_us = 1767225600123456,
                          .trace_id = SLICE("0af7651916cd43dd8448eb211c80319c"),
                          .span_id = SLICE("b7ad6b7169203331"),
                          .kind = kind};
}

/* One event of each kind, every member set. */
static struct event sample(enum event_kind kind)
{
    struct event e = base(kind);
    struct origin origin = {SLICE("agent.tasks.search"), 3, INT64_C(1) << 40};

    switch (kind) {
    case EVENT_STARTED:
        e.started = (struct event_started){.origin = origin,
                                           .input_hash = {{1, 2, 3}},
                                           .max_steps = 10,
                                           .token_budget = 8192,
                                           .redrives = 2,
                                           .tools = tools,
                                           .ntools = 2,
                                           .memory = turns,
                                           .nmemory = 2};
        e.started.input = (struct task_input){
            SLICE("t-1"), SLICE("web"),  SLICE("search"), SLICE("s-1"), SLICE("Find"), context, 2, 1767225600123, 5,
            -1,           1767229200000, SLICE("p-1")};
        break;
    case EVENT_MODEL_ANSWERED:
        e.model = (struct event_model_answered){SLICE("gpt-4o"),
                                                SLICE("primary"),
                                                SLICE("abcd"),
                                                {NULL, 0},
                                                calls,
                                                2,
                                                4,
                                                FINISH_TOOL_CALLS,
                                                100,
                                                50,
                                                321,
                                                attempts,
                                                1};
        break;
    case EVENT_TOOL_ANSWERED:
        e.tool = (struct event_tool_answered){SLICE("c1"),  SLICE("search"),
                                              SLICE("1.2"), SLICE("t-1/4/00ff00ff"),
                                              TOOL_REFUSED, SLICE("no"),
                                              true,         17,
                                              attempts,     1};
        break;
    case EVENT_COMPLETED:
        e.completed = (struct event_completed){SLICE("done \xe2\x98\x95"), SLICE("max_steps_reached"), true};
        break;
    case EVENT_FAILED:
        e.failed = (struct event_failed){SLICE("exhausted"), SLICE("timeout"), SLICE("no answer"), SLICE("model"), true, false, 3,
                                         SLICE("partial")};
        break;
    case EVENT_CANCELLED:
        e.cancelled = (struct event_cancelled){SLICE("ann"), SLICE("changed her mind"), {NULL, 0}};
        break;
    case EVENT_PARKED:
        e.parked = (struct event_parked){1767229200000, SLICE("boss")};
        break;
    case EVENT_REOPENED:
        e.reopened = (struct event_reopened){SLICE("redrive"), 2, origin, SLICE("ann"), SLICE("fixed"), 1767229200000};
        break;
    }
    return e;
}

static struct slice encode(struct buf *b, const struct event *e)
{
    struct slice avro;
    uint32_t id;

    event_put(b, 0x01020304, e);
    assert_false(b->failed);
    assert_fine(wire_parse(buf_slice(b), &id, &avro), "");
    assert_int_equal(id, 0x01020304);
    return avro;
}

/* Reads and writes again: the same bytes, so no member was lost or changed. */
static void assert_round_trip(struct avro_plan *plan, struct slice avro)
{
    struct arena *arena = arena_new(1 << 20);
    struct slice copy = exact(avro);
    struct buf again = BUF(1 << 20);
    struct event e;
    struct detail detail;

    assert_fine(event_read(plan, copy, arena, &e, &detail), detail.text);
    assert_true(slice_equal(encode(&again, &e), avro));
    buf_free(&again);
    arena_free(arena);
    free((void *)(uintptr_t)copy.at);
}

static void every_event_goes_there_and_back(void **state)
{
    struct avro_plan *plan = own_plan(OWN_EVENT, &event_reader);

    (void)state;
    for (int kind = EVENT_STARTED; kind <= EVENT_REOPENED; kind++) {
        struct event full = sample((enum event_kind)kind), bare = base((enum event_kind)kind);
        struct buf a = BUF(1 << 20), b = BUF(1 << 20);
        struct slice avro;

        avro = encode(&a, &full);
        assert_avro_c_agrees(OWN_EVENT, avro);
        assert_round_trip(plan, avro);
        avro = encode(&b, &bare);
        assert_avro_c_agrees(OWN_EVENT, avro);
        assert_round_trip(plan, avro);
        buf_free(&a);
        buf_free(&b);
    }
    avro_plan_free(plan);
}

static void members_land_where_they_belong(void **state)
{
    struct avro_plan *plan = own_plan(OWN_EVENT, &event_reader);
    struct arena *arena = arena_new(1 << 20);
    struct event out, in = sample(EVENT_MODEL_ANSWERED);
    struct buf b = BUF(1 << 20);
    struct detail detail;

    (void)state;
    assert_fine(event_read(plan, encode(&b, &in), arena, &out, &detail), detail.text);
    assert_int_equal(out.kind, EVENT_MODEL_ANSWERED);
    assert_int_equal(out.seq, 3);
    assert_int_equal(out.at_us, 1767225600123456);
    assert_slice(out.span_id, "b7ad6b7169203331");
    assert_null(out.model.content.at);
    assert_int_equal(out.model.ncalls, 2);
    assert_slice(out.model.calls[1].arguments, "not json");
    assert_int_equal(out.model.calls_refused, 4);
    assert_int_equal(out.model.finish, FINISH_TOOL_CALLS);
    assert_slice(out.model.attempts[0].error, "timeout");
    assert_int_equal(out.model.attempts[0].duration_ms, 30000);
    buf_free(&b);
    arena_free(arena);
    avro_plan_free(plan);
}

static void results_go_there_and_back(void **state)
{
    struct avro_plan *plan = own_plan(OWN_RESULT, &result_reader);
    struct task_result in = {SLICE("t-1"),
                             SLICE("s-1"),
                             SLICE("search"),
                             SLICE("completed"),
                             SLICE("out"),
                             {NULL, 0},
                             3,
                             150,
                             100,
                             50,
                             2,
                             SLICE("gpt-4o"),
                             1234,
                             1767225600123,
                             1,
                             true,
                             SLICE("00ff"),
                             context,
                             2};
    struct buf b = BUF(1 << 20), again = BUF(1 << 20);
    struct arena *arena = arena_new(1 << 20);
    struct task_result out;
    struct detail detail;
    struct slice avro;
    uint32_t id;

    (void)state;
    result_put(&b, 9, &in);
    assert_fine(wire_parse(buf_slice(&b), &id, &avro), "");
    assert_avro_c_agrees(OWN_RESULT, avro);
    assert_fine(result_read(plan, avro, arena, &out, &detail), detail.text);
    assert_slice(out.metadata[1].key, "b");
    assert_null(out.error.at);
    assert_true(out.final);
    assert_int_equal(out.finished_at_ms, 1767225600123);
    result_put(&again, 9, &out);
    assert_true(slice_equal(buf_slice(&b), buf_slice(&again)));
    buf_free(&b);
    buf_free(&again);
    arena_free(arena);
    avro_plan_free(plan);
}

/* A first version that had less: what came later gets its default. */
static void an_older_version_is_read(void **state)
{
    static const char older[] =
        "{\"type\":\"record\",\"name\":\"AgentEvent\",\"fields\":[{\"name\":\"task_id\",\"type\":\"string\"},"
        "{\"name\":\"session_id\",\"type\":\"string\"},{\"name\":\"agent\",\"type\":\"string\"},{\"name\":\"seq\",\"type\":"
        "\"int\"},"
        "{\"name\":\"at\",\"type\":{\"type\":\"long\",\"logicalType\":\"timestamp-micros\"}},{\"name\":\"body\",\"type\":["
        "{\"type\":\"record\",\"name\":\"TaskFailed\",\"fields\":[{\"name\":\"class\",\"type\":\"string\"},"
        "{\"name\":\"code\",\"type\":\"string\"}]}]}]}";
    struct avro_plan *plan = plan_of(older, &event_reader);
    struct arena *arena = arena_new(1 << 20);
    struct event e;
    struct detail detail;

    (void)state;
    assert_fine(event_read(plan, SLICE("\2t\2s\2a\2\2\0\2x\2y"), arena, &e, &detail), detail.text);
    assert_int_equal(e.kind, EVENT_FAILED);
    assert_slice(e.failed.code, "y");
    assert_true(e.failed.final);
    assert_slice(e.failed.message, "");
    assert_null(e.failed.output.at);
    assert_slice(e.trace_id, "");
    arena_free(arena);
    avro_plan_free(plan);
}

static void a_newer_version_is_read_or_waited_for(void **state)
{
    static const char newer[] =
        "{\"type\":\"record\",\"name\":\"AgentEvent\",\"fields\":[{\"name\":\"weight\",\"type\":\"double\"},"
        "{\"name\":\"task_id\",\"type\":\"string\"},{\"name\":\"session_id\",\"type\":\"string\"},{\"name\":\"agent\",\"type\":"
        "\"string\"},"
        "{\"name\":\"seq\",\"type\":\"int\"},{\"name\":\"at\",\"type\":\"long\"},{\"name\":\"body\",\"type\":["
        "{\"type\":\"record\",\"name\":\"TaskDreamt\",\"fields\":[{\"name\":\"of\",\"type\":\"string\"}]},"
        "{\"type\":\"record\",\"name\":\"ns.TaskCompleted\",\"fields\":[{\"name\":\"score\",\"type\":\"float\"},"
        "{\"name\":\"output\",\"type\":\"string\"}]}]}]}";
    struct avro_plan *plan = plan_of(newer, &event_reader);
    struct arena *arena = arena_new(1 << 20);
    struct event e;
    struct detail detail;
    struct error error;

    (void)state;
    assert_fine(event_read(plan, SLICE("\0\0\0\0\0\0\0\0\2t\2s\2a\2\2\2\0\0\0\0\4ok"), arena, &e, &detail), detail.text);
    assert_int_equal(e.kind, EVENT_COMPLETED);
    assert_slice(e.completed.output, "ok");
    error = event_read(plan, SLICE("\0\0\0\0\0\0\0\0\2t\2s\2a\2\2\0\2x"), arena, &e, &detail);
    assert_fails(error, "newer_version");
    assert_int_equal(error.class, CLASS_WAIT);
    error = event_read(plan, SLICE("\0\0\0\0\0\0\0\0\2t\2s\2a\2\2\0"), arena, &e, &detail);
    assert_fails(error, "does_not_decode");
    arena_free(arena);
    avro_plan_free(plan);
}

static void events_are_shown_as_json(void **state)
{
    struct schema *schema = schema_of(own_schema_text(OWN_EVENT).at);
    struct event e = sample(EVENT_TOOL_ANSWERED);
    struct buf b = BUF(1 << 20), json = BUF(1 << 20), tight = BUF(100);

    (void)state;
    assert_fine(avro_json_put(schema, encode(&b, &e), &json), "");
    assert_string_equal(
        buf_text(&json),
        "{\"task_id\":\"t-1\",\"session_id\":\"s-1\",\"agent\":\"search\",\"seq\":3,\"at\":1767225600123456,"
        "\"trace_id\":\"0af7651916cd43dd8448eb211c80319c\",\"span_id\":\"b7ad6b7169203331\",\"body\":{\"call_id\":\"c1\","
        "\"name\":\"search\",\"version\":\"1.2\",\"idempotency_key\":\"t-1/4/00ff00ff\",\"outcome\":\"refused\","
        "\"content\":\"no\",\"truncated\":true,\"duration_ms\":17,\"attempts\":[{\"target\":\"primary\","
        "\"error\":\"timeout\",\"tokens\":12,\"duration_ms\":30000}]}}");
    buf_clear(&b);
    assert_fails(avro_json_put(schema, encode(&b, &e), &tight), "json_too_large");
    buf_free(&b);
    buf_free(&json);
    buf_free(&tight);
    schema_free(schema);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_event_goes_there_and_back),
        cmocka_unit_test(members_land_where_they_belong),
        cmocka_unit_test(results_go_there_and_back),
        cmocka_unit_test(an_older_version_is_read),
        cmocka_unit_test(a_newer_version_is_read_or_waited_for),
        cmocka_unit_test(events_are_shown_as_json),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
