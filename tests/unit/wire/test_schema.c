/* Schemas of writers: what is one, what is not, and what would be too much. */
#include "helper_avro.h"

#include <stdio.h>
#include <stdlib.h>

#include <avro.h>

static struct error parse(struct slice text, struct detail *detail)
{
    struct schema *schema;
    struct slice copy = exact(text);
    struct error error = schema_parse(copy, &SCHEMA_LIMITS, &schema, detail);

    assert_int_equal(failed(error), schema == NULL);
    schema_free(schema);
    free((void *)(uintptr_t)copy.at);
    return error;
}

static void assert_hostile(const char *text)
{
    struct detail detail;
    struct error error = parse(slice_of(text), &detail);

    if (!failed(error))
        fail_msg("was accepted: %.200s", text);
    assert_string_equal(error.code, "hostile_schema");
    assert_int_equal(error.class, CLASS_POISON);
    assert_true(strlen(detail.text) > 10);
}

static void assert_equal(const char *a, const char *b, bool equal)
{
    struct schema *x = schema_of(a), *y = schema_of(b);

    assert_int_equal(schema_equal(x, y), equal);
    schema_free(x);
    schema_free(y);
}

static void our_own_schemas_are_read_by_us_and_by_avro_c(void **state)
{
    (void)state;
    for (int i = 0; i < OWN_SCHEMAS; i++) {
        struct slice text = own_schema_text((enum own_schema)i);
        struct detail detail;
        avro_schema_t theirs;

        assert_fine(parse(text, &detail), detail.text);
        assert_int_equal(avro_schema_from_json_length(text.at, text.len, &theirs), 0);
        assert_string_equal(avro_schema_name(theirs), own_schema_name((enum own_schema)i));
        avro_schema_decref(theirs);
    }
}

static void attributes_may_come_in_any_order_and_be_unknown(void **state)
{
    (void)state;
    assert_equal("{\"type\":\"record\",\"name\":\"R\",\"namespace\":\"a.b\",\"fields\":[{\"name\":\"x\",\"type\":\"int\"}]}",
                 "{\"fields\":[{\"doc\":\"d\",\"type\":{\"type\":\"int\",\"odd\":[1,{}]},\"default\":0,\"name\":\"x\"}],"
                 "\"aliases\":[\"Q\"],"
                 "\"name\":\"a.b.R\",\"type\":\"record\"}",
                 true);
    assert_equal("[\"null\",\"string\"]", "[\"null\",{\"type\":\"string\",\"avro.java.string\":\"String\"}]", true);
    assert_equal("{\"type\":{\"type\":\"array\",\"items\":\"long\"}}", "{\"type\":\"array\",\"items\":\"long\"}", true);
    assert_equal("{\"type\":\"long\",\"logicalType\":\"timestamp-millis\"}", "\"long\"", false);
    assert_equal("{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"A\",\"B\"]}",
                 "{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"B\",\"A\"]}", false);
}

static void names_are_found_in_their_namespaces(void **state)
{
    struct detail detail;

    (void)state;
    assert_fine(
        parse(SLICE("{\"type\":\"record\",\"name\":\"x.y.A\",\"fields\":["
                    "{\"name\":\"f\",\"type\":{\"type\":\"record\",\"name\":\"B\",\"namespace\":\"z\",\"fields\":["
                    "{\"name\":\"g\",\"type\":{\"type\":\"fixed\",\"name\":\"F\",\"size\":2}},{\"name\":\"h\",\"type\":\"F\"}]}},"
                    "{\"name\":\"i\",\"type\":\"z.F\"},{\"name\":\"j\",\"type\":[\"null\",\"A\"]},{\"name\":\"k\",\"type\":\"x.y."
                    "A\"}]}"),
              &detail),
        detail.text);
    assert_hostile("{\"type\":\"record\",\"name\":\"x.A\",\"fields\":[{\"name\":\"f\",\"type\":{\"type\":\"fixed\",\"name\":\"z."
                   "F\",\"size\":2}},"
                   "{\"name\":\"g\",\"type\":\"F\"}]}");
}

static void what_is_no_schema_is_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "{}",
        "42",
        "null",
        "nope",
        "\"nope\"",
        "[]",
        "{\"type\":7}",
        "{\"type\":null}",
        "{\"type\":\"record\"}",
        "[[\"int\"]]",
        "[\"null\",[\"int\"]]",
        "[\"null\",{\"type\":[\"string\",\"int\"]}]",
        "{\"type\":\"record\",\"name\":\"R\"}",
        "{\"type\":\"record\",\"name\":\"\",\"fields\":[]}",
        "{\"type\":\"record\",\"name\":5,\"fields\":[]}",
        "{\"type\":\"record\",\"name\":\"R\",\"fields\":{}}",
        "{\"type\":\"record\",\"name\":\"R\",\"fields\":[5]}",
        "{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"x\"}]}",
        "{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"type\":\"int\"}]}",
        "{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"x\",\"type\":\"int\"},{\"name\":\"x\",\"type\":\"int\"}]}",
        "{\"type\":\"array\"}",
        "{\"type\":\"map\"}",
        "{\"type\":\"enum\",\"name\":\"E\"}",
        "{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[]}",
        "{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[1]}",
        "{\"type\":\"fixed\",\"name\":\"F\"}",
        "{\"type\":\"fixed\",\"name\":\"F\",\"size\":-1}",
        "{\"type\":\"fixed\",\"name\":\"F\",\"size\":1e9}",
        "{\"type\":\"fixed\",\"name\":\"F\",\"size\":99999999999}",
        "{\"type\":\"int\"} x",
        "{\"type\":\"int\"",
        "[{\"type\":\"fixed\",\"name\":\"F\",\"size\":1},{\"type\":\"fixed\",\"name\":\"F\",\"size\":1}]",
        "\"\\ud800\"",
        "\"\xff\"",
    };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_hostile(bad[i]);
}

static void a_schema_cut_anywhere_is_refused(void **state)
{
    struct slice text = own_schema_text(OWN_TASK);

    (void)state;
    while (text.len && text.at[text.len - 1] != '}')
        text.len--;
    for (size_t n = 0; n < text.len; n++)
        assert_true(failed(parse((struct slice){text.at, n}, NULL)));
}

/* "[" "[" … or {"type":"array","items": …: n times. */
static struct buf nested(const char *open, const char *inner, const char *close, size_t n)
{
    struct buf b = BUF(64 << 20);

    for (size_t i = 0; i < n; i++)
        buf_put_text(&b, open);
    buf_put_text(&b, inner);
    for (size_t i = 0; i < n; i++)
        buf_put_text(&b, close);
    assert_non_null(buf_text(&b));
    return b;
}

static void ceilings_hold(void **state)
{
    struct detail detail;
    struct buf b = nested("{\"type\":\"array\",\"items\":", "\"int\"", "}", 64);

    (void)state;
    assert_fine(parse(buf_slice(&b), &detail), detail.text);
    buf_free(&b);
    b = nested("{\"type\":\"array\",\"items\":", "\"int\"", "}", 65);
    assert_hostile(buf_text(&b));
    buf_free(&b);
    b = nested("[", "", "]", 100000);
    assert_hostile(buf_text(&b));
    buf_free(&b);

    b = nested(" ", "\"int\"", " ", 5 << 20); /* 10 MB */
    assert_hostile(buf_text(&b));
    buf_free(&b);
    b = nested(" ", "\"int\"", " ", 100 << 10); /* within 256 KiB */
    assert_fine(parse(buf_slice(&b), &detail), detail.text);
    buf_free(&b);
}

/* Each reference writes the namespace out: poison, and not "no memory", for which the record would wait for ever. */
static void names_have_a_ceiling(void **state)
{
    char space[513] = "", type[101] = "";
    struct buf b = BUF(1 << 20);

    (void)state;
    memset(space, 'n', sizeof space - 1);
    memset(type, 't', sizeof type - 1);
    buf_printf(&b, "{\"type\":\"record\",\"name\":\"%s\",\"namespace\":\"%s\",\"fields\":[", type, space);
    for (int i = 0; i < 1901; i++)
        buf_printf(&b, "%s{\"name\":\"f%d\",\"type\":\"%s\"}", i ? "," : "", i, type);
    buf_put_text(&b, "]}");
    assert_hostile(buf_text(&b));
    buf_free(&b);
}

static void fields_are_counted(void **state)
{
    struct detail detail;

    (void)state;
    for (int n = 1990; n <= 10000; n += 8010 / 2) {
        struct buf b = BUF(1 << 20);

        buf_put_text(&b, "{\"type\":\"record\",\"name\":\"R\",\"fields\":[");
        for (int i = 0; i < n; i++)
            buf_printf(&b, "%s{\"name\":\"f%d\",\"type\":\"int\"}", i ? "," : "", i);
        buf_put_text(&b, "]}");
        if (n < 2000)
            assert_fine(parse(buf_slice(&b), &detail), detail.text);
        else
            assert_hostile(buf_text(&b));
        buf_free(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(our_own_schemas_are_read_by_us_and_by_avro_c),
        cmocka_unit_test(attributes_may_come_in_any_order_and_be_unknown),
        cmocka_unit_test(names_are_found_in_their_namespaces),
        cmocka_unit_test(what_is_no_schema_is_refused),
        cmocka_unit_test(a_schema_cut_anywhere_is_refused),
        cmocka_unit_test(ceilings_hold),
        cmocka_unit_test(names_have_a_ceiling),
        cmocka_unit_test(fields_are_counted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
