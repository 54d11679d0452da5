/* HTTP/1.1 requests out of bytes, and the head of an answer. No sockets. */
#ifndef FAKES_HTTP_H
#define FAKES_HTTP_H

#include "text.h"

enum { HTTP_HEAD_MAX = 64 << 10, HTTP_BODY_MAX = 64 << 20 };

enum http_state { HTTP_MORE, HTTP_WHOLE, HTTP_BAD };

/* One request. All spans point into the bytes that were parsed (the body of a chunked one into `decoded`). */
struct http_request {
    struct span method, path, query, headers, body;
    struct span key;     /* Idempotency-Key, without its quotes */
    struct text decoded; /* free with http_request_free */
    size_t size;         /* bytes taken, when whole */
    bool close;          /* the client wants no further request on this connection */
    bool expects_continue;
    bool chunked;
    bool old; /* HTTP/1.0 */
    int64_t length;
    int bad_status; /* what to answer when HTTP_BAD */
    const char *bad_why;
};

/* HTTP_MORE with `expects_continue` set: the client waits for "100 Continue". */
enum http_state http_parse(struct http_request *r, struct span bytes);
void http_request_free(struct http_request *r);

/* Value of a header, by name in any case; false: not there. */
bool http_header(const struct http_request *r, const char *name, struct span *value);

/* Value of a query parameter, percent-decoded; false: not there. */
bool http_query(const struct http_request *r, const char *name, struct text *value);

/* Status line and headers, the empty line included. `extra` is whole header lines or NULL. */
void http_head(struct text *out, int status, const char *type, size_t length, const char *extra);

#endif
