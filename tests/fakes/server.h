/* Connections of one process: HTTP/1.1 with keep-alive on one listening socket, answers sent when their time has come. */
#ifndef FAKES_SERVER_H
#define FAKES_SERVER_H

#include <event2/event.h>

#include "fakes.h"

struct server;

/* Takes over the listening socket. NULL: libevent refused. `base` and `fakes` outlive the server. */
struct server *server_new(struct event_base *base, struct fakes *fakes, int listening);
/* Closes every connection; answers on their way are lost. */
void server_free(struct server *s);

#endif
