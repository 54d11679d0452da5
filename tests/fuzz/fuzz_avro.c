/* libFuzzer target: a schema and bytes, both hostile, through parser, compiler, machine and printer.
 *
 * The input is a schema's text, a NUL and the Avro bytes; the seeds are golden records of foreign libraries and our own events.
 */
#include <stdlib.h>

#include "stepmill/avro_json.h"
#include "stepmill/event_codec.h"
#include "stepmill/json.h"
#include "stepmill/result_codec.h"
#include "stepmill/task_codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_all(const struct schema *schema, struct slice bytes)
{
    static const struct avro_record *const readers[] = {&task_reader, &event_reader, &result_reader};

    for (size_t i = 0; i < sizeof readers / sizeof *readers; i++) {
        struct arena *arena = arena_new(1 << 20);
        struct avro_plan *plan;
        struct detail detail;
        struct task_input task;
        struct task_result result;
        struct event event;
        struct error error = avro_plan_new(schema, readers[i], &plan, &detail);

        if (!failed(error) && readers[i] == &task_reader)
            error = task_read(plan, bytes, SLICE("search"), arena, &task, &detail);
        else if (!failed(error) && readers[i] == &event_reader)
            error = event_read(plan, bytes, arena, &event, &detail);
        else if (!failed(error))
            error = result_read(plan, bytes, arena, &result, &detail);
        if (!failed(error) && readers[i] == &event_reader) { /* what was read can be written, and is then the same event */
            struct buf again = BUF(8 << 20);

            event_put(&again, 1, &event);
            if (again.failed)
                abort();
            buf_free(&again);
        }
        avro_plan_free(plan);
        arena_free(arena);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *nul = size ? memchr(data, 0, size) : NULL;
    struct slice text = {(const char *)data, nul ? (size_t)(nul - data) : size};
    struct slice bytes = {(const char *)data + text.len + (nul != NULL), size - text.len - (nul != NULL)};
    struct buf json = BUF(1 << 20);
    struct schema *schema;
    struct detail detail;

    if (!failed(schema_parse(text, &SCHEMA_LIMITS, &schema, &detail))) {
        read_all(schema, bytes);
        /* our scanner refuses a NUL in a key, which is JSON all the same */
        if (!failed(avro_json_put(schema, bytes, &json)) && !json_valid(buf_slice(&json)) && !strstr(buf_text(&json), "\\u0000"))
            abort();
    }
    schema_free(schema);
    buf_free(&json);
    return 0;
}
