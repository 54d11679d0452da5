/* Our plan and JSON printer beside avro-c, on random schemas with random data. */
#include "helper_avro.h"

#include <stdio.h>
#include <stdlib.h>

#include <avro.h>

#include "stepmill/avro_json.h"
#include "stepmill/json.h"
#include "stepmill/random.h"

struct maker {
    uint64_t seed;
    int names;
    struct buf schema;
};

static uint64_t below(struct maker *m, uint64_t n) { return random_below(&m->seed, n); }

static void put_type(struct maker *m, int depth);

static void put_record(struct maker *m, int depth)
{
    uint64_t n = below(m, 5);

    buf_printf(&m->schema, "{\"type\":\"record\",\"name\":\"N%d\",\"fields\":[", m->names++);
    for (uint64_t i = 0; i < n; i++) {
        buf_printf(&m->schema, "%s{\"name\":\"f%d\",\"type\":", i ? "," : "", (int)i);
        put_type(m, depth + 1);
        buf_put_byte(&m->schema, '}');
    }
    buf_put_text(&m->schema, "]}");
}

static void put_union(struct maker *m, int depth)
{
    static const char *const plain[] = {"\"null\"", "\"string\"", "\"long\"", "\"boolean\"", "\"double\""};
    uint64_t n = 1 + below(m, 5);

    buf_put_byte(&m->schema, '[');
    for (uint64_t i = 0; i < n; i++) {
        buf_put_text(&m->schema, plain[i]);
        buf_put_byte(&m->schema, ',');
    }
    put_record(m, depth + 1);
    buf_put_byte(&m->schema, ']');
}

/* avro-c can't hold elements that have no size, such as nulls or empty records: it says that memory is out. */
static void put_items(struct maker *m, int depth)
{
    static const char *const plain[] = {"\"int\"", "\"double\"", "\"bytes\"", "\"string\""};

    if (depth > 4 || below(m, 2))
        buf_put_text(&m->schema, plain[below(m, 4)]);
    else
        put_union(m, depth);
}

/* A random type; below depth 4 all is plain. */
static void put_type(struct maker *m, int depth)
{
    static const char *const plain[] = {"\"null\"",  "\"boolean\"", "\"int\"",   "\"long\"",
                                        "\"float\"", "\"double\"",  "\"bytes\"", "\"string\""};

    switch (depth > 4 ? 0 : below(m, 12)) {
    case 6:
        buf_printf(&m->schema, "{\"type\":\"fixed\",\"name\":\"N%d\",\"size\":%d}", m->names++, 1 + (int)below(m, 9));
        break;
    case 7:
        buf_printf(&m->schema, "{\"type\":\"enum\",\"name\":\"N%d\",\"symbols\":[\"A\",\"B\",\"C\"]}", m->names++);
        break;
    case 8:
        buf_put_text(&m->schema, "{\"type\":\"array\",\"items\":");
        put_items(m, depth + 1);
        buf_put_byte(&m->schema, '}');
        break;
    case 9:
        buf_put_text(&m->schema, "{\"type\":\"map\",\"values\":");
        put_items(m, depth + 1);
        buf_put_byte(&m->schema, '}');
        break;
    case 10:
        put_record(m, depth);
        break;
    case 11:
        put_union(m, depth);
        break;
    default:
        buf_put_text(&m->schema, plain[below(m, 8)]);
    }
}

static void fill(struct maker *m, avro_value_t *v, int depth);

static void fill_many(struct maker *m, avro_value_t *v, int depth)
{
    uint64_t n = depth > 6 ? 0 : below(m, 4);

    for (uint64_t i = 0; i < n; i++) {
        avro_value_t child;
        char key[8];
        int isnew;

        snprintf(key, sizeof key, "k%d", (int)i);
        if (avro_value_get_type(v) == AVRO_ARRAY)
            assert_int_equal(avro_value_append(v, &child, NULL), 0);
        else
            assert_int_equal(avro_value_add(v, key, &child, NULL, &isnew), 0);
        fill(m, &child, depth + 1);
    }
}

static void fill_fields(struct maker *m, avro_value_t *v, int depth)
{
    size_t n = 0;

    avro_value_get_size(v, &n);
    for (size_t i = 0; i < n; i++) {
        avro_value_t child;

        assert_int_equal(avro_value_get_by_index(v, i, &child, NULL), 0);
        fill(m, &child, depth + 1);
    }
}

static void fill_plain(struct maker *m, avro_value_t *v)
{
    int64_t number = (int64_t)(random_next(&m->seed) >> below(m, 64));
    char text[16] = {0};

    for (uint64_t i = 0, n = below(m, 15); i < n; i++)
        text[i] = (char)(' ' + (int)below(m, 90));
    switch (avro_value_get_type(v)) {
    case AVRO_BOOLEAN:
        avro_value_set_boolean(v, (int)(number & 1));
        break;
    case AVRO_INT32:
        avro_value_set_int(v, (int32_t)number);
        break;
    case AVRO_INT64:
        avro_value_set_long(v, number);
        break;
    case AVRO_FLOAT:
        avro_value_set_float(v, (float)number / 8);
        break;
    case AVRO_DOUBLE:
        avro_value_set_double(v, (double)number / 3);
        break;
    case AVRO_BYTES:
        avro_value_set_bytes(v, text, strlen(text));
        break;
    case AVRO_STRING:
        avro_value_set_string(v, text);
        break;
    case AVRO_ENUM:
        avro_value_set_enum(v, (int)below(m, 3));
        break;
    case AVRO_FIXED:
        avro_value_set_fixed(v, text, (size_t)avro_schema_fixed_size(avro_value_get_schema(v)));
        break;
    default:
        avro_value_set_null(v);
    }
}

static void fill(struct maker *m, avro_value_t *v, int depth)
{
    avro_value_t branch;

    switch (avro_value_get_type(v)) {
    case AVRO_ARRAY:
    case AVRO_MAP:
        fill_many(m, v, depth);
        break;
    case AVRO_RECORD:
        fill_fields(m, v, depth);
        break;
    case AVRO_UNION:
        assert_int_equal(avro_value_set_branch(v, (int)below(m, avro_schema_union_size(avro_value_get_schema(v))), &branch), 0);
        fill(m, &branch, depth + 1);
        break;
    default:
        fill_plain(m, v);
    }
}

static void print(struct buf *to, avro_value_t *v);

static void print_many(struct buf *to, avro_value_t *v)
{
    bool array = avro_value_get_type(v) == AVRO_ARRAY;
    size_t n = 0;

    avro_value_get_size(v, &n);
    buf_put_byte(to, array ? '[' : '{');
    for (size_t i = 0; i < n; i++) {
        avro_value_t child;
        const char *key = NULL;

        assert_int_equal(avro_value_get_by_index(v, i, &child, &key), 0);
        if (i)
            buf_put_byte(to, ',');
        if (!array) {
            json_put_string(to, slice_of(key));
            buf_put_byte(to, ':');
        }
        print(to, &child);
    }
    buf_put_byte(to, array ? ']' : '}');
}

static void print_bytes(struct buf *to, avro_value_t *v)
{
    const void *at = NULL;
    size_t n = 0;
    char hex[64];

    if (avro_value_get_type(v) == AVRO_BYTES) {
        avro_value_get_bytes(v, &at, &n);
        json_put_string(to, (struct slice){at, n});
    } else {
        avro_value_get_fixed(v, &at, &n);
        hex_encode(hex, at, n);
        json_put_string(to, slice_of(hex));
    }
}

/* The value as avro-c holds it, as avro_json_put would print it. */
static void print(struct buf *to, avro_value_t *v)
{
    avro_value_t branch;
    const char *text = NULL;
    int64_t wide = 0;
    int32_t narrow = 0;
    double real = 0;
    float single = 0;
    int small = 0;
    size_t n = 0;

    switch (avro_value_get_type(v)) {
    case AVRO_ARRAY:
    case AVRO_MAP:
    case AVRO_RECORD:
        print_many(to, v);
        break;
    case AVRO_UNION:
        avro_value_get_current_branch(v, &branch);
        print(to, &branch);
        break;
    case AVRO_BOOLEAN:
        avro_value_get_boolean(v, &small);
        buf_put_text(to, small ? "true" : "false");
        break;
    case AVRO_INT32:
        avro_value_get_int(v, &narrow);
        buf_put_int(to, narrow);
        break;
    case AVRO_INT64:
        avro_value_get_long(v, &wide);
        buf_put_int(to, wide);
        break;
    case AVRO_FLOAT:
        avro_value_get_float(v, &single);
        buf_printf(to, "%.9g", (double)single);
        break;
    case AVRO_DOUBLE:
        avro_value_get_double(v, &real);
        buf_printf(to, "%.17g", real);
        break;
    case AVRO_STRING:
        avro_value_get_string(v, &text, &n);
        json_put_string(to, slice_of(text));
        break;
    case AVRO_ENUM:
        avro_value_get_enum(v, &small);
        json_put_string(to, slice_of(avro_schema_enum_get(avro_value_get_schema(v), small)));
        break;
    case AVRO_BYTES:
    case AVRO_FIXED:
        print_bytes(to, v);
        break;
    default:
        buf_put_text(to, "null");
    }
}

static const struct avro_record nothing = {"Nothing", 1, NULL, 0};

/* The plan that skips all must end where the bytes end, and the printed text must be what avro-c holds. */
static void compare(struct maker *m, avro_value_t *value)
{
    size_t size = 0;
    struct buf bytes = BUF(8 << 20), ours = BUF(8 << 20), theirs = BUF(8 << 20);
    struct schema *schema = schema_of(buf_text(&m->schema));
    struct avro_plan *plan = plan_of(buf_text(&m->schema), &nothing);
    struct detail detail;
    struct slice exactly;
    avro_writer_t writer;
    char none;

    assert_int_equal(avro_value_sizeof(value, &size), 0);
    writer = avro_writer_memory(buf_reserve(&bytes, size + 1), (int64_t)size + 1);
    assert_int_equal(avro_value_write(writer, value), 0);
    exactly = exact((struct slice){bytes.at, size});
    assert_fine(avro_plan_decode(plan, exactly, NULL, &none, &detail), detail.text);
    assert_fine(avro_json_put(schema, exactly, &ours), buf_text(&m->schema));
    print(&theirs, value);
    assert_string_equal(buf_text(&ours), buf_text(&theirs));
    assert_true(json_valid(buf_slice(&ours)));
    for (size_t n = 0; n < size; n += 1 + n / 16) { /* cut, it is read by nobody */
        buf_clear(&ours);
        assert_fails(avro_plan_decode(plan, (struct slice){exactly.at, n}, NULL, &none, &detail), "does_not_decode");
        assert_fails(avro_json_put(schema, (struct slice){exactly.at, n}, &ours), "does_not_decode");
    }
    free((void *)(uintptr_t)exactly.at);
    avro_writer_free(writer);
    avro_plan_free(plan);
    schema_free(schema);
    buf_free(&bytes);
    buf_free(&ours);
    buf_free(&theirs);
}

static void random_records_are_read_as_avro_c_reads_them(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 400; seed++) {
        struct maker m = {.seed = seed, .schema = BUF(1 << 20)};
        avro_value_iface_t *class;
        avro_schema_t schema;

        put_record(&m, 0);
        if (avro_schema_from_json_length(buf_text(&m.schema), m.schema.len, &schema))
            fail_msg("seed %d: %s: %s", (int)seed, avro_strerror(), buf_text(&m.schema));
        class = avro_generic_class_from_schema(schema);
        for (int i = 0; i < 5; i++) {
            avro_value_t value;

            assert_int_equal(avro_generic_value_new(class, &value), 0);
            fill(&m, &value, 0);
            compare(&m, &value);
            avro_value_decref(&value);
        }
        avro_value_iface_decref(class);
        avro_schema_decref(schema);
        buf_free(&m.schema);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_records_are_read_as_avro_c_reads_them),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
