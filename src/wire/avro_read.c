/* Avro binary, the rarer pieces. */
#include "avro_read.h"

bool avro_get_long_slow(struct avro_input *in, int64_t *v)
{
    uint64_t zigzag = 0;
    const char *at = in->at;

    for (unsigned shift = 0; shift < 70 && at < in->end; shift += 7) {
        uint64_t bits = (uint64_t)(*at & 0x7f);

        if (shift == 63 && bits > 1)
            return false;
        zigzag |= bits << shift;
        if (!(*at++ & 0x80)) {
            in->at = at;
            *v = (int64_t)(zigzag >> 1) ^ -(int64_t)(zigzag & 1);
            return true;
        }
    }
    return false;
}

bool avro_get_block(struct avro_input *in, uint64_t *count, const char **block_end)
{
    int64_t n, size;

    *block_end = NULL;
    if (!avro_get_long(in, &n))
        return false;
    if (n < 0) {
        if (!avro_get_long(in, &size) || size < 0 || (uint64_t)size > avro_left(in))
            return false;
        *block_end = in->at + size;
    }
    *count = n < 0 ? 0 - (uint64_t)n : (uint64_t)n;
    return true;
}
