/* Fuzzes the fold: cells of any kind at any place, as a damaged Redis could hand them over, are refused or leave a state that has
 * a next step.
 */
#include "fuzz_input.h"
#include "stepmill/history.h"

enum { KINDS = EVENT_REOPENED + 1, CALLS = 40, TOOLS = 3 };

struct parts {
    struct tool_call calls[CALLS];
    struct frozen_tool tools[TOOLS];
};

static struct event make_event(struct fuzz_input *in, int32_t next, struct parts *parts)
{
    static const struct slice names[] = {{"look", 4}, {"book", 4}, {"", 0}, {NULL, 0}};
    struct event e = {.task_id = SLICE("t"), .kind = (enum event_kind)fuzz_number(in, KINDS - 1)};

    e.seq = next - 2 + (int32_t)fuzz_number(in, 4); /* mostly where it could stand */
    e.at_us = (int64_t)fuzz_number(in, UINT64_MAX);
    switch (e.kind) {
    case EVENT_STARTED:
        e.started.max_steps = (int32_t)fuzz_number(in, 25);
        e.started.token_budget = (int32_t)fuzz_number(in, UINT16_MAX);
        e.started.tools = parts->tools;
        e.started.ntools = fuzz_number(in, TOOLS);
        for (size_t i = 0; i < e.started.ntools; i++)
            parts->tools[i] = (struct frozen_tool){names[fuzz_number(in, 3)], SLICE("1"), fuzz_number(in, 1), fuzz_number(in, 1)};
        break;
    case EVENT_MODEL_ANSWERED:
        e.model.calls = parts->calls;
        e.model.ncalls = fuzz_number(in, CALLS);
        for (size_t i = 0; i < e.model.ncalls; i++)
            parts->calls[i] = (struct tool_call){SLICE("c"), names[i % 4], {NULL, 0}};
        e.model.finish = (enum finish_reason)fuzz_number(in, FINISH_OTHER);
        e.model.prompt_tokens = (int64_t)fuzz_number(in, UINT64_MAX);
        e.model.completion_tokens = (int64_t)fuzz_number(in, UINT64_MAX);
        break;
    case EVENT_TOOL_ANSWERED:
        e.tool.outcome = (enum tool_outcome)fuzz_number(in, TOOL_UNKNOWN);
        break;
    case EVENT_REOPENED:
        e.reopened.redrives = (int32_t)fuzz_number(in, 3);
        break;
    default:
        break;
    }
    return e;
}

/* Whatever was taken, something comes next, and it stands where a cell may stand. */
static void check_state(const struct history *h)
{
    struct decision d = history_decide(h);
    char hex[2 * DIGEST_SIZE + 1];
    struct digest digest;

    if (d.kind == DECIDE_SETTLE) {
        struct task_result r = history_result(h, hex);

        if (!r.status.at || strlen(hex) != 2 * DIGEST_SIZE)
            bug("an end without a result");
    } else if (d.kind != DECIDE_START && d.kind != DECIDE_SLEEP) {
        if (d.kind != DECIDE_ACT && !history_follows(h, d.seq))
            bug("cell %d is next, and may not follow", d.seq);
        if (d.kind == DECIDE_ACT && !history_group_open(h))
            bug("nothing is open to act on");
        digest = history_digest(h, d.seq, SLICE("\0\0\0\0\7event"));
        (void)digest;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = fuzz_begin(data, size);
    static struct parts parts[256];
    struct arena *arena = arena_new(4 << 20);
    struct history h;
    struct digest digest = {{1}};

    if (!arena)
        abort();
    history_init(&h, arena);
    for (size_t n = 0; in.at < in.end && n < 256; n++) {
        struct event e = make_event(&in, history_next_seq(&h), &parts[n]);

        if (!history_follows(&h, e.seq)) /* as task_adopt's callers ask first */
            continue;
        if (failed(history_hold(&h, e.seq, &digest, SLICE("\0\0\0\0\7event"))))
            break;
        if (failed(history_apply(&h, &e)))
            break; /* the task waits for an operator */
        check_state(&h);
    }
    arena_free(arena);
    fuzz_end(&in);
    return 0;
}
