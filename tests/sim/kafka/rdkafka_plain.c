/* librdkafka's plain data: errors, lists of partitions, headers, configurations. */
#include <stdlib.h>
#include <string.h>

#include "rdkafka.h"
#include "world.h"

/* ---- Errors */

static const struct {
    rd_kafka_resp_err_t code;
    const char *name;
} names[] = {
    {RD_KAFKA_RESP_ERR_NO_ERROR, "NO_ERROR"},
    {RD_KAFKA_RESP_ERR__TRANSPORT, "_TRANSPORT"},
    {RD_KAFKA_RESP_ERR__TIMED_OUT, "_TIMED_OUT"},
    {RD_KAFKA_RESP_ERR__MSG_TIMED_OUT, "_MSG_TIMED_OUT"},
    {RD_KAFKA_RESP_ERR__PARTITION_EOF, "_PARTITION_EOF"},
    {RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS, "_ASSIGN_PARTITIONS"},
    {RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS, "_REVOKE_PARTITIONS"},
    {RD_KAFKA_RESP_ERR__PURGE_QUEUE, "_PURGE_QUEUE"},
    {RD_KAFKA_RESP_ERR__PURGE_INFLIGHT, "_PURGE_INFLIGHT"},
    {RD_KAFKA_RESP_ERR__QUEUE_FULL, "_QUEUE_FULL"},
    {RD_KAFKA_RESP_ERR__STATE, "_STATE"},
    {RD_KAFKA_RESP_ERR__FENCED, "_FENCED"},
    {RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN, "_ALL_BROKERS_DOWN"},
    {RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID, "UNKNOWN_MEMBER_ID"},
    {RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION, "ILLEGAL_GENERATION"},
    {RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS, "REBALANCE_IN_PROGRESS"},
    {RD_KAFKA_RESP_ERR_INVALID_TXN_STATE, "INVALID_TXN_STATE"},
    {RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH, "INVALID_PRODUCER_EPOCH"},
    {RD_KAFKA_RESP_ERR_PRODUCER_FENCED, "PRODUCER_FENCED"},
    {RD_KAFKA_RESP_ERR_CONCURRENT_TRANSACTIONS, "CONCURRENT_TRANSACTIONS"},
    {RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER, "OUT_OF_ORDER_SEQUENCE_NUMBER"},
    {RD_KAFKA_RESP_ERR_OFFSET_METADATA_TOO_LARGE, "OFFSET_METADATA_TOO_LARGE"},
    {RD_KAFKA_RESP_ERR_NOT_COORDINATOR, "NOT_COORDINATOR"},
    {RD_KAFKA_RESP_ERR_INVALID_PRODUCER_ID_MAPPING, "INVALID_PRODUCER_ID_MAPPING"},
    {RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, "MSG_SIZE_TOO_LARGE"},
};

const char *rd_kafka_err2name(rd_kafka_resp_err_t code)
{
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (names[i].code == code)
            return names[i].name;
    return "OTHER";
}

const char *rd_kafka_err2str(rd_kafka_resp_err_t code) { return rd_kafka_err2name(code); }

rd_kafka_error_t *fake_error(rd_kafka_resp_err_t code, bool fatal, bool retriable, bool abort)
{
    rd_kafka_error_t *e = memory_take(world_memory(), sizeof *e);

    *e = (struct rd_kafka_error_s){code, fatal, retriable, abort};
    return e;
}

rd_kafka_resp_err_t rd_kafka_error_code(const rd_kafka_error_t *e) { return e ? e->code : RD_KAFKA_RESP_ERR_NO_ERROR; }
const char *rd_kafka_error_name(const rd_kafka_error_t *e) { return rd_kafka_err2name(rd_kafka_error_code(e)); }
const char *rd_kafka_error_string(const rd_kafka_error_t *e) { return rd_kafka_error_name(e); }
int rd_kafka_error_is_fatal(const rd_kafka_error_t *e) { return e && e->fatal; }
int rd_kafka_error_is_retriable(const rd_kafka_error_t *e) { return e && e->retriable; }
int rd_kafka_error_txn_requires_abort(const rd_kafka_error_t *e) { return e && e->abort; }
void rd_kafka_error_destroy(rd_kafka_error_t *e) { (void)e; }
const char *rd_kafka_version_str(void) { return "simulated"; }

/* ---- Lists of partitions. In the world's memory, metadata excepted: the caller allocates that, and the list frees it. */

rd_kafka_topic_partition_list_t *rd_kafka_topic_partition_list_new(int size)
{
    rd_kafka_topic_partition_list_t *l = memory_take(world_memory(), sizeof *l);

    l->size = size > 0 ? size : 1;
    l->elems = memory_take(world_memory(), (size_t)l->size * sizeof *l->elems);
    return l;
}

rd_kafka_topic_partition_t *rd_kafka_topic_partition_list_add(rd_kafka_topic_partition_list_t *l, const char *topic,
                                                              int32_t partition)
{
    rd_kafka_topic_partition_t *x;

    if (l->cnt == l->size) {
        l->elems = memory_grow(world_memory(), l->elems, (size_t)l->cnt, (size_t)l->size * 2, sizeof *l->elems);
        l->size *= 2;
    }
    x = &l->elems[l->cnt++];
    *x = (rd_kafka_topic_partition_t){.topic = (char *)(uintptr_t)memory_copy(world_memory(), slice_of(topic)).at,
                                      .partition = partition,
                                      .offset = RD_KAFKA_OFFSET_INVALID};
    return x;
}

rd_kafka_topic_partition_t *rd_kafka_topic_partition_list_find(const rd_kafka_topic_partition_list_t *l, const char *topic,
                                                               int32_t partition)
{
    for (int i = 0; i < l->cnt; i++)
        if (l->elems[i].partition == partition && !strcmp(l->elems[i].topic, topic))
            return &l->elems[i];
    return NULL;
}

void rd_kafka_topic_partition_list_destroy(rd_kafka_topic_partition_list_t *l)
{
    for (int i = 0; i < l->cnt; i++)
        free(l->elems[i].metadata);
}

void rd_kafka_topic_partition_destroy(rd_kafka_topic_partition_t *x) { (void)x; }

rd_kafka_topic_partition_list_t *fake_list(const struct part_list *parts)
{
    rd_kafka_topic_partition_list_t *l = rd_kafka_topic_partition_list_new((int)parts->n);

    for (size_t i = 0; i < parts->n; i++)
        rd_kafka_topic_partition_list_add(l, parts->at[i]->topic, parts->at[i]->partition);
    return l;
}

/* ---- Headers */

rd_kafka_headers_t *rd_kafka_headers_new(size_t room)
{
    rd_kafka_headers_t *h = memory_take(world_memory(), sizeof *h);

    h->room = room;
    h->at = memory_take(world_memory(), (room + 1) * sizeof *h->at);
    return h;
}

rd_kafka_resp_err_t rd_kafka_header_add(rd_kafka_headers_t *h, const char *name, ssize_t name_len, const void *value,
                                        ssize_t value_len)
{
    if (h->n == h->room)
        return RD_KAFKA_RESP_ERR__INVALID_ARG;
    h->at[h->n++] = (struct kafka_header){memory_copy(world_memory(), (struct slice){name, (size_t)name_len}),
                                          memory_copy(world_memory(), (struct slice){value, (size_t)value_len})};
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

size_t rd_kafka_header_cnt(const rd_kafka_headers_t *h) { return h->n; }

rd_kafka_resp_err_t rd_kafka_header_get_all(const rd_kafka_headers_t *h, size_t i, const char **name, const void **value,
                                            size_t *len)
{
    if (i >= h->n)
        return RD_KAFKA_RESP_ERR__NOENT;
    *name = h->at[i].name.at; /* copied with a terminator */
    *value = h->at[i].value.at;
    *len = h->at[i].value.len;
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

void rd_kafka_headers_destroy(rd_kafka_headers_t *h) { (void)h; }

rd_kafka_resp_err_t rd_kafka_message_headers(const rd_kafka_message_t *m, rd_kafka_headers_t **headers)
{
    const struct entry *e = m->_private;

    if (!e->nheaders)
        return RD_KAFKA_RESP_ERR__NOENT;
    *headers = memory_take(world_memory(), sizeof **headers);
    **headers = (struct rd_kafka_headers_s){e->headers, e->nheaders, e->nheaders};
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

int64_t rd_kafka_message_timestamp(const rd_kafka_message_t *m, rd_kafka_timestamp_type_t *kind)
{
    *kind = RD_KAFKA_TIMESTAMP_CREATE_TIME;
    return ((const struct entry *)m->_private)->timestamp;
}

/* ---- Configuration */

rd_kafka_conf_t *rd_kafka_conf_new(void)
{
    rd_kafka_conf_t *c = memory_take(world_memory(), sizeof *c);

    *c = (struct rd_kafka_conf_s){.socket_timeout_ms = 60000,
                                  .transaction_timeout_ms = 60000,
                                  .message_timeout_ms = 300000,
                                  .session_timeout_ms = 45000,
                                  .heartbeat_ms = 3000};
    return c;
}

rd_kafka_conf_res_t rd_kafka_conf_set(rd_kafka_conf_t *c, const char *name, const char *value, char *why, size_t room)
{
    const struct {
        const char *name;
        int64_t *to;
    } numbers[] = {
        {"socket.timeout.ms", &c->socket_timeout_ms},   {"transaction.timeout.ms", &c->transaction_timeout_ms},
        {"message.timeout.ms", &c->message_timeout_ms}, {"session.timeout.ms", &c->session_timeout_ms},
        {"heartbeat.interval.ms", &c->heartbeat_ms},
    };

    (void)why, (void)room;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (!strcmp(name, numbers[i].name) && !slice_to_int(slice_of(value), 0, INT32_MAX, numbers[i].to))
            return RD_KAFKA_CONF_INVALID;
    if (!strcmp(name, "transactional.id"))
        c->transactional_id = (char *)(uintptr_t)memory_copy(world_memory(), slice_of(value)).at;
    return RD_KAFKA_CONF_OK;
}

void rd_kafka_conf_destroy(rd_kafka_conf_t *c) { (void)c; }
void rd_kafka_conf_set_opaque(rd_kafka_conf_t *c, void *opaque) { c->opaque = opaque; }
void rd_kafka_conf_enable_sasl_queue(rd_kafka_conf_t *c, int enable) { (void)c, (void)enable; }
void rd_kafka_conf_set_events(rd_kafka_conf_t *c, int events) { (void)c, (void)events; }

void rd_kafka_conf_set_log_cb(rd_kafka_conf_t *c, void (*log_cb)(const rd_kafka_t *, int, const char *, const char *))
{
    (void)c, (void)log_cb;
}

void rd_kafka_conf_set_error_cb(rd_kafka_conf_t *c, void (*error_cb)(rd_kafka_t *, int, const char *, void *))
{
    c->error_cb = error_cb;
}

void rd_kafka_conf_set_dr_msg_cb(rd_kafka_conf_t *c, void (*dr_msg_cb)(rd_kafka_t *, const rd_kafka_message_t *, void *))
{
    c->dr_msg_cb = dr_msg_cb;
}
