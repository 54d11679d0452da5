/* What a membership is inside, and the source's client, for kafka_txn. */
#ifndef STEPMILL_IO_KAFKA_MEMBERSHIP_H
#define STEPMILL_IO_KAFKA_MEMBERSHIP_H

#include <librdkafka/rdkafka.h>

#include "stepmill/kafka_source.h"

struct kafka_membership {
    rd_kafka_consumer_group_metadata_t *group;
};

/* The consumer, for reads of committed offsets from the helper thread (librdkafka's clients may be used by any thread). */
rd_kafka_t *kafka_source_client(struct kafka_source *s);

#endif
