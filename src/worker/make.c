/* Wiring: what a worker is made of, and how its parts answer it. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "stepmill/clock.h"
#include "stepmill/event_codec.h"
#include "worker.h"

enum {
    LAST_WORDS_MS = 1000, /* for Redis to learn what was committed last, and which tasks were given up alive */
    /* A task is ended when its cells and what they mean fill its memory; another runner's may have come beside them. What could
     * not be read again would cut the connection at each try, for all tasks. */
    CELLS_OF_A_TASK = 3 * TASK_MEMORY_MAX,
    SESSION_TIMEOUT_MS = 10000, /* DELIVERY §4 "Settings", unless the user sets session.timeout.ms */
};

static void on_cells(void *ctx, struct ticket ticket, enum cells_op op, const struct cells_answer *a)
{
    struct worker *w = ctx;
    struct task *t;

    if (op == CELLS_SETTLE) {
        worker_done_answered(w, ticket, a);
        return;
    }
    if (ticket.task == 0 || !(t = task_of(w, ticket)))
        return;
    if (op == CELLS_CLAIM) {
        task_claimed(t, ticket.attempt, a);
        return;
    }
    if (t->redis_attempt != ticket.attempt) {
        worker_count(w->numbers->late, 1);
        return;
    }
    t->redis_attempt = 0;
    if (op == CELLS_LOAD)
        task_loaded(t, a);
    else if (op == CELLS_REDRIVE)
        task_redriven(t, a);
    else if (op == CELLS_RECORD)
        task_saved(t, a);
}

static void on_redis(void *ctx, bool up, struct error why)
{
    struct worker *w = ctx;
    const struct redis_info *info = redis_info(w->redis);

    if (!up) {
        log_warn(w->log, "redis.down", LOG_ERROR(why), LOG_TEXT("action", "tasks wait; nothing is lost"));
        return;
    }
    log_info(w->log, "redis.up", LOG_TEXT("version", info->version), LOG_TEXT("maxmemory_policy", info->maxmemory_policy),
             LOG_TEXT("appendonly", info->appendonly), LOG_TEXT("appendfsync", info->appendfsync),
             LOG_TEXT("promise",
                      strcmp(info->appendonly, "yes") != 0 ? "a crash of Redis forgets all steps: they would be paid for again"
                      : strcmp(info->appendfsync, "always") == 0 ? "no acknowledged step is paid for again"
                                                                 : "a crash of Redis forgets about the last second's steps"));
    if (strcmp(info->maxmemory_policy, "noeviction") != 0)
        log_warn(w->log, "redis.may_evict", LOG_TEXT("maxmemory_policy", info->maxmemory_policy),
                 LOG_TEXT("action", "set maxmemory-policy noeviction"));
    worker_wake(w, OUTAGE_REDIS);
    worker_done_retry(w);
}

/* Cells are read by the schema they were written with: mostly our own, so ask for it before the first task needs it. */
static void preload(struct worker *w)
{
    const struct avro_plan *plan;
    uint32_t id;

    if (registry_id(w->registry, w->event_subject, &id) && failed(registry_plan(w->registry, id, &event_reader, &plan, NULL)))
        log_debug(w->log, "schema_registry.preload", LOG_INT("id", id));
}

struct error worker_start_kafka(struct worker *w)
{
    const struct config_kafka *k = &w->config->kafka;
    const char **topics = calloc(w->nagents + 1, sizeof *topics);
    const char *outputs[] = {w->config->topics.results, w->config->topics.events, w->config->topics.dlq};
    struct kafka_options options = {.at = k->options, .count = k->noptions, .client_id = "stepmill", .log = w->log};
    char detail[256] = "";
    struct error error = error_make(CLASS_INTERNAL, "out_of_memory", "no memory left at start");

    preload(w);
    for (size_t i = 0; topics && i < w->nagents; i++)
        topics[i] = w->agents[i].topic;
    if (topics)
        error = kafka_source_start(
            &w->source, loop_base(w->loop),
            &(struct kafka_source_options){.kafka = options, .group_id = w->group, .topics = topics, .ntopics = w->nagents},
            &intake_events, w, detail, sizeof detail);
    if (!failed(error))
        error = kafka_txn_start(&w->txn, loop_base(w->loop), w->source,
                                &(struct kafka_txn_options){
                                    .kafka = options, .transactional_id = w->transactional_id, .topics = outputs, .ntopics = 3},
                                &commit_events, w, detail, sizeof detail);
    if (failed(error))
        log_error(w->log, "worker.kafka_start", LOG_ERROR(error), LOG_TEXT("detail", detail));
    free(topics);
    return error;
}

static char *text_of(const char *format, const char *a, const char *b)
{
    char *text = NULL;

    return asprintf(&text, format, a, b) < 0 ? NULL : text;
}

/* All that it touches begins with the prefix, the probe too: an ACL may allow nothing else. */
static struct error make_redis(struct worker *w)
{
    const struct config_redis *c = &w->config->redis;
    char *probe = text_of("%s%s", c->prefix, "probe");
    struct error error = probe ? redis_new(w->loop, w->log,
                                           &(struct redis_options){.url = c->url,
                                                                   .user = c->username,
                                                                   .password = c->password.value,
                                                                   .ca_file = c->tls.ca_file,
                                                                   .cert_file = c->tls.certificate_file,
                                                                   .key_file = c->tls.key_file,
                                                                   .probe_key = probe,
                                                                   .connect_timeout_ms = c->connect_timeout_ms,
                                                                   .call_timeout_ms = c->timeout_ms,
                                                                   .max_answer = CELLS_OF_A_TASK,
                                                                   .on_state = on_redis,
                                                                   .ctx = w},
                                           &w->redis)
                               : error_make(CLASS_INTERNAL, "out_of_memory", "no memory left at start");

    free(probe);
    return error;
}

static struct error make_clients(struct worker *w)
{
    const struct config *c = w->config;
    struct error error = http_client_new(w->loop, w->log, &(struct http_client_options){0}, &w->http);

    if (!failed(error))
        error = registry_new(&(struct registry_options){.loop = w->loop,
                                                        .client = w->http,
                                                        .log = w->log,
                                                        .config = &c->registry,
                                                        .limits = {.bytes = (size_t)c->limits.schema, .fields = 2000}},
                             &w->registry);
    if (!failed(error))
        error = registry_want(w->registry, w->event_subject, OWN_EVENT);
    if (!failed(error))
        error = registry_want(w->registry, w->result_subject, OWN_RESULT);
    if (!failed(error))
        error = make_redis(w);
    if (failed(error))
        return error;
    w->cells =
        cells_new(w->redis, w->log,
                  &(struct cells_options){
                      .prefix = c->redis.prefix, .session_bytes = c->limits.session_memory, .answered = on_cells, .ctx = w});
    return w->cells ? error_none() : error_make(CLASS_CONFIG, "redis_prefix", "redis.prefix is too long, or no memory is left");
}

static int64_t session_timeout(const struct config_kafka *k)
{
    int64_t ms;

    for (size_t i = 0; i < k->noptions; i++)
        if (!strcmp(k->options[i].name, "session.timeout.ms") && slice_to_int(slice_of(k->options[i].value), 1, INT32_MAX, &ms))
            return ms;
    return SESSION_TIMEOUT_MS;
}

struct error worker_make(struct worker *w)
{
    struct error error;

    worker_bound_in_flight(w); /* raises the limit of open files before anybody reads it */
    w->gap_max_ms = session_timeout(&w->config->kafka) / 2;

    w->group = text_of("%s%s", w->config->kafka.group_id, "");
    w->event_subject = text_of("%s%s", w->config->topics.events, "-value");
    w->result_subject = text_of("%s%s", w->config->topics.results, "-value");
    if (!w->group || !w->event_subject || !w->result_subject)
        return error_make(CLASS_INTERNAL, "out_of_memory", "no memory left at start");
    error = worker_take_slot(w);
    if (failed(error))
        return error;
    w->transactional_id = text_of("%s-worker-%s", w->group, w->slot);
    error = worker_serve(w);
    if (!failed(error))
        error = make_clients(w);
    if (!failed(error))
        error = worker_make_agents(w);
    return error;
}

void worker_free(struct worker *w)
{
    bool orderly = w->cells && w->redis && redis_is_up(w->redis);

    while (w->owned.first)
        worker_drop_owned(w, list_entry(w->owned.first, struct owned, node), orderly);
    for (int64_t until = clock_mono_ms() + LAST_WORDS_MS;
         w->cells && (w->unsettled.count || redis_stats(w->redis).in_flight) && redis_is_up(w->redis) && clock_mono_ms() < until;)
        loop_turn(w->loop, true);
    while (w->owned.first) /* assigned while the last words were said */
        worker_drop_owned(w, list_entry(w->owned.first, struct owned, node), false);
    worker_reap(w);
    kafka_txn_free(w->txn);
    kafka_source_free(w->source);
    redis_free(w->redis);
    cells_free(w->cells);
    worker_done_free(w);
    registry_free(w->registry);
    http_client_free(w->http);
    http_server_free(w->server);
    worker_reap(w);
    if (w->config)
        worker_free_agents(w);
    metrics_free(w->metrics);
    loop_timer_cancel(&w->commit_timer);
    loop_timer_cancel(&w->second_timer);
    loop_timer_cancel(&w->drain_timer);
    config_free(w->latest);
    free(w->numbers);
    free(w->group);
    free(w->transactional_id);
    free(w->event_subject);
    free(w->result_subject);
    free(w->slots);
    free(w->free_slots);
    buf_free(&w->scratch);
    if (w->slot_lock >= 0)
        close(w->slot_lock);
    loop_free(w->loop);
}
