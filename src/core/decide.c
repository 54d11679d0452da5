/* What to do next with a task, from its cells alone; and the result that its terminal event stands for. */
#include "stepmill/history.h"

enum { UTF8_MAX = 4 }; /* bytes of a character: a text is cut between two of them */

const struct frozen_tool *history_tool(const struct history *h, struct slice name)
{
    for (size_t i = 0; i < h->started.ntools; i++)
        if (slice_equal(h->started.tools[i].name, name))
            return &h->started.tools[i];
    return NULL;
}

static struct decision complete(const struct history *h, const char *error)
{
    return (struct decision){
        .kind = DECIDE_END,
        .seq = history_next_seq(h),
        .end_kind = EVENT_COMPLETED,
        .completed = {.output = h->content,
                      .error = error ? slice_of(error) : (struct slice){NULL, 0},
                      .output_cut = h->finish == FINISH_LENGTH && h->content.len > EVENT_TEXT_MAX - UTF8_MAX},
    };
}

static struct decision fail(const struct history *h, enum error_class class, const char *code, const char *message,
                            const char *stage)
{
    return (struct decision){
        .kind = DECIDE_END,
        .seq = history_next_seq(h),
        .end_kind = EVENT_FAILED,
        .failed = {.class = slice_of(error_class_name(class)),
                   .code = slice_of(code),
                   .message = slice_of(message),
                   .stage = slice_of(stage),
                   .final = true,
                   .attempts = 1,
                   .output = h->content},
    };
}

static int64_t tokens_used(const struct history *h) { return h->prompt_tokens + h->completion_tokens; }

/* Why the newest answer's tool calls are not run, or NULL. */
static const char *why_no_tools(const struct history *h)
{
    if (tokens_used(h) > h->started.token_budget)
        return "not run: the task's token budget is used up";
    if (h->finish == FINISH_LENGTH)
        return "not run: the model's answer was cut off";
    if (h->finish == FINISH_CONTENT_FILTER || h->finish == FINISH_REFUSAL)
        return "not run: the model's answer was refused";
    return NULL;
}

/* The newest group is a model's answer and full: end, or think again. */
static struct decision after_answer(const struct history *h)
{
    if (h->finish == FINISH_CONTENT_FILTER)
        return fail(h, CLASS_LIMIT, "refused", "the provider's content filter stopped the answer", "model");
    if (h->finish == FINISH_REFUSAL)
        return fail(h, CLASS_LIMIT, "refused", "the model refused to answer", "model");
    if (h->outcome_unknown)
        return fail(h, CLASS_REJECTED, "tool_outcome_unknown",
                    "a tool that must not be repeated was called and its answer was lost", "tool");
    if (tokens_used(h) > h->started.token_budget)
        return complete(h, "token_budget_exceeded");
    if (h->finish == FINISH_LENGTH)
        return complete(h, "output_truncated");
    if (h->ncalls == 0)
        return complete(h, NULL);
    if (h->steps_used >= h->started.max_steps)
        return complete(h, "max_steps_reached");
    if (tokens_used(h) == h->started.token_budget) /* the next call is sure to exceed it */
        return complete(h, "token_budget_exceeded");
    return (struct decision){.kind = DECIDE_CALL, .seq = history_next_seq(h)};
}

struct decision history_decide(const struct history *h)
{
    switch (h->phase) {
    case HISTORY_EMPTY:
        return (struct decision){.kind = DECIDE_START};
    case HISTORY_PARKED:
        return (struct decision){.kind = DECIDE_SLEEP};
    case HISTORY_ENDED:
        return (struct decision){.kind = DECIDE_SETTLE};
    case HISTORY_OPEN:
        break;
    }
    if (history_group_open(h))
        return (struct decision){.kind = DECIDE_ACT, .seq = h->group_first + 1, .refuse = why_no_tools(h)};
    if (h->group_kind == EVENT_MODEL_ANSWERED)
        return after_answer(h);
    return (struct decision){.kind = DECIDE_CALL, .seq = history_next_seq(h)};
}

struct task_result history_result(const struct history *h, char history_hex[2 * DIGEST_SIZE + 1])
{
    const struct task_input *in = &h->started.input;
    struct task_result r = {
        .task_id = in->task_id,
        .session_id = in->session_id,
        .agent = in->target_agent,
        .steps_used = h->steps_used,
        .tokens_used = tokens_used(h),
        .prompt_tokens = h->prompt_tokens,
        .completion_tokens = h->completion_tokens,
        .tool_calls = h->tool_calls,
        .model = h->model,
        .duration_ms = (h->ended_at_us - h->started_at_us) / 1000,
        .finished_at_ms = h->ended_at_us / 1000,
        .redrives = h->redrives,
        .final = true,
    };

    if (h->phase != HISTORY_ENDED)
        bug("a result was asked of a task that has not ended");
    digest_text(history_hex, &h->cells[h->group_first].digest);
    r.history = (struct slice){history_hex, 2 * (size_t)DIGEST_SIZE};
    if (h->end_kind == EVENT_COMPLETED) {
        r.status = SLICE("completed");
        r.output = h->completed.output;
        r.error = h->completed.error;
    } else if (h->end_kind == EVENT_FAILED) {
        r.status = SLICE("failed");
        r.output = h->failed.output;
        r.error = h->failed.code;
        r.final = h->failed.final;
    } else {
        r.status = SLICE("cancelled");
        r.output = h->cancelled.output;
        r.error = h->cancelled.reason;
    }
    return r;
}
