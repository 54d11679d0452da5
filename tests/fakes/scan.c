/* A strict, cheap walk over JSON bytes. */
#include "scan.h"

#include <string.h>

struct scan scan_start(struct span s) { return (struct scan){s.at, s.at + s.len, false}; }

static bool fail(struct scan *s)
{
    s->bad = true;
    return false;
}

static void skip_space(struct scan *s)
{
    while (s->at < s->end && (*s->at == ' ' || *s->at == '\n' || *s->at == '\r' || *s->at == '\t'))
        s->at++;
}

static bool take(struct scan *s, char c)
{
    skip_space(s);
    if (s->at == s->end || *s->at != c)
        return false;
    s->at++;
    return true;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool skip_escape(struct scan *s)
{
    if (++s->at == s->end || !*s->at || !strchr("\"\\/bfnrtu", *s->at))
        return fail(s);
    if (*s->at == 'u') {
        for (int i = 1; i <= 4; i++)
            if (s->end - s->at <= i || hex_value(s->at[i]) < 0)
                return fail(s);
        s->at += 4;
    }
    s->at++;
    return true;
}

/* Stands behind the opening quote; ends behind the closing one. */
static bool skip_string(struct scan *s)
{
    for (;;) {
        s->at += plain_length(s->at, (size_t)(s->end - s->at));
        if (s->at == s->end || (unsigned char)*s->at < 0x20)
            return fail(s);
        if (*s->at == '"') {
            s->at++;
            return true;
        }
        if (!skip_escape(s))
            return false;
    }
}

static bool skip_digits(struct scan *s)
{
    const char *from = s->at;

    while (s->at < s->end && *s->at >= '0' && *s->at <= '9')
        s->at++;
    return s->at > from || fail(s);
}

static bool skip_number(struct scan *s)
{
    if (*s->at == '-')
        s->at++;
    if (s->at < s->end && *s->at == '0')
        s->at++;
    else if (!skip_digits(s))
        return false;
    if (s->at < s->end && *s->at == '.') {
        s->at++;
        if (!skip_digits(s))
            return false;
    }
    if (s->at < s->end && (*s->at == 'e' || *s->at == 'E')) {
        s->at++;
        if (s->at < s->end && (*s->at == '+' || *s->at == '-'))
            s->at++;
        return skip_digits(s);
    }
    return true;
}

static bool skip_word(struct scan *s, const char *word)
{
    size_t n = strlen(word);

    if ((size_t)(s->end - s->at) < n || memcmp(s->at, word, n) != 0)
        return fail(s);
    s->at += n;
    return true;
}

/* A value that is neither object nor array. */
static bool skip_plain(struct scan *s)
{
    switch (*s->at) {
    case '"':
        s->at++;
        return skip_string(s);
    case 't':
        return skip_word(s, "true");
    case 'f':
        return skip_word(s, "false");
    case 'n':
        return skip_word(s, "null");
    default:
        return skip_number(s);
    }
}

static bool skip_key(struct scan *s) { return (take(s, '"') && skip_string(s) && take(s, ':')) || fail(s); }

/* Behind a value at `*depth` > 0: closes what closes here, then stands before the next value. */
static bool skip_between(struct scan *s, const bool *is_object, size_t *depth)
{
    while (*depth) {
        bool object = is_object[*depth - 1];

        if (take(s, ','))
            return !object || skip_key(s);
        if (!take(s, object ? '}' : ']'))
            return fail(s);
        --*depth;
    }
    return true;
}

bool scan_value(struct scan *s, struct span *value)
{
    bool is_object[SCAN_DEPTH_MAX];
    size_t depth = 0;

    skip_space(s);
    value->at = s->at;
    do {
        skip_space(s);
        if (s->bad || s->at == s->end)
            return fail(s);
        if (*s->at == '{' || *s->at == '[') {
            bool object = *s->at++ == '{';

            if (take(s, object ? '}' : ']')) {
                if (!skip_between(s, is_object, &depth))
                    return false;
                continue;
            }
            if (depth == SCAN_DEPTH_MAX)
                return fail(s);
            is_object[depth++] = object;
            if (object && !skip_key(s))
                return false;
            continue;
        }
        if (!skip_plain(s) || !skip_between(s, is_object, &depth))
            return false;
    } while (depth);
    value->len = (size_t)(s->at - value->at);
    return true;
}

bool scan_enter(struct scan *s, char bracket) { return !s->bad && take(s, bracket); }

bool scan_member(struct scan *s, bool *first, struct span *key)
{
    if (s->bad || take(s, '}'))
        return false;
    if (!*first && !take(s, ','))
        return fail(s);
    *first = false;
    if (!take(s, '"'))
        return fail(s);
    key->at = s->at;
    if (!skip_string(s))
        return false;
    key->len = (size_t)(s->at - key->at) - 1;
    return take(s, ':') || fail(s);
}

bool scan_item(struct scan *s, bool *first)
{
    if (s->bad || take(s, ']'))
        return false;
    if (!*first && !take(s, ','))
        return fail(s);
    *first = false;
    return true;
}

bool scan_done(struct scan *s)
{
    skip_space(s);
    return !s->bad && s->at == s->end;
}

struct span scan_inside(struct span value)
{
    if (value.len < 2 || value.at[0] != '"')
        return (struct span){0};
    return (struct span){value.at + 1, value.len - 2};
}

static uint32_t hex4(const char *at)
{
    uint32_t code = 0;

    for (int i = 0; i < 4; i++)
        code = code << 4 | (uint32_t)hex_value(at[i]);
    return code;
}

static void add_utf8(struct text *out, uint32_t code)
{
    char bytes[4];
    size_t n = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    static const unsigned char lead[] = {0, 0, 0xc0, 0xe0, 0xf0};

    for (size_t i = n; i-- > 1; code >>= 6)
        bytes[i] = (char)(0x80 | (code & 0x3f));
    bytes[0] = (char)(lead[n] | code);
    text_add(out, bytes, n);
}

/* `at` stands on the backslash; returns the bytes it took. */
static size_t decode_escape(const char *at, const char *end, struct text *out)
{
    static const char names[] = "bfnrt", codes[] = "\b\f\n\r\t";
    const char *name = strchr(names, at[1]);
    uint32_t code, low;

    if (at[1] != 'u') {
        text_add(out, name ? &codes[name - names] : &at[1], 1);
        return 2;
    }
    code = hex4(at + 2);
    if (code >= 0xd800 && code < 0xdc00 && end - at >= 12 && at[6] == '\\' && at[7] == 'u') {
        low = hex4(at + 8);
        if (low >= 0xdc00 && low < 0xe000) {
            add_utf8(out, 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00));
            return 12;
        }
    }
    add_utf8(out, code >= 0xd800 && code < 0xe000 ? 0xfffd : code); /* half a pair stands for nothing */
    return 6;
}

static void decode(struct span s, struct text *out)
{
    const char *at = s.at, *end = s.at + s.len;

    while (at < end) {
        const char *slash = memchr(at, '\\', (size_t)(end - at));

        text_add(out, at, (size_t)((slash ? slash : end) - at));
        if (!slash)
            return;
        at = slash + decode_escape(slash, end, out);
    }
}

void scan_text(struct span value, struct text *out)
{
    struct scan s = scan_start(value);
    struct span key, part;
    bool first_part = true, first;

    if (value.len && value.at[0] == '"') {
        decode(scan_inside(value), out);
    } else if (scan_enter(&s, '[')) {
        while (scan_item(&s, &first_part)) {
            first = true;
            if (!scan_enter(&s, '{')) {
                if (!scan_value(&s, &part))
                    return;
                continue;
            }
            while (scan_member(&s, &first, &key) && scan_value(&s, &part))
                if (span_is(key, "text"))
                    decode(scan_inside(part), out);
        }
    } else if (!span_is(value, "null")) {
        text_add(out, value.at, value.len);
    }
}
