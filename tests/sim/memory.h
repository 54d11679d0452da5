/* Memory of the simulated world: taken piece by piece, given back all at once when the history ends. */
#ifndef SIM_MEMORY_H
#define SIM_MEMORY_H

#include "stepmill/bytes.h"

/* Outside the heaps of the simulated processes, so that it outlives them. */
struct memory {
    char *at;
    size_t used, room;
};

/* Reserves address space; pages cost only once they are used. BUG when there is none. */
void memory_init(struct memory *m, size_t room);
/* Everything taken so far is void; what is taken next is zeroed again. */
void memory_reset(struct memory *m);
/* Zeroed, aligned for any type. BUG when the room is used up: a history that large has run away. */
void *memory_take(struct memory *m, size_t n);
/* A copy with a terminator that is not counted; an absent slice stays absent. */
struct slice memory_copy(struct memory *m, struct slice s);
/* `old` with room for `n` items of `size` bytes instead of `had`. */
void *memory_grow(struct memory *m, const void *old, size_t had, size_t n, size_t size);

#endif
