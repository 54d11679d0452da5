/* HTTP requests to models, tools and the schema registry: many at once, none blocks the loop.
 *
 *     struct http_endpoint *e;
 *     struct error err = http_endpoint_new(client, &(struct http_endpoint_options){.url = "https://api.example/v1"}, &e);
 *     …
 *     id = http_send(e, &(struct http_request){.method = "POST", .path = SLICE("/chat/completions"), .headers = h, .header_count
 * = 2, .body = &body, .body_parts = 1, .timeout_ms = 30000, .max_body = 4 << 20, .ticket = ticket, .done = on_answer, .ctx =
 * worker});
 *
 * HTTP/1.1 with keep-alive; over TLS also HTTP/2 (by ALPN), many requests on one connection. Certificates and host names are
 * always verified, redirects are not followed (a 3xx is an answer like any other), only http and https are spoken. Names are
 * resolved in the background.
 *
 * Proxy: for https, HTTPS_PROXY / ALL_PROXY / NO_PROXY of the environment count, as operators expect for model APIs; for http and
 * for loopback (localhost, 127.*, ::1) the connection is direct; `proxy` in the options overrides both.
 *
 * All of it belongs to the loop thread.
 */
#ifndef STEPMILL_HTTP_CLIENT_H
#define STEPMILL_HTTP_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bytes.h"
#include "error.h"
#include "log.h"
#include "loop.h"
#include "ticket.h"

struct http_client;
struct http_endpoint;

struct http_client_options {
    size_t max_connections; /* all endpoints together; 0: three quarters of the open-files limit */
    const char *user_agent; /* NULL: "stepmill/<version>" */
};

/* Errors: internal "out_of_memory"; config "no_async_dns", "curl_too_old". The loop and the log must outlive the client. */
struct error http_client_new(struct loop *l, const struct log *log, const struct http_client_options *options,
                             struct http_client **out) MUST_CHECK;
/* Ends all requests: each gets its completion from here (lost "cancelled"), the only case not from the loop. Frees the endpoints.
 * NULL is fine. */
void http_client_free(struct http_client *c);

struct http_client_stats {
    size_t running;     /* requests given to the network */
    size_t waiting;     /* requests that wait for a connection of their endpoint */
    size_t connections; /* sockets open, idle ones too */
    uint64_t connected; /* sockets opened so far */
    uint64_t requests;  /* so far */
};
struct http_client_stats http_client_stats(const struct http_client *c);

/* A server as the config names it: where, how to trust it, how much of it. Make it once at start; requests to it share its
 * connections. Texts are copied. Files are read at first use and again for new connections after they changed on disk (within a
 * minute). */
struct http_endpoint_options {
    const char *url;       /* "https://host:port/base"; no user, password or fragment; a query only if requests have no path */
    const char *ca_file;   /* PEM; NULL: the system's */
    const char *cert_file; /* PEM, client certificate; NULL: none */
    const char *key_file;  /* PEM; NULL: it is in cert_file */
    const char *proxy;     /* NULL: see above; "": none; "http://host:port" */
    int64_t connect_timeout_ms; /* name, TCP and TLS; 0: 10 s */
    size_t max_connections;     /* 0: the client's. Requests beyond it wait in order while their time runs; HTTP/2: 64 on each */
    bool http1_only;            /* no HTTP/2 even over TLS */
};

/* Errors: config "bad_url", "bad_tls_file" (a file is missing or unreadable); internal "out_of_memory". */
struct error http_endpoint_new(struct http_client *c, const struct http_endpoint_options *options,
                               struct http_endpoint **out) MUST_CHECK;
/* Its requests end as by http_cancel; it is gone when the last completion was delivered. NULL is fine. */
void http_endpoint_free(struct http_endpoint *e);

struct http_header {
    struct slice name;
    struct slice value;
};

struct http_answer;
/* Called exactly once for each http_send, later, from the loop (never inside http_send or http_cancel). `a` and all it shows end
 * with the call. It may send, cancel, and free the endpoint. */
typedef void http_done(void *ctx, const struct http_answer *a);

enum { HTTP_BODY_PARTS_MAX = 8 };

struct http_request {
    const char *method; /* "GET", "POST", "PUT", "DELETE", "HEAD" …; a static text */
    struct slice path;  /* put behind the endpoint's url as it is: "", "/…" or "?…" */
    /* Copied; a value may not hold CR, LF or NUL. Content-Length, Host and Transfer-Encoding are set by the client. */
    const struct http_header *headers;
    size_t header_count;
    /* The body is the parts one behind another. The bytes are NOT copied: they must stay until `done` or http_cancel. The array
     * itself is copied. One part is cheapest. 0 parts: no body. */
    const struct slice *body;
    size_t body_parts;
    int64_t timeout_ms; /* all of it, waiting for a connection included; 0: 60 s */
    size_t max_body;    /* ceiling of the answer's body, after unpacking; 0: 1 MiB */
    size_t max_head;    /* ceiling of the answer's header block; 0: 64 KiB */
    bool gzip;          /* allow a packed answer */
    bool once;          /* never put on the wire a second time: own connection, no silent retry (non-repeatable tools) */
    struct ticket ticket;
    http_done *done;
    void *ctx; /* of both */
    /* Asked when the connection is there, just before the first byte: what has waited for it may not be wanted any more. False:
     * ends with lost "held_back", and nothing was sent. NULL: always. It may not call the client. */
    bool (*may_send)(void *ctx);
};

/* Always leads to one `done`, also when it can't be sent. Returns the request's id, never 0, never used again. */
uint64_t http_send(struct http_endpoint *e, const struct http_request *r);
/* Ends the request now: its body is not read any more, `done` comes later with lost "cancelled". Unknown or finished id: nothing.
 */
void http_cancel(struct http_client *c, uint64_t id);

struct http_answer {
    uint64_t id;
    struct ticket ticket;
    /* None: a whole answer came, whatever its status. Else:
     *
     * - again: timeout, connect_timeout, connect_failed (refused, unreachable), name_not_found, connection_lost, tls_failed
     *   (handshake cut), bad_answer (not HTTP), too_large (ceiling of body or headers), bad_encoding
     * - config: tls_not_trusted (certificate, host name), tls_files, bad_url, bad_header, proxy_failed
     * - lost: cancelled, held_back
     * - internal: out_of_memory, http_failed */
    struct error error;
    const char *detail;   /* for the log: one line, no secrets ("Connection refused …"); never NULL */
    int status;           /* 0: none came */
    int version;          /* 10, 11, 20; 0: none came */
    struct slice body;    /* what came before an error; after too_large the first max_body bytes */
    bool sent;            /* a byte of the request may have left this machine; false is certain */
    bool reused;          /* over a connection made by an earlier request */
    int64_t connected_us; /* since http_send; 0: not reached */
    int64_t first_byte_us;
    int64_t total_us;
    struct slice head; /* raw header lines of the final answer, for http_answer_header */
};

/* Value of the first header of that name (any case), without blanks at its ends; {NULL, 0} when absent. Valid as long as the
 * answer. */
struct slice http_answer_header(const struct http_answer *a, const char *name);

#endif
