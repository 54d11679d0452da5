/* Any Avro record as JSON text, by its writer's schema: for `stepmill tail --json` and for people who look at dead letters.
 *
 * Plain JSON, not Avro's JSON encoding: unions are not wrapped, bytes and fixed are lower-case hex when they are not UTF-8 text
 * (fixed: always hex), times are numbers as written, NaN and infinities are null. One line.
 */
#ifndef STEPMILL_AVRO_JSON_H
#define STEPMILL_AVRO_JSON_H

#include "bytes.h"
#include "error.h"
#include "schema.h"

/* Appends. `bytes`: Avro binary without its wire header. Bounded and iterative as avro_plan_decode. Errors: poison
 * does_not_decode; internal json_too_large (`to` is full), out_of_memory. What was appended before an error stays; cut it off by
 * the old `len`.
 */
MUST_CHECK struct error avro_json_put(const struct schema *schema, struct slice bytes, struct buf *to);

#endif
