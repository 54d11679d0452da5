/* Takes, gives back, keeps and puts back Lua's memory. */
#include "lua_memory.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "stepmill/error.h"

enum { SMALL = 512, STEP = 16, SMALL_CLASSES = SMALL / STEP };

#define ROOM ((size_t)4 << 30) /* address space, not memory */

void lua_memory_init(struct lua_memory *m)
{
    *m = (struct lua_memory){.at = mmap(NULL, ROOM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)};
    if (m->at == MAP_FAILED)
        bug("no address space for Lua");
}

void lua_memory_free(struct lua_memory *m)
{
    (void)munmap(m->at, ROOM);
    free(m->kept.bytes);
}

/* Steps of 16 bytes, then powers of two. */
static size_t class_of(size_t n)
{
    return n <= SMALL ? (n + STEP - 1) / STEP - 1 : SMALL_CLASSES + (size_t)(64 - __builtin_clzll((n - 1) / SMALL)) - 1;
}

static size_t size_of(size_t class)
{
    return class < SMALL_CLASSES ? (class + 1) * STEP : (size_t)SMALL << (class - SMALL_CLASSES + 1);
}

static void *take(struct lua_memory *m, size_t class)
{
    void *at = m->free[class];

    m->busy += size_of(class);
    if (at) {
        memcpy(&m->free[class], at, sizeof m->free[class]);
        return at;
    }
    at = m->at + m->used;
    m->used += size_of(class);
    if (m->used > ROOM)
        bug("Lua needs more than %zu bytes", ROOM);
    return at;
}

static void give_back(struct lua_memory *m, void *at, size_t class)
{
    m->busy -= size_of(class);
    memcpy(at, &m->free[class], sizeof m->free[class]);
    m->free[class] = at;
}

void *lua_memory_alloc(void *memory, void *at, size_t had, size_t n)
{
    struct lua_memory *m = memory;
    void *to;

    if (at && n && class_of(had) == class_of(n))
        return at;
    to = n ? take(m, class_of(n)) : NULL;
    if (at && had && to)
        memcpy(to, at, had < n ? had : n);
    if (at && had)
        give_back(m, at, class_of(had));
    return to;
}

void lua_memory_keep(struct lua_memory *m)
{
    free(m->kept.bytes);
    m->kept = (struct lua_kept){.bytes = malloc(m->used), .used = m->used, .busy = m->busy};
    if (!m->kept.bytes)
        bug("no memory for what Lua holds");
    memcpy(m->kept.bytes, m->at, m->used);
    memcpy(m->kept.free, m->free, sizeof m->free);
}

void lua_memory_put_back(struct lua_memory *m)
{
    memcpy(m->at, m->kept.bytes, m->kept.used);
    memcpy(m->free, m->kept.free, sizeof m->free);
    m->used = m->kept.used;
    m->busy = m->kept.busy;
}
