/* Lua as Redis runs it: the sandbox and the way of a script from its text to its reply. */
#include "lua_host.h"

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>

#include "lua_memory.h"
#include "lua_private.h"
#include "stepmill/error.h"

enum { SOURCE_MAX = 256 * 1024, SCRIPTS_MAX = 64, ARGUMENTS_MAX = 7000, BUSY_MAX = 64 << 20 };

struct known_script { /* both in Lua's registry: the memory of the process that asked goes with its history */
    int source;       /* as asked for: the rules that are off stay off */
    int ref;
};

struct lua_host {
    lua_State *lua;
    struct lua_memory memory;
    struct lua_call call;
    struct known_script scripts[SCRIPTS_MAX];
    int nscripts, nkept; /* kept: compiled in the memory that each history begins with */
};

static int no_globals(lua_State *l)
{
    return luaL_error(l, "Script attempted to access nonexistent global variable '%s'", lua_tostring(l, 2));
}

/* As Redis' sandbox: a script that makes a global, or reads one that is not there, fails. */
static void protect_globals(lua_State *l)
{
    lua_pushvalue(l, LUA_GLOBALSINDEX);
    lua_newtable(l);
    lua_pushcfunction(l, no_globals);
    lua_setfield(l, -2, "__newindex");
    lua_pushcfunction(l, no_globals);
    lua_setfield(l, -2, "__index");
    lua_setmetatable(l, -2);
    lua_pop(l, 1);
}

static void open_library(lua_State *l, lua_CFunction open, const char *name)
{
    lua_pushcfunction(l, open);
    lua_pushstring(l, name);
    lua_call(l, 1, 0);
}

struct lua_host *lua_host_new(void)
{
    struct lua_host *h = calloc(1, sizeof *h);

    lua_memory_init(&h->memory);
    h->lua = lua_newstate(lua_memory_alloc, &h->memory);
    if (!h->lua)
        bug("no memory for Lua");
    open_library(h->lua, luaopen_base, "");
    open_library(h->lua, luaopen_table, LUA_TABLIBNAME);
    open_library(h->lua, luaopen_string, LUA_STRLIBNAME);
    open_library(h->lua, luaopen_math, LUA_MATHLIBNAME);
    lua_redis_open(h->lua, &h->call);
    protect_globals(h->lua);
    h->nkept = -1;
    return h;
}

/* Nothing is collected step by step: all garbage is gone when the next history begins. */
static void collect(struct lua_host *h)
{
    lua_gc(h->lua, LUA_GCCOLLECT, 0);
    lua_gc(h->lua, LUA_GCSTOP, 0);
}

static void keep(struct lua_host *h)
{
    collect(h);
    lua_memory_keep(&h->memory);
    h->nkept = h->nscripts;
}

void lua_host_begin(struct lua_host *h)
{
    if (h->nkept == h->nscripts)
        lua_memory_put_back(&h->memory);
}

void lua_host_free(struct lua_host *h)
{
    if (!h)
        return;
    lua_close(h->lua);
    lua_memory_free(&h->memory);
    free(h);
}

/* The mark at the end of a line: its rule's name, and what stands there when the rule is off. */
static bool find_mark(struct slice line, struct slice *name, struct slice *instead)
{
    static const char mark[] = "-- RULE(";
    const char *at = memmem(line.at, line.len, mark, sizeof mark - 1), *end;

    if (!at)
        return false;
    at += sizeof mark - 1;
    end = memchr(at, ')', (size_t)(line.at + line.len - at));
    if (!end)
        bug("a mark without an end: %.*s", SLICE_FMT(line));
    *name = (struct slice){at, (size_t)(end - at)};
    *instead = end + 1 < line.at + line.len && end[1] == ':' ? (struct slice){end + 2, (size_t)(line.at + line.len - (end + 2))}
                                                             : (struct slice){"", 0};
    return true;
}

static void apply_rules(struct buf *to, struct slice source, lua_rule_off_fn *off, void *ctx)
{
    while (source.len) {
        const char *end = memchr(source.at, '\n', source.len);
        struct slice line = {source.at, end ? (size_t)(end - source.at) : source.len}, name, instead;
        size_t used = line.len + (end != NULL);

        if (off && find_mark(line, &name, &instead) && off(ctx, name))
            line = instead;
        buf_put_slice(to, line);
        buf_put_byte(to, '\n');
        source = (struct slice){source.at + used, source.len - used};
    }
}

static bool is_script(struct lua_host *h, int i, struct slice text)
{
    struct slice source;
    bool same;

    lua_rawgeti(h->lua, LUA_REGISTRYINDEX, h->scripts[i].source);
    source.at = lua_tolstring(h->lua, -1, &source.len);
    same = slice_equal(source, text);
    lua_pop(h->lua, 1);
    return same;
}

static int add_script(struct lua_host *h, struct slice source, lua_rule_off_fn *off, void *ctx)
{
    struct buf text = BUF(SOURCE_MAX);
    int ref;

    if (h->nscripts == SCRIPTS_MAX)
        bug("more than %d scripts", SCRIPTS_MAX);
    apply_rules(&text, source, off, ctx);
    if (text.failed)
        bug("a script of %zu bytes", source.len);
    lua_pushlstring(h->lua, source.at, source.len);
    ref = luaL_ref(h->lua, LUA_REGISTRYINDEX);
    if (luaL_loadbuffer(h->lua, text.at, text.len, "@user_script") != 0)
        bug("a script does not compile: %s", lua_tostring(h->lua, -1));
    h->scripts[h->nscripts] = (struct known_script){ref, luaL_ref(h->lua, LUA_REGISTRYINDEX)};
    buf_free(&text);
    return h->nscripts++;
}

int lua_host_script(struct lua_host *h, struct slice source, lua_rule_off_fn *off, void *ctx)
{
    for (int i = 0; i < h->nscripts; i++)
        if (is_script(h, i, source))
            return i;
    return add_script(h, source, off, ctx);
}

static void set_list(lua_State *l, const char *name, const struct slice *items, size_t n)
{
    lua_createtable(l, (int)n, 0);
    for (size_t i = 0; i < n; i++) {
        lua_pushlstring(l, items[i].at ? items[i].at : "", items[i].len);
        lua_rawseti(l, -2, (int)i + 1);
    }
    lua_pushstring(l, name);
    lua_insert(l, -2);
    lua_rawset(l, LUA_GLOBALSINDEX);
}

struct reply lua_host_run(struct lua_host *h, int script, struct store *s, struct memory *m, int64_t now_ms,
                          const struct slice *keys, size_t nkeys, const struct slice *args, size_t nargs)
{
    lua_State *l = h->lua;
    struct reply reply;

    if (nkeys + nargs > ARGUMENTS_MAX)
        return reply_error("ERR too many arguments");
    if (h->nkept != h->nscripts)
        keep(h);
    h->call = (struct lua_call){.store = s, .memory = m, .now_ms = now_ms};
    set_list(l, "KEYS", keys, nkeys);
    set_list(l, "ARGV", args, nargs);
    lua_rawgeti(l, LUA_REGISTRYINDEX, h->scripts[script].ref);
    if (lua_pcall(l, 0, 1, 0) != 0)
        reply = lua_redis_failure(l, m);
    else
        reply = lua_redis_reply(l, m, 0);
    lua_settop(l, 0);
    if (h->memory.busy > BUSY_MAX)
        collect(h);
    return reply;
}
