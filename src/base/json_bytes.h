/* What the scanner and the writer of strings share. */
#ifndef STEPMILL_BASE_JSON_BYTES_H
#define STEPMILL_BASE_JSON_BYTES_H

#include "stepmill/bytes.h"

enum { JSON_ESCAPE_LONGEST = 12 }; /* a surrogate pair */

/* What a backslash and this character stand for, 0: no such escape, or \\u. */
extern const char json_short_escape[256];

/* The escape that begins with the backslash at `at`: its length, and the character it stands for. 0: not an escape, or a lone
 * surrogate. */
size_t json_escape(const char *at, const char *end, uint32_t *c);

/* The top bit of each of 8 bytes that are a quote, a backslash, a control character or not ASCII. The lowest bit set is exact;
 * those above it may be carried over. */
static inline uint64_t json_not_plain(const char *at)
{
    const uint64_t ones = UINT64_C(0x0101010101010101), tops = UINT64_C(0x8080808080808080);
    uint64_t word, quote, backslash;

    memcpy(&word, at, 8);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    quote = word ^ ones * '"';
    backslash = word ^ ones * '\\';
    return (word | (word - ones * 0x20) | (quote - ones) | (backslash - ones)) & tops;
}

/* The first byte that is not plain: nine tenths of a model's answer are strings. 16 bytes a turn, because most keys are shorter:
 * the processor then guesses right that the first turn is the last. */
static inline const char *json_plain_end(const char *at, const char *end)
{
    for (; end - at >= 16; at += 16) {
        uint64_t first = json_not_plain(at), second = json_not_plain(at + 8);

        if (first | second)
            return at + (first ? 0 : 8) + (__builtin_ctzll(first ? first : second) >> 3);
    }
    while (at < end && (unsigned char)*at >= 0x20 && (unsigned char)*at < 0x80 && *at != '"' && *at != '\\')
        at++;
    return at;
}

#endif
