/* Growing text, spans of bytes, and the few helpers every file of the fakes needs.
 *
 * The fakes are a test tool: running out of memory ends the process with a line on stderr, so nothing here can fail. */
#ifndef FAKES_TEXT_H
#define FAKES_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes that belong to somebody else; not terminated. `at` is never NULL where `len` > 0. */
struct span {
    const char *at;
    size_t len;
};

/* Bytes of our own; `at` is terminated by a zero that `len` does not count (NULL while nothing was added). Start from {0}. */
struct text {
    char *at;
    size_t len, room;
};

void *must_alloc(size_t size); /* zeroed */
char *must_copy(struct span s);

void text_free(struct text *t); /* and makes it {0} again */
void text_reserve(struct text *t, size_t more);
void text_add(struct text *t, const void *bytes, size_t len);
void text_put(struct text *t, const char *words);
void text_fill(struct text *t, size_t bytes); /* prose of that many bytes, none of which needs escaping in JSON */
void text_printf(struct text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
void text_json(struct text *t, struct span s); /* as the inside of a JSON string: escaped, without the quotes */

/* How many bytes from `at` on need no escaping in JSON: no quote, backslash or control character. */
size_t plain_length(const char *at, size_t len);

struct span span_of(const char *words); /* NULL gives an empty span */
struct span span_text(const struct text *t);
bool span_is(struct span s, const char *words);
bool span_equal(struct span a, struct span b);
bool span_has(struct span s, const char *words);
/* Where `words` begins, by looking for its first byte, which should be a rare one; NULL: nowhere. */
const char *span_find(struct span s, const char *words);
bool span_has_prefix(struct span s, const char *words);
/* A whole decimal number of at most 15 digits; false: anything else. */
bool span_number(struct span s, int64_t *n);

/* Not for hostile keys: it spreads well and costs a nanosecond per eight bytes. */
uint64_t hash_bytes(uint64_t seed, const void *bytes, size_t len);

#endif
