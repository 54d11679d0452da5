/* The admin client: offsets of topics and of groups. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kafka_admin_parts.h"

struct offsets_answer {
    struct kafka_offsets offsets;
    struct arena *arena;
};

/* One entry per wanted partition, in that order, nothing known yet. NULL: out of memory. */
static struct offsets_answer *make_answer(const struct kafka_partition *p, size_t n)
{
    struct offsets_answer *o = calloc(1, sizeof *o);

    if (!o)
        return NULL;
    o->arena = arena_new(ANSWER_MAX);
    o->offsets.at = o->arena ? arena_alloc(o->arena, (n + 1) * sizeof *o->offsets.at) : NULL;
    for (; o->offsets.at && o->offsets.count < n; o->offsets.count++) {
        struct kafka_offset *to = &o->offsets.at[o->offsets.count];

        *to = (struct kafka_offset){
            admin_text(o->arena, p[o->offsets.count].topic), p[o->offsets.count].partition, KAFKA_OFFSET_NONE, {NULL, 0}, NULL};
        if (!to->topic)
            break;
    }
    if (o->offsets.at && o->offsets.count == n)
        return o;
    kafka_offsets_free(&o->offsets);
    return NULL;
}

void kafka_offsets_free(struct kafka_offsets *offsets)
{
    struct offsets_answer *o = (struct offsets_answer *)(void *)offsets; /* its first member */

    if (!o)
        return;
    arena_free(o->arena);
    free(o);
}

static void take_offset(struct kafka_offsets *o, const rd_kafka_topic_partition_t *x)
{
    for (size_t i = 0; i < o->count; i++)
        if (o->at[i].partition == x->partition && !strcmp(o->at[i].topic, x->topic)) {
            o->at[i].error = x->err ? rd_kafka_err2name(x->err) : NULL;
            if (!x->err && x->offset >= 0)
                o->at[i].offset = x->offset;
        }
}

/* Asks for those entries whose offset is not known and which have no error. */
static struct error list_offsets(struct kafka_admin *a, struct kafka_offsets *o, int64_t when)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)o->count);
    rd_kafka_AdminOptions_t *options = admin_options(a, RD_KAFKA_ADMIN_OP_LISTOFFSETS);
    const rd_kafka_ListOffsetsResultInfo_t **infos;
    struct error error = error_none();
    rd_kafka_event_t *e;
    rd_kafka_error_t *bad;
    size_t n;

    for (size_t i = 0; i < o->count; i++)
        if (o->at[i].offset == KAFKA_OFFSET_NONE && !o->at[i].error)
            rd_kafka_topic_partition_list_add(list, o->at[i].topic, o->at[i].partition)->offset =
                when == KAFKA_OFFSET_BEGINNING ? RD_KAFKA_OFFSET_SPEC_EARLIEST
                : when == KAFKA_OFFSET_END     ? RD_KAFKA_OFFSET_SPEC_LATEST
                                               : when;
    bad = rd_kafka_AdminOptions_set_isolation_level(options, RD_KAFKA_ISOLATION_LEVEL_READ_COMMITTED);
    if (bad)
        rd_kafka_error_destroy(bad); /* cannot be: the option belongs to this request */
    if (list->cnt) {
        rd_kafka_ListOffsets(a->rk, list, options, a->queue);
        e = admin_answer(a, RD_KAFKA_EVENT_LISTOFFSETS_RESULT, &error);
        if (e) {
            infos = rd_kafka_ListOffsets_result_infos(rd_kafka_event_ListOffsets_result(e), &n);
            for (size_t i = 0; i < n; i++)
                take_offset(o, rd_kafka_ListOffsetsResultInfo_topic_partition(infos[i]));
            rd_kafka_event_destroy(e);
        }
    }
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_topic_partition_list_destroy(list);
    return error;
}

struct error kafka_admin_offsets(struct kafka_admin *a, const struct kafka_partition *p, size_t n, int64_t when,
                                 struct kafka_offsets **offsets)
{
    struct offsets_answer *o = make_answer(p, n);
    struct error error;

    *offsets = NULL;
    if (!o)
        return admin_no_memory(a);
    error = list_offsets(a, &o->offsets, when);
    if (!failed(error) && when >= 0)
        error = list_offsets(a, &o->offsets, KAFKA_OFFSET_END); /* no record at or after that time */
    if (failed(error)) {
        kafka_offsets_free(&o->offsets);
        return error;
    }
    *offsets = &o->offsets;
    return error_none();
}

/* ---- Of groups */

static bool fill_committed(struct offsets_answer *o, const rd_kafka_topic_partition_list_t *list)
{
    for (int i = 0; i < list->cnt; i++) {
        const rd_kafka_topic_partition_t *x = &list->elems[i];
        struct kafka_offset *to = &o->offsets.at[i];

        to->error = x->err ? rd_kafka_err2name(x->err) : NULL;
        if (x->err)
            continue; /* the offset beside an error means nothing */
        to->offset = x->offset >= 0 ? x->offset : KAFKA_OFFSET_NONE;
        if (!x->metadata_size)
            continue;
        to->metadata = arena_copy(o->arena, (struct slice){x->metadata, x->metadata_size});
        if (!to->metadata.at)
            return false;
    }
    return true;
}

struct error kafka_admin_committed(struct kafka_admin *a, const char *group, const struct kafka_partition *p, size_t n,
                                   struct kafka_offsets **offsets)
{
    struct error error = error_none();
    struct offsets_answer *o;
    rd_kafka_topic_partition_list_t *list;
    rd_kafka_resp_err_t e;
    rd_kafka_t *client = admin_group_client(a, group, &error);

    *offsets = NULL;
    if (!client)
        return error;
    list = kafka_list_of(p, n);
    e = rd_kafka_committed(client, list, a->timeout_ms);
    o = e ? NULL : make_answer(p, n);
    if (e) {
        error = admin_fail(a, e, NULL);
    } else if (!o || !fill_committed(o, list)) {
        kafka_offsets_free(o ? &o->offsets : NULL);
        error = admin_no_memory(a);
    } else {
        *offsets = &o->offsets;
    }
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_destroy(client);
    return error;
}

static struct error not_empty(struct kafka_admin *a, const struct kafka_group *g)
{
    int at = snprintf(a->detail, sizeof a->detail, "%zu members:", g->nmembers);

    for (size_t i = 0; i < g->nmembers && at > 0 && (size_t)at < sizeof a->detail; i++)
        at += snprintf(a->detail + at, sizeof a->detail - (size_t)at, " %s (client %s at %s)", g->members[i].id,
                       g->members[i].client_id, g->members[i].host);
    return error_make(CLASS_CONFIG, "group_not_empty", "the group has members; stop its workers first");
}

static struct error commit(struct kafka_admin *a, rd_kafka_t *client, const struct kafka_offset *offsets, size_t n)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)n);
    struct error error = error_none();
    rd_kafka_resp_err_t e;

    for (size_t i = 0; i < n; i++) {
        rd_kafka_topic_partition_t *x = rd_kafka_topic_partition_list_add(list, offsets[i].topic, offsets[i].partition);

        x->offset = offsets[i].offset;
        if (offsets[i].metadata.len) {
            x->metadata = strndup(offsets[i].metadata.at, offsets[i].metadata.len); /* the list frees it */
            x->metadata_size = x->metadata ? offsets[i].metadata.len : 0;
        }
    }
    e = rd_kafka_commit(client, list, 0);
    for (int i = 0; !e && i < list->cnt; i++)
        e = list->elems[i].err;
    if (e)
        error = admin_fail(a, e, NULL);
    rd_kafka_topic_partition_list_destroy(list);
    return error;
}

struct error kafka_admin_commit(struct kafka_admin *a, const char *group, const struct kafka_offset *offsets, size_t n)
{
    struct kafka_group *g;
    struct error error = kafka_admin_group(a, group, &g);
    rd_kafka_t *client;

    if (failed(error))
        return error;
    if (g->nmembers)
        error = not_empty(a, g);
    kafka_group_free(g);
    if (failed(error))
        return error;
    /* Without a generation: the broker refuses it if somebody has joined meanwhile. */
    client = admin_group_client(a, group, &error);
    if (!client)
        return error;
    error = commit(a, client, offsets, n);
    rd_kafka_destroy(client);
    return error;
}
