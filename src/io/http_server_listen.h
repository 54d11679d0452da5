/* Opening the listening socket of the HTTP server. */
#ifndef STEPMILL_IO_HTTP_SERVER_LISTEN_H
#define STEPMILL_IO_HTTP_SERVER_LISTEN_H

#include "stepmill/error.h"
#include "stepmill/log.h"

/* `listen` as in http_server_options. `*fd` listens and does not block; `*port` is the real one. The errors of http_server_new.
 */
struct error http_listen(const struct log *log, const char *listen, int *fd, unsigned *port) MUST_CHECK;

#endif
