/* What all Kafka files share: making a client's configuration, naming its errors, records to and from librdkafka. */
#ifndef STEPMILL_IO_KAFKA_CLIENT_H
#define STEPMILL_IO_KAFKA_CLIENT_H

#include <librdkafka/rdkafka.h>

#include "stepmill/kafka.h"

enum kafka_role { KAFKA_ROLE_SOURCE, KAFKA_ROLE_TXN, KAFKA_ROLE_PRODUCER, KAFKA_ROLE_READER, KAFKA_ROLE_ADMIN, KAFKA_ROLES };

/* The opaque of every client: first member of (or the whole of) what its callbacks need. Outlives the client. */
struct kafka_opaque {
    const struct log *log;
    void *owner;
};

/* A configuration for `role`: our defaults, the user's options, what we own, then the n `extra` pairs. NULL: `error` and `detail`
 * say why. */
rd_kafka_conf_t *kafka_conf_new(enum kafka_role role, const struct kafka_options *options, const struct kafka_option *extra,
                                size_t n, struct kafka_opaque *opaque, struct error *error, char *detail, size_t room);

/* Takes `conf` in any case. NULL: `error` and `detail` say why. */
rd_kafka_t *kafka_client_new(rd_kafka_type_t type, rd_kafka_conf_t *conf, struct error *error, char *detail, size_t room);

/* Destroys a consumer that has been closed, or never joined. librdkafka may wait for ever for a broker's thread that something
 * inside still counts on (its issues 3954, 4362): after timeout_ms the client is left to the end of the process, with a warning
 * and false. What its callbacks use must stay then. */
bool kafka_consumer_destroy(rd_kafka_t *rk, int timeout_ms, const struct log *log);

enum kafka_trouble_kind kafka_trouble_of(rd_kafka_resp_err_t code, bool fatal);

/* Copies and terminates, cut at `room`. */
void kafka_copy_text(char *to, size_t room, const char *text);

/* Room for the headers of one record view; grows, is used again for the next record. */
struct kafka_headers {
    struct kafka_header *at;
    size_t room;
};
void kafka_headers_free(struct kafka_headers *h);
/* False: out of memory for the headers, or damaged ones. */
bool kafka_record_view(struct kafka_record *r, const rd_kafka_message_t *m, struct kafka_headers *room);

/* Queues one record; `partition` RD_KAFKA_PARTITION_UA: by key. `copy` false: key and value stay valid until its delivery report.
 */
rd_kafka_resp_err_t kafka_produce(rd_kafka_t *rk, const struct kafka_output *o, int32_t partition, bool copy, void *opaque);

rd_kafka_topic_partition_list_t *kafka_list_of(const struct kafka_partition *p, size_t n);

#endif
