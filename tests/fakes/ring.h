/* A bounded queue of items of any size in one piece of memory: when it is full, the oldest are forgotten.
 *
 * An item is known by its position, a number that only grows, never by a pointer: whoever kept the position of an item
 * that was forgotten meanwhile gets NULL. Lies in memory shared by all processes; the caller holds the lock. */
#ifndef FAKES_RING_H
#define FAKES_RING_H

#include "text.h"

struct ring {
    char *bytes; /* mapped before the processes part, so the address is the same in all of them */
    size_t room;
    uint64_t head, tail; /* positions: of the next item, of the oldest */
    uint64_t forgotten;
};

/* What every item begins with. */
struct ring_item {
    uint32_t size; /* whole, a multiple of 8 */
    uint32_t kind; /* the owner's; 0 is the gap at the end of the memory */
};

void ring_init(struct ring *r, char *bytes, size_t room);
void ring_clear(struct ring *r); /* all positions given out so far become unknown */

/* Adds an item of `size` bytes and zeroes all but its head; NULL: larger than half the ring. The item stays where it is until
 * forgotten. */
void *ring_add(struct ring *r, uint32_t kind, size_t size, uint64_t *position);

/* NULL: 0, or forgotten. */
void *ring_at(struct ring *r, uint64_t position);

/* From the oldest to the newest: start with `*position` 0; returns NULL at the end. */
void *ring_next(struct ring *r, uint64_t *position);

#endif
