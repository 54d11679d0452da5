/* The index: which letter stands for a task, and how what was sent back ended. */
#include "helper_store.h"

#include <stdlib.h>

static void assert_letter(struct store *s, int number, enum letter_status status, struct slice newer)
{
    struct letter_row row;
    bool found;

    assert_false(failed(store_letter_row(s, id_of(number), memory, &row, &found)));
    assert_true(found);
    if (row.status != status || !slice_equal(row.newer_id, newer))
        fail_msg("letter %d is %s with the newer letter \"%.*s\"", number, letter_status_name(row.status),
                 SLICE_FMT(row.newer_id));
}

/* Letters of one task id: 2 is that of 1's redrive. 3 and 4 are another task that used the id too, and its redrive. 5 is the
 * same task sent anew, with no redrive behind it. */
static void only_a_later_letter_of_the_same_task_is_newer(void **state)
{
    static const struct sample letters[] = {
        {.number = 1, .task = "t", .failed_at_ms = 60000},
        {.number = 2, .task = "t", .failed_at_ms = 120000, .redrives = 1},
        {.number = 3, .task = "t", .failed_at_ms = 100000, .code = "task_id_conflict"},
        {.number = 4, .task = "t", .failed_at_ms = 110000, .redrives = 1, .code = "task_id_conflict"},
        {.number = 5, .task = "t", .failed_at_ms = 180000},
    };
    enum { N = sizeof letters / sizeof *letters };

    for (int first = 0; first < 2 * N; first++) { /* from each of them on, there and back */
        struct store *w = open_writer(NULL), *r;

        store_begin(w);
        for (int i = 0; i < N; i++)
            fold_letter(w, &letters[first < N ? (first + i) % N : (first + N - i) % N]);
        assert_false(failed(store_commit(w)));
        r = open_reader();
        assert_letter(r, 1, LETTER_FAILED_AGAIN, id_of(2));
        for (int number = 2; number <= N; number++)
            assert_letter(r, number, LETTER_OPEN, (struct slice){NULL, 0});
        store_close(r);
        store_close(w);
        assert_int_equal(store_tear_down(state), 0);
        assert_int_equal(store_set_up(state), 0);
    }
}

static void assert_job(struct store *s, int completed, int failed_again)
{
    struct job_row job;
    bool found;

    assert_false(failed(store_job(s, SLICE("job-1"), memory, &job, &found)));
    assert_true(found);
    assert_int_equal(job.sent, 4);
    assert_int_equal(job.completed, completed);
    assert_int_equal(job.failed_again, failed_again);
}

/* Resolved tells that the task ended; what counts for a job, and its canary, is how. */
static void only_what_completed_counts_as_completed(void **state)
{
    static const char *const ends[] = {"completed", "failed", "cancelled", NULL};
    struct store *w = open_writer(NULL), *r;
    struct letter_filter of_job = {.job = SLICE("job-1"), .statuses = 1U << LETTER_RESOLVED};
    int64_t n;

    (void)state;
    store_begin(w);
    for (int i = 0; i < 4; i++) {
        const char *ids[] = {"a-0", "a-1", "a-2", "a-3"}, *ended[] = {"e-0", "e-1", "e-2", "e-3"};
        struct effect sent = {.kind = EFFECT_REDRIVEN, .id = slice_of(ids[i]), .letter = id_of(i), .job = SLICE("job-1")};
        struct effect end = {.kind = EFFECT_RESOLVED, .id = slice_of(ended[i]), .letter = id_of(i), .name = slice_of(ends[i])};

        fold_letter(w, &(struct sample){.number = i, .failed_at_ms = 60000 + i});
        sent.offset = 2 * i;
        end.offset = 2 * i + 1;
        fold_effect(w, sent);
        if (ends[i])
            fold_effect(w, end);
    }
    fold_effect(w, (struct effect){.kind = EFFECT_JOB_REQUESTED, .id = SLICE("r"), .job = SLICE("job-1"), .partition = 1});
    assert_false(failed(store_commit(w)));
    r = open_reader();
    assert_job(r, 1, 2);
    assert_false(failed(store_count(r, &of_job, 100, &n)));
    assert_int_equal(n, 3);
    store_begin(w);
    fold_effect(w, (struct effect){.kind = EFFECT_REOPENED, .id = SLICE("o"), .letter = id_of(1), .offset = 9});
    assert_false(failed(store_commit(w)));
    assert_job(r, 1, 1);
    store_close(r);
    store_close(w);
}

/* Of one actor alone; newest letter first. An index that cannot serve them is an error: they name it. */
static void requests_are_found_by_their_key(void **state)
{
    static const char *const actors[] = {"ann", "ann", "bob"}, *const requests[] = {"key-1/a", "key-1/a", "key-1/b"};
    struct store *w = open_writer(NULL), *r;
    struct slice request, *ids;
    size_t n;

    (void)state;
    store_begin(w);
    for (int i = 0; i < 3; i++) {
        char id[8] = {'n', '-', (char)('0' + i), '\0'};

        fold_letter(w, &(struct sample){.number = i, .failed_at_ms = 60000 + i});
        fold_effect(w, (struct effect){.kind = EFFECT_NOTED,
                                       .id = slice_of(id),
                                       .letter = id_of(i),
                                       .actor = slice_of(actors[i]),
                                       .request = slice_of(requests[i])});
    }
    assert_false(failed(store_commit(w)));
    r = open_reader();
    assert_false(failed(store_request(r, SLICE("bob"), SLICE("key-1"), memory, &request)));
    assert_true(slice_is(request, "key-1/b"));
    assert_false(failed(store_request(r, SLICE("ann"), SLICE("key"), memory, &request)));
    assert_null(request.at);
    assert_false(failed(store_request_letters(r, SLICE("ann"), SLICE("key-1/a"), memory, &ids, &n)));
    assert_true(n == 2 && slice_equal(ids[0], id_of(1)) && slice_equal(ids[1], id_of(0)));
    store_close(r);
    store_close(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(only_a_later_letter_of_the_same_task_is_newer, store_set_up, store_tear_down),
        cmocka_unit_test_setup_teardown(only_what_completed_counts_as_completed, store_set_up, store_tear_down),
        cmocka_unit_test_setup_teardown(requests_are_found_by_their_key, store_set_up, store_tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
