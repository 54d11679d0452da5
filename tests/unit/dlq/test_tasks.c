/* The index of tasks: what events come to, and what is forgotten. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tasks.h"

static char folder[64];
static struct arena *arena;

static int set_up(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/stepmill-tasks-XXXXXX");
    arena = arena_new(16 * 1024 * 1024);
    return mkdtemp(folder) && arena ? 0 : -1;
}

static int tear_down(void **state)
{
    static const char *const ends[] = {"", "-wal", "-shm"};
    char path[128];

    (void)state;
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        snprintf(path, sizeof path, "%s/tasks.db%s", folder, ends[i]);
        unlink(path);
    }
    arena_free(arena);
    return rmdir(folder);
}

static struct tasks *open_tasks(bool writer)
{
    struct tasks_options o = {.folder = folder, .keep_ms = 1000 * 1000, .rows_max = 10};
    char detail[256] = "";
    struct tasks *t;
    struct error error =
        writer ? tasks_open_writer(&o, &t, detail, sizeof detail) : tasks_open_reader(&o, &t, detail, sizeof detail);

    if (failed(error))
        fail_msg("%s: %s", error.code, detail);
    return t;
}

static void fold(struct tasks *t, const char *task, int seq, int64_t at_ms, struct event e)
{
    struct kafka_record r = {.topic = "events", .partition = 1, .offset = at_ms};

    e.task_id = slice_of(task);
    e.session_id = SLICE("s-1");
    e.agent = SLICE("search");
    e.trace_id = SLICE("0123");
    e.seq = seq;
    e.at_us = at_ms * 1000;
    tasks_fold(t, &e, &r);
}

static struct event started(int redrives)
{
    return (struct event){
        .kind = EVENT_STARTED,
        .started = {.input = {.prompt = SLICE("what is it?"), .parent_task_id = SLICE("p-1")}, .redrives = redrives}};
}

static struct event answered(void)
{
    return (struct event){.kind = EVENT_MODEL_ANSWERED,
                          .model = {.model = SLICE("gpt"),
                                    .content = SLICE("look"),
                                    .ncalls = 1,
                                    .finish = FINISH_TOOL_CALLS,
                                    .prompt_tokens = 100,
                                    .completion_tokens = 20,
                                    .duration_ms = 300}};
}

static struct event looked(void)
{
    return (struct event){.kind = EVENT_TOOL_ANSWERED,
                          .tool = {.name = SLICE("look"), .content = SLICE("it"), .duration_ms = 20}};
}

static struct event gave_up(void)
{
    return (struct event){.kind = EVENT_FAILED, .failed = {.class = SLICE("exhausted"), .code = SLICE("timeout"), .attempts = 3}};
}

static struct event reopened(int redrives)
{
    return (struct event){.kind = EVENT_REOPENED, .reopened = {.reopen_kind = SLICE("redrive"), .redrives = redrives}};
}

static struct event completed(void) { return (struct event){.kind = EVENT_COMPLETED, .completed = {.output = SLICE("done")}}; }

static struct task_row row_of(struct tasks *t, const char *task)
{
    struct task_row row = {0};
    bool found;

    assert_false(failed(tasks_task(t, slice_of(task), arena, &row, &found)));
    assert_true(found);
    return row;
}

static void a_life(void **state)
{
    struct tasks *w = open_tasks(true), *r;
    struct task_outcome outcomes[2];
    struct task_steps steps;
    struct task_row row;
    int64_t ended, lost;

    (void)state;
    tasks_begin(w);
    fold(w, "t-1", 0, 1000, started(0));
    fold(w, "t-1", 1, 1300, answered());
    fold(w, "t-1", 1, 1300, answered()); /* once more: at least once */
    fold(w, "t-1", 2, 1320, looked());
    fold(w, "t-1", 3, 2000, gave_up());
    tasks_set_place(w, "events", 1, 77);
    assert_false(failed(tasks_commit(w)));
    assert_int_equal(tasks_place(w, "events", 1), 77);
    r = open_tasks(false);
    row = row_of(r, "t-1");
    assert_true(row.status == TASK_FAILED && slice_is(row.error, "timeout") && row.steps == 1 && row.tool_calls == 1);
    assert_true(row.prompt_tokens == 100 && row.completion_tokens == 20 && row.first_ms == 1000 && row.last_ms == 2000);
    assert_true(slice_is(row.parent_task_id, "p-1") && slice_is(row.prompt, "what is it?") && row.last_seq == 3);
    tasks_begin(w);
    fold(w, "t-1", 4, 5000, reopened(1));
    assert_false(failed(tasks_commit(w)));
    assert_true(row_of(r, "t-1").status == TASK_RUNNING && row_of(r, "t-1").redrives == 1);
    tasks_begin(w);
    fold(w, "t-1", 5, 6000, completed());
    assert_false(failed(tasks_commit(w)));
    assert_false(failed(tasks_outcomes(r, (struct slice[]){SLICE("t-1"), SLICE("none")}, 2, outcomes)));
    assert_true(outcomes[0].status == TASK_COMPLETED && outcomes[0].redrives == 1 && outcomes[1].redrives == -1);
    assert_false(failed(tasks_ended(r, SLICE("search"), 0, 10000, &ended, &lost)));
    assert_true(ended == 1 && lost == 0);
    assert_false(failed(tasks_steps(r, SLICE("t-1"), arena, &steps)));
    assert_int_equal(steps.n, 6);
    assert_true(steps.at[1].kind == EVENT_MODEL_ANSWERED && slice_is(steps.at[1].name, "gpt") && steps.at[1].calls == 1);
    assert_true(slice_is(steps.at[1].outcome, "tool_calls") && slice_is(steps.at[2].outcome, "ok") && steps.at[2].offset == 1320);
    tasks_close(r);
    tasks_close(w);
}

/* Redriven when its cells were gone: it begins again at 0, and only the later run counts. */
static void a_run_without_its_cells(void **state)
{
    struct tasks *w = open_tasks(true);
    struct task_steps steps;
    struct task_row row;

    (void)state;
    tasks_begin(w);
    fold(w, "t-1", 0, 1000, started(0));
    fold(w, "t-1", 1, 1300, answered());
    fold(w, "t-1", 2, 1320, looked());
    fold(w, "t-1", 3, 2000, gave_up());
    assert_false(failed(tasks_commit(w)));
    tasks_begin(w);
    fold(w, "t-1", 0, 9000, started(1));
    fold(w, "t-1", 1, 9300, completed());
    assert_false(failed(tasks_commit(w)));
    row = row_of(w, "t-1");
    assert_true(row.status == TASK_COMPLETED && row.redrives == 1 && row.steps == 0 && row.first_ms == 9000);
    assert_false(failed(tasks_steps(w, SLICE("t-1"), arena, &steps)));
    assert_int_equal(steps.n, 2);
    tasks_close(w);
}

static void lists_and_limits(void **state)
{
    struct tasks *w = open_tasks(true);
    struct task_page page;
    char name[16];
    bool more;

    (void)state;
    tasks_begin(w);
    for (int i = 0; i < 30; i++) {
        snprintf(name, sizeof name, "t-%d", i);
        fold(w, name, 0, 10000 + i, started(0));
        if (i % 2)
            fold(w, name, 1, 20000 + i, completed());
    }
    assert_false(failed(tasks_commit(w)));
    assert_false(failed(tasks_list(w, &(struct task_filter){.statuses = 1U << TASK_COMPLETED}, 0, 10, arena, &page)));
    assert_true(page.n == 10 && page.next && slice_is(page.rows[0].task_id, "t-29") && slice_is(page.rows[9].task_id, "t-11"));
    assert_false(failed(tasks_list(w, &(struct task_filter){.statuses = 1U << TASK_COMPLETED}, page.next, 10, arena, &page)));
    assert_true(page.n == 5 && !page.next);
    assert_false(failed(
        tasks_list(w, &(struct task_filter){.session_id = SLICE("s-1"), .from_ms = 10000, .to_ms = 10005}, 0, 10, arena, &page)));
    assert_int_equal(page.n, 3);
    assert_false(failed(tasks_trim(w, 30000, 5, &more)));
    assert_true(more);
    while (more)
        assert_false(failed(tasks_trim(w, 30000, 5, &more)));
    assert_false(failed(tasks_list(w, &(struct task_filter){.agent = SLICE("search")}, 0, 100, arena, &page)));
    assert_true(page.n == 10 && slice_is(page.rows[0].task_id, "t-29"));
    assert_false(failed(tasks_trim(w, 20020 + 1000 * 1000, 100, &more))); /* too old now: those before 20020 */
    assert_false(failed(tasks_list(w, &(struct task_filter){.agent = SLICE("search")}, 0, 100, arena, &page)));
    assert_int_equal(page.n, 5);
    tasks_close(w);
}

static void tasks_of_another_topic_go(void **state)
{
    struct tasks *w = open_tasks(true);
    struct task_page page;

    (void)state;
    assert_true(tasks_is_of_topic(w, "events", "id-1"));
    tasks_begin(w);
    fold(w, "t-1", 0, 1000, started(0));
    tasks_set_place(w, "events", 1, 7);
    assert_false(failed(tasks_commit(w)));
    assert_false(tasks_is_of_topic(w, "events", "id-2"));
    assert_false(failed(tasks_empty(w)));
    assert_true(tasks_place(w, "events", 1) == KAFKA_OFFSET_BEGINNING && tasks_is_of_topic(w, "events", "id-2"));
    assert_false(failed(tasks_list(w, &(struct task_filter){.agent = SLICE("search")}, 0, 100, arena, &page)));
    assert_int_equal(page.n, 0);
    tasks_close(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_life, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_run_without_its_cells, set_up, tear_down),
        cmocka_unit_test_setup_teardown(lists_and_limits, set_up, tear_down),
        cmocka_unit_test_setup_teardown(tasks_of_another_topic_go, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
