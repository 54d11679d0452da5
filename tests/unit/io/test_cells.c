/* cells: record in every case of DELIVERY §2, against a real Redis. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "helper_redis_cells.h"

enum { HOUR_MS = 3600 * 1000 };

static struct cells_world *w;

static int begin(void **state)
{
    (void)state;
    w = cells_world_begin();
    return 0;
}

static int end(void **state)
{
    (void)state;
    cells_world_end(w);
    return 0;
}

static int empty(void **state)
{
    (void)state;
    redis_server_ask(&w->server, "FLUSHALL");
    return 0;
}

static const struct seen *record(const struct story *s, int from, int to, int group, uint64_t held)
{
    return story_record(w, s, from, to, group, held);
}

static const struct seen *load(void)
{
    cells_load(w->cells, cells_world_next(w), &(struct cells_load){SLICE("t"), SLICE("s"), 0});
    return cells_world_wait(w);
}

static void settle(const struct story *s, bool keep)
{
    struct cells_settle settle = {
        .task_id = SLICE("t"),
        .done = {.status = keep ? DONE_FAILED : DONE_COMPLETED, .origin = {SLICE("agent.tasks.x"), 3, 77}},
        .last = s->cell[4].digest,
        .keep = keep};

    cells_settle(w->cells, cells_world_next(w), &settle);
    assert_int_equal(cells_world_wait(w)->status, CELLS_OK);
}

static void assert_answer(const struct seen *s, enum cells_status status, size_t ncells, int32_t written)
{
    assert_null(s->code);
    assert_int_equal(s->status, status);
    assert_int_equal(s->ncells, ncells);
    assert_int_equal(s->written, written);
    assert_int_equal(s->orphans, 0);
}

static void assert_between(int64_t value, int64_t least, int64_t most)
{
    if (value < least || value > most)
        fail_msg("%lld is not in %lld … %lld", (long long)value, (long long)least, (long long)most);
}

static void a_new_task(void **state)
{
    struct story a = story_of("A");
    const struct seen *s = load();

    (void)state;
    assert_answer(s, CELLS_OK, 0, 0);
    assert_int_equal(s->starts, 1);
    assert_true(s->now_ms > INT64_C(1700000000000));
    assert_answer(record(&a, 0, 1, 0, 0), CELLS_OK, 0, 2);
    assert_int_equal(cells_world_number(w, "EXISTS p:claims:t"), 0);
    assert_between(cells_world_number(w, "PTTL p:checkpoint:t"), INT64_C(167) * HOUR_MS, INT64_C(168) * HOUR_MS);
    assert_int_equal(cells_world_number(w, "EXISTS p:session:s:messages"), 0);
    s = load();
    assert_int_equal(s->ncells, 2);
    assert_true(is_cell(s, 0, &a, 0) && is_cell(s, 1, &a, 1));
    assert_int_equal(s->cells[0].state, CELL_STORED);
    assert_int_equal(s->session_tokens, 100);
    assert_int_equal(s->starts, 1);
    assert_between(cells_world_number(w, "PTTL p:claims:t"), INT64_C(167) * HOUR_MS, INT64_C(168) * HOUR_MS);
}

static void the_same_again_counts_once(void **state)
{
    struct story a = story_of("A");

    (void)state;
    assert_answer(record(&a, 0, 1, 0, 0), CELLS_OK, 0, 2);
    assert_answer(record(&a, 0, 1, 0, 0), CELLS_OK, 0, 0);
    assert_answer(record(&a, 2, 3, 1, 1), CELLS_OK, 0, 2);
    assert_answer(record(&a, 2, 3, 1, 1), CELLS_OK, 0, 0);
    assert_answer(record(&a, 4, 4, 1, 7), CELLS_OK, 0, 1);
    assert_answer(record(&a, 4, 4, 1, 7), CELLS_OK, 0, 0);
    assert_string_equal(cells_world_ask(w, "STRLEN p:tokens:session:s"), "3");
    assert_int_equal(cells_world_number(w, "INCRBY p:tokens:session:s 0"), 100);
    assert_int_equal(cells_world_number(w, "INCRBY p:tokens:a:20261121 0"), 100);
    assert_between(cells_world_number(w, "PTTL p:tokens:a:20261121"), INT64_C(167) * HOUR_MS, INT64_C(168) * HOUR_MS);
    assert_between(cells_world_number(w, "PTTL p:tokens:session:s"), INT64_C(719) * HOUR_MS, INT64_C(720) * HOUR_MS);
    assert_int_equal(cells_world_number(w, "LLEN p:session:s:messages"), 2);
    assert_between(cells_world_number(w, "PTTL p:session:s:messages"), INT64_C(23) * HOUR_MS, INT64_C(24) * HOUR_MS);
}

/* Whoever comes second gets what is stored, his own cell's place included, and all that lies beyond it. */
static void the_loser_adopts(void **state)
{
    struct story a = story_of("A"), b = story_of("B");
    const struct seen *s;

    (void)state;
    record(&a, 0, 1, 0, 0);
    record(&a, 2, 2, 1, 1);
    s = record(&b, 0, 0, 0, 0);
    assert_answer(s, CELLS_OK, 3, 0);
    assert_true(is_cell(s, 0, &a, 0) && is_cell(s, 1, &a, 1) && is_cell(s, 2, &a, 2));
    b = a;
    snprintf(b.text[2], sizeof b.text[2], "tool2-B");
    snprintf(b.text[3], sizeof b.text[3], "tool3-B");
    story_continue(&b, 2);
    s = record(&b, 2, 3, 1, 3); /* though it says that it holds 2 */
    assert_answer(s, CELLS_OK, 1, 1);
    assert_true(is_cell(s, 0, &a, 2));
    s = record(&a, 3, 3, 1, 3);
    assert_answer(s, CELLS_OK, 1, 0);
    assert_true(is_cell(s, 0, &b, 3));
    assert_int_equal(cells_world_number(w, "INCRBY p:tokens:session:s 0"), 100);
}

/* Two cells in one call, the first lost to another: the second names a parent that is not stored. */
static void a_cell_on_a_lost_one_is_stale(void **state)
{
    struct story a = story_of("A"), b = story_of("B");
    const struct seen *s;

    (void)state;
    record(&a, 0, 1, 0, 0);
    s = record(&b, 0, 1, 0, 0);
    assert_answer(s, CELLS_STALE, 2, 0);
    assert_true(is_cell(s, 0, &a, 0) && is_cell(s, 1, &a, 1));
    assert_int_equal(cells_world_number(w, "INCRBY p:tokens:session:s 0"), 100);
}

static void stale_when_a_parent_is_missing_or_differs(void **state)
{
    struct story a = story_of("A"), b = story_of("B");

    (void)state;
    assert_answer(record(&a, 2, 2, 1, 1), CELLS_STALE, 0, 0);
    record(&a, 0, 1, 0, 0);
    assert_answer(record(&a, 4, 4, 1, 1), CELLS_STALE, 2, 0);
    assert_answer(record(&b, 2, 2, 1, 1), CELLS_STALE, 2, 0);
    assert_answer(record(&a, 2, 4, 1, 1), CELLS_OK, 0, 3);
}

/* Redis came back without the newest cells: what we hold is offered from the beginning, and counted only where it was lost. */
static void a_whole_history_is_offered_after_a_loss(void **state)
{
    struct story a = story_of("A");
    const struct seen *s;

    (void)state;
    record(&a, 0, 1, 0, 0);
    record(&a, 2, 3, 1, 1);
    assert_string_equal(cells_world_ask(w, "HDEL p:checkpoint:t 2 3"), "2");
    assert_answer(record(&a, 4, 4, 1, 7), CELLS_STALE, 2, 0);
    assert_answer(record(&a, 0, 4, 0, 0), CELLS_OK, 0, 3);
    assert_int_equal(cells_world_number(w, "INCRBY p:tokens:session:s 0"), 100);
    cells_world_ask(w, "FLUSHALL");
    assert_answer(record(&a, 0, 4, 0, 0), CELLS_OK, 0, 5);
    s = load();
    assert_int_equal(s->ncells, 5);
    for (int i = 0; i < 5; i++)
        assert_true(is_cell(s, (size_t)i, &a, i));
}

/* After the loss another was quicker: of the offer only what still fits is kept. */
static void an_offer_on_top_of_another_history_is_stale(void **state)
{
    struct story a = story_of("A"), b;
    const struct seen *s;

    (void)state;
    record(&a, 0, 1, 0, 0);
    record(&a, 2, 3, 1, 1);
    b = a;
    snprintf(b.text[1], sizeof b.text[1], "model1-B");
    story_continue(&b, 1);
    cells_world_ask(w, "HDEL p:checkpoint:t 1 2 3");
    assert_answer(record(&b, 1, 1, 0, 1), CELLS_OK, 0, 1);
    s = record(&a, 0, 4, 0, 0);
    assert_answer(s, CELLS_STALE, 2, 0);
    assert_true(is_cell(s, 0, &a, 0) && is_cell(s, 1, &b, 1));
}

/* A loss in the middle: cells above the hole go only when another history takes the place below them. */
static void orphans_make_way_for_another_history(void **state)
{
    struct story a = story_of("A"), b;
    const struct seen *s;

    (void)state;
    record(&a, 0, 3, 0, 0);
    cells_world_ask(w, "HDEL p:checkpoint:t 1");
    assert_answer(record(&a, 0, 3, 0, 0), CELLS_OK, 0, 1); /* its own: the others stay */
    cells_world_ask(w, "HDEL p:checkpoint:t 1");
    b = a;
    snprintf(b.text[1], sizeof b.text[1], "model1-B");
    story_continue(&b, 1);
    s = record(&b, 1, 1, 0, 1);
    assert_null(s->code);
    assert_int_equal(s->status, CELLS_OK);
    assert_int_equal(s->written, 1);
    assert_int_equal(s->orphans, 2);
    s = load();
    assert_int_equal(s->ncells, 2);
    assert_true(is_cell(s, 1, &b, 1));
}

static void gone_after_done(void **state)
{
    struct story a = story_of("A");
    const struct seen *s;

    (void)state;
    record(&a, 0, 4, 0, 0);
    settle(&a, false);
    s = record(&a, 4, 4, 1, 7);
    assert_answer(s, CELLS_GONE, 0, 0);
    assert_true(s->done_found);
    assert_int_equal(s->done.status, DONE_COMPLETED);
    assert_string_equal(s->topic, "agent.tasks.x");
    assert_int_equal(s->done.origin.partition, 3);
    assert_int_equal(s->done.origin.offset, 77);
    assert_int_equal(cells_world_number(w, "EXISTS p:checkpoint:t p:claims:t"), 0);
    s = load();
    assert_true(s->done_found);
    assert_int_equal(s->starts, 0);
    assert_int_equal(cells_world_number(w, "EXISTS p:claims:t"), 0);
}

static void loaded_by_another(int starts) { cells_world_ask(w, "HSET p:claims:t starts '%d another'", starts); }

static void starts_are_counted_and_reset(void **state)
{
    struct story a = story_of("A");

    (void)state;
    loaded_by_another(1);
    assert_int_equal(load()->starts, 2);
    assert_true(w->seen.raised);
    assert_int_equal(load()->starts, 2); /* the same process: its answer was lost, or another record names the task */
    assert_false(w->seen.raised);
    cells_release(w->cells, cells_world_next(w), SLICE("t"));
    assert_int_equal(cells_world_wait(w)->status, CELLS_OK);
    assert_int_equal(load()->starts, 1);
    loaded_by_another(2);
    load();
    record(&a, 0, 0, 0, 0);
    assert_int_equal(load()->starts, 1);
    loaded_by_another(2);
    record(&a, 0, 0, 0, 0); /* nothing new */
    assert_int_equal(load()->starts, 3);
}

static void stand_back(void)
{
    cells_stand_back(w->cells, cells_world_next(w), SLICE("t"));
    assert_int_equal(cells_world_wait(w)->status, CELLS_OK);
}

static void a_start_that_stood_back_does_not_count(void **state)
{
    (void)state;
    stand_back(); /* nothing was counted */
    assert_int_equal(cells_world_number(w, "EXISTS p:claims:t"), 0);
    loaded_by_another(6);
    assert_int_equal(load()->starts, 7);
    stand_back();
    assert_int_equal(load()->starts, 7); /* its turn has come */
    assert_true(w->seen.raised);
    loaded_by_another(8);
    stand_back();
    assert_int_equal(load()->starts, 8);
    cells_release(w->cells, cells_world_next(w), SLICE("t"));
    cells_world_wait(w);
    load();
    stand_back();
    assert_int_equal(cells_world_number(w, "EXISTS p:claims:t"), 0);
}

static void who_will_wait_for_its_turn_is_not_counted(void **state)
{
    struct cells_load waiting = {SLICE("t"), SLICE("s"), 5};

    (void)state;
    loaded_by_another(5);
    cells_load(w->cells, cells_world_next(w), &waiting);
    assert_int_equal(cells_world_wait(w)->starts, 6); /* from now on it waits */
    loaded_by_another(6);
    cells_load(w->cells, cells_world_next(w), &waiting);
    assert_int_equal(cells_world_wait(w)->starts, 6);
    assert_false(w->seen.raised);
    assert_int_equal(load()->starts, 7); /* its turn has come */
    assert_true(w->seen.raised);
}

/* A task that waits for days: a record without cells keeps what it has alive. */
static void an_empty_record_refreshes_the_life(void **state)
{
    struct story a = story_of("A");

    (void)state;
    record(&a, 0, 1, 0, 0);
    load();
    redis_server_ask(&w->server, "PEXPIRE p:checkpoint:t 9999");
    redis_server_ask(&w->server, "PEXPIRE p:claims:t 9999");
    assert_answer(record(&a, 0, -1, 1, 1), CELLS_OK, 0, 0);
    assert_between(cells_world_number(w, "PTTL p:checkpoint:t"), INT64_C(167) * HOUR_MS, INT64_C(168) * HOUR_MS);
    assert_between(cells_world_number(w, "PTTL p:claims:t"), INT64_C(167) * HOUR_MS, INT64_C(168) * HOUR_MS);
}

static void a_cancel_is_seen(void **state)
{
    struct story a = story_of("A");

    (void)state;
    assert_false(record(&a, 0, 0, 0, 0)->cancel);
    cells_cancel(w->cells, cells_world_next(w), SLICE("t"));
    assert_int_equal(cells_world_wait(w)->status, CELLS_OK);
    assert_true(record(&a, 1, 1, 0, 1)->cancel);
    assert_true(load()->cancel);
    assert_true(record(&a, 4, 4, 1, 7)->cancel);
    record(&a, 2, 4, 1, 1);
    settle(&a, false);
    cells_cancel(w->cells, cells_world_next(w), SLICE("t"));
    assert_int_equal(cells_world_wait(w)->status, CELLS_GONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_new_task, empty),
        cmocka_unit_test_setup(the_same_again_counts_once, empty),
        cmocka_unit_test_setup(the_loser_adopts, empty),
        cmocka_unit_test_setup(a_cell_on_a_lost_one_is_stale, empty),
        cmocka_unit_test_setup(stale_when_a_parent_is_missing_or_differs, empty),
        cmocka_unit_test_setup(a_whole_history_is_offered_after_a_loss, empty),
        cmocka_unit_test_setup(an_offer_on_top_of_another_history_is_stale, empty),
        cmocka_unit_test_setup(orphans_make_way_for_another_history, empty),
        cmocka_unit_test_setup(gone_after_done, empty),
        cmocka_unit_test_setup(starts_are_counted_and_reset, empty),
        cmocka_unit_test_setup(a_start_that_stood_back_does_not_count, empty),
        cmocka_unit_test_setup(who_will_wait_for_its_turn_is_not_counted, empty),
        cmocka_unit_test_setup(an_empty_record_refreshes_the_life, empty),
        cmocka_unit_test_setup(a_cancel_is_seen, empty),
    };

    return cmocka_run_group_tests(tests, begin, end);
}
