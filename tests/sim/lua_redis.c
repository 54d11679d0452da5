/* redis.call and the conversions between Lua and RESP2 (https://redis.io/docs/latest/develop/interact/programmability/lua-api/).
 */
#include <lauxlib.h>
#include <stdio.h>

#include "lua_private.h"
#include "stepmill/error.h"

enum { WORDS_MAX = 256, DEPTH_MAX = 16 };

static void push_reply(lua_State *l, const struct reply *r)
{
    switch (r->kind) {
    case REPLY_NIL:
        lua_pushboolean(l, 0);
        return;
    case REPLY_INTEGER:
        lua_pushnumber(l, (lua_Number)r->integer);
        return;
    case REPLY_TEXT:
        lua_pushlstring(l, r->text.at ? r->text.at : "", r->text.len);
        return;
    case REPLY_STATUS:
    case REPLY_ERROR:
        lua_createtable(l, 0, 1);
        lua_pushlstring(l, r->text.at, r->text.len);
        lua_setfield(l, -2, r->kind == REPLY_STATUS ? "ok" : "err");
        return;
    case REPLY_ARRAY:
        lua_createtable(l, (int)r->count, 0);
        for (size_t i = 0; i < r->count; i++) {
            push_reply(l, &r->items[i]);
            lua_rawseti(l, -2, (int)i + 1);
        }
        return;
    }
}

static struct lua_call *call_of(lua_State *l) { return lua_touserdata(l, lua_upvalueindex(1)); }

/* The words of a command; a number is printed as Redis does. False: one is neither text nor number. */
static bool take_words(lua_State *l, struct slice *words, int n)
{
    for (int i = 0; i < n; i++) {
        if (lua_type(l, i + 1) == LUA_TNUMBER) {
            lua_Number number = lua_tonumber(l, i + 1);
            char digits[64];
            int len = number > -1e9 && number < 1e9 && number == (lua_Number)(int32_t)number
                          ? snprintf(digits, sizeof digits, "%d", (int32_t)number)
                          : snprintf(digits, sizeof digits, "%.17g", number);

            lua_pushlstring(l, digits, (size_t)len);
            lua_replace(l, i + 1);
        }
        if (lua_type(l, i + 1) != LUA_TSTRING)
            return false;
        words[i].at = lua_tolstring(l, i + 1, &words[i].len);
    }
    return true;
}

static int run(lua_State *l, bool protect)
{
    const struct lua_call *call = call_of(l);
    int n = lua_gettop(l);
    struct slice words[WORDS_MAX];
    struct reply r = reply_error("ERR Lua redis() command arguments must be strings or integers");

    if (n < 1 || n > WORDS_MAX)
        r = reply_error("ERR Please specify at least one argument for this redis.call() call");
    else if (take_words(l, words, n))
        r = store_do(call->store, call->now_ms, words, (size_t)n);
    push_reply(l, &r);
    if (r.kind == REPLY_ERROR && !protect)
        return lua_error(l);
    return 1;
}

static int redis_call_command(lua_State *l) { return run(l, false); }
static int redis_pcall_command(lua_State *l) { return run(l, true); }

static int single_field(lua_State *l, const char *name)
{
    if (lua_gettop(l) != 1 || lua_type(l, 1) != LUA_TSTRING)
        return luaL_error(l, "wrong number or type of arguments");
    lua_createtable(l, 0, 1);
    lua_insert(l, 1);
    lua_setfield(l, 1, name);
    return 1;
}

static int error_reply(lua_State *l) { return single_field(l, "err"); }
static int status_reply(lua_State *l) { return single_field(l, "ok"); }

static void add_function(lua_State *l, struct lua_call *call, const char *name, lua_CFunction function)
{
    lua_pushlightuserdata(l, call);
    lua_pushcclosure(l, function, 1);
    lua_setfield(l, -2, name);
}

void lua_redis_open(lua_State *l, struct lua_call *call)
{
    lua_newtable(l);
    add_function(l, call, "call", redis_call_command);
    add_function(l, call, "pcall", redis_pcall_command);
    add_function(l, call, "error_reply", error_reply);
    add_function(l, call, "status_reply", status_reply);
    lua_setglobal(l, "redis");
}

static bool field_text(lua_State *l, const char *name, struct memory *m, struct slice *text)
{
    struct slice s;

    lua_pushstring(l, name);
    lua_rawget(l, -2);
    s.at = lua_type(l, -1) == LUA_TSTRING ? lua_tolstring(l, -1, &s.len) : NULL;
    if (s.at)
        *text = memory_copy(m, s);
    lua_pop(l, 1);
    return s.at != NULL;
}

/* Up to the first nil. */
static struct reply array_reply(lua_State *l, struct memory *m, int depth)
{
    struct reply r = {.kind = REPLY_ARRAY};
    size_t n = lua_objlen(l, -1);

    r.items = memory_take(m, (n + 1) * sizeof *r.items);
    for (size_t i = 0; i < n; i++) {
        lua_rawgeti(l, -1, (int)i + 1);
        if (lua_isnil(l, -1)) {
            lua_pop(l, 1);
            break;
        }
        r.items[r.count++] = lua_redis_reply(l, m, depth + 1);
        lua_pop(l, 1);
    }
    return r;
}

struct reply lua_redis_reply(lua_State *l, struct memory *m, int depth)
{
    struct reply r = {.kind = REPLY_NIL};
    struct slice s;

    if (depth > DEPTH_MAX)
        return reply_error("ERR reached lua stack limit");
    switch (lua_type(l, -1)) {
    case LUA_TSTRING:
        s.at = lua_tolstring(l, -1, &s.len);
        return (struct reply){.kind = REPLY_TEXT, .text = memory_copy(m, s)};
    case LUA_TBOOLEAN:
        return lua_toboolean(l, -1) ? (struct reply){.kind = REPLY_INTEGER, .integer = 1} : r;
    case LUA_TNUMBER: /* cut, not rounded */
        return (struct reply){.kind = REPLY_INTEGER, .integer = (int64_t)lua_tonumber(l, -1)};
    case LUA_TTABLE:
        if (field_text(l, "err", m, &r.text))
            r.kind = REPLY_ERROR;
        else if (field_text(l, "ok", m, &r.text))
            r.kind = REPLY_STATUS;
        else
            r = array_reply(l, m, depth);
        return r;
    default:
        return r;
    }
}

struct reply lua_redis_failure(lua_State *l, struct memory *m)
{
    struct reply r = {.kind = REPLY_ERROR};
    char text[512];

    if (lua_type(l, -1) == LUA_TTABLE && field_text(l, "err", m, &r.text))
        return r;
    snprintf(text, sizeof text, "ERR %s", lua_tostring(l, -1) ? lua_tostring(l, -1) : "unknown error");
    r.text = memory_copy(m, slice_of(text));
    return r;
}
