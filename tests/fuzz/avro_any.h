/* Any Avro type and any value of it, chosen by the fuzzer's input and, behind its end, by chance that the input decides: so a
 * short input makes a whole record, and each of its bytes still counts.
 */
#ifndef STEPMILL_FUZZ_AVRO_ANY_H
#define STEPMILL_FUZZ_AVRO_ANY_H

#include <avro.h>
#include <stdio.h>

#include "fuzz_input.h"
#include "stepmill/random.h"

struct avro_any {
    struct fuzz_input *in;
    uint64_t seed;
    struct buf schema;
    int ntypes;
};

static inline uint64_t choose(struct avro_any *a, uint64_t n)
{
    return a->in->at < a->in->end ? fuzz_number(a->in, n - 1) : random_below(&a->seed, n);
}

/* Of any size: small ones often. */
static inline int64_t any_long(struct avro_any *a)
{
    uint64_t v = a->in->at < a->in->end ? fuzz_number(a->in, UINT64_MAX) : random_next(&a->seed);

    return (int64_t)(v >> (v & 63));
}

static inline void put_any_type(struct avro_any *a, int depth);

static inline void put_any_record(struct avro_any *a, int depth)
{
    static const char *const names[] = {"task_id", "prompt", "session_id", "y"}; /* the reader's, but not at its place */
    uint64_t n = 1 + choose(a, 4);

    buf_printf(&a->schema, "{\"type\":\"record\",\"name\":\"N%d\",\"fields\":[", a->ntypes++);
    for (uint64_t i = 0; i < n; i++) {
        buf_printf(&a->schema, "%s{\"name\":\"%s\",\"type\":", i ? "," : "", names[i]);
        put_any_type(a, depth + 1);
        buf_put_byte(&a->schema, '}');
    }
    buf_put_text(&a->schema, "]}");
}

/* avro-c can't hold elements without a size, such as nulls: the plainest here is an int. */
static inline void put_any_type(struct avro_any *a, int depth)
{
    static const char *const plain[] = {"\"int\"",    "\"boolean\"", "\"long\"",  "\"float\"",
                                        "\"double\"", "\"bytes\"",   "\"string\""};

    switch (depth > 3 ? 0 : choose(a, 8)) {
    case 1:
        buf_printf(&a->schema, "{\"type\":\"fixed\",\"name\":\"N%d\",\"size\":%d}", a->ntypes++, 1 + (int)choose(a, 9));
        break;
    case 2:
        buf_printf(&a->schema, "{\"type\":\"enum\",\"name\":\"N%d\",\"symbols\":[\"A\",\"B\",\"C\"]}", a->ntypes++);
        break;
    case 3:
    case 4:
        buf_put_text(&a->schema, choose(a, 2) ? "{\"type\":\"array\",\"items\":" : "{\"type\":\"map\",\"values\":");
        put_any_type(a, depth + 1);
        buf_put_byte(&a->schema, '}');
        break;
    case 5:
        put_any_record(a, depth);
        break;
    case 6:
        buf_put_text(&a->schema, "[\"null\",\"string\",");
        put_any_record(a, depth);
        buf_put_byte(&a->schema, ']');
        break;
    default:
        buf_put_text(&a->schema, plain[choose(a, 7)]);
    }
}

static inline void must(int failed) /* of avro-c: the fuzzer's own mistake */
{
    if (failed)
        bug("avro-c: %s", avro_strerror());
}

/* ASCII, so that it is a string for everybody. */
static inline struct slice any_text(struct avro_any *a)
{
    struct slice text = fuzz_copy(a->in, "                                        ", choose(a, 41));

    for (size_t i = 0; i < text.len; i++)
        ((char *)(uintptr_t)text.at)[i] = (char)(0x20 + (int)choose(a, 0x5f));
    return text;
}

static inline void set_text(avro_value_t *v, struct slice text)
{
    char *copy = strndup(text.at, text.len); /* avro-c counts the terminator */

    if (avro_value_get_type(v) == AVRO_STRING)
        must(avro_value_set_string_len(v, copy, text.len + 1));
    else
        must(avro_value_set_bytes(v, copy, text.len));
    free(copy);
}

static inline void fill_any(struct avro_any *a, avro_value_t *v)
{
    avro_value_t child;
    size_t n = 0;
    char key[8];
    int is_new;

    switch (avro_value_get_type(v)) {
    case AVRO_ARRAY:
    case AVRO_MAP:
        for (uint64_t i = 0, many = choose(a, 4); i < many; i++) {
            snprintf(key, sizeof key, "k%d", (int)i);
            must(avro_value_get_type(v) == AVRO_ARRAY ? avro_value_append(v, &child, NULL)
                                                      : avro_value_add(v, key, &child, NULL, &is_new));
            fill_any(a, &child);
        }
        break;
    case AVRO_RECORD:
        must(avro_value_get_size(v, &n));
        for (size_t i = 0; i < n; i++) {
            must(avro_value_get_by_index(v, i, &child, NULL));
            fill_any(a, &child);
        }
        break;
    case AVRO_UNION:
        must(avro_value_set_branch(v, (int)choose(a, avro_schema_union_size(avro_value_get_schema(v))), &child));
        fill_any(a, &child);
        break;
    case AVRO_INT32:
        must(avro_value_set_int(v, (int32_t)choose(a, UINT64_C(1) << 32)));
        break;
    case AVRO_INT64:
        must(avro_value_set_long(v, any_long(a)));
        break;
    case AVRO_BOOLEAN:
        must(avro_value_set_boolean(v, (int)choose(a, 2)));
        break;
    case AVRO_FLOAT:
        must(avro_value_set_float(v, (float)choose(a, 1000) / 8));
        break;
    case AVRO_DOUBLE:
        must(avro_value_set_double(v, (double)choose(a, 1000) / 3));
        break;
    case AVRO_ENUM:
        must(avro_value_set_enum(v, (int)choose(a, 3)));
        break;
    case AVRO_FIXED:
        must(avro_value_set_fixed(v, "0123456789", (size_t)avro_schema_fixed_size(avro_value_get_schema(v))));
        break;
    case AVRO_STRING:
    case AVRO_BYTES:
        set_text(v, any_text(a));
        break;
    default:
        must(avro_value_set_null(v));
    }
}

#endif
