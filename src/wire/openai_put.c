/* Messages and requests of the OpenAI chat.completions API, written as bytes. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "stepmill/json.h"
#include "stepmill/openai.h"

enum { FUNCTION_NAME_MAX = 64 };

static void begin_message(struct buf *list, const char *role)
{
    if (list->len && list->at[list->len - 1] != '[')
        buf_put_byte(list, ',');
    buf_put_text(list, "{\"role\":\"");
    buf_put_text(list, role);
    buf_put_byte(list, '"');
}

static void put_text_message(struct buf *list, const char *role, struct slice content)
{
    begin_message(list, role);
    buf_put_text(list, ",\"content\":");
    json_put_string(list, content);
    buf_put_byte(list, '}');
}

void openai_put_system(struct buf *list, struct slice prompt)
{
    if (prompt.len)
        put_text_message(list, "system", prompt);
}

void openai_put_turn(struct buf *list, const struct turn *turn)
{
    put_text_message(list, slice_is(turn->role, "assistant") ? "assistant" : "user", turn->content);
}

/* The entries that may be shown, as a JSON object; nothing if there are none. */
static void put_context(struct buf *to, const struct context_entry *context, size_t ncontext)
{
    for (size_t i = 0; i < ncontext; i++) {
        if (slice_starts_with(context[i].key, "meta."))
            continue;
        buf_put_byte(to, to->len ? ',' : '{');
        json_put_string(to, context[i].key);
        buf_put_byte(to, ':');
        json_put_string(to, context[i].value);
    }
    if (to->len)
        buf_put_byte(to, '}');
}

void openai_put_user(struct buf *list, struct slice prompt, const struct context_entry *context, size_t ncontext)
{
    struct buf shown = BUF(list->max);

    put_context(&shown, context, ncontext);
    begin_message(list, "user");
    buf_put_text(list, ",\"content\":\"");
    if (shown.failed) {
        list->failed = true;
        list->no_memory |= shown.no_memory;
    } else if (shown.len) {
        buf_put_text(list, "Context:\\n");
        json_put_escaped(list, buf_slice(&shown));
        buf_put_text(list, "\\n\\n");
    }
    json_put_escaped(list, prompt);
    buf_put_text(list, "\"}");
    buf_free(&shown);
}

/* Servers refuse a conversation with any other name in it, the model's own slip or not. */
static void put_function_name(struct buf *to, struct slice name)
{
    buf_put_byte(to, '"');
    for (size_t i = 0; i < name.len && i < FUNCTION_NAME_MAX; i++) {
        char c = name.at[i];
        bool fits = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';

        buf_put_byte(to, fits ? c : '_');
    }
    buf_put_text(to, name.len ? "\"" : "unnamed\"");
}

static void put_arguments(struct buf *to, struct slice arguments)
{
    struct buf wrapped = BUF(to->max);

    if (json_valid_object(arguments)) {
        json_put_string(to, arguments);
        return;
    }
    buf_put_text(&wrapped, "{\"invalid_arguments\":");
    json_put_string(&wrapped, arguments);
    buf_put_byte(&wrapped, '}');
    json_put_string(to, buf_slice(&wrapped));
    to->failed |= wrapped.failed;
    to->no_memory |= wrapped.no_memory;
    buf_free(&wrapped);
}

static void put_call(struct buf *list, const struct tool_call *call)
{
    buf_put_text(list, "{\"id\":");
    json_put_string(list, call->id);
    buf_put_text(list, ",\"type\":\"function\",\"function\":{\"name\":");
    put_function_name(list, call->name);
    buf_put_text(list, ",\"arguments\":");
    put_arguments(list, call->arguments);
    buf_put_text(list, "}}");
}

void openai_put_assistant(struct buf *list, const struct event_model_answered *answer)
{
    begin_message(list, "assistant");
    buf_put_text(list, ",\"content\":");
    if (!answer->content.at && answer->ncalls)
        buf_put_text(list, "null");
    else
        json_put_string(list, answer->content);
    for (size_t i = 0; i < answer->ncalls; i++) {
        buf_put_text(list, i ? "," : ",\"tool_calls\":[");
        put_call(list, &answer->calls[i]);
    }
    buf_put_text(list, answer->ncalls ? "]}" : "}");
}

void openai_put_tool(struct buf *list, const struct event_tool_answered *answer)
{
    begin_message(list, "tool");
    buf_put_text(list, ",\"tool_call_id\":");
    json_put_string(list, answer->call_id);
    buf_put_text(list, ",\"content\":");
    json_put_string(list, answer->content);
    buf_put_byte(list, '}');
}

static void put_tools(struct buf *to, const struct openai_tool *tools, size_t ntools)
{
    buf_put_byte(to, '[');
    for (size_t i = 0; i < ntools; i++) {
        buf_put_text(to,
                     i ? ",{\"type\":\"function\",\"function\":{\"name\":" : "{\"type\":\"function\",\"function\":{\"name\":");
        json_put_string(to, tools[i].name);
        if (tools[i].description.len) {
            buf_put_text(to, ",\"description\":");
            json_put_string(to, tools[i].description);
        }
        if (tools[i].parameters.at) {
            buf_put_text(to, ",\"parameters\":");
            buf_put_slice(to, tools[i].parameters);
        }
        buf_put_text(to, "}}");
    }
    buf_put_byte(to, ']');
}

/* The shortest text that reads back as the same number. */
static void put_real(struct buf *to, double value)
{
    char text[32];

    for (int digits = 1; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            break;
    }
    buf_put_text(to, text);
}

/* Whether the object has this member. */
static bool has_member(struct slice object, const char *name)
{
    struct json j = json_start(object);
    bool found = false;

    if (!object.at || !json_next(&j) || j.token != JSON_TOKEN_OBJECT)
        return false;
    while (!found && json_next(&j) && j.token == JSON_TOKEN_KEY) {
        found = json_key_is(&j, name);
        if (!json_skip(&j))
            return false;
    }
    return found;
}

static void put_extra(struct buf *to, struct slice extra)
{
    struct json j = json_start(extra);

    if (!extra.at || !json_next(&j) || j.token != JSON_TOKEN_OBJECT)
        return;
    while (json_next(&j) && j.token == JSON_TOKEN_KEY) {
        bool ours = json_key_is(&j, "messages") || json_key_is(&j, "stream");
        struct slice key = j.raw, value;

        if (!json_value_text(&j, &value))
            return;
        if (!ours)
            buf_printf(to, ",\"%.*s\":%.*s", SLICE_FMT(key), SLICE_FMT(value));
    }
}

void openai_put_head(struct buf *to, const struct openai_request *r)
{
    buf_put_text(to, "{\"stream\":false");
    if (!has_member(r->extra, "model")) {
        buf_put_text(to, ",\"model\":");
        json_put_string(to, r->model);
    }
    if (r->has_temperature && isfinite(r->temperature) && !has_member(r->extra, "temperature")) {
        buf_put_text(to, ",\"temperature\":");
        put_real(to, r->temperature);
    }
    if (r->has_seed && !has_member(r->extra, "seed")) {
        buf_put_text(to, ",\"seed\":");
        buf_put_int(to, r->seed);
    }
    if (r->has_max_tokens && !has_member(r->extra, "max_tokens") && !has_member(r->extra, "max_completion_tokens")) {
        buf_put_text(to, ",\"max_tokens\":");
        buf_put_int(to, r->max_tokens);
    }
    if (r->ntools && !has_member(r->extra, "tools")) {
        buf_put_text(to, ",\"tools\":");
        put_tools(to, r->tools, r->ntools);
    }
    put_extra(to, r->extra);
    buf_put_text(to, ",\"messages\":[");
}

void openai_put_definition(struct buf *to, struct slice system_prompt, const struct openai_tool *tools, size_t ntools)
{
    buf_put_text(to, "{\"system_prompt\":");
    json_put_string(to, system_prompt);
    buf_put_text(to, ",\"tools\":");
    put_tools(to, tools, ntools);
    buf_put_byte(to, '}');
}
