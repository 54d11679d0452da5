/* Pure parts of the engine: which letters may go, what a record that goes back carries, filters as terms. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "redrive_parts.h"

static struct letter_row row(enum letter_status status)
{
    return (struct letter_row){.status = status, .letter = {.topic = SLICE("t"), .partition = 1, .offset = 2}};
}

static void only_what_is_open_may_go(void **state)
{
    static const enum redrive_verdict expected[LETTER_STATUSES] = {
        [LETTER_OPEN] = REDRIVE_FINE,         [LETTER_ACKNOWLEDGED] = REDRIVE_FINE,  [LETTER_RETRY_WAITING] = REDRIVE_FINE,
        [LETTER_REDRIVING] = REDRIVE_IN_JOB,  [LETTER_REDRIVEN] = REDRIVE_UNDER_WAY, [LETTER_FAILED_AGAIN] = REDRIVE_FAILED_AGAIN,
        [LETTER_RESOLVED] = REDRIVE_RESOLVED, [LETTER_PARKED] = REDRIVE_PARKED,      [LETTER_DISCARDED] = REDRIVE_DISCARDED,
    };
    struct letter_row r;

    (void)state;
    for (enum letter_status s = 0; s < LETTER_STATUSES; s++) {
        r = row(s);
        assert_int_equal(redrive_verdict_of(&r, (struct slice){NULL, 0}), expected[s]);
    }
    r = row(LETTER_REDRIVING);
    r.job = SLICE("j");
    assert_int_equal(redrive_verdict_of(&r, SLICE("j")), REDRIVE_FINE);
    assert_int_equal(redrive_verdict_of(&r, SLICE("k")), REDRIVE_IN_JOB);
}

static void a_letter_needs_a_topic_and_a_value(void **state)
{
    struct letter_row r = row(LETTER_OPEN);

    (void)state;
    r.letter.value_omitted = SLICE("size=9");
    assert_int_equal(redrive_verdict_of(&r, SLICE("j")), REDRIVE_FINE); /* its topic may still hold it */
    r.letter.offset = -1;
    assert_int_equal(redrive_verdict_of(&r, SLICE("j")), REDRIVE_NO_VALUE);
    r.letter.topic = (struct slice){NULL, 0};
    assert_int_equal(redrive_verdict_of(&r, SLICE("j")), REDRIVE_NO_ORIGIN);
}

static struct slice find(const struct kafka_header *h, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (slice_is(h[i].name, name))
            return h[i].value;
    return (struct slice){NULL, 0};
}

static void what_was_added_on_the_way_does_not_go_back(void **state)
{
    static const struct kafka_header original[] = {
        {SLICE("mine"), SLICE("\xff")},
        {SLICE("traceparent"), SLICE("00-1-2-01")},
        {SLICE("__replicator_id"), SLICE("r")},
        {SLICE("stepmill.class"), SLICE("timeout")},
        {SLICE("stepmill.redrives"), SLICE("1")},
        {SLICE("stepmill.first_failed_at"), SLICE("17")},
        {SLICE("__connect.errors.topic"), SLICE("t")},
        {SLICE("kafka_dlt-original-topic"), SLICE("t")},
        {SLICE("__streams.errors.topic"), SLICE("t")},
        {SLICE("__dlq.errors.topic"), SLICE("t")},
        {SLICE("mine"), {NULL, 0}},
    };
    struct redrive_headers in = {.original = original,
                                 .noriginal = sizeof original / sizeof *original,
                                 .letter = SLICE("t:0:1"),
                                 .job = SLICE("j"),
                                 .by = SLICE("ann"),
                                 .redrives = 2};
    struct arena *arena = arena_new(65536);
    const struct kafka_header *h;
    size_t n;

    (void)state;
    assert_true(redrive_headers_make(&in, arena, &h, &n));
    assert_int_equal(n, 2 + 5);
    assert_true(slice_is(h[0].value, "\xff"));
    assert_null(h[1].value.at);
    assert_true(slice_is(find(h, n, "stepmill.redrives"), "2"));
    assert_true(slice_is(find(h, n, "stepmill.first_failed_at"), "17"));
    assert_true(slice_is(find(h, n, "stepmill.letter"), "t:0:1"));
    assert_true(slice_is(find(h, n, "stepmill.redriven_by"), "ann"));
    assert_null(find(h, n, "stepmill.from_start").at);
    in.from_start = true;
    assert_true(redrive_headers_make(&in, arena, &h, &n));
    assert_true(slice_is(find(h, n, "stepmill.from_start"), "true"));
    in.edited = true; /* another task: nobody has redriven it */
    assert_true(redrive_headers_make(&in, arena, &h, &n));
    assert_null(find(h, n, "stepmill.redrives").at);
    assert_null(find(h, n, "stepmill.first_failed_at").at);
    arena_free(arena);
}

static void filters_go_there_and_back(void **state)
{
    struct letter_filter in = {.topic = SLICE("t"),
                               .dlq_topic = SLICE("d"),
                               .agent = SLICE("a"),
                               .class = SLICE("c"),
                               .code = SLICE("co"),
                               .stage = SLICE("s"),
                               .group = SLICE("g"),
                               .task_id = SLICE("ti"),
                               .session_id = SLICE("si"),
                               .assigned = SLICE("as"),
                               .job = SLICE("j"),
                               .text = SLICE("x y"),
                               .statuses = 1U << LETTER_OPEN | 1U << LETTER_PARKED,
                               .family = LETTER_FAMILY_CONNECT + 1,
                               .from_ms = 1,
                               .to_ms = INT64_MAX},
                         out;
    struct arena *arena = arena_new(65536);
    const struct action_term *terms, *again;
    size_t n, m;

    (void)state;
    assert_true(filter_to_terms(&in, arena, &terms, &n));
    assert_int_equal(n, 12 + 2 + 3);
    assert_true(filter_from_terms(terms, n, &out));
    assert_true(filter_to_terms(&out, arena, &again, &m));
    assert_int_equal(m, n);
    for (size_t i = 0; i < n; i++) {
        assert_true(slice_equal(terms[i].name, again[i].name));
        assert_true(slice_equal(terms[i].value, again[i].value));
    }
    assert_int_equal(out.statuses, in.statuses);
    assert_false(filter_from_terms(&(struct action_term){SLICE("colour"), SLICE("red")}, 1, &out));
    assert_false(filter_from_terms(&(struct action_term){SLICE("status"), SLICE("melted")}, 1, &out));
    assert_false(filter_from_terms(&(struct action_term){SLICE("from"), SLICE("10m")}, 1, &out));
    arena_free(arena);
}

/* A second's letters at most, then no more before a tenth of a second is over. */
static void a_pace_holds_back(void **state)
{
    struct pace p = {0};
    int64_t wait_ms = 0;

    (void)state;
    assert_int_equal(pace_allows(&p, 20, 500, &wait_ms), 20);
    assert_int_equal(pace_allows(&p, 20, 7, &wait_ms), 7);
    pace_pay(&p, 20, 20);
    assert_int_equal(pace_allows(&p, 20, 500, &wait_ms), 0);
    assert_true(wait_ms > 0 && wait_ms <= 101);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_what_is_open_may_go),
        cmocka_unit_test(a_letter_needs_a_topic_and_a_value),
        cmocka_unit_test(what_was_added_on_the_way_does_not_go_back),
        cmocka_unit_test(filters_go_there_and_back),
        cmocka_unit_test(a_pace_holds_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
