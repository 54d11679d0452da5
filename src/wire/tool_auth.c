/* How a tool file says who we are: auth_type and auth. */
#include <stdio.h>

#include "stepmill/nearest.h"
#include "stepmill/secret.h"
#include "tool_file.h"

enum { HEADER_MAX = 128, VALUE_MAX = 8192 };

struct auth {
    const char *header, *value;
    bool has_value, has_file;
};

/* RFC 9110 §5.6.2, and not a header that we write ourselves. */
static bool header_is_free(struct tool_file *f, const struct json *j, const char *name)
{
    static const char *const ours[] = {"Content-Type", "Content-Length", "Transfer-Encoding", "Connection", "Host",
                                       "X-Agent-Id",   "X-Request-Id",   "Idempotency-Key",   "traceparent"};

    for (const char *c = name; *c; c++)
        if ((unsigned char)*c <= ' ' || (unsigned char)*c >= 0x7f || strchr("\"(),/:;<=>?@[\\]{}", *c)) {
            tool_file_problem(f, false, json_offset(j), "\"header\" is not the name of an HTTP header");
            return false;
        }
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
        if (!strcasecmp(name, ours[i])) {
            tool_file_problem(f, false, json_offset(j), "\"header\": %s is written by stepmill itself", ours[i]);
            return false;
        }
    return true;
}

static const char *read_value_file(struct tool_file *f, const struct json *j)
{
    const char *path = tool_file_string(f, j, "value_file", 1, 4000);
    struct buf whole = BUF(8192), value = BUF(2 * SECRET_MAX);
    struct slice copy = {NULL, 0};
    struct error e;

    if (!path)
        return NULL;
    buf_printf(&whole, "%s%s%s", path[0] == '/' ? "" : f->folder, path[0] == '/' ? "" : "/", path);
    e = secret_read_file(buf_text(&whole), &value);
    if (failed(e))
        tool_file_problem(f, false, json_offset(j), "\"value_file\" %s: %s", path, e.text);
    else if (value.len > VALUE_MAX)
        tool_file_problem(f, false, json_offset(j), "\"value_file\" %s has %zu bytes, at most %d are allowed", path, value.len,
                          VALUE_MAX);
    else
        copy = arena_copy(f->arena, buf_slice(&value));
    buf_free(&whole);
    buf_free(&value);
    return copy.at;
}

/* At a key of the auth object. */
static void read_member(struct tool_file *f, struct json *j, struct auth *a)
{
    struct json key = *j;

    json_next(j);
    if (json_key_is(&key, "header")) {
        const char *header = tool_file_string(f, j, "header", 1, HEADER_MAX);

        a->header = header && header_is_free(f, j, header) ? header : NULL;
    } else if (json_key_is(&key, "value")) {
        a->has_value = true;
        a->value = tool_file_expanded(f, j, "value", VALUE_MAX, true);
    } else if (json_key_is(&key, "value_file")) {
        a->has_file = true;
        a->value = read_value_file(f, j);
    } else {
        struct nearest near = nearest_to(key.raw);

        nearest_offer(&near, "header");
        nearest_offer(&near, "value");
        nearest_offer(&near, "value_file");
        tool_file_problem(f, false, json_offset(&key), "\"%.*s\" is not a member of \"auth\"%s%s%s",
                          key.raw.len < 100 ? (int)key.raw.len : 100, key.raw.at, near.name ? "; did you mean \"" : "",
                          near.name ? near.name : "", near.name ? "\"?" : "");
    }
    json_skip(j);
}

/* The value as it stands in the header; a line end in it would begin a header of its own. */
static void take_value(struct tool_file *f, size_t offset, const char *value)
{
    bool bearer = f->definition.auth == TOOL_AUTH_BEARER;
    char room[VALUE_MAX + 16];
    struct buf whole = BUF_IN(room);

    for (const char *c = value; *c; c++)
        if ((unsigned char)*c < ' ' || (unsigned char)*c >= 0x7f) {
            tool_file_problem(f, false, offset, "\"auth\": the value holds a byte that an HTTP header can't (a line end?)");
            return;
        }
    if (bearer && slice_starts_with(slice_of(value), "Bearer ")) {
        tool_file_problem(f, false, offset, "\"auth\": write the token without \"Bearer \"");
        return;
    }
    buf_printf(&whole, "%s%s", bearer ? "Bearer " : "", value);
    f->definition.auth_value = arena_copy(f->arena, buf_slice(&whole)).at;
}

void tool_file_read_auth(struct tool_file *f)
{
    bool given = f->auth.token == JSON_TOKEN_OBJECT;
    size_t offset = given ? json_offset(&f->auth) : 0;
    size_t errors = f->report->errors;
    struct auth a = {0};

    if (f->definition.auth == TOOL_AUTH_NONE) {
        if (given)
            tool_file_problem(f, false, offset, "\"auth\" without \"auth_type\": say \"api_key\" or \"bearer\"");
        return;
    }
    if (!given) {
        tool_file_problem(f, false, 0, "\"auth\" is missing: {\"value\":\"${NAME}\"}, or {\"value_file\":\"path\"}");
        return;
    }
    while (json_next(&f->auth) && f->auth.token == JSON_TOKEN_KEY)
        read_member(f, &f->auth, &a);
    if (f->report->errors > errors)
        return;
    if (a.has_value == a.has_file) {
        tool_file_problem(f, false, offset, "\"auth\" needs \"value\" or \"value_file\", one of them");
        return;
    }
    f->definition.auth_header = a.header ? a.header : f->definition.auth == TOOL_AUTH_BEARER ? "Authorization" : "X-API-Key";
    if (a.value)
        take_value(f, offset, a.value);
}
