/* The plan: resolution rule by rule, and bytes made to hurt. */
#include "helper_avro.h"

#include <stdlib.h>
#include <time.h>

#include "stepmill/avro_put.h"

/* A small reader with one of each kind. */
struct item {
    int32_t n;
    struct slice text;
};
struct small {
    struct slice text;
    int32_t narrow, colour;
    int64_t wide, millis, micros;
    bool flag;
    const struct item *items;
    size_t nitems;
};

static const struct avro_take item_takes[] = {
    {.name = "n", .kind = TAKE_INT, .at = offsetof(struct item, n)},
    {.name = "text", .kind = TAKE_STRING, .at = offsetof(struct item, text), .optional = true, .nullable = true},
};
static const struct avro_record item_reader = {"Item", sizeof(struct item), item_takes, 2};
static const char *const colours[] = {"red", "green", NULL};
static const struct avro_take small_takes[] = {
    {.name = "text", .alias = "old_text", .kind = TAKE_STRING, .at = offsetof(struct small, text), .optional = true},
    {.name = "narrow", .kind = TAKE_INT, .at = offsetof(struct small, narrow), .optional = true, .nullable = true, .none = -7},
    {.name = "wide", .kind = TAKE_LONG, .at = offsetof(struct small, wide), .optional = true, .none = -8},
    {.name = "millis", .kind = TAKE_MILLIS, .at = offsetof(struct small, millis), .optional = true, .none = -9},
    {.name = "micros", .kind = TAKE_MICROS, .at = offsetof(struct small, micros), .optional = true},
    {.name = "flag", .kind = TAKE_BOOL, .at = offsetof(struct small, flag), .optional = true, .none = 1},
    {.name = "colour", .kind = TAKE_ENUM, .at = offsetof(struct small, colour), .symbols = colours, .optional = true, .none = 1},
    {.name = "items",
     .kind = TAKE_ARRAY,
     .at = offsetof(struct small, items),
     .count = offsetof(struct small, nitems),
     .record = &item_reader,
     .max = 10,
     .optional = true},
};
static const struct avro_record small_reader = {"Small", sizeof(struct small), small_takes, 8};

static struct small out;
static struct detail why;

/* Decodes by a record schema with these fields. Slices in `out` don't outlive the call: tests of them look at bytes that stay. */
static struct error decode(const char *fields, struct slice bytes)
{
    struct buf schema = BUF(1 << 20);
    struct arena *arena = arena_new(64 << 10);
    struct slice copy = exact(bytes);
    struct avro_plan *plan;
    struct error error;

    buf_printf(&schema, "{\"type\":\"record\",\"name\":\"W\",\"fields\":[%s]}", fields);
    plan = plan_of(buf_text(&schema), &small_reader);
    error = avro_plan_decode(plan, copy, arena, &out, &why);
    if (out.text.at && out.text.len)
        out.text = (struct slice){bytes.at + (out.text.at - copy.at), out.text.len};
    out.items = NULL;
    avro_plan_free(plan);
    arena_free(arena);
    free((void *)(uintptr_t)copy.at);
    buf_free(&schema);
    return error;
}

static void missing_fields_get_their_defaults(void **state)
{
    (void)state;
    assert_fine(decode("", SLICE("")), why.text);
    assert_slice(out.text, "");
    assert_int_equal(out.narrow, -7);
    assert_int_equal(out.wide, -8);
    assert_int_equal(out.millis, -9);
    assert_true(out.flag);
    assert_int_equal(out.colour, 1);
    assert_int_equal(out.nitems, 0);
}

static void an_older_name_is_taken_unless_the_name_is_there(void **state)
{
    (void)state;
    assert_fine(decode("{\"name\":\"old_text\",\"type\":\"string\"}", SLICE("\4hi")), why.text);
    assert_slice(out.text, "hi");
    assert_fine(decode("{\"name\":\"text\",\"type\":\"string\"},{\"name\":\"old_text\",\"type\":\"string\"}", SLICE("\4hi\6old")),
                why.text);
    assert_slice(out.text, "hi");
}

static void numbers_are_read_where_they_fit(void **state)
{
    (void)state;
    assert_fine(decode("{\"name\":\"narrow\",\"type\":\"long\"},{\"name\":\"wide\",\"type\":\"int\"}", SLICE("\x03\x04")),
                why.text);
    assert_int_equal(out.narrow, -2);
    assert_int_equal(out.wide, 2);
    assert_fails(decode("{\"name\":\"narrow\",\"type\":\"long\"},{\"name\":\"wide\",\"type\":\"long\"}",
                        SLICE("\x80\x80\x80\x80\x10\x04")),
                 "out_of_range"); /* 2^31 */
    assert_int_equal(out.wide, 2);
    assert_fine(decode("{\"name\":\"wide\",\"type\":\"long\"}", SLICE("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")), why.text);
    assert_true(out.wide == INT64_MIN);
    assert_fails(decode("{\"name\":\"wide\",\"type\":\"long\"}", SLICE("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02")),
                 "does_not_decode");
    assert_fails(decode("{\"name\":\"wide\",\"type\":\"long\"}", SLICE("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")),
                 "does_not_decode");
    assert_fails(decode("{\"name\":\"flag\",\"type\":\"boolean\"}", SLICE("\2")), "does_not_decode");
    assert_fails(decode("{\"name\":\"other\",\"type\":\"boolean\"}", SLICE("\2")), "does_not_decode");
}

static void times_are_converted(void **state)
{
    static const char micros[] = "{\"name\":\"millis\",\"type\":{\"type\":\"long\",\"logicalType\":\"timestamp-micros\"}}";
    static const char millis[] =
        "{\"name\":\"micros\",\"type\":[\"null\",{\"type\":\"long\",\"logicalType\":\"local-timestamp-millis\"}]}";

    (void)state;
    assert_fine(decode(micros, SLICE("\x9e\x1f")), why.text); /* 1999 */
    assert_int_equal(out.millis, 1);
    assert_fine(decode(micros, SLICE("\x01")), why.text); /* -1: rounded down */
    assert_int_equal(out.millis, -1);
    assert_fine(decode(millis, SLICE("\2\x0a")), why.text);
    assert_int_equal(out.micros, 5000);
    assert_fails(decode(millis, SLICE("\2\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")), "out_of_range");
    assert_fails(decode(millis, SLICE("\0")), "missing_field"); /* null, and not nullable */
    assert_fine(decode("{\"name\":\"millis\",\"type\":\"long\"}", SLICE("\x0a")), why.text);
    assert_int_equal(out.millis, 5);
}

static void enums_are_matched_by_symbol(void **state)
{
    static const char mine[] =
        "{\"name\":\"colour\",\"type\":{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"blue\",\"green\",\"red\"]}}";

    (void)state;
    assert_fine(decode(mine, SLICE("\4")), why.text);
    assert_int_equal(out.colour, 0);
    assert_fine(decode(mine, SLICE("\0")), why.text); /* blue: unknown, the default */
    assert_int_equal(out.colour, 1);
    assert_fails(decode(mine, SLICE("\6")), "does_not_decode");
    assert_fails(decode(mine, SLICE("\1")), "does_not_decode");
}

static void arrays_come_in_any_blocks(void **state)
{
    static const char items[] =
        "{\"name\":\"items\",\"type\":{\"type\":\"array\",\"items\":{\"type\":\"record\",\"name\":\"X\",\"fields\":["
        "{\"name\":\"n\",\"type\":\"int\"}]}}}";

    (void)state;
    assert_fine(decode(items, SLICE("\4\2\4\2\6\0")), why.text); /* 2, then 1 */
    assert_int_equal(out.nitems, 3);
    assert_fine(decode(items, SLICE("\3\4\2\4\0")), why.text); /* -2, 2 bytes */
    assert_int_equal(out.nitems, 2);
    assert_fails(decode(items, SLICE("\3\6\2\4\0")), "does_not_decode");       /* says 3 bytes */
    assert_fails(decode(items, SLICE("\3\x7f\2\4\0")), "does_not_decode");     /* says -64 */
    assert_fails(decode(items, SLICE("\3\x02\x02\4\0")), "does_not_decode");   /* says 1 byte */
    assert_fine(decode(items, SLICE("\x14\2\2\2\2\2\2\2\2\2\2\0")), why.text); /* 10 fit */
    assert_int_equal(out.nitems, 10);
    assert_fails(decode(items, SLICE("\x16\2\2\2\2\2\2\2\2\2\2\2\0")), "too_many_elements");
    assert_int_equal(out.nitems, 10);
    assert_fails(decode(items, SLICE("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\2\2\0")),
                 "does_not_decode"); /* INT64_MIN elements */
}

static void unions_with_nothing_to_read_are_told(void **state)
{
    (void)state;
    assert_fails(decode("{\"name\":\"narrow\",\"type\":[\"string\",\"int\"]}", SLICE("\0\2x")), "wrong_type");
    assert_non_null(strstr(why.text, "narrow"));
    assert_fine(decode("{\"name\":\"narrow\",\"type\":[\"string\",\"int\"]}", SLICE("\2\2")), why.text);
    assert_int_equal(out.narrow, 1);
    assert_fails(decode("{\"name\":\"narrow\",\"type\":[\"string\",\"int\"]}", SLICE("\4\2")), "does_not_decode");
    assert_fine(decode("{\"name\":\"narrow\",\"type\":\"null\"}", SLICE("")), why.text);
    assert_int_equal(out.narrow, -7);
}

/* CPU time of one decoding that must fail: hostile bytes cost no more than their length. */
static void assert_refused_fast(const char *fields, struct slice bytes)
{
    clock_t start = clock();

    assert_fails(decode(fields, bytes), "does_not_decode");
    assert_true(clock() - start < CLOCKS_PER_SEC / 2);
}

static void work_is_bounded_by_the_bytes(void **state)
{
    struct buf b = BUF(1 << 20);

    (void)state;
    avro_put_long(&b, INT64_C(1) << 40);
    assert_refused_fast("{\"name\":\"x\",\"type\":{\"type\":\"array\",\"items\":\"null\"}}", buf_slice(&b));
    assert_refused_fast(
        "{\"name\":\"x\",\"type\":{\"type\":\"array\",\"items\":{\"type\":\"record\",\"name\":\"E\",\"fields\":[]}}}",
        buf_slice(&b));
    assert_refused_fast(
        "{\"name\":\"items\",\"type\":{\"type\":\"array\",\"items\":{\"type\":\"record\",\"name\":\"E\",\"fields\":[]}}}",
        buf_slice(&b));
    buf_free(&b);
    /* 2^60 calls that read nothing: each record holds the next one twice. */
    b = BUF(1 << 20);
    for (int i = 0; i < 60; i++)
        buf_printf(&b,
                   "{\"name\":\"f%d\",\"type\":[\"null\",{\"type\":\"record\",\"name\":\"R%d\",\"fields\":[{\"name\":\"a\","
                   "\"type\":\"R%d\"},"
                   "{\"name\":\"b\",\"type\":\"R%d\"}]}]},",
                   i, i, i + 1, i + 1);
    buf_put_text(&b, "{\"name\":\"l\",\"type\":[\"null\",{\"type\":\"record\",\"name\":\"R60\",\"fields\":[]}]}");
    assert_refused_fast(buf_text(&b), SLICE("\2"));
    buf_free(&b);
}

static void nesting_is_bounded(void **state)
{
    static const char tree[] = "{\"name\":\"x\",\"type\":{\"type\":\"record\",\"name\":\"T\",\"fields\":["
                               "{\"name\":\"kids\",\"type\":{\"type\":\"array\",\"items\":\"T\"}}]}}";
    static const char endless[] =
        "{\"name\":\"x\",\"type\":{\"type\":\"record\",\"name\":\"T\",\"fields\":[{\"name\":\"x\",\"type\":\"T\"}]}}";
    struct buf b = BUF(1 << 20);

    (void)state;
    for (int i = 0; i < 31; i++)
        buf_put_byte(&b, 2);
    for (int i = 0; i < 32; i++)
        buf_put_byte(&b, 0);
    assert_fine(decode(tree, buf_slice(&b)), why.text); /* 32 records and 32 arrays, one in another */
    buf_clear(&b);
    for (int i = 0; i < 100000; i++)
        buf_put_byte(&b, 2);
    assert_refused_fast(tree, buf_slice(&b));
    assert_non_null(strstr(why.text, "nested"));
    assert_refused_fast(endless, buf_slice(&b));
    buf_free(&b);
}

static void a_record_too_large_for_the_arena_is_told(void **state)
{
    struct avro_plan *plan = own_plan(OWN_TASK, &task_reader);
    struct arena *tiny = arena_new(300);
    struct task_input task;

    (void)state;
    assert_fails(avro_plan_decode(plan, SLICE("\2t\2s\2a\2s\2p\x20\2k\2v\2k\2v"), tiny, &task, &why), "too_large");
    arena_free(tiny);
    avro_plan_free(plan);
}

static void what_is_not_a_record_is_told(void **state)
{
    struct avro_plan *plan = plan_of("\"string\"", &small_reader);
    struct small s;

    (void)state;
    assert_fails(avro_plan_decode(plan, SLICE("\4hi"), NULL, &s, &why), "wrong_type");
    avro_plan_free(plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(missing_fields_get_their_defaults),
        cmocka_unit_test(an_older_name_is_taken_unless_the_name_is_there),
        cmocka_unit_test(numbers_are_read_where_they_fit),
        cmocka_unit_test(times_are_converted),
        cmocka_unit_test(enums_are_matched_by_symbol),
        cmocka_unit_test(arrays_come_in_any_blocks),
        cmocka_unit_test(unions_with_nothing_to_read_are_told),
        cmocka_unit_test(work_is_bounded_by_the_bytes),
        cmocka_unit_test(nesting_is_bounded),
        cmocka_unit_test(a_record_too_large_for_the_arena_is_told),
        cmocka_unit_test(what_is_not_a_record_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
