/* AgentTaskResult: struct task_result to bytes, and back for `stepmill tail`. */
#ifndef STEPMILL_RESULT_CODEC_H
#define STEPMILL_RESULT_CODEC_H

#include "avro_plan.h"
#include "event.h"

extern const struct avro_record result_reader;

/* Appends the wire header and the record by schemas/AgentTaskResult.avsc. Strings must be UTF-8. */
void result_put(struct buf *to, uint32_t schema_id, const struct task_result *result);

/* Slices point into `avro` (without the wire header). Errors: those of avro_plan_decode. */
MUST_CHECK struct error result_read(const struct avro_plan *plan, struct slice avro, struct arena *arena,
                                    struct task_result *result, struct detail *detail);

#endif
