/* Headers of results and events: CloudEvents 1.0, Kafka protocol binding, binary mode. */
#ifndef STEPMILL_CLOUD_EVENTS_H
#define STEPMILL_CLOUD_EVENTS_H

#include "arena.h"
#include "event.h"
#include "kafka.h"

enum { CLOUD_EVENT_HEADERS = 6 };

/* ce_specversion, ce_id ("<task_id>/<seq>/<digest>", the same for each sending of one cell), ce_source ("stepmill/<agent>";
 * results name "<agent>/results" as their agent: source and id together must tell a result from the event it stands for), ce_type
 * ("com.myco.agents.v1.<kind>"), ce_time (RFC 3339, ms), content-type (application/avro). Memory: the arena. False: no room. */
bool cloud_event_headers(struct kafka_header headers[CLOUD_EVENT_HEADERS], struct arena *arena, struct slice task_id, int32_t seq,
                         const struct digest *digest, struct slice agent, const char *type, int64_t at_ms);

#endif
