/* Runs the product's Lua scripts as Redis does: Lua 5.1, redis.call, KEYS, ARGV, its conversions, no new globals. */
#ifndef SIM_LUA_HOST_H
#define SIM_LUA_HOST_H

#include "store.h"

struct lua_host;

/* One for the whole process: compiled scripts stay. */
struct lua_host *lua_host_new(void);
void lua_host_free(struct lua_host *h);
/* A history begins: what the last one left in Lua is gone. */
void lua_host_begin(struct lua_host *h);

/* Is the rule of this name switched off? The same answer for as long as the host lives. */
typedef bool lua_rule_off_fn(void *ctx, struct slice name);
/* Compiles a script, or finds it among those known. A line that ends in "-- RULE(<name>)" is left out when that rule is off; one
 * that ends in "-- RULE(<name>): <text>" becomes the text. A script that does not compile is a BUG. */
int lua_host_script(struct lua_host *h, struct slice source, lua_rule_off_fn *off, void *ctx);

/* EVALSHA: one call of the store (store_begin is the caller's). The reply lies in the store's memory. */
struct reply lua_host_run(struct lua_host *h, int script, struct store *s, struct memory *m, int64_t now_ms,
                          const struct slice *keys, size_t nkeys, const struct slice *args, size_t nargs);

#endif
