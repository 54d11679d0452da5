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

/* Copies what stands before the next backslash; eight bytes a turn, since an escape stands in every other line of prose. `*to`
 * has room for all that is left. */
static const char *copy_to_backslash(const char *at, const char *end, char **to)
{
    const uint64_t ones = UINT64_C(0x0101010101010101), tops = UINT64_C(0x8080808080808080);
    char *out = *to;

    for (; end - at >= 8; at += 8, out += 8) {
        uint64_t word, other;

        memcpy(out, at, 8);
        memcpy(&word, at, 8);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
        word = __builtin_bswap64(word);
#endif
        other = word ^ ones * '\\';
        other = (other - ones) & ~other & tops;
        if (other) {
            *to = out + (__builtin_ctzll(other) >> 3);
            return at + (__builtin_ctzll(other) >> 3);
        }
    }
    while (at < end && *at != '\\')
        *out++ = *at++;
    *to = out;
    return at;
}

size_t json_unescape_raw(struct slice raw, char *to)
{
    const char *at = raw.at, *end = at + raw.len;
    char *out = to;

    while ((at = copy_to_backslash(at, end, &out)) < end) {
        struct buf one;
        uint32_t c;
        size_t escape = json_escape(at, end, &c);

        if (!escape)
            break; /* not what the scanner let through */
        /* Every escape is at least as long as its character, so this stays within raw.len bytes. */
        one = (struct buf){.at = out, .room = (size_t)(end - at), .max = (size_t)(end - at)};
        if (c < 0x80)
            *out++ = (char)c;
        else {
            utf8_put_char(&one, c);
            out += one.len;
        }
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

enum { ESCAPED_AT_ONCE = 64, ESCAPE_ROOM = 6 * ESCAPED_AT_ONCE + 16 };

/* One character that is not plain; moves `*at` behind it. Returns the length of what it becomes. */
static size_t put_special(char to[6], const char **at, const char *end)
{
    size_t n;

    if ((unsigned char)**at < 0x80)
        return write_escape(to, *(*at)++);
    n = utf8_char(*at, end);
    if (!n) {
        *at += utf8_bad(*at, end);
        memcpy(to, "\xef\xbf\xbd", 3);
        return 3;
    }
    for (size_t i = 0; i < n; i++)
        to[i] = *(*at)++;
    return n;
}

/* Escapes from `*at` to `stop`, or as far behind it as one step goes; `to` has ESCAPE_ROOM for the ESCAPED_AT_ONCE bytes before
 * `stop`. Sixteen bytes are copied before they are looked at: nearly all of them stay. */
static size_t escape(const char **from, const char *stop, const char *end, char *to)
{
    const char *at = *from;
    char *out = to;

    while (at < stop) {
        if (end - at >= 16) {
            size_t plain = json_plain_16(at);

            memcpy(out, at, 16);
            out += plain;
            at += plain;
            if (plain == 16)
                continue;
        } else if (json_plain_end(at, at + 1) > at) {
            *out++ = *at++;
            continue;
        }
        out += put_special(out, &at, end);
    }
    *from = at;
    return (size_t)(out - to);
}

void json_put_escaped(struct buf *to, struct slice s)
{
    const char *at = s.at, *end;
    size_t before = to->len;

    if (s.len == 0) /* an empty slice may point nowhere */
        return;
    end = at + s.len;
    if (s.len > ESCAPED_AT_ONCE)
        buf_reserve(to, s.len); /* at once what it takes at least */
    while (at < end && !to->failed) {
        const char *stop = end - at > ESCAPED_AT_ONCE ? at + ESCAPED_AT_ONCE : end;
        char few[ESCAPE_ROOM];

        /* Near its ceiling a buffer has room for what is written and no more. */
        if (to->max - to->len >= ESCAPE_ROOM && buf_reserve(to, ESCAPE_ROOM))
            to->len += escape(&at, stop, end, to->at + to->len);
        else
            buf_put(to, few, escape(&at, stop, end, few));
    }
    if (to->failed) /* the whole string or nothing of it */
        to->len = before;
}

void json_put_string(struct buf *to, struct slice s)
{
    buf_put_byte(to, '"');
    json_put_escaped(to, s);
    buf_put_byte(to, '"');
}
