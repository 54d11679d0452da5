/* The header names of all families of dead letters, and what each says. */
#include "letter_headers.h"

#define OURS    LETTER_FAMILY_STEPMILL
#define KAFKA   LETTER_FAMILY_KAFKA
#define CONNECT LETTER_FAMILY_CONNECT
#define SPRING  LETTER_FAMILY_SPRING
#define STREAMS LETTER_FAMILY_STREAMS

struct header_meaning {
    const char *name; /* behind the family's prefix */
    enum letter_fact fact;
};

static const struct header_meaning ours[] = {
    {"id", FACT_ID},
    {"task_id", FACT_TASK},
    {"agent", FACT_AGENT},
    {"class", FACT_CLASS},
    {"code", FACT_CODE},
    {"stage", FACT_STAGE},
    {"step", FACT_STEP},
    {"attempts", FACT_ATTEMPTS},
    {"redrives", FACT_REDRIVES},
    {"first_failed_at", FACT_FIRST_FAILED_AT},
    {"failed_at", FACT_FAILED_AT},
    {"started_at", FACT_STARTED_AT},
    {"retryable", FACT_RETRYABLE},
    {"worker", FACT_WORKER},
    {"schema_id", FACT_SCHEMA_ID},
    {"value_omitted", FACT_OMITTED},
    {"fingerprint", FACT_FINGERPRINT},
};
static const struct header_meaning kafka[] = {
    {"topic", FACT_TOPIC}, {"partition", FACT_PARTITION},        {"offset", FACT_OFFSET},
    {"group", FACT_GROUP}, {"delivery.count", FACT_ATTEMPTS},    {"message", FACT_MESSAGE},
    {"code", FACT_CODE},   {"exception.class.name", FACT_CLASS},
};
static const struct header_meaning connect[] = {
    {"topic", FACT_TOPIC},
    {"partition", FACT_PARTITION},
    {"offset", FACT_OFFSET},
    {"connector.name", FACT_GROUP},
    {"task.id", FACT_WORKER},
    {"stage", FACT_STAGE},
    {"exception.class.name", FACT_CLASS},
    {"exception.message", FACT_MESSAGE},
};
static const struct header_meaning spring[] = {
    {"original-topic", FACT_TOPIC},          {"original-partition", FACT_PARTITION}, {"original-offset", FACT_OFFSET},
    {"original-consumer-group", FACT_GROUP}, {"exception-fqcn", FACT_CLASS},         {"exception-cause-fqcn", FACT_CAUSE},
    {"exception-message", FACT_MESSAGE},     {"key-exception-fqcn", FACT_CLASS},     {"key-exception-message", FACT_MESSAGE},
};
static const struct header_meaning streams[] = {
    {"topic", FACT_TOPIC},     {"partition", FACT_PARTITION}, {"offset", FACT_OFFSET},
    {"exception", FACT_CLASS}, {"message", FACT_MESSAGE},
};

#define TABLE(t) t, sizeof(t) / sizeof *(t)

static const struct family {
    const char *prefix;
    const struct header_meaning *headers;
    size_t n;
} families[] = {
    [OURS] = {"stepmill.", TABLE(ours)},
    [KAFKA] = {"__dlq.errors.", TABLE(kafka)},
    [CONNECT] = {"__connect.errors.", TABLE(connect)},
    [SPRING] = {"kafka_dlt-", TABLE(spring)},
    [STREAMS] = {"__streams.errors.", TABLE(streams)},
};

_Static_assert(sizeof families / sizeof *families == LETTER_FAMILY_PLAIN, "all but the plain one");

struct slice letter_header(const struct kafka_header *headers, size_t n, const char *name)
{
    while (n-- > 0)
        if (slice_is(headers[n].name, name))
            return headers[n].value;
    return (struct slice){NULL, 0};
}

/* LETTER_FAMILY_PLAIN: of none. */
static enum letter_family family_of(struct slice name, struct slice *rest)
{
    for (enum letter_family f = 0; f < LETTER_FAMILY_PLAIN; f++)
        if (slice_starts_with(name, families[f].prefix)) {
            size_t prefix = strlen(families[f].prefix);

            *rest = (struct slice){name.at + prefix, name.len - prefix};
            return f;
        }
    return LETTER_FAMILY_PLAIN;
}

static void take(struct letter_facts *facts, enum letter_family family, struct slice rest, struct slice value)
{
    for (size_t i = 0; i < families[family].n; i++)
        if (rest.len && rest.at[0] == families[family].headers[i].name[0] && slice_is(rest, families[family].headers[i].name)) {
            enum letter_fact fact = families[family].headers[i].fact;

            /* What a key's exception says must not hide what the value's says. */
            if (!slice_starts_with(rest, "key-") || !facts->at[fact].at)
                facts->at[fact] = value;
        }
}

/* Retries that were made before, for those families that tell it by headers of another prefix. */
static void take_spring_retries(struct letter_facts *facts, const struct kafka_header *headers, size_t n)
{
    struct slice attempts = letter_header(headers, n, "retry_topic-attempts");

    facts->at[FACT_ATTEMPTS] = attempts.at ? attempts : letter_header(headers, n, "kafka_deliveryAttempt");
}

void letter_facts_find(const struct kafka_header *headers, size_t n, struct letter_facts *facts)
{
    struct slice rest;

    *facts = (struct letter_facts){.family = LETTER_FAMILY_PLAIN};
    for (size_t i = n; i-- > 0 && facts->family == LETTER_FAMILY_PLAIN;) {
        enum letter_family f = family_of(headers[i].name, &rest);

        /* stepmill.redrives and its like stand on any record that we sent: only the id makes a letter of ours */
        if (f < LETTER_FAMILY_PLAIN && (f != OURS || slice_is(rest, "id")))
            facts->family = f;
    }
    for (size_t i = 0; i < n; i++) {
        enum letter_family f = family_of(headers[i].name, &rest);

        if (f < LETTER_FAMILY_PLAIN && (f == facts->family || (f == KAFKA && facts->family == OURS)))
            take(facts, f, rest, headers[i].value);
        else if (slice_is(headers[i].name, "traceparent"))
            facts->traceparent = headers[i].value;
        else if (slice_is(headers[i].name, "trace-id"))
            facts->trace_id = headers[i].value;
    }
    if (facts->family == SPRING)
        take_spring_retries(facts, headers, n);
}

static bool big_endian(struct slice s, int64_t *value)
{
    uint64_t v = 0;

    if (s.len != 4 && s.len != 8)
        return false;
    for (size_t i = 0; i < s.len; i++)
        v = v << 8 | (unsigned char)s.at[i];
    *value = s.len == 4 ? (int32_t)(uint32_t)v : (int64_t)v;
    return true;
}

static bool decimal(struct slice s, int64_t *value) { return slice_to_int(s, INT64_MIN, INT64_MAX, value); }

bool letter_fact_number(const struct letter_facts *f, enum letter_fact fact, int64_t min, int64_t max, int64_t *value)
{
    struct slice s = f->at[fact];
    int64_t v;
    bool read;

    if (f->family == SPRING) /* "1234" could be both: Spring always means the bytes */
        read = big_endian(s, &v) || decimal(s, &v);
    else /* who copies the broker's headers may write its numbers as Spring does */
        read = decimal(s, &v) || (f->family != OURS && big_endian(s, &v));
    if (!read || v < min || v > max)
        return false;
    *value = v;
    return true;
}
