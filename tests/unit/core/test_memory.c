/* core without memory: a task's history, the finished offsets, lanes, and what `done` says. */
#include "memory_faults.h"

#include <stdio.h>

#include "stepmill/done.h"
#include "stepmill/history.h"
#include "stepmill/offsets.h"
#include "stepmill/partition.h"

/* Any bytes: the fold never looks into them. */
static bool add(struct history *h, struct event e)
{
    char bytes[64] = "\0\0\0\0\1";
    struct digest digest;
    struct slice text = {bytes, 5};

    text.len += (size_t)snprintf(bytes + 5, sizeof bytes - 5, "%s %d", event_kind_name(e.kind), e.seq);
    digest = history_digest(h, e.seq, text);
    saw(digest_slice(&digest));
    return fine(history_hold(h, e.seq, &digest, text)) && fine(history_apply(h, &e));
}

static bool add_step(struct history *h, int32_t seq)
{
    static const struct tool_call calls[] = {{SLICE("c1"), SLICE("search"), SLICE("{}")},
                                             {SLICE("c2"), SLICE("send"), SLICE("{}")}};
    struct event model = {
        .kind = EVENT_MODEL_ANSWERED,
        .seq = seq,
        .model = {.model = SLICE("m"), .calls = calls, .ncalls = 2, .finish = FINISH_TOOL_CALLS, .prompt_tokens = 1}};

    for (int32_t i = 0; i < 2; i++)
        if (!add(h, i == 0 ? model : (struct event){.kind = EVENT_TOOL_ANSWERED, .seq = seq + 1}))
            return false;
    return add(h, (struct event){.kind = EVENT_TOOL_ANSWERED, .seq = seq + 2});
}

static bool history(void)
{
    static const struct frozen_tool tools[] = {{SLICE("search"), SLICE("1"), true, false},
                                               {SLICE("send"), SLICE("2"), false, true}};
    struct event start = {
        .kind = EVENT_STARTED,
        .started = {
            .origin = {SLICE("agent.tasks.a"), 3, 42}, .max_steps = 25, .token_budget = 8192, .tools = tools, .ntools = 2}};
    struct arena *arena = arena_new(1 << 20);
    struct history h;
    bool done = arena != NULL;

    if (!done)
        return false;
    history_init(&h, arena);
    done = add(&h, start);
    for (int32_t step = 0; done && step < 20; step++)
        done = add_step(&h, 1 + 3 * step);
    saw_number(history_decide(&h).kind);
    saw_number(h.ncells);
    arena_free(arena);
    return done;
}

/* Every third is not finished; then runs, gaps, and the text read back. */
static bool finish_some(struct offsets *o)
{
    for (int64_t i = 100; i < 1000; i++)
        if (i % 3 && !offsets_finish(o, i))
            return false;
    return offsets_finish_gap(o, 5000, 9000);
}

static bool offsets(void)
{
    struct offsets *o = offsets_new(100), *copy = o && finish_some(o) ? offsets_copy(o) : NULL, *read = NULL;
    char text[OFFSETS_TEXT_MAX];
    const char *why = "";
    size_t len = 0;
    bool done = copy && offsets_encode(copy, text, sizeof text, &len);

    if (done) {
        read = offsets_decode(offsets_watermark(o), text, len, &why);
        if (!read && why)
            fail_msg("allocation failed, and the text is blamed: %s", why);
        done = read;
    }
    for (int64_t i = 100; done && i < 9100; i++)
        if (offsets_is_finished(read, i) != offsets_is_finished(o, i))
            fail_msg("offset %lld was lost or made up", (long long)i);
    saw((struct slice){text, len});
    offsets_free(o);
    offsets_free(copy);
    offsets_free(read);
    return done;
}

/* What finishes nothing must change nothing: else a result would count as sent. */
static bool offsets_stay(void)
{
    struct offsets *o = offsets_new(100);
    bool done = o != NULL;

    for (int64_t i = 150; done && i < 100000; i = i * 5 / 4)
        if (!offsets_finish(o, i)) {
            done = false;
            if (offsets_is_finished(o, i) || offsets_watermark(o) != 100 || (i > 150 && !offsets_is_finished(o, 150)))
                fail_msg("offset %lld could not be finished, and something changed", (long long)i);
        }
    offsets_free(o);
    return done;
}

enum { RECORDS = 60 };

/* Takes one; a second try with memory must take it in the same place. */
static bool take(struct partition *p, struct waiting *w)
{
    enum partition_take taken = partition_take(p, w);

    if (taken == PARTITION_SKIP)
        fail_msg("a record was skipped for want of memory");
    return taken == PARTITION_TAKEN;
}

static bool lanes(void)
{
    struct offsets *finished = offsets_new(0);
    struct waiting records[RECORDS], *w;
    struct partition p;
    char keys[RECORDS][16];
    bool done = finished != NULL;

    if (!done)
        return false;
    partition_init(&p, "t", 0, 1, finished);
    for (int i = 0; done && i < RECORDS; i++) {
        struct slice key = {keys[i], (size_t)snprintf(keys[i], sizeof keys[i], "key %d", i % 40)};

        records[i] = (struct waiting){.offset = i * 2, .key = i % 10 ? key : (struct slice){NULL, 0}};
        done = take(&p, &records[i]);
    }
    while (done && (w = partition_peek(&p))) {
        saw_number(w->offset);
        partition_admit(&p, w);
        partition_release(&p, w);
        done = w->offset % 4 || partition_finish(&p, w);
    }
    while (partition_drain(&p))
        ;
    saw_number(offsets_watermark(p.finished));
    partition_clear(&p);
    return done;
}

static bool done_text(void)
{
    struct done d = {
        .status = DONE_FAILED, .origin = {SLICE("agent.tasks.search"), 3, 12345}, .redrives = 2, .input_hash = {{1, 2}}};
    struct buf b = BUF(DONE_TEXT_MAX);

    done_encode(&d, &b);
    return saw_buf(&b);
}

int main(void)
{
    static const struct memory_operation operations[] = {
        {"history", history, false}, {"offsets", offsets, false}, {"offsets that can't be finished", offsets_stay, false},
        {"lanes", lanes, false},     {"done", done_text, false},
    };

    return memory_faults_run("core without memory", operations, sizeof operations / sizeof *operations);
}
