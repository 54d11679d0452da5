/* Memory of the simulated world: one piece of address space, filled from below. */
#include "memory.h"

#include <stdalign.h>
#include <sys/mman.h>

#include "stepmill/error.h"

enum { KEEP = 64 * 1024 * 1024 }; /* pages up to here are wiped and kept, those above go back to the system */

void memory_init(struct memory *m, size_t room)
{
    void *at = mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (at == MAP_FAILED)
        bug("no address space for the simulated world");
    *m = (struct memory){.at = at, .room = room};
}

void memory_reset(struct memory *m)
{
    if (m->used > KEEP) {
        (void)madvise(m->at + KEEP, m->used - KEEP, MADV_DONTNEED);
        m->used = KEEP;
    }
    memset(m->at, 0, m->used);
    m->used = 0;
}

void *memory_take(struct memory *m, size_t n)
{
    size_t size = (n + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
    char *at = m->at + m->used;

    if (size > m->room - m->used)
        bug("the simulated world needs more than %zu bytes: the history has run away", m->room);
    m->used += size;
    return at;
}

struct slice memory_copy(struct memory *m, struct slice s)
{
    char *at;

    if (!s.at)
        return s;
    at = memory_take(m, s.len + 1);
    if (s.len)
        memcpy(at, s.at, s.len);
    return (struct slice){at, s.len};
}

void *memory_grow(struct memory *m, const void *old, size_t had, size_t n, size_t size)
{
    void *grown = memory_take(m, n * size);

    if (had)
        memcpy(grown, old, had * size);
    return grown;
}
