/* Avro binary, written. */
#include "stepmill/avro_put.h"

void avro_put_long(struct buf *to, int64_t v)
{
    uint64_t zigzag = ((uint64_t)v << 1) ^ (uint64_t)(v >> 63);
    char bytes[10];
    size_t n = 0;

    for (; zigzag >= 0x80; zigzag >>= 7)
        bytes[n++] = (char)(zigzag | 0x80);
    bytes[n++] = (char)zigzag;
    buf_put(to, bytes, n);
}

void avro_put_bool(struct buf *to, bool v) { buf_put_byte(to, v ? 1 : 0); }

void avro_put_string(struct buf *to, struct slice s)
{
    avro_put_long(to, (int64_t)s.len);
    buf_put_slice(to, s);
}

void avro_put_optional_string(struct buf *to, struct slice s)
{
    avro_put_long(to, s.at ? 1 : 0);
    if (s.at)
        avro_put_string(to, s);
}

void avro_put_optional_long(struct buf *to, int64_t v, int64_t none)
{
    avro_put_long(to, v != none);
    if (v != none)
        avro_put_long(to, v);
}
