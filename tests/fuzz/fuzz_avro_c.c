/* Fuzzes the plan on valid data: avro-c writes a task under a schema that the input chooses, the plan must read what was written.
 *
 * The writer's schema has the task's fields in any order, each in one of the forms that a writer may give it, and between them
 * fields of any type that the reader does not know.
 */
#include "avro_any.h"
#include "stepmill/avro_json.h"
#include "stepmill/avro_plan.h"
#include "stepmill/event.h"
#include "stepmill/json.h"
#include "stepmill/task_codec.h"

enum { FIELDS = 11, EXTRAS = 6, TEXTS = 5, ENTRIES = 3, UNREAD = INT32_MIN };

static const char *const names[FIELDS] = {"task_id",    "source_agent", "target_agent", "session_id",  "prompt",        "context",
                                          "created_at", "max_steps",    "token_budget", "deadline_at", "parent_task_id"};
static const char *const text_forms[] = {"\"string\"", "\"bytes\"", "[\"null\",\"string\"]", "[\"bytes\",\"null\"]",
                                         "{\"type\":\"string\",\"avro.java.string\":\"String\"}"};
static const char *const int_forms[] = {"\"int\"", "\"long\"", "[\"null\",\"int\"]", "[\"long\",\"null\"]"};
static const char *const map_forms[] = {"{\"type\":\"map\",\"values\":\"string\"}", "{\"type\":\"map\",\"values\":\"bytes\"}",
                                        "[{\"type\":\"map\",\"values\":\"string\"},\"null\"]"};
#define TIME(unit) "{\"type\":\"long\",\"logicalType\":\"timestamp-" unit "\"}"
static const char *const time_forms[] = {TIME("millis"), TIME("micros"), "\"long\"", "[\"null\"," TIME("micros") "]",
                                         "[" TIME("nanos") ",\"null\"]"};
static const int64_t time_divisors[] = {1, 1000, 1, 1000, 1000000};

/* What was chosen and written. */
struct written {
    struct avro_any any;
    int order[FIELDS + EXTRAS]; /* of the fields; above FIELDS: one that the reader does not know */
    int n;
    int time_form[FIELDS];
    bool null[FIELDS];
    struct slice text[FIELDS];
    int64_t number[FIELDS];
    struct slice keys[ENTRIES], values[ENTRIES];
    size_t entries;
};

/* ---- the schema ---- */

#define FORM(w, forms) ((forms)[choose(&(w)->any, sizeof(forms) / sizeof *(forms))])

static void put_known_type(struct written *w, int field)
{
    if (field == 5) {
        buf_put_text(&w->any.schema, FORM(w, map_forms));
    } else if (field == 6 || field == 9) {
        w->time_form[field] = (int)choose(&w->any, 5);
        buf_put_text(&w->any.schema, time_forms[w->time_form[field]]);
    } else {
        buf_put_text(&w->any.schema, field == 7 || field == 8 ? FORM(w, int_forms) : FORM(w, text_forms));
    }
}

static void put_schema(struct written *w)
{
    bool left_out = choose(&w->any, 2);

    for (int i = 0; i < FIELDS + (int)choose(&w->any, EXTRAS + 1); i++)
        if (i < 7 || i >= FIELDS || !left_out) /* those behind the seventh have defaults */
            w->order[w->n++] = i;
    for (int i = w->n - 1; i > 0; i--) {
        int other = (int)choose(&w->any, (uint64_t)i + 1), field = w->order[i];

        w->order[i] = w->order[other];
        w->order[other] = field;
    }
    buf_put_text(&w->any.schema, "{\"type\":\"record\",\"name\":\"T\",\"namespace\":\"any.body\",\"fields\":[");
    for (int i = 0; i < w->n; i++) {
        int field = w->order[i];

        buf_put_text(&w->any.schema, i ? ",{\"name\":\"" : "{\"name\":\"");
        if (field < FIELDS)
            buf_put_text(&w->any.schema, names[field]);
        else
            buf_printf(&w->any.schema, "x%d", field);
        buf_put_text(&w->any.schema, "\",\"type\":");
        if (field < FIELDS)
            put_known_type(w, field);
        else
            put_any_type(&w->any, 0);
        buf_put_byte(&w->any.schema, '}');
    }
    buf_put_text(&w->any.schema, "]}");
}

/* ---- the values ---- */

static void fill_map(struct written *w, avro_value_t *v)
{
    w->entries = choose(&w->any, ENTRIES + 1);
    for (size_t i = 0; i < w->entries; i++) {
        char key[2] = {(char)('a' + (int)i), 0};
        avro_value_t child;
        int is_new;

        w->keys[i] = fuzz_copy(w->any.in, key, 1);
        w->values[i] = any_text(&w->any);
        must(avro_value_add(v, key, &child, NULL, &is_new));
        set_text(&child, w->values[i]);
    }
}

static void fill_known(struct written *w, int field, avro_value_t *v)
{
    avro_value_t branch;

    if (avro_value_get_type(v) == AVRO_UNION) {
        uint64_t i = choose(&w->any, 2);

        must(avro_value_set_branch(v, (int)i, &branch));
        v = &branch;
    }
    switch (avro_value_get_type(v)) {
    case AVRO_NULL:
        w->null[field] = true;
        must(avro_value_set_null(v));
        break;
    case AVRO_MAP:
        fill_map(w, v);
        break;
    case AVRO_INT32:
        w->number[field] = (int32_t)choose(&w->any, UINT64_C(1) << 32);
        must(avro_value_set_int(v, (int32_t)w->number[field]));
        break;
    case AVRO_INT64:
        w->number[field] = any_long(&w->any);
        must(avro_value_set_long(v, w->number[field]));
        break;
    default:
        w->text[field] = any_text(&w->any);
        set_text(v, w->text[field]);
    }
}

/* ---- what was read ---- */

static void same_text(const struct written *w, int field, struct slice read)
{
    if (!read.at != w->null[field] || (read.at && !slice_equal(read, w->text[field])))
        bug("%s was written as '%.*s' and read as '%.*s'", names[field], SLICE_FMT(w->text[field]), SLICE_FMT(read));
}

static void same_number(const struct written *w, int field, int64_t none, int64_t read)
{
    int64_t divisor = time_divisors[w->time_form[field]], expected = w->number[field] / divisor;

    expected -= w->number[field] % divisor < 0; /* towards the past */
    if (read != (w->null[field] ? none : expected))
        bug("%s was written as %lld and read as %lld", names[field], (long long)w->number[field], (long long)read);
}

/* The first of its troubles in the order of the bytes is told, whichever that is. */
static const char *trouble(const struct written *w, bool *several)
{
    const char *first = NULL;

    *several = false;
    for (int i = 0; i < w->n; i++) {
        int field = w->order[i];
        const char *code = NULL;

        if (field < 7 && w->null[field])
            code = "missing_field";
        else if ((field == 7 || field == 8) && !w->null[field] && (w->number[field] < INT32_MIN || w->number[field] > INT32_MAX))
            code = "out_of_range";
        *several |= code && first && strcmp(code, first) != 0;
        first = first ? first : code;
    }
    return first;
}

static bool has(const struct written *w, int field)
{
    for (int i = 0; i < w->n; i++)
        if (w->order[i] == field)
            return true;
    return false;
}

static void compare(struct written *w, struct slice bytes)
{
    struct arena *arena = arena_new(1 << 20);
    struct schema *schema;
    struct avro_plan *plan;
    struct detail detail;
    struct task_input t;
    struct error error;
    struct buf json = BUF(1 << 20);
    bool several;
    const char *code = trouble(w, &several);

    if (failed(schema_parse(buf_slice(&w->any.schema), &SCHEMA_LIMITS, &schema, &detail)) ||
        failed(avro_plan_new(schema, &task_reader, &plan, &detail)))
        bug("%s: %s", detail.text, buf_text(&w->any.schema));
    error = avro_plan_decode(plan, bytes, arena, &t, &detail);
    if (failed(error) != (code != NULL) || (code && !several && strcmp(code, error.code) != 0))
        bug("%s (%s) instead of %s: %s", failed(error) ? error.code : "no error", detail.text, code ? code : "no error",
            buf_text(&w->any.schema));
    if (!code) {
        const struct slice texts[TEXTS] = {t.task_id, t.source_agent, t.target_agent, t.session_id, t.prompt};

        for (int i = 0; i < TEXTS; i++)
            same_text(w, i, texts[i]);
        w->null[10] |= !has(w, 10);
        same_text(w, 10, t.parent_task_id);
        same_number(w, 6, 0, t.created_at_ms);
        w->null[7] |= !has(w, 7), w->null[8] |= !has(w, 8), w->null[9] |= !has(w, 9);
        same_number(w, 7, UNREAD, t.max_steps);
        same_number(w, 8, UNREAD, t.token_budget);
        same_number(w, 9, INT64_MIN, t.deadline_at_ms);
        if (t.ncontext != w->entries)
            bug("%zu entries instead of %zu", t.ncontext, w->entries);
        for (size_t i = 0; i < t.ncontext; i++)
            if (!slice_equal(t.context[i].key, w->keys[i]) || !slice_equal(t.context[i].value, w->values[i]))
                bug("an entry of the context is another");
    }
    if (failed(avro_json_put(schema, bytes, &json)) || !json_valid_object(buf_slice(&json)))
        bug("what can be read can't be shown");
    buf_free(&json);
    avro_plan_free(plan);
    schema_free(schema);
    arena_free(arena);
}

static void write_and_compare(struct written *w)
{
    avro_schema_t schema;
    avro_value_iface_t *class;
    avro_value_t record, field;
    size_t size = 0;
    char *bytes;
    avro_writer_t writer;

    must(avro_schema_from_json_length(buf_text(&w->any.schema), w->any.schema.len, &schema));
    class = avro_generic_class_from_schema(schema);
    must(avro_generic_value_new(class, &record));
    for (int i = 0; i < w->n; i++) {
        must(avro_value_get_by_index(&record, (size_t)i, &field, NULL));
        if (w->order[i] < FIELDS)
            fill_known(w, w->order[i], &field);
        else
            fill_any(&w->any, &field);
    }
    must(avro_value_sizeof(&record, &size));
    bytes = malloc(size + 1);
    writer = avro_writer_memory(bytes, (int64_t)size + 1);
    must(avro_value_write(writer, &record));
    compare(w, fuzz_copy(w->any.in, bytes, size));
    avro_writer_free(writer);
    free(bytes);
    avro_value_decref(&record);
    avro_value_iface_decref(class);
    avro_schema_decref(schema);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = fuzz_begin(data, size);
    struct written w = {.any = {.in = &in, .seed = 1, .schema = BUF(1 << 20)}};

    for (size_t i = 0; i < size; i++)
        w.any.seed = w.any.seed * 31 + data[i];
    put_schema(&w);
    write_and_compare(&w);
    buf_free(&w.any.schema);
    fuzz_end(&in);
    return 0;
}
