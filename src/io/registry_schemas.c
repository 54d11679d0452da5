/* Foreign schemas by id: fetched once, compiled once per reader, the least used evicted. */
#include "registry_schemas.h"

#include <stdio.h>
#include <stdlib.h>

enum { REFUSED_FOR_MS = 10 * 1000 };

static void free_entry(struct registry *r, struct entry *e)
{
    struct list_node *n;

    HASH_DEL(r->entries, e);
    loop_timer_cancel(&e->timer);
    for (size_t i = 0; i < e->nplans; i++)
        avro_plan_free(e->plans[i].plan);
    schema_free(e->schema);
    while ((n = list_take_first(&e->waiters)))
        free(list_entry(n, struct waiter, node));
    free(e);
}

void registry_free_schemas(struct registry *r)
{
    struct entry *e, *next;

    HASH_ITER(hh, r->entries, e, next)
    free_entry(r, e);
}

/* A waiter stays on the list during its call, so that what it does meanwhile can't evict the schema. */
static void tell_waiters(struct entry *e)
{
    struct list_node *n;

    while ((n = e->waiters.first)) {
        struct waiter *w = list_entry(n, struct waiter, node);

        w->number = 0; /* too late to cancel */
        e->registry->waiting--;
        w->done(w->ctx, w->ticket, e->id);
        list_remove(n);
        free(w);
    }
}

static struct error read_schema(struct entry *e, const struct registry_reply *reply)
{
    json_t *text = json_object_get(reply->body, "schema");
    const char *type = json_string_value(json_object_get(reply->body, "schemaType"));

    if (json_array_size(json_object_get(reply->body, "references"))) {
        snprintf(e->detail.text, sizeof e->detail.text, "schema %u has references to other schemas, which are not supported",
                 e->id);
        return error_make(CLASS_POISON, "hostile_schema", "the schema refers to other schemas");
    }
    if (type && strcmp(type, "AVRO") != 0) {
        snprintf(e->detail.text, sizeof e->detail.text, "schema %u is of type %.20s, not AVRO", e->id, type);
        return error_make(CLASS_POISON, "hostile_schema", "the schema is not Avro");
    }
    if (!json_is_string(text))
        return error_make(CLASS_WAIT, "registry_failed", "the schema registry gave an answer without a schema");
    return schema_parse((struct slice){json_string_value(text), json_string_length(text)}, &e->registry->limits, &e->schema,
                        &e->detail);
}

static void arrived(void *ctx, const struct registry_reply *reply)
{
    struct entry *e = ctx;
    struct registry *r = e->registry;
    struct error error = reply->error;

    if (!failed(error)) {
        error = read_schema(e, reply);
    } else if (reply->too_large) { /* it will never be shorter: waiting for it would hold up the partition for ever */
        snprintf(e->detail.text, sizeof e->detail.text, "schema %u is far longer than limits.schema", e->id);
        error = error_make(CLASS_POISON, "hostile_schema", "the schema is too large");
    } else if (error.class == CLASS_POISON) {
        snprintf(e->detail.text, sizeof e->detail.text, "the registry does not know schema id %u", e->id);
    }
    if (error.class == CLASS_WAIT || error.class == CLASS_INTERNAL) {
        registry_note(r, reply);
        log_warn(r->log, "schema_registry.waiting", LOG_INT("schema_id", e->id), LOG_ERROR(error),
                 LOG_TEXT("detail", reply->text));
        loop_timer_set(&e->timer, registry_pause_ms(r, e->attempts++));
        return;
    }
    e->state = failed(error) ? ENTRY_REFUSED : ENTRY_HERE;
    e->error = error;
    e->refused_ms = loop_now_ms(r->loop);
    r->error = error_none();
    tell_waiters(e);
}

static void fetch(void *ctx)
{
    struct entry *e = ctx;
    struct buf path = BUF(128);

    if (e->state != ENTRY_PENDING) { /* somebody began to wait for what is here */
        tell_waiters(e);
        return;
    }
    buf_printf(&path, "/schemas/ids/%u", e->id);
    registry_ask(e->registry, "GET", &path, NULL, arrived, e);
}

static void make_room(struct registry *r)
{
    struct entry *e, *next, *oldest = NULL;

    if (HASH_COUNT(r->entries) < REGISTRY_SCHEMAS_MAX)
        return;
    HASH_ITER(hh, r->entries, e, next)
    if (e->state != ENTRY_PENDING && !e->waiters.count && (!oldest || e->used_ms < oldest->used_ms))
        oldest = e;
    if (oldest)
        free_entry(r, oldest);
}

static struct entry *entry_of(struct registry *r, uint32_t id)
{
    struct entry *e = NULL;

    HASH_FIND(hh, r->entries, &id, sizeof id, e);
    if (e && e->state == ENTRY_REFUSED && !e->waiters.count && loop_now_ms(r->loop) - e->refused_ms > REFUSED_FOR_MS) {
        free_entry(r, e); /* it may have been registered meanwhile */
        e = NULL;
    }
    if (e)
        return e;
    make_room(r);
    e = calloc(1, sizeof *e);
    if (!e)
        return NULL;
    e->id = id;
    e->registry = r;
    loop_timer_init(&e->timer, r->loop, fetch, e);
    HASH_ADD(hh, r->entries, id, sizeof e->id, e);
    if (!e->hh.tbl) {
        free(e);
        return NULL;
    }
    fetch(e);
    return e;
}

static struct error no_memory(void) { return error_make(CLASS_INTERNAL, "out_of_memory", "no memory left for a schema"); }

static struct error state_of(struct registry *r, struct entry *e, struct detail *detail)
{
    if (detail)
        detail->text[0] = '\0';
    if (!e)
        return no_memory();
    e->used_ms = loop_now_ms(r->loop);
    if (e->state == ENTRY_PENDING)
        return error_make(CLASS_WAIT, "schema_pending", "the schema has been asked for");
    if (e->state == ENTRY_REFUSED && detail)
        *detail = e->detail;
    return e->state == ENTRY_REFUSED ? e->error : error_none();
}

struct error registry_plan(struct registry *r, uint32_t id, const struct avro_record *reader, const struct avro_plan **plan,
                           struct detail *detail)
{
    struct entry *e = entry_of(r, id);
    struct error error = state_of(r, e, detail);
    size_t i = 0;

    *plan = NULL;
    if (failed(error))
        return error;
    while (i < e->nplans && e->plans[i].reader != reader)
        i++;
    if (i == PLANS_MAX)
        bug("a schema has more readers than there are");
    if (i == e->nplans) {
        e->plans[i].reader = reader;
        e->plans[i].error = avro_plan_new(e->schema, reader, &e->plans[i].plan, &e->plans[i].detail);
        if (e->plans[i].error.class == CLASS_INTERNAL)
            return e->plans[i].error;
        e->nplans++;
    }
    if (detail && failed(e->plans[i].error))
        *detail = e->plans[i].detail;
    *plan = e->plans[i].plan;
    return e->plans[i].error;
}

struct error registry_schema(struct registry *r, uint32_t id, const struct schema **schema, struct detail *detail)
{
    struct entry *e = entry_of(r, id);
    struct error error = state_of(r, e, detail);

    *schema = failed(error) ? NULL : e->schema;
    return error;
}

uint64_t registry_wait(struct registry *r, uint32_t id, struct ticket ticket, registry_done *done, void *ctx)
{
    struct entry *e = entry_of(r, id);
    struct waiter *w = e ? calloc(1, sizeof *w) : NULL;

    if (!w)
        return 0;
    *w = (struct waiter){.number = ++r->last_waiter, .ticket = ticket, .done = done, .ctx = ctx};
    list_append(&e->waiters, &w->node);
    r->waiting++;
    if (e->state != ENTRY_PENDING) /* it came meanwhile: tell from the loop, never from here */
        loop_timer_set(&e->timer, 0);
    return w->number;
}

void registry_cancel(struct registry *r, uint64_t waiter)
{
    struct entry *e, *next;

    if (!waiter)
        return;
    HASH_ITER(hh, r->entries, e, next)
    for (struct list_node *n = e->waiters.first; n; n = n->next)
        if (list_entry(n, struct waiter, node)->number == waiter) {
            list_remove(n);
            free(list_entry(n, struct waiter, node));
            r->waiting--;
            return;
        }
}

struct error registry_fetch(struct registry *r, uint32_t id, int64_t timeout_ms, const struct schema **schema,
                            struct detail *detail)
{
    int64_t until = loop_now_ms(r->loop) + timeout_ms;

    for (;;) {
        struct error error = registry_schema(r, id, schema, detail);

        if (error.class != CLASS_WAIT)
            return error;
        if (loop_now_ms(r->loop) >= until) {
            if (detail)
                snprintf(detail->text, sizeof detail->text, "%.190s", r->detail);
            return error_make(CLASS_AGAIN, "timeout", "the schema registry did not answer in time");
        }
        loop_turn(r->loop, true);
    }
}
