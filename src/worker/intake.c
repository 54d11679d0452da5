/* Records come in, wait for their lane and a slot, and become tasks; partitions come and go (DELIVERY §4.1, 4.2, 4.9, 4.14). */
#include <stdlib.h>

#include "stepmill/rule.h"
#include "worker.h"

struct owned *worker_owned(struct worker *w, const char *topic, int32_t partition)
{
    for (struct list_node *n = w->owned.first; n; n = n->next) {
        struct owned *o = list_entry(n, struct owned, node);

        if (o->partition.number == partition && !strcmp(o->partition.topic, topic))
            return o;
    }
    return NULL;
}

static struct agent *agent_of(struct worker *w, const char *topic)
{
    for (size_t i = 0; i < w->nagents; i++)
        if (!strcmp(w->agents[i].topic, topic))
            return &w->agents[i];
    return NULL;
}

static struct offsets *finished_of(struct worker *w, const struct kafka_assigned *p, int64_t start)
{
    const char *why = "";
    struct offsets *finished =
        offsets_decode(start, p->metadata.at ? p->metadata.at : "", p->committed < 0 ? 0 : p->metadata.len, &why);

    if (finished || !why)
        return finished;
    log_error(
        w->log, "kafka.metadata_unreadable", LOG_TEXT("topic", p->topic), LOG_INT("partition", p->partition),
        LOG_INT("offset", start), LOG_TEXT("reason", why),
        LOG_TEXT("action", "records above the offset are read again; those already answered are recognised by their task_id"));
    return offsets_new(start);
}

/* The group knows this member again, or the member knows that it is out. */
static void served(struct worker *w)
{
    w->commits_blocked = false;
    w->served++;
}

static int64_t on_assigned(void *context, const struct kafka_assigned *p)
{
    struct worker *w = context;
    struct agent *agent = agent_of(w, p->topic);
    struct owned *o = calloc(1, sizeof *o);
    int64_t start = p->committed >= 0 ? p->committed : 0;
    struct offsets *finished = finished_of(w, p, start);

    if (!agent)
        bug("assigned a topic that was not subscribed: %s", p->topic);
    if (!o || !finished) {
        log_error(w->log, "worker.out_of_memory", LOG_TEXT("topic", p->topic), LOG_INT("partition", p->partition));
        worker_stop_now(w, true);
        free(o);
        offsets_free(finished);
        return KAFKA_OFFSET_BEGINNING;
    }
    o->agent = agent;
    agent->npartitions++;
    agent->topic_missing = false;
    partition_init(&o->partition, agent->topic, p->partition, p->assignment, finished);
    list_append(&w->owned, &o->node);
    served(w);
    log_info(w->log, "kafka.partition.assigned", LOG_TEXT("topic", p->topic), LOG_INT("partition", p->partition),
             LOG_INT("offset", start), LOG_BOOL("from_beginning", p->committed < 0));
    return p->committed >= 0 ? p->committed : RULE(from_beginning) ? KAFKA_OFFSET_BEGINNING : KAFKA_OFFSET_END;
}

/* How many records may wait for a partition of this agent. */
static size_t waiting_share(const struct agent *a)
{
    size_t share = (size_t)a->config->max_waiting / (a->npartitions ? a->npartitions : 1);

    return share ? share : 1;
}

static void pause_or_resume(struct worker *w, struct owned *o)
{
    size_t share = waiting_share(o->agent), waiting = o->partition.nwaiting;
    bool full = o->full && partition_will_shrink(&o->partition);
    bool want = full || w->state >= WORKER_DRAINING || (o->paused ? waiting > share / 2 : waiting >= share);

    if (want == o->paused)
        return;
    if (want ? kafka_source_pause(w->source, o->partition.topic, o->partition.number)
             : kafka_source_resume(w->source, o->partition.topic, o->partition.number))
        o->paused = want;
}

static void on_record(void *context, const struct kafka_record *r)
{
    struct worker *w = context;
    struct owned *o = worker_owned(w, r->topic, r->partition);
    struct record *copy;
    enum partition_take taken = PARTITION_NO_MEMORY;

    if (!o || (RULE(owned_records) && (o->partition.assignment != r->assignment || o->state == OWNED_REVOKING)))
        return;
    copy = record_copy(r, o->partition.topic);
    if (copy)
        taken = partition_take(&o->partition, &copy->waiting);
    if (taken == PARTITION_TAKEN) {
        w->admission_due = true;
        pause_or_resume(w, o);
        return;
    }
    record_free(copy);
    if (taken == PARTITION_NO_MEMORY) { /* skipping it would lose it: stop, the successor reads it again */
        log_error(w->log, "worker.out_of_memory", LOG_TEXT("topic", r->topic), LOG_INT("partition", r->partition),
                  LOG_INT("offset", r->offset));
        worker_stop_now(w, true);
    }
}

static bool may_admit(const struct worker *w, const struct owned *o, const struct waiting *next)
{
    const struct agent *a = o->agent;
    size_t limit = (size_t)a->config->max_in_flight;

    if ((RULE(revoking_admits_none) && o->state != OWNED_RUNNING) || w->state >= WORKER_DRAINING)
        return false;
    if (RULE(watermark_admitted) && partition_at_watermark(&o->partition, next))
        return true; /* limits or not: a full house must not wait for itself */
    return a->in_flight < limit && w->tasks[TASK_SETTLING].count < limit &&
           systemic_admits(&a->systemic, a->in_flight, loop_now_ms(w->loop));
}

static bool admit_one(struct worker *w, struct owned *o)
{
    struct waiting *next = partition_peek(&o->partition);
    struct task *t;

    if (!next || !may_admit(w, o, next))
        return false;
    t = task_new(w, o, (struct record *)(void *)((char *)next - offsetof(struct record, waiting)));
    if (!t) {
        log_error(w->log, "worker.out_of_memory", LOG_TEXT("action", "records wait; lower max_in_flight"));
        return false;
    }
    partition_admit(&o->partition, next);
    worker_count(w->numbers->admitted, 1);
    task_ready(t);
    return true;
}

void worker_admit(struct worker *w)
{
    bool more = true;

    w->admission_due = false;
    while (more) { /* partitions in turn, so that none starves */
        more = false;
        for (struct list_node *n = w->owned.first; n; n = n->next)
            more |= admit_one(w, list_entry(n, struct owned, node));
    }
    for (struct list_node *n = w->owned.first; n; n = n->next)
        pause_or_resume(w, list_entry(n, struct owned, node));
}

void worker_drop_owned(struct worker *w, struct owned *o, bool alive)
{
    struct waiting *waiting;

    while (o->tasks.first)
        task_drop(list_entry(o->tasks.first, struct task, in_owned), alive);
    while ((waiting = partition_drain(&o->partition)))
        record_free((struct record *)(void *)((char *)waiting - offsetof(struct record, waiting)));
    log_info(w->log, "kafka.partition.released", LOG_TEXT("topic", o->partition.topic), LOG_INT("partition", o->partition.number),
             LOG_BOOL("orderly", alive));
    partition_clear(&o->partition);
    list_remove(&o->node);
    o->agent->npartitions--;
    free(o);
    if (w->proving && !w->owned.count) /* what comes from now on was given to a member of today */
        worker_proved(w);
}

static void on_lost(void *context, const struct kafka_partition *p, size_t n)
{
    struct worker *w = context;

    for (size_t i = 0; i < n; i++) {
        struct owned *o = worker_owned(w, p[i].topic, p[i].partition);

        if (o) /* a revoked one that took too long: its tasks did no harm */
            worker_drop_owned(w, o, o->state == OWNED_REVOKING);
    }
    served(w);
}

/* What must end before the partition is given up: commits of what is finished, and calls whose answer would be paid for twice. */
static bool is_busy(const struct worker *w, const struct owned *o)
{
    for (struct list_node *n = o->tasks.first; n; n = n->next) {
        const struct task *t = list_entry(n, struct task, in_owned);

        if (t->state == TASK_CALLING || t->state == TASK_SAVING || t->state == TASK_SETTLING)
            return true;
        if (t->in_ready.list || task_has_unsaved(t)) /* an answer has come, in this very turn perhaps, and is not stored yet */
            return true;
        if (task_tools_are_out(t)) /* also while it waits for Redis */
            return true;
    }
    (void)w;
    return false;
}

void worker_release_revoked(struct worker *w)
{
    struct list_node *n, *next;
    bool any = false;

    for (n = w->owned.first; n; n = n->next) {
        const struct owned *o = list_entry(n, struct owned, node);

        if (o->state != OWNED_REVOKING)
            continue;
        any = true;
        if (RULE(revoke_waits) && (is_busy(w, o) || o->batched))
            return;
    }
    if (!any)
        return;
    for (n = w->owned.first; n; n = next) {
        next = n->next;
        if (list_entry(n, struct owned, node)->state == OWNED_REVOKING)
            worker_drop_owned(w, list_entry(n, struct owned, node), true);
    }
    kafka_source_release(w->source);
}

static void on_revoked(void *context, const struct kafka_partition *p, size_t n)
{
    struct worker *w = context;
    bool any = false;

    for (size_t i = 0; i < n; i++) {
        struct owned *o = worker_owned(w, p[i].topic, p[i].partition);

        if (!o)
            continue;
        o->state = OWNED_REVOKING;
        any = true;
    }
    if (!any)
        kafka_source_release(w->source);
    else
        worker_release_revoked(w);
    worker_commit(w);
}

static void on_stopped(void *context, const struct kafka_partition *p, struct error why, const char *detail)
{
    struct worker *w = context;
    struct owned *o = worker_owned(w, p->topic, p->partition);

    log_error(
        w->log, "kafka.partition.stopped", LOG_TEXT("topic", p->topic), LOG_INT("partition", p->partition), LOG_ERROR(why),
        LOG_TEXT("detail", detail),
        LOG_TEXT("action", "decide where to go on: stepmill offsets set --topic … --partition … --to beginning|latest|OFFSET"));
    if (o)
        worker_drop_owned(w, o, false);
}

static void on_trouble(void *context, const struct kafka_trouble *t)
{
    struct worker *w = context;
    struct agent *agent = t->topic && t->kind == KAFKA_TROUBLE_TOPIC_MISSING ? agent_of(w, t->topic) : NULL;

    if (agent)
        agent->topic_missing = true;
    log_warn(w->log, "kafka.consumer.trouble", LOG_TEXT("kind", kafka_trouble_name(t->kind)), LOG_TEXT("kafka_error", t->name),
             LOG_TEXT("detail", t->detail), LOG_TEXT("topic", t->topic));
    if (t->kind == KAFKA_TROUBLE_FATAL)
        worker_stop_now(w, true);
}

static void on_closed(void *context)
{
    struct worker *w = context;

    log_info(w->log, "kafka.group.left", LOG_TEXT("group", w->group));
    w->state = WORKER_STOPPING;
    kafka_txn_stop(w->txn, 5000);
}

const struct kafka_source_events intake_events = {
    .assigned = on_assigned,
    .record = on_record,
    .revoked = on_revoked,
    .lost = on_lost,
    .stopped = on_stopped,
    .trouble = on_trouble,
    .closed = on_closed,
};
