/* What the files of the Lua host share. */
#ifndef SIM_LUA_PRIVATE_H
#define SIM_LUA_PRIVATE_H

#include <lua.h>

#include "store.h"

/* The script that runs now. */
struct lua_call {
    struct store *store;
    struct memory *memory;
    int64_t now_ms;
};

/* Adds the table `redis`. `call` must outlive the state. */
void lua_redis_open(lua_State *l, struct lua_call *call);
/* The value on top of the stack as Redis answers it; `depth` of tables so far. */
struct reply lua_redis_reply(lua_State *l, struct memory *m, int depth);
/* The error on top of the stack. */
struct reply lua_redis_failure(lua_State *l, struct memory *m);

#endif
