/* UTF-8: check, cut, repair. */
#include "stepmill/utf8.h"

/* What the second byte may be after this first one: it alone tells overlong forms, surrogates and what is above U+10FFFF. */
static bool second_fits(uint8_t first, uint8_t second)
{
    uint8_t low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    uint8_t high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;

    return second >= low && second <= high;
}

static size_t length_by_first(uint8_t first)
{
    return first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
}

/* Bytes from `at` on that can begin one character, at most that character's length. */
static size_t good_bytes(const char *at, const char *end, size_t length)
{
    size_t room = (size_t)(end - at), n = 1;

    if (length < 2 || room < 2 || !second_fits((uint8_t)at[0], (uint8_t)at[1]))
        return 1;
    for (n = 2; n < length && n < room && ((uint8_t)at[n] & 0xc0) == 0x80;)
        n++;
    return n;
}

size_t utf8_char(const char *at, const char *end)
{
    size_t length = length_by_first((uint8_t)*at);

    return length && good_bytes(at, end, length) == length ? length : 0;
}

size_t utf8_bad(const char *at, const char *end) { return good_bytes(at, end, length_by_first((uint8_t)*at)); }

/* The first byte from `at` on that is not ASCII. */
static const char *ascii_end(const char *at, const char *end)
{
    for (; end - at >= 8; at += 8) {
        uint64_t word;

        memcpy(&word, at, 8);
        if (word & UINT64_C(0x8080808080808080))
            break;
    }
    while (at < end && (uint8_t)*at < 0x80)
        at++;
    return at;
}

/* The first byte that is not part of UTF-8 text. */
static const char *valid_end(const char *at, const char *end)
{
    while ((at = ascii_end(at, end)) < end) {
        size_t n = utf8_char(at, end);

        if (!n)
            break;
        at += n;
    }
    return at;
}

bool utf8_valid(struct slice s) { return !s.len || valid_end(s.at, s.at + s.len) == s.at + s.len; }

struct slice utf8_cut(struct slice s, size_t max)
{
    size_t n = max;

    if (s.len <= max)
        return s;
    while (n && max - n < 4 && ((uint8_t)s.at[n] & 0xc0) == 0x80)
        n--;
    /* More than three bytes back there is no character to save: these bytes are not UTF-8. */
    return (struct slice){s.at, ((uint8_t)s.at[n] & 0xc0) == 0x80 ? max : n};
}

void utf8_put(struct buf *to, struct slice s)
{
    const char *at = s.at, *end = at + s.len;

    while (s.len && at < end) {
        const char *stop = valid_end(at, end);

        buf_put(to, at, (size_t)(stop - at));
        if (stop == end)
            break;
        buf_put(to, "\xef\xbf\xbd", 3);
        at = stop + utf8_bad(stop, end);
    }
}

void utf8_put_char(struct buf *to, uint32_t c)
{
    char b[4];
    size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;

    for (size_t i = n - 1; i > 0; i--, c >>= 6)
        b[i] = (char)(0x80 | (c & 0x3f));
    b[0] = (char)(n == 1 ? c : 0xf00u >> n | c); /* the top bits say how many bytes there are */
    buf_put(to, b, n);
}
