/* Lua's memory in one piece: each history begins with the same content, and what a history leaves behind costs nothing to
 * collect.
 */
#ifndef SIM_LUA_MEMORY_H
#define SIM_LUA_MEMORY_H

#include <stddef.h>

enum { LUA_MEMORY_CLASSES = 64 };

struct lua_memory {
    char *at;
    size_t used, busy; /* busy: of those bytes, the ones that Lua has not given back */
    void *free[LUA_MEMORY_CLASSES];
    struct lua_kept {
        char *bytes;
        size_t used, busy;
        void *free[LUA_MEMORY_CLASSES];
    } kept;
};

/* BUG when there is no address space. */
void lua_memory_init(struct lua_memory *m);
void lua_memory_free(struct lua_memory *m);
/* lua_Alloc; `memory` is a struct lua_memory. */
void *lua_memory_alloc(void *memory, void *at, size_t had, size_t n);
/* Keeps what is there now, to be put back as often as one likes. */
void lua_memory_keep(struct lua_memory *m);
void lua_memory_put_back(struct lua_memory *m);

#endif
