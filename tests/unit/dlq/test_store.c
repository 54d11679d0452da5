/* The index: what letters and actions come to, in whatever order partitions are read, and what is found again. */
#include "helper_store.h"

#include <stdlib.h>

static const struct sample letters[] = {
    {.number = 1, .task = "t-1", .session = "s-1", .failed_at_ms = 60000, .value = "one", .message = "no answer within 30 s"},
    {.number = 2, .task = "t-2", .session = "s-1", .failed_at_ms = 61000, .agent = "orders", .message = "no answer within 31 s"},
    {.number = 3, .task = "t-3", .session = "s-2", .failed_at_ms = 180000, .class = "poison", .message = "bad byte 7"},
    {.number = 4, .task = "t-1", .session = "s-1", .failed_at_ms = 240000, .redrives = 1, .message = "no answer within 32 s"},
    {.number = 5, .task = "t-5", .session = "s-3", .failed_at_ms = 60000, .class = "poison", .message = "Zebra crossing"},
};
enum { LETTERS = sizeof letters / sizeof *letters };

#define ACTION(k, n, time, l)                                                                                                    \
    .kind = (k), .id = SLICE("action-" #n), .at_ms = (time), .letter = SLICE(l), .partition = 0, .offset = (n)
#define JOB(k, n, time)                                                                                                          \
    .kind = (k), .id = SLICE("job-action-" #n), .at_ms = (time), .job = SLICE("job-1"), .partition = 1, .offset = (n)

static const struct slice chosen[] = {{"tasks:0:1", 9}, {"tasks:0:2", 9}, {"tasks:0:5", 9}};
/* Each list is one partition: its order counts. */
static const struct effect of_letters[] = {
    {ACTION(EFFECT_NOTED, 1, 300000, "tasks:0:3")},
    {ACTION(EFFECT_PARKED, 2, 310000, "tasks:0:3")},
    {ACTION(EFFECT_REDRIVEN, 3, 320000, "tasks:0:1"), .job = SLICE("job-1")},
    {ACTION(EFFECT_REDRIVEN, 4, 330000, "tasks:0:2"), .job = SLICE("job-1")},
    {ACTION(EFFECT_RESOLVED, 5, 360000, "tasks:0:2")},
    {ACTION(EFFECT_ASSIGNED, 6, 370000, "tasks:0:4"), .name = SLICE("ann")},
    {ACTION(EFFECT_RETRY, 7, 380000, "tasks:0:4"), .due_ms = 9999999},
    {ACTION(EFFECT_REDRIVEN, 3, 320000, "tasks:0:1"), .job = SLICE("job-1")}, /* the same once more */
};
static const struct effect of_jobs[] = {
    {JOB(EFFECT_JOB_REQUESTED, 1, 311000)},
    {JOB(EFFECT_JOB_SELECTED, 2, 312000), .letters = chosen, .nletters = 3, .last = true},
    {JOB(EFFECT_JOB_PAUSED, 3, 340000)},
};

static struct slice status_of(struct store *s, int number)
{
    struct letter_row row;
    bool found;

    assert_false(failed(store_letter_row(s, id_of(number), memory, &row, &found)));
    assert_true(found);
    return slice_of(letter_status_name(row.status));
}

static void assert_status(struct store *s, int number, const char *status)
{
    struct slice is = status_of(s, number);

    if (!slice_is(is, status))
        fail_msg("letter %d is %.*s, not %s", number, SLICE_FMT(is), status);
}

static void actions_decide(void **state)
{
    struct store *w = open_writer(NULL), *r;
    struct letter_row row;
    struct job_row job;
    bool found;

    (void)state;
    fold_all(w, letters, LETTERS);
    store_begin(w);
    for (size_t i = 0; i < sizeof of_jobs / sizeof *of_jobs; i++)
        fold_effect(w, of_jobs[i]);
    assert_false(failed(store_commit(w)));
    r = open_reader();
    assert_status(r, 1, "failed_again"); /* its newer letter is there, and stands for the task */
    assert_status(r, 2, "redriving");
    assert_status(r, 4, "open");
    store_begin(w);
    for (size_t i = 0; i < sizeof of_letters / sizeof *of_letters; i++)
        fold_effect(w, of_letters[i]);
    assert_false(failed(store_commit(w)));
    assert_status(r, 1, "failed_again");
    assert_status(r, 2, "resolved");
    assert_status(r, 3, "parked");
    assert_status(r, 4, "retry_waiting");
    assert_status(r, 5, "redriving");
    assert_false(failed(store_letter_row(r, id_of(1), memory, &row, &found)));
    assert_true(found && row.sent == 1 && slice_equal(row.newer_id, id_of(4)));
    assert_false(failed(store_job(r, SLICE("job-1"), memory, &job, &found)));
    assert_true(found && job.selected == 3 && job.sent == 2 && job.completed == 1 && job.failed_again == 1 && job.selected_all);
    store_begin(w);
    fold_effect(w, (struct effect){JOB(EFFECT_JOB_CANCELLED, 4, 400000)});
    assert_false(failed(store_commit(w)));
    assert_status(r, 5, "open"); /* what the job did not send is free again */
    store_close(r);
    store_close(w);
}

/* Three partitions, read in turns that a random number decides, in batches of random size: always the same index. */
static char *fold_in_random_order(unsigned seed)
{
    const size_t ends[3] = {LETTERS, sizeof of_letters / sizeof *of_letters, sizeof of_jobs / sizeof *of_jobs};
    size_t at[3] = {0};
    struct store *w = open_writer(NULL);
    char *text;

    srand(seed);
    store_begin(w);
    while (at[0] < ends[0] || at[1] < ends[1] || at[2] < ends[2]) {
        int p = rand() % 3;

        if (at[p] == ends[p])
            continue;
        if (p == 0)
            fold_letter(w, &letters[at[p]]);
        else
            fold_effect(w, p == 1 ? of_letters[at[p]] : of_jobs[at[p]]);
        at[p]++;
        if (rand() % 3 == 0) {
            assert_false(failed(store_commit(w)));
            store_begin(w);
        }
    }
    assert_false(failed(store_commit(w)));
    store_close(w);
    text = dump();
    return text;
}

static void order_does_not_matter(void **state)
{
    char *first = NULL;

    for (unsigned seed = 1; seed <= 40; seed++) {
        char *text = fold_in_random_order(seed);

        if (first && strcmp(first, text) != 0)
            fail_msg("seed %u:\n%s\ninstead of\n%s", seed, text, first);
        if (first)
            free(text);
        else
            first = text;
        assert_int_equal(store_tear_down(state), 0);
        assert_int_equal(store_set_up(state), 0);
    }
    free(first);
}

static size_t found(struct store *s, struct letter_filter f)
{
    struct letter_page page;
    int64_t n;

    assert_false(failed(store_letters(s, &f, STORE_NEWEST_FIRST, 0, 50, memory, &page)));
    assert_false(failed(store_count(s, &f, 1000, &n)));
    assert_int_equal(n, page.n);
    return page.n;
}

static void filters_find(void **state)
{
    struct store *w = open_writer(NULL), *r;
    struct letter_page page;
    int64_t came;

    (void)state;
    fold_all(w, letters, LETTERS);
    r = open_reader();
    assert_int_equal(found(r, (struct letter_filter){.family = 0}), 5);
    assert_int_equal(found(r, (struct letter_filter){.agent = SLICE("orders")}), 1);
    assert_int_equal(found(r, (struct letter_filter){.class = SLICE("poison")}), 2);
    assert_int_equal(found(r, (struct letter_filter){.class = SLICE("poison"), .agent = SLICE("orders")}), 0);
    assert_int_equal(found(r, (struct letter_filter){.task_id = SLICE("t-1")}), 2);
    assert_int_equal(found(r, (struct letter_filter){.class = SLICE("exhausted"), .agent = SLICE("search")}), 2);
    assert_int_equal(found(r, (struct letter_filter){.code = SLICE("code"), .stage = SLICE("model")}), 5);
    assert_int_equal(found(r, (struct letter_filter){.code = SLICE("model")}), 0);
    assert_int_equal(found(r, (struct letter_filter){.agent = SLICE("search"), .session_id = SLICE("s-1")}), 2);
    assert_int_equal(found(r, (struct letter_filter){.agent = SLICE("search"), .statuses = 1U << LETTER_FAILED_AGAIN}), 1);
    assert_int_equal(found(r, (struct letter_filter){.agent = SLICE("search"), .from_ms = 180000}), 2);
    assert_int_equal(found(r, (struct letter_filter){.agent = SLICE("orders"), .text = SLICE("answer")}), 1);
    assert_int_equal(found(r, (struct letter_filter){.agent = SLICE("Orders")}), 0);
    assert_false(failed(store_came(r, SLICE("search"), 61000, 240000, &came)));
    assert_int_equal(came, 1);
    assert_int_equal(found(r, (struct letter_filter){.session_id = SLICE("s-1")}), 3);
    assert_int_equal(found(r, (struct letter_filter){.topic = SLICE("tasks")}), 5);
    assert_int_equal(found(r, (struct letter_filter){.dlq_topic = SLICE("dlq")}), 5);
    assert_int_equal(found(r, (struct letter_filter){.statuses = 1U << LETTER_OPEN}), 4);
    assert_int_equal(found(r, (struct letter_filter){.statuses = 1U << LETTER_FAILED_AGAIN | 1U << LETTER_DISCARDED}), 1);
    assert_int_equal(found(r, (struct letter_filter){.statuses = LETTER_UNFINISHED, .class = SLICE("exhausted")}), 2);
    assert_int_equal(found(r, (struct letter_filter){.family = LETTER_FAMILY_STEPMILL + 1}), 5);
    assert_int_equal(found(r, (struct letter_filter){.family = LETTER_FAMILY_SPRING + 1}), 0);
    assert_int_equal(found(r, (struct letter_filter){.from_ms = 61000, .to_ms = 240000}), 2);
    assert_int_equal(found(r, (struct letter_filter){.text = SLICE("zebra")}), 1);
    assert_int_equal(found(r, (struct letter_filter){.text = SLICE("ANSW WITHIN")}), 3);
    assert_int_equal(found(r, (struct letter_filter){.text = SLICE("answer zebra")}), 0);
    assert_int_equal(found(r, (struct letter_filter){.text = SLICE("t-5")}), 1);
    assert_int_equal(found(r, (struct letter_filter){.text = SLICE("\"' OR * NEAR( cross"), .class = SLICE("poison")}), 0);
    assert_true(
        failed(store_letters(r, &(struct letter_filter){.text = SLICE("\"*(")}, STORE_NEWEST_FIRST, 0, 9, memory, &page)));
    store_close(r);
    store_close(w);
}

/* Few of many: one walk for each status, in lists and in counts, up to the cap. */
static void letters_of_few_statuses_are_found(void **state)
{
    const struct letter_filter f = {.statuses = 1U << LETTER_PARKED | 1U << LETTER_DISCARDED, .from_ms = 1010};
    struct store *w = open_writer(NULL), *r;
    int64_t n;

    (void)state;
    store_begin(w);
    for (int i = 0; i < 100; i++) {
        struct effect e = {.kind = i % 2 ? EFFECT_PARKED : EFFECT_DISCARDED, .id = id_of(i), .letter = id_of(i), .at_ms = 2000};

        fold_letter(w, &(struct sample){.number = i, .failed_at_ms = 1000 + i});
        if (i % 10 < 2)
            fold_effect(w, e);
    }
    assert_false(failed(store_commit(w)));
    r = open_reader();
    assert_int_equal(found(r, f), 18);
    assert_false(failed(store_count(r, &f, 12, &n)));
    assert_int_equal(n, 12);
    store_close(r);
    store_close(w);
}

/* Page by page from either end, each letter once, in order; the cursor is good after others came. */
static void pages_follow_each_other(void **state)
{
    struct store *w = open_writer(NULL), *r;
    struct letter_page page;
    int64_t cursor = 0, last = INT64_MAX;
    int seen = 0;

    (void)state;
    store_begin(w);
    for (int i = 0; i < 100; i++)
        fold_letter(w, &(struct sample){.number = i, .task = "t", .failed_at_ms = 1000 + i % 7});
    assert_false(failed(store_commit(w)));
    r = open_reader();
    do {
        assert_false(failed(
            store_letters(r, &(struct letter_filter){.agent = SLICE("search")}, STORE_NEWEST_FIRST, cursor, 9, memory, &page)));
        for (size_t i = 0; i < page.n; i++, seen++) {
            assert_true(page.rows[i].num < last);
            last = page.rows[i].num;
        }
        cursor = page.next;
    } while (cursor);
    assert_int_equal(seen, 100);
    assert_false(failed(store_letters(r, &(struct letter_filter){.family = 0}, STORE_OLDEST_FIRST, 0, 5, memory, &page)));
    assert_true(page.n == 5 && page.rows[0].letter.failed_at_ms == 1000 && page.next);
    store_close(r);
    store_close(w);
}

static void bytes_are_kept_up_to_a_size(void **state)
{
    char large[200];
    struct sample big = {.number = 9, .session = "key", .failed_at_ms = 1, .value = large};
    struct store *w = open_writer(NULL), *r;
    struct letter_full l;
    bool there;

    (void)state;
    memset(large, 'x', sizeof large - 1);
    large[sizeof large - 1] = '\0';
    fold_all(w, letters, 1);
    fold_all(w, &big, 1);
    r = open_reader();
    assert_false(failed(store_letter(r, id_of(1), memory, &l, &there)));
    assert_true(there && slice_is(l.value, "one") && slice_is(l.key, "s-1") && l.row.value_kept && l.row.value_size == 3);
    assert_true(slice_is(letter_header(l.headers, l.nheaders, "stepmill.task_id"), "t-1"));
    assert_false(failed(store_letter(r, id_of(9), memory, &l, &there)));
    assert_true(there && !l.value.at && !l.row.value_kept && l.row.value_size == 199);
    assert_false(failed(store_letter(r, SLICE("none"), memory, &l, &there)));
    assert_false(there);
    store_close(r);
    store_close(w);
}

static void another_record_of_one_id_is_counted(void **state)
{
    struct store *w = open_writer(NULL), *r;
    struct sample again = letters[0];
    struct letter_row row;
    bool there;

    (void)state;
    again.dlq = "dlq-2";
    fold_all(w, letters, LETTERS);
    fold_all(w, letters, LETTERS); /* the same records: nothing changes */
    fold_all(w, &again, 1);
    r = open_reader();
    assert_int_equal(found(r, (struct letter_filter){.family = 0}), 5);
    assert_false(failed(store_letter_row(r, id_of(1), memory, &row, &there)));
    assert_int_equal(row.occurrences, 2);
    store_close(r);
    store_close(w);
}

static void a_group_that_returns_is_seen(void **state)
{
    struct store *w = open_writer(NULL), *r;
    struct group_page page;
    struct group_row g;
    struct slice print;
    bool there;

    (void)state;
    fold_all(w, letters, 3);
    r = open_reader();
    assert_false(failed(store_groups(r, &(struct group_filter){.order = GROUP_BY_COUNT}, 0, 10, memory, &page)));
    assert_true(page.n == 2 && page.rows[0].letters == 2 && page.rows[0].nagents == 2);
    assert_true(slice_is(page.rows[0].pattern, "no answer within <id> s"));
    print = page.rows[0].fingerprint;
    store_begin(w);
    fold_effect(w, (struct effect){.kind = EFFECT_GROUP_RESOLVED, .id = SLICE("g-1"), .at_ms = 200000, .group = print});
    fold_effect(
        w, (struct effect){.kind = EFFECT_ALERTED, .id = SLICE("g-2"), .at_ms = 200001, .group = print, .name = SLICE("slack")});
    assert_false(failed(store_commit(w)));
    assert_false(failed(store_group(r, print, memory, &g, &there)));
    assert_true(there && g.resolved && g.returned_at_ms == -1 && g.alerted_at_ms == 200001);
    fold_all(w, letters + 3, 1);
    assert_false(failed(store_group(r, print, memory, &g, &there)));
    assert_true(there && !g.resolved && g.resolved_at_ms == 200000 && g.returned_at_ms == 240000 && g.letters == 3);
    assert_false(failed(store_groups(r, &(struct group_filter){.text = SLICE("BYTE")}, 0, 10, memory, &page)));
    assert_int_equal(page.n, 1);
    store_close(r);
    store_close(w);
}

static void a_batch_is_all_or_nothing(void **state)
{
    bool made;
    struct store *w = open_writer(&made);

    (void)state;
    assert_true(made);
    store_begin(w);
    fold_letter(w, &letters[0]);
    store_set_place(w, "dlq", 0, 7);
    store_abort(w);
    assert_true(store_place(w, "dlq", 0) == KAFKA_OFFSET_BEGINNING);
    store_begin(w);
    fold_letter(w, &letters[1]);
    store_set_place(w, "dlq", 0, 8);
    assert_false(failed(store_commit(w)));
    store_close(w);
    w = open_writer(&made);
    assert_false(made);
    assert_int_equal(store_place(w, "dlq", 0), 8);
    assert_true(store_has_other_topics(w, (const char *const[]){"other"}, 1));
    assert_false(store_has_other_topics(w, (const char *const[]){"other", "dlq"}, 2));
    assert_status(w, 2, "open");
    store_close(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(actions_decide, store_set_up, store_tear_down),
        cmocka_unit_test_setup_teardown(order_does_not_matter, store_set_up, store_tear_down),
        cmocka_unit_test_setup_teardown(filters_find, store_set_up, store_tear_down),
        cmocka_unit_test_setup_teardown(letters_of_few_statuses_are_found, store_set_up, store_tear_down),
        cmocka_unit_test_setup_teardown(pages_follow_each_other, store_set_up, store_tear_down),
        cmocka_unit_test_setup_teardown(bytes_are_kept_up_to_a_size, store_set_up, store_tear_down),
        cmocka_unit_test_setup_teardown(another_record_of_one_id_is_counted, store_set_up, store_tear_down),
        cmocka_unit_test_setup_teardown(a_group_that_returns_is_seen, store_set_up, store_tear_down),
        cmocka_unit_test_setup_teardown(a_batch_is_all_or_nothing, store_set_up, store_tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
