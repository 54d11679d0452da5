/* A dead letter out of a record's headers. */
#include "stepmill/letter.h"

#include "letter_headers.h"
#include "stepmill/trace.h"
#include "stepmill/utf8.h"
#include "stepmill/wire_format.h"

enum { TOPIC_MAX = 249 };

const char *letter_family_name(enum letter_family family)
{
    static const char *const names[] = {
        [LETTER_FAMILY_STEPMILL] = "stepmill", [LETTER_FAMILY_KAFKA] = "kafka",     [LETTER_FAMILY_CONNECT] = "connect",
        [LETTER_FAMILY_SPRING] = "spring",     [LETTER_FAMILY_STREAMS] = "streams", [LETTER_FAMILY_PLAIN] = "plain",
    };

    return names[family];
}

static bool is_text(struct slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.at[i] < 0x20 || s.at[i] == 0x7f)
            return false;
    return utf8_valid(s);
}

/* One line of text, cut and repaired; an absent or empty one stays absent. */
static struct slice line(struct arena *arena, struct slice s, size_t max)
{
    struct buf repaired = BUF(4 * LETTER_MESSAGE_MAX + 16);
    struct slice copy = {NULL, 0};
    char *at;

    if (!s.len)
        return copy;
    s = utf8_cut(s, max);
    if (utf8_valid(s)) {
        copy = arena_copy(arena, s);
    } else {
        utf8_put(&repaired, s);
        copy = arena_copy(arena, buf_slice(&repaired));
        buf_free(&repaired);
    }
    at = (char *)(uintptr_t)copy.at;
    for (size_t i = 0; at && i < copy.len; i++)
        if ((unsigned char)at[i] < 0x20 || at[i] == 0x7f)
            at[i] = ' ';
    return copy;
}

/* "org.example.Bad: what happened" → "org.example.Bad": Streams writes the exception as it prints itself. */
static struct slice class_name(struct slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.at[i] == ':' || s.at[i] == ' ' || s.at[i] == '\n')
            return (struct slice){s.at, i};
    return s;
}

static struct slice last_part(struct slice name)
{
    size_t i = name.len;

    while (i > 0 && name.at[i - 1] != '.' && name.at[i - 1] != '$')
        i--;
    return i < name.len ? (struct slice){name.at + i, name.len - i} : name;
}

static int64_t number(const struct letter_facts *f, enum letter_fact fact, int64_t max, int64_t otherwise)
{
    int64_t v;

    return letter_fact_number(f, fact, 0, max, &v) ? v : otherwise;
}

static void read_origin(const struct letter_facts *f, struct arena *arena, struct letter *l)
{
    struct slice topic = f->at[FACT_TOPIC];

    if (topic.len && topic.len <= TOPIC_MAX && is_text(topic))
        l->topic = arena_copy(arena, topic);
    l->partition = (int32_t)number(f, FACT_PARTITION, INT32_MAX, -1);
    l->offset = number(f, FACT_OFFSET, INT64_MAX, -1);
}

static struct slice read_id(const struct letter_facts *f, struct arena *arena, const struct letter *l)
{
    char room[TOPIC_MAX + 64];
    struct buf id = BUF_IN(room);
    bool origin = l->topic.at && l->partition >= 0 && l->offset >= 0;

    if (f->at[FACT_ID].len && f->at[FACT_ID].len <= LETTER_ID_MAX && is_text(f->at[FACT_ID]))
        return arena_copy(arena, f->at[FACT_ID]);
    buf_put_slice(&id, origin ? l->topic : l->dlq_topic);
    buf_printf(&id, ":%d:%lld", origin ? l->partition : l->dlq_partition, (long long)(origin ? l->offset : l->dlq_offset));
    return arena_copy(arena, buf_slice(&id));
}

static void read_cause(const struct letter_facts *f, struct arena *arena, struct letter *l)
{
    bool ours = l->family == LETTER_FAMILY_STEPMILL;
    struct slice class = f->at[FACT_CAUSE].len ? f->at[FACT_CAUSE] : f->at[FACT_CLASS];

    l->class = line(arena, ours ? class : class_name(class), LETTER_TEXT_MAX);
    l->code = line(arena, f->at[FACT_CODE], LETTER_TEXT_MAX);
    if (!ours && !l->code.at && l->class.at)
        l->code = last_part(l->class);
    l->stage = line(arena, f->at[FACT_STAGE], LETTER_TEXT_MAX);
    l->message = line(arena, f->at[FACT_MESSAGE], LETTER_MESSAGE_MAX);
}

static bool is_fingerprint(struct slice s)
{
    char bytes[FINGERPRINT_LENGTH / 2];

    return s.len == FINGERPRINT_LENGTH && hex_decode(bytes, sizeof bytes, s);
}

static void read_fingerprint(const struct letter_facts *f, struct letter *l)
{
    struct slice theirs = f->at[FACT_FINGERPRINT];

    if (is_fingerprint(theirs)) {
        memcpy(l->fingerprint, theirs.at, FINGERPRINT_LENGTH);
        l->fingerprint[FINGERPRINT_LENGTH] = '\0';
    } else {
        fingerprint(l->fingerprint, l->class, l->stage, l->message);
    }
}

static void read_numbers(const struct letter_facts *f, const struct kafka_record *record, struct letter *l)
{
    uint32_t schema_id;
    struct slice avro;
    struct error error;

    l->step = (int32_t)number(f, FACT_STEP, INT32_MAX, -1);
    l->attempts = (int32_t)number(f, FACT_ATTEMPTS, INT32_MAX, -1);
    l->redrives = (int32_t)number(f, FACT_REDRIVES, INT32_MAX, 0);
    l->failed_at_ms = number(f, FACT_FAILED_AT, INT64_MAX, record->timestamp > 0 ? record->timestamp : 0);
    l->first_failed_at_ms = number(f, FACT_FIRST_FAILED_AT, INT64_MAX, l->failed_at_ms);
    l->started_at_ms = number(f, FACT_STARTED_AT, INT64_MAX, -1);
    l->retryable = slice_is(f->at[FACT_RETRYABLE], "true");
    l->schema_id = number(f, FACT_SCHEMA_ID, UINT32_MAX, -1);
    if (l->schema_id < 0 && record->value.at) {
        error = wire_parse(record->value, &schema_id, &avro);
        l->schema_id = failed(error) ? -1 : (int64_t)schema_id;
    }
}

static struct slice read_trace(const struct letter_facts *f, struct arena *arena)
{
    static const uint8_t random[TRACE_RANDOM];
    struct trace t;
    char hex[33];

    if (!trace_from_headers(f->traceparent, f->trace_id, random, &t))
        return (struct slice){NULL, 0};
    hex_encode(hex, t.trace_id, sizeof t.trace_id);
    return arena_copy(arena, slice_of(hex));
}

bool letter_read(const struct kafka_record *record, struct arena *arena, struct letter *letter)
{
    struct letter_facts f;
    struct letter l = {0};

    letter_facts_find(record->headers, record->nheaders, &f);
    l.family = f.family;
    l.dlq_topic = arena_copy(arena, slice_of(record->topic));
    l.dlq_partition = record->partition;
    l.dlq_offset = record->offset;
    read_origin(&f, arena, &l);
    l.id = read_id(&f, arena, &l);
    l.group = line(arena, f.at[FACT_GROUP], LETTER_TEXT_MAX);
    l.task_id = line(arena, f.at[FACT_TASK], LETTER_TEXT_MAX);
    l.agent = line(arena, f.at[FACT_AGENT], LETTER_TEXT_MAX);
    if (record->key.len && record->key.len <= LETTER_TEXT_MAX && is_text(record->key))
        l.session_id = arena_copy(arena, record->key);
    read_cause(&f, arena, &l);
    read_numbers(&f, record, &l);
    l.worker = line(arena, f.at[FACT_WORKER], LETTER_TEXT_MAX);
    l.value_omitted = line(arena, f.at[FACT_OMITTED], LETTER_MESSAGE_MAX);
    l.trace_id = read_trace(&f, arena);
    read_fingerprint(&f, &l);
    *letter = l;
    return !arena_failed(arena);
}
