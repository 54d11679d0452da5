/* The model: from a chat request to what it says. */
#include <stdio.h>
#include <string.h>

#include "fakes.h"
#include "reply.h"

enum { DEFAULT_BESIDE_CALL = 900, DEFAULT_ANSWER = 1400 };

/* No directive and no rule: the first tool is called once, then comes an answer. */
static void default_reply(struct fakes *f, const struct view *v, struct reply *reply)
{
    struct span name, arguments;

    if (v->chat->tool_messages == 0 && toolbox_find(&f->toolbox, v->chat->tools, (struct span){0}, &name, &arguments)) {
        text_fill(&reply->content, DEFAULT_BESIDE_CALL);
        reply_call(reply, name, arguments);
    } else {
        text_fill(&reply->content, DEFAULT_ANSWER);
    }
}

static void rule_reply(const struct rule_answer *answer, const struct view *v, struct reply *reply)
{
    if (answer->content)
        template_fill(&reply->content, span_of(answer->content), &v->values, false);
    if (answer->size >= 0) {
        reply->content.len = 0;
        text_fill(&reply->content, (size_t)answer->size);
    }
    for (size_t i = 0; i < answer->ncalls; i++) {
        struct text arguments = {0};

        template_fill(&arguments, span_of(answer->calls[i].arguments), &v->values, true);
        reply_call(reply, span_of(answer->calls[i].name), span_text(&arguments));
        text_free(&arguments);
    }
    snprintf(reply->finish, sizeof reply->finish, "%s", answer->finish);
    reply->prompt_tokens = answer->prompt_tokens;
    reply->completion_tokens = answer->completion_tokens;
}

/* Faults that are about what is said. */
static void spoil_reply(struct reply *reply, const struct fault *fault)
{
    switch (fault->kind) {
    case FAULT_HUGE:
        reply->content.len = 0;
        text_fill(&reply->content, (size_t)fault->bytes);
        return;
    case FAULT_NO_CHOICES:
        reply->no_choices = true;
        return;
    case FAULT_EMPTY:
    case FAULT_CONTENT_FILTER:
    case FAULT_REFUSAL:
        reply->content.len = reply->calls.len = reply->ncalls = 0;
        reply->refusal = fault->kind == FAULT_REFUSAL;
        if (reply->refusal)
            text_put(&reply->content, "I'm sorry, I cannot help with that.");
        snprintf(reply->finish, sizeof reply->finish, "%s", fault->kind == FAULT_CONTENT_FILTER ? "content_filter" : "stop");
        return;
    default:
        return;
    }
}

/* Outages come first, then the prompt's own directive, then the rules. False: the directive is wrong, `*why` says how. */
static bool decide(struct fakes *f, struct view *v, struct reply *reply, struct fault *fault, struct duration *latency,
                   const char **why)
{
    const struct rule *outage = f->outages ? view_rule(f, f->outages, v) : NULL, *rule = NULL;

    if (!outage || !outage->fault.kind) {
        if (prompt_has_directive(v->chat->user)) {
            if (!prompt_directive(f, v, reply, fault, latency, why))
                return false;
        } else if ((rule = f->rules ? view_rule(f, f->rules, v) : NULL)) {
            *fault = rule->fault;
            *latency = rule->latency;
            if (rule->answer.given)
                rule_reply(&rule->answer, v, reply);
            else
                default_reply(f, v, reply);
        } else {
            default_reply(f, v, reply);
        }
    } else {
        *fault = outage->fault;
    }
    if (outage && outage->latency.from >= 0)
        *latency = outage->latency;
    return true;
}

static void render(struct fakes *f, const struct view *v, struct reply *reply, const struct fault *fault, struct answer *a)
{
    struct text body = {0};
    bool streamed = v->chat->stream;

    spoil_reply(reply, fault);
    reply_render(&body, reply, v->chat->model, v->chat->messages.len, streamed);
    answer_put(a, 200, streamed ? "text/event-stream" : "application/json", span_text(&body), NULL);
    text_free(&body);
    answer_fault(f, a, fault);
}

void model_answer(struct fakes *f, const struct http_request *r, struct answer *a)
{
    struct chat chat;
    struct fault fault = {0};
    struct duration latency = {-1, -1};
    struct reply reply;
    struct view v = {.request = r, .chat = &chat};
    const char *why = "";
    uint64_t seed;

    atomic_fetch_add_explicit(&f->shared->stats.model_calls, 1, memory_order_relaxed);
    if (!chat_read(&chat, r->body, &why)) {
        atomic_fetch_add(&f->shared->stats.bad_requests, 1);
        answer_error(a, 400, "invalid_request", why, NULL);
        return;
    }
    a->kind = CALL_MODEL;
    a->call = calls_began(f->shared, CALL_MODEL, chat.model, r->key);
    if (!r->key.len)
        atomic_fetch_add(&f->shared->stats.no_key, 1);
    v.values = (struct template_values){.model = chat.model, .key = r->key, .task = calls_task_of(r->key), .step = chat.step};
    seed =
        r->key.len ? hash_bytes(f->options->seed, r->key.at, r->key.len) : hash_bytes(f->options->seed, r->body.at, r->body.len);
    if (!v.values.task.len)
        snprintf(v.scope, sizeof v.scope, "prompt-%016llx", (unsigned long long)hash_bytes(3, chat.user.at, chat.user.len));
    reply = reply_new(seed);
    if (decide(f, &v, &reply, &fault, &latency, &why)) {
        render(f, &v, &reply, &fault, a);
        a->latency_us = fakes_pick(f, latency.from >= 0 ? latency : f->options->model_latency);
    } else {
        atomic_fetch_add(&f->shared->stats.bad_requests, 1);
        answer_error(a, 400, "fake_directive", why, NULL);
    }
    reply_free(&reply);
    view_free(&v);
}
