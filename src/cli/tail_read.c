/* What a record of results, events or dead letters says, and the same as JSON. */
#include "stepmill/avro_json.h"
#include "stepmill/event_codec.h"
#include "stepmill/json.h"
#include "stepmill/result_codec.h"
#include "stepmill/wire_format.h"
#include "tail.h"

enum { SCHEMA_WAIT_MS = 10000 };

struct slice tail_header(const struct kafka_record *r, const char *name)
{
    for (size_t i = r->nheaders; i-- > 0;)
        if (slice_is(r->headers[i].name, name))
            return r->headers[i].value;
    return (struct slice){NULL, 0};
}

int64_t tail_letter_time(const struct kafka_record *r)
{
    int64_t ms;

    return slice_to_int(tail_header(r, "stepmill.failed_at"), 0, INT64_MAX, &ms) ? ms : r->timestamp;
}

static bool is_outage(struct error e) { return e.class == CLASS_AGAIN || e.class == CLASS_WAIT; }

/* Who follows waits; who looks at dead letters sees them without it, for that is when they are looked at. */
static struct error fetch(struct tail *t, struct tail_record *r, uint32_t id)
{
    struct error error = t->registry_gone ? error_make(CLASS_WAIT, "registry_unreachable", "the schema registry does not answer")
                                          : registry_fetch(t->link.registry, id, SCHEMA_WAIT_MS, &r->schema, &r->detail);

    if (is_outage(error) && t->what == TAIL_DLQ)
        t->registry_gone = true;
    if (is_outage(error) && t->what != TAIL_DLQ && t->follow) {
        cli_fail(t->cli, "schema_registry: %s (%s); waiting for it", error.text, r->detail.text);
        while (is_outage(error))
            error = registry_fetch(t->link.registry, id, SCHEMA_WAIT_MS, &r->schema, &r->detail);
    }
    return error;
}

static struct error find_schema(struct tail *t, struct tail_record *r, uint32_t *id)
{
    struct error error;

    if (!r->kafka->value.at)
        return error_make(CLASS_POISON, "no_value", "the record has no value");
    error = wire_parse(r->kafka->value, id, &r->avro);
    if (!failed(error))
        error = fetch(t, r, *id);
    if (failed(error))
        r->schema = NULL;
    return error;
}

static struct error decode(struct tail *t, struct tail_record *r, uint32_t id, struct arena *arena)
{
    const struct avro_record *reader = t->what == TAIL_EVENTS ? &event_reader : &result_reader;
    const struct avro_plan *plan;
    struct error error = registry_plan(t->link.registry, id, reader, &plan, &r->detail);

    if (failed(error))
        return error;
    return t->what == TAIL_EVENTS ? event_read(plan, r->avro, arena, &r->event, &r->detail)
                                  : result_read(plan, r->avro, arena, &r->result, &r->detail);
}

bool tail_read(struct tail *t, struct tail_record *r, struct arena *arena)
{
    bool letter = t->what == TAIL_DLQ, event = t->what == TAIL_EVENTS;
    struct error error = error_none();
    uint32_t id = 0;

    if (letter) {
        r->task_id = tail_header(r->kafka, "stepmill.task_id");
        r->agent = tail_header(r->kafka, "stepmill.agent");
        r->session_id = r->kafka->key;
    }
    error = find_schema(t, r, &id);
    if (is_outage(error) && !letter) {
        cli_fail(t->cli, "schema_registry: %s (%s); `stepmill doctor` tries it", error.text, r->detail.text);
        return false;
    }
    if (!failed(error) && !letter) {
        error = decode(t, r, id, arena);
        if (!failed(error)) {
            r->task_id = event ? r->event.task_id : r->result.task_id;
            r->session_id = event ? r->event.session_id : r->result.session_id;
            r->agent = event ? r->event.agent : r->result.agent;
        }
    }
    r->trouble = failed(error) ? error.text : NULL;
    return true;
}

/* ---- JSON */

static void put_text_or_null(struct slice s, struct buf *out)
{
    if (s.at)
        json_put_string(out, s);
    else
        buf_put_text(out, "null");
}

static void put_value(const struct tail_record *r, struct buf *out)
{
    const char *trouble = r->trouble;
    size_t before = out->len;
    struct error error = error_none();

    if (r->schema)
        error = avro_json_put(r->schema, r->avro, out);
    if (r->schema && !failed(error) && !out->failed)
        return;
    if (failed(error))
        trouble = error.text;
    if (before <= out->len)
        out->len = before;
    buf_put_text(out, "null, \"value_text\": ");
    put_text_or_null(r->kafka->value, out);
    buf_put_text(out, ", \"trouble\": ");
    put_text_or_null(slice_of(trouble), out);
}

void tail_put_json(const struct tail_record *r, struct buf *out)
{
    const struct kafka_record *k = r->kafka;

    buf_put_text(out, "{\"topic\": ");
    json_put_string(out, slice_of(k->topic));
    buf_printf(out, ", \"partition\": %d, \"offset\": %lld, \"timestamp\": %lld, \"key\": ", k->partition, (long long)k->offset,
               (long long)k->timestamp);
    put_text_or_null(k->key, out);
    buf_put_text(out, ", \"headers\": [");
    for (size_t i = 0; i < k->nheaders; i++) {
        buf_put_text(out, i ? ", {\"name\": " : "{\"name\": ");
        json_put_string(out, k->headers[i].name);
        buf_put_text(out, ", \"value\": ");
        put_text_or_null(k->headers[i].value, out);
        buf_put_byte(out, '}');
    }
    buf_put_text(out, "], \"value\": ");
    put_value(r, out);
    buf_put_text(out, "}\n");
}
