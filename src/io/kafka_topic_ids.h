/* The ids of topics, as the brokers give them (KIP-516): a topic that was deleted and made again has its name, and another id. */
#ifndef STEPMILL_IO_KAFKA_TOPIC_IDS_H
#define STEPMILL_IO_KAFKA_TOPIC_IDS_H

#include "kafka_client.h"

enum { KAFKA_TOPIC_ID_SIZE = 33 };

struct kafka_topic_id {
    char text[KAFKA_TOPIC_ID_SIZE]; /* hex; "": there is no such topic, or nobody tells us */
};

/* Asks for all of them at once; blocks. An error: nobody answered in time. Brokers that know no ids, and those that refuse us the
 * question, are none. */
MUST_CHECK rd_kafka_resp_err_t kafka_topic_ids(rd_kafka_t *rk, const char *const *topics, size_t n, int timeout_ms,
                                               struct kafka_topic_id *ids);

#endif
