/* Confluent wire format: byte 0, schema id (4 bytes, big endian), Avro binary. */
#ifndef STEPMILL_WIRE_FORMAT_H
#define STEPMILL_WIRE_FORMAT_H

#include "bytes.h"
#include "error.h"

enum { WIRE_HEADER_SIZE = 5 };

/* `*avro` points into `value`. Errors, class poison: plain_json (the text says how to produce instead), not_wire_format (also for
 * an absent value). */
MUST_CHECK struct error wire_parse(struct slice value, uint32_t *schema_id, struct slice *avro);
void wire_put(struct buf *to, uint32_t schema_id);

#endif
