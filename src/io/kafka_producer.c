/* A plain producer for hand tools: idempotent, acks=all, one outcome per record. */
#include <stdlib.h>
#include <string.h>

#include "kafka_client.h"
#include "stepmill/clock.h"
#include "stepmill/kafka_admin.h"

struct kafka_producer {
    struct kafka_opaque opaque;
    rd_kafka_t *rk;
    void (*delivered)(void *context, const struct kafka_delivery *d);
    void *context;
    char detail[512];
};

static struct error error_of(rd_kafka_resp_err_t code)
{
    switch (kafka_trouble_of(code, false)) {
    case KAFKA_TROUBLE_TRANSPORT:
    case KAFKA_TROUBLE_ALL_DOWN:
        return error_make(CLASS_AGAIN, "kafka_timeout",
                          "the record was not acknowledged in time; it may be in the topic all the same");
    case KAFKA_TROUBLE_TOPIC_MISSING:
        return error_make(CLASS_CONFIG, "kafka_topic_missing", "the topic or the partition does not exist");
    case KAFKA_TROUBLE_AUTH:
        return error_make(CLASS_CONFIG, "kafka_denied", "the broker refuses this user");
    default:
        break;
    }
    if (code == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE)
        return error_make(CLASS_REJECTED, "record_too_large", "the record is larger than the topic or the client allows");
    if (code == RD_KAFKA_RESP_ERR__MSG_TIMED_OUT)
        return error_make(CLASS_AGAIN, "kafka_timeout",
                          "the record was not acknowledged in time; it may be in the topic all the same");
    return error_make(CLASS_CONFIG, "kafka_refused", "Kafka refuses the record");
}

static void on_delivered(rd_kafka_t *rk, const rd_kafka_message_t *m, void *opaque)
{
    struct kafka_producer *p = ((struct kafka_opaque *)opaque)->owner;
    struct kafka_delivery d = {
        .tag = (uint64_t)(uintptr_t)m->_private,
        .error = m->err ? error_of(m->err) : error_none(),
        .name = m->err ? rd_kafka_err2name(m->err) : NULL,
        .topic = rd_kafka_topic_name(m->rkt),
        .partition = m->partition,
        .offset = m->err ? KAFKA_OFFSET_NONE : m->offset,
    };

    (void)rk;
    p->delivered(p->context, &d);
}

struct error kafka_producer_open(struct kafka_producer **producer, const struct kafka_options *options,
                                 void (*delivered)(void *context, const struct kafka_delivery *d), void *context, char *detail,
                                 size_t room)
{
    static const struct kafka_option extra[] = {{"message.max.bytes", "8388608"}}; /* KAFKA_MESSAGE_MAX */
    struct kafka_producer *p = calloc(1, sizeof *p);
    struct error error;
    rd_kafka_conf_t *conf;

    _Static_assert(KAFKA_MESSAGE_MAX == 8388608, "the text above is this number");
    _Static_assert(sizeof(uintptr_t) == sizeof(uint64_t), "a tag travels in a pointer");
    *producer = NULL;
    if (!p)
        return error_make(CLASS_INTERNAL, "no_memory", "no memory left for the Kafka producer");
    p->opaque = (struct kafka_opaque){options->log, p};
    p->delivered = delivered;
    p->context = context;
    conf = kafka_conf_new(KAFKA_ROLE_PRODUCER, options, extra, 1, &p->opaque, &error, detail, room);
    if (conf) {
        rd_kafka_conf_set_dr_msg_cb(conf, on_delivered);
        p->rk = kafka_client_new(RD_KAFKA_PRODUCER, conf, &error, detail, room);
    }
    if (p->rk) {
        *producer = p;
        return error_none();
    }
    free(p);
    return error;
}

struct error kafka_producer_send_to(struct kafka_producer *p, const struct kafka_output *record, int32_t partition)
{
    rd_kafka_resp_err_t code;

    while ((code = kafka_produce(p->rk, record, partition, true, (void *)(uintptr_t)record->tag)) ==
           RD_KAFKA_RESP_ERR__QUEUE_FULL)
        rd_kafka_poll(p->rk, 100); /* ends: message.timeout.ms empties the queue */
    if (!code)
        return error_none();
    kafka_copy_text(p->detail, sizeof p->detail, rd_kafka_err2str(code));
    return error_of(code);
}

struct error kafka_producer_send(struct kafka_producer *p, const struct kafka_output *record)
{
    return kafka_producer_send_to(p, record, RD_KAFKA_PARTITION_UA);
}

void kafka_producer_poll(struct kafka_producer *p, int timeout_ms) { rd_kafka_poll(p->rk, timeout_ms); }

struct error kafka_producer_flush(struct kafka_producer *p, int timeout_ms)
{
    if (!rd_kafka_flush(p->rk, timeout_ms))
        return error_none();
    kafka_copy_text(p->detail, sizeof p->detail, "some records have no outcome yet");
    return error_make(CLASS_AGAIN, "kafka_timeout", "some records have no outcome yet");
}

void kafka_producer_close(struct kafka_producer *p)
{
    if (!p)
        return;
    rd_kafka_purge(p->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    (void)rd_kafka_flush(p->rk, 1000); /* tells those that were purged */
    rd_kafka_destroy(p->rk);
    free(p);
}

const char *kafka_producer_detail(const struct kafka_producer *p) { return p->detail; }
