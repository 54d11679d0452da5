/* Alerts: when a group is worth one, and what each receiver is sent. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jansson.h>

#include "alert.h"

enum { MINUTE = 60000, HOUR = 60 * MINUTE };
static const int64_t now = INT64_C(1767225600000);

static struct config config(void)
{
    return (struct config){
        .dlq = {.alerts = {.interval_ms = HOUR, .new_after_ms = INT64_C(30) * 24 * HOUR, .spike_factor = 10, .spike_min = 50}}};
}

static struct group_row group(void)
{
    static const struct tally agents[] = {{SLICE("search"), 3}};

    return (struct group_row){.fingerprint = SLICE("0123456789abcdef"),
                              .class = SLICE("exhausted"),
                              .code = SLICE("model_http_500"),
                              .stage = SLICE("model"),
                              .letters = 3,
                              .unfinished = 3,
                              .first_ms = now - MINUTE,
                              .last_ms = now - MINUTE,
                              .example = SLICE("t:0:1"),
                              .example_message = SLICE("<b> & \"500\"\n"),
                              .agents = agents,
                              .nagents = 1,
                              .resolved_at_ms = -1,
                              .returned_at_ms = -1};
}

static enum alert_kind decide(struct group_row g, struct alert_facts f)
{
    struct config c = config();

    f.group = &g;
    return alert_decide(&f, &c, now);
}

static const struct alert_facts never = {.last_ms = -1};

static void a_new_group_is_told_once(void **state)
{
    struct group_row g = group();

    (void)state;
    assert_int_equal(decide(g, never), ALERT_NEW);
    assert_int_equal(decide(g, (struct alert_facts){.last_ms = now - MINUTE, .last = ALERT_NEW}), ALERT_NONE);
    assert_int_equal(decide(g, (struct alert_facts){.last_ms = now - 3 * HOUR, .last = ALERT_NEW}), ALERT_NONE);
    g.last_ms = now - 2 * HOUR; /* an index made anew over old letters */
    assert_int_equal(decide(g, never), ALERT_NONE);
    g = group();
    g.unfinished = 0;
    assert_int_equal(decide(g, never), ALERT_NONE);
}

static void what_was_silent_for_long_is_new_again(void **state)
{
    struct alert_facts f = {.last_ms = now - INT64_C(40) * 24 * HOUR, .last = ALERT_NEW, .was_silent = true};

    (void)state;
    assert_int_equal(decide(group(), f), ALERT_NEW);
    f.was_silent = false;
    assert_int_equal(decide(group(), f), ALERT_NONE);
}

static void a_resolved_group_is_told_and_its_return_too(void **state)
{
    struct group_row g = group();

    (void)state;
    g.unfinished = 0;
    assert_int_equal(decide(g, (struct alert_facts){.last_ms = now - MINUTE, .last = ALERT_NEW}), ALERT_RESOLVED);
    assert_int_equal(decide(g, (struct alert_facts){.last_ms = now - MINUTE, .last = ALERT_RESOLVED}), ALERT_NONE);
    g.unfinished = 1;
    assert_int_equal(decide(g, (struct alert_facts){.last_ms = now - 2 * HOUR, .last = ALERT_RESOLVED}), ALERT_RETURNED);
    assert_int_equal(decide(g, (struct alert_facts){.last_ms = now - 2 * MINUTE, .last = ALERT_RESOLVED}), ALERT_NONE);
    g.returned_at_ms = now - MINUTE;
    assert_int_equal(decide(g, (struct alert_facts){.last_ms = now - 2 * HOUR, .last = ALERT_NEW}), ALERT_RETURNED);
}

static void a_spike_is_many_times_the_usual_and_many(void **state)
{
    struct alert_facts f = {.last_ms = now - 2 * HOUR, .last = ALERT_NEW, .lately = 50, .per_five_minutes = 500};

    (void)state;
    assert_int_equal(decide(group(), f), ALERT_SPIKE);
    f.per_five_minutes = 501;
    assert_int_equal(decide(group(), f), ALERT_NONE);
    f.per_five_minutes = 0;
    f.lately = 49;
    assert_int_equal(decide(group(), f), ALERT_NONE);
}

static json_t *body(enum alert_sink sink, enum alert_kind kind)
{
    struct group_row g = group();
    const struct alert_text t = {
        .kind = kind, .group = &g, .instance = "stepmill-dlq-main", .public_url = "https://d/", .lately = 60, .at_ms = now};
    struct buf b = BUF(65536);
    json_t *j;

    alert_body(sink, &t, "key", &b);
    assert_false(b.failed);
    j = json_loadb(b.at, b.len, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(j);
    buf_free(&b);
    return j;
}

static const char *text(const json_t *j, const char *name) { return json_string_value(json_object_get(j, name)); }

static void pagerduty_gets_an_event_of_its_group(void **state)
{
    json_t *j = body(SINK_PAGERDUTY, ALERT_NEW), *payload = json_object_get(j, "payload");

    (void)state;
    assert_string_equal(text(j, "event_action"), "trigger");
    assert_string_equal(text(j, "routing_key"), "key");
    assert_string_equal(text(j, "dedup_key"), "stepmill-dlq-0123456789abcdef");
    assert_string_equal(text(payload, "severity"), "error");
    assert_string_equal(text(payload, "source"), "stepmill-dlq-main");
    assert_string_equal(text(payload, "summary"), "New kind of dead letter: exhausted model_http_500 (search)");
    assert_string_equal(text(json_object_get(payload, "custom_details"), "message"), "<b> & \"500\"\n");
    json_decref(j);
    j = body(SINK_PAGERDUTY, ALERT_RESOLVED);
    assert_string_equal(text(j, "event_action"), "resolve");
    json_decref(j);
}

static void slack_gets_one_text_without_its_signs(void **state)
{
    json_t *j = body(SINK_SLACK, ALERT_SPIKE);

    (void)state;
    assert_string_equal(text(j, "text"),
                        "60 dead letters in 5 minutes: exhausted model_http_500 (search)\n&lt;b&gt; &amp; "
                        "\"500\"\n\n3 letters, 3 unfinished <https://d/#/groups/0123456789abcdef|Open the group>");
    json_decref(j);
}

static void a_webhook_gets_facts_and_a_signature(void **state)
{
    json_t *j = body(SINK_WEBHOOK, ALERT_RETURNED);
    char signature[ALERT_SIGNATURE_SIZE];

    (void)state;
    assert_string_equal(text(j, "kind"), "returned");
    assert_string_equal(text(j, "url"), "https://d/#/groups/0123456789abcdef");
    assert_string_equal(text(j, "at"), "2026-01-01T00:00:00.000Z");
    json_decref(j);
    /* printf '17.{}' | openssl dgst -sha256 -hmac secret */
    alert_signature(signature, "secret", "17", SLICE("{}"));
    assert_string_equal(signature, "sha256=8af83b0673ef7fdabfca93bc1f9c0893a4de95938051a9959b16f9e2a9e16802");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_group_is_told_once),
        cmocka_unit_test(what_was_silent_for_long_is_new_again),
        cmocka_unit_test(a_resolved_group_is_told_and_its_return_too),
        cmocka_unit_test(a_spike_is_many_times_the_usual_and_many),
        cmocka_unit_test(pagerduty_gets_an_event_of_its_group),
        cmocka_unit_test(slack_gets_one_text_without_its_signs),
        cmocka_unit_test(a_webhook_gets_facts_and_a_signature),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
