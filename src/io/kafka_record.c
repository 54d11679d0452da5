/* Records and errors between librdkafka's form and ours. */
#include <stdlib.h>
#include <string.h>

#include "kafka_client.h"

void kafka_headers_free(struct kafka_headers *h)
{
    free(h->at);
    *h = (struct kafka_headers){NULL, 0};
}

static bool view_headers(struct kafka_record *r, const rd_kafka_message_t *m, struct kafka_headers *room)
{
    rd_kafka_headers_t *headers;
    rd_kafka_resp_err_t e = rd_kafka_message_headers(m, &headers);
    size_t n;

    if (e == RD_KAFKA_RESP_ERR__NOENT)
        return true;
    if (e)
        return false;
    n = rd_kafka_header_cnt(headers);
    if (n > room->room) {
        struct kafka_header *at = realloc(room->at, n * sizeof *at);

        if (!at)
            return false;
        *room = (struct kafka_headers){at, n};
    }
    for (size_t i = 0; i < n; i++) {
        const char *name;
        const void *value;
        size_t len;

        if (rd_kafka_header_get_all(headers, i, &name, &value, &len))
            return false;
        room->at[i] = (struct kafka_header){slice_of(name), {value, value ? len : 0}};
    }
    r->headers = room->at;
    r->nheaders = n;
    return true;
}

bool kafka_record_view(struct kafka_record *r, const rd_kafka_message_t *m, struct kafka_headers *room)
{
    rd_kafka_timestamp_type_t kind;

    *r = (struct kafka_record){
        .topic = rd_kafka_topic_name(m->rkt),
        .partition = m->partition,
        .offset = m->offset,
        .timestamp = rd_kafka_message_timestamp(m, &kind),
        .key = {m->key, m->key ? m->key_len : 0},
        .value = {m->payload, m->payload ? m->len : 0},
    };
    r->time_kind = kind == RD_KAFKA_TIMESTAMP_CREATE_TIME       ? KAFKA_TIME_CREATED
                   : kind == RD_KAFKA_TIMESTAMP_LOG_APPEND_TIME ? KAFKA_TIME_APPENDED
                                                                : KAFKA_TIME_NONE;
    return view_headers(r, m, room);
}

size_t kafka_output_size(const struct kafka_output *o)
{
    enum {
        RECORD = 5 + 1 + 10 + 5 + 5 + 5 +
                 5, /* length, attributes, time, offset, lengths of key and value, header count: varints at their longest */
        BATCH = 61, /* the record batch around it; the broker compares the batch with max.message.bytes */
    };
    size_t size = BATCH + RECORD + o->key.len + o->value.len;

    for (size_t i = 0; i < o->nheaders; i++)
        size += 5 + o->headers[i].name.len + 5 + o->headers[i].value.len;
    return size;
}

static rd_kafka_headers_t *make_headers(const struct kafka_output *o)
{
    rd_kafka_headers_t *headers = rd_kafka_headers_new(o->nheaders);

    for (size_t i = 0; i < o->nheaders; i++) {
        const struct kafka_header *h = &o->headers[i];

        if (rd_kafka_header_add(headers, h->name.len ? h->name.at : "", (ssize_t)h->name.len, h->value.at,
                                (ssize_t)h->value.len)) {
            rd_kafka_headers_destroy(headers);
            return NULL;
        }
    }
    return headers;
}

rd_kafka_resp_err_t kafka_produce(rd_kafka_t *rk, const struct kafka_output *o, int32_t partition, bool copy, void *opaque)
{
    rd_kafka_headers_t *headers = NULL;
    rd_kafka_resp_err_t code;
    rd_kafka_error_t *e;
    rd_kafka_vu_t vu[8] = {
        {.vtype = RD_KAFKA_VTYPE_TOPIC, .u.cstr = o->topic},
        {.vtype = RD_KAFKA_VTYPE_PARTITION, .u.i32 = partition},
        {.vtype = RD_KAFKA_VTYPE_VALUE, .u.mem = {(void *)(uintptr_t)o->value.at, o->value.len}},
        {.vtype = RD_KAFKA_VTYPE_KEY, .u.mem = {(void *)(uintptr_t)o->key.at, o->key.len}},
        {.vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = copy ? RD_KAFKA_MSG_F_COPY : 0},
        {.vtype = RD_KAFKA_VTYPE_TIMESTAMP, .u.i64 = o->timestamp},
        {.vtype = RD_KAFKA_VTYPE_OPAQUE, .u.ptr = opaque},
    };
    size_t n = 7;

    if (o->nheaders) {
        headers = make_headers(o);
        if (!headers)
            return RD_KAFKA_RESP_ERR__INVALID_ARG;
        vu[n].vtype = RD_KAFKA_VTYPE_HEADERS;
        vu[n++].u.headers = headers;
    }
    e = rd_kafka_produceva(rk, vu, n);
    if (!e)
        return RD_KAFKA_RESP_ERR_NO_ERROR; /* librdkafka owns the headers now */
    code = rd_kafka_error_code(e);
    rd_kafka_error_destroy(e);
    if (headers)
        rd_kafka_headers_destroy(headers);
    return code;
}

rd_kafka_topic_partition_list_t *kafka_list_of(const struct kafka_partition *p, size_t n)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)n);

    for (size_t i = 0; i < n; i++)
        rd_kafka_topic_partition_list_add(list, p[i].topic, p[i].partition);
    return list;
}

const char *kafka_trouble_name(enum kafka_trouble_kind kind)
{
    static const char *const names[] = {
        [KAFKA_TROUBLE_TRANSPORT] = "transport",
        [KAFKA_TROUBLE_ALL_DOWN] = "all_down",
        [KAFKA_TROUBLE_TOPIC_MISSING] = "topic_missing",
        [KAFKA_TROUBLE_AUTH] = "auth",
        [KAFKA_TROUBLE_OTHER] = "other",
        [KAFKA_TROUBLE_FATAL] = "fatal",
    };

    return names[kind];
}

enum kafka_trouble_kind kafka_trouble_of(rd_kafka_resp_err_t code, bool fatal)
{
    if (fatal)
        return KAFKA_TROUBLE_FATAL;
    switch ((int)code) {
    case RD_KAFKA_RESP_ERR__TRANSPORT:
    case RD_KAFKA_RESP_ERR__TIMED_OUT:
    case RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE:
    case RD_KAFKA_RESP_ERR__RESOLVE:
    case RD_KAFKA_RESP_ERR_NETWORK_EXCEPTION:
    case RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT:
        return KAFKA_TROUBLE_TRANSPORT;
    case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
        return KAFKA_TROUBLE_ALL_DOWN;
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
        return KAFKA_TROUBLE_TOPIC_MISSING;
    case RD_KAFKA_RESP_ERR__AUTHENTICATION:
    case RD_KAFKA_RESP_ERR__SSL:
    case RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED:
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED:
        return KAFKA_TROUBLE_AUTH;
    default:
        return KAFKA_TROUBLE_OTHER;
    }
}
