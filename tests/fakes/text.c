/* Growing text, spans and hashing. */
#include "text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void out_of_memory(void)
{
    fputs("stepmill-fakes: out of memory\n", stderr);
    exit(1);
}

void *must_alloc(size_t size)
{
    void *p = calloc(1, size);

    if (!p)
        out_of_memory();
    return p;
}

char *must_copy(struct span s)
{
    char *copy = must_alloc(s.len + 1);

    if (s.len)
        memcpy(copy, s.at, s.len);
    return copy;
}

void text_free(struct text *t)
{
    free(t->at);
    *t = (struct text){0};
}

void text_reserve(struct text *t, size_t more)
{
    size_t need = t->len + more + 1;
    char *at;

    if (need <= t->room)
        return;
    if (t->room && need < t->room * 2)
        need = t->room * 2;
    at = realloc(t->at, need);
    if (!at)
        out_of_memory();
    t->at = at;
    t->room = need;
}

void text_add(struct text *t, const void *bytes, size_t len)
{
    text_reserve(t, len);
    if (len)
        memcpy(t->at + t->len, bytes, len);
    t->len += len;
    t->at[t->len] = '\0';
}

void text_put(struct text *t, const char *words) { text_add(t, words, strlen(words)); }

void text_fill(struct text *t, size_t bytes)
{
    static const char prose[] =
        "The parcel was handed to the carrier on Monday and reached the sorting centre the same night. "
        "The address is confirmed, nothing is missing, and the customer has been told when to expect it. ";

    text_reserve(t, bytes);
    while (bytes) {
        size_t n = bytes < sizeof prose - 1 ? bytes : sizeof prose - 1;

        text_add(t, prose, n);
        bytes -= n;
    }
}

void text_printf(struct text *t, const char *format, ...)
{
    va_list args;
    int n;

    text_reserve(t, 128);
    va_start(args, format);
    n = vsnprintf(t->at + t->len, t->room - t->len, format, args);
    va_end(args);
    if (n > 0 && (size_t)n >= t->room - t->len) {
        text_reserve(t, (size_t)n);
        va_start(args, format);
        n = vsnprintf(t->at + t->len, t->room - t->len, format, args);
        va_end(args);
    }
    if (n > 0)
        t->len += (size_t)n;
}

/* Some byte may be a quote, a backslash or a control character. May say so wrongly, never miss one. */
static bool special(uint64_t w)
{
    const uint64_t ones = UINT64_C(0x0101010101010101), tops = ones << 7;
    uint64_t quote = w ^ ones * '"', slash = w ^ ones * '\\';

    return (((w - ones * 0x20) & ~w) | ((quote - ones) & ~quote) | ((slash - ones) & ~slash)) & tops;
}

size_t plain_length(const char *at, size_t len)
{
    size_t i = 0;
    uint64_t w;

    for (;;) {
        for (; len - i >= 8; i += 8) {
            memcpy(&w, at + i, 8);
            if (special(w))
                break;
        }
        for (int k = 0; k < 8; k++, i++)
            if (i == len || (unsigned char)at[i] < 0x20 || at[i] == '"' || at[i] == '\\')
                return i;
    }
}

void text_json(struct text *t, struct span s)
{
    text_reserve(t, s.len + 16);
    for (;;) {
        size_t plain = plain_length(s.at, s.len);
        unsigned char c;

        text_add(t, s.at, plain);
        if (plain == s.len)
            return;
        c = (unsigned char)s.at[plain];
        if (c == '\n')
            text_put(t, "\\n");
        else if (c < 0x20)
            text_printf(t, "\\u%04x", c);
        else
            text_add(t, (char[]){'\\', (char)c}, 2);
        s.at += plain + 1;
        s.len -= plain + 1;
    }
}

struct span span_of(const char *words) { return (struct span){words, words ? strlen(words) : 0}; }

struct span span_text(const struct text *t) { return (struct span){t->at, t->len}; }

bool span_equal(struct span a, struct span b) { return a.len == b.len && (!a.len || memcmp(a.at, b.at, a.len) == 0); }

bool span_is(struct span s, const char *words) { return span_equal(s, span_of(words)); }

bool span_has(struct span s, const char *words)
{
    size_t n = strlen(words);

    return n == 0 || (s.len >= n && memmem(s.at, s.len, words, n) != NULL);
}

const char *span_find(struct span s, const char *words)
{
    size_t n = strlen(words);

    while (s.len >= n) {
        const char *at = memchr(s.at, words[0], s.len - n + 1);

        if (!at || memcmp(at, words, n) == 0)
            return at;
        s.len -= (size_t)(at + 1 - s.at);
        s.at = at + 1;
    }
    return NULL;
}

bool span_has_prefix(struct span s, const char *words)
{
    size_t n = strlen(words);

    return s.len >= n && memcmp(s.at, words, n) == 0;
}

bool span_number(struct span s, int64_t *n)
{
    *n = 0;
    for (size_t i = 0; i < s.len; i++) {
        if (s.at[i] < '0' || s.at[i] > '9')
            return false;
        *n = *n * 10 + (s.at[i] - '0');
    }
    return s.len > 0 && s.len <= 15;
}

uint64_t hash_bytes(uint64_t seed, const void *bytes, size_t len)
{
    const char *p = bytes;
    uint64_t h = seed ^ (len * UINT64_C(0x9e3779b97f4a7c15)), word;

    for (; len >= 8; p += 8, len -= 8) {
        memcpy(&word, p, 8);
        h = (h ^ word) * UINT64_C(0xff51afd7ed558ccd);
        h ^= h >> 32;
    }
    word = 0;
    if (len)
        memcpy(&word, p, len);
    h = (h ^ word) * UINT64_C(0xff51afd7ed558ccd);
    h = (h ^ h >> 33) * UINT64_C(0xc4ceb9fe1a85ec53);
    return h ^ h >> 33;
}
