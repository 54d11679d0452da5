/* What the directive of a prompt asks of the model. */
#include <stdio.h>
#include <string.h>

#include "directive.h"
#include "fakes.h"
#include "reply.h"

bool prompt_has_directive(struct span raw) { return span_find(raw, "[[fake:") != NULL; }

/* The number of parts of `s` between separators; with `part` also the one numbered `wanted`. */
static size_t parts(struct span s, char separator, size_t wanted, struct span *part)
{
    size_t n = 0;

    for (;;) {
        const char *end = s.len ? memchr(s.at, separator, s.len) : NULL;
        size_t len = end ? (size_t)(end - s.at) : s.len;

        if (part && n == wanted)
            *part = (struct span){s.at, len};
        n++;
        if (!end)
            return n;
        s.at += len + 1;
        s.len -= len + 1;
    }
}

/* What one prompt's directive is worked on with. */
struct asked {
    struct fakes *fakes;
    struct directive *directive;
    struct view *view;
    struct span model;
    int64_t step;
};

static const struct directive_item *item(const struct asked *k, const char *key)
{
    return directive_find(k->directive, key, k->step, k->model);
}

static void add_call(struct asked *k, struct reply *reply, struct span tool)
{
    const struct directive_item *args = directive_find_for(k->directive, "args", tool, k->step, k->model);
    struct text arguments = {0};
    struct span name, made;

    if (args)
        template_fill(&arguments, args->value, &k->view->values, !args->quoted);
    else if (toolbox_find(&k->fakes->toolbox, k->view->chat->tools, tool, &name, &made))
        text_add(&arguments, made.at, made.len);
    else
        text_put(&arguments, "{}");
    reply_call(reply, tool, span_text(&arguments));
    text_free(&arguments);
}

/* One round of tool calls: the group of `tools` whose turn it is, repeated up to `tool_calls`. */
static bool ask_tools(struct asked *k, struct reply *reply, const char **why)
{
    const struct directive_item *tools = item(k, "tools"), *content = item(k, "content");
    struct span group, name, arguments;
    struct text copy = {0}; /* the toolbox forgets the name when add_call looks into it */
    bool ok;
    int64_t wanted;
    size_t names;

    if (tools) {
        size_t groups = parts(tools->value, ',', 0, NULL);

        parts(tools->value, ',', (size_t)(k->step - 1) % groups, &group);
    } else if (toolbox_find(&k->fakes->toolbox, k->view->chat->tools, (struct span){0}, &name, &arguments)) {
        group = name;
    } else {
        *why = "fake directive: more than one step, but neither tools=... nor tools in the request";
        return false;
    }
    text_add(&copy, group.at, group.len);
    names = parts(span_text(&copy), '+', 0, NULL);
    wanted = (int64_t)names;
    ok = directive_number(k->directive, "tool_calls", k->step, k->model, &wanted, why);
    for (int64_t i = 0; ok && i < wanted && i < REPLY_CALLS_MAX; i++) {
        parts(span_text(&copy), '+', (size_t)i % names, &name);
        add_call(k, reply, name);
    }
    text_free(&copy);
    if (content)
        template_fill(&reply->content, content->value, &k->view->values, false);
    return ok;
}

static bool say_answer(struct asked *k, struct reply *reply, const char **why)
{
    const struct directive_item *answer = item(k, "answer");
    int64_t size = -1;

    if (!directive_number(k->directive, "size", k->step, k->model, &size, why))
        return false;
    if (answer)
        template_fill(&reply->content, answer->value, &k->view->values, false);
    else if (size >= 0)
        text_fill(&reply->content, (size_t)size);
    else
        text_printf(&reply->content, "Done after %lld step%s.", (long long)k->step, k->step == 1 ? "" : "s");
    return true;
}

/* tokens=900 (two parts prompt, one part completion) or tokens=600+300; prompt_tokens and completion_tokens override it. */
static bool set_usage(struct asked *k, struct reply *reply, const char **why)
{
    const struct directive_item *tokens = item(k, "tokens"), *usage = item(k, "usage");
    struct span first, second;
    int64_t total;

    if (tokens && parts(tokens->value, '+', 0, &first) == 2) {
        parts(tokens->value, '+', 1, &second);
        *why = "fake directive: tokens is a number, or two with + between them";
        if (!span_number(first, &reply->prompt_tokens) || !span_number(second, &reply->completion_tokens))
            return false;
    } else if (tokens) {
        *why = "fake directive: tokens is a number, or two with + between them";
        if (!span_number(tokens->value, &total))
            return false;
        reply->completion_tokens = total / 3;
        reply->prompt_tokens = total - total / 3;
    }
    reply->no_usage = usage && span_is(usage->value, "none");
    return directive_number(k->directive, "prompt_tokens", k->step, k->model, &reply->prompt_tokens, why) &&
           directive_number(k->directive, "completion_tokens", k->step, k->model, &reply->completion_tokens, why);
}

/* The first `fail` that fits this call and is not used up; they are counted per task. */
static bool set_fault(struct asked *k, struct fault *fault, const char **why)
{
    const struct directive *d = k->directive;

    for (size_t i = 0; i < d->count; i++) {
        struct text name = {0};
        struct fault read;
        bool fires;

        if (!directive_fits(&d->items[i], "fail", k->step, k->model))
            continue;
        if (!fault_parse(d->items[i].value, &read, why))
            return false;
        text_printf(&name, "directive-%zu", i);
        fires = fakes_lucky(k->fakes, read.chance) &&
                (!read.times ||
                 calls_within(k->fakes->shared, span_text(&name), view_scope(k->view, PER_TASK), (uint64_t)read.times));
        text_free(&name);
        if (fires) {
            *fault = read;
            return true;
        }
    }
    return true;
}

static bool work(struct asked *k, struct reply *reply, struct fault *fault, struct duration *latency, const char **why)
{
    const struct directive_item *wait = item(k, "latency"), *tools = item(k, "tools"), *ids = item(k, "call_ids"),
                                *finish = item(k, "finish");
    int64_t steps = tools ? (int64_t)parts(tools->value, ',', 0, NULL) + 1 : k->view->chat->tools.len > 2 ? 2 : 1;
    bool last;

    if (!directive_number(k->directive, "steps", k->step, k->model, &steps, why))
        return false;
    last = k->step >= steps;
    if (ids)
        reply->ids = span_is(ids->value, "same") ? IDS_SAME : span_is(ids->value, "none") ? IDS_NONE : IDS_UNIQUE;
    if (wait && !duration_parse(wait->value, latency)) {
        *why = "fake directive: latency must be like 300ms or 1s..2s";
        return false;
    }
    if (!(last ? say_answer(k, reply, why) : ask_tools(k, reply, why)) || !set_usage(k, reply, why) || !set_fault(k, fault, why))
        return false;
    if (finish && (last || finish->step))
        snprintf(reply->finish, sizeof reply->finish, "%.*s", (int)finish->value.len, finish->value.at);
    return true;
}

static bool has_tool_side(const struct directive *d)
{
    for (size_t i = 0; i < d->count; i++)
        if (span_has_prefix(d->items[i].key, "tool_") && !span_is(d->items[i].key, "tool_calls"))
            return true;
    return false;
}

bool prompt_directive(struct fakes *f, struct view *v, struct reply *reply, struct fault *fault, struct duration *latency,
                      const char **why)
{
    struct directive d;
    struct asked k = {.fakes = f, .directive = &d, .view = v, .model = v->chat->model, .step = (int64_t)v->chat->step};
    bool ok;

    view_decode(v);
    ok = directive_parse(&d, v->values.user, why) && work(&k, reply, fault, latency, why);
    if (ok && has_tool_side(&d) && v->values.task.len)
        calls_note_task(f->shared, v->values.task, d.whole);
    if (!ok && !*why)
        *why = "fake directive: it must be written with plain characters";
    directive_free(&d);
    return ok;
}
