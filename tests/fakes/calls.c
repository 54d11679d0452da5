/* Calls per Idempotency-Key: chains of ring items, newest first, so that forgetting the oldest needs no unlinking. */
#include "calls.h"

#include <stdlib.h>
#include <string.h>

struct call {
    struct ring_item item; /* kind: enum call_kind */
    uint64_t older;        /* next of the chain */
    uint64_t hash;
    uint64_t reply; /* position of the stored answer */
    uint64_t count, answered, effects;
    int64_t first_us, last_us;
    int32_t last_status;
    uint32_t name_len, key_len;
    char words[]; /* name, key */
};

struct reply {
    struct ring_item item;
    int32_t status;
    uint32_t len;
    char bytes[];
};

static struct span name_of(const struct call *c) { return (struct span){c->words, c->name_len}; }
static struct span key_of(const struct call *c) { return (struct span){c->words + c->name_len, c->key_len}; }

/* Finds the call or adds it with count 0; NULL: too large for the ring. */
static struct call *find(struct shared *s, enum call_kind kind, struct span name, struct span key, bool add, uint64_t *position)
{
    uint64_t hash = hash_bytes(hash_bytes(kind, name.at, name.len), key.at, key.len);
    uint64_t *bucket = &s->buckets[hash % CALL_BUCKETS];
    struct call *c;

    for (*position = *bucket; (c = ring_at(&s->calls, *position)); *position = c->older)
        if (c->hash == hash && c->item.kind == kind && span_equal(name_of(c), name) && span_equal(key_of(c), key))
            return c;
    *position = 0;
    if (!add || !(c = ring_add(&s->calls, kind, sizeof *c + name.len + key.len, position)))
        return NULL;
    c->hash = hash;
    c->older = *bucket;
    *bucket = *position;
    c->name_len = (uint32_t)name.len;
    c->key_len = (uint32_t)key.len;
    if (name.len)
        memcpy(c->words, name.at, name.len);
    if (key.len)
        memcpy(c->words + name.len, key.at, key.len);
    c->first_us = wall_us();
    return c;
}

uint64_t calls_began(struct shared *s, enum call_kind kind, struct span name, struct span key)
{
    uint64_t position;
    struct call *c;

    shared_lock(s);
    c = find(s, kind, name, key, true, &position);
    if (c) {
        c->last_us = c->count++ ? wall_us() : c->first_us;
    }
    shared_unlock(s);
    return position;
}

void calls_answered(struct shared *s, uint64_t position, int status)
{
    struct call *c;

    shared_lock(s);
    c = ring_at(&s->calls, position);
    if (c) {
        c->answered += status >= 200 && status < 300;
        c->last_status = status;
    }
    shared_unlock(s);
}

static void store_reply(struct shared *s, uint64_t position, int status, const struct text *body)
{
    uint64_t at;
    struct reply *r = ring_add(&s->calls, CALL_REPLY, sizeof *r + body->len, &at);
    struct call *c = ring_at(&s->calls, position); /* adding may have forgotten it */

    if (!r || !c)
        return;
    r->status = status;
    r->len = (uint32_t)body->len;
    if (body->len)
        memcpy(r->bytes, body->at, body->len);
    c->reply = at;
}

void calls_effect(struct shared *s, uint64_t position, bool idempotent, int *status, struct text *body)
{
    struct call *c;
    struct reply *r;

    shared_lock(s);
    c = ring_at(&s->calls, position);
    r = c && idempotent && c->key_len ? ring_at(&s->calls, c->reply) : NULL;
    if (r) {
        *status = r->status;
        body->len = 0;
        text_add(body, r->bytes, r->len);
    } else {
        atomic_fetch_add(&s->stats.tool_effects, 1);
        if (c)
            c->effects++;
        if (c && idempotent && c->key_len)
            store_reply(s, position, *status, body);
    }
    shared_unlock(s);
}

bool calls_within(struct shared *s, struct span name, struct span scope, uint64_t limit)
{
    uint64_t position;
    struct call *c;
    bool within;

    shared_lock(s);
    c = find(s, CALL_COUNTER, name, scope, true, &position);
    within = c && c->count < limit;
    if (within)
        c->count++;
    shared_unlock(s);
    return within;
}

void calls_note_task(struct shared *s, struct span task, struct span directive)
{
    uint64_t position;
    struct call *c;
    struct text body = {0};

    text_add(&body, directive.at, directive.len);
    shared_lock(s);
    c = find(s, CALL_NOTE, (struct span){0}, task, true, &position);
    if (c && !ring_at(&s->calls, c->reply)) {
        store_reply(s, position, 0, &body);
        atomic_fetch_add(&s->task_notes, 1);
    }
    shared_unlock(s);
    text_free(&body);
}

bool calls_task_note(struct shared *s, struct span task, struct text *directive)
{
    uint64_t position;
    struct call *c;
    struct reply *r;

    if (!task.len || atomic_load_explicit(&s->task_notes, memory_order_relaxed) == 0)
        return false;
    shared_lock(s);
    c = find(s, CALL_NOTE, (struct span){0}, task, false, &position);
    r = c ? ring_at(&s->calls, c->reply) : NULL;
    if (r)
        text_add(directive, r->bytes, r->len);
    shared_unlock(s);
    return r != NULL;
}

struct span calls_task_of(struct span key)
{
    const char *slash = key.len ? memchr(key.at, '/', key.len) : NULL;

    return (struct span){key.at, slash ? (size_t)(slash - key.at) : 0};
}

static void put_call(const struct call *c, struct text *out)
{
    text_printf(out, "{\"kind\":\"%s\",\"name\":\"", c->item.kind == CALL_MODEL ? "model" : "tool");
    text_json(out, name_of(c));
    text_put(out, "\",\"key\":\"");
    text_json(out, key_of(c));
    text_put(out, "\",\"task\":\"");
    text_json(out, calls_task_of(key_of(c)));
    text_printf(out,
                "\",\"count\":%llu,\"answered\":%llu,\"effects\":%llu,\"last_status\":%d,\"first_at\":%.6f,\"last_at\":%.6f}",
                (unsigned long long)c->count, (unsigned long long)c->answered, (unsigned long long)c->effects,
                (int)c->last_status, (double)c->first_us / 1e6, (double)c->last_us / 1e6);
}

void calls_list(struct shared *s, struct span prefix, struct span kind, struct span name, struct text *out)
{
    uint64_t position = 0;
    const char *comma = "";
    struct call *c;

    text_put(out, "[");
    shared_lock(s);
    while ((c = ring_next(&s->calls, &position))) {
        if (c->item.kind != CALL_MODEL && c->item.kind != CALL_TOOL)
            continue;
        if (kind.len && !span_is(kind, c->item.kind == CALL_MODEL ? "model" : "tool"))
            continue;
        if ((name.len && !span_equal(name, name_of(c))) || key_of(c).len < prefix.len ||
            (prefix.len && memcmp(key_of(c).at, prefix.at, prefix.len) != 0))
            continue;
        text_put(out, comma);
        put_call(c, out);
        comma = ",\n ";
    }
    shared_unlock(s);
    text_put(out, "]");
}

void calls_known(struct shared *s, uint64_t *known, uint64_t *forgotten)
{
    uint64_t position = 0;
    struct ring_item *i;

    *known = 0;
    shared_lock(s);
    while ((i = ring_next(&s->calls, &position)))
        *known += i->kind == CALL_MODEL || i->kind == CALL_TOOL;
    *forgotten = s->calls.forgotten;
    shared_unlock(s);
}
