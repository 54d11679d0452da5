/* Reading a chat.completions request. */
#include "chat.h"

static void note_message(struct chat *c, struct span role, struct span content)
{
    if (span_is(role, "user")) {
        c->user = content;
        c->tool_result = (struct span){0};
        c->step = 1;
        c->tool_messages = 0;
    } else if (span_is(role, "assistant")) {
        c->step++;
    } else if (span_is(role, "tool")) {
        c->tool_result = content;
        c->tool_messages++;
    } else if (!c->system.len) {
        c->system = content;
    }
}

static bool known_role(struct span role)
{
    return span_is(role, "user") || span_is(role, "assistant") || span_is(role, "tool") || span_is(role, "system") ||
           span_is(role, "developer");
}

static bool read_message(struct chat *c, struct scan *s, const char **why)
{
    struct span key, value, role = {0}, content = {0};
    bool first = true;

    if (!scan_enter(s, '{')) {
        *why = "'messages' must hold objects";
        return false;
    }
    while (scan_member(s, &first, &key)) {
        if (!scan_value(s, &value))
            break;
        if (span_is(key, "role"))
            role = scan_inside(value);
        else if (span_is(key, "content"))
            content = value;
    }
    if (!s->bad && !known_role(role)) {
        *why = "a message's 'role' must be system, developer, user, assistant or tool";
        return false;
    }
    note_message(c, role, content);
    return !s->bad;
}

static bool read_messages(struct chat *c, struct scan *s, const char **why)
{
    const char *from;
    bool first = true;

    if (!scan_enter(s, '[')) {
        *why = "'messages' must be an array";
        return false;
    }
    from = s->at - 1;
    while (scan_item(s, &first))
        if (!read_message(c, s, why))
            return false;
    c->messages = (struct span){from, (size_t)(s->at - from)};
    return !s->bad;
}

bool chat_read(struct chat *c, struct span body, const char **why)
{
    struct scan s = scan_start(body);
    struct span key, value;
    bool first = true;

    *c = (struct chat){.step = 1};
    *why = "the body is not valid JSON";
    if (!scan_enter(&s, '{'))
        return false;
    while (scan_member(&s, &first, &key)) {
        if (span_is(key, "messages")) {
            if (!read_messages(c, &s, why))
                return false;
            continue;
        }
        if (!scan_value(&s, &value))
            return false;
        if (span_is(key, "model"))
            c->model = scan_inside(value);
        else if (span_is(key, "tools"))
            c->tools = value;
        else if (span_is(key, "stream"))
            c->stream = span_is(value, "true");
    }
    if (!scan_done(&s))
        return false;
    if (!c->model.len)
        *why = "you must provide a model parameter";
    else if (c->messages.len < 4)
        *why = "'messages' must hold at least one message";
    return c->model.len && c->messages.len >= 4;
}
