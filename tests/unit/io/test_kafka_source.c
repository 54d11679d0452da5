/* The source on librdkafka's mock cluster: records, pause, revoke, stop. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "helper_kafka.h"

static void records_come_once_and_in_order(void **state)
{
    struct kafka_world *w = kafka_world_new();
    struct app a = {.release_at_once = true};
    struct kafka_source_status status;
    int64_t next[2] = {0, 0};

    (void)state;
    kafka_world_feed(w, 0, 0, 20);
    app_start(&a, w);
    kafka_world_wait(w, &a.nseen, 20);
    kafka_world_feed(w, 1, 0, 10);
    kafka_world_wait(w, &a.nseen, 30);
    kafka_world_turn(w, 300);
    assert_int_equal(a.nseen, 30);
    for (int i = 0; i < 30; i++) {
        char value[32];

        snprintf(value, sizeof value, "%d", (int)a.seen[i].offset);
        assert_int_equal(a.seen[i].offset, next[a.seen[i].partition]++);
        assert_string_equal(a.seen[i].value, value);
        assert_false(a.seen[i].has_key);
        assert_int_equal(a.seen[i].nheaders, 2);
        assert_true(a.seen[i].null_header);
    }
    assert_int_equal(kafka_source_position(a.source, "in", 0), 20);
    assert_int_equal(kafka_source_position(a.source, "in", 7), KAFKA_OFFSET_NONE);
    assert_int_equal(kafka_source_position(a.source, "other", 0), KAFKA_OFFSET_NONE);
    kafka_source_status(a.source, &status);
    assert_true(status.joined && status.connected);
    assert_int_equal(status.owned, 2);
    assert_int_equal(status.records, 30);
    app_end(&a);
    assert_int_equal(a.revoked, 2);
    assert_int_equal(a.lost, 0);
    kafka_world_free(w);
}

static void a_paused_partition_goes_on_where_it_stopped(void **state)
{
    struct kafka_world *w = kafka_world_new();
    struct app a = {.release_at_once = true, .pause_after = 5};
    int seen;

    (void)state;
    kafka_world_feed(w, 0, 0, 50);
    app_start(&a, w);
    kafka_world_wait(w, &a.nseen, 5);
    kafka_world_turn(w, 500);
    seen = a.nseen;
    assert_true(seen < 50); /* what was on its way may still come */
    assert_true(kafka_source_resume(a.source, "in", 0));
    assert_true(kafka_source_resume(a.source, "in", 0));
    kafka_world_wait(w, &a.nseen, 50);
    kafka_world_turn(w, 300);
    assert_int_equal(a.nseen, 50);
    for (int i = 0; i < 50; i++)
        assert_int_equal(a.seen[i].offset, i);
    assert_false(kafka_source_pause(a.source, "in", 9));
    app_end(&a);
    kafka_world_free(w);
}

static void an_offset_out_of_range_stops_the_partition_alone(void **state)
{
    struct kafka_world *w = kafka_world_new();
    struct app a = {.release_at_once = true};
    struct kafka_source_status status;

    (void)state;
    kafka_world_feed(w, 0, 0, 3);
    kafka_world_feed(w, 1, 0, 3);
    kafka_world_commit(w, 0, 1000, "");
    app_start(&a, w);
    kafka_world_wait(w, &a.stopped, 1);
    assert_string_equal(a.stopped_code, "offset_out_of_range");
    kafka_world_wait(w, &a.nseen, 3);
    kafka_world_turn(w, 300);
    assert_int_equal(a.nseen, 3);
    for (int i = 0; i < 3; i++)
        assert_int_equal(a.seen[i].partition, 1);
    kafka_source_status(a.source, &status);
    assert_int_equal(status.stopped, 1);
    assert_int_equal(status.owned, 1);
    app_end(&a);
    assert_int_equal(a.revoked, 1); /* the app has dropped the stopped one already */
    kafka_world_free(w);
}

static void who_does_not_release_loses_after_five_seconds(void **state)
{
    struct kafka_world *w = kafka_world_new();
    struct app a = {.release_at_once = false}, b = {.release_at_once = true};

    (void)state;
    app_start(&a, w);
    kafka_world_wait(w, &a.assigned, 2);
    app_start(&b, w);
    kafka_world_wait(w, &a.revoked, 1);
    assert_int_equal(kafka_source_position(a.source, "in", 0) == KAFKA_OFFSET_NONE ||
                         kafka_source_position(a.source, "in", 1) == KAFKA_OFFSET_NONE,
                     1);
    kafka_world_turn(w, 3000);
    assert_int_equal(b.assigned, 0);
    kafka_world_wait(w, &b.assigned, 1);
    /* 2: the group did not wait for it, and the generation that it missed cost it the other one too, which it is given again */
    assert_in_range(a.lost, 1, 2);
    kafka_world_wait(w, &a.assigned, 1 + a.lost);
    app_end(&b);
    app_end(&a);
    kafka_world_free(w);
}

static void a_wrong_option_is_named(void **state)
{
    static const char *const topics[] = {"in"};
    struct kafka_option pair = {"session.timeout.mss", "1"};
    struct kafka_options o = {&pair, 1, "test", NULL};
    struct kafka_source *s;
    char detail[256];
    struct error e;

    (void)state;
    e = kafka_source_start(&s, NULL, &(struct kafka_source_options){o, "g", topics, 1}, &(struct kafka_source_events){0}, NULL,
                           detail, sizeof detail);
    assert_string_equal(e.code, "kafka_option");
    assert_null(s);
    assert_non_null(strstr(detail, "session.timeout.mss"));
    pair = (struct kafka_option){"sasl.mechanism", "nonsense"};
    assert_false(failed(kafka_options_check(&o, detail, sizeof detail))); /* only known when a client is made */
    pair = (struct kafka_option){"ssl.key.password", "hidden-value"};
    assert_false(failed(kafka_options_check(&o, detail, sizeof detail)));
    pair = (struct kafka_option){"linger.ms", "hidden-value"};
    assert_true(failed(kafka_options_check(&o, detail, sizeof detail)));
    pair = (struct kafka_option){"enable.auto.commit", "true"}; /* ours: overruled here, refused by the config */
    assert_false(failed(kafka_options_check(&o, detail, sizeof detail)));
}

static void the_size_bound_holds(void **state)
{
    struct kafka_header h = {SLICE("name"), SLICE("value")};
    struct kafka_output o = {.topic = "t", .key = SLICE("key"), .value = SLICE("value"), .headers = &h, .nheaders = 1};

    (void)state;
    assert_true(kafka_output_size(&o) > 3 + 5 + 4 + 5 + 61);
    assert_true(kafka_output_size(&o) < 3 + 5 + 4 + 5 + 61 + 60);
}

/* Of what was fetched already, and of what comes later. */
static void a_reader_gives_nothing_more_of_a_partition_that_is_skipped(void **state)
{
    struct kafka_world *w = kafka_world_new();
    const struct kafka_record *r;
    struct kafka_reader *reader;
    enum kafka_read got;
    char detail[256];
    int seen[2] = {0, 0};

    (void)state;
    kafka_world_feed(w, 0, 0, 50);
    kafka_world_feed(w, 1, 0, 10);
    assert_false(
        failed(kafka_reader_open(&reader, &w->options, "in", -1, KAFKA_START_BEGINNING, 0, 10000, detail, sizeof detail)));
    while ((got = kafka_reader_next(reader, 10000, &r)) == KAFKA_READ_RECORD)
        if (++seen[r->partition] == 5 && r->partition == 0) {
            kafka_reader_skip(reader, 0);
            kafka_world_feed(w, 0, 50, 10);
        }
    assert_int_equal(got, KAFKA_READ_END);
    assert_int_equal(seen[0], 5);
    assert_int_equal(seen[1], 10);
    kafka_reader_close(reader);
    kafka_world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_come_once_and_in_order),
        cmocka_unit_test(a_paused_partition_goes_on_where_it_stopped),
        cmocka_unit_test(an_offset_out_of_range_stops_the_partition_alone),
        cmocka_unit_test(who_does_not_release_loses_after_five_seconds),
        cmocka_unit_test(a_reader_gives_nothing_more_of_a_partition_that_is_skipped),
        cmocka_unit_test(a_wrong_option_is_named),
        cmocka_unit_test(the_size_bound_holds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
