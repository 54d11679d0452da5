/* Byte strings: a view (`slice`) and a growing buffer with a ceiling (`buf`). */
#ifndef STEPMILL_BYTES_H
#define STEPMILL_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* A view of bytes that somebody else owns; not terminated. {NULL, 0} is "absent", {"", 0} is "empty". */
struct slice {
    const char *at;
    size_t len;
};

#define SLICE(literal) ((struct slice){"" literal, sizeof(literal) - 1})
#define SLICE_FMT(s)   (int)((s).len), ((s).at ? (s).at : "") /* for "%.*s" */
static inline struct slice slice_of(const char *text) { return (struct slice){text, text ? strlen(text) : 0}; }
static inline bool slice_equal(struct slice a, struct slice b)
{
    return a.len == b.len && (a.len == 0 || !memcmp(a.at, b.at, a.len));
}
static inline bool slice_is(struct slice a, const char *text) { return slice_equal(a, slice_of(text)); }
bool slice_starts_with(struct slice a, const char *prefix);

/* Decimal integer with optional '-', whole slice, checked against [min, max]. */
bool slice_to_int(struct slice a, int64_t min, int64_t max, int64_t *value);

/* A buffer that grows up to `max` bytes. A write that does not fit, or finds no memory, sets `failed` and writes nothing;
 * so does every write after it. Write freely, look at `failed` once. Zero-initialise with BUF(max); free with buf_free. */
struct buf {
    char *at;
    size_t len;
    size_t room;
    size_t max;
    bool failed;
    bool no_memory; /* it failed for want of memory, not at its ceiling */
};

#define BUF(ceiling) ((struct buf){.max = (ceiling)})
/* The same in an array of the caller's, whose last byte is kept for a terminator: takes no memory, and must not be freed. */
#define BUF_IN(array) ((struct buf){.at = (array), .room = sizeof(array) - 1, .max = sizeof(array) - 1})

void buf_free(struct buf *b);
static inline void buf_clear(struct buf *b) { b->len = 0, b->failed = b->no_memory = false; }
static inline struct slice buf_slice(const struct buf *b) { return (struct slice){b->at ? b->at : "", b->len}; }

/* Room for `n` more bytes at the returned address (then add to `len`), or NULL with `failed` set. */
char *buf_reserve(struct buf *b, size_t n);
/* Inline, because a task is written in thousands of small pieces: where there is room, a copy is all that happens. */
static inline void buf_put(struct buf *b, const void *bytes, size_t n)
{
    char *at = !b->failed && n <= b->room - b->len && b->at ? b->at + b->len : buf_reserve(b, n);

    if (!at)
        return;
    if (n)
        memcpy(at, bytes, n);
    b->len += n;
}
static inline void buf_put_slice(struct buf *b, struct slice s) { buf_put(b, s.at, s.len); }
static inline void buf_put_text(struct buf *b, const char *text) { buf_put(b, text, strlen(text)); }
static inline void buf_put_byte(struct buf *b, char byte) { buf_put(b, &byte, 1); }
void buf_put_int(struct buf *b, int64_t v); /* decimal */
__attribute__((format(printf, 2, 3))) void buf_printf(struct buf *b, const char *format, ...);
/* The text with a terminator (which is not counted in len); "" when failed. */
const char *buf_text(struct buf *b);

/* Lower-case hex of n bytes; `text` has room for 2 * n + 1. */
void hex_encode(char *text, const void *bytes, size_t n);
/* Exactly 2 * n hex digits of either case. */
bool hex_decode(void *bytes, size_t n, struct slice text);

#endif
