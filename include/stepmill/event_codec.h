/* AgentEvent: struct event to bytes and back. The bytes are what a cell holds and what goes to agent.events (DESIGN §4). */
#ifndef STEPMILL_EVENT_CODEC_H
#define STEPMILL_EVENT_CODEC_H

#include "avro_plan.h"
#include "event.h"

extern const struct avro_record event_reader;

/* Appends the wire header and the record by schemas/AgentEvent.avsc. Strings must be UTF-8. The same event gives the same bytes.
 */
void event_put(struct buf *to, uint32_t schema_id, const struct event *event);

/* Reads an event written by this, an older or a newer version. Slices point into `avro` (without the wire header).
 * Errors: those of avro_plan_decode, class poison; but a kind of body that this version does not know is class wait, code
 * newer_version. */
MUST_CHECK struct error event_read(const struct avro_plan *plan, struct slice avro, struct arena *arena, struct event *event,
                                   struct detail *detail);

#endif
