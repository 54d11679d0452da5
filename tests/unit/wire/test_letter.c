/* Reading dead letters of all families; their bytes are written here one by one, as the documents of each say. */
#include "helper_avro.h"

#include <stdlib.h>

#include "stepmill/dead_letter.h"
#include "stepmill/letter.h"
#include "stepmill/utf8.h"

#define H(name, value)                                                                                                           \
    {                                                                                                                            \
        SLICE(name), SLICE(value)                                                                                                \
    }

static struct arena *arena;

static struct letter read_at(const struct kafka_header *headers, size_t n, const char *topic, struct slice key)
{
    struct kafka_record r = {.topic = topic,
                             .partition = 2,
                             .offset = 77,
                             .timestamp = 1767225600000,
                             .time_kind = KAFKA_TIME_CREATED,
                             .key = key,
                             .value = SLICE("\0\0\0\1\2rest"),
                             .headers = headers,
                             .nheaders = n};
    struct letter l;

    assert_true(letter_read(&r, arena, &l));
    return l;
}

#define READ(headers) read_at(headers, sizeof(headers) / sizeof *(headers), "dlq", SLICE("session-1"))

static void assert_text(struct slice s, const char *text)
{
    if (!text)
        assert_null(s.at);
    else if (!slice_is(s, text))
        fail_msg("\"%.*s\" instead of \"%s\"", SLICE_FMT(s), text);
}

static int set_up(void **state)
{
    (void)state;
    arena = arena_new(16 * 1024 * 1024);
    return arena ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    arena_free(arena);
    return 0;
}

/* What the worker writes is read back whole. */
static void ours(void **state)
{
    const struct dead_letter written = {.origin = {SLICE("agent.tasks.search"), 3, 12345678901},
                                        .group = SLICE("agent-search"),
                                        .task_id = SLICE("t-1"),
                                        .agent = SLICE("search"),
                                        .class = SLICE("exhausted"),
                                        .code = SLICE("timeout"),
                                        .stage = SLICE("model"),
                                        .message = SLICE("no answer within 30 s"),
                                        .step = 2,
                                        .attempts = 9,
                                        .first_failed_at_ms = 1767225500000,
                                        .failed_at_ms = 1767225600123,
                                        .started_at_ms = 1767225400000,
                                        .redrives = 1,
                                        .retryable = true,
                                        .worker = SLICE("host-1 (1)"),
                                        .schema_id = 7};
    static const struct kafka_header original[] = {H("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
                                                   H("__connect.errors.topic", "elsewhere")};
    const struct kafka_header *headers;
    char expected[FINGERPRINT_LENGTH + 1];
    struct letter l;
    size_t n;

    (void)state;
    assert_true(dead_letter_headers(&written, original, 2, arena, &headers, &n));
    l = read_at(headers, n, "agent.dlq", SLICE("session-1"));
    assert_int_equal(l.family, LETTER_FAMILY_STEPMILL);
    assert_text(l.id, "agent.tasks.search:3:12345678901");
    assert_text(l.topic, "agent.tasks.search");
    assert_int_equal(l.partition, 3);
    assert_int_equal(l.offset, 12345678901);
    assert_text(l.dlq_topic, "agent.dlq");
    assert_int_equal(l.dlq_partition, 2);
    assert_int_equal(l.dlq_offset, 77);
    assert_text(l.group, "agent-search");
    assert_text(l.task_id, "t-1");
    assert_text(l.session_id, "session-1");
    assert_text(l.agent, "search");
    assert_text(l.class, "exhausted");
    assert_text(l.code, "timeout");
    assert_text(l.stage, "model");
    assert_text(l.message, "no answer within 30 s");
    assert_int_equal(l.step, 2);
    assert_int_equal(l.attempts, 9);
    assert_int_equal(l.redrives, 1);
    assert_true(l.first_failed_at_ms == 1767225500000 && l.failed_at_ms == 1767225600123 && l.started_at_ms == 1767225400000);
    assert_true(l.retryable);
    assert_int_equal(l.schema_id, 7);
    assert_text(l.trace_id, "4bf92f3577b34da6a3ce929d0e0e4736");
    fingerprint(expected, written.class, written.stage, written.message);
    assert_string_equal(l.fingerprint, expected);
}

/* A record that we redrove and another system failed on carries stepmill.redrives: it is that system's letter all the same. */
static void the_last_family_counts(void **state)
{
    static const struct kafka_header connect[] = {H("stepmill.redrives", "1"), H("kafka_dlt-original-topic", "t"),
                                                  H("__connect.errors.topic", "orders")};
    static const struct kafka_header mine[] = {H("__connect.errors.topic", "orders"), H("__dlq.errors.topic", "tasks"),
                                               H("stepmill.id", "tasks:1:2")};
    struct letter l = READ(connect);

    (void)state;
    assert_int_equal(l.family, LETTER_FAMILY_CONNECT);
    assert_text(l.topic, "orders");
    assert_int_equal(l.redrives, 0);
    l = READ(mine);
    assert_int_equal(l.family, LETTER_FAMILY_STEPMILL);
    assert_text(l.topic, "tasks");
    assert_text(l.id, "tasks:1:2");
}

/* KIP-1191: a share group's letters. */
static void the_brokers(void **state)
{
    static const struct kafka_header headers[] = {
        H("__dlq.errors.topic", "orders"),      H("__dlq.errors.partition", "4"),
        H("__dlq.errors.offset", "9000000000"), H("__dlq.errors.group", "share-1"),
        H("__dlq.errors.delivery.count", "5"),  H("__dlq.errors.message", "too many deliveries"),
    };
    struct letter l = READ(headers);

    (void)state;
    assert_int_equal(l.family, LETTER_FAMILY_KAFKA);
    assert_text(l.id, "orders:4:9000000000");
    assert_text(l.group, "share-1");
    assert_int_equal(l.attempts, 5);
    assert_text(l.message, "too many deliveries");
    assert_text(l.class, NULL);
    assert_int_equal(l.failed_at_ms, 1767225600000);
}

/* KIP-298: numbers are text; the value of a converter's failure is not ours to read. */
static void connects(void **state)
{
    static const struct kafka_header headers[] = {
        H("__connect.errors.topic", "orders"),
        H("__connect.errors.partition", "5"),
        H("__connect.errors.offset", "1234"),
        H("__connect.errors.connector.name", "jdbc-sink"),
        H("__connect.errors.task.id", "0"),
        H("__connect.errors.stage", "VALUE_CONVERTER"),
        H("__connect.errors.class.name", "org.apache.kafka.connect.json.JsonConverter"),
        H("__connect.errors.exception.class.name", "org.apache.kafka.connect.errors.DataException"),
        H("__connect.errors.exception.message", "Converting byte[] to Kafka Connect data failed: line 1"),
        H("__connect.errors.exception.stacktrace", "org.apache…\n\tat x.y(Z.java:1)\n"),
    };
    struct letter l = READ(headers);

    (void)state;
    assert_int_equal(l.family, LETTER_FAMILY_CONNECT);
    assert_text(l.id, "orders:5:1234");
    assert_text(l.group, "jdbc-sink");
    assert_text(l.worker, "0");
    assert_text(l.stage, "VALUE_CONVERTER");
    assert_text(l.class, "org.apache.kafka.connect.errors.DataException");
    assert_text(l.code, "DataException");
    assert_text(l.message, "Converting byte[] to Kafka Connect data failed: line 1");
    assert_int_equal(l.schema_id, 0x102);
}

/* Numbers are big endian: 4 bytes the partition, 8 the offset; "1234" as bytes is a number too. */
static void springs(void **state)
{
    static const struct kafka_header headers[] = {
        H("kafka_dlt-original-topic", "orders"),
        H("kafka_dlt-original-partition", "\0\0\0\7"),
        H("kafka_dlt-original-offset", "\0\0\0\2\x54\x0b\xe3\xff"),
        H("kafka_dlt-original-timestamp", "\0\0\1\x9b\x76\xda\x95\0"),
        H("kafka_dlt-original-timestamp-type", "CreateTime"),
        H("kafka_dlt-original-consumer-group", "billing"),
        H("kafka_dlt-exception-fqcn", "org.springframework.kafka.listener.ListenerExecutionFailedException"),
        H("kafka_dlt-exception-cause-fqcn", "java.lang.IllegalStateException"),
        H("kafka_dlt-exception-message", "Listener failed; card 4711 refused"),
        H("kafka_dlt-exception-stacktrace", "…"),
        H("retry_topic-attempts", "\0\0\0\4"),
    };
    static const struct kafka_header digits[] = {H("kafka_dlt-original-topic", "t"), H("kafka_dlt-original-partition", "1234"),
                                                 H("kafka_dlt-original-offset", "17")};
    static const struct kafka_header of_a_key[] = {H("kafka_dlt-key-exception-fqcn", "KeyException"),
                                                   H("kafka_dlt-exception-fqcn", "ValueException"),
                                                   H("kafka_dlt-key-exception-message", "bad key")};
    struct letter l = READ(headers);

    (void)state;
    assert_int_equal(l.family, LETTER_FAMILY_SPRING);
    assert_text(l.id, "orders:7:9999999999");
    assert_text(l.group, "billing");
    assert_text(l.class, "java.lang.IllegalStateException");
    assert_text(l.code, "IllegalStateException");
    assert_text(l.message, "Listener failed; card 4711 refused");
    assert_int_equal(l.attempts, 4);
    l = READ(digits);
    assert_int_equal(l.partition, 0x31323334);
    assert_int_equal(l.offset, 17);
    l = READ(of_a_key);
    assert_text(l.class, "ValueException");
    assert_text(l.message, "bad key");
}

/* KIP-1034. */
static void streams(void **state)
{
    static const struct kafka_header headers[] = {
        H("__streams.errors.exception", "org.apache.kafka.common.errors.SerializationException: Unknown magic byte!"),
        H("__streams.errors.stacktrace", "…"),
        H("__streams.errors.message", "Unknown magic byte!"),
        H("__streams.errors.topic", "orders"),
        H("__streams.errors.partition", "0"),
        H("__streams.errors.offset", "42"),
    };
    struct letter l = READ(headers);

    (void)state;
    assert_int_equal(l.family, LETTER_FAMILY_STREAMS);
    assert_text(l.id, "orders:0:42");
    assert_text(l.class, "org.apache.kafka.common.errors.SerializationException");
    assert_text(l.code, "SerializationException");
    assert_text(l.message, "Unknown magic byte!");
}

static void none_of_these(void **state)
{
    static const struct kafka_header headers[] = {H("retry", "1"), H("stepmill.redrives", "1")};
    struct letter l = READ(headers);

    (void)state;
    assert_int_equal(l.family, LETTER_FAMILY_PLAIN);
    assert_text(l.id, "dlq:2:77");
    assert_text(l.topic, NULL);
    assert_int_equal(l.partition, -1);
    l = read_at(NULL, 0, "dlq", (struct slice){NULL, 0});
    assert_text(l.session_id, NULL);
}

static void hostile_values_are_made_harmless(void **state)
{
    static char huge[300000];
    const struct kafka_header headers[] = {
        H("__dlq.errors.topic", "t\nx"),
        H("__dlq.errors.partition", "-1"),
        H("__dlq.errors.offset", "99999999999999999999"),
        {SLICE("__dlq.errors.message"), {huge, sizeof huge}},
        H("__dlq.errors.group", "a\0b\x1b[31m\xff"),
        {SLICE("stepmill.task_id"), {NULL, 0}},
        H("stepmill.id", "x\r\ny"),
        H("stepmill.failed_at", "-5"),
        H("stepmill.fingerprint", "zzzz"),
    };
    struct letter l;

    (void)state;
    memset(huge, '\xe2', sizeof huge);
    l = READ(headers);
    assert_int_equal(l.family, LETTER_FAMILY_STEPMILL);
    assert_text(l.id, "dlq:2:77");
    assert_text(l.topic, NULL);
    assert_int_equal(l.offset, -1);
    assert_true(utf8_valid(l.message) && l.message.len <= 3 * LETTER_MESSAGE_MAX);
    assert_text(l.group, "a b [31m\xef\xbf\xbd");
    assert_text(l.task_id, NULL);
    assert_int_equal(l.failed_at_ms, 1767225600000);
    assert_int_equal(strlen(l.fingerprint), FINGERPRINT_LENGTH);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(ours, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_last_family_counts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_brokers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(connects, set_up, tear_down),
        cmocka_unit_test_setup_teardown(springs, set_up, tear_down),
        cmocka_unit_test_setup_teardown(streams, set_up, tear_down),
        cmocka_unit_test_setup_teardown(none_of_these, set_up, tear_down),
        cmocka_unit_test_setup_teardown(hostile_values_are_made_harmless, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
