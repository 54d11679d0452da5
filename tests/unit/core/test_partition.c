/* partition: lanes keep the order of a key, the watermark record always gets in, gaps count as finished; against a plain model.
 */
#include "helper_unit.h"

#include "stepmill/partition.h"
#include "stepmill/random.h"

static void order_per_key_and_parallel_over_keys(void **state)
{
    struct partition p;
    struct waiting a1 = {.offset = 10, .key = SLICE("a")}, a2 = {.offset = 11, .key = SLICE("a")},
                   b = {.offset = 12, .key = SLICE("b")}, n1 = {.offset = 13}, n2 = {.offset = 14};

    (void)state;
    partition_init(&p, "t", 0, 1, offsets_new(10));
    assert_int_equal(partition_take(&p, &a1), PARTITION_TAKEN);
    assert_int_equal(partition_take(&p, &a2), PARTITION_TAKEN);
    assert_int_equal(partition_take(&p, &b), PARTITION_TAKEN);
    assert_int_equal(partition_take(&p, &n1), PARTITION_TAKEN);
    assert_int_equal(partition_take(&p, &n2), PARTITION_TAKEN);
    assert_ptr_equal(partition_peek(&p), &a1);
    assert_true(partition_at_watermark(&p, &a1));
    partition_admit(&p, &a1);
    assert_ptr_equal(partition_peek(&p), &b); /* a2 waits for its lane */
    assert_false(partition_at_watermark(&p, &b));
    partition_admit(&p, &b);
    partition_admit(&p, &n1);
    partition_admit(&p, &n2); /* records without a key don't wait for each other */
    assert_null(partition_peek(&p));
    partition_release(&p, &a1);
    assert_ptr_equal(partition_peek(&p), &a2);
    assert_true(partition_finish(&p, &a1));
    partition_admit(&p, &a2);
    partition_release(&p, &a2);
    partition_release(&p, &b);
    partition_release(&p, &n1);
    partition_release(&p, &n2);
    assert_true(partition_finish(&p, &b));
    assert_int_equal(offsets_watermark(p.finished), 11);
    assert_true(partition_finish(&p, &a2) && partition_finish(&p, &n1) && partition_finish(&p, &n2));
    assert_int_equal(offsets_watermark(p.finished), 15);
    partition_clear(&p);
}

static void what_nobody_holds_does_not_shrink(void **state)
{
    struct offsets *finished = offsets_new(10);
    struct partition p;
    struct waiting a = {.offset = 10}, b = {.offset = 13}, c = {.offset = 20};

    (void)state;
    assert_true(offsets_finish(finished, 12) && offsets_finish(finished, 14));
    partition_init(&p, "t", 0, 1, finished);
    assert_false(partition_will_shrink(&p));
    assert_int_equal(partition_take(&p, &a), PARTITION_TAKEN);
    assert_false(partition_will_shrink(&p)); /* 13 is not read yet */
    assert_int_equal(partition_take(&p, &b), PARTITION_TAKEN);
    assert_int_equal(partition_take(&p, &c), PARTITION_TAKEN);
    assert_true(partition_will_shrink(&p));
    while (partition_drain(&p))
        assert_int_equal(p.nwaiting > 0, partition_will_shrink(&p));
    partition_clear(&p);
}

static void what_was_seen_or_finished_is_skipped(void **state)
{
    struct offsets *finished = offsets_new(10);
    struct partition p;
    struct waiting done = {.offset = 12}, next = {.offset = 20}, again = {.offset = 20};

    (void)state;
    assert_true(offsets_finish(finished, 12));
    partition_init(&p, "t", 0, 1, finished);
    assert_int_equal(partition_take(&p, &done), PARTITION_SKIP); /* 10 and 11 hold no record: the watermark passes 12 */
    assert_int_equal(offsets_watermark(p.finished), 13);
    assert_int_equal(partition_take(&p, &next), PARTITION_TAKEN);
    assert_int_equal(offsets_watermark(p.finished), 20);
    assert_int_equal(partition_take(&p, &again), PARTITION_SKIP);
    assert_ptr_equal(partition_drain(&p), &next);
    assert_null(partition_drain(&p));
    assert_true(partition_position(&p, 30));
    partition_clear(&p);
}

static void drain_finds_those_behind_a_busy_lane(void **state)
{
    struct partition p;
    struct waiting w[3] = {{.offset = 0, .key = SLICE("k")}, {.offset = 1, .key = SLICE("k")}, {.offset = 2, .key = SLICE("k")}};
    size_t drained = 0;

    (void)state;
    partition_init(&p, "t", 0, 1, offsets_new(0));
    for (int i = 0; i < 3; i++)
        assert_int_equal(partition_take(&p, &w[i]), PARTITION_TAKEN);
    partition_admit(&p, &w[0]);
    while (partition_drain(&p))
        drained++;
    assert_int_equal(drained, 2);
    partition_release(&p, &w[0]);
    partition_clear(&p);
}

enum { N = 400 };

/* Random arrival, admission, release and finish: order per key holds and everything ends finished. */
static void random_runs_end_finished_and_in_order(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed < 40; seed++) {
        static const char *const keys[] = {"a", "b", "c", "d"};
        struct waiting w[N] = {{0}};
        int order[4] = {-1, -1, -1, -1}, running[N], nrunning = 0, nfinished = 0, next = 0;
        uint64_t s = seed;
        struct partition p;

        partition_init(&p, "t", 0, 1, offsets_new(0));
        while (nfinished < N) {
            struct waiting *first = partition_peek(&p);

            if (next < N && random_below(&s, 3) == 0) {
                size_t k = (size_t)random_below(&s, 5);

                w[next] = (struct waiting){.offset = next, .key = k < 4 ? slice_of(keys[k]) : (struct slice){NULL, 0}};
                assert_int_equal(partition_take(&p, &w[next]), PARTITION_TAKEN);
                next++;
            } else if (first && random_below(&s, 2)) {
                if (first->key.at) {
                    int k = first->key.at[0] - 'a';

                    assert_true((int)first->offset > order[k]);
                    order[k] = (int)first->offset;
                }
                partition_admit(&p, first);
                running[nrunning++] = (int)first->offset;
            } else if (nrunning) {
                int i = (int)random_below(&s, (uint64_t)nrunning), offset = running[i];

                running[i] = running[--nrunning];
                partition_release(&p, &w[offset]);
                assert_true(partition_finish(&p, &w[offset]));
                nfinished++;
            }
        }
        assert_int_equal(offsets_watermark(p.finished), N);
        assert_int_equal(p.nwaiting + p.nadmitted, 0);
        assert_null(p.lanes);
        partition_clear(&p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(order_per_key_and_parallel_over_keys),  cmocka_unit_test(what_nobody_holds_does_not_shrink),
        cmocka_unit_test(what_was_seen_or_finished_is_skipped),  cmocka_unit_test(drain_finds_those_behind_a_busy_lane),
        cmocka_unit_test(random_runs_end_finished_and_in_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
