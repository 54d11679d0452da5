/* Fates of batches: what each kind of failure becomes, on librdkafka's mock cluster. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "helper_kafka.h"

/* A source that owns both partitions, and a producer that is ready. Partition 0 has offset 4 with metadata "old". */
static struct kafka_world *begin(struct app *a)
{
    struct kafka_world *w = kafka_world_new();

    *a = (struct app){.release_at_once = true};
    kafka_world_commit(w, 0, 4, "old");
    app_start(a, w);
    kafka_world_wait(w, &a->assigned, 2);
    world_start_txn(w, a->source);
    return w;
}

static void end(struct kafka_world *w, struct app *a)
{
    world_end_txn(w);
    app_end(a);
    kafka_world_free(w);
}

static void a_committed_batch_and_the_offsets_before_it(void **state)
{
    struct app a;
    struct kafka_world *w = begin(&a);

    (void)state;
    assert_int_equal(a.committed[0], 4);
    assert_string_equal(a.metadata[0], "old");
    assert_int_equal(a.committed[1], KAFKA_OFFSET_NONE);
    world_run_batch(w, a.source, 3, 7);
    assert_int_equal(w->result.fate, KAFKA_COMMITTED);
    assert_null(w->result.name);
    assert_false(failed(w->result.why));
    end(w, &a);
}

static void offsets_alone_and_records_alone_are_legal(void **state)
{
    struct app a;
    struct kafka_world *w = begin(&a);

    (void)state;
    world_run_batch(w, a.source, 0, 3);
    assert_int_equal(w->result.fate, KAFKA_COMMITTED);
    world_run_batch(w, NULL, 2, 0);
    assert_int_equal(w->result.fate, KAFKA_COMMITTED);
    end(w, &a);
}

static void unknown_member_waits_for_lost(void **state)
{
    struct kafka_txn_status status;
    struct app a;
    struct kafka_world *w = begin(&a);

    (void)state;
    rd_kafka_mock_push_request_errors(w->mock, API_TXN_OFFSETS, 1, RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID);
    world_run_batch(w, a.source, 2, 5);
    assert_int_equal(w->result.fate, KAFKA_NOT_COMMITTED);
    assert_true(w->result.needs_lost);
    assert_string_equal(w->result.name, "UNKNOWN_MEMBER_ID");
    kafka_txn_status(w->txn, &status);
    assert_int_equal(status.replaced, 0); /* a plain answer: the producer is fine */
    world_run_batch(w, a.source, 2, 5);
    assert_int_equal(w->result.fate, KAFKA_COMMITTED);
    end(w, &a);
}

static void an_old_generation_is_not_committed(void **state)
{
    struct app a;
    struct kafka_world *w = begin(&a);

    (void)state;
    rd_kafka_mock_push_request_errors(w->mock, API_TXN_OFFSETS, 1, RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION);
    world_run_batch(w, a.source, 2, 5);
    assert_int_equal(w->result.fate, KAFKA_NOT_COMMITTED);
    assert_false(w->result.needs_lost);
    end(w, &a);
}

static void the_largest_record_is_blamed(void **state)
{
    struct app a;
    struct kafka_world *w = begin(&a);

    (void)state;
    rd_kafka_mock_push_request_errors(w->mock, API_PRODUCE, 1, RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
    world_run_batch(w, a.source, 3, 5);
    assert_int_equal(w->result.fate, KAFKA_NOT_COMMITTED);
    assert_true(w->result.record_refused);
    assert_int_equal(w->result.refused, 1);
    world_run_batch(w, a.source, 2, 5);
    assert_int_equal(w->result.fate, KAFKA_COMMITTED);
    end(w, &a);
}

static void a_record_over_the_clients_limit_is_blamed(void **state)
{
    static char big[KAFKA_MESSAGE_MAX];
    struct kafka_batch *b = kafka_batch_new();
    struct app a;
    struct kafka_world *w = begin(&a);

    (void)state;
    assert_true(kafka_batch_add_record(b, &(struct kafka_output){.topic = "out", .value = SLICE("small")}));
    assert_true(kafka_batch_add_record(b, &(struct kafka_output){.topic = "out", .value = {big, sizeof big}}));
    kafka_txn_submit(w->txn, b);
    kafka_world_wait(w, &w->done, 1);
    assert_true(w->result.record_refused);
    assert_int_equal(w->result.refused, 1);
    end(w, &a);
}

/* The commit's answer says nothing good, though the offsets may be in: only reading tells. */
static void an_unknown_commit_is_read_back(void **state)
{
    struct kafka_txn_status status;
    struct app a;
    struct kafka_world *w = begin(&a);

    (void)state;
    rd_kafka_mock_push_request_errors(w->mock, API_END_TXN, 1, RD_KAFKA_RESP_ERR_INVALID_TXN_STATE);
    world_run_batch(w, a.source, 2, 9);
    assert_int_equal(w->result.fate, KAFKA_REREAD);
    assert_int_equal(w->result.nstored, 1);
    assert_int_equal(w->stored[0], 4); /* the mock does not apply offsets of transactions */
    assert_string_equal(w->stored_metadata, "old");
    kafka_txn_status(w->txn, &status);
    assert_int_equal(status.replaced, 1);
    assert_int_equal(status.unknown, 1);
    end(w, &a);
}

static void an_unknown_commit_of_events_alone_goes_again(void **state)
{
    struct app a;
    struct kafka_world *w = begin(&a);

    (void)state;
    rd_kafka_mock_push_request_errors(w->mock, API_END_TXN, 1, RD_KAFKA_RESP_ERR_INVALID_TXN_STATE);
    world_run_batch(w, NULL, 2, 0);
    assert_int_equal(w->result.fate, KAFKA_NOT_COMMITTED);
    end(w, &a);
}

/* The loop sleeps while a batch fails and the producer is replaced: one wake brings both. The fate comes first, for `ready` asks
 * for the next batch. */
static void a_slow_loop_hears_the_fate_first(void **state)
{
    struct kafka_batch *b = kafka_batch_new();
    struct kafka_txn_status status;
    struct app a;
    struct kafka_world *w = begin(&a);

    (void)state;
    rd_kafka_mock_push_request_errors(w->mock, API_END_TXN, 1, RD_KAFKA_RESP_ERR_INVALID_TXN_STATE);
    assert_true(kafka_batch_add_record(b, &(struct kafka_output){.topic = "out", .value = SLICE("v")}));
    kafka_txn_submit(w->txn, b);
    for (int i = 0; i < 600; i++) {
        struct timespec pause = {0, 100000000};

        kafka_txn_status(w->txn, &status);
        if (status.ready && status.aborted == 1)
            break;
        nanosleep(&pause, NULL);
    }
    assert_int_equal(status.aborted, 1);
    kafka_world_wait(w, &w->ready, 2);
    assert_int_equal(w->done, 1);
    assert_int_equal(w->ready_before_done, 1);
    end(w, &a);
}

static void retriable_errors_are_retried(void **state)
{
    struct app a;
    struct kafka_world *w = begin(&a);

    (void)state;
    rd_kafka_mock_push_request_errors(w->mock, API_ADD_OFFSETS, 2, RD_KAFKA_RESP_ERR_CONCURRENT_TRANSACTIONS,
                                      RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS);
    rd_kafka_mock_push_request_errors(w->mock, API_END_TXN, 1, RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS);
    world_run_batch(w, a.source, 2, 5);
    assert_int_equal(w->result.fate, KAFKA_COMMITTED);
    end(w, &a);
}

static void fenced_twice_is_the_end(void **state)
{
    struct app a;
    struct kafka_world *w = begin(&a);

    (void)state;
    rd_kafka_mock_push_request_errors(w->mock, API_ADD_OFFSETS, 1, RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH);
    world_run_batch(w, a.source, 2, 5);
    assert_int_equal(w->result.fate, KAFKA_NOT_COMMITTED);
    assert_int_equal(w->fenced, 0);
    kafka_world_wait(w, &w->ready, 2);
    rd_kafka_mock_push_request_errors(w->mock, API_ADD_OFFSETS, 1, RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH);
    world_run_batch(w, a.source, 2, 5);
    assert_int_equal(w->result.fate, KAFKA_NOT_COMMITTED);
    kafka_world_wait(w, &w->fenced, 1);
    end(w, &a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_committed_batch_and_the_offsets_before_it),
        cmocka_unit_test(offsets_alone_and_records_alone_are_legal),
        cmocka_unit_test(unknown_member_waits_for_lost),
        cmocka_unit_test(an_old_generation_is_not_committed),
        cmocka_unit_test(the_largest_record_is_blamed),
        cmocka_unit_test(a_record_over_the_clients_limit_is_blamed),
        cmocka_unit_test(an_unknown_commit_is_read_back),
        cmocka_unit_test(an_unknown_commit_of_events_alone_goes_again),
        cmocka_unit_test(a_slow_loop_hears_the_fate_first),
        cmocka_unit_test(retriable_errors_are_retried),
        cmocka_unit_test(fenced_twice_is_the_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
