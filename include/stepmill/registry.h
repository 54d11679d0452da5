/* The schema registry (Confluent's REST API: Confluent, Apicurio's ccompat, Karapace): ids of our schemas, and the schemas behind
 * foreign ids.
 *
 * Nothing blocks. An outage is waited out: requests are repeated by themselves, 1 s to 15 s apart, and whoever asked is told when
 * the answer is there. A schema never changes under its id, so it is fetched once, with one request in flight per id however many
 * wait. 404 with the registry's own error code (404xx) means that no such schema exists: poison (asked again only after 10 s, so
 * a flood of such records costs nothing). Any other 404 comes from a wrong url or a proxy, and is an outage like everything else.
 *
 * All of it belongs to the loop thread.
 */
#ifndef STEPMILL_REGISTRY_H
#define STEPMILL_REGISTRY_H

#include "avro_plan.h"
#include "config.h"
#include "http_client.h"
#include "log.h"
#include "loop.h"
#include "schema.h"
#include "schemas.h"
#include "ticket.h"

struct registry;

enum { REGISTRY_SCHEMAS_MAX = 1000, REGISTRY_SUBJECTS_MAX = 80 };

struct registry_options {
    struct loop *loop;
    struct http_client *client;
    const struct log *log;
    const struct config_registry *config; /* url, credentials, TLS, time-out; read during registry_new only */
    struct schema_limits limits;
};

/* The loop, client and log outlive it. Errors: those of http_endpoint_new (config), config registry_credentials, internal. */
MUST_CHECK struct error registry_new(const struct registry_options *options, struct registry **out);
/* Waiters are not called any more; the loop is not turned. Must come before http_client_free. NULL is fine. */
void registry_free(struct registry *r);

/* Ids to write with: which id our embedded schema has under this subject ("agent.results-value"). Asked at once and again until
 * it is known; `subject` is copied. Errors: internal (too many, out of memory). Asking twice for one subject is fine. */
MUST_CHECK struct error registry_want(struct registry *r, const char *subject, enum own_schema which);
/* False: not known (yet). */
bool registry_id(const struct registry *r, const char *subject, uint32_t *id);

struct registry_state {
    bool ready; /* every id wanted is known */
    struct error
        error; /* of the last answer that was none: wait registry_unreachable, registry_refused (401, 403), registry_failed;
                  config schema_not_registered (`stepmill schemas register` is needed; still asked again) */
    const char *detail; /* what was asked and what came; never NULL; no secrets */
    size_t schemas;     /* held */
    size_t waiting;     /* waiters */
};
/* For /readyz and the log. */
struct registry_state registry_state(const struct registry *r);

/* The plan that reads records of writer schema `id` into `reader`. Valid until the loop turns again: an unused schema may be
 * evicted. Errors: wait schema_pending (ask again when registry_wait calls) · poison unknown_schema (404), hostile_schema (not
 * Avro, past a ceiling, or with references) · internal. `detail` may be NULL. */
MUST_CHECK struct error registry_plan(struct registry *r, uint32_t id, const struct avro_record *reader,
                                      const struct avro_plan **plan, struct detail *detail);
/* The same for the schema itself (`tail --json`). */
MUST_CHECK struct error registry_schema(struct registry *r, uint32_t id, const struct schema **schema, struct detail *detail);

/* Called once, from the loop, when registry_plan has something else to say than schema_pending. */
typedef void registry_done(void *ctx, struct ticket ticket, uint32_t id);
/* Returns the waiter's number, never 0 except out of memory. */
uint64_t registry_wait(struct registry *r, uint32_t id, struct ticket ticket, registry_done *done, void *ctx);
/* Not called any more. An unknown or finished number: nothing. */
void registry_cancel(struct registry *r, uint64_t waiter);

/* For commands: turns the loop until the schema is there, the registry said no, or the time is over (again, timeout). */
MUST_CHECK struct error registry_fetch(struct registry *r, uint32_t id, int64_t timeout_ms, const struct schema **schema,
                                       struct detail *detail);

#endif
