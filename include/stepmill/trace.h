/* Trace ids in and out of headers: W3C Trace Context level 1 (`traceparent`) and the older `trace-id` header.
 *
 * Bad values are ignored and a new trace begins: a caller's slip must not break his task, nor join it to somebody else's trace.
 * Pure: random bytes come from the caller (random_bytes). A copy of the struct is all there is to own.
 */
#ifndef STEPMILL_TRACE_H
#define STEPMILL_TRACE_H

#include <stdbool.h>
#include <stdint.h>

#include "bytes.h"

struct trace {
    uint8_t trace_id[16]; /* never all zero */
    uint8_t span_id[8];   /* never all zero; in a trace read from a header: the caller's span, our parent */
    bool sampled;
};

enum {
    TRACE_RANDOM = 24,         /* random bytes a new trace needs */
    TRACEPARENT_SIZE = 55 + 1, /* "00-<32 hex>-<16 hex>-<2 hex>" and the terminator */
};

/* "00-<32 lower-case hex>-<16 lower-case hex>-<2 hex>". A version above 00 is read as 00 if what it knows is there (level 1,
 * §3.2.4); "ff", zero ids, capitals and anything else are refused: false, `*t` unchanged. */
bool trace_parse(struct slice traceparent, struct trace *t);
/* What a record's headers say, absent ones as {NULL, 0}: traceparent if it is right, else trace-id if it is 32 hex digits (any
 * case, not all zero) with a new span and sampled, else all new and sampled. True: the trace was the caller's. */
bool trace_from_headers(struct slice traceparent, struct slice trace_id, const uint8_t random[TRACE_RANDOM], struct trace *t);
/* The span below `parent`: same trace id and sampling, span id from `random`. */
struct trace trace_child(const struct trace *parent, const uint8_t random[8]);
/* Version 00. */
void trace_format(const struct trace *t, char text[TRACEPARENT_SIZE]);

#endif
