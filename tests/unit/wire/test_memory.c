/* wire without memory: schemas, plans, records in and out, headers. */
#include "memory_faults.h"

#include <stdio.h>

#include "stepmill/avro_json.h"
#include "stepmill/cloud_events.h"
#include "stepmill/dead_letter.h"
#include "stepmill/event_codec.h"
#include "stepmill/result_codec.h"
#include "stepmill/schemas.h"
#include "stepmill/session_turn.h"
#include "stepmill/task_codec.h"
#include "stepmill/task_json.h"
#include "stepmill/wire_format.h"

/* 50 entries: more than the first room of an array. */
enum { ENTRIES = 50, SCHEMA_ID = 7 };
static struct context_entry entries[ENTRIES];
static char names[ENTRIES][8];

static struct task_input task(void)
{
    for (int i = 0; i < ENTRIES; i++)
        entries[i] = (struct context_entry){{names[i], (size_t)snprintf(names[i], sizeof names[i], "k%02d", i)}, SLICE("value")};
    return (struct task_input){
        SLICE("t-1"), SLICE("web"),  SLICE("search"), SLICE("s-1"), SLICE("Find it."), entries, ENTRIES, 1767225600123, 5,
        -1,           1767229200000, SLICE("p-1")};
}

static struct event event(enum event_kind kind)
{
    static const struct frozen_tool tools[] = {{SLICE("search"), SLICE("1.2"), true, false}};
    static const struct turn turns[] = {{SLICE("user"), SLICE("hi")}, {SLICE("assistant"), SLICE("hello")}};
    static const struct tool_call calls[] = {{SLICE("c1"), SLICE("search"), SLICE("{\"q\":1}")}};
    static const struct attempt attempts[] = {{SLICE("primary"), SLICE("timeout"), 12, 30000}};
    struct event e = {.task_id = SLICE("t-1"), .session_id = SLICE("s-1"), .agent = SLICE("search"), .seq = 3, .kind = kind};

    if (kind == EVENT_STARTED)
        e.started = (struct event_started){.origin = {SLICE("agent.tasks.search"), 3, 42},
                                           .input = task(),
                                           .max_steps = 10,
                                           .token_budget = 8192,
                                           .tools = tools,
                                           .ntools = 1,
                                           .memory = turns,
                                           .nmemory = 2};
    else if (kind == EVENT_MODEL_ANSWERED)
        e.model = (struct event_model_answered){
            .model = SLICE("m"), .calls = calls, .ncalls = 1, .finish = FINISH_TOOL_CALLS, .attempts = attempts, .nattempts = 1};
    else
        e.failed = (struct event_failed){.class = SLICE("exhausted"), .code = SLICE("timeout"), .message = SLICE("no answer")};
    return e;
}

static struct task_result result(void)
{
    return (struct task_result){.task_id = SLICE("t-1"),
                                .session_id = SLICE("s-1"),
                                .agent = SLICE("search"),
                                .status = SLICE("completed"),
                                .output = SLICE("done"),
                                .history = SLICE("00"),
                                .metadata = task().context,
                                .nmetadata = ENTRIES};
}

/* A plan for one of our schemas; NULL: no memory. */
static struct avro_plan *plan_for(enum own_schema which, const struct avro_record *reader)
{
    struct schema *schema = NULL;
    struct avro_plan *plan = NULL;
    struct detail detail;
    bool done = fine(schema_parse(own_schema_text(which), &SCHEMA_LIMITS, &schema, &detail)) &&
                fine(avro_plan_new(schema, reader, &plan, &detail));

    schema_free(schema);
    if (done != (plan != NULL))
        bug("a plan and an error");
    if (plan)
        saw_number((int64_t)avro_plan_size(plan));
    return plan;
}

static bool schemas(void)
{
    for (enum own_schema which = 0; which < OWN_SCHEMAS; which++) {
        struct schema *a = NULL, *b = NULL;
        struct detail detail;
        bool done = fine(schema_parse(own_schema_text(which), &SCHEMA_LIMITS, &a, &detail)) &&
                    fine(schema_parse(own_schema_text(which), &SCHEMA_LIMITS, &b, &detail));

        if (done && !schema_equal(a, b))
            fail_msg("%s was parsed twice and differs", own_schema_name(which));
        schema_free(a);
        schema_free(b);
        if (!done)
            return false;
    }
    return true;
}

/* Writes, reads back, writes again: the second text is what was understood. */
static bool task_record(void)
{
    struct task_input in = task(), out;
    struct avro_plan *plan = plan_for(OWN_TASK, &task_reader);
    struct arena *arena = arena_new(1 << 20);
    struct buf b = BUF(1 << 20), again = BUF(1 << 20);
    struct detail detail;
    bool done = plan && arena;

    task_put(&b, SCHEMA_ID, &in);
    done = done && !b.failed &&
           fine(task_read(plan, (struct slice){b.at + WIRE_HEADER_SIZE, b.len - WIRE_HEADER_SIZE}, SLICE("search"), arena, &out,
                          &detail));
    if (done)
        task_put(&again, SCHEMA_ID, &out);
    done = saw_buf(&again) && done;
    buf_free(&b);
    avro_plan_free(plan);
    arena_free(arena);
    return done;
}

static bool events(void)
{
    static const enum event_kind kinds[] = {EVENT_STARTED, EVENT_MODEL_ANSWERED, EVENT_FAILED};
    struct avro_plan *plan = plan_for(OWN_EVENT, &event_reader);
    struct arena *arena = arena_new(1 << 20);
    bool done = plan && arena;

    for (size_t i = 0; done && i < sizeof kinds / sizeof *kinds; i++) {
        struct event in = event(kinds[i]), out;
        struct buf b = BUF(1 << 20), again = BUF(1 << 20);
        struct detail detail;

        event_put(&b, SCHEMA_ID, &in);
        done = !b.failed &&
               fine(event_read(plan, (struct slice){b.at + WIRE_HEADER_SIZE, b.len - WIRE_HEADER_SIZE}, arena, &out, &detail));
        if (done)
            event_put(&again, SCHEMA_ID, &out);
        done = saw_buf(&again) && done;
        buf_free(&b);
    }
    avro_plan_free(plan);
    arena_free(arena);
    return done;
}

static bool results(void)
{
    struct task_result in = result(), out;
    struct avro_plan *plan = plan_for(OWN_RESULT, &result_reader);
    struct arena *arena = arena_new(1 << 20);
    struct buf b = BUF(1 << 20), again = BUF(1 << 20);
    struct detail detail;
    bool done = plan && arena;

    result_put(&b, SCHEMA_ID, &in);
    done = done && !b.failed &&
           fine(result_read(plan, (struct slice){b.at + WIRE_HEADER_SIZE, b.len - WIRE_HEADER_SIZE}, arena, &out, &detail));
    if (done)
        result_put(&again, SCHEMA_ID, &out);
    done = saw_buf(&again) && done;
    buf_free(&b);
    avro_plan_free(plan);
    arena_free(arena);
    return done;
}

static bool record_as_json(void)
{
    struct event e = event(EVENT_STARTED);
    struct schema *schema = NULL;
    struct buf b = BUF(1 << 20), json = BUF(1 << 20);
    struct detail detail;
    bool done = fine(schema_parse(own_schema_text(OWN_EVENT), &SCHEMA_LIMITS, &schema, &detail));

    event_put(&b, SCHEMA_ID, &e);
    done = done && !b.failed &&
           fine(avro_json_put(schema, (struct slice){b.at + WIRE_HEADER_SIZE, b.len - WIRE_HEADER_SIZE}, &json));
    done = saw_buf(&json) && done;
    buf_free(&b);
    schema_free(schema);
    return done;
}

static bool task_as_json(void)
{
    struct arena *arena = arena_new(1 << 20);
    struct task_input t = {.max_steps = -1, .token_budget = -1, .deadline_at_ms = -1};
    struct buf b = BUF(1 << 20);
    struct detail detail;
    bool done = arena && fine(task_json_read(SLICE("{\"task_id\":\"t\",\"session_id\":\"s-\\u00e9\",\"prompt\":\"Find it.\","
                                                   "\"context\":{\"a\":\"1\",\"b\":\"2\",\"c\":\"3\"},\"deadline_at\":\"10m\"}"),
                                             1767225600123, arena, &t, &detail));

    if (done)
        task_put(&b, SCHEMA_ID, &t);
    done = saw_buf(&b) && done;
    arena_free(arena);
    return done;
}

static bool session_turn(void)
{
    struct turn in = {SLICE("user"), SLICE("hi \"there\"")}, out;
    struct arena *arena = arena_new(1 << 20);
    struct buf b = BUF(1 << 20);
    bool done = arena != NULL;

    session_turn_put(&b, &in);
    done = done && !b.failed && session_turn_read(buf_slice(&b), arena, &out);
    if (done) {
        saw(out.role);
        saw(out.content);
    }
    done = saw_buf(&b) && done;
    arena_free(arena);
    return done;
}

static void saw_headers(const struct kafka_header *headers, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        saw(headers[i].name);
        saw(headers[i].value);
    }
}

static bool cloud_events(void)
{
    struct arena *arena = arena_new(1 << 20);
    struct kafka_header headers[CLOUD_EVENT_HEADERS];
    bool done = arena && cloud_event_headers(headers, arena, SLICE("t-1"), 3, &(struct digest){{1}}, SLICE("search"),
                                             "AgentEvent", 1767225600123);

    if (done)
        saw_headers(headers, CLOUD_EVENT_HEADERS);
    arena_free(arena);
    return done;
}

static bool dead_letter(void)
{
    static const struct kafka_header original[] = {{SLICE("a"), SLICE("1")}, {SLICE("stepmill.first_failed_at"), SLICE("5")}};
    struct arena *arena = arena_new(1 << 20);
    struct dead_letter letter = {.origin = {SLICE("agent.tasks.search"), 3, 42},
                                 .group = SLICE("g"),
                                 .task_id = SLICE("t-1"),
                                 .agent = SLICE("search"),
                                 .class = SLICE("exhausted"),
                                 .code = SLICE("timeout"),
                                 .stage = SLICE("model"),
                                 .message = SLICE("no answer from 10.0.0.1 \x01 \xff"),
                                 .failed_at_ms = 1767225600123,
                                 .first_failed_at_ms = -1,
                                 .worker = SLICE("host/1"),
                                 .schema_id = 7};
    const struct kafka_header *headers = NULL;
    size_t n = 0;
    bool done = arena != NULL;

    if (done) {
        letter.value_omitted = dead_letter_omitted(SLICE("a value"), &letter.origin, arena);
        done = letter.value_omitted.at && dead_letter_headers(&letter, original, 2, arena, &headers, &n);
    }
    if (done)
        saw_headers(headers, n);
    arena_free(arena);
    return done;
}

int main(void)
{
    static const struct memory_operation operations[] = {
        {"schemas", schemas, false},
        {"task record", task_record, false},
        {"events", events, false},
        {"results", results, false},
        {"record as JSON", record_as_json, false},
        {"task as JSON", task_as_json, false},
        {"session turn", session_turn, false},
        {"CloudEvents headers", cloud_events, false},
        {"dead letter", dead_letter, false},
    };

    return memory_faults_run("wire without memory", operations, sizeof operations / sizeof *operations);
}
