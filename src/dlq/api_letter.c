/* One letter: its headers, its key and its value, decoded by its schema where there is one, hidden where the caller may not see.
 */
#include "api_parts.h"
#include "stepmill/avro_json.h"
#include "stepmill/clock.h"
#include "stepmill/json.h"
#include "stepmill/kafka_admin.h"
#include "stepmill/utf8.h"
#include "stepmill/wire_format.h"

enum { SHOWN_MAX = 1024 * 1024, FETCH_MS = 10000, DECODED_MAX = 8 * 1024 * 1024 };

/* ---- The index's part */

static struct error run_letter(struct ask_place *place, void *question, struct answer *a)
{
    struct letter_full *full = arena_alloc(a->arena, sizeof *full);
    bool found = false;
    struct error e;

    if (!full)
        return error_make(CLASS_INTERNAL, "out_of_memory", "No memory for the letter.");
    e = store_letter(place->store, api_asker(question)->id, a->arena, full, &found);
    a->result = found ? full : NULL;
    return e;
}

/* ---- Content */

static void put_form(struct buf *b, int64_t size, const char *form, const char *why)
{
    put_known(b, "size", size);
    put_word(b, "form", form);
    if (why)
        put_word(b, "why", why);
}

static void put_plain(struct buf *b, struct slice bytes, const char *why)
{
    if (json_valid(bytes)) {
        put_form(b, (int64_t)bytes.len, "json", why);
        put_name(b, "json");
        buf_put_slice(b, bytes);
        put_base64(b, "base64", bytes);
    } else if (utf8_valid(bytes)) {
        put_form(b, (int64_t)bytes.len, "text", why);
        put_text(b, "text", bytes);
    } else {
        put_form(b, (int64_t)bytes.len, "bytes", why);
        put_base64(b, "base64", bytes);
    }
}

/* By the schema whose id the value begins with. */
static void put_decoded(struct buf *b, const struct schema *schema, uint32_t id, struct slice bytes, struct slice avro)
{
    struct buf text = BUF(DECODED_MAX);
    struct error e = avro_json_put(schema, avro, &text);

    if (failed(e)) {
        put_plain(b, bytes, e.text);
    } else {
        put_form(b, (int64_t)bytes.len, "json", NULL);
        put_name(b, "json");
        buf_put_slice(b, buf_slice(&text));
        put_base64(b, "base64", bytes);
    }
    put_int(b, "schema_id", id);
    buf_free(&text);
}

/* False: the call waits for the schema and will be asked again. */
static bool put_content(struct api_call *c, struct buf *b, struct slice bytes)
{
    const struct schema *schema = NULL;
    struct error e;
    struct slice avro;
    uint32_t id;

    if (bytes.len > SHOWN_MAX) {
        put_form(b, (int64_t)bytes.len, "omitted", "It is larger than 1 MiB: see /letters/{id}/value.");
        return true;
    }
    if (failed(wire_parse(bytes, &id, &avro))) {
        put_plain(b, bytes, NULL);
        return true;
    }
    e = registry_schema(c->api->registry, id, &schema, NULL);
    if (failed(e) && e.class == CLASS_WAIT && api_wait_schema(c, id))
        return false;
    if (failed(e)) {
        put_plain(b, bytes, e.class == CLASS_WAIT ? "The schema registry did not answer in time." : e.text);
        put_int(b, "schema_id", id);
    } else {
        put_decoded(b, schema, id, bytes, avro);
    }
    return true;
}

static bool put_value(struct api_call *c, struct buf *b, const struct letter_full *full)
{
    const struct letter_row *row = &full->row;

    if (row->letter.value_omitted.len)
        put_form(b, -1, "omitted", "It was too large for the dead letter; the record that failed may still hold it.");
    else if (row->value_size < 0)
        put_form(b, -1, "null", NULL);
    else if (c->masked)
        put_form(b, row->value_size, "masked", NULL);
    else if (!row->value_kept)
        put_form(b, row->value_size, "omitted", "It is larger than dlq.value_max: see /letters/{id}/value.");
    else
        return put_content(c, b, full->value);
    return true;
}

/* ---- Headers: those that tell of the failure are for everybody */

static bool is_of_failure(struct slice name)
{
    static const char *const prefixes[] = {"stepmill.",         "__dlq.errors.", "__connect.errors.",
                                           "__streams.errors.", "kafka_dlt-",    "ce_"};

    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++)
        if (slice_starts_with(name, prefixes[i]))
            return true;
    return slice_is(name, "traceparent") || slice_is(name, "content-type");
}

static void put_headers(struct buf *b, const struct api_call *c, const struct letter_full *full)
{
    put_name(b, "headers");
    buf_put_byte(b, '[');
    for (size_t i = 0; i < full->nheaders; i++) {
        struct slice value = full->headers[i].value;
        bool masked = c->masked && !is_of_failure(full->headers[i].name), text = !masked && value.at && utf8_valid(value);

        put_begin(b, '{');
        put_text(b, "name", full->headers[i].name);
        put_text(b, "value", text ? value : (struct slice){NULL, 0});
        if (!masked && value.at && !text)
            put_base64(b, "base64", value);
        buf_put_byte(b, '}');
    }
    buf_put_byte(b, ']');
}

static bool put_key_bytes(struct api_call *c, struct buf *b, const struct letter_full *full)
{
    if (!full->key.at)
        put_form(b, -1, "null", NULL);
    else if (c->masked && full->row.letter.family != LETTER_FAMILY_STEPMILL)
        put_form(b, (int64_t)full->key.len, "masked", NULL);
    else
        return put_content(c, b, full->key);
    return true;
}

static void send_letter(struct api_call *c, struct answer *a)
{
    const struct letter_full *full = a->result;
    struct buf b = BUF(API_JSON_MAX);
    bool whole;

    if (!full) {
        api_problem(c, 404, "not_found", "There is no letter of this id.");
        return;
    }
    buf_put_text(&b, "{\"letter\":");
    put_letter(&b, &full->row);
    put_headers(&b, c, full);
    put_name(&b, "key");
    buf_put_byte(&b, '{');
    whole = put_key_bytes(c, &b, full);
    buf_put_byte(&b, '}');
    put_name(&b, "value");
    buf_put_byte(&b, '{');
    whole = whole && put_value(c, &b, full);
    buf_put_byte(&b, '}');
    put_trace_url(&b, c->api, full->row.letter.trace_id);
    buf_put_byte(&b, '}');
    if (whole && b.failed)
        api_problem(c, 503, "answer_too_large", "The letter is too large to be shown.");
    else if (whole)
        api_answer_json(c, 200, buf_slice(&b));
    buf_free(&b);
}

void begin_letter(struct api_call *c, struct http_server_call *http)
{
    if (api_read_query(c, http) && api_read_id(c, http, "id", LETTER_ID_MAX))
        api_ask(c, ASK_INDEX, run_letter, send_letter);
}

/* ---- The value's bytes; those that the index has not kept come from their topic */

static struct error fetch(struct api_call *c, const struct letter *l, struct answer *a, struct slice *value)
{
    const struct config_kafka *k = &c->api->config->kafka;
    struct kafka_options options = {.at = k->options, .count = k->noptions, .client_id = "stepmill-dlq-show"};
    struct slice topic = arena_copy(a->arena, l->dlq_topic);
    int64_t until = clock_mono_ms() + FETCH_MS;
    const struct kafka_record *record;
    struct kafka_reader *reader;
    struct error e = error_make(CLASS_AGAIN, "kafka_timeout", "Kafka did not give the record in time: try again.");
    enum kafka_read what = KAFKA_READ_NOTHING;

    if (!topic.at)
        return error_make(CLASS_INTERNAL, "out_of_memory", "No memory for the letter.");
    e = kafka_reader_open(&reader, &options, topic.at, l->dlq_partition, KAFKA_START_OFFSET, l->dlq_offset, FETCH_MS, a->detail,
                          sizeof a->detail);
    if (failed(e))
        return error_make(CLASS_AGAIN, "kafka_unreachable", "Kafka did not give the record: try again.");
    while (what == KAFKA_READ_NOTHING && clock_mono_ms() < until)
        what = kafka_reader_next(reader, 200, &record);
    if (what == KAFKA_READ_RECORD && record->offset == l->dlq_offset)
        *value = arena_copy(a->arena, record->value);
    else if (what == KAFKA_READ_NOTHING)
        e = error_make(CLASS_AGAIN, "kafka_timeout", "Kafka did not give the record in time: try again.");
    kafka_reader_close(reader);
    return e;
}

static struct error run_value(struct ask_place *place, void *question, struct answer *a)
{
    struct api_call *c = api_asker(question);
    struct error e = run_letter(place, question, a);
    struct letter_full *full = a->result;

    if (!failed(e) && full && !full->row.value_kept && full->row.value_size >= 0)
        e = fetch(c, &full->row.letter, a, &full->value);
    return e;
}

static void send_value(struct api_call *c, struct answer *a)
{
    const struct letter_full *full = a->result;
    struct http_server_call *http = http_server_held(c->api->server, c->http);

    if (!full || !full->value.at) {
        api_problem(c, 404, "not_found",
                    full ? "The letter has no value, or its topic holds it no more." : "There is no letter of this id.");
        return;
    }
    c->api->stats.requests++;
    api_safe_headers(c->api, http);
    http_server_set_header(http, "Content-Disposition", "attachment; filename=\"value.bin\"");
    http_server_set_header(http, "Content-Security-Policy", "sandbox");
    http_server_answer(http, 200, "application/octet-stream", full->value);
    api_end(c);
}

void begin_value(struct api_call *c, struct http_server_call *http)
{
    if (api_read_query(c, http) && api_read_id(c, http, "id", LETTER_ID_MAX))
        api_ask(c, ASK_SLOW, run_value, send_value);
}
