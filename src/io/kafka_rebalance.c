/* Partitions come and go: assign, revoke, lost, stopped (DELIVERY §4.1, 4.9).
 *
 * What librdkafka 2.8 wants, read from its source:
 * - From an ASSIGN event until incremental_assign is called, all other partitions of this member stand still, and the member
 * takes part in no rebalance. So we call it at once with nothing, and add each partition when its committed offset is known.
 * - incremental_unassign refuses a list that holds a partition never added, and the member then waits for ever: only added ones
 * are named, and an empty list is a valid answer.
 * - Once closing, incremental_assign means "unassign everything".
 */
#include <stdlib.h>
#include <string.h>

#include "kafka_source_parts.h"
#include "stepmill/clock.h"
#include "stepmill/log.h"
#include "stepmill/rule.h"

static bool added(const struct part *p) { return p->state == PART_OWNED || p->state == PART_REVOKING; }

static void report(struct kafka_source *s, rd_kafka_error_t *e)
{
    source_trouble(s, rd_kafka_error_code(e), rd_kafka_error_is_fatal(e), rd_kafka_error_string(e), NULL);
    rd_kafka_error_destroy(e);
}

/* Takes the list. */
static bool add(struct kafka_source *s, rd_kafka_topic_partition_list_t *list)
{
    rd_kafka_error_t *e = rd_kafka_incremental_assign(s->rk, list);

    rd_kafka_topic_partition_list_destroy(list);
    if (e)
        report(s, e);
    return !e;
}

/* Takes the list. */
static void subtract(struct kafka_source *s, rd_kafka_topic_partition_list_t *list)
{
    rd_kafka_error_t *e = rd_kafka_incremental_unassign(s->rk, list);

    rd_kafka_topic_partition_list_destroy(list);
    if (e)
        report(s, e);
}

/* Room for a partition number; NULL: not a topic of ours, or no memory. */
static struct part *make_part(struct kafka_source *s, const char *name, int32_t partition)
{
    struct part *p = source_part(s, name, partition);
    struct kafka_partition *scratch;
    size_t n = (size_t)partition + 1;

    for (size_t i = 0; !p && partition >= 0 && i < s->ntopics; i++) {
        struct topic *t = &s->topics[i];
        struct part *parts;

        if (strcmp(t->name, name) != 0)
            continue;
        /* Callbacks get their lists in scratch, so it must hold every partition there is. */
        scratch = realloc(s->scratch, (s->nscratch + n - t->nparts) * sizeof *scratch);
        if (!scratch)
            return NULL;
        s->scratch = scratch;
        parts = realloc(t->parts, n * sizeof *parts);
        if (!parts)
            return NULL;
        s->nscratch += n - t->nparts;
        for (size_t k = t->nparts; k < n; k++)
            parts[k] = (struct part){.number = (int32_t)k};
        t->parts = parts;
        t->nparts = n;
        p = &parts[partition];
    }
    return p;
}

static void ask(struct kafka_source *s, const char *topic, struct part *p)
{
    p->ask = ++s->numbers;
    p->since_ms = clock_mono_ms();
    p->asked = kafka_lookup_ask(s->lookup, topic, p->number, p->ask);
}

/* The next partition after `*topic`, `*number`, or NULL. Start with 0, 0. */
static struct part *next_part(struct kafka_source *s, size_t *topic, size_t *number)
{
    for (; *topic < s->ntopics; ++*topic, *number = 0)
        if (*number < s->topics[*topic].nparts)
            return &s->topics[*topic].parts[(*number)++];
    return NULL;
}

static bool names(const rd_kafka_topic_partition_list_t *list, const char *topic, const struct part *p)
{
    return list && rd_kafka_topic_partition_list_find((rd_kafka_topic_partition_list_t *)(uintptr_t)list, topic, p->number);
}

/* A generation that the group made without asking us: a JoinGroup of ours that was given up as lost came late, and spoke for a
 * member that holds nothing. */
static bool missed_a_generation(struct kafka_source *s)
{
    rd_kafka_consumer_group_metadata_t *group = rd_kafka_consumer_group_metadata(s->rk);
    int32_t before = s->generation, now = group ? rd_kafka_consumer_group_metadata_generation_id(group) : -1;

    if (group)
        rd_kafka_consumer_group_metadata_destroy(group);
    if (now > 0) /* else it has just been told that its own is over, which one has begun it does not know yet */
        s->generation = now;
    return RULE(each_generation) && before > 0 && now > before + 1;
}

/* In that generation others may have owned what we hold, and may have gone on from where it stood: what we know of it is old, and
 * the broker, which looks at the generation only, would take our commits. All is dropped and, but for what is revoked now, asked
 * for again. Nearly always nobody was given anything, and calls in flight are wasted; it happens when the group rebalances twice
 * within a round trip. */
static void drop_old(struct kafka_source *s, const rd_kafka_topic_partition_list_t *revoked)
{
    rd_kafka_topic_partition_list_t *gone = rd_kafka_topic_partition_list_new(8);
    size_t n = 0;
    struct part *p;

    for (size_t t = 0, i = 0; (p = next_part(s, &t, &i)) != NULL;) {
        const char *name = s->topics[t].name;

        if (added(p)) {
            rd_kafka_topic_partition_list_add(gone, name, p->number);
            s->scratch[n++] = (struct kafka_partition){name, p->number};
        }
        if (names(revoked, name, p)) { /* a stopped one too: it must not be asked for again */
            source_part_enter(s, p, PART_NONE);
        } else if (added(p) || p->state == PART_PENDING) {
            source_part_enter(s, p, PART_PENDING);
            ask(s, name, p);
        }
    }
    if (n)
        log_warn(s->opaque.log, "kafka.generation_missed", LOG_INT("generation", s->generation), LOG_INT("partitions", n),
                 LOG_TEXT("action", "what this member holds is read again, for others may have gone on with it"));
    s->releasing = false;
    if (n)
        s->events.lost(s->context, s->scratch, n);
    subtract(s, gone);
}

static void on_assign(struct kafka_source *s, const rd_kafka_topic_partition_list_t *list, bool missed)
{
    s->disconnected = false;
    add(s, rd_kafka_topic_partition_list_new(0));
    if (missed)
        drop_old(s, NULL);
    for (int i = 0; i < list->cnt && s->phase == SOURCE_OPEN; i++) {
        const rd_kafka_topic_partition_t *x = &list->elems[i];
        struct part *p = make_part(s, x->topic, x->partition);

        if (!p) {
            source_trouble(s, RD_KAFKA_RESP_ERR__FAIL, true, "no memory for an assigned partition", x->topic);
            return;
        }
        if (p->state != PART_NONE)
            continue; /* named twice: it goes on as it is */
        source_part_enter(s, p, PART_PENDING);
        ask(s, x->topic, p);
    }
}

/* Takes partitions from us: those of `list`, or all REVOKING ones when NULL. Those that the app knows are left in scratch, their
 * number returned. */
static size_t drop(struct kafka_source *s, const rd_kafka_topic_partition_list_t *list, rd_kafka_topic_partition_list_t *gone)
{
    size_t n = 0;
    struct part *p;

    for (size_t t = 0, i = 0; (p = next_part(s, &t, &i)) != NULL;) {
        const char *name = s->topics[t].name;

        if (p->state == PART_NONE || (p->state != PART_REVOKING && !names(list, name, p)))
            continue;
        if (added(p)) {
            rd_kafka_topic_partition_list_add(gone, name, p->number);
            s->scratch[n++] = (struct kafka_partition){name, p->number};
        }
        source_part_enter(s, p, PART_NONE);
    }
    return n;
}

static void on_lost(struct kafka_source *s, const rd_kafka_topic_partition_list_t *list)
{
    rd_kafka_topic_partition_list_t *gone = rd_kafka_topic_partition_list_new(8);
    size_t n = drop(s, list, gone);

    s->releasing = false;
    if (n)
        s->events.lost(s->context, s->scratch, n);
    subtract(s, gone);
}

static void on_revoke(struct kafka_source *s, const rd_kafka_topic_partition_list_t *list)
{
    size_t n = 0;

    for (int i = 0; i < list->cnt; i++) {
        struct part *p = source_part(s, list->elems[i].topic, list->elems[i].partition);

        if (!p)
            continue;
        if (p->state != PART_OWNED) {
            if (p->state != PART_REVOKING)
                source_part_enter(s, p, PART_NONE); /* the app does not know it, or has dropped it already */
            continue;
        }
        source_part_enter(s, p, PART_REVOKING);
        for (size_t t = 0; t < s->ntopics; t++)
            if (!strcmp(s->topics[t].name, list->elems[i].topic))
                s->scratch[n++] = (struct kafka_partition){s->topics[t].name, p->number};
    }
    if (!n && !s->releasing) {
        subtract(s, rd_kafka_topic_partition_list_new(0));
        return;
    }
    s->releasing = true;
    if (n)
        s->events.revoked(s->context, s->scratch, n);
}

void rebalance_event(struct kafka_source *s, rd_kafka_event_t *e)
{
    const rd_kafka_topic_partition_list_t *list = rd_kafka_event_topic_partition_list(e);
    rd_kafka_resp_err_t code = rd_kafka_event_error(e);
    bool lost = rd_kafka_assignment_lost(s->rk), missed;

    s->counts.rebalances++;
    log_info(s->opaque.log, "kafka.rebalance",
             LOG_TEXT("kind", code == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS   ? "assign"
                              : lost                                         ? "lost"
                              : code == RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS ? "revoke"
                                                                             : rd_kafka_err2name(code)),
             LOG_INT("partitions", list ? list->cnt : 0));
    if (!list)
        return;
    missed = missed_a_generation(s);
    if (code == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS)
        on_assign(s, list, missed);
    else if (missed && !lost)
        drop_old(s, list);
    else if (code == RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS && (!RULE(lost_at_once) || !lost))
        on_revoke(s, list);
    else
        on_lost(s, list);
    source_hurry(s);
}

void kafka_source_release(struct kafka_source *s)
{
    rd_kafka_topic_partition_list_t *gone;

    if (!s->releasing)
        return;
    s->releasing = false;
    gone = rd_kafka_topic_partition_list_new(8);
    for (size_t t = 0; t < s->ntopics; t++)
        for (size_t i = 0; i < s->topics[t].nparts; i++)
            if (s->topics[t].parts[i].state == PART_REVOKING) {
                rd_kafka_topic_partition_list_add(gone, s->topics[t].name, (int32_t)i);
                source_part_enter(s, &s->topics[t].parts[i], PART_NONE);
            }
    subtract(s, gone);
}

/* ---- Start and stop of one partition */

/* librdkafka keeps a partition paused over any rebalance, while the app begins with it as running: it would never be read again.
 */
static void let_run(struct kafka_source *s, const struct kafka_partition *name, struct part *p)
{
    if (p->paused && RULE(paused_no_more)) {
        rd_kafka_topic_partition_list_t *list = kafka_list_of(name, 1);

        (void)rd_kafka_resume_partitions(s->rk, list);
        rd_kafka_topic_partition_list_destroy(list);
    }
    p->paused = false;
}

static void start(struct kafka_source *s, const char *topic, struct part *p, const struct kafka_answer *a)
{
    rd_kafka_topic_partition_list_t *list;
    int64_t from;
    struct kafka_partition name = {topic, p->number};

    p->assignment = ++s->numbers;
    p->start = a->committed;
    source_part_enter(s, p, PART_OWNED);
    let_run(s, &name, p);
    from = s->events.assigned(s->context, &(struct kafka_assigned){topic, p->number, p->assignment, a->committed, a->metadata});
    if (from < 0 && from != KAFKA_OFFSET_BEGINNING && from != KAFKA_OFFSET_END)
        bug("partition %s %d shall start at offset %lld", topic, (int)p->number, (long long)from);
    p->next = from >= 0 ? from : 0;
    p->any_offset = from < 0;

    list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, topic, p->number)->offset = from;
    if (s->phase == SOURCE_OPEN && add(s, list))
        return;
    if (s->phase != SOURCE_OPEN)
        rd_kafka_topic_partition_list_destroy(list); /* the app closed inside the callback */
    source_part_enter(s, p, s->phase == SOURCE_OPEN ? PART_PENDING : PART_NONE);
    s->events.lost(s->context, &name, 1);
}

void rebalance_answer(void *source, const struct kafka_answer *a)
{
    struct kafka_source *s = source;
    struct part *p;

    s->disconnected = false;
    if (!a->topic) {
        s->pinging = false;
        return;
    }
    p = source_part(s, a->topic, a->partition);
    if (!p || (RULE(fresh_answer) && (!p->asked || p->ask != a->number)))
        return; /* asked for an assignment that is gone */
    p->asked = false;
    if (s->phase != SOURCE_OPEN)
        return;
    if (p->state == PART_STOPPED && !p->any_offset && a->committed == p->start)
        return; /* nobody has acted yet; asked again in 30 s */
    if (p->state == PART_STOPPED)
        source_part_enter(s, p, PART_PENDING);
    /* While a revoke waits nothing is added; the tick asks again afterwards. */
    for (size_t t = 0; !s->releasing && t < s->ntopics; t++)
        if (!strcmp(s->topics[t].name, a->topic)) {
            start(s, s->topics[t].name, p, a);
            return;
        }
}

void rebalance_stop(struct kafka_source *s, const char *topic, struct part *p, rd_kafka_resp_err_t code, const char *detail)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    bool range = code == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET || code == RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE;
    struct error why = range
                           ? error_make(CLASS_CONFIG, "offset_out_of_range", "the committed offset is not in the topic any more")
                           : error_make(CLASS_CONFIG, "partition_unreadable",
                                        "the partition holds bytes that are not records, or cannot be read");

    rd_kafka_topic_partition_list_add(list, topic, p->number);
    subtract(s, list);
    /* "The beginning" may itself have moved between being looked up and being read: try again. Anything else unreadable: an
     * operator may have repaired it. */
    p->any_offset = p->any_offset || !range;
    source_part_enter(s, p, PART_STOPPED);
    s->events.stopped(s->context, &(struct kafka_partition){topic, p->number}, why, detail);
}

void rebalance_lose_all(struct kafka_source *s)
{
    size_t n = 0;
    struct part *p;

    for (size_t t = 0, i = 0; (p = next_part(s, &t, &i)) != NULL;) {
        if (added(p))
            s->scratch[n++] = (struct kafka_partition){s->topics[t].name, p->number};
        source_part_enter(s, p, PART_NONE);
    }
    s->releasing = false;
    if (n)
        s->events.lost(s->context, s->scratch, n);
}

/* What waits too long. */
void rebalance_tick(struct kafka_source *s)
{
    int64_t now = clock_mono_ms();
    bool late = false;
    struct part *p;

    for (size_t t = 0, i = 0; (p = next_part(s, &t, &i)) != NULL;) {
        if (RULE(revoke_ends) && p->state == PART_REVOKING && now - p->since_ms >= RELEASE_MS)
            late = true;
        if (s->phase != SOURCE_OPEN || p->asked || s->releasing)
            continue;
        if ((p->state == PART_PENDING && now - p->since_ms >= 200) ||
            (p->state == PART_STOPPED && now - p->since_ms >= STOPPED_MS))
            ask(s, s->topics[t].name, p);
    }
    if (late && s->releasing) {
        log_warn(s->opaque.log, "kafka.revoke.late",
                 LOG_TEXT("reason", "the worker did not finish within 5 s; the partitions are given up as they are"));
        on_lost(s, NULL);
    }
}
