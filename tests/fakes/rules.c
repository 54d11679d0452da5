/* Reading rules and outages from JSON, strictly: what is not understood is refused by name. */
#include "rules.h"

#include <stdlib.h>
#include <string.h>

static bool wrong(struct text *why, const struct rule *r, const char *what)
{
    text_printf(why, "rule %s: %s", r->name, what);
    return false;
}

/* True when every member of `object` is in the zero-ended list `known`. */
static bool only(const json_t *object, const struct rule *r, const char *const *known, struct text *why)
{
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)(uintptr_t)object, key, value)
    {
        size_t i = 0;

        while (known[i] && strcmp(known[i], key) != 0)
            i++;
        if (known[i])
            continue;
        text_printf(why, "rule %s: unknown member \"%s\"; known here:", r->name, key);
        for (i = 0; known[i]; i++)
            text_printf(why, " %s", known[i]);
        return false;
    }
    return true;
}

static char *string_of(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);

    return json_is_string(value) ? must_copy((struct span){json_string_value(value), json_string_length(value)}) : NULL;
}

/* JSON text; a string stands for itself, so that arguments can be broken on purpose. */
static char *json_text(const json_t *value)
{
    return json_is_string(value) ? must_copy(span_of(json_string_value(value)))
                                 : json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
}

static int64_t number_of(const json_t *object, const char *key, int64_t otherwise)
{
    const json_t *value = json_object_get(object, key);

    return json_is_integer(value) ? json_integer_value(value) : otherwise;
}

static bool read_match(struct rule *r, const json_t *from, struct text *why)
{
    static const char *const known[] = {"model", "tool",          "user",   "user_regex", "system", "tool_result",
                                        "step",  "tool_messages", "header", "params",     NULL};
    struct rule_match *m = &r->match;
    const json_t *header = json_object_get(from, "header");
    const char *pattern = json_string_value(json_object_get(from, "user_regex"));
    void *first = json_object_iter((json_t *)(uintptr_t)header);

    if (!only(from, r, known, why))
        return false;
    m->model = string_of(from, "model");
    m->tool = string_of(from, "tool");
    m->user = string_of(from, "user");
    m->system = string_of(from, "system");
    m->tool_result = string_of(from, "tool_result");
    m->step = number_of(from, "step", -1);
    m->tool_messages = number_of(from, "tool_messages", -1);
    m->params = json_incref(json_object_get(from, "params"));
    if (first) {
        m->header_name = must_copy(span_of(json_object_iter_key(first)));
        m->header_value = string_of(header, m->header_name);
    }
    if (!pattern)
        return true;
    m->has_regex = regcomp(&m->regex, pattern, REG_EXTENDED) == 0;
    return m->has_regex || wrong(why, r, "user_regex is not a POSIX extended regular expression");
}

static bool read_calls(struct rule *r, const json_t *from, struct text *why)
{
    static const char *const known[] = {"name", "arguments", NULL};
    const json_t *call, *arguments;
    size_t i;

    r->answer.calls = must_alloc((json_array_size(from) + 1) * sizeof *r->answer.calls);
    json_array_foreach(from, i, call)
    {
        struct rule_call *c = &r->answer.calls[r->answer.ncalls++];

        arguments = json_object_get(call, "arguments");
        c->name = string_of(call, "name");
        c->arguments = arguments ? json_text(arguments) : must_copy(span_of("{}"));
        if (!only(call, r, known, why))
            return false;
        if (!c->name)
            return wrong(why, r, "each of tool_calls needs a name");
    }
    return true;
}

static bool read_model_answer(struct rule *r, const json_t *from, struct text *why)
{
    static const char *const known[] = {"content", "tool_calls", "finish_reason", "usage", "size", NULL};
    static const char *const known_usage[] = {"prompt_tokens", "completion_tokens", NULL};
    const json_t *usage = json_object_get(from, "usage"), *content = json_object_get(from, "content");
    char *finish = string_of(from, "finish_reason");

    r->answer.content = content ? json_text(content) : NULL;
    r->answer.size = number_of(from, "size", -1);
    r->answer.prompt_tokens = number_of(usage, "prompt_tokens", -1);
    r->answer.completion_tokens = number_of(usage, "completion_tokens", -1);
    snprintf(r->answer.finish, sizeof r->answer.finish, "%s", finish ? finish : "");
    free(finish);
    if (!json_is_object(from))
        return wrong(why, r, "the answer of a model is an object: content, tool_calls, finish_reason, usage, size");
    return only(from, r, known, why) && only(usage, r, known_usage, why) &&
           read_calls(r, json_object_get(from, "tool_calls"), why);
}

static bool read_latency(struct rule *r, const json_t *from, struct text *why)
{
    r->latency.from = -1;
    return !from || duration_parse(span_of(json_string_value(from)), &r->latency) ||
           wrong(why, r, "latency must be like \"300ms\" or \"1s..2s\"");
}

static bool read_scope(struct rule *r, const char *per, struct text *why)
{
    if (!per || strcmp(per, "task") == 0)
        r->per = PER_TASK;
    else if (strcmp(per, "key") == 0)
        r->per = PER_KEY;
    else if (strcmp(per, "all") == 0)
        r->per = PER_ALL;
    else
        return wrong(why, r, "per must be task, key or all");
    return true;
}

static bool read_action(struct rule *r, const json_t *from, struct text *why)
{
    const json_t *answer = json_object_get(from, "answer"), *fault = json_object_get(from, "fault"),
                 *chance = json_object_get(from, "probability");
    const char *what = NULL;

    r->idempotent = !json_is_false(json_object_get(from, "idempotent"));
    r->times = number_of(from, "times", 0);
    r->chance = json_is_number(chance) ? json_number_value(chance) : 1;
    r->answer.status = (int)number_of(from, "status", 200);
    r->answer.given = answer != NULL;
    if (fault && !fault_from_json(fault, &r->fault, &what))
        return wrong(why, r, what);
    r->times = r->fault.times ? r->fault.times : r->times; /* "500x2" counts as the rule does */
    r->chance *= fault ? r->fault.chance : 1;
    r->fault.effect |= json_is_true(json_object_get(from, "effect"));
    if (answer && r->on_tool)
        r->answer.body = json_dumps(answer, JSON_COMPACT | JSON_ENCODE_ANY);
    if (answer && !r->on_tool && !read_model_answer(r, answer, why))
        return false;
    return read_latency(r, json_object_get(from, "latency"), why) &&
           read_scope(r, json_string_value(json_object_get(from, "per")), why);
}

static bool read_rule(struct rule *r, const json_t *from, struct text *why)
{
    static const char *const known[] = {"name",   "on",         "match", "answer", "status",      "fault", "latency",
                                        "effect", "idempotent", "times", "per",    "probability", NULL};
    const char *name = json_string_value(json_object_get(from, "name")), *on = json_string_value(json_object_get(from, "on"));

    if (name) {
        free(r->name);
        r->name = must_copy(span_of(name));
    }
    if (!json_is_object(from) || !on || (strcmp(on, "model") != 0 && strcmp(on, "tool") != 0))
        return wrong(why, r, "it must be an object, and its \"on\" must be \"model\" or \"tool\"");
    r->on_tool = strcmp(on, "tool") == 0;
    return only(from, r, known, why) && read_match(r, json_object_get(from, "match"), why) && read_action(r, from, why);
}

static struct rule *add_rule(struct rule ***end, const char *kind, size_t number)
{
    struct rule *r = must_alloc(sizeof *r);
    struct text name = {0};

    text_printf(&name, "%s%zu", kind, number);
    r->name = name.at;
    **end = r;
    *end = &r->next;
    return r;
}

static json_t *load(struct span json, struct text *why)
{
    json_error_t error;
    json_t *root = json_loadb(json.at, json.len, JSON_REJECT_DUPLICATES, &error);

    if (!root)
        text_printf(why, "line %d, column %d: %s", error.line, error.column, error.text);
    return root;
}

struct rule *rules_read(struct span json, struct text *why)
{
    json_t *root = load(json, why);
    const json_t *list = json_is_array(root) ? root : json_object_get(root, "rules"), *one;
    struct rule *rules = NULL, **end = &rules;
    size_t i;

    if (root && !json_is_array(list))
        text_put(why, "expected {\"rules\": [...]}");
    json_array_foreach(list, i, one) if (!read_rule(add_rule(&end, "", i), one, why)) break;
    json_decref(root);
    if (why->len) {
        rules_free(rules);
        return NULL;
    }
    return rules;
}

struct rule *outages_read(struct span json, struct text *why)
{
    json_t *root = load(json, why), *one;
    struct rule *rules = NULL, **end = &rules;
    const char *key, *what = NULL;
    size_t number = 0;

    json_object_foreach(root, key, one)
    {
        struct rule *r = add_rule(&end, "outage-", number++);
        bool tool = strncmp(key, "tool", 4) == 0;
        const char *rest = tool ? key + 4 : strncmp(key, "model", 5) == 0 ? key + 5 : "?";

        r->on_tool = tool;
        r->match.step = r->match.tool_messages = -1;
        r->per = PER_ALL;
        r->until_us = number_of(one, "until_us", 0);
        if (*rest == ':')
            *(tool ? &r->match.tool : &r->match.model) = must_copy(span_of(rest + 1));
        else if (*rest)
            wrong(why, r, "outages are named model, model:NAME, tool or tool:NAME");
        if (!why->len && !fault_from_json(one, &r->fault, &what))
            wrong(why, r, what);
        if (!why->len)
            read_latency(r, json_object_get(one, "latency"), why);
        r->times = r->fault.times;
        r->chance = r->fault.kind ? r->fault.chance : 1;
    }
    json_decref(root);
    if (why->len) {
        rules_free(rules);
        return NULL;
    }
    return rules;
}

void rules_free(struct rule *r)
{
    while (r) {
        struct rule *next = r->next;
        char *owned[] = {r->name,           r->match.model,       r->match.tool,        r->match.user,
                         r->match.system,   r->match.tool_result, r->match.header_name, r->match.header_value,
                         r->answer.content, r->answer.body};

        for (size_t i = 0; i < sizeof owned / sizeof *owned; i++)
            free(owned[i]);
        if (r->match.has_regex)
            regfree(&r->match.regex);
        json_decref(r->match.params);
        for (size_t i = 0; i < r->answer.ncalls; i++) {
            free(r->answer.calls[i].name);
            free(r->answer.calls[i].arguments);
        }
        free(r->answer.calls);
        fault_free(&r->fault);
        free(r);
        r = next;
    }
}
