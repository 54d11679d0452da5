/* Trace ids: strict reading of `traceparent`, lenient choice among what a record's headers offer. */
#include "stepmill/trace.h"

#include <string.h>

enum { LENGTH = 55, VERSION_END = 2, TRACE_AT = 3, SPAN_AT = 36, FLAGS_AT = 53, SAMPLED = 1 };

static bool is_zero(const uint8_t *at, size_t n)
{
    uint8_t any = 0;

    for (size_t i = 0; i < n; i++)
        any |= at[i];
    return any == 0;
}

/* Lower-case hex only, as the specification demands; hex_decode takes capitals too. */
static bool read_hex(void *bytes, size_t n, const char *at)
{
    for (size_t i = 0; i < 2 * n; i++)
        if (at[i] >= 'A' && at[i] <= 'F')
            return false;
    return hex_decode(bytes, n, (struct slice){at, 2 * n});
}

bool trace_parse(struct slice s, struct trace *t)
{
    struct trace read = {0};
    uint8_t version, flags;

    if (s.len < LENGTH || s.at[VERSION_END] != '-' || s.at[SPAN_AT - 1] != '-' || s.at[FLAGS_AT - 1] != '-')
        return false;
    if (!read_hex(&version, 1, s.at) || version == 0xff)
        return false;
    /* A later version may say more, behind another dash. */
    if (s.len > LENGTH && (version == 0 || s.at[LENGTH] != '-'))
        return false;
    if (!read_hex(read.trace_id, sizeof read.trace_id, s.at + TRACE_AT) ||
        !read_hex(read.span_id, sizeof read.span_id, s.at + SPAN_AT) || !read_hex(&flags, 1, s.at + FLAGS_AT))
        return false;
    if (is_zero(read.trace_id, sizeof read.trace_id) || is_zero(read.span_id, sizeof read.span_id))
        return false;
    read.sampled = flags & SAMPLED;
    *t = read;
    return true;
}

/* Zero means "no id", so random bytes that happen to be all zero get one bit. */
static void take_id(uint8_t *id, const uint8_t *random, size_t n)
{
    memcpy(id, random, n);
    if (is_zero(id, n))
        id[n - 1] = 1;
}

bool trace_from_headers(struct slice traceparent, struct slice trace_id, const uint8_t random[TRACE_RANDOM], struct trace *t)
{
    bool known;

    if (trace_parse(traceparent, t))
        return true;
    known = hex_decode(t->trace_id, sizeof t->trace_id, trace_id) && !is_zero(t->trace_id, sizeof t->trace_id);
    if (!known)
        take_id(t->trace_id, random, sizeof t->trace_id);
    take_id(t->span_id, random + sizeof t->trace_id, sizeof t->span_id);
    t->sampled = true;
    return known;
}

struct trace trace_child(const struct trace *parent, const uint8_t random[8])
{
    struct trace child = *parent;

    take_id(child.span_id, random, sizeof child.span_id);
    return child;
}

void trace_format(const struct trace *t, char text[TRACEPARENT_SIZE])
{
    memcpy(text, "00-", TRACE_AT);
    hex_encode(text + TRACE_AT, t->trace_id, sizeof t->trace_id);
    text[SPAN_AT - 1] = '-';
    hex_encode(text + SPAN_AT, t->span_id, sizeof t->span_id);
    memcpy(text + FLAGS_AT - 1, t->sampled ? "-01" : "-00", 4);
}
