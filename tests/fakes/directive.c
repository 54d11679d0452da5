/* Reading directives out of prompts. */
#include "directive.h"

#include <string.h>

#include "scan.h"

static const char *const keys[] = {"steps",  "tools",   "tool_calls", "args",      "call_ids",      "content",
                                   "answer", "size",    "finish",     "tokens",    "prompt_tokens", "completion_tokens",
                                   "usage",  "latency", "fail",       "tool_fail", "tool_latency",  "tool_answer"};

static bool known_key(struct span key)
{
    const char *dot = key.len ? memchr(key.at, '.', key.len) : NULL;

    if (dot)
        key.len = (size_t)(dot - key.at);
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (span_is(key, keys[i]))
            return !dot || span_is(key, "args") || span_has_prefix(key, "tool_");
    return false;
}

/* KEY[@STEP][/MODEL] */
static bool split_name(struct directive_item *item, struct span name, const char **why)
{
    const char *slash = name.len ? memchr(name.at, '/', name.len) : NULL;
    const char *at;

    item->key = name;
    if (slash) {
        item->key.len = (size_t)(slash - name.at);
        item->model = (struct span){slash + 1, name.len - item->key.len - 1};
    }
    at = item->key.len ? memchr(item->key.at, '@', item->key.len) : NULL;
    if (at) {
        struct span step = {at + 1, (size_t)(item->key.at + item->key.len - at - 1)};

        item->key.len = (size_t)(at - item->key.at);
        if (!span_number(step, &item->step) || item->step == 0) {
            *why = "fake directive: after @ comes a step, 1 or more";
            return false;
        }
    }
    if (!known_key(item->key)) {
        *why = "fake directive: unknown key; it may be steps, tools, tool_calls, args, call_ids, content, answer, size, finish, "
               "tokens, prompt_tokens, "
               "completion_tokens, usage, latency, fail, tool_fail, tool_latency, tool_answer";
        return false;
    }
    return true;
}

/* Stands behind the opening quote. */
static bool read_quoted(struct directive *d, struct directive_item *item, const char **at, const char *end)
{
    size_t from = d->unquoted.len;

    for (; *at < end && **at != '"'; ++*at) {
        char c = **at;

        if (c == '\\' && *at + 1 < end) {
            c = *++*at;
            c = c == 'n' ? '\n' : c;
        }
        text_add(&d->unquoted, &c, 1);
    }
    if (*at == end)
        return false;
    ++*at;
    item->value = (struct span){d->unquoted.at + from, d->unquoted.len - from};
    item->quoted = true;
    return true;
}

static bool read_value(struct directive *d, struct directive_item *item, const char **at, const char *end, const char **why)
{
    if (*at < end && **at == '"') {
        ++*at;
        *why = "fake directive: a quoted value has no end";
        return read_quoted(d, item, at, end);
    }
    if (*at < end && (**at == '{' || **at == '[')) {
        struct scan s = {*at, end, false};

        *why = "fake directive: a value that begins with { or [ must be JSON (quote it to send it as it is)";
        if (!scan_value(&s, &item->value))
            return false;
        *at = s.at;
        return true;
    }
    item->value.at = *at;
    while (*at < end && !strchr(" \t\r\n", **at) && !(end - *at >= 2 && memcmp(*at, "]]", 2) == 0))
        ++*at;
    item->value.len = (size_t)(*at - item->value.at);
    return true;
}

bool directive_parse(struct directive *d, struct span prompt, const char **why)
{
    const char *end = prompt.at + prompt.len;
    const char *at = prompt.len ? memmem(prompt.at, prompt.len, "[[fake:", 7) : NULL;

    d->count = 0;
    d->unquoted = (struct text){0};
    *why = NULL;
    if (!at)
        return false;
    d->whole.at = at;
    text_reserve(&d->unquoted, prompt.len); /* spans point into it: it must not move */
    for (at += 7;;) {
        struct directive_item *item = &d->items[d->count];
        struct span name;

        while (at < end && strchr(" \t\r\n", *at))
            at++;
        if (end - at >= 2 && memcmp(at, "]]", 2) == 0)
            break;
        name.at = at;
        while (at < end && *at != '=' && !strchr(" \t\r\n]", *at))
            at++;
        name.len = (size_t)(at - name.at);
        *why = "fake directive: expected KEY=VALUE, a space between them, and ]] at the end";
        if (at == end || *at++ != '=' || d->count == DIRECTIVE_ITEMS_MAX)
            return false;
        *item = (struct directive_item){0};
        if (!split_name(item, name, why) || !read_value(d, item, &at, end, why))
            return false;
        d->count++;
    }
    *why = NULL;
    d->whole.len = (size_t)(at + 2 - d->whole.at);
    return true;
}

void directive_free(struct directive *d) { text_free(&d->unquoted); }

bool directive_fits(const struct directive_item *i, const char *key, int64_t step, struct span model)
{
    return span_is(i->key, key) && (!i->step || i->step == step) && (!i->model.len || span_equal(i->model, model));
}

const struct directive_item *directive_find(const struct directive *d, const char *key, int64_t step, struct span model)
{
    for (size_t i = d->count; i-- > 0;)
        if (directive_fits(&d->items[i], key, step, model))
            return &d->items[i];
    return NULL;
}

const struct directive_item *directive_find_for(const struct directive *d, const char *key, struct span name, int64_t step,
                                                struct span model)
{
    struct text full = {0};
    const struct directive_item *found;

    text_printf(&full, "%s.", key);
    text_add(&full, name.at, name.len);
    found = directive_find(d, full.at, step, model);
    text_free(&full);
    return found ? found : directive_find(d, key, step, model);
}

bool directive_number(const struct directive *d, const char *key, int64_t step, struct span model, int64_t *n, const char **why)
{
    const struct directive_item *i = directive_find(d, key, step, model);

    *why = "fake directive: steps, tool_calls, size, prompt_tokens and completion_tokens are numbers";
    return !i || span_number(i->value, n);
}
