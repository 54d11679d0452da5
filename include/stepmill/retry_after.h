/* The value of a Retry-After header (RFC 9110 §10.2.3) as milliseconds from now. */
#ifndef STEPMILL_RETRY_AFTER_H
#define STEPMILL_RETRY_AFTER_H

#include <stdbool.h>
#include <stdint.h>

#include "bytes.h"

/* A day: nobody means more, and a broken clock must not close an endpoint for years. */
enum { RETRY_AFTER_MAX_MS = 24 * 60 * 60 * 1000 };

/* Whole seconds ("120"; a fraction as some model APIs send it, "1.5", is taken too), or an HTTP-date in any of its three forms. A
 * date that has passed gives 0; more than a day gives a day. False: neither; `*ms` unchanged. `now_wall_ms`: Unix time, ms. */
bool retry_after_ms(struct slice value, int64_t now_wall_ms, int64_t *ms);

#endif
