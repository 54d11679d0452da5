/* The commands of the simulated store, as Redis documents them. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "stepmill/error.h"
#include "store_private.h"

struct reply reply_error(const char *text) { return (struct reply){.kind = REPLY_ERROR, .text = slice_of(text)}; }

static struct reply number(int64_t n) { return (struct reply){.kind = REPLY_INTEGER, .integer = n}; }
static struct reply nil(void) { return (struct reply){.kind = REPLY_NIL}; }
static struct reply text(struct slice s) { return (struct reply){.kind = REPLY_TEXT, .text = s}; }
static struct reply ok(void) { return (struct reply){.kind = REPLY_STATUS, .text = SLICE("OK")}; }
static struct reply wrong_type(void) { return reply_error("WRONGTYPE Operation against a key holding the wrong kind of value"); }
static struct reply not_a_number(void) { return reply_error("ERR value is not an integer or out of range"); }

static struct reply array(struct store *s, size_t n)
{
    return (struct reply){.kind = REPLY_ARRAY, .items = memory_take(s->memory, (n + 1) * sizeof(struct reply)), .count = n};
}

static bool integer_of(struct slice s, int64_t *n) { return slice_to_int(s, INT64_MIN, INT64_MAX, n); }

static struct reply get(struct store *s, const struct slice *a, size_t n)
{
    const struct object *o = store_find(s, a[1]);

    (void)n;
    return !o ? nil() : o->kind == OBJECT_TEXT ? text(o->text) : wrong_type();
}

static struct reply mget(struct store *s, const struct slice *a, size_t n)
{
    struct reply r = array(s, n - 1);

    for (size_t i = 1; i < n; i++) {
        const struct object *o = store_find(s, a[i]);

        r.items[i - 1] = o && o->kind == OBJECT_TEXT ? text(o->text) : nil();
    }
    return r;
}

/* SET key value [PX ms] */
static struct reply set(struct store *s, const struct slice *a, size_t n)
{
    struct object *o = store_find(s, a[1]);
    int64_t life = -1;

    if (n != 3 && (n != 5 || strncasecmp(a[3].at, "PX", 2) != 0 || !integer_of(a[4], &life) || life <= 0))
        return reply_error("ERR syntax error");
    if (o)
        store_delete(s, o);
    o = store_change(s, a[1], OBJECT_TEXT);
    o->text = memory_copy(s->memory, a[2]);
    o->expires_ms = life < 0 ? -1 : s->now_ms + life;
    return ok();
}

static struct reply exists(struct store *s, const struct slice *a, size_t n)
{
    int64_t found = 0;

    for (size_t i = 1; i < n; i++)
        found += store_find(s, a[i]) != NULL;
    return number(found);
}

static struct reply del(struct store *s, const struct slice *a, size_t n)
{
    int64_t found = 0;

    for (size_t i = 1; i < n; i++) {
        struct object *o = store_find(s, a[i]);

        if (!o)
            continue;
        store_delete(s, o);
        found++;
    }
    return number(found);
}

static struct reply pexpire(struct store *s, const struct slice *a, size_t n)
{
    struct object *o = store_find(s, a[1]);
    int64_t life;

    (void)n;
    if (!integer_of(a[2], &life))
        return not_a_number();
    if (!o)
        return number(0);
    store_touch(s, o);
    o->expires_ms = s->now_ms + life;
    return number(1);
}

static struct reply pttl(struct store *s, const struct slice *a, size_t n)
{
    const struct object *o = store_find(s, a[1]);

    (void)n;
    return number(!o ? -2 : o->expires_ms < 0 ? -1 : o->expires_ms - s->now_ms);
}

static struct reply incrby(struct store *s, const struct slice *a, size_t n)
{
    struct object *o = store_find(s, a[1]);
    int64_t value = 0, by;
    char digits[24];

    (void)n;
    if (o && o->kind != OBJECT_TEXT)
        return wrong_type();
    if (!integer_of(a[2], &by) || (o && !integer_of(o->text, &value)))
        return not_a_number();
    if (__builtin_add_overflow(value, by, &value))
        return reply_error("ERR increment or decrement would overflow");
    o = store_change(s, a[1], OBJECT_TEXT);
    snprintf(digits, sizeof digits, "%lld", (long long)value);
    o->text = memory_copy(s->memory, slice_of(digits));
    return number(value);
}

static struct reply hget(struct store *s, const struct slice *a, size_t n)
{
    const struct object *o = store_find(s, a[1]);
    const struct field *f;

    (void)n;
    if (o && o->kind != OBJECT_HASH)
        return wrong_type();
    f = o ? object_field(o, a[2]) : NULL;
    return f ? text(f->value) : nil();
}

static struct reply hset(struct store *s, const struct slice *a, size_t n)
{
    struct object *o;
    int64_t added = 0;

    if (n % 2 != 0)
        return reply_error("ERR wrong number of arguments for 'hset' command");
    o = store_change(s, a[1], OBJECT_HASH);
    if (!o)
        return wrong_type();
    for (size_t i = 2; i < n; i += 2) {
        struct field *f = object_field(o, a[i]);

        if (f)
            f->value = memory_copy(s->memory, a[i + 1]);
        else
            object_append(s, o, a[i], a[i + 1]);
        added += !f;
    }
    return number(added);
}

static struct reply hdel(struct store *s, const struct slice *a, size_t n)
{
    struct object *o = store_find(s, a[1]);
    int64_t removed = 0;

    if (o && o->kind != OBJECT_HASH)
        return wrong_type();
    for (size_t i = 2; o && i < n; i++) {
        struct field *f = object_field(o, a[i]);

        if (!f)
            continue;
        store_touch(s, o);
        f = object_field(o, a[i]); /* the copy's */
        memmove(f, f + 1, (size_t)(o->fields + o->nfields - (f + 1)) * sizeof *f);
        o->nfields--;
        removed++;
    }
    if (o && removed && o->nfields == 0)
        store_delete(s, o);
    return number(removed);
}

static struct reply hash_items(struct store *s, const struct slice *a, bool values)
{
    const struct object *o = store_find(s, a[1]);
    struct reply r;

    if (o && o->kind != OBJECT_HASH)
        return wrong_type();
    r = array(s, o ? o->nfields << values : 0);
    for (size_t i = 0; o && i < o->nfields; i++) {
        r.items[i << values] = text(o->fields[i].name);
        if (values)
            r.items[2 * i + 1] = text(o->fields[i].value);
    }
    return r;
}

static struct reply hkeys(struct store *s, const struct slice *a, size_t n) { return (void)n, hash_items(s, a, false); }
static struct reply hgetall(struct store *s, const struct slice *a, size_t n) { return (void)n, hash_items(s, a, true); }

static struct reply rpush(struct store *s, const struct slice *a, size_t n)
{
    struct object *o = store_change(s, a[1], OBJECT_LIST);

    if (!o)
        return wrong_type();
    for (size_t i = 2; i < n; i++)
        object_append(s, o, (struct slice){NULL, 0}, a[i]);
    return number((int64_t)o->nfields);
}

/* [*first, *end) of a list with n items; negative numbers count from its end. */
static bool range(const struct slice *a, size_t n, size_t *first, size_t *end)
{
    int64_t from, to, count = (int64_t)n;

    if (!integer_of(a[2], &from) || !integer_of(a[3], &to))
        return false;
    from = from < 0 ? from + count : from;
    to = to < 0 ? to + count : to;
    from = from < 0 ? 0 : from;
    to = to >= count ? count - 1 : to;
    *first = from > to ? 0 : (size_t)from;
    *end = from > to ? 0 : (size_t)to + 1;
    return true;
}

static struct reply lrange(struct store *s, const struct slice *a, size_t n)
{
    const struct object *o = store_find(s, a[1]);
    size_t first, end;
    struct reply r;

    (void)n;
    if (o && o->kind != OBJECT_LIST)
        return wrong_type();
    if (!range(a, o ? o->nfields : 0, &first, &end))
        return not_a_number();
    r = array(s, end - first);
    for (size_t i = first; i < end; i++)
        r.items[i - first] = text(o->fields[i].value);
    return r;
}

static struct reply ltrim(struct store *s, const struct slice *a, size_t n)
{
    struct object *o = store_find(s, a[1]);
    size_t first, end;

    (void)n;
    if (o && o->kind != OBJECT_LIST)
        return wrong_type();
    if (!range(a, o ? o->nfields : 0, &first, &end))
        return not_a_number();
    if (!o)
        return ok();
    store_touch(s, o);
    if (first == end) {
        store_delete(s, o);
        return ok();
    }
    memmove(o->fields, o->fields + first, (end - first) * sizeof *o->fields);
    o->nfields = end - first;
    return ok();
}

/* MEMORY USAGE key [SAMPLES n]: an estimate that is never too low. */
static struct reply memory_usage(struct store *s, const struct slice *a, size_t n)
{
    const struct object *o = n > 2 ? store_find(s, a[2]) : NULL;
    size_t size = 64;

    if (!o)
        return nil();
    for (size_t i = 0; i < o->nfields; i++)
        size += o->fields[i].name.len + o->fields[i].value.len + 32;
    return number((int64_t)(size + o->text.len));
}

static struct reply time_now(struct store *s, const struct slice *a, size_t n)
{
    struct reply r = array(s, 2);
    char digits[24];

    (void)a, (void)n;
    snprintf(digits, sizeof digits, "%lld", (long long)(s->now_ms / 1000));
    r.items[0] = text(memory_copy(s->memory, slice_of(digits)));
    snprintf(digits, sizeof digits, "%lld", (long long)(s->now_ms % 1000 * 1000));
    r.items[1] = text(memory_copy(s->memory, slice_of(digits)));
    return r;
}

static const struct {
    const char *name;
    size_t least, most; /* words, the name included */
    struct reply (*run)(struct store *s, const struct slice *a, size_t n);
} commands[] = {
    {"GET", 2, 2, get},       {"MGET", 2, 99, mget},          {"SET", 3, 5, set},         {"EXISTS", 2, 99, exists},
    {"DEL", 2, 99, del},      {"UNLINK", 2, 99, del},         {"PEXPIRE", 3, 3, pexpire}, {"PTTL", 2, 2, pttl},
    {"INCRBY", 3, 3, incrby}, {"HGET", 3, 3, hget},           {"HSET", 4, 99, hset},      {"HDEL", 3, 99, hdel},
    {"HKEYS", 2, 2, hkeys},   {"HGETALL", 2, 2, hgetall},     {"RPUSH", 3, 99, rpush},    {"LRANGE", 4, 4, lrange},
    {"LTRIM", 4, 4, ltrim},   {"MEMORY", 3, 5, memory_usage}, {"TIME", 1, 1, time_now},
};

struct reply store_do(struct store *s, int64_t now_ms, const struct slice *args, size_t nargs)
{
    s->now_ms = now_ms;
    for (size_t i = 0; nargs && i < sizeof commands / sizeof *commands; i++) {
        if (args[0].len != strlen(commands[i].name) || strncasecmp(args[0].at, commands[i].name, args[0].len) != 0)
            continue;
        if (nargs < commands[i].least || nargs > commands[i].most)
            return reply_error("ERR wrong number of arguments");
        return commands[i].run(s, args, nargs);
    }
    return reply_error("ERR unknown command");
}
