/* The tool server: any tool name, {"params": {...}} in, JSON out, one effect per Idempotency-Key. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "directive.h"
#include "fakes.h"

/* One tool call on its way to an answer. */
struct tool_call {
    struct view view;
    json_t *params;
    struct text body;
    int status;
    struct fault fault;
    struct duration latency;
    bool idempotent;
    const char *why; /* a directive that does not read */
};

/* {"params": {...}} */
static bool read_params(struct span body, struct span *params)
{
    struct scan s = scan_start(body);
    struct span key, value;
    bool first = true, found = false;

    if (!scan_enter(&s, '{'))
        return false;
    while (scan_member(&s, &first, &key) && scan_value(&s, &value)) {
        if (span_is(key, "params") && value.at[0] == '{') {
            *params = value;
            found = true;
        }
    }
    return found && scan_done(&s);
}

static void default_body(struct tool_call *t)
{
    text_put(&t->body, "{\"ok\":true,\"tool\":\"");
    text_json(&t->body, t->view.values.tool);
    text_printf(&t->body,
                "\",\"reference\":\"%08x\",\"items\":[{\"id\":1,\"state\":\"open\",\"owner\":\"north\",\"due\":\"2026-12-01\"},"
                "{\"id\":2,\"state\":\"held\",\"owner\":\"south\",\"due\":null},{\"id\":3,\"state\":\"done\",\"owner\":\"north\","
                "\"due\":\"2026-11-20\"}],"
                "\"total\":3,\"next\":null}",
                (unsigned)hash_bytes(7, t->view.values.key.at, t->view.values.key.len));
}

/* A fault that is used up is none. `name` tells the counters of one scope apart. */
static void take_fault(struct fakes *f, struct tool_call *t, const struct fault *read, const char *name)
{
    if (fakes_lucky(f, read->chance) &&
        (!read->times || calls_within(f->shared, span_of(name), view_scope(&t->view, PER_KEY), (uint64_t)read->times)))
        t->fault = *read;
}

/* {"fake": {"fail": FAULT, "times": N, "latency": DURATION, "answer": JSON, "status": N}} among the params. */
static void use_param(struct fakes *f, struct tool_call *t, struct fault *owned)
{
    const json_t *fake = json_object_get(t->params, "fake"), *fail = json_object_get(fake, "fail"),
                 *answer = json_object_get(fake, "answer");
    const json_t *times = json_object_get(fake, "times"), *latency = json_object_get(fake, "latency"),
                 *status = json_object_get(fake, "status");
    char *dump;

    if (answer && (dump = json_dumps(answer, JSON_COMPACT | JSON_ENCODE_ANY))) {
        t->body.len = 0;
        text_put(&t->body, dump);
        free(dump);
    }
    if (json_is_integer(status) && json_integer_value(status) >= 200 && json_integer_value(status) <= 599)
        t->status = (int)json_integer_value(status);
    if (latency && !duration_parse(span_of(json_string_value(latency)), &t->latency))
        t->why = "params.fake.latency must be like \"300ms\"";
    if (!fail || !fault_from_json(fail, owned, &t->why))
        return;
    if (json_is_integer(times))
        owned->times = json_integer_value(times);
    take_fault(f, t, owned, "param");
}

/* tool_fail, tool_latency and tool_answer of the prompt of the same task. */
static void use_note(struct fakes *f, struct tool_call *t, struct span note)
{
    struct span tool = t->view.values.tool, none = {0};
    const struct directive_item *fail, *latency, *answer;
    struct directive d;
    struct fault read;
    struct text name = {0};

    if (directive_parse(&d, note, &t->why)) {
        fail = directive_find_for(&d, "tool_fail", tool, 0, none);
        latency = directive_find_for(&d, "tool_latency", tool, 0, none);
        answer = directive_find_for(&d, "tool_answer", tool, 0, none);
        if (answer) {
            t->body.len = 0;
            template_fill(&t->body, answer->value, &t->view.values, true);
        }
        if (latency && !duration_parse(latency->value, &t->latency))
            t->why = "fake directive: tool_latency must be like 300ms";
        if (fail && fault_parse(fail->value, &read, &t->why)) {
            text_printf(&name, "note-%td", fail - d.items);
            take_fault(f, t, &read, name.at);
        }
        text_free(&name);
    }
    directive_free(&d);
}

static void use_rule(const struct rule *r, struct tool_call *t)
{
    t->fault = r->fault;
    t->status = r->answer.status;
    t->idempotent = r->idempotent;
    if (r->latency.from >= 0)
        t->latency = r->latency;
    if (r->answer.body) {
        t->body.len = 0;
        template_fill(&t->body, span_of(r->answer.body), &t->view.values, true);
    }
}

/* Faults that send something else than the answer come before the work, unless they are marked "!". */
static bool works(const struct fault *fault)
{
    switch (fault->kind) {
    case FAULT_NONE:
    case FAULT_TRUNCATED:
    case FAULT_HUGE:
    case FAULT_SLOW:
    case FAULT_EMPTY:
    case FAULT_HEADERS:
        return true;
    default:
        return fault->effect;
    }
}

static void finish(struct fakes *f, struct tool_call *t, struct answer *a)
{
    if (works(&t->fault))
        calls_effect(f->shared, a->call, t->idempotent, &t->status, &t->body);
    if (t->fault.kind == FAULT_EMPTY)
        t->body.len = 0;
    if (t->fault.kind == FAULT_HUGE) {
        t->body.len = 0;
        text_put(&t->body, "{\"ok\":true,\"data\":\"");
        text_fill(&t->body, (size_t)t->fault.bytes);
        text_put(&t->body, "\"}");
    }
    answer_put(a, t->status, "application/json", span_text(&t->body), NULL);
    answer_fault(f, a, &t->fault);
    a->latency_us = fakes_pick(f, t->latency);
}

static void decide(struct fakes *f, struct tool_call *t, struct span params, struct answer *a)
{
    bool noted, asked = span_has(params, "\"fake\"");
    struct text note = {0};
    struct fault owned = {0};
    const struct rule *rule;

    noted = calls_task_note(f->shared, t->view.values.task, &note);
    if (asked || noted || f->rules || f->outages) {
        t->params = json_loadb(params.at, params.len, 0, NULL);
        t->view.values.params = t->params;
    }
    default_body(t);
    if (f->rules && (rule = view_rule(f, f->rules, &t->view)))
        use_rule(rule, t);
    if (noted)
        use_note(f, t, span_text(&note));
    if (asked)
        use_param(f, t, &owned);
    if (f->outages && (rule = view_rule(f, f->outages, &t->view))) {
        t->fault = rule->fault.kind ? rule->fault : t->fault;
        t->latency = rule->latency.from >= 0 ? rule->latency : t->latency;
    }
    if (t->why)
        answer_error(a, 400, "fake_directive", t->why, NULL);
    else
        finish(f, t, a);
    json_decref(t->params);
    fault_free(&owned);
    text_free(&note);
}

void tool_answer(struct fakes *f, const struct http_request *r, struct answer *a)
{
    struct span name = {r->path.at + 7, r->path.len - 7}, params = {0};
    struct tool_call t = {.status = 200, .latency = f->options->tool_latency, .idempotent = true};

    if (span_is(r->method, "GET")) { /* a tool's health_url */
        answer_put(a, 200, "application/json", span_of("{\"status\":\"ok\"}"), NULL);
        return;
    }
    atomic_fetch_add_explicit(&f->shared->stats.tool_calls, 1, memory_order_relaxed);
    if (!span_is(r->method, "POST") || !name.len || !read_params(r->body, &params)) {
        atomic_fetch_add(&f->shared->stats.bad_requests, 1);
        answer_error(a, 400, "invalid_request", "A tool is called by POST /tools/NAME with the JSON body {\"params\": {...}}.",
                     NULL);
        return;
    }
    a->kind = CALL_TOOL;
    a->call = calls_began(f->shared, CALL_TOOL, name, r->key);
    if (!r->key.len)
        atomic_fetch_add(&f->shared->stats.no_key, 1);
    t.view.request = r;
    t.view.values = (struct template_values){.tool = name, .key = r->key, .task = calls_task_of(r->key)};
    snprintf(t.view.scope, sizeof t.view.scope, "body-%016llx", (unsigned long long)hash_bytes(5, r->body.at, r->body.len));
    decide(f, &t, params, a);
    text_free(&t.body);
}
