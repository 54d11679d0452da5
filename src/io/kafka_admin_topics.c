/* The admin client: topics described, created, deleted. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kafka_admin_parts.h"

struct topics_answer {
    struct kafka_topics topics;
    struct arena *arena;
    struct kafka_topic *at;
};

void kafka_topics_free(struct kafka_topics *topics)
{
    struct topics_answer *t = (struct topics_answer *)(void *)topics; /* its first member */

    if (!t)
        return;
    arena_free(t->arena);
    free(t->at);
    free(t);
}

const struct kafka_topic *kafka_topics_find(const struct kafka_topics *t, const char *name)
{
    for (size_t i = 0; i < t->count; i++)
        if (!strcmp(t->at[i].name, name))
            return &t->at[i];
    return NULL;
}

const char *kafka_topic_config(const struct kafka_topic *t, const char *name)
{
    for (size_t i = 0; i < t->nconfigs; i++)
        if (!strcmp(t->configs[i].name, name))
            return t->configs[i].value;
    return NULL;
}

/* ---- Describe */

static bool fill_topic(struct arena *arena, struct kafka_topic *to, const struct rd_kafka_metadata_topic *from)
{
    struct kafka_topic_partition_info *p = arena_alloc(arena, ((size_t)from->partition_cnt + 1) * sizeof *p);
    bool missing = from->err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART || from->err == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC;

    *to = (struct kafka_topic){.name = admin_text(arena, from->topic),
                               .exists = !missing,
                               .error = from->err && !missing ? rd_kafka_err2str(from->err) : NULL,
                               .partitions = p};
    for (int i = 0; p && i < from->partition_cnt; i++)
        p[to->npartitions++] = (struct kafka_topic_partition_info){from->partitions[i].id, from->partitions[i].leader,
                                                                   from->partitions[i].replica_cnt, from->partitions[i].isr_cnt};
    return p && to->name;
}

/* Takes the topics of one metadata answer. */
static bool take_metadata(struct topics_answer *t, const struct rd_kafka_metadata *m)
{
    struct kafka_topic *at = realloc(t->at, (t->topics.count + (size_t)m->topic_cnt + 1) * sizeof *at);

    if (!at)
        return false;
    t->at = at;
    t->topics.at = at;
    for (int i = 0; i < m->topic_cnt; i++)
        if (!fill_topic(t->arena, &at[t->topics.count++], &m->topics[i]))
            return false;
    return true;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct kafka_topic *)a)->name, ((const struct kafka_topic *)b)->name);
}

/* By name: one request each, since the answer for all topics leaves out what an ACL hides. */
static struct error read_metadata(struct kafka_admin *a, struct topics_answer *t, const char *name)
{
    rd_kafka_topic_t *topic = name ? rd_kafka_topic_new(a->rk, name, NULL) : NULL;
    const struct rd_kafka_metadata *m;
    struct error error = error_none();
    rd_kafka_resp_err_t e;

    if (name && !topic)
        return admin_fail(a, rd_kafka_last_error(), NULL);
    e = rd_kafka_metadata(a->rk, !name, topic, &m, a->timeout_ms);
    if (topic)
        rd_kafka_topic_destroy(topic);
    if (e)
        return admin_fail(a, e, NULL);
    if (!take_metadata(t, m))
        error = admin_no_memory(a);
    rd_kafka_metadata_destroy(m);
    return error;
}

static bool fill_configs(struct arena *arena, struct kafka_topic *to, const rd_kafka_ConfigResource_t *from)
{
    size_t n;
    const rd_kafka_ConfigEntry_t **entries = rd_kafka_ConfigResource_configs(from, &n);
    struct kafka_topic_config *configs = arena_alloc(arena, (n + 1) * sizeof *configs);

    for (size_t i = 0; configs && i < n; i++) {
        configs[i] = (struct kafka_topic_config){
            admin_text(arena, rd_kafka_ConfigEntry_name(entries[i])), admin_text(arena, rd_kafka_ConfigEntry_value(entries[i])),
            rd_kafka_ConfigEntry_source(entries[i]) != RD_KAFKA_CONFIG_SOURCE_DYNAMIC_TOPIC_CONFIG};
        if (!configs[i].name)
            return false;
    }
    to->configs = configs;
    to->nconfigs = n;
    return configs;
}

static struct error take_configs(struct kafka_admin *a, struct topics_answer *t, rd_kafka_event_t *e)
{
    size_t n;
    const rd_kafka_ConfigResource_t **resources =
        rd_kafka_DescribeConfigs_result_resources(rd_kafka_event_DescribeConfigs_result(e), &n);

    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < t->topics.count; k++) {
            if (strcmp(rd_kafka_ConfigResource_name(resources[i]), t->at[k].name) != 0)
                continue;
            if (rd_kafka_ConfigResource_error(resources[i]))
                t->at[k].error = rd_kafka_err2str(rd_kafka_ConfigResource_error(resources[i]));
            else if (!fill_configs(t->arena, &t->at[k], resources[i]))
                return admin_no_memory(a);
        }
    return error_none();
}

static struct error read_configs(struct kafka_admin *a, struct topics_answer *t)
{
    rd_kafka_ConfigResource_t **resources = calloc(t->topics.count + 1, sizeof *resources);
    rd_kafka_AdminOptions_t *o;
    struct error error = error_none();
    rd_kafka_event_t *e;
    size_t n = 0;

    if (!resources)
        return admin_no_memory(a);
    for (size_t i = 0; i < t->topics.count; i++)
        if (t->at[i].exists && !t->at[i].error)
            resources[n++] = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, t->at[i].name);
    if (n) {
        o = admin_options(a, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS);
        rd_kafka_DescribeConfigs(a->rk, resources, n, o, a->queue);
        rd_kafka_AdminOptions_destroy(o);
        rd_kafka_ConfigResource_destroy_array(resources, n);
        e = admin_answer(a, RD_KAFKA_EVENT_DESCRIBECONFIGS_RESULT, &error);
        if (e) {
            error = take_configs(a, t, e);
            rd_kafka_event_destroy(e);
        }
    }
    free(resources);
    return error;
}

struct error kafka_admin_topics(struct kafka_admin *a, const char *const *names, size_t n, bool with_configs,
                                struct kafka_topics **topics)
{
    struct topics_answer *t = calloc(1, sizeof *t);
    struct error error = error_none();

    *topics = NULL;
    if (!t || !(t->arena = arena_new(ANSWER_MAX))) {
        free(t);
        return admin_no_memory(a);
    }
    if (!names)
        error = read_metadata(a, t, NULL);
    for (size_t i = 0; names && i < n && !failed(error); i++)
        error = read_metadata(a, t, names[i]);
    if (!names && !failed(error))
        qsort(t->at, t->topics.count, sizeof *t->at, by_name);
    if (with_configs && !failed(error))
        error = read_configs(a, t);
    if (failed(error)) {
        kafka_topics_free(&t->topics);
        return error;
    }
    *topics = &t->topics;
    return error_none();
}
