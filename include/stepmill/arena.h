/* Memory that is freed all at once: one arena per task, so all that a task needs dies with it. */
#ifndef STEPMILL_ARENA_H
#define STEPMILL_ARENA_H

#include "bytes.h"

struct arena;

/* `max`: ceiling in bytes over all allocations. NULL: out of memory. */
struct arena *arena_new(size_t max);
void arena_free(struct arena *a);

/* Zeroed memory, aligned for any type, valid until arena_free. NULL: out of memory or past the ceiling. */
void *arena_alloc(struct arena *a, size_t n);
/* A copy with a terminator behind it (not counted). {NULL, 0} when there is no room; an absent slice stays absent. */
struct slice arena_copy(struct arena *a, struct slice s);
/* Whether anything was refused so far: who takes many pieces may look once. */
bool arena_failed(const struct arena *a);
/* Whether what was refused last was refused by the ceiling; else the machine has no memory. */
bool arena_is_full(const struct arena *a);
/* Bytes taken from the system, overhead included. */
size_t arena_size(const struct arena *a);

#endif
