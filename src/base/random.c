/* Randomness: the kernel's for names, splitmix64 for jitter. */
#include "stepmill/random.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "stepmill/bytes.h"
#include "stepmill/error.h"

void random_bytes(void *at, size_t n)
{
    char *to = at;

    while (n) {
        ssize_t got = getrandom(to, n, 0);

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            bug("getrandom failed");
        to += got;
        n -= (size_t)got;
    }
}

void random_take(struct random_stock *s, void *at, size_t n)
{
    if (n > sizeof s->bytes) {
        random_bytes(at, n);
        return;
    }
    if (n > s->left) {
        random_bytes(s->bytes, sizeof s->bytes);
        s->left = sizeof s->bytes;
    }
    s->left -= n;
    memcpy(at, s->bytes + s->left, n);
}

uint64_t random_next(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

uint64_t random_below(uint64_t *state, uint64_t bound)
{
    return bound ? (uint64_t)((unsigned __int128)random_next(state) * bound >> 64) : 0;
}

/* RFC 9562 §4: version and variant in their places, then hex with four hyphens. */
static void write_uuid(char text[37], uint8_t b[16], uint8_t version)
{
    char hex[33];
    size_t to = 0;

    b[6] = (uint8_t)(version << 4 | (b[6] & 0x0f));
    b[8] = (uint8_t)(0x80 | (b[8] & 0x3f));
    hex_encode(hex, b, 16);
    for (size_t i = 0; i < 32; i++) {
        if (i == 8 || i == 12 || i == 16 || i == 20)
            text[to++] = '-';
        text[to++] = hex[i];
    }
    text[to] = '\0';
}

void random_uuid4(struct random_stock *s, char text[37])
{
    uint8_t b[16];

    random_take(s, b, sizeof b);
    write_uuid(text, b, 4);
}

void random_uuid7(char text[37], int64_t wall_ms)
{
    uint8_t b[16];

    random_bytes(b, sizeof b);
    for (int i = 0; i < 6; i++)
        b[i] = (uint8_t)(wall_ms >> (40 - 8 * i));
    write_uuid(text, b, 7);
}
