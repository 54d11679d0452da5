/* ACTING: the tool calls of one answer, all at once (DELIVERY §2 "Non-repeatable tools", §5 "Tool"). */
#include <stdio.h>

#include "stepmill/clock.h"
#include "stepmill/idempotency.h"
#include "stepmill/random.h"
#include "stepmill/retry_after.h"
#include "stepmill/rule.h"
#include "worker.h"

enum { CLAIM_GRACE_MS = 5000, RETRY_MIN_MS = 500, FENCE_MS = 60 * 1000 };

static int32_t seq_of(const struct task *t, const struct tool_run *run)
{
    return t->history.group_first + 1 + (int32_t)(run - t->runs);
}
static struct tool_call *call_of(const struct task *t, const struct tool_run *run)
{
    return &t->history.calls[run - t->runs].call;
}

/* As frozen in TaskStarted: whoever runs the task must judge alike, whatever the tool file says by now. */
static bool is_repeatable(const struct task *t, const struct tool_run *run)
{
    return RULE(frozen_tool) ? history_tool(&t->history, call_of(t, run)->name)->repeatable : run->tool->definition->repeatable;
}

/* The call's answer becomes a cell. False: the task was given up. */
static bool answer(struct task *t, struct tool_run *run, enum tool_outcome outcome, struct slice content, bool truncated)
{
    struct tool_call *call = call_of(t, run);
    const struct frozen_tool *frozen = history_tool(&t->history, call->name);
    struct event e = task_event(t, EVENT_TOOL_ANSWERED, seq_of(t, run));

    e.tool = (struct event_tool_answered){
        .call_id = call->id,
        .name = call->name,
        .version = frozen ? frozen->version : (struct slice){"", 0},
        .idempotency_key = run->key.at ? run->key : (struct slice){"", 0},
        .outcome = outcome,
        .content = content,
        .truncated = truncated,
        .duration_ms = run->began_ms ? loop_now_ms(t->worker->loop) - run->began_ms : 0,
        .attempts = run->failures,
        .nattempts = run->nfailures,
    };
    metric_add(metric_of(t->worker->numbers->tool_calls,
                         (struct slice[]){frozen ? frozen->name : SLICE("unknown"), slice_of(tool_outcome_name(outcome))}),
               1);
    return task_add_event(t, &e); /* sets the run to ANSWERED */
}

static bool answer_text(struct task *t, struct tool_run *run, enum tool_outcome outcome, const char *text)
{
    struct slice copy = arena_copy(t->arena, slice_of(text));

    return answer(t, run, outcome, copy.at ? copy : SLICE("no memory"), false);
}

void task_cancel_run(struct task *t, struct tool_run *run)
{
    if (run->request) {
        http_cancel(t->worker->http, run->request);
        worker_count(t->worker->numbers->wasted, 1);
        run->sent = true;
    }
    run->request = 0;
    run->attempt = 0;
    if (run->state != RUN_ANSWERED)
        run->state = RUN_IDLE; /* begun again if the task goes on */
}

/* A claim that stayed would make the next owner wait for it, and then call the tool's answer unknown. */
static void unclaim(struct task *t, struct tool_run *run)
{
    if (!run->claimed || run->sent || run->request || run->state == RUN_ANSWERED)
        return;
    run->claimed = false;
    cells_unclaim(t->worker->cells, (struct ticket){0, 0}, t->input.task_id, seq_of(t, run), slice_of(t->nonce));
}

void task_cancel_tools(struct task *t)
{
    for (size_t i = 0; t->runs && i < t->history.ncalls; i++) {
        unclaim(t, &t->runs[i]);
        task_cancel_run(t, &t->runs[i]);
    }
}

bool task_close_group(struct task *t, const char *refuse)
{
    for (size_t i = 0; i < t->history.ncalls; i++) {
        struct tool_run *run = &t->runs[i];
        bool out = run->sent || run->state == RUN_CALLING || run->state == RUN_HELD ||
                   t->too_large; /* what had been sent is forgotten */

        if (t->history.calls[i].answered)
            continue;
        task_cancel_run(t, run);
        if (!answer_text(t, run, out ? TOOL_UNKNOWN : TOOL_REFUSED,
                         out      ? "unknown: the task ended before the tool answered; the call may have been carried out"
                         : refuse ? refuse
                                  : "not run: the task ended first"))
            return false;
    }
    return true;
}

static void note_failure(struct task *t, struct tool_run *run, struct error error)
{
    if (!run->failures)
        run->failures = arena_alloc(t->arena, EVENT_ATTEMPTS_MAX * sizeof *run->failures);
    if (run->failures && run->nfailures < EVENT_ATTEMPTS_MAX)
        run->failures[run->nfailures++] =
            (struct attempt){run->tool->definition->name, slice_of(error.code), 0, loop_now_ms(t->worker->loop) - run->began_ms};
    t->attempts_total++;
}

/* Nobody knows whether a tool that must not run twice has run. */
static void unknown(struct task *t, struct tool_run *run)
{
    (void)answer_text(t, run, TOOL_UNKNOWN,
                      "unknown: the call was sent but its answer was lost; it may or may not have been carried out, and it will "
                      "not be repeated");
}

void task_fail_run(struct task *t, struct tool_run *run, const char *text)
{
    unclaim(t, run);
    (void)answer_text(t, run, TOOL_ERROR, text);
}

static void run_failed(struct task *t, struct tool_run *run, struct error error, const struct http_answer *a)
{
    struct worker *w = t->worker;
    int64_t now = loop_now_ms(w->loop), wait_ms = -1;
    bool slow = a->status == 429 || a->status == 529;
    bool not_run = a->status == 429 || a->status == 503; /* the tool says that it did not carry the call out */
    char text[400];

    note_failure(t, run, error);
    worker_log_attempt(t, "tool.attempt_failed", run->tool->definition->name, error, a);
    if (slow || a->status == 503)
        (void)retry_after_ms(http_answer_header(a, "Retry-After"), clock_wall_ms(), &wait_ms);
    if (RULE(unknown) && !is_repeatable(t, run) && run->sent && !not_run) {
        unknown(t, run);
        return;
    }
    if (!slow)
        run->attempts++;
    if (run->attempts < w->config->retry.tool_attempts) {
        bool asked = slow || wait_ms >= 0;

        if (wait_ms < 0)
            wait_ms =
                backoff_ms(w->config->retry.tool_backoff.min_ms, w->config->retry.tool_backoff.max_ms, run->attempts, &w->seed);
        else if (wait_ms < RETRY_MIN_MS) /* "Retry-After: 0" must not become a loop */
            wait_ms = RETRY_MIN_MS;
        if (slow)
            run->tool->slow_until_ms = now + wait_ms;
        if (not_run)
            run->sent = false;
        if (asked)
            task_wait_for_tool(t, run, wait_ms);
        else
            task_pause_run(t, run, now + wait_ms);
        return;
    }
    snprintf(text, sizeof text, "error: the tool failed %d times, last with %s: %s", run->attempts, error.code, error.text);
    (void)answer_text(t, run, TOOL_ERROR, text);
}

static struct error classify(int status)
{
    if (status >= 200 && status < 300)
        return error_none();
    if (status == 429 || status == 529)
        return error_make(CLASS_SLOW_DOWN, "tool_rate_limited", "the tool asks for a pause");
    if (status >= 500 || status == 408)
        return error_make(CLASS_AGAIN, "tool_http_5xx", "the tool answered with a server error");
    return error_make(CLASS_REJECTED, "tool_http_4xx", "the tool refused the call");
}

static void told(struct task *t, struct tool_run *run, const struct http_answer *a, struct error error)
{
    bool truncated = false;
    struct slice content = tool_answer_text(a->body, (size_t)t->worker->config->limits.tool_answer, t->arena, &truncated);
    struct buf text = BUF(TASK_MEMORY_MAX);

    if (failed(error)) {
        buf_printf(&text, "error: the tool answered %d: ", a->status);
        buf_put_slice(&text, content);
        content = text.failed ? (struct slice){NULL, 0} : arena_copy(t->arena, buf_slice(&text));
        buf_free(&text);
    }
    if (!content.at)
        task_give_up(t, error_make(CLASS_INTERNAL, "out_of_memory", "no memory left for a tool's answer"));
    else
        (void)answer(t, run, failed(error) ? TOOL_ERROR : TOOL_OK, content, truncated);
}

static void on_answer(void *ctx, const struct http_answer *a)
{
    struct worker *w = ctx;
    struct task *t = task_of(w, a->ticket);
    struct tool_run *run = NULL;
    struct error error = failed(a->error) ? a->error : classify(a->status);

    for (size_t i = 0; t && t->runs && i < t->history.ncalls; i++)
        if (t->runs[i].attempt == a->ticket.attempt && t->runs[i].state == RUN_CALLING)
            run = &t->runs[i];
    if (!run)
        return;
    run->request = 0;
    run->attempt = 0;
    run->sent |= a->sent;
    if (error.class == CLASS_LOST) /* held back: nobody was asked */
        run->state = RUN_IDLE;
    else if (failed(a->error) || error.class == CLASS_AGAIN || error.class == CLASS_SLOW_DOWN)
        run_failed(t, run, error, a);
    else
        told(t, run, a, error);
    task_ready(t);
}

static void send(struct task *t, struct tool_run *run)
{
    struct worker *w = t->worker;
    const struct tool_definition *d = run->tool->definition;
    char request_id[37], quoted[IDEMPOTENCY_HEADER_MAX], traceparent[TRACEPARENT_SIZE];
    struct http_header headers[6] = {{SLICE("Content-Type"), SLICE("application/json")}, {SLICE("X-Agent-Id"), t->agent->name}};
    struct ticket ticket = task_ticket(t);
    size_t n = 2;

    random_uuid4(&w->random, request_id);
    trace_format(&t->trace, traceparent);
    headers[n++] = (struct http_header){SLICE("X-Request-Id"), slice_of(request_id)};
    headers[n++] = (struct http_header){SLICE("Idempotency-Key"), idempotency_header(quoted, run->key)};
    headers[n++] = (struct http_header){SLICE("traceparent"), slice_of(traceparent)};
    if (d->auth_header)
        headers[n++] = (struct http_header){slice_of(d->auth_header), slice_of(d->auth_value)};
    run->state = RUN_CALLING;
    run->attempt = ticket.attempt;
    if (!run->began_ms)
        run->began_ms = loop_now_ms(w->loop);
    run->request = http_send(run->tool->endpoint, &(struct http_request){
                                                      .method = "POST",
                                                      .headers = headers,
                                                      .header_count = n,
                                                      .body = &run->body,
                                                      .body_parts = 1,
                                                      .timeout_ms = d->timeout_ms,
                                                      .max_body = (size_t)w->config->limits.tool_answer * 4,
                                                      .once = !is_repeatable(t, run),
                                                      .ticket = ticket,
                                                      .done = on_answer,
                                                      .ctx = w,
                                                      .may_send = worker_may_send,
                                                  });
}

static void claim(struct task *t, struct tool_run *run)
{
    struct ticket ticket = task_ticket(t);

    run->state = RUN_CLAIMING;
    run->attempt = ticket.attempt;
    cells_claim(t->worker->cells, ticket,
                &(struct cells_claim){.task_id = t->input.task_id,
                                      .seq = seq_of(t, run),
                                      .parents = &t->history.cells[t->history.group_first],
                                      .nparents = 1,
                                      .nonce = slice_of(t->nonce),
                                      .timeout_ms = run->tool->definition->timeout_ms});
}

void task_claimed(struct task *t, uint32_t attempt, const struct cells_answer *a)
{
    struct worker *w = t->worker;
    int64_t now = loop_now_ms(w->loop), left;
    struct tool_run *run = NULL;

    for (size_t i = 0; t->runs && i < t->history.ncalls; i++)
        if (t->runs[i].attempt == attempt && t->runs[i].state == RUN_CLAIMING)
            run = &t->runs[i];
    if (!run)
        return;
    run->attempt = 0;
    if (failed(a->error)) {
        task_wait_to_begin(t, run, OUTAGE_REDIS, now + backoff_ms(500, 2000, 2, &w->seed));
    } else if (a->status == CELLS_OK) {
        run->claimed = true;
        if (worker_may_call(w, t) && !task_missed_a_stop(t) && !t->ending)
            send(t, run);
        else
            task_pause_run(t, run, now + 1000);
    } else if (a->status == CELLS_HELD) {
        left = a->claim.since_ms + a->claim.timeout_ms + CLAIM_GRACE_MS - a->now_ms;
        if (left <= 0) {
            unknown(t, run);
        } else {
            run->state = RUN_HELD;
            run->wake_ms = now + (left < 1000 ? left : 1000); /* its cell may appear before */
            task_arm(t);
        }
    } else if (t->redis_attempt || task_has_unsaved(t)) { /* answered, stale, gone: the answer to what we save will tell */
        task_pause_run(t, run, now + 200);
    } else { /* load what is stored; the other calls go on */
        run->state = RUN_IDLE;
        t->loaded = false;
        task_wait(t, OUTAGE_REDIS, now);
    }
    task_ready(t);
}

/* First look at a call: may it be made at all? False: it has its answer, or the task was given up. */
static bool prepare(struct task *t, struct tool_run *run)
{
    struct tool_call *call = call_of(t, run);
    const struct frozen_tool *frozen = history_tool(&t->history, call->name);
    struct buf body = BUF(TASK_MEMORY_MAX);
    char key[IDEMPOTENCY_KEY_MAX];
    struct slice parts[3];

    run->tool = frozen ? agent_tool(t->agent, call->name) : NULL;
    if (!run->tool) {
        (void)answer_text(t, run, TOOL_REFUSED,
                          frozen ? "refused: this tool is not configured here any more"
                                 : "refused: there is no such tool for this agent");
        return false;
    }
    if (!tool_put_request(&body, call->arguments)) {
        buf_free(&body);
        (void)answer_text(t, run, TOOL_ERROR,
                          "error: the arguments are not one JSON object; call the tool again with valid arguments");
        return false;
    }
    run->body = arena_copy(t->arena, buf_slice(&body));
    buf_free(&body);
    parts[0] = frozen->name;
    parts[1] = frozen->version;
    parts[2] = run->body;
    idempotency_key(key, t->input.task_id, seq_of(t, run), parts, 3, 1);
    run->key = arena_copy(t->arena, slice_of(key));
    if (!run->body.at || !run->key.at)
        task_give_up(t, error_make(CLASS_INTERNAL, "out_of_memory", "no memory left for a tool call"));
    return run->body.at && run->key.at;
}

static void begin(struct task *t, struct tool_run *run)
{
    int64_t wait_ms;

    if (!run->body.at && !prepare(t, run))
        return;
    wait_ms = tool_wait_ms(t->agent, run->tool);
    if (wait_ms)
        task_wait_for_tool(t, run, wait_ms);
    else if (RULE(claim) && !is_repeatable(t, run))
        claim(t, run);
    else
        send(t, run);
}

void task_act(struct task *t, const struct decision *d)
{
    struct worker *w = t->worker;
    int64_t now = loop_now_ms(w->loop);

    (void)d;
    if (t->cancel_asked) {
        task_end_cancelled(t, "cancelled");
        if (t->ending) /* else it was given up */
            task_continue(t);
        return;
    }
    if (task_waits_its_turn(t))
        return;
    if (t->state != TASK_ACTING)
        task_enter(t, TASK_ACTING);
    for (size_t i = 0; i < t->history.ncalls && t->state == TASK_ACTING; i++) {
        struct tool_run *run = &t->runs[i];
        bool due = run->state == RUN_IDLE || ((run->state == RUN_PAUSE || run->state == RUN_HELD) && run->wake_ms <= now);

        if (!due)
            continue;
        if (run->state == RUN_HELD)
            claim(t, run);
        else if (!worker_may_call(w, t))
            task_wait_to_begin(t, run, OUTAGE_FENCE, now + FENCE_MS);
        else if (task_missed_a_stop(t))
            task_save(t);
        else
            begin(t, run);
    }
    task_arm(t);
    if (t->state == TASK_ACTING && (task_has_unsaved(t) || !history_group_open(&t->history)))
        task_ready(t);
}
