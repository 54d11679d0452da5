/* The index and the ids of its topics: what is left of it when a topic was deleted and made again. */
#include "helper_store.h"

#include <stdlib.h>

static const struct sample letters[] = {
    {.number = 1, .task = "t-1", .session = "s-1", .failed_at_ms = 60000, .value = "one", .message = "no answer within 30 s"},
    {.number = 2, .task = "t-2", .session = "s-2", .failed_at_ms = 61000, .class = "poison", .message = "Zebra crossing"},
};
static const struct slice chosen[] = {{"tasks:0:1", 9}};
static const struct effect actions[] = {
    {.kind = EFFECT_PARKED, .id = SLICE("action-1"), .at_ms = 70000, .letter = SLICE("tasks:0:2")},
    {.kind = EFFECT_JOB_REQUESTED, .id = SLICE("action-2"), .at_ms = 71000, .job = SLICE("job-1")},
    {.kind = EFFECT_JOB_SELECTED,
     .id = SLICE("action-3"),
     .at_ms = 72000,
     .job = SLICE("job-1"),
     .letters = chosen,
     .nletters = 1},
};

static void fold_everything(struct store *w)
{
    store_begin(w);
    for (size_t i = 0; i < sizeof letters / sizeof *letters; i++)
        fold_letter(w, &letters[i]);
    for (size_t i = 0; i < sizeof actions / sizeof *actions; i++)
        fold_effect(w, actions[i]);
    store_set_place(w, "dlq", 0, 8);
    assert_false(failed(store_commit(w)));
}

static size_t found(struct store *s, struct letter_filter f)
{
    struct letter_page page;

    assert_false(failed(store_letters(s, &f, STORE_NEWEST_FIRST, 0, 10, memory, &page)));
    return page.n;
}

static void ids_are_kept(void **state)
{
    struct store *w = open_writer(NULL);

    (void)state;
    assert_true(store_is_of_topic(w, "dlq", "id-1"));
    assert_true(store_is_of_topic(w, "actions", "id-2"));
    assert_false(store_is_of_topic(w, "dlq", "id-2"));
    store_close(w);
    w = open_writer(NULL);
    assert_true(store_is_of_topic(w, "dlq", "id-1") && store_is_of_topic(w, "actions", "id-2"));
    assert_false(store_is_of_topic(w, "actions", "id-1"));
    store_close(w);
}

/* Nothing of the old topics is left, for those who have the index open neither, and it can be folded anew. */
static void an_emptied_index_is_as_a_new_one(void **state)
{
    struct store *w = open_writer(NULL), *r = open_reader();
    char *none = dump(), *all, *now;

    (void)state;
    assert_true(store_is_of_topic(w, "dlq", "id-1"));
    fold_everything(w);
    all = dump();
    assert_string_not_equal(none, all);
    assert_int_equal(found(r, (struct letter_filter){.text = SLICE("zebra")}), 1);
    assert_false(failed(store_empty(w)));
    assert_int_equal(found(r, (struct letter_filter){.text = SLICE("zebra")}), 0);
    assert_int_equal(found(r, (struct letter_filter){.family = 0}), 0);
    assert_true(store_place(w, "dlq", 0) == KAFKA_OFFSET_BEGINNING);
    now = dump();
    assert_string_equal(now, none);
    free(now);
    assert_true(store_is_of_topic(w, "dlq", "id-2"));
    fold_everything(w);
    now = dump();
    assert_string_equal(now, all);
    assert_int_equal(found(r, (struct letter_filter){.text = SLICE("zebra")}), 1);
    assert_int_equal(store_place(w, "dlq", 0), 8);
    free(now);
    free(all);
    free(none);
    store_close(r);
    store_close(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(ids_are_kept, store_set_up, store_tear_down),
        cmocka_unit_test_setup_teardown(an_emptied_index_is_as_a_new_one, store_set_up, store_tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
