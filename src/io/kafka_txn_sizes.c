/* What our topics take, compared with what the producer may send (DELIVERY §4.13). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kafka_txn_parts.h"
#include "stepmill/log.h"

static void compare(struct kafka_txn *t, const char *topic, const char *value)
{
    int64_t have, want;
    char detail[200];

    if (!value || !slice_to_int(slice_of(value), 0, INT64_MAX, &have) ||
        !slice_to_int(slice_of(t->message_max), 0, INT64_MAX, &want) || have >= want)
        return;
    snprintf(detail, sizeof detail,
             "max.message.bytes is %lld, should be %lld: larger results are cut, larger events and dead letters lose parts; "
             "alter it (stepmill doctor says how)",
             (long long)have, (long long)want);
    txn_trouble(t, RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, false, detail, topic);
}

static void look_at(struct kafka_txn *t, const rd_kafka_ConfigResource_t *resource)
{
    size_t n;
    const rd_kafka_ConfigEntry_t **entries = rd_kafka_ConfigResource_configs(resource, &n);

    if (rd_kafka_ConfigResource_error(resource)) { /* an ACL may forbid to look: then the broker's refusal tells */
        log_debug(t->opaque.log, "kafka.topic.config_hidden", LOG_TEXT("topic", rd_kafka_ConfigResource_name(resource)),
                  LOG_TEXT("code", rd_kafka_err2name(rd_kafka_ConfigResource_error(resource))));
        return;
    }
    for (size_t i = 0; i < n; i++)
        if (!strcmp(rd_kafka_ConfigEntry_name(entries[i]), "max.message.bytes"))
            compare(t, rd_kafka_ConfigResource_name(resource), rd_kafka_ConfigEntry_value(entries[i]));
}

void txn_ask_sizes(struct kafka_txn *t, rd_kafka_t *rk)
{
    rd_kafka_ConfigResource_t **resources = calloc(t->ntopics + 1, sizeof *resources);
    rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(rk, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS);

    if (resources && options && t->ntopics && !t->sizes && !t->compared && (t->sizes = rd_kafka_queue_new(rk))) {
        for (size_t i = 0; i < t->ntopics; i++)
            resources[i] = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, t->topics[i]);
        rd_kafka_DescribeConfigs(rk, resources, t->ntopics, options, t->sizes);
        rd_kafka_ConfigResource_destroy_array(resources, t->ntopics);
    }
    if (options)
        rd_kafka_AdminOptions_destroy(options);
    free(resources);
}

void txn_forget_sizes(struct kafka_txn *t)
{
    if (t->sizes)
        rd_kafka_queue_destroy(t->sizes);
    t->sizes = NULL;
}

void txn_look_at_sizes(struct kafka_txn *t)
{
    const rd_kafka_ConfigResource_t **answers;
    rd_kafka_event_t *e = t->sizes ? rd_kafka_queue_poll(t->sizes, 0) : NULL;
    size_t n = 0;

    if (!e)
        return;
    if (!rd_kafka_event_error(e) && rd_kafka_event_DescribeConfigs_result(e)) {
        answers = rd_kafka_DescribeConfigs_result_resources(rd_kafka_event_DescribeConfigs_result(e), &n);
        for (size_t i = 0; i < n; i++)
            look_at(t, answers[i]);
    }
    rd_kafka_event_destroy(e);
    txn_forget_sizes(t);
    t->compared = true;
}
