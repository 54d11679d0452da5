/* The calls the fakes were asked for, counted per Idempotency-Key over all processes.
 *
 * A call is known by kind, name (model or tool) and key. The memory is bounded: the calls first seen the longest ago are
 * forgotten first, and /fakes/stats says how many. */
#ifndef FAKES_CALLS_H
#define FAKES_CALLS_H

#include "shared.h"

enum call_kind { CALL_MODEL = 1, CALL_TOOL, CALL_COUNTER, CALL_NOTE, CALL_REPLY };

/* One more call; returns its position for the functions below. An empty key counts under the key "". */
uint64_t calls_began(struct shared *s, enum call_kind kind, struct span name, struct span key);

/* Its answer was sent to the last byte. */
void calls_answered(struct shared *s, uint64_t position, int status);

/* What a good tool does: the first answer for a key is stored and counts as an effect; later calls of that key get the stored one
 * (`body` and `*status` are replaced). `idempotent` false: every call is an effect of its own. */
void calls_effect(struct shared *s, uint64_t position, bool idempotent, int *status, struct text *body);

/* Counts up to `limit` for (name, scope): true the first `limit` times. */
bool calls_within(struct shared *s, struct span name, struct span scope, uint64_t limit);

/* A note left by the model's side of a task for the tool's side: the directive of its prompt. */
void calls_note_task(struct shared *s, struct span task, struct span directive);
bool calls_task_note(struct shared *s, struct span task, struct text *directive);

/* JSON array of the calls whose key begins with `prefix`; empty `kind` and `name`: all. Oldest first. */
void calls_list(struct shared *s, struct span prefix, struct span kind, struct span name, struct text *out);
/* How many calls are known, and how often something was forgotten. */
void calls_known(struct shared *s, uint64_t *known, uint64_t *forgotten);

/* The task of a key: its part before the first slash. */
struct span calls_task_of(struct span key);

#endif
