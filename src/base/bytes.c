/* Byte strings: comparison, numbers, hex, and a buffer that never grows past its ceiling. */
#include "stepmill/bytes.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { FIRST_ROOM = 255 }; /* with the terminator that has its place behind it: what malloc has a size for */

bool slice_starts_with(struct slice a, const char *prefix)
{
    size_t n = strlen(prefix);

    return a.len >= n && (n == 0 || !memcmp(a.at, prefix, n));
}

bool slice_to_int(struct slice a, int64_t min, int64_t max, int64_t *value)
{
    bool negative = a.len && a.at[0] == '-';
    int64_t v = 0;

    if (a.len == (size_t)negative)
        return false;
    for (size_t i = negative; i < a.len; i++) {
        int digit = a.at[i] - '0';

        if (digit < 0 || digit > 9 || __builtin_mul_overflow(v, 10, &v) || __builtin_sub_overflow(v, digit, &v))
            return false;
    }
    if (!negative && __builtin_sub_overflow(0, v, &v)) /* collected below zero, where one more number fits */
        return false;
    *value = v;
    return v >= min && v <= max;
}

void buf_free(struct buf *b)
{
    free(b->at);
    *b = BUF(b->max);
}

char *buf_reserve(struct buf *b, size_t n)
{
    size_t room = b->room ? b->room : FIRST_ROOM;
    char *at;

    if (b->failed || n > b->max - b->len) {
        b->failed = true;
        return NULL;
    }
    if (b->at && n <= b->room - b->len)
        return b->at + b->len;
    while (room < b->len + n && room < b->max / 2)
        room = room * 2 + 1;
    if (room < b->len + n || room > b->max)
        room = b->max;
    at = room < SIZE_MAX ? realloc(b->at, room + 1) : NULL; /* one more, so that a terminator always finds its place */
    if (!at) {
        b->failed = b->no_memory = true;
        return NULL;
    }
    b->at = at;
    b->room = room;
    return at + b->len;
}

void buf_put_int(struct buf *b, int64_t v)
{
    char digits[20];
    size_t at = sizeof digits;
    uint64_t u = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;

    do {
        digits[--at] = (char)('0' + u % 10);
        u /= 10;
    } while (u);
    if (v < 0)
        buf_put_byte(b, '-');
    buf_put(b, digits + at, sizeof digits - at);
}

void buf_printf(struct buf *b, const char *format, ...)
{
    size_t room = b->at && !b->failed ? b->room - b->len + 1 : 0; /* the terminator goes where buf_text would put it */
    va_list args;
    int n;
    char *at;

    va_start(args, format);
    n = vsnprintf(room ? b->at + b->len : NULL, room, format, args);
    va_end(args);
    if (n < 0)
        b->failed = true;
    at = b->failed ? NULL : buf_reserve(b, (size_t)n);
    if (at && (size_t)n < room)
        b->len += (size_t)n;
    if (!at || (size_t)n < room)
        return;
    va_start(args, format);
    vsnprintf(at, (size_t)n + 1, format, args);
    va_end(args);
    b->len += (size_t)n;
}

const char *buf_text(struct buf *b)
{
    char *at = buf_reserve(b, 0);

    if (!at)
        return "";
    *at = '\0';
    return b->at;
}

/* The digits of four bytes at once, in the order of the bytes' address on a little-endian machine: each half byte in a byte of
 * its own, then '0' added, and what is missing to 'a' where it is above 9. */
static uint64_t hex_word(const uint8_t *at)
{
    uint64_t w = (uint64_t)at[0] | (uint64_t)at[1] << 16 | (uint64_t)at[2] << 32 | (uint64_t)at[3] << 48, letters;

    w = (w >> 4 | w << 8) & UINT64_C(0x0f0f0f0f0f0f0f0f);
    letters = (w + UINT64_C(0x0606060606060606)) >> 4 & UINT64_C(0x0101010101010101);
    return w + UINT64_C(0x3030303030303030) + letters * ('a' - '0' - 10);
}

void hex_encode(char *text, const void *bytes, size_t n)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *at = bytes;

    for (; n >= 4; n -= 4, at += 4, text += 8) {
        uint64_t word = hex_word(at);

#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
        word = __builtin_bswap64(word);
#endif
        memcpy(text, &word, 8);
    }
    for (; n; n--, at++, text += 2) {
        text[0] = digits[*at >> 4];
        text[1] = digits[*at & 15];
    }
    *text = '\0';
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool hex_decode(void *bytes, size_t n, struct slice text)
{
    uint8_t *to = bytes;

    if (text.len != 2 * n)
        return false;
    for (size_t i = 0; i < n; i++) {
        int high = hex_value(text.at[2 * i]), low = hex_value(text.at[2 * i + 1]);

        if (high < 0 || low < 0)
            return false;
        to[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}
