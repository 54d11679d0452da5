/* JSON's strings and numbers: from their written form to their value and back. */
#include "stepmill/json.h"

#include "json_bytes.h"

/* Four hex digits at `at`, or -1. */
static int32_t hex4(const char *at, const char *end)
{
    uint8_t b[2];

    return end - at >= 4 && hex_decode(b, 2, (struct slice){at, 4}) ? b[0] << 8 | b[1] : -1;
}

const char json_short_escape[256] = {
    ['"'] = '"', ['\\'] = '\\', ['/'] = '/', ['b'] = '\b', ['f'] = '\f', ['n'] = '\n', ['r'] = '\r', ['t'] = '\t',
};

size_t json_escape(const char *at, const char *end, uint32_t *c)
{
    int32_t high, low;

    if (end - at < 2)
        return 0;
    if (at[1] != 'u') {
        *c = (uint8_t)json_short_escape[(uint8_t)at[1]];
        return *c ? 2 : 0;
    }
    high = hex4(at + 2, end);
    *c = (uint32_t)high;
    if (high < 0xd800 || high > 0xdfff)
        return high < 0 ? 0 : 6;
    low = high < 0xdc00 && end - at >= JSON_ESCAPE_LONGEST && at[6] == '\\' && at[7] == 'u' ? hex4(at + 8, end) : -1;
    *c = 0x10000 + ((uint32_t)(high - 0xd800) << 10) + (uint32_t)(low - 0xdc00);
    return low >= 0xdc00 && low <= 0xdfff ? JSON_ESCAPE_LONGEST : 0;
}

size_t json_unescape_raw(struct slice raw, char *to)
{
    const char *at = raw.at, *end = at + raw.len;
    char *out = to;

    while (at < end) {
        const char *stop = memchr(at, '\\', (size_t)(end - at));
        size_t plain = (size_t)((stop ? stop : end) - at), escape;
        struct buf one;
        uint32_t c;

        memcpy(out, at, plain);
        out += plain;
        at += plain;
        if (!stop)
            break;
        escape = json_escape(at, end, &c);
        if (!escape)
            break; /* not what the scanner let through */
        /* Every escape is at least as long as its character, so this stays within raw.len bytes. */
        one = (struct buf){.at = out, .room = (size_t)(end - at), .max = (size_t)(end - at)};
        utf8_put_char(&one, c);
        out += one.len;
        at += escape;
    }
    return (size_t)(out - to);
}

bool json_unescape(const struct json *j, struct buf *to)
{
    char *at;

    if (!j->escaped) {
        buf_put_slice(to, j->raw);
    } else if ((at = buf_reserve(to, j->raw.len))) {
        to->len += json_unescape_raw(j->raw, at);
    }
    return !to->failed;
}

bool json_escaped_is(const struct json *j, struct slice text)
{
    const char *at = j->raw.at, *end = at + j->raw.len;

    for (size_t i = 0; i < text.len; i++) {
        uint32_t c;
        size_t n;

        if (at == end)
            return false;
        c = (uint8_t)*at;
        n = *at == '\\' ? json_escape(at, end, &c) : 1;
        if (!n || c != (uint8_t)text.at[i])
            return false;
        at += n;
    }
    return at == end;
}

bool json_int(const struct json *j, int64_t min, int64_t max, int64_t *value)
{
    return j->token == JSON_TOKEN_NUMBER && slice_to_int(j->raw, min, max, value);
}

/* The escape of a character that is not plain ASCII text; returns its length. */
static size_t write_escape(char to[6], char c)
{
    static const char hex[] = "0123456789abcdef";
    static const char names[128] = {
        ['"'] = '"', ['\\'] = '\\', ['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't'};
    char name = names[c & 127];

    memcpy(to, (char[6]){'\\', name ? name : 'u', '0', '0', hex[c >> 4 & 15], hex[c & 15]}, 6);
    return name ? 2 : 6;
}

/* The escaped form of `s`, written to `to` if it is not NULL; returns its length. */
static size_t escape(struct slice s, char *to)
{
    const char *at = s.at, *end = at + s.len;
    size_t len = 0;

    while (at < end) {
        const char *run = at;
        char replacement[6] = "\xef\xbf\xbd";
        size_t n = 0;

        /* A run goes on through whole characters: text in other scripts is copied in pieces as long as any. */
        while ((at = json_plain_end(at, end)) < end && (unsigned char)*at >= 0x80 && (n = utf8_char(at, end)))
            at += n;
        if (to)
            memcpy(to + len, run, (size_t)(at - run));
        len += (size_t)(at - run);
        if (at == end)
            break;
        if ((unsigned char)*at >= 0x80) {
            n = 3;
            run = at + utf8_bad(at, end);
        } else {
            n = write_escape(replacement, *at);
            run = at + 1;
        }
        if (to)
            memcpy(to + len, replacement, n);
        len += n;
        at = run;
    }
    return len;
}

void json_put_escaped(struct buf *to, struct slice s)
{
    /* Measured first: a ceiling then refuses the whole string, and writing needs no check for each piece. */
    char *at = s.len ? buf_reserve(to, escape(s, NULL)) : NULL;

    if (at)
        to->len += escape(s, at);
}

void json_put_string(struct buf *to, struct slice s)
{
    buf_put_byte(to, '"');
    json_put_escaped(to, s);
    buf_put_byte(to, '"');
}
