/* history: which event may stand where, who its parents are, and what is decided next. */
#include "helper_unit.h"

#include "stepmill/history.h"

/* A history with an arena, and the next event's bytes made from its kind and seq: enough to tell cells apart. */
struct bench {
    struct arena *arena;
    struct history h;
};

static const struct frozen_tool tools[] = {{SLICE("search"), SLICE("1"), true, false}, {SLICE("send"), SLICE("2"), false, true}};

static struct bench make(void)
{
    struct bench b = {.arena = arena_new(1 << 20)};

    history_init(&b.h, b.arena);
    return b;
}

static void clear(struct bench *b) { arena_free(b->arena); }

static struct error add(struct bench *b, struct event e)
{
    char bytes[64] = "\0\0\0\0\1";
    struct digest digest;
    struct slice text;
    int n = snprintf(bytes + 5, sizeof bytes - 5, "%s %d", event_kind_name(e.kind), e.seq);

    text = (struct slice){bytes, 5 + (size_t)n};
    digest = history_digest(&b->h, e.seq, text);
    assert_false(failed(history_hold(&b->h, e.seq, &digest, text)));
    return history_apply(&b->h, &e);
}

static struct event started(int32_t max_steps, int32_t budget)
{
    return (struct event){.kind = EVENT_STARTED,
                          .started = {.origin = {SLICE("agent.tasks.a"), 3, 42},
                                      .max_steps = max_steps,
                                      .token_budget = budget,
                                      .tools = tools,
                                      .ntools = 2}};
}

static struct event model(int32_t seq, const struct tool_call *calls, size_t ncalls, int64_t tokens)
{
    return (struct event){.kind = EVENT_MODEL_ANSWERED,
                          .seq = seq,
                          .model = {.model = SLICE("m"),
                                    .content = SLICE("said"),
                                    .calls = calls,
                                    .ncalls = ncalls,
                                    .finish = ncalls ? FINISH_TOOL_CALLS : FINISH_STOP,
                                    .prompt_tokens = tokens}};
}

static struct event tool(int32_t seq)
{
    return (struct event){.kind = EVENT_TOOL_ANSWERED, .seq = seq, .tool = {.outcome = TOOL_OK}};
}

static const struct tool_call two_calls[] = {{SLICE("c1"), SLICE("search"), SLICE("{}")},
                                             {SLICE("c2"), SLICE("send"), SLICE("{}")}};

static void one_step_of_150_tokens_completes(void **state)
{
    struct bench b = make();
    char hex[2 * DIGEST_SIZE + 1];
    struct decision d;
    struct task_result r;
    struct event e = model(1, NULL, 0, 100);

    (void)state;
    assert_int_equal(history_decide(&b.h).kind, DECIDE_START);
    assert_false(failed(add(&b, started(10, 8192))));
    d = history_decide(&b.h);
    assert_int_equal(d.kind, DECIDE_CALL);
    assert_int_equal(d.seq, 1);
    e.model.completion_tokens = 50;
    assert_false(failed(add(&b, e)));
    d = history_decide(&b.h);
    assert_int_equal(d.kind, DECIDE_END);
    assert_int_equal(d.seq, 2);
    assert_true(slice_is(d.completed.output, "said"));
    assert_null(d.completed.error.at);
    assert_false(failed(add(&b, (struct event){.kind = EVENT_COMPLETED, .seq = 2, .completed = d.completed})));
    assert_int_equal(history_decide(&b.h).kind, DECIDE_SETTLE);
    r = history_result(&b.h, hex);
    assert_int_equal(r.tokens_used, 150);
    assert_int_equal(r.steps_used, 1);
    assert_true(slice_is(r.status, "completed"));
    assert_int_equal(strlen(hex), 32);
    clear(&b);
}

static void tools_run_at_once_and_answer_in_any_order(void **state)
{
    struct bench b = make();
    int32_t first, last;

    (void)state;
    assert_false(failed(add(&b, started(10, 8192))));
    assert_false(failed(add(&b, model(1, two_calls, 2, 10))));
    assert_int_equal(history_decide(&b.h).kind, DECIDE_ACT);
    assert_null(history_decide(&b.h).refuse);
    assert_true(history_parents(&b.h, 3, &first, &last));
    assert_int_equal(first, 1);
    assert_int_equal(last, 1);
    assert_false(failed(add(&b, tool(3))));
    assert_int_equal(history_decide(&b.h).kind, DECIDE_ACT);
    assert_true(failed(add(&b, tool(3)))); /* twice */
    assert_false(failed(add(&b, tool(2))));
    assert_int_equal(history_decide(&b.h).kind, DECIDE_CALL);
    assert_int_equal(history_decide(&b.h).seq, 4);
    assert_true(history_parents(&b.h, 4, &first, &last)); /* all of the group */
    assert_int_equal(first, 1);
    assert_int_equal(last, 3);
    clear(&b);
}

static void a_digest_names_the_whole_history(void **state)
{
    struct bench a = make(), b = make();

    (void)state;
    assert_false(failed(add(&a, started(10, 8192))));
    assert_false(failed(add(&a, model(1, two_calls, 2, 10))));
    assert_false(failed(add(&a, tool(2))));
    assert_false(failed(add(&a, tool(3))));
    assert_false(failed(add(&a, model(4, NULL, 0, 10))));
    assert_false(failed(add(&b, started(10, 8192))));
    assert_false(failed(add(&b, model(1, two_calls, 2, 10))));
    assert_false(failed(add(&b, tool(3)))); /* another order of arrival: the same history */
    assert_false(failed(add(&b, tool(2))));
    assert_false(failed(add(&b, model(4, NULL, 0, 10))));
    assert_true(digest_equal(&a.h.cells[4].digest, &b.h.cells[4].digest));
    b.h.cells[2].digest.bytes[0] ^= 1;
    struct digest other = history_digest(&b.h, 5, (struct slice){"\0\0\0\0\1x", 6});
    struct digest same = history_digest(&a.h, 5, (struct slice){"\0\0\0\0\1x", 6});
    assert_true(digest_equal(&other, &same)); /* only the group before counts … */
    b.h.cells[4].digest.bytes[0] ^= 1;
    other = history_digest(&b.h, 5, (struct slice){"\0\0\0\0\1x", 6});
    assert_false(digest_equal(&other, &same)); /* … and through it all before */
    clear(&a);
    clear(&b);
}

/* Each limit, as the requirements name it. */
static void limits_complete_with_the_partial_output(void **state)
{
    static const struct {
        int32_t max_steps, budget;
        int64_t tokens;
        size_t calls;
        enum finish_reason finish;
        const char *error;
        enum decision_kind at_once;
    } cases[] = {
        {10, 512, 513, 0, FINISH_STOP, "token_budget_exceeded", DECIDE_END},
        {10, 512, 513, 2, FINISH_TOOL_CALLS, "token_budget_exceeded", DECIDE_ACT},
        {10, 512, 512, 2, FINISH_TOOL_CALLS, "token_budget_exceeded", DECIDE_ACT}, /* the next call is sure to exceed it */
        {10, 512, 512, 0, FINISH_STOP, NULL, DECIDE_END},
        {1, 8192, 10, 2, FINISH_TOOL_CALLS, "max_steps_reached", DECIDE_ACT},
        {10, 8192, 10, 0, FINISH_LENGTH, "output_truncated", DECIDE_END},
        {10, 8192, 10, 0, FINISH_OTHER, NULL, DECIDE_END},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct bench b = make();
        struct event e = model(1, two_calls, cases[i].calls, cases[i].tokens);
        struct decision d;

        e.model.finish = cases[i].finish;
        assert_false(failed(add(&b, started(cases[i].max_steps, cases[i].budget))));
        assert_false(failed(add(&b, e)));
        d = history_decide(&b.h);
        assert_int_equal(d.kind, cases[i].at_once);
        for (int32_t k = 0; k < (int32_t)cases[i].calls; k++)
            assert_false(failed(add(&b, tool(2 + k))));
        d = history_decide(&b.h);
        assert_int_equal(d.kind, DECIDE_END);
        assert_int_equal(d.end_kind, EVENT_COMPLETED);
        assert_true(slice_is(d.completed.output, "said"));
        assert_true(cases[i].error ? slice_is(d.completed.error, cases[i].error) : !d.completed.error.at);
        clear(&b);
    }
}

static void over_budget_tools_are_refused(void **state)
{
    struct bench b = make();

    (void)state;
    assert_false(failed(add(&b, started(10, 512))));
    assert_false(failed(add(&b, model(1, two_calls, 2, 513))));
    assert_non_null(history_decide(&b.h).refuse);
    clear(&b);
}

static void refusals_fail_as_a_limit(void **state)
{
    static const enum finish_reason reasons[] = {FINISH_CONTENT_FILTER, FINISH_REFUSAL};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct bench b = make();
        struct event e = model(1, NULL, 0, 1);
        struct decision d;

        e.model.finish = reasons[i];
        assert_false(failed(add(&b, started(10, 512))));
        assert_false(failed(add(&b, e)));
        d = history_decide(&b.h);
        assert_int_equal(d.end_kind, EVENT_FAILED);
        assert_true(slice_is(d.failed.class, "limit"));
        assert_true(slice_is(d.failed.code, "refused"));
        assert_false(d.failed.retryable);
        clear(&b);
    }
}

static void a_tool_left_in_doubt_fails_the_task_if_its_file_says_so(void **state)
{
    (void)state;
    for (int in_doubt = 2; in_doubt <= 3; in_doubt++) { /* seq 2: search may be left in doubt; 3: send may not */
        struct bench b = make();
        struct decision d;

        assert_false(failed(add(&b, started(10, 8192))));
        assert_false(failed(add(&b, model(1, two_calls, 2, 10))));
        for (int seq = 2; seq <= 3; seq++) {
            struct event e = tool(seq);

            e.tool.outcome = seq == in_doubt ? TOOL_UNKNOWN : TOOL_OK;
            assert_false(failed(add(&b, e)));
        }
        d = history_decide(&b.h);
        assert_int_equal(d.kind, in_doubt == 2 ? DECIDE_CALL : DECIDE_END);
        if (in_doubt == 3) {
            assert_true(slice_is(d.failed.code, "tool_outcome_unknown"));
            assert_false(d.failed.retryable);
        }
        clear(&b);
    }
}

static void a_redrive_goes_on_where_it_failed(void **state)
{
    struct bench b = make();
    struct event failed_event = {
        .kind = EVENT_FAILED, .seq = 4, .failed = {.class = SLICE("exhausted"), .code = SLICE("model_http_500")}};
    struct event reopened = {.kind = EVENT_REOPENED,
                             .seq = 5,
                             .reopened = {.redrives = 1, .origin = {SLICE("agent.tasks.a"), 3, 77}, .deadline_at_ms = 99}};

    (void)state;
    assert_false(failed(add(&b, started(10, 8192))));
    assert_false(failed(add(&b, model(1, two_calls, 2, 10))));
    assert_true(failed(history_apply(&b.h, &reopened)));
    assert_false(failed(add(&b, tool(2))));
    assert_false(failed(add(&b, tool(3))));
    assert_false(failed(add(&b, failed_event)));
    assert_int_equal(history_decide(&b.h).kind, DECIDE_SETTLE);
    assert_false(failed(add(&b, reopened)));
    assert_int_equal(b.h.origin.offset, 77);
    assert_int_equal(b.h.redrives, 1);
    assert_int_equal(history_decide(&b.h).kind, DECIDE_CALL); /* paid-for steps stay */
    assert_int_equal(history_decide(&b.h).seq, 6);
    assert_int_equal(b.h.steps_used, 1);
    clear(&b);
}

static void events_out_of_place_are_refused(void **state)
{
    struct bench b = make();
    struct event wrong[] = {
        model(1, NULL, 0, 1), tool(1), {.kind = EVENT_COMPLETED, .seq = 0}, {.kind = EVENT_REOPENED, .seq = 0}};

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_true(failed(history_apply(&b.h, &wrong[i])));
    assert_false(failed(add(&b, started(10, 8192))));
    assert_true(failed(history_apply(&b.h, &(struct event){.kind = EVENT_STARTED})));
    assert_true(history_follows(&b.h, 1));
    assert_false(history_follows(&b.h, 0));
    assert_false(history_follows(&b.h, 2));
    wrong[0].seq = 2; /* a gap */
    assert_true(failed(history_apply(&b.h, &wrong[0])));
    assert_false(failed(add(&b, model(1, two_calls, 2, 1))));
    assert_true(history_follows(&b.h, 3));
    assert_false(history_follows(&b.h, 4));                                                       /* the group is open */
    assert_true(failed(history_apply(&b.h, &(struct event){.kind = EVENT_COMPLETED, .seq = 4}))); /* the group is not full */
    assert_true(failed(history_apply(&b.h, &(struct event){.kind = EVENT_TOOL_ANSWERED, .seq = 4})));
    clear(&b);
}

static void cells_keep_their_bytes_and_their_group(void **state)
{
    struct bench b = make();

    (void)state;
    assert_false(failed(add(&b, started(10, 8192))));
    assert_false(failed(add(&b, model(1, two_calls, 2, 1))));
    assert_false(failed(add(&b, tool(3))));
    assert_false(history_holds(&b.h, 2));
    assert_true(history_holds(&b.h, 3));
    assert_int_equal(b.h.cells[3].group, 1);
    assert_int_equal(b.h.cells[0].group, 0);
    assert_true(failed(history_hold(&b.h, HISTORY_CELLS_MAX, &(struct digest){{0}}, SLICE("x"))));
    history_reset(&b.h);
    assert_int_equal(b.h.ncells, 0);
    assert_int_equal(history_decide(&b.h).kind, DECIDE_START);
    clear(&b);
}

/* A damaged cell: sums over it would overflow. */
static void impossible_numbers_are_refused(void **state)
{
    static const int64_t bad_tokens[] = {-1, INT64_MAX, (int64_t)INT32_MAX + 1, INT64_MIN};
    static const int64_t bad_times[] = {-1, INT64_MAX, INT64_MIN, INT64_C(253402300800000000)};

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        struct bench b = make();
        struct event by_tokens = model(1, NULL, 0, bad_tokens[i]), by_time = model(1, NULL, 0, 1);

        by_time.at_us = bad_times[i];
        assert_false(failed(add(&b, started(10, 8192))));
        assert_string_equal(add(&b, by_tokens).code, "history_broken");
        assert_string_equal(add(&b, by_time).code, "history_broken");
        assert_int_equal(history_decide(&b.h).kind, DECIDE_CALL);
        clear(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_step_of_150_tokens_completes),
        cmocka_unit_test(impossible_numbers_are_refused),
        cmocka_unit_test(tools_run_at_once_and_answer_in_any_order),
        cmocka_unit_test(a_digest_names_the_whole_history),
        cmocka_unit_test(limits_complete_with_the_partial_output),
        cmocka_unit_test(over_budget_tools_are_refused),
        cmocka_unit_test(refusals_fail_as_a_limit),
        cmocka_unit_test(a_tool_left_in_doubt_fails_the_task_if_its_file_says_so),
        cmocka_unit_test(a_redrive_goes_on_where_it_failed),
        cmocka_unit_test(events_out_of_place_are_refused),
        cmocka_unit_test(cells_keep_their_bytes_and_their_group),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
