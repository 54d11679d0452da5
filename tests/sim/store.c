/* Objects of the simulated store: found, made, changed with a way back. */
#include "store.h"

#include "stepmill/error.h"
#include "store_private.h"

static uint32_t hash_of(struct slice s)
{
    uint32_t h = 2166136261U; /* FNV-1a */

    for (size_t i = 0; i < s.len; i++)
        h = (h ^ (unsigned char)s.at[i]) * 16777619U;
    return h;
}

struct store *store_new(struct memory *m)
{
    struct store *s = memory_take(m, sizeof *s);

    s->memory = m;
    return s;
}

uint64_t store_begin(struct store *s) { return ++s->call; }

static struct object *slot_of(struct store *s, struct slice key)
{
    uint32_t hash = hash_of(key);

    for (size_t i = 0; i < s->nobjects; i++)
        if (s->objects[i].hash == hash && slice_equal(s->objects[i].key, key))
            return &s->objects[i];
    return NULL;
}

static bool lives(const struct store *s, const struct object *o)
{
    return o->kind != OBJECT_NONE && (o->expires_ms < 0 || o->expires_ms > s->now_ms);
}

struct object *store_find(struct store *s, struct slice key)
{
    struct object *o = slot_of(s, key);

    return o && lives(s, o) ? o : NULL;
}

void store_touch(struct store *s, struct object *o)
{
    if (o->touched == s->call)
        return;
    if (s->nundo == s->undo_room) {
        s->undo_room = s->undo_room ? 2 * s->undo_room : 256;
        s->undo = memory_grow(s->memory, s->undo, s->nundo, s->undo_room, sizeof *s->undo);
    }
    s->undo[s->nundo++] = (struct undo){s->call, (size_t)(o - s->objects), *o};
    if (o->nfields) /* the copy keeps the old ones */
        o->fields = memory_grow(s->memory, o->fields, o->nfields, o->room, sizeof *o->fields);
    o->touched = s->call;
}

static struct object *add_slot(struct store *s, struct slice key)
{
    struct object *o;

    if (s->nobjects == s->room) {
        s->room = s->room ? 2 * s->room : 64;
        s->objects = memory_grow(s->memory, s->objects, s->nobjects, s->room, sizeof *s->objects);
    }
    o = &s->objects[s->nobjects++];
    *o = (struct object){.key = memory_copy(s->memory, key), .hash = hash_of(key), .expires_ms = -1};
    return o;
}

struct object *store_change(struct store *s, struct slice key, enum object_kind kind)
{
    struct object *o = slot_of(s, key);

    if (!o)
        o = add_slot(s, key);
    if (lives(s, o)) {
        if (o->kind != kind)
            return NULL;
        store_touch(s, o);
        return o;
    }
    store_touch(s, o);
    o->kind = kind;
    o->expires_ms = -1;
    o->text = (struct slice){NULL, 0};
    o->fields = NULL;
    o->nfields = o->room = 0;
    return o;
}

void store_delete(struct store *s, struct object *o)
{
    store_touch(s, o);
    o->kind = OBJECT_NONE;
    o->fields = NULL;
    o->nfields = o->room = 0;
}

struct field *object_field(const struct object *o, struct slice name)
{
    for (size_t i = 0; i < o->nfields; i++)
        if (slice_equal(o->fields[i].name, name))
            return &o->fields[i];
    return NULL;
}

void object_append(struct store *s, struct object *o, struct slice name, struct slice value)
{
    if (o->nfields == o->room) {
        o->room = o->room ? 2 * o->room : 8;
        o->fields = memory_grow(s->memory, o->fields, o->nfields, o->room, sizeof *o->fields);
    }
    o->fields[o->nfields++] = (struct field){memory_copy(s->memory, name), memory_copy(s->memory, value)};
}

/* Content only: how long it lives is no news to anybody. */
static bool same_content(const struct object *a, const struct object *b)
{
    if (a->kind != b->kind || !slice_equal(a->text, b->text) || a->nfields != b->nfields)
        return false;
    for (size_t i = 0; i < a->nfields; i++)
        if (!slice_equal(a->fields[i].name, b->fields[i].name) || !slice_equal(a->fields[i].value, b->fields[i].value))
            return false;
    return true;
}

void store_undo(struct store *s, uint64_t above, store_lost_fn *lost, void *ctx)
{
    size_t n = s->nundo;
    struct object *now = memory_grow(s->memory, s->objects, s->nobjects, s->nobjects, sizeof *now);

    while (n > 0 && s->undo[n - 1].call > above) {
        const struct undo *u = &s->undo[--n];

        s->objects[u->object] = u->before;
        s->objects[u->object].touched = 0;
    }
    s->nundo = n;
    s->call++; /* whatever is changed next must be copied anew */
    for (size_t i = 0; i < s->nobjects; i++)
        if (!same_content(&now[i], &s->objects[i]))
            lost(ctx, s->objects[i].key);
}

size_t store_keys(struct store *s, int64_t now_ms, struct slice *keys, size_t room)
{
    size_t n = 0;

    s->now_ms = now_ms;
    for (size_t i = 0; i < s->nobjects; i++)
        if (lives(s, &s->objects[i]) && n++ < room)
            keys[n - 1] = s->objects[i].key;
    return n;
}

bool store_flush_one(struct store *s, int64_t now_ms, uint64_t pick, store_lost_fn *lost, void *ctx)
{
    size_t n = store_keys(s, now_ms, NULL, 0), at = n ? (size_t)(pick % n) : 0;

    for (size_t i = 0; n && i < s->nobjects; i++) {
        if (!lives(s, &s->objects[i]) || at-- > 0)
            continue;
        store_begin(s);
        store_delete(s, &s->objects[i]);
        lost(ctx, s->objects[i].key);
        return true;
    }
    return false;
}

bool store_lose_field(struct store *s, int64_t now_ms, const char *kind, uint64_t pick, store_lost_fn *lost, void *ctx)
{
    size_t n = 0, at;

    s->now_ms = now_ms;
    for (size_t i = 0; i < s->nobjects; i++)
        if (lives(s, &s->objects[i]) && slice_starts_with(s->objects[i].key, kind))
            n += s->objects[i].nfields;
    if (n == 0)
        return false;
    at = (size_t)(pick % n);
    for (size_t i = 0; i < s->nobjects; i++) {
        struct object *o = &s->objects[i];

        if (!lives(s, o) || !slice_starts_with(o->key, kind))
            continue;
        if (at >= o->nfields) {
            at -= o->nfields;
            continue;
        }
        store_begin(s);
        (void)store_do(s, now_ms, (struct slice[]){SLICE("HDEL"), o->key, o->fields[at].name}, 3);
        lost(ctx, o->key);
        return true;
    }
    return false;
}

struct slice store_peek(struct store *s, int64_t now_ms, struct slice key, struct slice field)
{
    const struct object *o;
    const struct field *f;

    s->now_ms = now_ms;
    o = store_find(s, key);
    if (!o)
        return (struct slice){NULL, 0};
    if (!field.at)
        return o->kind == OBJECT_TEXT ? o->text : (struct slice){NULL, 0};
    f = o->kind == OBJECT_HASH ? object_field(o, field) : NULL;
    return f ? f->value : (struct slice){NULL, 0};
}
