/* Idempotency keys. */
#include "stepmill/idempotency.h"

#include <stdio.h>

#include "stepmill/digest.h"
#include "stepmill/error.h"

enum { PARTS_MAX = 8, TASK_ID_MAX = 128 };

/* 8 bytes, highest first. */
static struct slice length_bytes(uint8_t at[8], uint64_t length)
{
    for (int i = 7; i >= 0; i--, length >>= 8)
        at[i] = (uint8_t)length;
    return (struct slice){(const char *)at, 8};
}

size_t idempotency_key(char text[IDEMPOTENCY_KEY_MAX], struct slice task_id, int32_t seq, const struct slice *parts,
                       size_t nparts, size_t nbody)
{
    struct slice hashed[2 * PARTS_MAX];
    uint8_t lengths[PARTS_MAX][8];
    size_t n = 0, body_len = 0;
    struct digest d;
    char hex[9];

    if (nparts > PARTS_MAX || nbody > nparts || task_id.len > TASK_ID_MAX)
        bug("an idempotency key of %zu parts, %zu of them the body, task id of %zu bytes", nparts, nbody, task_id.len);
    for (size_t i = nparts - nbody; i < nparts; i++)
        body_len += parts[i].len;
    /* With the lengths, ("ab", "c") and ("a", "bc") are different calls. */
    for (size_t i = 0; i < nparts; i++) {
        if (i + nbody < nparts)
            hashed[n++] = length_bytes(lengths[i], parts[i].len);
        else if (i + nbody == nparts)
            hashed[n++] = length_bytes(lengths[i], body_len);
        hashed[n++] = parts[i];
    }
    d = digest_of(hashed, n);
    hex_encode(hex, d.bytes, 4);
    return (size_t)snprintf(text, IDEMPOTENCY_KEY_MAX, "%.*s/%d/%s", SLICE_FMT(task_id), seq, hex);
}
