/* Random bytes from the kernel, and a small seeded generator for jitter. */
#ifndef STEPMILL_RANDOM_H
#define STEPMILL_RANDOM_H

#include <stddef.h>
#include <stdint.h>

/* Fills from getrandom(2); never fails on a running system (BUG otherwise). */
void random_bytes(void *at, size_t n);
/* The same, from a stock that is filled 256 bytes at a time: for what needs a few bytes thousands of times a second. Zero it
 * before first use. */
struct random_stock {
    unsigned char bytes[256];
    size_t left;
};
void random_take(struct random_stock *s, void *at, size_t n);
/* splitmix64: not for secrets. `*state` is the seed and is advanced. */
uint64_t random_next(uint64_t *state);
/* Even in [0, bound); 0 when bound is 0. */
uint64_t random_below(uint64_t *state, uint64_t bound);
/* "xxxxxxxx-xxxx-4xxx-xxxx-xxxxxxxxxxxx": UUIDv4 (RFC 9562 §5.4), for X-Request-Id. */
void random_uuid4(struct random_stock *s, char text[37]);
/* "xxxxxxxx-xxxx-7xxx-xxxx-xxxxxxxxxxxx": UUIDv7 (RFC 9562 §5.7) with the given Unix time in ms. */
void random_uuid7(char text[37], int64_t wall_ms);

#endif
