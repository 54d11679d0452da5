/* SHA-256 cut to 16 bytes: names a cell, and with it the whole history below it (DELIVERY §2). Also the input hash (DELIVERY §3).
 */
#ifndef STEPMILL_DIGEST_H
#define STEPMILL_DIGEST_H

#include "bytes.h"

enum { DIGEST_SIZE = 16 };

struct digest {
    uint8_t bytes[DIGEST_SIZE];
};

/* Over the concatenation of the n parts. */
struct digest digest_of(const struct slice *parts, size_t n);
static inline struct slice digest_slice(const struct digest *d) { return (struct slice){(const char *)d->bytes, DIGEST_SIZE}; }
static inline bool digest_equal(const struct digest *a, const struct digest *b) { return !memcmp(a, b, DIGEST_SIZE); }
/* The same piece by piece. A copy of the state goes on from where it was copied. */
struct digest_state {
    uint64_t opaque[14];
};
void digest_begin(struct digest_state *s);
void digest_add(struct digest_state *s, struct slice piece);
struct digest digest_end(struct digest_state *s);
/* 32 hex digits and a terminator. */
void digest_text(char text[2 * DIGEST_SIZE + 1], const struct digest *d);

/* The whole SHA-256 as 64 hex digits and a terminator, for people to compare. */
void sha256_text(char text[65], struct slice bytes);
/* HMAC-SHA-256 (RFC 2104) in the same form. */
void hmac_sha256_text(char text[65], struct slice key, struct slice bytes);

#endif
