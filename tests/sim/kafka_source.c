/* include/stepmill/kafka_source.h over the simulated group: the same callbacks, in the same order. */
#include "stepmill/kafka_source.h"

#include <stdlib.h>

#include "broker.h"
#include "kernel.h"
#include "stepmill/error.h"
#include "world.h"

struct kafka_source {
    struct kafka_source_events events;
    void *context;
    struct broker_member *member;
    bool closing, closed;
};

struct kafka_membership {
    struct broker_membership belief;
};

static void join(void *member)
{
    struct broker_member *m = member;

    if (member_source(m))
        group_join(m);
}

struct error kafka_source_start(struct kafka_source **source, struct event_base *base, const struct kafka_source_options *options,
                                const struct kafka_source_events *events, void *context, char *detail, size_t room)
{
    struct kafka_source *s = calloc(1, sizeof *s);

    (void)base, (void)options, (void)detail, (void)room;
    *source = s;
    if (!s)
        return error_make(CLASS_INTERNAL, "out_of_memory", "no memory for the consumer");
    *s = (struct kafka_source){.events = *events, .context = context, .member = process_member(sim_self())};
    member_set_source(s->member, s);
    sim_later(20, join, s->member);
    return error_none();
}

static struct kafka_source *mine(void) { return member_source(process_member(sim_self())); }

static struct kafka_partition name_of(const struct broker_partition *p)
{
    return (struct kafka_partition){WORLD_TASKS, p->number};
}

void source_assigned(void *assignment)
{
    const struct source_assignment *a = assignment;
    struct broker_partition *p = a->partition;
    struct kafka_source *s = mine();
    int64_t start;

    if (!s || p->owner != s->member || p->assignment != a->number || p->revoking)
        return;
    p->started = true;
    start = s->events.assigned(s->context, &(struct kafka_assigned){.topic = WORLD_TASKS,
                                                                    .partition = p->number,
                                                                    .assignment = a->number,
                                                                    .committed = a->committed,
                                                                    .metadata = a->metadata});
    p->position = start < 0 ? 0 : start;
    group_fetch(p);
}

static void tell_closed(void *unused)
{
    struct kafka_source *s = mine();

    (void)unused;
    if (!s || s->closed)
        return;
    s->closed = true;
    s->events.closed(s->context);
}

static bool owns_any(const struct kafka_source *s)
{
    for (int32_t i = 0; i < PARTITIONS; i++)
        if (broker_partition(i)->owner == s->member)
            return true;
    return false;
}

static void leave_when_empty(struct kafka_source *s)
{
    if (!s->closing || owns_any(s))
        return;
    group_leave(s->member);
    sim_deliver(sim_self(), 1, tell_closed, NULL);
}

void source_revoked(void *unused)
{
    struct kafka_source *s = mine();
    struct kafka_partition names[PARTITIONS];
    size_t n = 0;

    (void)unused;
    for (int32_t i = 0; s && i < PARTITIONS; i++) {
        struct broker_partition *p = broker_partition(i);

        if (p->owner != s->member || p->revoking != s->member || p->revoke_told)
            continue;
        p->revoke_told = true;
        names[n++] = name_of(p);
    }
    if (n)
        s->events.revoked(s->context, names, n);
}

void source_lost(void *partition)
{
    struct kafka_source *s = mine();
    struct kafka_partition name = name_of(partition);

    if (!s)
        return;
    s->events.lost(s->context, &name, 1);
    leave_when_empty(s);
}

void source_records(void *partition)
{
    struct broker_partition *p = partition;
    struct kafka_source *s = mine();

    for (size_t i = 0; s && i < p->nrecords && p->owner == s->member && p->started && !p->paused; i++) {
        const struct input_record *r = &p->records[i];

        if (r->offset < p->position)
            continue;
        p->position = r->offset + 1;
        s->events.record(s->context, &(struct kafka_record){.topic = WORLD_TASKS,
                                                            .partition = p->number,
                                                            .offset = r->offset,
                                                            .assignment = p->assignment,
                                                            .timestamp = r->timestamp,
                                                            .time_kind = KAFKA_TIME_CREATED,
                                                            .key = r->key,
                                                            .value = r->value,
                                                            .headers = r->headers,
                                                            .nheaders = r->nheaders});
    }
    if (s && p->owner == s->member && p->started && !p->paused)
        p->position = p->end; /* what is left holds no record */
}

void kafka_source_release(struct kafka_source *s)
{
    group_released(s->member);
    leave_when_empty(s);
}

static struct broker_partition *owned(struct kafka_source *s, int32_t number)
{
    struct broker_partition *p = broker_partition(number);

    return p->owner == s->member && p->started ? p : NULL;
}

bool kafka_source_pause(struct kafka_source *s, const char *topic, int32_t partition)
{
    struct broker_partition *p = owned(s, partition);

    (void)topic;
    if (p)
        p->paused = true;
    return p != NULL;
}

bool kafka_source_resume(struct kafka_source *s, const char *topic, int32_t partition)
{
    struct broker_partition *p = owned(s, partition);

    (void)topic;
    if (!p)
        return false;
    p->paused = false;
    group_fetch(p);
    return true;
}

int64_t kafka_source_position(struct kafka_source *s, const char *topic, int32_t partition)
{
    const struct broker_partition *p = owned(s, partition);

    (void)topic;
    return p ? p->position : KAFKA_OFFSET_NONE;
}

struct kafka_membership *kafka_source_membership(struct kafka_source *s)
{
    struct kafka_membership *m = calloc(1, sizeof *m);

    if (!m)
        return NULL;
    m->belief = member_belief(s->member);
    if (m->belief.generation >= 0)
        return m;
    free(m);
    return NULL;
}

void kafka_membership_free(struct kafka_membership *m) { free(m); }

struct broker_membership kafka_membership_belief(const struct kafka_membership *m) { return m->belief; }

void kafka_source_status(struct kafka_source *s, struct kafka_source_status *status)
{
    *status = (struct kafka_source_status){.joined = group_has(s->member), .connected = true};
}

/* What is being revoked already was told so, and is released in time. */
void kafka_source_close(struct kafka_source *s)
{
    if (s->closing)
        return;
    s->closing = true;
    for (int32_t i = 0; i < PARTITIONS; i++) {
        struct broker_partition *p = broker_partition(i);

        if (p->owner != s->member || p->revoking)
            continue;
        p->revoking = p->started ? s->member : NULL;
        p->owner = p->started ? s->member : NULL;
        p->revoke_told = false;
    }
    sim_deliver(sim_self(), 1, source_revoked, NULL);
    leave_when_empty(s);
}

void kafka_source_free(struct kafka_source *s)
{
    if (!s)
        return;
    member_set_source(s->member, NULL);
    free(s);
}

const char *kafka_trouble_name(enum kafka_trouble_kind kind)
{
    (void)kind;
    return "simulated";
}
