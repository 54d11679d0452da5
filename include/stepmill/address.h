/* "host:port", "[v6]:port", or a host alone. */
#ifndef STEPMILL_ADDRESS_H
#define STEPMILL_ADDRESS_H

#include "bytes.h"

/* Its host, without brackets: a view. */
struct slice address_host(struct slice address);
/* Whether its host is a name or a number of this machine's loopback, by the text alone. */
bool address_is_loopback(struct slice address);

#endif
