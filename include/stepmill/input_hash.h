/* Tells whether two records ask for the same work (DELIVERY §3). */
#ifndef STEPMILL_INPUT_HASH_H
#define STEPMILL_INPUT_HASH_H

#include "digest.h"
#include "event.h"

/* 16 bytes of SHA-256 over task_id, source, target, session_id, prompt, context (sorted by key, as task_read gives it),
 * max_steps, token_budget and parent_task_id as decoded: each part with its length before it, so no two inputs look alike. Not:
 * created_at, deadline_at. */
struct digest input_hash(const struct task_input *task);

#endif
