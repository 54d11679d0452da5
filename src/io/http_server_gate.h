/* Counts the connections of an HTTP server and stops accepting while there are too many. */
#ifndef STEPMILL_IO_HTTP_SERVER_GATE_H
#define STEPMILL_IO_HTTP_SERVER_GATE_H

#include <event2/http.h>

#include "stepmill/loop.h"

struct gate;

/* `max` connections; of each at most `bytes` are read ahead: not less than a whole request. NULL: out of memory. To be called
 * before the server is bound. */
struct gate *gate_new(struct loop *l, struct evhttp *http, size_t max, size_t bytes);
/* The socket to close and open. */
void gate_set_socket(struct gate *g, struct evhttp_bound_socket *bound);
/* Connections speak TLS. NULL: they do not. */
struct server_tls;
void gate_set_tls(struct gate *g, struct server_tls *tls);
/* After the evhttp was freed. NULL is fine. */
void gate_free(struct gate *g);

#endif
