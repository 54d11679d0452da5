/* The review API under /api/v1 and the dashboard's files, over HTTP or HTTPS: the contract is openapi.json.
 *
 * Reading asks the index (ask.h); acting goes to the engine (redrive.h), which writes records; the answer comes when the index
 * holds them (200) or after 10 s (202). Nothing is decided from memory here. Loop thread only.
 *
 * Roles (access.h): view sees lists and letters, with payloads masked where dlq.access.mask is set; redrive acknowledges,
 * assigns, notes, parks and redrives; edit sees payloads and redrives edited copies; discard discards; admin does all. Refused
 * attempts are recorded as access_refused, at most 10 a minute for one reason; who shows no token at all leaves a log line only.
 */
#ifndef DLQ_API_H
#define DLQ_API_H

#include "ask.h"
#include "collect.h"
#include "stepmill/http_server.h"
#include "stepmill/metrics.h"
#include "stepmill/registry.h"

struct api;
struct redrives; /* redrive.h */

struct api_options {
    struct loop *loop;
    const struct config *config; /* dlq.access, dlq.tls, dlq.listen, … */
    const struct log *log;
    struct asks *asks;
    struct collect *collect;
    struct registry *registry;
    struct redrives *redrives;
    struct http_client *http;               /* for dlq.access.jwks_url */
    const struct http_server_route *routes; /* beside the API's: /livez, /readyz, /metrics …; without access control */
    size_t nroutes;
};

/* Listens from here on. Errors: those of http_server_new and access_new. All in the options outlives it. */
MUST_CHECK struct error api_new(const struct api_options *options, struct api **out);
/* Ends all calls and streams. After asks_free (its questions read the calls), before redrives_free, registry_free and
 * http_client_free. NULL is fine. */
void api_free(struct api *api);
unsigned api_port(const struct api *api);

/* For those who watch /events: call it from collect_events.folded, and api_tasks_changed when the tasks' collector has folded. */
void api_folded(struct api *api, const struct collect_news *news);
void api_tasks_changed(struct api *api);
/* SIGHUP: tokens, keys, roles, masking and read-only mode follow. The old configuration may be freed after it. */
void api_reload(struct api *api, const struct config *config);
/* stepmill_dlq_api_…: requests by status class, refused ones by reason, watchers. */
struct api_stats {
    uint64_t requests, failed;                          /* failed: 5xx */
    uint64_t refused_token, refused_role, refused_csrf; /* 401, 403 */
    size_t watching;                                    /* open streams */
};
struct api_stats api_stats(const struct api *api);

#endif
