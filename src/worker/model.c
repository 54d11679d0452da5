/* CALLING: the model cascade for one step (DELIVERY §5). */
#include <stdio.h>

#include "stepmill/clock.h"
#include "stepmill/idempotency.h"
#include "stepmill/random.h"
#include "stepmill/retry_after.h"
#include "stepmill/utf8.h"
#include "worker.h"

enum { BYTES_PER_TOKEN = 4, WAKE_SPREAD_MS = 500, LOOK_AGAIN_MS = 60 * 1000 };

static void note_attempt(struct task *t, struct slice target, struct error error, int64_t tokens, int64_t duration_ms)
{
    if (t->nattempts == TASK_ATTEMPTS_MAX) /* the oldest goes first */
        memmove(t->attempts, t->attempts + 1, --t->nattempts * sizeof *t->attempts);
    t->attempts[t->nattempts++] = (struct attempt){target, slice_of(error.code), tokens, duration_ms};
    t->attempts_total++;
}

static size_t index_of(const struct agent *a, const struct model *m)
{
    size_t i = 0;

    while (a->models[i] != m)
        i++;
    return i;
}

static void count_call(struct task *t, const struct model *m, const char *outcome)
{
    metric_add(metric_of(t->worker->numbers->model_calls, (struct slice[]){slice_of(m->config->name), slice_of(outcome)}), 1);
}

static void call_failed(struct task *t, struct model *m, struct error error, int64_t wait_ms, const struct http_answer *a)
{
    struct worker *w = t->worker;
    struct endpoint_policy policy = {w->config->breaker.failures, w->config->breaker.open_ms};
    int64_t now = loop_now_ms(w->loop);

    m->last_error = error;
    if (endpoint_failed(&m->health, &policy, error, wait_ms, now, &w->seed))
        log_error(w->log, "model.breaker.open", LOG_TEXT("model", m->config->name), LOG_ERROR(error),
                  LOG_TEXT("provider_message", t->provider_message), LOG_TEXT("detail", a->detail),
                  LOG_INT("open_ms", m->health.open_until_ms - now),
                  LOG_TEXT("action", error.class == CLASS_WAIT
                                         ? "check key, quota and model name of this entry; tasks wait meanwhile"
                                         : "tasks go to the next model of the cascade, or wait"));
    cascade_failed(&t->cascade, index_of(t->agent, m), error, now);
    note_attempt(t, slice_of(m->config->name), error, 0, now - t->model_began_ms);
    count_call(t, m, error.code);
    worker_log_attempt(t, "llm.attempt_failed", slice_of(m->config->name), error, a);
    if (t->agent->nmodels > 1)
        log_info(w->log, "llm.fallback", LOG_SLICE("task_id", t->input.task_id), LOG_TEXT("from_model", m->config->name),
                 LOG_TEXT("reason", error.code));
    if (error.class == CLASS_LIMIT)
        task_end_failed(t, CLASS_LIMIT, error.code, t->provider_message[0] ? t->provider_message : error.text, "model", false);
}

/* A server that does not count must not make budgets void: about four bytes a token (REQUIREMENTS C3). */
static void estimate_usage(const struct task *t, struct openai_answer *answer)
{
    size_t said = answer->content.len;

    for (size_t i = 0; i < answer->ncalls; i++)
        said += answer->calls[i].name.len + answer->calls[i].arguments.len;
    answer->prompt_tokens = (int64_t)(t->body.len - t->agent->before_messages[t->headed]) / BYTES_PER_TOKEN + 1;
    answer->completion_tokens = (int64_t)said / BYTES_PER_TOKEN + 1;
}

/* What the model said must fit into an event: its text is cut as if the model had run out of tokens. Its calls are not run then.
 */
static void fit_event(struct openai_answer *answer)
{
    size_t asked = 0;

    for (size_t i = 0; i < answer->ncalls; i++)
        asked += answer->calls[i].id.len + answer->calls[i].name.len + answer->calls[i].arguments.len;
    if (answer->content.len + asked <= EVENT_TEXT_MAX)
        return;
    answer->finish = FINISH_LENGTH;
    answer->content = utf8_cut(answer->content, EVENT_TEXT_MAX);
    answer->calls_refused += (int32_t)answer->ncalls;
    answer->ncalls = 0;
}

static void call_answered(struct task *t, struct model *m, struct openai_answer *answer)
{
    struct worker *w = t->worker;
    struct attempt *attempts = arena_alloc(t->arena, (t->nattempts + 1) * sizeof *attempts);
    struct event e = task_event(t, EVENT_MODEL_ANSWERED, history_next_seq(&t->history));

    if (m->health.open_until_ms)
        worker_wake(w, OUTAGE_MODEL);
    endpoint_answered(&m->health, loop_now_ms(w->loop));
    m->last_error = error_none();
    if (!answer->has_usage)
        estimate_usage(t, answer);
    fit_event(answer);
    count_call(t, m, "ok");
    if (attempts && t->nattempts)
        memcpy(attempts, t->attempts, t->nattempts * sizeof *attempts);
    e.model = (struct event_model_answered){
        .model = answer->model.at ? answer->model : slice_of(m->config->model),
        .model_entry = slice_of(m->config->name),
        .definition = slice_of(t->agent->definition),
        .content = answer->content,
        .calls = answer->calls,
        .ncalls = answer->ncalls,
        .calls_refused = answer->calls_refused,
        .finish = answer->finish,
        .prompt_tokens = answer->prompt_tokens,
        .completion_tokens = answer->completion_tokens,
        .duration_ms = loop_now_ms(w->loop) - t->model_began_ms,
        .attempts = attempts,
        .nattempts = attempts ? t->nattempts : 0,
    };
    if (!task_add_event(t, &e)) {
        worker_count(w->numbers->tokens_unrecorded, (double)(answer->prompt_tokens + answer->completion_tokens));
        return;
    }
    t->writing.model_seq = e.seq;
    t->writing.model_tokens = answer->prompt_tokens + answer->completion_tokens;
}

static void on_answer(void *ctx, const struct http_answer *a)
{
    struct worker *w = ctx;
    struct task *t = task_of(w, a->ticket);
    struct openai_answer answer;
    struct error error = a->error;
    struct model *m;
    int64_t wait_ms = -1;

    if (!t || t->model_attempt != a->ticket.attempt)
        return;
    m = t->model;
    endpoint_probe_over(&m->health, t->probe);
    t->model_attempt = 0;
    t->model_request = 0;
    t->provider_message[0] = '\0';
    if (!failed(error) && a->status != 200) {
        error = openai_classify(a->status, a->body, t->provider_message);
        if (error.class == CLASS_SLOW_DOWN && !retry_after_ms(http_answer_header(a, "Retry-After"), clock_wall_ms(), &wait_ms))
            wait_ms = -1;
    } else if (!failed(error)) {
        error = openai_parse(a->body, t->arena, &answer);
        if (error.class == CLASS_INTERNAL) { /* our memory, not the model's fault */
            endpoint_answered(&m->health, loop_now_ms(w->loop));
            task_give_up(t, error);
            return;
        }
    }
    if (failed(error) && error.class != CLASS_LOST) /* held back: nobody was asked */
        call_failed(t, m, error, wait_ms, a);
    else if (!failed(error))
        call_answered(t, m, &answer);
    task_ready(t);
}

/* Same body, same key; but what was hashed for the last call is not hashed again. */
static void put_key(struct task *t, const struct model *m, char key[IDEMPOTENCY_KEY_MAX])
{
    if (t->hashed.model != m || t->hashed.bytes > t->body.len) {
        t->hashed.model = m;
        t->hashed.bytes = t->agent->heads[t->headed].len;
        t->hashed.state = t->agent->hashed_heads[t->headed];
    }
    digest_add(&t->hashed.state, (struct slice){t->body.at + t->hashed.bytes, t->body.len - t->hashed.bytes});
    t->hashed.bytes = t->body.len;
    idempotency_end(key, t->input.task_id, history_next_seq(&t->history), &t->hashed.state);
}

/* Puts the head for this model before the messages, and the tail behind them, where the next message overwrites it. False: no
 * memory. */
static bool complete_body(struct task *t, size_t model, struct slice *body)
{
    const struct slice tail = OPENAI_TAIL, head = buf_slice(&t->agent->heads[model]);
    size_t old = t->agent->heads[t->headed].len;

    if (!buf_reserve(&t->body, (head.len > old ? head.len - old : 0) + tail.len))
        return false;
    if (model != t->headed) {
        memmove(t->body.at + head.len, t->body.at + old, t->body.len - old);
        memcpy(t->body.at, head.at, head.len);
        t->body.len += head.len - old;
        t->headed = model;
    }
    memcpy(t->body.at + t->body.len, tail.at, tail.len);
    *body = (struct slice){t->body.at, t->body.len + tail.len};
    return true;
}

static void send(struct task *t, struct model *m)
{
    struct worker *w = t->worker;
    struct slice body;
    char key[IDEMPOTENCY_KEY_MAX], quoted[IDEMPOTENCY_HEADER_MAX], traceparent[TRACEPARENT_SIZE];
    struct http_header headers[4] = {{SLICE("Content-Type"), SLICE("application/json")}};
    struct ticket ticket = task_ticket(t);
    size_t n = 1;

    if (!complete_body(t, index_of(t->agent, m), &body)) {
        endpoint_probe_over(&m->health, t->probe);
        task_give_up(t, error_make(CLASS_INTERNAL, "out_of_memory", "no memory left for the request to a model"));
        return;
    }
    put_key(t, m, key);
    trace_format(&t->trace, traceparent);
    headers[n++] = (struct http_header){SLICE("Idempotency-Key"), idempotency_header(quoted, slice_of(key))};
    headers[n++] = (struct http_header){SLICE("traceparent"), slice_of(traceparent)};
    if (m->authorization[0])
        headers[n++] = (struct http_header){SLICE("Authorization"), slice_of(m->authorization)};
    t->model = m;
    t->model_attempt = ticket.attempt;
    t->model_began_ms = loop_now_ms(w->loop);
    task_enter(t, TASK_CALLING);
    t->model_request = http_send(m->endpoint, &(struct http_request){
                                                  .method = "POST",
                                                  .path = SLICE("/chat/completions"),
                                                  .headers = headers,
                                                  .header_count = n,
                                                  .body = &body,
                                                  .body_parts = 1,
                                                  .timeout_ms = m->config->timeout_ms,
                                                  .max_body = (size_t)w->config->limits.model_answer,
                                                  .ticket = ticket,
                                                  .done = on_answer,
                                                  .ctx = w,
                                                  .may_send = worker_may_send,
                                              });
}

static void end_by_cascade(struct task *t, enum error_class class)
{
    struct error last = t->cascade.last;
    uint32_t cause = systemic_cause(slice_of(last.code ? last.code : "no_model"), SLICE("model"));
    char message[480];
    int64_t look_again_ms;

    if (systemic_holds(&t->agent->systemic, cause, loop_now_ms(t->worker->loop), &look_again_ms)) {
        t->cascade = (struct cascade){.last = last};
        task_wait(t, OUTAGE_SYSTEMIC, look_again_ms);
        return;
    }
    snprintf(message, sizeof message, "%s%s%s", last.text ? last.text : "no model answered", t->provider_message[0] ? ": " : "",
             t->provider_message);
    task_end_failed(t, class, last.code ? last.code : "no_model", message, "model", class == CLASS_EXHAUSTED);
    if (t->ending) /* else it was given up */
        task_continue(t);
}

/* Looked at before each call, for the session's other tasks spend too: `session_tokens` is as new as this task's last answer. */
static bool end_for_the_session(struct task *t)
{
    int64_t budget = t->agent->config->session_token_budget;
    char message[128];

    if (budget <= 0 || t->session_tokens < budget)
        return false;
    snprintf(message, sizeof message, "the session has used %lld of its %lld tokens", (long long)t->session_tokens,
             (long long)budget);
    task_end_failed(t, CLASS_LIMIT, "session_budget_exceeded", message, "model", false);
    return true;
}

void task_call_model(struct task *t)
{
    struct worker *w = t->worker;
    struct cascade_policy policy = {w->config->retry.model_rounds, w->config->retry.model_backoff.min_ms,
                                    w->config->retry.model_backoff.max_ms};
    int64_t now = loop_now_ms(w->loop);
    struct cascade_choice choice;

    if (t->model_attempt)
        return; /* one is under way */
    if (t->cancel_asked)
        task_end_cancelled(t, "cancelled");
    if (t->cancel_asked || end_for_the_session(t)) {
        if (t->ending) /* else it was given up */
            task_continue(t);
        return;
    }
    if (task_waits_its_turn(t))
        return;
    if (!worker_may_call(w, t)) {
        task_wait(t, OUTAGE_FENCE, now + 60000);
        return;
    }
    if (task_missed_a_stop(t)) {
        task_save(t);
        return;
    }
    choice = cascade_next(&t->cascade, t->agent->healths, t->agent->nmodels, &policy, now, &w->seed);
    switch (choice.next) {
    case CASCADE_CALL:
        t->probe = choice.probe;
        send(t, t->agent->models[choice.model]);
        return;
    case CASCADE_BACKOFF:
        t->wake_ms = choice.until_ms;
        task_enter(t, TASK_BACKOFF);
        return;
    case CASCADE_WAIT:
        /* A model that is closed for an hour must not make the task deaf to a cancel. */
        if (choice.until_ms > now + LOOK_AGAIN_MS)
            choice.until_ms = now + LOOK_AGAIN_MS;
        task_wait(t, OUTAGE_MODEL, choice.until_ms + (int64_t)random_below(&w->seed, WAKE_SPREAD_MS)); /* not all in one turn */
        return;
    case CASCADE_EXHAUSTED:
        end_by_cascade(t, CLASS_EXHAUSTED);
        return;
    case CASCADE_REJECTED:
        end_by_cascade(t, CLASS_REJECTED);
        return;
    }
}

void task_cancel_model(struct task *t)
{
    if (!t->model_attempt)
        return;
    http_cancel(t->worker->http, t->model_request);
    endpoint_probe_over(&t->model->health, t->probe); /* else nobody would ever ask that model again */
    worker_count(t->worker->numbers->wasted, 1);
    t->model_attempt = 0;
    t->model_request = 0;
}
