/* Reading the pieces of Avro binary: every one is checked against what remains. */
#ifndef STEPMILL_AVRO_READ_H
#define STEPMILL_AVRO_READ_H

#include "stepmill/bytes.h"

enum { AVRO_DEPTH_MAX = 64 };

struct avro_input {
    const char *at, *end;
};

static inline size_t avro_left(const struct avro_input *in) { return (size_t)(in->end - in->at); }

/* A zigzag number of more than one byte. */
bool avro_get_long_slow(struct avro_input *in, int64_t *v);

/* int, long, enum, union branch, count or length. */
static inline bool avro_get_long(struct avro_input *in, int64_t *v)
{
    if (in->at < in->end && !(*in->at & 0x80)) {
        uint64_t zigzag = (uint64_t)(uint8_t)*in->at++;

        *v = (int64_t)(zigzag >> 1) ^ -(int64_t)(zigzag & 1);
        return true;
    }
    return avro_get_long_slow(in, v);
}

static inline bool avro_get_raw(struct avro_input *in, size_t n, struct slice *s)
{
    if (n > avro_left(in))
        return false;
    *s = (struct slice){in->at, n};
    in->at += n;
    return true;
}

/* string or bytes. */
static inline bool avro_get_bytes(struct avro_input *in, struct slice *s)
{
    int64_t n;

    return avro_get_long(in, &n) && n >= 0 && (uint64_t)n <= avro_left(in) && avro_get_raw(in, (size_t)n, s);
}

static inline bool avro_get_bool(struct avro_input *in, bool *v)
{
    if (in->at == in->end || (uint8_t)*in->at > 1)
        return false;
    *v = *in->at++ == 1;
    return true;
}

/* Branch or symbol: an index below n. */
static inline bool avro_get_index(struct avro_input *in, uint32_t n, uint32_t *index)
{
    int64_t v;

    if (!avro_get_long(in, &v) || v < 0 || v >= (int64_t)n)
        return false;
    *index = (uint32_t)v;
    return true;
}

/* The head of a block: its number of elements, 0 at the end. `*block_end` is where it must end, NULL if the writer does not say.
 */
bool avro_get_block(struct avro_input *in, uint64_t *count, const char **block_end);

#endif
