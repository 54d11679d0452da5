/* TLS of the HTTP server: certificate and key from files that may be renewed while it runs. */
#ifndef STEPMILL_IO_HTTP_SERVER_TLS_H
#define STEPMILL_IO_HTTP_SERVER_TLS_H

#include "stepmill/http_server.h"

struct server_tls;
struct bufferevent;
struct event_base;

/* *out NULL without error: the options name no certificate. Errors: those of http_server_new. */
struct error server_tls_new(const struct log *log, const struct http_server_options *options, struct server_tls **out) MUST_CHECK;
/* NULL is fine. */
void server_tls_free(struct server_tls *t);
/* A buffer for a connection that comes; it owns the descriptor. NULL: out of memory. */
struct bufferevent *server_tls_accept(struct server_tls *t, struct event_base *base);

#endif
