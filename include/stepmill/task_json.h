/* AgentTaskEvent from JSON, as people and scripts write tasks: a line of `stepmill produce --stdin`.
 *
 *     {"session_id": "s-1", "prompt": "Find it.", "context": {"colour": "blue"}, "max_steps": 5, "deadline_at": "10m"}
 */
#ifndef STEPMILL_TASK_JSON_H
#define STEPMILL_TASK_JSON_H

#include "task_codec.h"

/* Reads one object with the field names of schemas/AgentTaskEvent.avsc over `*task`, which holds the defaults: what the object
 * leaves out, or gives as null, stays. created_at and deadline_at are Unix milliseconds, or a text of time_text.h (a duration
 * counts from `now_ms`: created_at so long ago, deadline_at so long from now). Strings and context are copied into the arena.
 *
 * Nothing is guessed: a member that is unknown, of another type, or there twice is an error, class rejected, and `detail` says
 * which and what to write. Codes: not_json, unknown_member, wrong_type, out_of_range, too_many_elements; internal out_of_memory.
 * `*task` is then half filled. task_check is the caller's. */
MUST_CHECK struct error task_json_read(struct slice text, int64_t now_ms, struct arena *arena, struct task_input *task,
                                       struct detail *detail);

#endif
