/* Asks the brokers for the ids of topics. */
#include "kafka_topic_ids.h"

#include <stdio.h>
#include <string.h>

static void take(const rd_kafka_TopicDescription_t *topic, const char *const *topics, size_t n, struct kafka_topic_id *ids)
{
    const rd_kafka_Uuid_t *id = rd_kafka_TopicDescription_topic_id(topic);
    const char *name = rd_kafka_TopicDescription_name(topic);
    uint64_t high = id ? (uint64_t)rd_kafka_Uuid_most_significant_bits(id) : 0;
    uint64_t low = id ? (uint64_t)rd_kafka_Uuid_least_significant_bits(id) : 0;

    if (rd_kafka_error_code(rd_kafka_TopicDescription_error(topic)) || !(high | low))
        return;
    for (size_t i = 0; i < n; i++)
        if (!strcmp(topics[i], name))
            snprintf(ids[i].text, sizeof ids[i].text, "%016llx%016llx", (unsigned long long)high, (unsigned long long)low);
}

static rd_kafka_resp_err_t take_all(rd_kafka_event_t *event, const char *const *topics, size_t n, struct kafka_topic_id *ids)
{
    const rd_kafka_TopicDescription_t **found;
    rd_kafka_resp_err_t e = rd_kafka_event_error(event);
    enum kafka_trouble_kind kind = kafka_trouble_of(e, false);
    size_t count = 0;

    if (e) /* what is not for want of an answer will be no other the next time */
        return kind == KAFKA_TROUBLE_TRANSPORT || kind == KAFKA_TROUBLE_ALL_DOWN ? e : RD_KAFKA_RESP_ERR_NO_ERROR;
    found = rd_kafka_DescribeTopics_result_topics(rd_kafka_event_DescribeTopics_result(event), &count);
    for (size_t i = 0; i < count; i++)
        take(found[i], topics, n, ids);
    return e;
}

rd_kafka_resp_err_t kafka_topic_ids(rd_kafka_t *rk, const char *const *topics, size_t n, int timeout_ms,
                                    struct kafka_topic_id *ids)
{
    rd_kafka_TopicCollection_t *names = rd_kafka_TopicCollection_of_topic_names((const char **)(uintptr_t)topics, n);
    rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(rk, RD_KAFKA_ADMIN_OP_DESCRIBETOPICS);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
    rd_kafka_resp_err_t e = RD_KAFKA_RESP_ERR__TIMED_OUT;
    rd_kafka_event_t *event;
    char text[128];

    memset(ids, 0, n * sizeof *ids);
    if (!rd_kafka_AdminOptions_set_request_timeout(options, timeout_ms, text, sizeof text)) {
        rd_kafka_DescribeTopics(rk, names, options, queue);
        event = rd_kafka_queue_poll(queue, timeout_ms + 1000);
        if (event) {
            e = take_all(event, topics, n, ids);
            rd_kafka_event_destroy(event);
        }
    }
    rd_kafka_queue_destroy(queue);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_TopicCollection_destroy(names);
    return e;
}
