/* Idempotency keys. */
#include "stepmill/idempotency.h"

#include <stdio.h>

#include "stepmill/digest.h"

enum { PARTS_MAX = 8, LENGTH = 8 };

size_t idempotency_key(char text[IDEMPOTENCY_KEY_MAX], struct slice task_id, int32_t seq, const struct slice *parts,
                       size_t nparts, size_t nbody)
{
    char lengths[PARTS_MAX][LENGTH], hex[9];
    struct slice all[2 * PARTS_MAX];
    struct digest d;
    size_t n = 0;
    int len;

    for (size_t i = 0; i < nparts && i < PARTS_MAX; i++) {
        if (i < nparts - nbody) { /* so that "ab","c" is not "a","bc"; the body is the last and needs none */
            for (size_t k = 0; k < LENGTH; k++)
                lengths[i][k] = (char)((uint64_t)parts[i].len >> 8 * k);
            all[n++] = (struct slice){lengths[i], LENGTH};
        }
        all[n++] = parts[i];
    }
    d = digest_of(all, n);
    hex_encode(hex, d.bytes, 4);
    len = snprintf(text, IDEMPOTENCY_KEY_MAX, "%.*s/%d/%s", SLICE_FMT(task_id), seq, hex);
    return len < 0 ? 0 : (size_t)len;
}
