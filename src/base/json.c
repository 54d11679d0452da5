/* The pull scanner: one pass over JSON that nobody vouches for. */
#include "stepmill/json.h"

#include "json_bytes.h"

/* What may come next. */
enum { VALUE, FIRST_VALUE_OR_END, KEY, FIRST_KEY_OR_END, COMMA_OR_END };

struct json json_start(struct slice text)
{
    const char *at = text.at ? text.at : "";

    return (struct json){.start = at, .at = at, .end = at + text.len, .raw = {at, 0}, .expect = VALUE};
}

size_t json_offset(const struct json *j)
{
    return (size_t)(j->raw.at - j->start) - (j->token == JSON_TOKEN_STRING || j->token == JSON_TOKEN_KEY);
}

static bool fail(struct json *j, const char *at, const char *what)
{
    j->token = JSON_TOKEN_END;
    j->raw = (struct slice){at, 0};
    j->error = what;
    return false;
}

static void skip_space(struct json *j)
{
    while (j->at < j->end && (*j->at == ' ' || *j->at == '\n' || *j->at == '\r' || *j->at == '\t'))
        j->at++;
}

static bool in_object(const struct json *j) { return j->depth && j->objects >> (j->depth - 1) & 1; }

/* The token is [from, to). */
static bool found(struct json *j, enum json_token token, const char *from, const char *to)
{
    j->token = token;
    j->raw = (struct slice){from, (size_t)(to - from)};
    j->at = to;
    return true;
}

static bool open_container(struct json *j, bool object)
{
    if (j->depth == JSON_DEPTH_MAX)
        return fail(j, j->at, "nested deeper than 64");
    if (object)
        j->objects |= UINT64_C(1) << j->depth;
    else
        j->objects &= ~(UINT64_C(1) << j->depth);
    j->depth++;
    j->expect = object ? FIRST_KEY_OR_END : FIRST_VALUE_OR_END;
    return found(j, object ? JSON_TOKEN_OBJECT : JSON_TOKEN_ARRAY, j->at, j->at + 1);
}

static bool close_container(struct json *j)
{
    bool object = in_object(j);

    if (*j->at != (object ? '}' : ']'))
        return fail(j, j->at, object ? "a comma or '}' is missing" : "a comma or ']' is missing");
    j->depth--;
    j->expect = COMMA_OR_END;
    return found(j, object ? JSON_TOKEN_OBJECT_END : JSON_TOKEN_ARRAY_END, j->at, j->at + 1);
}

static bool fail_in_string(struct json *j, const char *at)
{
    if (*at == '\\')
        return fail(j, at, "not an escape, or half of a surrogate pair");
    return fail(j, at,
                (unsigned char)*at < 0x20 ? "a control character in a string must be escaped" : "these bytes are not UTF-8");
}

/* From the opening quote to after the closing one. */
static bool scan_string(struct json *j, enum json_token token)
{
    const char *from = j->at + 1, *at = from, *end = j->end;
    bool escaped = false;

    while ((at = json_plain_end(at, end)) < end && *at != '"') {
        uint32_t c = 1;
        size_t n;

        if (*at == '\\') {
            escaped = true;
            n = end - at > 1 && json_short_escape[(unsigned char)at[1]] ? 2 : json_escape(at, end, &c);
        } else {
            n = (unsigned char)*at < 0x20 ? 0 : utf8_char(at, end);
        }
        if (!n)
            return fail_in_string(j, at);
        if (!c && token == JSON_TOKEN_KEY)
            return fail(j, at, "\\u0000 in a key");
        at += n;
    }
    if (at == end)
        return fail(j, at, "the text ends inside a string");
    found(j, token, from, at);
    j->escaped = escaped;
    j->at = at + 1;
    return true;
}

static const char *skip_digits(const char *at, const char *end)
{
    while (at < end && *at >= '0' && *at <= '9')
        at++;
    return at;
}

static bool scan_number(struct json *j)
{
    const char *from = j->at, *end = j->end, *at = from + (*from == '-'), *digits = at;

    at = at < end && *at == '0' ? at + 1 : skip_digits(at, end);
    if (at == digits)
        return fail(j, from, "a number without digits");
    if (at < end && *at == '.') {
        digits = ++at;
        at = skip_digits(at, end);
        if (at == digits)
            return fail(j, from, "a number without digits after its point");
    }
    if (at < end && (*at == 'e' || *at == 'E')) {
        at++;
        if (at < end && (*at == '+' || *at == '-'))
            at++;
        digits = at;
        at = skip_digits(at, end);
        if (at == digits)
            return fail(j, from, "a number without digits in its exponent");
    }
    return found(j, JSON_TOKEN_NUMBER, from, at);
}

static bool scan_word(struct json *j, enum json_token token, struct slice word)
{
    if ((size_t)(j->end - j->at) < word.len || memcmp(j->at, word.at, word.len) != 0)
        return fail(j, j->at, "not a JSON value");
    return found(j, token, j->at, j->at + word.len);
}

static bool scan_value(struct json *j)
{
    j->expect = COMMA_OR_END;
    switch (*j->at) {
    case '{':
    case '[':
        return open_container(j, *j->at == '{');
    case '"':
        return scan_string(j, JSON_TOKEN_STRING);
    case 't':
        return scan_word(j, JSON_TOKEN_TRUE, SLICE("true"));
    case 'f':
        return scan_word(j, JSON_TOKEN_FALSE, SLICE("false"));
    case 'n':
        return scan_word(j, JSON_TOKEN_NULL, SLICE("null"));
    default:
        if (*j->at == '-' || (*j->at >= '0' && *j->at <= '9'))
            return scan_number(j);
        return fail(j, j->at, "not a JSON value");
    }
}

/* The key and its colon. */
static bool scan_key(struct json *j)
{
    if (*j->at != '"')
        return fail(j, j->at, "a key in quotes is missing");
    if (!scan_string(j, JSON_TOKEN_KEY))
        return false;
    skip_space(j);
    if (j->at == j->end || *j->at != ':')
        return fail(j, j->at, "a colon after the key is missing");
    j->at++;
    j->expect = VALUE;
    return true;
}

static bool text_ended(struct json *j)
{
    if (j->depth || j->expect != COMMA_OR_END)
        return fail(j, j->at, j->depth ? "the text ends inside an object or array" : "no JSON value");
    found(j, JSON_TOKEN_END, j->end, j->end);
    return false;
}

bool json_next(struct json *j)
{
    if (j->error)
        return false;
    skip_space(j);
    if (j->at == j->end)
        return text_ended(j);
    if (j->expect == COMMA_OR_END) {
        if (!j->depth)
            return fail(j, j->at, "something follows the value");
        if (*j->at != ',')
            return close_container(j);
        j->at++;
        j->expect = in_object(j) ? KEY : VALUE;
        skip_space(j);
        if (j->at == j->end)
            return text_ended(j);
    } else if ((j->expect == FIRST_KEY_OR_END && *j->at == '}') || (j->expect == FIRST_VALUE_OR_END && *j->at == ']')) {
        return close_container(j);
    }
    return j->expect == KEY || j->expect == FIRST_KEY_OR_END ? scan_key(j) : scan_value(j);
}

bool json_skip(struct json *j)
{
    size_t around;

    if (j->token == JSON_TOKEN_KEY && !json_next(j))
        return false;
    if (j->token != JSON_TOKEN_OBJECT && j->token != JSON_TOKEN_ARRAY)
        return !j->error;
    for (around = j->depth - 1; j->depth > around;)
        if (!json_next(j))
            return false;
    return true;
}

bool json_value_text(struct json *j, struct slice *text)
{
    size_t quote;
    const char *from;

    if (j->token == JSON_TOKEN_KEY && !json_next(j))
        return false;
    from = j->start + json_offset(j);
    if (!json_skip(j))
        return false;
    quote = j->token == JSON_TOKEN_STRING;
    *text = (struct slice){from, (size_t)(j->raw.at + j->raw.len + quote - from)};
    return true;
}

static bool rest_is_valid(struct json *j)
{
    while (json_next(j)) {
    }
    return !j->error;
}

bool json_valid(struct slice text)
{
    struct json j = json_start(text);

    return rest_is_valid(&j);
}

bool json_valid_object(struct slice text)
{
    struct json j = json_start(text);

    return json_next(&j) && j.token == JSON_TOKEN_OBJECT && rest_is_valid(&j);
}
