/* include/stepmill/registry.h over a simulated registry: slow, sometimes out of reach, and without the schema of one id. */
#include "stepmill/registry.h"

#include <stdlib.h>

#include "schema_shelf.h"
#include "sim.h"
#include "stepmill/list.h"
#include "stepmill/task_codec.h"
#include "world.h"

enum { ENTRIES_MAX = 8, SUBJECTS_MAX = 4, SUBJECT_MAX = 64, REFUSED_FOR_MS = 10 * 1000, RETRY_MS = 1000, RETRY_SPREAD_MS = 4000 };

enum entry_state { ENTRY_FREE, ENTRY_PENDING, ENTRY_HERE, ENTRY_REFUSED };

struct entry {
    struct registry *registry;
    enum entry_state state;
    uint32_t id;
    int64_t refused_ms;
    struct loop_timer timer;
    struct list waiters;
};

struct waiter {
    struct list_node node;
    uint64_t number;
    struct ticket ticket;
    registry_done *done;
    void *ctx;
};

struct subject {
    struct registry *registry;
    char name[SUBJECT_MAX];
    uint32_t id;
    bool known;
    struct loop_timer timer;
};

struct registry {
    struct loop *loop;
    struct entry entries[ENTRIES_MAX];
    struct subject subjects[SUBJECTS_MAX];
    size_t nsubjects;
    uint64_t last_waiter;
    size_t waiting;
};

struct error registry_new(const struct registry_options *options, struct registry **out)
{
    struct registry *r = calloc(1, sizeof *r);

    *out = r;
    if (!r)
        return error_make(CLASS_INTERNAL, "out_of_memory", "no memory for the schema registry");
    r->loop = options->loop;
    return error_none();
}

void registry_free(struct registry *r)
{
    struct list_node *n;

    if (!r)
        return;
    for (size_t i = 0; i < ENTRIES_MAX; i++) {
        loop_timer_cancel(&r->entries[i].timer);
        while ((n = list_take_first(&r->entries[i].waiters)))
            free(list_entry(n, struct waiter, node));
    }
    for (size_t i = 0; i < r->nsubjects; i++)
        loop_timer_cancel(&r->subjects[i].timer);
    free(r);
}

/* Whether an answer comes now; if not, when to ask again. */
static bool answers(struct loop_timer *timer)
{
    if (!world_registry_is_out())
        return true;
    loop_timer_set(timer, RETRY_MS + (int64_t)sim_below(RETRY_SPREAD_MS));
    return false;
}

static void looked_up(void *ctx)
{
    struct subject *s = ctx;

    if (answers(&s->timer))
        s->known = true;
}

struct error registry_want(struct registry *r, const char *subject, enum own_schema which)
{
    struct subject *s = &r->subjects[r->nsubjects];

    if (r->nsubjects == SUBJECTS_MAX || strlen(subject) >= SUBJECT_MAX)
        return error_make(CLASS_INTERNAL, "too_many_subjects", "too many subjects are wanted of the schema registry");
    r->nsubjects++;
    s->registry = r;
    s->id = which == OWN_RESULT ? SCHEMA_RESULT : which == OWN_EVENT ? SCHEMA_EVENT : SCHEMA_TASK;
    memcpy(s->name, subject, strlen(subject) + 1);
    loop_timer_init(&s->timer, r->loop, looked_up, s);
    loop_timer_set(&s->timer, 1 + (int64_t)sim_below(5));
    return error_none();
}

bool registry_id(const struct registry *r, const char *subject, uint32_t *id)
{
    for (size_t i = 0; i < r->nsubjects; i++)
        if (r->subjects[i].known && !strcmp(r->subjects[i].name, subject)) {
            *id = r->subjects[i].id;
            return true;
        }
    return false;
}

struct registry_state registry_state(const struct registry *r)
{
    struct registry_state s = {.ready = true, .detail = "", .waiting = r->waiting};

    for (size_t i = 0; i < r->nsubjects; i++)
        s.ready &= r->subjects[i].known;
    return s;
}

static void tell_waiters(struct entry *e)
{
    struct list_node *n;

    while ((n = list_take_first(&e->waiters))) {
        struct waiter *w = list_entry(n, struct waiter, node);

        e->registry->waiting--;
        w->done(w->ctx, w->ticket, e->id);
        free(w);
    }
}

static void arrived(void *ctx)
{
    struct entry *e = ctx;

    if (e->state == ENTRY_PENDING) {
        if (!answers(&e->timer))
            return;
        e->state = schema_shelf_plan(world_shelf(), e->id, &task_reader) ? ENTRY_HERE : ENTRY_REFUSED;
        e->refused_ms = loop_now_ms(e->registry->loop);
    }
    tell_waiters(e);
}

static struct entry *entry_of(struct registry *r, uint32_t id)
{
    struct entry *e = NULL;

    for (size_t i = 0; i < ENTRIES_MAX; i++)
        if (r->entries[i].state != ENTRY_FREE && r->entries[i].id == id)
            e = &r->entries[i];
        else if (r->entries[i].state == ENTRY_FREE && !e)
            e = &r->entries[i];
    if (!e)
        bug("more than %d schemas in one history", ENTRIES_MAX);
    if (e->state == ENTRY_REFUSED && !e->waiters.count && loop_now_ms(r->loop) - e->refused_ms > REFUSED_FOR_MS)
        e->state = ENTRY_FREE;
    if (e->state != ENTRY_FREE)
        return e;
    e->registry = r;
    e->id = id;
    e->state = ENTRY_PENDING;
    loop_timer_init(&e->timer, r->loop, arrived, e);
    loop_timer_set(&e->timer, id == SCHEMA_SLOW ? 500 + (int64_t)sim_below(20000) : 1 + (int64_t)sim_below(10));
    return e;
}

struct error registry_plan(struct registry *r, uint32_t id, const struct avro_record *reader, const struct avro_plan **plan,
                           struct detail *detail)
{
    struct entry *e = entry_of(r, id);

    *plan = NULL;
    if (detail)
        detail->text[0] = '\0';
    if (e->state == ENTRY_PENDING)
        return error_make(CLASS_WAIT, "schema_pending", "the schema has been asked for");
    if (e->state == ENTRY_REFUSED)
        return error_make(CLASS_POISON, "unknown_schema", "the registry has no schema with this id");
    *plan = schema_shelf_plan(world_shelf(), id, reader);
    return error_none();
}

uint64_t registry_wait(struct registry *r, uint32_t id, struct ticket ticket, registry_done *done, void *ctx)
{
    struct entry *e = entry_of(r, id);
    struct waiter *w = calloc(1, sizeof *w);

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
    for (size_t i = 0; waiter && i < ENTRIES_MAX; i++)
        for (struct list_node *n = r->entries[i].waiters.first; n; n = n->next)
            if (list_entry(n, struct waiter, node)->number == waiter) {
                list_remove(n);
                free(list_entry(n, struct waiter, node));
                r->waiting--;
                return;
            }
}
