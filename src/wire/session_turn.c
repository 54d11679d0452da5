/* Messages of session memory as JSON. */
#include "stepmill/session_turn.h"

#include "stepmill/json.h"

void session_turn_put(struct buf *to, const struct turn *turn)
{
    buf_put_text(to, "{\"role\":");
    json_put_string(to, turn->role);
    buf_put_text(to, ",\"content\":");
    json_put_string(to, turn->content);
    buf_put_byte(to, '}');
}

static bool read_text(struct json *j, struct arena *arena, struct slice *text)
{
    struct buf value = BUF(j->raw.len + 1);
    bool ok;

    if (j->token != JSON_TOKEN_STRING)
        return false;
    ok = json_unescape(j, &value);
    if (ok)
        *text = arena_copy(arena, buf_slice(&value));
    buf_free(&value);
    return ok && text->at;
}

bool session_turn_read(struct slice text, struct arena *arena, struct turn *turn)
{
    struct json j = json_start(text);

    *turn = (struct turn){{NULL, 0}, {NULL, 0}};
    if (!json_next(&j) || j.token != JSON_TOKEN_OBJECT)
        return false;
    while (json_next(&j) && j.token == JSON_TOKEN_KEY) {
        bool role = slice_is(j.raw, "role"), content = slice_is(j.raw, "content");

        if (!role && !content) {
            if (!json_skip(&j))
                return false;
        } else if (!json_next(&j) || !read_text(&j, arena, role ? &turn->role : &turn->content)) {
            return false;
        }
    }
    return !j.error && turn->content.at && (slice_is(turn->role, "user") || slice_is(turn->role, "assistant"));
}
