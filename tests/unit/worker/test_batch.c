/* Batches: what leaves together, and what must wait because the commit's metadata is full (DELIVERY §4.3, 4.11). */
#include "helper_unit.h"

#include "helper_bench.h"

enum { MANY = 600 };

static int set_up(void **state)
{
    struct bench *b = malloc(sizeof *b);

    bench_init(b);
    *state = b;
    return 0;
}

static int tear_down(void **state)
{
    bench_free(*state);
    free(*state);
    return 0;
}

/* Finishes every second offset above the watermark until one more would not fit; returns the first offset beyond. */
static int64_t fill(struct owned *o)
{
    enum { SURELY_FIT = 11000 }; /* of so many it need not be tried, which takes long under sanitizers */
    int64_t offset = offsets_watermark(o->partition.finished) + 1;
    char text[OFFSETS_TEXT_MAX];
    size_t len;

    for (int i = 0;; i++, offset += 2) {
        struct offsets *more = i < SURELY_FIT ? NULL : offsets_copy(o->partition.finished);
        bool fits = true;

        if (more) {
            assert_true(offsets_finish(more, offset));
            fits = offsets_encode(more, text, sizeof text, &len);
            offsets_free(more);
        }
        if (!fits)
            break;
        assert_true(offsets_finish(o->partition.finished, offset));
    }
    o->partition.next = offset + 1; /* as if all below had come */
    return offset + 1;
}

/* `n` tasks with a hole between each two of them, so that each needs a bit of its own. */
static void settle_many(struct bench *b, int32_t partition, int64_t from, int n)
{
    for (int i = 0; i < 2 * n; i++) {
        struct task *t = bench_task(b, partition, from + i);

        if (i % 2)
            bench_settle(t);
    }
}

static void the_result_at_the_watermark_is_found_behind_hundreds_that_do_not_fit(void **state)
{
    struct bench *b = *state;
    struct owned *o = bench_assign(b, 0, 0, SLICE(""));
    struct task *first = bench_task(b, 0, 0);

    settle_many(b, 0, fill(o), MANY);
    worker_submit(&b->w);
    assert_null(b->submitted); /* nothing fits, so nothing is sent */
    bench_settle(first);
    worker_submit(&b->w);
    assert_true(bench_finishes(b, 0, 0));
    bench_committed(b);
    assert_true(offsets_is_finished(o->partition.finished, 0));
    assert_true(o->cramped && o->full);
}

static void results_that_do_not_fit_do_not_hide_those_of_other_partitions(void **state)
{
    struct bench *b = *state;
    struct owned *o = bench_assign(b, 0, 0, SLICE(""));
    struct task *first = bench_task(b, 0, 0);

    (void)bench_assign(b, 1, 7, SLICE(""));
    settle_many(b, 0, fill(o), MANY);
    bench_settle(bench_task(b, 1, 7));
    worker_submit(&b->w);
    assert_true(bench_finishes(b, 1, 7));
    bench_committed(b);
    bench_settle(first);
    bench_settle(bench_task(b, 1, 8));
    worker_submit(&b->w);
    assert_true(bench_finishes(b, 0, 0) && bench_finishes(b, 1, 8));
}

/* Events that wait beyond a batch's usual end leave with their task's result, and before it. */
static void events_leave_before_the_result_that_was_looked_for(void **state)
{
    struct bench *b = *state;
    struct owned *o = bench_assign(b, 0, 0, SLICE(""));
    struct task *first = bench_task(b, 0, 0);
    struct cell cell = {.seq = 0};

    settle_many(b, 0, fill(o), MANY);
    worker_submit(&b->w);
    (void)bench_assign(b, 1, 0, SLICE(""));
    for (int i = 0; i < MANY; i++)
        bench_settle(bench_task(b, 1, i));
    bench_emit(first, &cell);
    bench_settle(first);
    worker_submit(&b->w);
    assert_true(bench_finishes(b, 0, 0));
    assert_int_equal(kafka_batch_records(b->submitted), 1);
    assert_true(bench_finishes(b, 1, 499));
    assert_false(bench_finishes(b, 1, 500)); /* the usual end of a batch */
}

/* Offsets that hold no record count as finished too, but never make the set too long for a commit. */
static void what_holds_no_record_holds_no_result_back(void **state)
{
    struct bench *b = *state;
    struct owned *o = bench_assign(b, 0, 0, SLICE(""));
    struct task *first = bench_task(b, 0, 0);
    int64_t from = fill(o);

    for (int64_t offset = from; offset < from + 4000; offset += 2)
        (void)bench_task(b, 0, offset);
    bench_settle(first);
    worker_submit(&b->w);
    assert_false(o->held_back);
    assert_true(bench_finishes(b, 0, 0));
    bench_committed(b);
    assert_in_range(offsets_watermark(o->partition.finished), 1, from);
}

/* A finished set that is too long by itself takes all that follow the watermark together to shorten it. */
static void a_set_that_is_too_long_by_itself_waits_for_what_shortens_it(void **state)
{
    struct bench *b = *state;
    struct owned *o = bench_assign(b, 0, 0, SLICE(""));
    struct task *first = bench_task(b, 0, 0), *last;
    int64_t from = fill(o), offset = from + 1;
    char text[OFFSETS_TEXT_MAX];
    size_t len;

    for (; offsets_encode(o->partition.finished, text, sizeof text, &len); offset += 2)
        assert_true(offsets_finish(o->partition.finished, offset));
    last = bench_task(b, 0, offset);
    bench_settle(last);
    worker_submit(&b->w);
    assert_null(b->submitted);
    assert_true(o->held_back && o->full);
    for (offset = 2; offset < from; offset += 2) /* those before: as if they had ended meanwhile */
        assert_true(offsets_finish(o->partition.finished, offset));
    bench_settle(first);
    worker_submit(&b->w);
    assert_true(bench_finishes(b, 0, 0));
    bench_committed(b);
    assert_int_equal(offsets_watermark(o->partition.finished), from - 1); /* that one never came */
    assert_false(o->full);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_result_at_the_watermark_is_found_behind_hundreds_that_do_not_fit, set_up, tear_down),
        cmocka_unit_test_setup_teardown(results_that_do_not_fit_do_not_hide_those_of_other_partitions, set_up, tear_down),
        cmocka_unit_test_setup_teardown(events_leave_before_the_result_that_was_looked_for, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_holds_no_record_holds_no_result_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_set_that_is_too_long_by_itself_waits_for_what_shortens_it, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
