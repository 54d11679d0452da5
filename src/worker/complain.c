/* While something is missing: a clear line every few seconds that says what, where, and what to do. */
#include "worker.h"

enum { COMPLAIN_EVERY_MS = 5000 };

static void about_kafka(struct worker *w)
{
    struct kafka_source_status s;
    bool missing = false;

    if (!w->source)
        return;
    for (size_t i = 0; i < w->nagents; i++)
        missing |= w->agents[i].topic_missing;
    kafka_source_status(w->source, &s);
    if (!s.connected || (!s.joined && !missing)) /* without its topics it has nothing to join for */
        log_warn(w->log, "worker.waiting", LOG_TEXT("for", "kafka"), LOG_TEXT("kafka_error", s.trouble ? s.trouble : "joining"),
                 LOG_TEXT("bootstrap_servers", w->config->kafka.bootstrap_servers),
                 LOG_TEXT("action", s.connected
                                        ? "nothing, if a worker was killed: the group waits for it up to session.timeout.ms"
                                        : "check that the brokers run and can be reached; stepmill doctor tries them"));
    for (size_t i = 0; i < w->nagents; i++)
        if (w->agents[i].topic_missing)
            log_warn(w->log, "worker.waiting", LOG_TEXT("for", "topic"), LOG_TEXT("topic", w->agents[i].topic),
                     LOG_TEXT("action", "make it: stepmill topics create"));
}

static void about_clients(struct worker *w)
{
    struct registry_state registry = registry_state(w->registry);

    if (!redis_is_up(w->redis))
        log_warn(w->log, "worker.waiting", LOG_TEXT("for", "redis"), LOG_ERROR(redis_why_down(w->redis)),
                 LOG_TEXT("url", w->config->redis.url));
    if (!registry.ready)
        log_warn(w->log, "worker.waiting", LOG_TEXT("for", "schema_registry"), LOG_ERROR(registry.error),
                 LOG_TEXT("detail", registry.detail), LOG_TEXT("url", w->config->registry.url));
}

static size_t waiting_for(const struct worker *w, enum outage outage)
{
    size_t count = 0;

    for (struct list_node *n = w->tasks[TASK_WAITING].first; n; n = n->next)
        count += list_entry(n, struct task, in_state)->outage == outage;
    return count;
}

/* A breaker whose time is over stays suspect until the model answers: named too, as long as tasks wait for that. */
static void about_models(struct worker *w)
{
    int64_t now = loop_now_ms(w->loop);
    bool wanted = waiting_for(w, OUTAGE_MODEL) > 0;

    for (size_t i = 0; i < w->nmodels; i++) {
        const struct model *m = &w->models[i];
        int64_t ready = endpoint_ready_ms(&m->health, now);

        if (m->last_error.code && (ready > now || (wanted && m->health.open_until_ms)))
            log_warn(w->log, "worker.waiting", LOG_TEXT("for", "model"), LOG_TEXT("model", m->config->name),
                     LOG_ERROR(m->last_error), LOG_TEXT("url", m->config->url),
                     LOG_INT("closed_for_ms", ready > now ? ready - now : 0));
    }
}

static void about_tasks(struct worker *w)
{
    size_t waiting[OUTAGES] = {0};

    for (struct list_node *n = w->tasks[TASK_WAITING].first; n; n = n->next)
        waiting[list_entry(n, struct task, in_state)->outage]++;
    for (enum outage o = OUTAGE_NONE + 1; o < OUTAGES; o++)
        if (waiting[o])
            log_warn(w->log, "tasks.waiting", LOG_TEXT("for", outage_name(o)), LOG_INT("tasks", waiting[o]));
}

void worker_complain(struct worker *w)
{
    int64_t now = loop_now_ms(w->loop);

    if (now - w->complained_ms < COMPLAIN_EVERY_MS || w->state >= WORKER_CLOSING)
        return;
    w->complained_ms = now;
    about_kafka(w);
    about_clients(w);
    about_models(w);
    about_tasks(w);
}
