/* What leaves the index: letters, actions and jobs whose records the topics no longer hold. */
#include "helper_store.h"

static const struct sample letters[] = {
    {.number = 1, .task = "t-1", .session = "s-1", .failed_at_ms = 60000, .message = "no answer within 30 s"},
    {.number = 2, .task = "t-2", .session = "s-1", .failed_at_ms = 61000, .message = "no answer within 31 s"},
    {.number = 3, .task = "t-3", .session = "s-2", .failed_at_ms = 180000, .class = "poison", .message = "bad byte 7"},
    {.number = 4, .task = "t-4", .session = "s-1", .failed_at_ms = 240000, .message = "no answer within 32 s"},
};
enum { LETTERS = sizeof letters / sizeof *letters };

#define ACTION(k, n, l)                                                                                                          \
    .kind = (k), .id = SLICE("action-" #n), .at_ms = 300000 + (n), .letter = SLICE(l), .partition = 0, .offset = (n)
#define JOB(k, n)                                                                                                                \
    .kind = (k), .id = SLICE("job-action-" #n), .at_ms = 300000 + (n), .job = SLICE("job-1"), .partition = 1, .offset = (n)

static const struct slice chosen[] = {{"tasks:0:1", 9}, {"tasks:0:2", 9}};
static const struct effect effects[] = {
    {ACTION(EFFECT_NOTED, 1, "tasks:0:3")},
    {ACTION(EFFECT_REDRIVEN, 2, "tasks:0:1"), .job = SLICE("job-1")},
    {ACTION(EFFECT_REDRIVEN, 3, "tasks:0:2"), .job = SLICE("job-1")},
    {JOB(EFFECT_JOB_REQUESTED, 1)},
    {JOB(EFFECT_JOB_SELECTED, 2), .letters = chosen, .nletters = 2, .last = true},
    {.kind = EFFECT_GROUP_RESOLVED,
     .id = SLICE("g-1"),
     .at_ms = 200000,
     .group = SLICE("0123456789abcdef"),
     .partition = 2,
     .offset = 1},
};
enum { EFFECTS = sizeof effects / sizeof *effects };

static int64_t count(struct store *s, const char *sql)
{
    struct statement *st = database_prepare(store_database(s), sql);
    int64_t n = statement_step(st) ? statement_int_at(st, 0) : -1;

    statement_reset(st);
    return n;
}
#define ROWS(s, table) count(s, "SELECT count(*) FROM " table)

static struct store *filled(void)
{
    struct store *w = open_writer(NULL);

    fold_all(w, letters, LETTERS);
    store_begin(w);
    for (size_t i = 0; i < EFFECTS; i++)
        fold_effect(w, effects[i]);
    assert_false(failed(store_commit(w)));
    assert_int_equal(ROWS(w, "actions"), EFFECTS);
    return w;
}

static void forget_letters(struct store *w, int32_t partition, int64_t oldest)
{
    int64_t cursor = 0;
    bool more = true;

    while (more)
        assert_false(failed(store_forget_before(w, "dlq", partition, oldest, 1, &cursor, &more)));
}

static void forget_actions(struct store *w, int32_t partition, int64_t oldest)
{
    int64_t cursor = 0;
    bool more = true;

    while (more)
        assert_false(failed(store_forget_actions(w, partition, oldest, 2, &cursor, &more)));
}

static size_t found(struct store *s, struct letter_filter f, struct arena *arena)
{
    struct letter_page page;

    assert_false(failed(store_letters(s, &f, STORE_NEWEST_FIRST, 0, 100, arena, &page)));
    return page.n;
}

static void letters_go_with_all_that_counts_them(void **state)
{
    struct arena *arena = arena_new(16 * 1024 * 1024);
    struct store *w = filled();
    struct overview o;

    (void)state;
    forget_letters(w, 1, 3); /* partition 1 holds letters 1 and 4 */
    assert_int_equal(found(w, (struct letter_filter){.family = 0}, arena), 3);
    assert_int_equal(found(w, (struct letter_filter){.text = SLICE("answer")}, arena), 2);
    assert_int_equal(found(w, (struct letter_filter){.agent = SLICE("search")}, arena), 3);
    assert_false(failed(store_overview(w, 0, 60000 * 10, 60000, arena, &o)));
    assert_true(o.letters == 3 && o.points[1].came == 1);
    assert_int_equal(ROWS(w, "actions"), EFFECTS - 1);
    assert_false(failed(store_forget_rest(w)));
    assert_int_equal(ROWS(w, "tallies WHERE n = 0"), 0);
    assert_int_equal(ROWS(w, "groups"), 3); /* two of letters, one that was resolved without any */
    store_close(w);
    arena_free(arena);
}

static void history_stays_as_long_as_its_letter(void **state)
{
    struct store *w = filled();

    (void)state;
    forget_actions(w, 0, 100);
    assert_int_equal(ROWS(w, "actions"), EFFECTS);
    forget_letters(w, 1, 100);
    assert_int_equal(ROWS(w, "actions"), EFFECTS - 1);
    assert_int_equal(ROWS(w, "letters"), 2);
    store_close(w);
}

static void a_job_goes_when_it_has_ended_and_its_actions_are_gone(void **state)
{
    struct store *w = filled();

    (void)state;
    forget_actions(w, 1, 100);
    assert_int_equal(ROWS(w, "actions"), EFFECTS - 2);
    assert_int_equal(ROWS(w, "jobs"), 1);
    store_begin(w);
    fold_effect(w, (struct effect){JOB(EFFECT_JOB_FINISHED, 200)});
    assert_false(failed(store_commit(w)));
    forget_actions(w, 1, 200);
    assert_int_equal(ROWS(w, "jobs"), 1);
    forget_actions(w, 1, 201);
    assert_int_equal(ROWS(w, "jobs"), 0);
    assert_int_equal(ROWS(w, "job_letters"), 0);
    assert_int_equal(ROWS(w, "letters WHERE job = 'job-1'"), 2);
    store_close(w);
}

static void a_group_goes_with_its_last_action(void **state)
{
    struct store *w = filled();

    (void)state;
    forget_letters(w, 0, 100);
    assert_false(failed(store_forget_rest(w)));
    assert_int_equal(ROWS(w, "groups"), 2);
    assert_int_equal(ROWS(w, "groups WHERE resolved_at > 0"), 1);
    forget_actions(w, 2, 2);
    assert_false(failed(store_forget_rest(w)));
    assert_int_equal(ROWS(w, "groups"), 1);
    store_close(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(letters_go_with_all_that_counts_them, store_set_up, store_tear_down),
        cmocka_unit_test_setup_teardown(history_stays_as_long_as_its_letter, store_set_up, store_tear_down),
        cmocka_unit_test_setup_teardown(a_job_goes_when_it_has_ended_and_its_actions_are_gone, store_set_up, store_tear_down),
        cmocka_unit_test_setup_teardown(a_group_goes_with_its_last_action, store_set_up, store_tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
