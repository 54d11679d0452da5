/* Fates of batches: what is finished, what goes again, and when nothing may be sent (DELIVERY §4.5, 4.6). */
#include "helper_unit.h"

#include "helper_bench.h"

enum { EVENTS = 3 };

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

static struct task *task_with_events(struct bench *b, int32_t partition, int64_t offset)
{
    struct task *t = bench_task(b, partition, offset);
    struct cell cells[EVENTS] = {{.seq = 0}, {.seq = 1}, {.seq = 2}};

    for (int i = 0; i < EVENTS; i++)
        bench_emit(t, &cells[i]);
    return t;
}

/* In the outbox each task's events stand before its result. */
static void check_order(const struct bench *b)
{
    for (const struct list_node *n = b->w.outbox.first; n; n = n->next) {
        const struct outgoing *o = list_entry(n, const struct outgoing, in_queue);

        for (const struct list_node *k = n->next; k && o->kind == OUTGOING_SETTLE; k = k->next)
            assert_ptr_not_equal(list_entry(k, const struct outgoing, in_queue)->task, o->task);
    }
}

static void a_lost_answer_is_settled_by_what_the_group_holds(void **state)
{
    struct bench *b = *state;
    struct owned *o = bench_assign(b, 0, 0, SLICE(""));
    struct offsets *held = offsets_new(0);
    char text[OFFSETS_TEXT_MAX];
    size_t len;
    struct kafka_stored stored = {0, {text, 0}};

    for (int64_t offset = 0; offset < 4; offset++)
        bench_settle(task_with_events(b, 0, offset));
    (void)task_with_events(b, 0, 4); /* not settled yet: its events only */
    worker_submit(&b->w);
    assert_int_equal(kafka_batch_records(b->submitted), 5 * EVENTS);
    assert_int_equal(b->w.outbox.count, 0);

    assert_true(offsets_finish(held, 0) && offsets_finish(held, 2)); /* the group has two of the four, one above a hole */
    assert_true(offsets_encode(held, text, sizeof text, &len));
    stored = (struct kafka_stored){offsets_watermark(held), {text, len}};
    offsets_free(held);
    bench_done(b, &(struct kafka_result){.fate = KAFKA_REREAD, .name = "_TIMED_OUT", .stored = &stored, .nstored = 1});

    assert_true(offsets_is_finished(o->partition.finished, 0) && offsets_is_finished(o->partition.finished, 2));
    assert_false(offsets_is_finished(o->partition.finished, 1) || offsets_is_finished(o->partition.finished, 3));
    assert_int_equal(o->tasks.count, 3);
    assert_int_equal(b->w.outbox.count, 2 * (EVENTS + 1) + EVENTS); /* none of the finished ones' events goes again */
    check_order(b);
    assert_true(o->restate);
    worker_submit(&b->w);
    assert_int_equal(kafka_batch_records(b->submitted), 3 * EVENTS);
    bench_committed(b);
    assert_int_equal(offsets_watermark(o->partition.finished), 4);
    assert_int_equal(o->tasks.count, 1);
}

static void an_answer_that_nobody_could_read_back_finishes_nothing(void **state)
{
    struct bench *b = *state;
    struct owned *o = bench_assign(b, 0, 7, SLICE(""));

    bench_settle(task_with_events(b, 0, 7));
    worker_submit(&b->w);
    bench_done(b, &(struct kafka_result){.fate = KAFKA_REREAD, .name = "_DESTROY"});
    assert_int_equal(offsets_watermark(o->partition.finished), 7);
    assert_int_equal(b->w.outbox.count, EVENTS + 1);
    check_order(b);
}

static void an_abort_brings_all_back_in_its_order(void **state)
{
    struct bench *b = *state;
    struct owned *o = bench_assign(b, 0, 0, SLICE(""));

    bench_settle(task_with_events(b, 0, 0));
    worker_submit(&b->w);
    bench_settle(task_with_events(b, 0, 1)); /* behind, while the first is on its way */
    bench_done(b, &(struct kafka_result){.fate = KAFKA_NOT_COMMITTED, .name = "x", .why = {CLASS_AGAIN, "x", "x"}});
    assert_int_equal(b->w.outbox.count, 2 * (EVENTS + 1));
    assert_int_equal(list_entry(b->w.outbox.first, struct outgoing, in_queue)->task->record->waiting.offset, 0);
    check_order(b);
    assert_int_equal(o->batched, 0);
    assert_int_equal(b->w.outbox_settles, 2);
}

static void done_needs_lost(struct bench *b)
{
    bench_done(b,
               &(struct kafka_result){
                   .fate = KAFKA_NOT_COMMITTED, .name = "UNKNOWN_MEMBER_ID", .why = {CLASS_AGAIN, "x", "x"}, .needs_lost = true});
}

static void a_member_that_the_group_does_not_know_sends_nothing_until_it_is_told(void **state)
{
    struct bench *b = *state;

    b->w.live.worker.commit_interval_ms = 0; /* else it would wait for the timer */
    (void)bench_assign(b, 0, 0, SLICE(""));
    bench_settle(bench_task(b, 0, 0));
    worker_submit(&b->w);
    done_needs_lost(b);
    assert_null(b->submitted);
    worker_commit(&b->w);
    assert_null(b->submitted);
    (void)bench_assign(b, 1, 0, SLICE("")); /* it is a member again */
    worker_commit(&b->w);
    assert_true(bench_finishes(b, 0, 0));
}

static void what_the_group_says_about_an_older_membership_blocks_nothing(void **state)
{
    struct bench *b = *state;

    b->w.live.worker.commit_interval_ms = 0;
    (void)bench_assign(b, 0, 0, SLICE(""));
    bench_settle(bench_task(b, 0, 0));
    worker_submit(&b->w);
    (void)bench_assign(b, 1, 0, SLICE("")); /* served while the batch was on its way: it would not come again */
    done_needs_lost(b);
    assert_true(bench_finishes(b, 0, 0));
    assert_int_equal(b->submits, 2);
}

static void a_partition_that_is_lost_meanwhile_takes_its_records_with_it(void **state)
{
    static const enum kafka_fate fates[] = {KAFKA_COMMITTED, KAFKA_NOT_COMMITTED, KAFKA_REREAD};
    struct bench *b = *state;

    for (size_t i = 0; i < sizeof fates / sizeof *fates; i++) {
        struct kafka_stored stored = {1, SLICE("")};
        struct owned *again;

        (void)bench_assign(b, 0, 0, SLICE(""));
        bench_settle(task_with_events(b, 0, 0));
        worker_submit(&b->w);
        bench_lost(b, 0);
        again = bench_assign(b, 0, 0, SLICE("")); /* and comes back: the late fate is not about this assignment */
        bench_done(b, &(struct kafka_result){.fate = fates[i],
                                             .name = "x",
                                             .why = {CLASS_AGAIN, "x", "x"},
                                             .stored = &stored,
                                             .nstored = 1,
                                             .record_refused = fates[i] == KAFKA_NOT_COMMITTED});
        assert_int_equal(b->w.outbox.count, 0);
        assert_int_equal(offsets_watermark(again->partition.finished), 0);
        bench_lost(b, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_lost_answer_is_settled_by_what_the_group_holds, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_answer_that_nobody_could_read_back_finishes_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_abort_brings_all_back_in_its_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_member_that_the_group_does_not_know_sends_nothing_until_it_is_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_the_group_says_about_an_older_membership_blocks_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_partition_that_is_lost_meanwhile_takes_its_records_with_it, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
