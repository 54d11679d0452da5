/* cells: how a task ends and begins again: settle, redrive, claims, session memory; and keys that nobody of ours wrote. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "helper_redis_cells.h"

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

static const struct seen *load(void)
{
    cells_load(w->cells, cells_world_next(w), &(struct cells_load){SLICE("t"), SLICE("s"), 0});
    return cells_world_wait(w);
}

static const struct seen *settle(const struct cell *last, bool keep, int32_t redrives)
{
    struct cells_settle settle = {.task_id = SLICE("t"),
                                  .done = {.status = keep ? DONE_FAILED : DONE_COMPLETED,
                                           .origin = {SLICE("agent.tasks.x"), 3, 77 + redrives},
                                           .redrives = redrives},
                                  .last = last->digest,
                                  .keep = keep};

    cells_settle(w->cells, cells_world_next(w), &settle);
    return cells_world_wait(w);
}

static const struct seen *redrive(const struct cells_write *cell, int32_t number, int64_t offset)
{
    struct cells_redrive r = {
        .task_id = SLICE("t"), .origin = {SLICE("agent.tasks.x"), 3, offset}, .redrives = number, .cell = cell};

    cells_redrive(w->cells, cells_world_next(w), &r);
    return cells_world_wait(w);
}

static struct cells_write reopened(const struct story *s, const char *text)
{
    return (struct cells_write){.cell = cell_make(5, &s->cell[4], 1, text), .parents = &s->cell[4], .nparents = 1, .above = 6};
}

static struct story failed_task(void)
{
    struct story a = story_of("A");

    story_record(w, &a, 0, 4, 0, 0);
    assert_int_equal(settle(&a.cell[4], true, 0)->status, CELLS_OK);
    return a;
}

static void assert_days(const char *command, int64_t days)
{
    int64_t ms = cells_world_number(w, command);

    assert_true(ms > (days - 1) * 86400000 && ms <= days * 86400000);
}

static void settle_keeps_what_is_dead_lettered(void **state)
{
    (void)state;
    failed_task();
    assert_int_equal(cells_world_number(w, "HLEN p:checkpoint:t"), 5);
    assert_days("PTTL p:checkpoint:t", 30);
    assert_days("PTTL p:done:t", 1);
}

static void settle_leaves_the_cells_of_others(void **state)
{
    struct story a = story_of("A"), b = story_of("B");

    (void)state;
    story_record(w, &b, 0, 3, 0, 0);
    assert_int_equal(settle(&a.cell[4], false, 0)->status, CELLS_OK);
    assert_int_equal(cells_world_number(w, "HLEN p:checkpoint:t"), 4);
    assert_true(load()->done_found);
    assert_int_equal(settle(&a.cell[4], false, 0)->status, CELLS_OK); /* again: a lost answer */
    assert_int_equal(settle(&b.cell[3], false, 0)->status, CELLS_OK);
    assert_int_equal(cells_world_number(w, "EXISTS p:checkpoint:t"), 0);
}

static void a_redrive_is_the_same_when_repeated(void **state)
{
    struct story a = failed_task();
    struct cells_write first = reopened(&a, "reopened first"), second = reopened(&a, "reopened second");
    const struct seen *s = redrive(&first, 1, 90);

    (void)state;
    assert_int_equal(s->status, CELLS_OK);
    assert_int_equal(s->written, 1);
    assert_int_equal(s->ncells, 1);
    assert_string_equal(s->texts[0], "reopened first");
    assert_int_equal(cells_world_number(w, "EXISTS p:done:t"), 0);
    assert_days("PTTL p:checkpoint:t", 7);
    s = redrive(&second, 1, 90); /* another process, the same record, a later clock */
    assert_int_equal(s->status, CELLS_OK);
    assert_int_equal(s->written, 0);
    assert_int_equal(s->ncells, 1);
    assert_string_equal(s->texts[0], "reopened first");
    s = redrive(&second, 1, 91); /* another record */
    assert_int_equal(s->status, CELLS_STALE);
    assert_int_equal(s->ncells, 6);
    assert_int_equal(cells_world_number(w, "HLEN p:checkpoint:t"), 6);
}

static void a_redrive_needs_the_newest_cell(void **state)
{
    struct story a = story_of("A"), b = story_of("B");
    struct cells_write cell = reopened(&a, "reopened");

    (void)state;
    assert_int_equal(redrive(&cell, 1, 90)->status, CELLS_STALE);
    story_record(w, &a, 0, 3, 0, 0);
    assert_int_equal(redrive(&cell, 1, 90)->ncells, 4);
    assert_int_equal(w->seen.status, CELLS_STALE);
    redis_server_ask(&w->server, "DEL p:checkpoint:t");
    story_record(w, &b, 0, 4, 0, 0);
    assert_int_equal(redrive(&cell, 1, 90)->status, CELLS_STALE);
    assert_int_equal(cells_world_number(w, "HLEN p:checkpoint:t"), 5);
}

/* Redis has lost TaskReopened of the first redrive, and what that run ended with is left above the hole. */
static void a_redrive_fills_a_hole(void **state)
{
    struct story a = failed_task();
    struct cells_write first = reopened(&a, "reopened first"), second = reopened(&a, "reopened second");
    struct cells_write last = {.parents = &first.cell, .nparents = 1, .above = 7};

    (void)state;
    assert_int_equal(redrive(&first, 1, 90)->status, CELLS_OK);
    last.cell = cell_make(6, &first.cell, 1, "failed again");
    cells_record(w->cells, cells_world_next(w),
                 &(struct cells_record){.task_id = SLICE("t"),
                                        .session_id = SLICE("s"),
                                        .agent = SLICE("a"),
                                        .cells = &last,
                                        .ncells = 1,
                                        .group_first = 6,
                                        .messages_seq = -1});
    assert_int_equal(cells_world_wait(w)->status, CELLS_OK);
    redis_server_ask(&w->server, "HDEL p:checkpoint:t 5");
    assert_int_equal(redrive(&second, 2, 95)->status, CELLS_OK);
    assert_int_equal(w->seen.written, 1);
    assert_int_equal(cells_world_number(w, "HEXISTS p:checkpoint:t 6"), 0);
}

/* The first run's settle comes after the redrive: `done` would make the redriven task GONE, and its record would end without a
 * result. */
static void a_late_settle_does_not_end_a_redriven_task(void **state)
{
    struct story a = story_of("A");
    struct cells_write cell = reopened(&a, "reopened");

    (void)state;
    story_record(w, &a, 0, 4, 0, 0);
    assert_int_equal(redrive(&cell, 1, 90)->status, CELLS_OK);
    assert_int_equal(settle(&a.cell[4], true, 0)->status, CELLS_STALE);
    assert_int_equal(cells_world_number(w, "EXISTS p:done:t"), 0);
    assert_int_equal(settle(&cell.cell, false, 1)->status, CELLS_OK);
    assert_int_equal(cells_world_number(w, "EXISTS p:checkpoint:t p:claims:t"), 0);
    assert_int_equal(settle(&a.cell[4], true, 0)->status, CELLS_STALE);
    assert_int_equal(load()->done.redrives, 1);
    assert_int_equal(redrive(&cell, 1, 90)->status, CELLS_GONE);
    assert_int_equal(w->seen.done.redrives, 1);
}

/* Redis has lost the mark that forbids that settle: asked again with what the run began with, the note goes away. */
static void a_late_settle_can_be_cleared_away(void **state)
{
    struct story a = story_of("A");
    struct cells_write cell = reopened(&a, "reopened"), began = {.cell = cell.cell};

    (void)state;
    story_record(w, &a, 0, 4, 0, 0);
    assert_int_equal(redrive(&cell, 1, 90)->status, CELLS_OK);
    redis_server_ask(&w->server, "HDEL p:claims:t redrive");
    assert_int_equal(settle(&a.cell[4], true, 0)->status, CELLS_OK);
    assert_int_equal(cells_world_number(w, "EXISTS p:done:t"), 1);
    assert_int_equal(redrive(&began, 1, 90)->status, CELLS_OK);
    assert_int_equal(cells_world_number(w, "EXISTS p:done:t"), 0);
    assert_int_equal(settle(&a.cell[4], true, 0)->status, CELLS_STALE);
    redis_server_ask(&w->server, "HDEL p:checkpoint:t 5");
    assert_int_equal(redrive(&began, 1, 90)->status, CELLS_STALE); /* nothing says what it stands on */
}

static void a_redrive_without_cells(void **state)
{
    struct story a = failed_task();

    (void)state;
    assert_int_equal(redrive(NULL, 1, 90)->status, CELLS_STALE);
    assert_int_equal(w->seen.ncells, 5);
    redis_server_ask(&w->server, "DEL p:checkpoint:t");
    assert_int_equal(redrive(NULL, 1, 90)->status, CELLS_OK);
    assert_int_equal(w->seen.ncells, 0);
    assert_int_equal(redrive(NULL, 1, 90)->status, CELLS_OK);
    assert_int_equal(story_record(w, &a, 0, 4, 0, 0)->status, CELLS_OK);
    assert_int_equal(settle(&a.cell[4], true, 0)->status, CELLS_STALE);
    assert_int_equal(settle(&a.cell[4], false, 1)->status, CELLS_OK);
    assert_int_equal(redrive(NULL, 2, 95)->status, CELLS_GONE); /* completed: nothing to redrive */
}

static const struct seen *claim(const struct story *s, const char *nonce)
{
    struct cells_claim c = {
        .task_id = SLICE("t"), .seq = 2, .parents = &s->cell[1], .nparents = 1, .nonce = slice_of(nonce), .timeout_ms = 10000};

    cells_claim(w->cells, cells_world_next(w), &c);
    return cells_world_wait(w);
}

static void unclaim(const char *nonce)
{
    cells_unclaim(w->cells, cells_world_next(w), SLICE("t"), 2, slice_of(nonce));
    assert_int_equal(cells_world_wait(w)->status, CELLS_OK);
}

static void a_claim_is_held_until_released_or_answered(void **state)
{
    struct story a = story_of("A"), b = story_of("B");
    int64_t now;

    (void)state;
    assert_int_equal(claim(&a, "one")->status, CELLS_STALE);
    story_record(w, &a, 0, 1, 0, 0);
    assert_int_equal(claim(&b, "one")->status, CELLS_STALE);
    assert_int_equal(claim(&a, "one")->status, CELLS_OK);
    now = w->seen.now_ms;
    assert_int_equal(claim(&a, "two")->status, CELLS_HELD);
    assert_string_equal(w->seen.nonce, "one");
    assert_int_equal(w->seen.since_ms, now);
    assert_int_equal(w->seen.timeout_ms, 10000);
    assert_true(w->seen.now_ms >= now);
    turn_for(w->loop, 5);
    assert_int_equal(claim(&a, "one")->status, CELLS_OK); /* a retry: its time begins anew */
    unclaim("two");
    assert_int_equal(claim(&a, "two")->status, CELLS_HELD);
    assert_true(w->seen.since_ms > now);
    unclaim("one");
    assert_int_equal(claim(&a, "two")->status, CELLS_OK);
    assert_days("PTTL p:claims:t", 7);
    story_record(w, &a, 2, 2, 1, 1);
    assert_int_equal(claim(&a, "one")->status, CELLS_ANSWERED);
    assert_true(is_cell(&w->seen, 0, &a, 2));
    story_record(w, &a, 3, 4, 1, 3);
    settle(&a.cell[4], false, 0);
    assert_int_equal(claim(&a, "one")->status, CELLS_GONE);
}

/* Nobody takes a claim over, however old: only "unknown" may be said of it. */
static void a_claim_that_has_run_out_stays(void **state)
{
    struct story a = story_of("A");

    (void)state;
    story_record(w, &a, 0, 1, 0, 0);
    redis_server_ask(&w->server, "HSET p:claims:t 2 'dead 1000 5000'");
    assert_int_equal(claim(&a, "one")->status, CELLS_HELD);
    assert_int_equal(w->seen.since_ms + w->seen.timeout_ms, 6000);
    assert_true(w->seen.now_ms > 11000);
    redis_server_ask(&w->server, "HSET p:claims:t 2 nonsense");
    assert_int_equal(claim(&a, "one")->status, CELLS_HELD);
    assert_int_equal(w->seen.since_ms, w->seen.now_ms);
}

/* A session of tasks, each with a first cell that brings two messages. */
static void remember(int number, size_t question, size_t answer)
{
    size_t size = question > answer ? question : answer;
    char id[16], *text = malloc(size + 1);
    struct cell cell = cell_make(0, NULL, 0, "done");
    struct cells_write write = {.cell = cell, .above = 1};
    struct cells_record r = {.session_id = SLICE("s"), .agent = SLICE("a"), .cells = &write, .ncells = 1};

    snprintf(id, sizeof id, "task-%d", number);
    memset(text, '-', size);
    memcpy(text, id, strlen(id));
    r.task_id = slice_of(id);
    r.messages[0] = (struct slice){text, question};
    r.messages[1] = (struct slice){text, answer};
    cells_record(w->cells, cells_world_next(w), &r);
    assert_int_equal(cells_world_wait(w)->written, 1);
    free(text);
}

static void session_memory_has_its_bounds(void **state)
{
    const struct seen *s;

    (void)state;
    for (int i = 0; i < 15; i++)
        remember(i, 9, 20);
    s = load();
    assert_int_equal(s->nmessages, 20);
    assert_string_equal(s->messages[0], "task-5---");
    assert_string_equal(s->messages[18], "task-14--");
    for (int i = 20; i < 25; i++)
        remember(i, 9, 100 * 1000);
    s = load();
    assert_int_equal(s->nmessages, 4); /* two large turns fit into 256 KiB */
    assert_string_equal(s->messages[0], "task-23--");
    assert_true(s->message_bytes <= 256 * 1024);
    remember(30, 9, 300 * 1000);
    assert_int_equal(load()->nmessages, 0);
    remember(31, 200 * 1000, 9);
    assert_int_equal(load()->nmessages, 2);
    remember(32, 100 * 1000, 9); /* the question before does not fit: nor does its answer stay alone */
    assert_int_equal(load()->nmessages, 2);
}

static void what_others_wrote_is_an_error_for_people(void **state)
{
    struct story a = story_of("A");

    (void)state;
    redis_server_ask(&w->server, "SET p:done:t rubbish");
    assert_string_equal(load()->code, "done_unreadable");
    assert_string_equal(story_record(w, &a, 0, 1, 0, 0)->code, "done_unreadable");
    assert_string_equal(redrive(NULL, 1, 90)->code, "done_unreadable");
    redis_server_ask(&w->server, "SET p:done:t '2 whatever comes'");
    assert_string_equal(load()->code, "done_newer");
    assert_int_equal(settle(&a.cell[4], false, 0)->status, CELLS_STALE);
    redis_server_ask(&w->server, "SET p:done:t rubbish");
    assert_int_equal(settle(&a.cell[4], false, 0)->status, CELLS_OK);
    assert_null(load()->code);
    redis_server_ask(&w->server, "FLUSHALL");
    redis_server_ask(&w->server, "HSET p:checkpoint:t 0 short");
    assert_string_equal(load()->code, "checkpoint_damaged");
    redis_server_ask(&w->server, "DEL p:checkpoint:t");
    redis_server_ask(&w->server, "HSET p:checkpoint:t name 0123456789abcdef0123456789abcdef");
    assert_string_equal(load()->code, "checkpoint_damaged");
    redis_server_ask(&w->server, "SET p:checkpoint:t text");
    assert_string_equal(load()->code, "redis_error");
    assert_true(redis_is_up(w->redis));
}

static void ids_that_no_record_has_are_refused(void **state)
{
    static const char *const bad[] = {"", "a\nb", "caf\xc3\xa9", NULL};
    char long_id[130];

    (void)state;
    memset(long_id, 'x', 129);
    long_id[129] = '\0';
    for (size_t i = 0; i < 4; i++) {
        const char *id = bad[i] ? bad[i] : long_id;

        cells_load(w->cells, cells_world_next(w), &(struct cells_load){slice_of(id), SLICE("s"), 0});
        assert_false(w->seen.answered);
        assert_string_equal(cells_world_wait(w)->code, "bad_key");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(settle_keeps_what_is_dead_lettered, empty),
        cmocka_unit_test_setup(settle_leaves_the_cells_of_others, empty),
        cmocka_unit_test_setup(a_redrive_is_the_same_when_repeated, empty),
        cmocka_unit_test_setup(a_redrive_needs_the_newest_cell, empty),
        cmocka_unit_test_setup(a_redrive_fills_a_hole, empty),
        cmocka_unit_test_setup(a_late_settle_does_not_end_a_redriven_task, empty),
        cmocka_unit_test_setup(a_late_settle_can_be_cleared_away, empty),
        cmocka_unit_test_setup(a_redrive_without_cells, empty),
        cmocka_unit_test_setup(a_claim_is_held_until_released_or_answered, empty),
        cmocka_unit_test_setup(a_claim_that_has_run_out_stays, empty),
        cmocka_unit_test_setup(session_memory_has_its_bounds, empty),
        cmocka_unit_test_setup(what_others_wrote_is_an_error_for_people, empty),
        cmocka_unit_test_setup(ids_that_no_record_has_are_refused, empty),
    };

    return cmocka_run_group_tests(tests, begin, end);
}
