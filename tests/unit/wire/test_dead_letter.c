/* Headers of dead letters and CloudEvents. */
#include "helper_avro.h"

#include <stdlib.h>

#include "stepmill/cloud_events.h"
#include "stepmill/dead_letter.h"
#include "stepmill/utf8.h"

static struct dead_letter sample(void)
{
    return (struct dead_letter){.origin = {SLICE("agent.tasks.search"), 3, 12345678901},
                                .group = SLICE("agent-search"),
                                .task_id = SLICE("t-1"),
                                .agent = SLICE("search"),
                                .class = SLICE("exhausted"),
                                .code = SLICE("timeout"),
                                .stage = SLICE("model"),
                                .message = SLICE("no answer within 30 s"),
                                .step = 2,
                                .attempts = 9,
                                .first_failed_at_ms = -1,
                                .failed_at_ms = 1767225600123,
                                .started_at_ms = 1767225590000,
                                .redrives = 1,
                                .retryable = true,
                                .worker = SLICE("host-1"),
                                .schema_id = 7,
                                .value_omitted = {NULL, 0}};
}

static size_t count(const struct kafka_header *h, size_t n, const char *name)
{
    size_t found = 0;

    for (size_t i = 0; i < n; i++)
        found += slice_is(h[i].name, name);
    return found;
}

static struct slice find(const struct kafka_header *h, size_t n, const char *name)
{
    assert_int_equal(count(h, n, name), 1);
    for (size_t i = 0; i < n; i++)
        if (slice_is(h[i].name, name))
            return h[i].value;
    return (struct slice){NULL, 0};
}

static void everything_is_said_behind_the_original_headers(void **state)
{
    static const struct kafka_header original[] = {
        {SLICE("b"), SLICE("\xff\0x")}, {SLICE("a"), {NULL, 0}}, {SLICE("b"), SLICE("")}};
    static const char *const expected[][2] = {{"__dlq.errors.topic", "agent.tasks.search"},
                                              {"__dlq.errors.partition", "3"},
                                              {"__dlq.errors.offset", "12345678901"},
                                              {"__dlq.errors.group", "agent-search"},
                                              {"__dlq.errors.message", "no answer within 30 s"},
                                              {"stepmill.id", "agent.tasks.search:3:12345678901"},
                                              {"stepmill.task_id", "t-1"},
                                              {"stepmill.agent", "search"},
                                              {"stepmill.class", "exhausted"},
                                              {"stepmill.code", "timeout"},
                                              {"stepmill.stage", "model"},
                                              {"stepmill.step", "2"},
                                              {"stepmill.attempts", "9"},
                                              {"stepmill.first_failed_at", "1767225600123"},
                                              {"stepmill.failed_at", "1767225600123"},
                                              {"stepmill.started_at", "1767225590000"},
                                              {"stepmill.redrives", "1"},
                                              {"stepmill.retryable", "true"},
                                              {"stepmill.worker", "host-1"},
                                              {"stepmill.schema_id", "7"}};
    struct arena *arena = arena_new(1 << 20);
    struct dead_letter letter = sample();
    const struct kafka_header *h;
    size_t n, rows = sizeof expected / sizeof *expected;

    (void)state;
    assert_true(dead_letter_headers(&letter, original, 3, arena, &h, &n));
    assert_int_equal(n, 3 + rows + 1);
    for (size_t i = 0; i < 3; i++) {
        assert_true(slice_equal(h[i].name, original[i].name) && slice_equal(h[i].value, original[i].value));
        assert_int_equal(!h[i].value.at, !original[i].value.at);
    }
    for (size_t i = 0; i < rows; i++)
        assert_slice(find(h, n, expected[i][0]), expected[i][1]);
    assert_int_equal(find(h, n, "stepmill.fingerprint").len, 16);
    arena_free(arena);
}

static void a_second_failure_replaces_what_the_first_said(void **state)
{
    struct arena *arena = arena_new(1 << 20);
    struct dead_letter letter = sample();
    const struct kafka_header *first, *second;
    size_t n, again;

    (void)state;
    letter.failed_at_ms = 1000;
    assert_true(dead_letter_headers(&letter, NULL, 0, arena, &first, &n));
    letter.failed_at_ms = 2000;
    letter.code = SLICE("other");
    assert_true(dead_letter_headers(&letter, first, n, arena, &second, &again));
    assert_int_equal(again, n);
    assert_slice(find(second, again, "stepmill.code"), "other");
    assert_slice(find(second, again, "stepmill.first_failed_at"), "1000");
    assert_slice(find(second, again, "stepmill.failed_at"), "2000");
    arena_free(arena);
}

static void a_forged_first_failure_is_ignored(void **state)
{
    static const struct kafka_header forged[] = {{SLICE("stepmill.first_failed_at"), SLICE("yesterday\r\n")}};
    struct arena *arena = arena_new(1 << 20);
    struct dead_letter letter = sample();
    const struct kafka_header *h;
    size_t n;

    (void)state;
    assert_true(dead_letter_headers(&letter, forged, 1, arena, &h, &n));
    assert_slice(find(h, n, "stepmill.first_failed_at"), "1767225600123");
    arena_free(arena);
}

static void messages_are_one_bounded_line_of_text(void **state)
{
    static char text[3001];
    struct arena *arena = arena_new(1 << 20);
    struct dead_letter letter = sample();
    const struct kafka_header *h;
    struct slice message;
    size_t n;

    (void)state;
    memset(text, 'x', 3000);
    memcpy(text + 998, "\xe2\x98\x95", 3); /* would be cut at 1,000 */
    text[5] = '\n';
    letter.message = slice_of(text);
    assert_true(dead_letter_headers(&letter, NULL, 0, arena, &h, &n));
    message = find(h, n, "__dlq.errors.message");
    assert_int_equal(message.len, 998);
    assert_true(utf8_valid(message));
    assert_int_equal(message.at[5], ' ');
    letter.message = SLICE("bad \xff byte");
    assert_true(dead_letter_headers(&letter, NULL, 0, arena, &h, &n));
    assert_slice(find(h, n, "__dlq.errors.message"), "bad ? byte");
    arena_free(arena);
}

static void what_is_not_known_is_left_out(void **state)
{
    struct arena *arena = arena_new(1 << 20);
    struct dead_letter letter = sample();
    const struct kafka_header *h;
    size_t n;

    (void)state;
    letter.task_id = (struct slice){NULL, 0};
    letter.schema_id = -1;
    letter.value_omitted = dead_letter_omitted(SLICE("abc"), &letter.origin, arena);
    assert_true(dead_letter_headers(&letter, NULL, 0, arena, &h, &n));
    assert_int_equal(count(h, n, "stepmill.task_id"), 0);
    assert_int_equal(count(h, n, "stepmill.schema_id"), 0);
    assert_slice(find(h, n, "stepmill.value_omitted"),
                 "size=3, sha256=ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad, "
                 "origin=agent.tasks.search:3:12345678901");
    arena_free(arena);
}

static void no_room_is_told(void **state)
{
    struct dead_letter letter = sample();
    const struct kafka_header *h;
    bool fits = false;
    size_t n;

    (void)state;
    for (size_t room = 64; !fits; room += 64) {
        struct arena *arena = arena_new(room);

        fits = dead_letter_headers(&letter, NULL, 0, arena, &h, &n);
        if (fits)
            assert_int_equal(n, 21);
        arena_free(arena);
    }
}

static void cloud_events_are_told_by_their_headers(void **state)
{
    struct arena *arena = arena_new(1 << 20);
    struct kafka_header h[CLOUD_EVENT_HEADERS];
    struct digest digest = {{0xab, 0xcd}};

    (void)state;
    assert_true(cloud_event_headers(h, arena, SLICE("t-1"), 4, &digest, SLICE("search"), "ToolAnswered", 1767225600123));
    assert_slice(find(h, CLOUD_EVENT_HEADERS, "ce_specversion"), "1.0");
    assert_slice(find(h, CLOUD_EVENT_HEADERS, "ce_id"), "t-1/4/abcd0000000000000000000000000000");
    assert_slice(find(h, CLOUD_EVENT_HEADERS, "ce_source"), "stepmill/search");
    assert_slice(find(h, CLOUD_EVENT_HEADERS, "ce_type"), "com.myco.agents.v1.ToolAnswered");
    assert_slice(find(h, CLOUD_EVENT_HEADERS, "ce_time"), "2026-01-01T00:00:00.123Z");
    assert_slice(find(h, CLOUD_EVENT_HEADERS, "content-type"), "application/avro");
    arena_free(arena);
    arena = arena_new(0);
    assert_false(cloud_event_headers(h, arena, SLICE("t-1"), 4, &digest, SLICE("search"), "ToolAnswered", 0));
    arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_is_said_behind_the_original_headers),
        cmocka_unit_test(a_second_failure_replaces_what_the_first_said),
        cmocka_unit_test(a_forged_first_failure_is_ignored),
        cmocka_unit_test(messages_are_one_bounded_line_of_text),
        cmocka_unit_test(what_is_not_known_is_left_out),
        cmocka_unit_test(no_room_is_told),
        cmocka_unit_test(cloud_events_are_told_by_their_headers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
