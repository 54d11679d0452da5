/* Fuzzes the reading of Avro: a schema and bytes, both hostile, through parser, compiler, machine and printer.
 *
 * The input is a schema's text, a NUL and the Avro bytes; the seeds are golden records of foreign libraries and our own events.
 * With an empty text the schema is one of our own, by the first byte: so the fuzzer need not write schemas to reach the codecs.
 */
#include <stdlib.h>

#include "stepmill/avro_json.h"
#include "stepmill/event_codec.h"
#include "stepmill/json.h"
#include "stepmill/result_codec.h"
#include "stepmill/schemas.h"
#include "stepmill/task_codec.h"
#include "stepmill/wire_format.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MEMORY = 1 << 20 };

static const struct avro_record nothing = {"Nothing", 1, NULL, 0};

static struct slice without_header(const struct buf *b)
{
    return (struct slice){b->at + WIRE_HEADER_SIZE, b->len - WIRE_HEADER_SIZE};
}

static struct avro_plan *plan_of(struct slice text, const struct avro_record *reader)
{
    struct schema *schema;
    struct avro_plan *plan;

    if (failed(schema_parse(text, &SCHEMA_LIMITS, &schema, NULL)) || failed(avro_plan_new(schema, reader, &plan, NULL)))
        bug("our own schema can't be read");
    schema_free(schema);
    return plan;
}

/* What was read can be written, and is then read as the same: its bytes are those of the second writing. */
static void round_trip(const struct event *event, const struct task_result *result)
{
    static struct avro_plan *event_plan, *result_plan;
    struct arena *arena = arena_new(8 * MEMORY);
    struct buf once = BUF(8 * MEMORY), twice = BUF(8 * MEMORY);
    struct event event_back;
    struct task_result result_back;
    struct detail detail;

    if (!event_plan) {
        event_plan = plan_of(own_schema_text(OWN_EVENT), &event_reader);
        result_plan = plan_of(own_schema_text(OWN_RESULT), &result_reader);
    }
    if (event) {
        event_put(&once, 1, event);
        if (failed(event_read(event_plan, without_header(&once), arena, &event_back, &detail)))
            bug("our own event: %s", detail.text);
        event_put(&twice, 1, &event_back);
    } else {
        result_put(&once, 1, result);
        if (failed(result_read(result_plan, without_header(&once), arena, &result_back, &detail)))
            bug("our own result: %s", detail.text);
        result_put(&twice, 1, &result_back);
    }
    if (once.failed || !slice_equal(buf_slice(&once), buf_slice(&twice)))
        bug("what was written is read as something else");
    buf_free(&once);
    buf_free(&twice);
    arena_free(arena);
}

static void read_as(const struct schema *schema, struct slice bytes, const struct avro_record *reader)
{
    struct arena *arena = arena_new(MEMORY);
    struct avro_plan *plan;
    struct detail detail;
    struct task_input task;
    struct task_result result;
    struct event event;
    struct error error = avro_plan_new(schema, reader, &plan, &detail);

    if (failed(error)) {
        arena_free(arena);
        return;
    }
    if (reader == &task_reader) {
        error = task_read(plan, bytes, SLICE("search"), arena, &task, &detail);
        if ((task.task_id.at && !task_id_valid(task.task_id)) || (task.session_id.at && !task_id_valid(task.session_id)))
            bug("an id that no key can hold");
    } else if (reader == &event_reader) {
        error = event_read(plan, bytes, arena, &event, &detail);
        if (!failed(error))
            round_trip(&event, NULL);
    } else {
        error = result_read(plan, bytes, arena, &result, &detail);
        if (!failed(error))
            round_trip(NULL, &result);
    }
    if (failed(error) && (!error.code || !error.text || (error.class != CLASS_POISON && error.class != CLASS_WAIT)))
        bug("an error without a name");
    avro_plan_free(plan);
    arena_free(arena);
}

/* Printer and plan read the same bytes, or neither does. (They count work differently, so one may give up where much costs
 * nothing: those bytes are left out.) */
static void show(const struct schema *schema, struct slice bytes)
{
    struct buf json = BUF(MEMORY);
    struct avro_plan *plan;
    struct detail detail;
    struct error shown = avro_json_put(schema, bytes, &json), skipped;
    char none;

    /* our scanner refuses a NUL in a key, which is JSON all the same */
    if (!failed(shown) && !json_valid(buf_slice(&json)) && !strstr(buf_text(&json), "\\u0000"))
        bug("shown as what is no JSON");
    if (!failed(avro_plan_new(schema, &nothing, &plan, &detail))) {
        skipped = avro_plan_decode(plan, bytes, NULL, &none, &detail);
        if (!failed(shown) && failed(skipped) && strcmp(skipped.code, "wrong_type") != 0 &&
            !strstr(detail.text, "bytes can hold"))
            bug("shown, but not read: %s", detail.text);
        avro_plan_free(plan);
    }
    buf_free(&json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *nul = size ? memchr(data, 0, size) : NULL;
    struct slice text = {(const char *)data, nul ? (size_t)(nul - data) : size};
    struct slice bytes = {(const char *)data + text.len + (nul != NULL), size - text.len - (nul != NULL)};
    struct schema *schema;
    struct detail detail;

    if (!text.len && bytes.len) {
        text = own_schema_text((enum own_schema)((uint8_t)bytes.at[0] % OWN_SCHEMAS));
        bytes = (struct slice){bytes.at + 1, bytes.len - 1};
    }
    if (!failed(schema_parse(text, &SCHEMA_LIMITS, &schema, &detail))) {
        if (!schema_equal(schema, schema))
            bug("a schema that is not itself");
        read_as(schema, bytes, &task_reader);
        read_as(schema, bytes, &event_reader);
        read_as(schema, bytes, &result_reader);
        show(schema, bytes);
    }
    schema_free(schema);
    return 0;
}
