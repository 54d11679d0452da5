/* trace: what is read, what is refused, and what a record's headers lead to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "stepmill/trace.h"

#define ID   "4bf92f3577b34da6a3ce929d0e0e4736"
#define SPAN "00f067aa0ba902b7"

static void traceparents_are_read_strictly(void **state)
{
    static const struct {
        const char *text;
        bool right;
        bool sampled;
    } cases[] = {
        {"00-" ID "-" SPAN "-01", true, true},
        {"00-" ID "-" SPAN "-00", true, false},
        {"00-" ID "-" SPAN "-03", true, true}, /* other flags are ignored */
        {"00-" ID "-" SPAN "-fe", true, false},
        {"cc-" ID "-" SPAN "-01", true, true},
        {"cc-" ID "-" SPAN "-01-what-comes-later", true, true},
        {"cc-" ID "-" SPAN "-01.what-comes-later", false, false},
        {"00-" ID "-" SPAN "-01-more", false, false},
        {"00-" ID "-" SPAN "-01-", false, false},
        {"ff-" ID "-" SPAN "-01", false, false},
        {"0-" ID "-" SPAN "-01", false, false},
        {"00-" ID "-" SPAN "-1", false, false},
        {"00-" ID "-" SPAN "-0g", false, false},
        {"00_" ID "-" SPAN "-01", false, false},
        {"00-" ID "_" SPAN "-01", false, false},
        {"00-" ID "-" SPAN "_01", false, false},
        {"00-4BF92F3577B34DA6A3CE929D0E0E4736-" SPAN "-01", false, false},
        {"00-" ID "-00F067AA0BA902B7-01", false, false},
        {"00-00000000000000000000000000000000-" SPAN "-01", false, false},
        {"00-" ID "-0000000000000000-01", false, false},
        {" 00-" ID "-" SPAN "-01", false, false},
        {"00-" ID "-" SPAN "-01 ", false, false},
        {"", false, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct trace t = {.sampled = !cases[i].sampled}, before = t;

        assert_int_equal(trace_parse(slice_of(cases[i].text), &t), cases[i].right);
        if (!cases[i].right) {
            assert_memory_equal(&t, &before, sizeof t);
            continue;
        }
        assert_int_equal(t.sampled, cases[i].sampled);
        assert_memory_equal(t.trace_id, "\x4b\xf9\x2f\x35\x77\xb3\x4d\xa6\xa3\xce\x92\x9d\x0e\x0e\x47\x36", 16);
        assert_memory_equal(t.span_id, "\x00\xf0\x67\xaa\x0b\xa9\x02\xb7", 8);
    }
}

static void every_shortened_traceparent_is_refused(void **state)
{
    const char *text = "00-" ID "-" SPAN "-01";
    struct trace t;

    (void)state;
    for (size_t n = 0; n < strlen(text); n++)
        assert_false(trace_parse((struct slice){text, n}, &t));
    assert_false(trace_parse((struct slice){NULL, 0}, &t));
}

static void written_and_read_again(void **state)
{
    static const char *const texts[] = {"00-" ID "-" SPAN "-01", "00-" ID "-" SPAN "-00"};
    char text[TRACEPARENT_SIZE];
    struct trace t;

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        assert_true(trace_parse(slice_of(texts[i]), &t));
        trace_format(&t, text);
        assert_string_equal(text, texts[i]);
    }
}

static void headers_lead_to_a_trace_in_any_case(void **state)
{
    const struct slice none = {NULL, 0};
    static const uint8_t zeros[TRACE_RANDOM] = {0};
    uint8_t random[TRACE_RANDOM];
    char text[TRACEPARENT_SIZE];
    struct trace t;

    (void)state;
    memset(random, 0xab, sizeof random);
    assert_true(trace_from_headers(SLICE("00-" ID "-" SPAN "-00"), SLICE("11111111111111111111111111111111"), random, &t));
    trace_format(&t, text);
    assert_string_equal(text, "00-" ID "-" SPAN "-00");

    assert_true(trace_from_headers(SLICE("nonsense"), SLICE("4BF92F3577B34DA6A3CE929D0E0E4736"), random, &t));
    trace_format(&t, text);
    assert_string_equal(text, "00-" ID "-abababababababab-01");

    assert_false(trace_from_headers(none, SLICE("4bf92f35-77b3-4da6-a3ce-929d0e0e4736"), random, &t));
    trace_format(&t, text);
    assert_string_equal(text, "00-abababababababababababababababab-abababababababab-01");

    assert_false(trace_from_headers(none, SLICE("00000000000000000000000000000000"), zeros, &t));
    trace_format(&t, text);
    assert_string_equal(text, "00-00000000000000000000000000000001-0000000000000001-01");
}

static void a_child_keeps_the_trace(void **state)
{
    static const uint8_t random[8] = {1, 2, 3, 4, 5, 6, 7, 8}, zeros[8] = {0};
    struct trace parent, child;
    char text[TRACEPARENT_SIZE];

    (void)state;
    assert_true(trace_parse(SLICE("00-" ID "-" SPAN "-00"), &parent));
    child = trace_child(&parent, random);
    trace_format(&child, text);
    assert_string_equal(text, "00-" ID "-0102030405060708-00");
    child = trace_child(&parent, zeros);
    assert_int_equal(child.span_id[7], 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(traceparents_are_read_strictly), cmocka_unit_test(every_shortened_traceparent_is_refused),
        cmocka_unit_test(written_and_read_again),         cmocka_unit_test(headers_lead_to_a_trace_in_any_case),
        cmocka_unit_test(a_child_keeps_the_trace),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
