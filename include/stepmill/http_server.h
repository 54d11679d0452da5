/* A small HTTP/1.1 server for probes, metrics, the review API and its dashboard: routes in a table, handlers that answer at once,
 * later, or piece by piece.
 *
 * HEAD is answered where GET is; an unknown path gets 404, a known one with another method 405 with Allow. Header block ≤ 16 KiB,
 * body ≤ `max_body`, a connection silent for `timeout_s` is closed, `max_connections` at once (more are not accepted until one
 * ends). Keep-alive. TLS 1.2 and 1.3 where a certificate is given. Loop thread only.
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
 * it. "{name}" as a whole segment takes any one segment that is not empty: segments are cut before they are decoded, so a value
 * may hold "/" as %2F. The first path that fits counts, with all its methods. Texts are static. */
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
    /* PEM; NULL: no TLS. Read again for new connections after they changed on disk (within a minute); files that do not fit keep
     * the old ones in use, with the log line http.tls.files. `ca_file`: clients must show a certificate of these authorities. */
    const char *certificate_file, *key_file, *ca_file; /* key_file NULL: it is in certificate_file */
    /* Answers what no route takes: `status` is 404, or 405 with Allow set already. NULL: a line of text. It must answer at once.
     */
    void (*stray)(void *ctx, struct http_server_call *call, int status);
    void *stray_ctx;
};

/* Errors: config "bad_listen" (not host:port, or no such address here), "address_in_use", "listen_failed" (no permission …; the
 * log line http.listen.failed names address and reason), "bad_tls_file" (missing, unreadable, not PEM, or key and certificate do
 * not match); internal "out_of_memory". */
struct error http_server_new(struct loop *l, const struct log *log, const struct http_server_options *options,
                             struct http_server **out) MUST_CHECK;
/* Closes all connections; held calls are told `gone`. NULL is fine. */
void http_server_free(struct http_server *s);
/* The port it listens on (the chosen one for port 0). */
unsigned http_server_port(const struct http_server *s);

/* The request. Slices live as long as the call. */
const char *http_server_method(const struct http_server_call *call); /* "GET" (also for HEAD), "POST", …; "": another */
bool http_server_is_head(const struct http_server_call *call);       /* HEAD: no body will be sent, pieces fall away */
const char *http_server_peer(const struct http_server_call *call);   /* address of the client, as text */
bool http_server_is_tls(const struct http_server *s);
struct slice http_server_path(const struct http_server_call *call);  /* decoded */
struct slice http_server_query(const struct http_server_call *call); /* raw, without '?'; absent: {NULL, 0} */
/* Value of `name` in the query, decoded, copied into `out` (which is cleared first). False: not there or malformed. */
bool http_server_query_value(const struct http_server_call *call, const char *name, struct buf *out);
/* Steps through the query's pairs, decoded ('+' is a blank); start with *at = 0. False: no more, or malformed or too long for the
 * buffers (*bad). */
bool http_server_query_next(const struct http_server_call *call, size_t *at, struct buf *name, struct buf *value, bool *bad);
/* Value of "{name}" in the route's path, decoded; {NULL, 0}: the route has none. */
struct slice http_server_param(const struct http_server_call *call, const char *name);
struct slice http_server_header(const struct http_server_call *call, const char *name); /* {NULL, 0}: absent */
struct slice http_server_body(const struct http_server_call *call);

/* The answer: headers first (optional), then one http_server_answer. A handler that answers nothing gets a 500 sent for it.
 * Bytes are copied. Values may not hold CR or LF (BUG). */
void http_server_set_header(struct http_server_call *call, const char *name, const char *value);
void http_server_answer(struct http_server_call *call, int status, const char *content_type, struct slice body);

/* A later answer. After http_server_hold the handler may return without one; the call stays valid until it is answered or ended,
 * or until `gone` was called: the client closed the connection (noticed while streaming; else only when the answer is sent, which
 * then falls away quietly) or the server is freed. Exactly one of the two happens. Who answers from afar keeps the ticket and
 * asks for the call: tickets are never used twice. */
struct http_server_watch {
    void (*gone)(void *ctx, uint64_t ticket);                  /* the call is dead: don't answer. May be NULL */
    void (*drained)(void *ctx, struct http_server_call *call); /* all that was sent has left: send more. May be NULL */
    void *ctx;
};
uint64_t http_server_hold(struct http_server_call *call, const struct http_server_watch *watch); /* never 0 */
struct http_server_call *http_server_held(struct http_server *s, uint64_t ticket);               /* NULL: gone or answered */

/* An answer in pieces, for a held call: head, then any number of pieces, then the end, which closes the connection. It has no
 * time-out but that of a client which takes nothing for `timeout_s`. */
void http_server_stream(struct http_server_call *call, int status, const char *content_type);
/* False: more than 1 MiB waits for a slow client; the piece was not taken. Bytes are copied. */
bool http_server_send(struct http_server_call *call, struct slice bytes);
void http_server_end(struct http_server_call *call);
/* Cuts the connection, so that the client sees that the answer is not whole. `gone` is not called. */
void http_server_cut(struct http_server_call *call);

#endif
