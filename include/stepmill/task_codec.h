/* AgentTaskEvent: bytes to struct task_input, and back for `stepmill produce`. */
#ifndef STEPMILL_TASK_CODEC_H
#define STEPMILL_TASK_CODEC_H

#include "avro_plan.h"
#include "event.h"

enum { ID_MAX = 128, MAX_STEPS_LEAST = 1, MAX_STEPS_MOST = 25, TOKEN_BUDGET_LEAST = 512, TOKEN_BUDGET_MOST = 32768 };

/* The reader's table: give it to the registry, get a plan. */
extern const struct avro_record task_reader;

/* 1–128 bytes of printable ASCII without '"' and '/': task_id and session_id (DELIVERY §3). */
bool task_id_valid(struct slice id);

/* Decodes and checks. `avro`: without the wire header; it must live as long as the task (copy it into the arena first), for
 * slices point into it. `agent`: the topic's suffix, which target_agent must equal. Times before 1970 or after the year 9999
 * become the nearest in that range (a deadline before 1970 has passed). Errors, all class poison: those of
 * avro_plan_decode, and bad_task_id, bad_session_id, max_steps_out_of_range, token_budget_out_of_range, wrong_target_agent. On
 * error the task_id and session_id in `*task` are set if they were read and are valid, else absent: who has a task_id is owed a
 * failed result. */
MUST_CHECK struct error task_read(const struct avro_plan *plan, struct slice avro, struct slice agent, struct arena *arena,
                                  struct task_input *task, struct detail *detail);

/* For a task that is to be written: whether task_read will take it (`max_steps`, `token_budget` and `deadline_at_ms` -1: none).
 * Errors: those of task_read for limits, and out_of_range (times), bad_utf8, too_many_elements, duplicate_key (of two equal keys
 * of the context a reader would keep one). */
MUST_CHECK struct error task_check(const struct task_input *task, struct slice agent, struct detail *detail);

/* Appends the wire header and the record by schemas/AgentTaskEvent.avsc. Nothing is checked. */
void task_put(struct buf *to, uint32_t schema_id, const struct task_input *task);

#endif
