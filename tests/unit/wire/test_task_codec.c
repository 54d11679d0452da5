/* Tasks: records of foreign libraries, limits, defaults, and what is told when one is wrong. */
#include "helper_avro.h"

#include <stdio.h>
#include <stdlib.h>

#include "golden_tasks.h"
#include "stepmill/wire_format.h"

struct decoded {
    struct arena *arena;
    struct slice bytes;
    struct task_input task;
    struct error error;
    struct detail detail;
};

static struct decoded decode(const char *schema, struct slice bytes)
{
    struct decoded d = {.arena = arena_new(1 << 20), .bytes = exact(bytes)};
    struct avro_plan *plan = plan_of(schema, &task_reader);

    d.error = task_read(plan, d.bytes, SLICE("search"), d.arena, &d.task, &d.detail);
    avro_plan_free(plan);
    return d;
}

static struct decoded decode_hex(const char *schema, const char *hex)
{
    struct slice bytes = bytes_of(hex);
    struct decoded d = decode(schema, bytes);

    free((void *)(uintptr_t)bytes.at);
    return d;
}

static void forget(struct decoded *d)
{
    arena_free(d->arena);
    free((void *)(uintptr_t)d->bytes.at);
}

/* A task by our schema, changed by the caller, there and back. */
static struct decoded round_trip(const struct task_input *task)
{
    struct buf b = BUF(1 << 20);
    struct decoded d;
    struct slice avro;
    uint32_t id;

    task_put(&b, 7, task);
    assert_fine(wire_parse(buf_slice(&b), &id, &avro), "");
    assert_int_equal(id, 7);
    d = decode(own_schema_text(OWN_TASK).at, avro);
    buf_free(&b);
    return d;
}

static struct task_input sample(void)
{
    return (struct task_input){.task_id = SLICE("t-1"),
                               .source_agent = SLICE("web"),
                               .target_agent = SLICE("search"),
                               .session_id = SLICE("s-1"),
                               .prompt = SLICE("Find it"),
                               .created_at_ms = 1,
                               .max_steps = -1,
                               .token_budget = -1,
                               .deadline_at_ms = -1};
}

static void assert_the_golden_task(const struct decoded *d)
{
    const struct task_input *t = &d->task;

    assert_fine(d->error, d->detail.text);
    assert_slice(t->task_id, "t-1");
    assert_slice(t->source_agent, "web");
    assert_slice(t->target_agent, "search");
    assert_slice(t->session_id, "s-1");
    assert_slice(t->prompt, "Find caf\xc3\xa9 \xe2\x98\x95");
    assert_int_equal(t->ncontext, 3);
    assert_slice(t->context[0].key, "a");
    assert_slice(t->context[0].value, "1");
    assert_slice(t->context[1].key, "b");
    assert_slice(t->context[2].key, "meta.user");
    assert_slice(t->context[2].value, "u7");
    assert_int_equal(t->created_at_ms, 1767225600123);
}

static void a_writer_of_seven_fields_works(void **state)
{
    struct decoded d = decode_hex(seven_schema, seven_bytes);

    (void)state;
    assert_the_golden_task(&d);
    assert_int_equal(d.task.max_steps, -1);
    assert_int_equal(d.task.token_budget, -1);
    assert_int_equal(d.task.deadline_at_ms, -1);
    assert_null(d.task.parent_task_id.at);
    forget(&d);
}

static void optional_fields_are_taken(void **state)
{
    struct decoded d = decode_hex(full_schema, full_bytes);

    (void)state;
    assert_the_golden_task(&d);
    assert_int_equal(d.task.max_steps, 5);
    assert_int_equal(d.task.token_budget, 2048);
    assert_int_equal(d.task.deadline_at_ms, 1767229200000);
    assert_slice(d.task.parent_task_id, "p-9");
    forget(&d);
}

/* Other names, other order, micros, unions, bytes for a string, a recursive type and fields that nobody asked for. */
static void a_stranger_is_read_by_its_fields(void **state)
{
    struct decoded d = decode_hex(stranger_schema, stranger_bytes);

    (void)state;
    assert_the_golden_task(&d);
    assert_int_equal(d.task.max_steps, 25);
    assert_int_equal(d.task.token_budget, -1);
    forget(&d);
}

static void a_record_cut_anywhere_is_refused(void **state)
{
    static const char *const schemas[] = {seven_schema, full_schema, stranger_schema};
    static const char *const hexes[] = {seven_bytes, full_bytes, stranger_bytes};

    (void)state;
    for (int i = 0; i < 3; i++) {
        struct slice bytes = bytes_of(hexes[i]);

        for (size_t n = 0; n < bytes.len; n++) {
            struct decoded d = decode(schemas[i], (struct slice){bytes.at, n});

            assert_fails(d.error, "does_not_decode");
            assert_int_equal(d.error.class, CLASS_POISON);
            assert_null(d.task.task_id.at);
            forget(&d);
        }
        free((void *)(uintptr_t)bytes.at);
    }
}

static void bytes_left_over_are_refused(void **state)
{
    char hex[4096];
    struct decoded d;

    (void)state;
    snprintf(hex, sizeof hex, "%s00", seven_bytes);
    d = decode_hex(seven_schema, hex);
    assert_fails(d.error, "does_not_decode");
    assert_non_null(strstr(d.detail.text, "left over"));
    forget(&d);
}

static void each_limit_has_its_code_and_leaves_the_ids(void **state)
{
    static char longest[ID_MAX + 2];
    struct task_input t[12];
    static const char *const codes[] = {"max_steps_out_of_range",
                                        "max_steps_out_of_range",
                                        "max_steps_out_of_range",
                                        "token_budget_out_of_range",
                                        "token_budget_out_of_range",
                                        "wrong_target_agent",
                                        "bad_session_id",
                                        "bad_session_id",
                                        "bad_task_id",
                                        "bad_task_id",
                                        "bad_task_id",
                                        "bad_task_id"};

    (void)state;
    memset(longest, 'x', sizeof longest - 1);
    for (int i = 0; i < 12; i++)
        t[i] = sample();
    t[0].max_steps = 0;
    t[1].max_steps = 26;
    t[2].max_steps = -2;
    t[3].token_budget = 511;
    t[4].token_budget = 32769;
    t[5].target_agent = SLICE("other");
    t[6].session_id = SLICE("");
    t[7].session_id = SLICE("a\"b");
    t[8].task_id = SLICE("a/b");
    t[9].task_id = slice_of(longest);
    t[10].task_id = SLICE("caf\xc3\xa9");
    t[11].task_id = SLICE("a\nb");
    for (int i = 0; i < 12; i++) {
        struct decoded d = round_trip(&t[i]);

        assert_fails(d.error, codes[i]);
        assert_int_equal(d.error.class, CLASS_POISON);
        assert_int_equal(d.task.task_id.at != NULL, i < 8);
        assert_int_equal(d.task.session_id.at != NULL, i < 6 || i > 7);
        forget(&d);
    }
}

/* -1 stands for "none" in the struct, but not in a record. */
static void minus_one_in_a_record_is_out_of_range(void **state)
{
    char hex[4096];
    struct decoded d;
    size_t n = strlen(seven_bytes);

    (void)state;
    snprintf(hex, sizeof hex, "%s0201000000", seven_bytes); /* max_steps: branch 1, -1 */
    d = decode_hex(full_schema, hex);
    assert_fails(d.error, "max_steps_out_of_range");
    forget(&d);
    hex[n] = '\0';
    d = decode_hex(seven_schema, hex);
    assert_fine(d.error, d.detail.text);
    forget(&d);
}

static void the_last_of_equal_keys_counts(void **state)
{
    static const struct context_entry twice[] = {
        {SLICE("k"), SLICE("first")}, {SLICE("a"), SLICE("x")}, {SLICE("k"), SLICE("last")}};
    struct task_input t = sample();
    struct decoded d;

    (void)state;
    t.context = twice;
    t.ncontext = 3;
    d = round_trip(&t);
    assert_fine(d.error, d.detail.text);
    assert_int_equal(d.task.ncontext, 2);
    assert_slice(d.task.context[1].key, "k");
    assert_slice(d.task.context[1].value, "last");
    forget(&d);
}

static void too_much_context_is_refused_but_the_id_is_known(void **state)
{
    static struct context_entry many[EVENT_CONTEXT_MAX + 1];
    static char keys[EVENT_CONTEXT_MAX + 1][8];
    struct task_input t = sample();
    struct decoded d;

    (void)state;
    for (size_t i = 0; i <= EVENT_CONTEXT_MAX; i++) {
        snprintf(keys[i], sizeof keys[i], "%zu", i);
        many[i] = (struct context_entry){slice_of(keys[i]), SLICE("v")};
    }
    t.context = many;
    t.ncontext = EVENT_CONTEXT_MAX;
    d = round_trip(&t);
    assert_fine(d.error, d.detail.text);
    assert_int_equal(d.task.ncontext, EVENT_CONTEXT_MAX);
    forget(&d);
    t.ncontext++;
    d = round_trip(&t);
    assert_fails(d.error, "too_many_elements");
    assert_non_null(strstr(d.detail.text, "context"));
    assert_slice(d.task.task_id, "t-1");
    forget(&d);
}

/* Readers of our events in other languages have no such times. */
static void times_out_of_all_calendars_become_the_nearest(void **state)
{
    static const int64_t most = INT64_C(253402300799999);
    static const struct {
        int64_t created, deadline, read_created, read_deadline;
    } cases[] = {{INT64_MIN, -5, 0, 0}, {INT64_MAX, INT64_MAX, most, most}, {0, 0, 0, 0}, {most, most, most, most}};
    struct task_input t = sample();
    struct detail detail;
    struct decoded d;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        t.created_at_ms = cases[i].created;
        t.deadline_at_ms = cases[i].deadline;
        d = round_trip(&t);
        assert_fine(d.error, d.detail.text);
        assert_int_equal(d.task.created_at_ms, cases[i].read_created);
        assert_int_equal(d.task.deadline_at_ms, cases[i].read_deadline);
        assert_int_equal(failed(task_check(&t, t.target_agent, &detail)), cases[i].created != cases[i].read_created);
        forget(&d);
    }
}

static void a_missing_field_is_named_and_the_id_is_known(void **state)
{
    static const char no_prompt[] = "{\"type\":\"record\",\"name\":\"T\",\"fields\":[{\"name\":\"task_id\",\"type\":\"string\"},"
                                    "{\"name\":\"session_id\",\"type\":\"string\"},{\"name\":\"prompt\",\"type\":\"int\"}]}";
    struct decoded d = decode_hex(no_prompt, "06742d3106732d3102");

    (void)state;
    assert_fails(d.error, "wrong_type"); /* the first trouble counts; source_agent and others are missing too */
    assert_non_null(strstr(d.detail.text, "prompt"));
    assert_slice(d.task.task_id, "t-1");
    assert_slice(d.task.session_id, "s-1");
    forget(&d);
}

static void text_that_is_not_utf8_is_refused_but_the_id_is_known(void **state)
{
    struct task_input t = sample();
    struct decoded d;

    (void)state;
    t.prompt = SLICE("bad \xff\xfe");
    d = round_trip(&t);
    assert_fails(d.error, "bad_utf8");
    assert_slice(d.task.task_id, "t-1");
    forget(&d);
}

static void what_is_not_wire_format_is_told_apart(void **state)
{
    struct slice avro;
    uint32_t id;

    (void)state;
    assert_fails(wire_parse(SLICE("{\"task_id\":\"t\"}"), &id, &avro), "plain_json");
    assert_non_null(strstr(wire_parse(SLICE("{\"task_id\":\"t\"}"), &id, &avro).text, "Schema Registry"));
    assert_fails(wire_parse(SLICE("\0\0\0\1"), &id, &avro), "not_wire_format");
    assert_fails(wire_parse(SLICE("hello"), &id, &avro), "not_wire_format");
    assert_fails(wire_parse(SLICE(""), &id, &avro), "not_wire_format");
    assert_fails(wire_parse((struct slice){NULL, 0}, &id, &avro), "not_wire_format");
    assert_fine(wire_parse(SLICE("\0\xff\0\0\1rest"), &id, &avro), "");
    assert_int_equal(id, 0xff000001);
    assert_slice(avro, "rest");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_writer_of_seven_fields_works),
        cmocka_unit_test(optional_fields_are_taken),
        cmocka_unit_test(a_stranger_is_read_by_its_fields),
        cmocka_unit_test(a_record_cut_anywhere_is_refused),
        cmocka_unit_test(bytes_left_over_are_refused),
        cmocka_unit_test(each_limit_has_its_code_and_leaves_the_ids),
        cmocka_unit_test(minus_one_in_a_record_is_out_of_range),
        cmocka_unit_test(the_last_of_equal_keys_counts),
        cmocka_unit_test(too_much_context_is_refused_but_the_id_is_known),
        cmocka_unit_test(times_out_of_all_calendars_become_the_nearest),
        cmocka_unit_test(a_missing_field_is_named_and_the_id_is_known),
        cmocka_unit_test(text_that_is_not_utf8_is_refused_but_the_id_is_known),
        cmocka_unit_test(what_is_not_wire_format_is_told_apart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
