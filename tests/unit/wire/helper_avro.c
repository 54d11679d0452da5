/* What the tests of Avro share. */
#include "helper_avro.h"

#include <stdlib.h>

struct schema *schema_of(const char *text)
{
    struct schema *schema;
    struct detail detail;

    assert_fine(schema_parse(slice_of(text), &SCHEMA_LIMITS, &schema, &detail), detail.text);
    return schema;
}

struct avro_plan *plan_of(const char *text, const struct avro_record *reader)
{
    struct schema *schema = schema_of(text);
    struct avro_plan *plan;
    struct detail detail;

    assert_fine(avro_plan_new(schema, reader, &plan, &detail), detail.text);
    schema_free(schema);
    return plan;
}

struct avro_plan *own_plan(enum own_schema which, const struct avro_record *reader)
{
    return plan_of(own_schema_text(which).at, reader); /* a terminator follows embedded files */
}

struct slice exact(struct slice s)
{
    char *at = malloc(s.len ? s.len : 1);

    assert_non_null(at);
    if (s.len)
        memcpy(at, s.at, s.len);
    return (struct slice){at, s.len};
}

struct slice bytes_of(const char *hex)
{
    size_t n = strlen(hex) / 2;
    char *at = malloc(n ? n : 1);

    assert_non_null(at);
    assert_true(hex_decode(at, n, slice_of(hex)));
    return (struct slice){at, n};
}

void assert_slice(struct slice s, const char *text)
{
    if (!slice_is(s, text) || !s.at)
        fail_msg("'%.*s' is not '%s'", SLICE_FMT(s), text);
}

void assert_fails(struct error e, const char *code)
{
    assert_true(failed(e));
    assert_string_equal(e.code, code);
}

void assert_fine(struct error e, const char *detail)
{
    if (failed(e))
        fail_msg("%s: %s %s", e.code, e.text, detail);
}
