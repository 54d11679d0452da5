/* The topics as the config wants them (DESIGN §3), and how existing ones differ. */
#include <stdio.h>
#include <stdlib.h>

#include "admin.h"

/* What was done to a letter outlives it, else it is open again in an index that is made anew. Kafka deletes whole segments, a
 * week of records each by default, so letters may stay a while longer than the retention says. */
#define OUTLIVES_MS (INT64_C(14) * 24 * 60 * 60 * 1000)

static void set(struct topic_want *w, const char *name, const char *value)
{
    w->settings[w->nsettings++] = (struct kafka_option){name, value};
}

/* `retention_ms` -1: compacted, kept for ever. Every setting is written to the topic, so that the broker's defaults don't decide
 * how long a task or a dead letter lives. */
static bool want(struct topic_plan *plan, const char *use, const char *name, int64_t retention_ms, int partitions,
                 int replication)
{
    struct topic_want *w = &plan->at[plan->count];

    *w = (struct topic_want){.name = strdup(name), .use = use, .partitions = partitions, .replication = replication};
    plan->names[plan->count] = w->name;
    if (!w->name)
        return false;
    plan->count++;
    set(w, "max.message.bytes", "8388608");
    _Static_assert(KAFKA_MESSAGE_MAX == 8388608, "the text above");
    if (replication >= 3)
        set(w, "min.insync.replicas", "2");
    set(w, "cleanup.policy", retention_ms < 0 ? "compact" : "delete");
    if (retention_ms >= 0) {
        snprintf(w->retention, sizeof w->retention, "%lld", (long long)retention_ms);
        set(w, "retention.ms", w->retention);
        set(w, "retention.bytes", "-1"); /* time alone decides: what is dropped for its size is lost unseen */
    }
    return true;
}

/* A topic whose records carry no date of the caller's: dated by the broker's clock. It refuses records that are dated more than
 * an hour ahead of it, and so would keep a worker whose own clock is wrong from settling anything. */
static bool want_ours(struct topic_plan *plan, const char *use, const char *name, int64_t retention_ms, int partitions,
                      int replication)
{
    if (!want(plan, use, name, retention_ms, partitions, replication))
        return false;
    set(&plan->at[plan->count - 1], "message.timestamp.type", "LogAppendTime");
    return true;
}

bool topic_plan_make(const struct config *config, int partitions, int replication, struct topic_plan *plan)
{
    const struct config_topics *t = &config->topics;
    bool made = true;

    *plan = (struct topic_plan){0};
    for (size_t i = 0; made && i < config->nagents; i++) {
        struct buf name = BUF(1024);

        config_tasks_topic(config, config->agents[i].name, &name);
        made = !name.failed && want(plan, "tasks", buf_text(&name), t->retention.tasks_ms, partitions, replication);
        buf_free(&name);
    }
    made = made && want_ours(plan, "results", t->results, t->retention.results_ms, partitions, replication) &&
           want_ours(plan, "events", t->events, t->retention.events_ms, partitions, replication) &&
           want(plan, "dead letters", t->dlq, t->retention.dlq_ms, partitions, replication) &&
           want(plan, "dead letter actions", t->dlq_actions, t->retention.dlq_ms + OUTLIVES_MS, partitions, replication) &&
           want(plan, "definitions", t->definitions, -1, partitions, replication);
    if (!made)
        topic_plan_free(plan);
    return made;
}

void topic_plan_free(struct topic_plan *plan)
{
    for (size_t i = 0; i < plan->count; i++)
        free(plan->at[i].name);
    plan->count = 0;
}

/* More is as good where the setting is a least. */
static bool good_enough(const struct kafka_option *setting, const char *value)
{
    bool least = !strcmp(setting->name, "max.message.bytes") || !strcmp(setting->name, "min.insync.replicas");
    int64_t wanted, have;

    if (!strcmp(setting->value, value))
        return true;
    return least && slice_to_int(slice_of(setting->value), 0, INT64_MAX, &wanted) &&
           slice_to_int(slice_of(value), 0, INT64_MAX, &have) && have >= wanted;
}

static void compare_partitions(const struct topic_want *w, const struct kafka_topic *have, struct buf *what, struct buf *fix)
{
    int replicas = w->replication;

    for (size_t i = 0; i < have->npartitions; i++)
        if (have->partitions[i].replicas < replicas)
            replicas = have->partitions[i].replicas;
    if ((int)have->npartitions != w->partitions) {
        buf_printf(what, "%s%zu partitions, should be %d", what->len ? "; " : "", have->npartitions, w->partitions);
        buf_printf(fix, "%s%s", fix->len ? "; " : "",
                   (int)have->npartitions > w->partitions
                       ? "partitions can't be taken away: set topics.partitions, or leave it"
                       : "more partitions move keys, so add them only while no tasks are open: kafka-topics.sh --alter");
    }
    if (replicas < w->replication) {
        buf_printf(what, "%sreplication %d, should be %d", what->len ? "; " : "", replicas, w->replication);
        buf_printf(fix, "%skafka-reassign-partitions.sh adds replicas; or set topics.replication", fix->len ? "; " : "");
    }
}

bool topic_as_wanted(const struct topic_want *want, const struct kafka_topic *have, struct buf *what, struct buf *fix)
{
    size_t before = what->len;
    bool first = true;

    compare_partitions(want, have, what, fix);
    for (size_t i = 0; i < want->nsettings; i++) {
        const struct kafka_option *s = &want->settings[i];
        const char *value = kafka_topic_config(have, s->name);

        if (value && good_enough(s, value))
            continue;
        buf_printf(what, "%s%s is %s, should be %s", what->len ? "; " : "", s->name, value ? value : "hidden", s->value);
        if (first)
            buf_printf(fix, "%skafka-configs.sh --alter --topic %s --add-config ", fix->len ? "; " : "", want->name);
        buf_printf(fix, "%s%s=%s", first ? "" : ",", s->name, s->value);
        first = false;
    }
    return what->len == before;
}
