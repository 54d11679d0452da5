/* What goes to a tool and what the model is told of its answer. */
#include <stdio.h>

#include "stepmill/json.h"
#include "stepmill/tool.h"

static bool is_blank(struct slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.at[i] != ' ' && s.at[i] != '\t' && s.at[i] != '\n' && s.at[i] != '\r')
            return false;
    return true;
}

bool tool_put_request(struct buf *to, struct slice arguments)
{
    const struct slice before = SLICE("{\"params\":");
    struct slice object = is_blank(arguments) ? SLICE("{}") : arguments;
    char *at;

    if (!json_valid_object(object))
        return false;
    at = buf_reserve(to, before.len + object.len + 1);
    if (!at)
        return false;
    memcpy(at, before.at, before.len);
    memcpy(at + before.len, object.at, object.len);
    at[before.len + object.len] = '}';
    to->len += before.len + object.len + 1;
    return true;
}

struct slice tool_answer_text(struct slice body, size_t max, struct arena *arena, bool *truncated)
{
    struct slice head = utf8_cut(body, max), text;
    struct buf clean = BUF(3 * head.len + 1); /* a bad byte becomes three */
    char mark[96];
    size_t n, room;

    *truncated = false;
    if (head.len == body.len && utf8_valid(body))
        return arena_copy(arena, body.at ? body : SLICE(""));
    utf8_put(&clean, head);
    text = buf_slice(&clean);
    *truncated = head.len < body.len || text.len > max;
    if (*truncated) {
        n = (size_t)snprintf(mark, sizeof mark, "\n[cut here: the tool's answer has %zu bytes]", body.len);
        room = max > n ? max - n : 0;
        clean.len = utf8_cut(text, room).len;
        clean.max += sizeof mark;
        buf_put(&clean, mark, n < max ? n : max);
    }
    text = clean.failed ? (struct slice){NULL, 0} : arena_copy(arena, buf_slice(&clean));
    buf_free(&clean);
    return text;
}
