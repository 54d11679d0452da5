/* A small HTTP/1.1 server for probes, metrics and the dashboards: routes in a table, handlers that answer at once.
 *
 * HEAD is answered where GET is; an unknown path gets 404, a known one with another method 405 with Allow. Header block ≤ 16 KiB,
 * body ≤ `max_body`, a connection silent for `timeout_s` is closed, `max_connections` at once (more are not accepted until one
 * ends). Keep-alive. No TLS: probes are local or behind the mesh. Loop thread only.
 */
#ifndef STEPMILL_HTTP_SERVER_H
#define STEPMILL_HTTP_SERVER_H

#include <stddef.h>
#include <stdint.h>

#include "bytes.h"
#include "error.h"
#include "log.h"
#include "loop.h"

struct http_server;
struct http_server_call; /* one request being answered; valid during the handler */

typedef void http_server_handler(void *ctx, struct http_server_call *call);

/* `path` is compared whole, after percent-decoding, without the query. A path that ends in "/" followed by "*" takes all below
 * it. Texts are static. */
struct http_server_route {
    const char *method; /* "GET" (HEAD comes with it), "POST", "PUT", "DELETE" */
    const char *path;
    http_server_handler *handler;
    void *ctx;
};

struct http_server_options {
    const char *listen;                     /* "host:port", "[::1]:8080", ":8080" (all addresses); port 0: the system chooses */
    const struct http_server_route *routes; /* copied */
    size_t route_count;
    size_t max_body;        /* of a request; 0: 1 MiB */
    size_t max_connections; /* 0: 256 */
    int timeout_s;          /* 0: 30 */
};

/* Errors: config "bad_listen" (not host:port, or no such address here), "address_in_use", "listen_failed" (no permission …; the
 * log line http.listen.failed names address and reason); internal "out_of_memory". */
struct error http_server_new(struct loop *l, const struct log *log, const struct http_server_options *options,
                             struct http_server **out) MUST_CHECK;
/* Closes all connections. NULL is fine. */
void http_server_free(struct http_server *s);
/* The port it listens on (the chosen one for port 0). */
unsigned http_server_port(const struct http_server *s);

/* The request. */
struct slice http_server_path(const struct http_server_call *call);  /* decoded */
struct slice http_server_query(const struct http_server_call *call); /* raw, without '?'; absent: {NULL, 0} */
/* Value of `name` in the query, decoded, copied into `out` (which is cleared first). False: not there or malformed. */
bool http_server_query_value(const struct http_server_call *call, const char *name, struct buf *out);
struct slice http_server_header(const struct http_server_call *call, const char *name); /* {NULL, 0}: absent */
struct slice http_server_body(const struct http_server_call *call);

/* The answer: headers first (optional), then one http_server_answer. A handler that answers nothing gets a 500 sent for it.
 * Bytes are copied. Values may not hold CR or LF (BUG). */
void http_server_set_header(struct http_server_call *call, const char *name, const char *value);
void http_server_answer(struct http_server_call *call, int status, const char *content_type, struct slice body);

#endif
