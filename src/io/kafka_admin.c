/* The admin client: its life, its errors, the cluster and the groups. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kafka_admin_parts.h"

static bool copy_pairs(struct kafka_admin *a, const struct kafka_options *o)
{
    a->pairs = calloc(o->count + 1, sizeof *a->pairs);
    if (!a->pairs)
        return false;
    for (size_t i = 0; i < o->count; i++) {
        a->pairs[i] = (struct kafka_option){strdup(o->at[i].name), strdup(o->at[i].value)};
        if (!a->pairs[i].name || !a->pairs[i].value)
            return false;
    }
    a->options = (struct kafka_options){a->pairs, o->count, o->client_id ? strdup(o->client_id) : NULL, o->log};
    return !o->client_id || a->options.client_id;
}

struct error kafka_admin_open(struct kafka_admin **admin, const struct kafka_options *options, int timeout_ms, char *detail,
                              size_t room)
{
    struct kafka_admin *a = calloc(1, sizeof *a);
    struct error error = error_make(CLASS_INTERNAL, "no_memory", "no memory left for the Kafka admin client");
    rd_kafka_conf_t *conf;

    *admin = NULL;
    if (!a)
        return error;
    a->opaque.log = options->log;
    a->timeout_ms = timeout_ms;
    if (copy_pairs(a, options)) {
        conf = kafka_conf_new(KAFKA_ROLE_ADMIN, options, NULL, 0, &a->opaque, &error, detail, room);
        a->rk = conf ? kafka_client_new(RD_KAFKA_PRODUCER, conf, &error, detail, room) : NULL;
        a->queue = a->rk ? rd_kafka_queue_new(a->rk) : NULL;
    }
    if (a->queue) {
        *admin = a;
        return error_none();
    }
    kafka_admin_close(a);
    return error;
}

void kafka_admin_close(struct kafka_admin *a)
{
    if (!a)
        return;
    if (a->queue)
        rd_kafka_queue_destroy(a->queue);
    if (a->rk)
        rd_kafka_destroy(a->rk);
    for (size_t i = 0; a->pairs && a->pairs[i].name; i++) {
        free((char *)(uintptr_t)a->pairs[i].name);
        free((char *)(uintptr_t)a->pairs[i].value);
    }
    free(a->pairs);
    free((char *)(uintptr_t)a->options.client_id);
    free(a);
}

const char *kafka_admin_detail(const struct kafka_admin *a) { return a->detail; }

struct error admin_fail(struct kafka_admin *a, rd_kafka_resp_err_t code, const char *detail)
{
    enum kafka_trouble_kind kind = kafka_trouble_of(code, false);

    snprintf(a->detail, sizeof a->detail, "%s (%s)", detail ? detail : rd_kafka_err2str(code), rd_kafka_err2name(code));
    if (kind == KAFKA_TROUBLE_TRANSPORT || kind == KAFKA_TROUBLE_ALL_DOWN)
        return error_make(CLASS_AGAIN, "kafka_timeout", "no broker answered in time");
    if (kind == KAFKA_TROUBLE_AUTH)
        return error_make(CLASS_CONFIG, "kafka_denied", "the broker refuses this user");
    return error_make(CLASS_CONFIG, "kafka_refused", "the broker refuses the request");
}

struct error admin_no_memory(struct kafka_admin *a)
{
    kafka_copy_text(a->detail, sizeof a->detail, "out of memory");
    return error_make(CLASS_INTERNAL, "no_memory", "no memory left for Kafka's answer");
}

rd_kafka_AdminOptions_t *admin_options(struct kafka_admin *a, rd_kafka_admin_op_t op)
{
    rd_kafka_AdminOptions_t *o = rd_kafka_AdminOptions_new(a->rk, op);
    char why[128];

    /* Both are in range by construction. */
    (void)rd_kafka_AdminOptions_set_request_timeout(o, a->timeout_ms, why, sizeof why);
    return o;
}

rd_kafka_event_t *admin_answer(struct kafka_admin *a, rd_kafka_event_type_t type, struct error *error)
{
    for (;;) {
        /* The request has its own time-out; ours only guards against an answer that never comes. */
        rd_kafka_event_t *e = rd_kafka_queue_poll(a->queue, a->timeout_ms + 2000);

        if (!e) {
            /* Its answer may still come: it must not be taken for that of the next call. */
            rd_kafka_queue_destroy(a->queue);
            a->queue = rd_kafka_queue_new(a->rk);
            *error = admin_fail(a, RD_KAFKA_RESP_ERR__TIMED_OUT, "no answer in time");
            return NULL;
        }
        if (rd_kafka_event_type(e) == type && !rd_kafka_event_error(e))
            return e;
        if (rd_kafka_event_type(e) == type) {
            *error = admin_fail(a, rd_kafka_event_error(e), rd_kafka_event_error_string(e));
            rd_kafka_event_destroy(e);
            return NULL;
        }
        rd_kafka_event_destroy(e);
    }
}

rd_kafka_t *admin_group_client(struct kafka_admin *a, const char *group, struct error *error)
{
    const struct kafka_option extra[] = {{"group.id", group}};
    rd_kafka_conf_t *conf =
        kafka_conf_new(KAFKA_ROLE_ADMIN, &a->options, extra, 1, &a->opaque, error, a->detail, sizeof a->detail);

    return conf ? kafka_client_new(RD_KAFKA_CONSUMER, conf, error, a->detail, sizeof a->detail) : NULL;
}

const char *admin_text(struct arena *arena, const char *text) { return text ? arena_copy(arena, slice_of(text)).at : NULL; }

/* ---- Cluster */

struct cluster_answer {
    struct kafka_cluster cluster;
    struct arena *arena;
};

static bool fill_cluster(struct cluster_answer *c, rd_kafka_t *rk, const struct rd_kafka_metadata *m, int timeout_ms)
{
    struct kafka_broker *brokers = arena_alloc(c->arena, ((size_t)m->broker_cnt + 1) * sizeof *brokers);
    char *id = rd_kafka_clusterid(rk, timeout_ms);

    c->cluster = (struct kafka_cluster){.id = admin_text(c->arena, id ? id : ""),
                                        .controller = rd_kafka_controllerid(rk, timeout_ms),
                                        .brokers = brokers,
                                        .nbrokers = (size_t)m->broker_cnt};
    if (id)
        rd_kafka_mem_free(rk, id);
    for (int i = 0; brokers && i < m->broker_cnt; i++) {
        brokers[i] = (struct kafka_broker){m->brokers[i].id, admin_text(c->arena, m->brokers[i].host), m->brokers[i].port};
        if (!brokers[i].host)
            return false;
    }
    return brokers && c->cluster.id;
}

struct error kafka_admin_cluster(struct kafka_admin *a, struct kafka_cluster **cluster)
{
    const struct rd_kafka_metadata *m;
    rd_kafka_resp_err_t e = rd_kafka_metadata(a->rk, 0, NULL, &m, a->timeout_ms);
    struct cluster_answer *c;
    bool ok;

    *cluster = NULL;
    if (e)
        return admin_fail(a, e, NULL);
    c = calloc(1, sizeof *c);
    if (c)
        c->arena = arena_new(ANSWER_MAX);
    ok = c && c->arena && fill_cluster(c, a->rk, m, a->timeout_ms);
    rd_kafka_metadata_destroy(m);
    if (ok) {
        *cluster = &c->cluster;
        return error_none();
    }
    kafka_cluster_free(c ? &c->cluster : NULL);
    return admin_no_memory(a);
}

void kafka_cluster_free(struct kafka_cluster *cluster)
{
    struct cluster_answer *c = (struct cluster_answer *)(void *)cluster; /* its first member */

    if (!c)
        return;
    arena_free(c->arena);
    free(c);
}
