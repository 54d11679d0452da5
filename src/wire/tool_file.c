/* One tool file: its members by a table, each checked where it stands. */
#include "tool_file.h"

#include <jansson.h>

#include "stepmill/nearest.h"

enum { TEXT_MAX = 4096, URL_MAX = 2048, VERSION_MAX = 64, TIMEOUT_MIN_MS = 100, TIMEOUT_MAX_MS = 600000, RATE_MAX = 1000000 };

static void read_name(struct tool_file *f, struct json *j)
{
    const char *name = tool_file_string(f, j, "name", 1, TOOL_NAME_MAX);

    f->name_offset = json_offset(j);
    for (const char *c = name; c && *c; c++) {
        if ((*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9') || *c == '_' || *c == '-')
            continue;
        tool_file_problem(f, false, json_offset(j),
                          "\"name\" may hold letters, digits, '_' and '-' only: it is what the model calls");
        return;
    }
    f->definition.name = slice_of(name);
}

static void read_version(struct tool_file *f, struct json *j)
{
    f->definition.version = slice_of(tool_file_string(f, j, "version", 1, VERSION_MAX));
}

static void read_description(struct tool_file *f, struct json *j)
{
    f->definition.description = slice_of(tool_file_string(f, j, "description", 1, TEXT_MAX));
}

/* JSON without the white space between its tokens; numbers and escapes stay as they were written. */
static struct slice compact(struct tool_file *f, struct slice json)
{
    char *to = arena_alloc(f->arena, json.len + 1);
    bool in_string = false;
    size_t n = 0;

    for (size_t i = 0; to && i < json.len; i++) {
        char c = json.at[i];

        if (!in_string && (c == ' ' || c == '\t' || c == '\n' || c == '\r'))
            continue;
        to[n++] = c;
        if (in_string && c == '\\')
            to[n++] = json.at[++i];
        else if (c == '"')
            in_string = !in_string;
    }
    return (struct slice){to, to ? n : 0};
}

static struct slice read_schema(struct tool_file *f, struct json *j, const char *name)
{
    size_t offset = json_offset(j);
    struct json inside = *j;
    struct slice text;

    if (j->token != JSON_TOKEN_OBJECT || !json_value_text(j, &text)) {
        tool_file_problem(f, false, offset,
                          "\"%s\" must be a JSON Schema object, such as {\"type\":\"object\",\"properties\":{}}", name);
        return (struct slice){NULL, 0};
    }
    while (json_next(&inside) && inside.token == JSON_TOKEN_KEY) {
        bool type = json_key_is(&inside, "type");

        json_next(&inside);
        if (type && !json_string_is(&inside, "object"))
            tool_file_problem(f, false, json_offset(&inside), "\"%s\" must have \"type\": \"object\"", name);
        json_skip(&inside);
    }
    return compact(f, text);
}

static void read_parameters(struct tool_file *f, struct json *j) { f->definition.parameters = read_schema(f, j, "parameters"); }

/* Unlike parameters, a tool may return anything. */
static void read_returns(struct tool_file *f, struct json *j)
{
    size_t offset = json_offset(j);
    bool object = j->token == JSON_TOKEN_OBJECT;
    struct slice text;

    if (json_value_text(j, &text) && object)
        f->definition.returns = compact(f, text);
    else
        tool_file_problem(f, false, offset, "\"returns\" must be a JSON Schema object");
}

/* Only characters that may stand in a URL as they are. */
static bool is_plain(const char *url)
{
    while ((unsigned char)*url > ' ' && (unsigned char)*url < 0x7f && !strchr("\"<>\\^`{|}", *url))
        url++;
    return !*url;
}

static const char *read_url(struct tool_file *f, struct json *j, const char *name)
{
    const char *url = tool_file_expanded(f, j, name, URL_MAX, false), *host, *end;

    if (!url)
        return NULL;
    host = slice_starts_with(slice_of(url), "http://") ? url + 7 : slice_starts_with(slice_of(url), "https://") ? url + 8 : NULL;
    end = host ? host + strcspn(host, "/?#") : NULL;
    if (!host || host == end || *host == ':' || !is_plain(url)) {
        tool_file_problem(f, false, json_offset(j), "\"%s\" must be a URL such as https://tools.example/search", name);
        return NULL;
    }
    if (memchr(host, '@', (size_t)(end - host))) {
        tool_file_problem(f, false, json_offset(j), "\"%s\" must not hold a user or password: use \"auth\"", name);
        return NULL;
    }
    return url;
}

static void read_endpoint(struct tool_file *f, struct json *j) { f->definition.endpoint = read_url(f, j, "endpoint"); }
static void read_health_url(struct tool_file *f, struct json *j) { f->definition.health_url = read_url(f, j, "health_url"); }

static void read_auth_type(struct tool_file *f, struct json *j)
{
    if (json_string_is(j, "none"))
        f->definition.auth = TOOL_AUTH_NONE;
    else if (json_string_is(j, "api_key"))
        f->definition.auth = TOOL_AUTH_API_KEY;
    else if (json_string_is(j, "bearer"))
        f->definition.auth = TOOL_AUTH_BEARER;
    else if (json_string_is(j, "oauth2"))
        tool_file_problem(
            f, false, json_offset(j),
            "\"auth_type\": oauth2 is not supported yet; what works: none, api_key, or bearer with a token you renew");
    else
        tool_file_problem(f, false, json_offset(j), "\"auth_type\" must be one of \"none\", \"api_key\", \"bearer\"");
}

static void read_auth(struct tool_file *f, struct json *j)
{
    if (j->token == JSON_TOKEN_OBJECT)
        f->auth = *j;
    else
        tool_file_problem(f, false, json_offset(j), "\"auth\" must be an object such as {\"value\":\"${SEARCH_KEY}\"}");
}

static bool read_integer(struct tool_file *f, struct json *j, const char *name, int64_t min, int64_t max, int64_t *value)
{
    if (json_int(j, min, max, value))
        return true;
    tool_file_problem(f, false, json_offset(j), "\"%s\" must be an integer from %lld to %lld", name, (long long)min,
                      (long long)max);
    return false;
}

static void read_rate_limit(struct tool_file *f, struct json *j)
{
    int64_t value;

    if (read_integer(f, j, "rate_limit", 0, RATE_MAX, &value))
        f->definition.rate_limit = (int32_t)value;
}

static void read_timeout(struct tool_file *f, struct json *j)
{
    int64_t value;

    if (read_integer(f, j, "timeout_ms", TIMEOUT_MIN_MS, TIMEOUT_MAX_MS, &value))
        f->definition.timeout_ms = value;
}

static void read_repeatable(struct tool_file *f, struct json *j)
{
    if (j->token != JSON_TOKEN_TRUE && j->token != JSON_TOKEN_FALSE)
        tool_file_problem(f, false, json_offset(j), "\"repeatable\" must be true or false");
    f->definition.repeatable = j->token == JSON_TOKEN_TRUE;
}

static void read_on_unknown(struct tool_file *f, struct json *j)
{
    if (!json_string_is(j, "tell_model") && !json_string_is(j, "fail"))
        tool_file_problem(f, false, json_offset(j), "\"on_unknown\" must be \"tell_model\" or \"fail\"");
    f->definition.fail_on_unknown = json_string_is(j, "fail");
}

static void read_schema_url(struct tool_file *f, struct json *j) { (void)f, (void)j; } /* "$schema": for editors */

static const struct member {
    const char *name;
    void (*read)(struct tool_file *f, struct json *j); /* at the value's first token; may move to its last */
    const char *missing;                               /* why it must be there; NULL: it need not */
} members[] = {
    {"$schema", read_schema_url, NULL},
    {"name", read_name, "it is what the model calls"},
    {"version", read_version, "it is part of each call's Idempotency-Key"},
    {"description", read_description, "the model chooses tools by it"},
    {"parameters", read_parameters, "a JSON Schema object of what the model may pass"},
    {"returns", read_returns, NULL},
    {"endpoint", read_endpoint, "the URL that is called"},
    {"health_url", read_health_url, NULL},
    {"auth_type", read_auth_type, NULL},
    {"auth", read_auth, NULL},
    {"rate_limit", read_rate_limit, NULL},
    {"timeout_ms", read_timeout, NULL},
    {"repeatable", read_repeatable,
     "true if a call may be made again when nobody knows whether it ran, false if that would do harm"},
    {"on_unknown", read_on_unknown, NULL},
};
enum { MEMBERS = sizeof members / sizeof *members };

static void unknown_member(struct tool_file *f, const struct json *j)
{
    struct nearest near = nearest_to(j->raw);

    for (size_t i = 0; i < MEMBERS; i++)
        nearest_offer(&near, members[i].name);
    tool_file_problem(f, false, json_offset(j), "\"%.*s\" is not a member of a tool%s%s%s",
                      j->raw.len < 100 ? (int)j->raw.len : 100, j->raw.at, near.name ? "; did you mean \"" : "",
                      near.name ? near.name : "", near.name ? "\"?" : "");
}

/* `value` is a copy: whatever the member reads of it, the walk goes on behind it. */
static void read_value(struct tool_file *f, size_t member, struct json value) { members[member].read(f, &value); }

static void read_members(struct tool_file *f, struct json *j)
{
    unsigned seen = 0;

    while (json_next(j) && j->token == JSON_TOKEN_KEY) {
        size_t i = 0;

        while (i < MEMBERS && !json_key_is(j, members[i].name))
            i++;
        if (i == MEMBERS) {
            unknown_member(f, j);
        } else {
            seen |= 1u << i;
            json_next(j);
            read_value(f, i, *j);
        }
        json_skip(j);
    }
    for (size_t i = 0; i < MEMBERS; i++)
        if (members[i].missing && !(seen >> i & 1))
            tool_file_problem(f, false, 0, "\"%s\" is missing: %s", members[i].name, members[i].missing);
}

/* Whether the text is JSON without repeated members at any depth: jansson's part. */
static bool is_strict_json(struct tool_file *f)
{
    json_error_t error;
    json_t *whole = json_loadb(f->text.at, f->text.len, JSON_REJECT_DUPLICATES, &error);
    const char *near = whole ? NULL : strstr(error.text, " near ");
    bool repeated = !whole && json_error_code(&error) == json_error_duplicate_key;

    /* What stands near a broken place may be half of a secret; a member's name is none. */
    if (!whole)
        tool_file_problem(f, false, error.position > 0 ? (size_t)error.position - 1 : 0, "not JSON: %.*s",
                          near && !repeated ? (int)(near - error.text) : (int)sizeof error.text, error.text);
    json_decref(whole);
    return whole != NULL;
}

void tool_file_read(struct tool_file *f)
{
    struct json j = json_start(f->text);
    size_t errors = f->report->errors;

    f->definition = (struct tool_definition){.timeout_ms = 10000, .file = f->path};
    if (!is_strict_json(f))
        return;
    if (!json_next(&j) || j.token != JSON_TOKEN_OBJECT) {
        tool_file_problem(f, false, json_offset(&j), "a tool file must hold one JSON object");
        return;
    }
    read_members(f, &j);
    if (j.error)
        tool_file_problem(f, false, json_offset(&j), "%s", j.error);
    if (f->report->errors == errors) /* what it makes of auth depends on auth_type */
        tool_file_read_auth(f);
}
