/* A bounded queue of items in shared memory; an item never wraps around the end. */
#include "ring.h"

#include <string.h>

/* Positions begin one whole ring up, so that 0 is never one. */
void ring_init(struct ring *r, char *bytes, size_t room)
{
    *r = (struct ring){.bytes = bytes, .room = room & ~(size_t)7};
    r->head = r->tail = r->room;
}

void ring_clear(struct ring *r)
{
    r->tail = r->head;
    r->forgotten = 0;
}

static struct ring_item *item(struct ring *r, uint64_t position)
{
    return (struct ring_item *)(void *)(r->bytes + position % r->room);
}

static void make_room(struct ring *r, size_t size)
{
    while (r->head + size - r->tail > r->room) {
        struct ring_item *oldest = item(r, r->tail);

        r->forgotten += oldest->kind != 0;
        r->tail += oldest->size;
    }
}

void *ring_add(struct ring *r, uint32_t kind, size_t size, uint64_t *position)
{
    size_t left = r->room - r->head % r->room;
    struct ring_item *added;

    size = (size + 7) & ~(size_t)7;
    if (size > r->room / 2)
        return NULL;
    if (left < size) {
        make_room(r, left);
        *item(r, r->head) = (struct ring_item){.size = (uint32_t)left};
        r->head += left;
    }
    make_room(r, size);
    added = item(r, r->head);
    memset(added, 0, size);
    *added = (struct ring_item){.size = (uint32_t)size, .kind = kind};
    *position = r->head;
    r->head += size;
    return added;
}

void *ring_at(struct ring *r, uint64_t position)
{
    return position && position >= r->tail && position < r->head ? item(r, position) : NULL;
}

void *ring_next(struct ring *r, uint64_t *position)
{
    uint64_t at = *position;

    if (at < r->tail)
        at = r->tail;
    else
        at += item(r, at)->size;
    while (at < r->head && item(r, at)->kind == 0)
        at += item(r, at)->size;
    *position = at;
    return at < r->head ? item(r, at) : NULL;
}
