/* Faults an answer can have instead of being right, and how they are written.
 *
 *   KIND[:ARGUMENT][!][xTIMES][%PERCENT]      500   500x2   429:1x2   503:date+5   hang   reset!x1   close%20   huge:64000000
 * slow:50ms
 *
 * KIND is a status number or one of the names in fault_names(). TIMES: only the first so many matching calls (counted by whoever
 * holds the fault); none: every call. PERCENT: each call with that chance. "!": a tool does its work first, only the answer
 * fails. */
#ifndef FAKES_FAULT_H
#define FAKES_FAULT_H

#include <jansson.h>

#include "duration.h"

enum fault_kind {
    FAULT_NONE,
    FAULT_STATUS,         /* an HTTP error; argument: Retry-After, sent as it is ("date+5": as an HTTP date 5 s from now) */
    FAULT_QUOTA,          /* 429 with code insufficient_quota */
    FAULT_CONTEXT,        /* 400 with code context_length_exceeded */
    FAULT_HANG,           /* never an answer */
    FAULT_RESET,          /* the connection is reset (RST) */
    FAULT_CLOSE,          /* the connection is closed with no answer */
    FAULT_TRUNCATED,      /* half the body, then the connection closes */
    FAULT_GARBAGE,        /* 200 with a body that is not JSON */
    FAULT_HTML,           /* 502 with a proxy's HTML page */
    FAULT_HUGE,           /* 200, right but for its size; argument: bytes, default 8,388,608 */
    FAULT_SLOW,           /* the body comes byte by byte; argument: time between bytes, default 100ms */
    FAULT_EMPTY,          /* model: empty content, no tool call; tool: an empty body */
    FAULT_NO_CHOICES,     /* model: "choices": [] */
    FAULT_CONTENT_FILTER, /* model: finish_reason content_filter, no content */
    FAULT_REFUSAL,        /* model: message.refusal instead of content */
    FAULT_HEADERS,        /* right, but with so many headers more; argument: how many, default 10,000 */
    FAULT_ENDLESS,        /* 200 and blanks for ever, as fast as they are read */
    FAULT_RAW,            /* `body` is all that is sent, instead of HTTP; then the connection closes. From JSON only */
    FAULT_KINDS,
};

struct fault {
    enum fault_kind kind;
    int status;
    int64_t bytes;       /* of HUGE; lines of HEADERS */
    int64_t interval_us; /* of SLOW; of RAW, 0: all at once */
    int64_t times;       /* 0: always */
    double chance;       /* 0..1 */
    bool effect;         /* the work is done although the answer fails */
    char retry_after[64];
    char *body; /* replaces the usual body of a status; owned; NULL: the usual one. What RAW sends */
};

/* False: `*why` says what is wrong; nothing to free. */
bool fault_parse(struct span words, struct fault *f, const char **why);

/* The same from JSON: a string or number as above, or an object {"kind": NAME | "status": NUMBER, "retry_after", "body", "bytes",
 * "interval", "times", "probability", "effect"}; its other members are left to the caller. Neither kind nor status: FAULT_NONE.
 */
bool fault_from_json(const json_t *from, struct fault *f, const char **why);
void fault_free(struct fault *f);

const char *fault_name(enum fault_kind kind);

#endif
