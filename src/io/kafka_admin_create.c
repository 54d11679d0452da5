/* The admin client: topics created and deleted. Existing ones are compared, never changed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kafka_admin_parts.h"

static void compare(const struct kafka_topic_spec *spec, const struct kafka_topic *t, struct kafka_topic_result *r)
{
    r->outcome = KAFKA_TOPIC_EXISTS;
    r->partitions = (int)t->npartitions;
    *r->detail = '\0';
    if (t->error) {
        r->outcome = KAFKA_TOPIC_REFUSED;
        kafka_copy_text(r->detail, sizeof r->detail, t->error);
        return;
    }
    if (r->partitions != spec->partitions) {
        r->outcome = KAFKA_TOPIC_DIFFERS;
        snprintf(r->detail, sizeof r->detail, "has %d partitions, wanted %d", r->partitions, spec->partitions);
        return;
    }
    for (size_t i = 0; i < spec->nconfigs; i++) {
        const char *value = kafka_topic_config(t, spec->configs[i].name);

        if (value && !strcmp(value, spec->configs[i].value))
            continue;
        r->outcome = KAFKA_TOPIC_DIFFERS;
        snprintf(r->detail, sizeof r->detail, "has %s=%s, wanted %s", spec->configs[i].name, value ? value : "(hidden)",
                 spec->configs[i].value);
        return;
    }
}

static rd_kafka_NewTopic_t *make_topic(const struct kafka_topic_spec *spec, struct kafka_topic_result *r)
{
    rd_kafka_NewTopic_t *topic =
        rd_kafka_NewTopic_new(spec->name, spec->partitions, spec->replication, r->detail, sizeof r->detail);

    for (size_t i = 0; topic && i < spec->nconfigs; i++) {
        rd_kafka_resp_err_t e = rd_kafka_NewTopic_set_config(topic, spec->configs[i].name, spec->configs[i].value);

        if (!e)
            continue;
        snprintf(r->detail, sizeof r->detail, "%s: %s", spec->configs[i].name, rd_kafka_err2str(e));
        rd_kafka_NewTopic_destroy(topic);
        topic = NULL;
    }
    return topic;
}

static void take_created(const struct kafka_topic_spec *specs, size_t n, struct kafka_topic_result *results, rd_kafka_event_t *e)
{
    size_t count;
    const rd_kafka_topic_result_t **created = rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(e), &count);

    for (size_t k = 0; k < count; k++)
        for (size_t i = 0; i < n; i++) {
            rd_kafka_resp_err_t code = rd_kafka_topic_result_error(created[k]);

            if (strcmp(specs[i].name, rd_kafka_topic_result_name(created[k])) != 0 || results[i].outcome != KAFKA_TOPIC_REFUSED)
                continue;
            /* Somebody was faster: it is there, whatever it is like. */
            results[i].outcome = !code                                            ? KAFKA_TOPIC_CREATED
                                 : code == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS ? KAFKA_TOPIC_EXISTS
                                                                                  : KAFKA_TOPIC_REFUSED;
            results[i].partitions = code ? 0 : specs[i].partitions;
            kafka_copy_text(results[i].detail, sizeof results[i].detail,
                            code ? rd_kafka_topic_result_error_string(created[k]) : "");
        }
}

static struct error create(struct kafka_admin *a, rd_kafka_NewTopic_t **topics, size_t ntopics,
                           const struct kafka_topic_spec *specs, size_t n, bool dry_run, struct kafka_topic_result *results)
{
    rd_kafka_AdminOptions_t *o = admin_options(a, RD_KAFKA_ADMIN_OP_CREATETOPICS);
    struct error error = error_none();
    rd_kafka_event_t *e;
    char why[128];

    (void)rd_kafka_AdminOptions_set_operation_timeout(o, a->timeout_ms, why, sizeof why);
    (void)rd_kafka_AdminOptions_set_validate_only(o, dry_run, why, sizeof why);
    rd_kafka_CreateTopics(a->rk, topics, ntopics, o, a->queue);
    rd_kafka_AdminOptions_destroy(o);
    e = admin_answer(a, RD_KAFKA_EVENT_CREATETOPICS_RESULT, &error);
    if (!e)
        return error;
    take_created(specs, n, results, e);
    rd_kafka_event_destroy(e);
    return error;
}

struct error kafka_admin_create_topics(struct kafka_admin *a, const struct kafka_topic_spec *specs, size_t n, bool dry_run,
                                       struct kafka_topic_result *results)
{
    const char **names = calloc(n + 1, sizeof *names);
    rd_kafka_NewTopic_t **topics = calloc(n + 1, sizeof *topics);
    struct kafka_topics *now = NULL;
    struct error error = names && topics ? error_none() : admin_no_memory(a);
    size_t ntopics = 0;

    for (size_t i = 0; names && i < n; i++)
        names[i] = specs[i].name;
    if (!failed(error))
        error = kafka_admin_topics(a, names, n, true, &now);
    for (size_t i = 0; !failed(error) && i < n; i++) {
        const struct kafka_topic *t = kafka_topics_find(now, specs[i].name);

        results[i] = (struct kafka_topic_result){.outcome = KAFKA_TOPIC_REFUSED};
        if (t && t->exists)
            compare(&specs[i], t, &results[i]);
        else if ((topics[ntopics] = make_topic(&specs[i], &results[i])) != NULL)
            ntopics++;
    }
    if (!failed(error) && ntopics)
        error = create(a, topics, ntopics, specs, n, dry_run, results);
    if (topics)
        rd_kafka_NewTopic_destroy_array(topics, ntopics);
    kafka_topics_free(now);
    free(topics);
    free(names);
    return error;
}

struct error kafka_admin_delete_topics(struct kafka_admin *a, const char *const *names, size_t n)
{
    rd_kafka_DeleteTopic_t **topics = calloc(n + 1, sizeof *topics);
    rd_kafka_AdminOptions_t *o = admin_options(a, RD_KAFKA_ADMIN_OP_DELETETOPICS);
    struct error error = error_none();
    const rd_kafka_topic_result_t **results;
    rd_kafka_event_t *e = NULL;
    char why[128];
    size_t count = 0;

    if (topics && n) {
        for (size_t i = 0; i < n; i++)
            topics[i] = rd_kafka_DeleteTopic_new(names[i]);
        (void)rd_kafka_AdminOptions_set_operation_timeout(o, a->timeout_ms, why, sizeof why);
        rd_kafka_DeleteTopics(a->rk, topics, n, o, a->queue);
        rd_kafka_DeleteTopic_destroy_array(topics, n);
        e = admin_answer(a, RD_KAFKA_EVENT_DELETETOPICS_RESULT, &error);
    }
    rd_kafka_AdminOptions_destroy(o);
    free(topics);
    if (!e)
        return topics ? error : admin_no_memory(a);
    results = rd_kafka_DeleteTopics_result_topics(rd_kafka_event_DeleteTopics_result(e), &count);
    for (size_t i = 0; i < count && !failed(error); i++) {
        rd_kafka_resp_err_t code = rd_kafka_topic_result_error(results[i]);

        if (code && code != RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART)
            error = admin_fail(a, code, rd_kafka_topic_result_error_string(results[i]));
    }
    rd_kafka_event_destroy(e);
    return error;
}
