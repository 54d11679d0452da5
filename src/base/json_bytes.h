/* What the scanner and the writer of strings share. */
#ifndef STEPMILL_BASE_JSON_BYTES_H
#define STEPMILL_BASE_JSON_BYTES_H

#ifdef __SSE2__
#include <emmintrin.h>
#endif

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

/* How many of the next 16 bytes are plain before the first that is not. */
static inline size_t json_plain_16(const char *at)
{
#ifdef __SSE2__
    __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)at);
    /* As signed numbers control characters and all that is not ASCII are below a blank. */
    __m128i special =
        _mm_or_si128(_mm_cmplt_epi8(bytes, _mm_set1_epi8(' ')),
                     _mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('"')), _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\'))));

    return (size_t)__builtin_ctz((unsigned)_mm_movemask_epi8(special) | 1u << 16);
#else
    uint64_t first = json_not_plain(at), second = json_not_plain(at + 8);

    if (first)
        return (size_t)__builtin_ctzll(first) >> 3;
    return second ? 8 + ((size_t)__builtin_ctzll(second) >> 3) : 16;
#endif
}

/* The first byte that is not plain: nine tenths of a model's answer are strings. 16 bytes a turn, because most keys are shorter:
 * the processor then guesses right that the first turn is the last. */
static inline const char *json_plain_end(const char *at, const char *end)
{
    while (end - at >= 16) {
        size_t plain = json_plain_16(at);

        at += plain;
        if (plain < 16)
            return at;
    }
    while (at < end && (unsigned char)*at >= 0x20 && (unsigned char)*at < 0x80 && *at != '"' && *at != '\\')
        at++;
    return at;
}

#endif
