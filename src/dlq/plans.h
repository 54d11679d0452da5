/* Reading Avro on a thread of its own: a schema registry client with its own loop, whose calls may wait. */
#ifndef DLQ_PLANS_H
#define DLQ_PLANS_H

#include <stdatomic.h>

#include "stepmill/config.h"
#include "stepmill/registry.h"

struct plans;

/* On the thread that will use it. The config and log outlive it. */
MUST_CHECK struct error plans_open(const struct config *config, const struct log *log, struct plans **out);
void plans_close(struct plans *p);
enum { PLANS_WAIT = -1 };
/* The plan for a value in wire format, and its Avro bytes. Waits for the registry for `patience_ms` (PLANS_WAIT: as long as it
 * takes), or until *stop; then wait or again, with the registry's trouble. Other errors: those of registry_plan and wire_parse,
 * class poison: this record can never be read. */
MUST_CHECK struct error plans_for(struct plans *p, struct slice value, const struct avro_record *reader, int64_t patience_ms,
                                  const atomic_bool *stop, const struct avro_plan **plan, struct slice *avro,
                                  uint32_t *schema_id);

#endif
