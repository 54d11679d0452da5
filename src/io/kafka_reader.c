/* A plain reader for hand tools: read_committed, no group, all partitions of a topic, merged as they come. */
#include <stdlib.h>
#include <string.h>

#include "kafka_client.h"
#include "stepmill/clock.h"
#include "stepmill/kafka_admin.h"

struct kafka_reader {
    struct kafka_opaque opaque;
    rd_kafka_t *rk;
    rd_kafka_message_t *message; /* behind the record given out last */
    struct kafka_record record;
    struct kafka_headers headers;
    bool *at_end, *skipped; /* by partition number */
    size_t nparts;
    size_t open; /* partitions read and not at their end */
    bool told_end;
    struct error error;
    char detail[512];
};

static bool reader_fail(struct kafka_reader *r, rd_kafka_resp_err_t code, const char *detail)
{
    enum kafka_trouble_kind kind = kafka_trouble_of(code, false);

    kafka_copy_text(r->detail, sizeof r->detail, detail ? detail : rd_kafka_err2str(code));
    if (kind == KAFKA_TROUBLE_TRANSPORT || kind == KAFKA_TROUBLE_ALL_DOWN)
        r->error = error_make(CLASS_AGAIN, "kafka_timeout", "no broker answered in time");
    else if (kind == KAFKA_TROUBLE_TOPIC_MISSING)
        r->error = error_make(CLASS_CONFIG, "kafka_topic_missing", "the topic or the partition does not exist");
    else if (kind == KAFKA_TROUBLE_AUTH)
        r->error = error_make(CLASS_CONFIG, "kafka_denied", "the broker refuses this user");
    else
        r->error = error_make(CLASS_CONFIG, "kafka_unreadable", "the topic cannot be read");
    return false;
}

static bool count_partitions(struct kafka_reader *r, const char *topic, int timeout_ms)
{
    rd_kafka_topic_t *handle = rd_kafka_topic_new(r->rk, topic, NULL);
    const struct rd_kafka_metadata *m;
    rd_kafka_resp_err_t e = handle ? rd_kafka_metadata(r->rk, 0, handle, &m, timeout_ms) : rd_kafka_last_error();

    if (handle)
        rd_kafka_topic_destroy(handle);
    if (e)
        return reader_fail(r, e, NULL);
    e = m->topic_cnt ? m->topics[0].err : RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC;
    r->nparts = e ? 0 : (size_t)m->topics[0].partition_cnt;
    rd_kafka_metadata_destroy(m);
    if (e || !r->nparts)
        return reader_fail(r, e ? e : RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC, NULL);
    r->at_end = calloc(r->nparts, sizeof *r->at_end);
    r->skipped = calloc(r->nparts, sizeof *r->skipped);
    return (r->at_end && r->skipped) || reader_fail(r, RD_KAFKA_RESP_ERR__FAIL, "out of memory");
}

/* The offset of one partition within what the topic holds now. */
static bool clamp(struct kafka_reader *r, rd_kafka_topic_partition_t *x, int64_t at, int timeout_ms)
{
    int64_t low, high;
    rd_kafka_resp_err_t e = rd_kafka_query_watermark_offsets(r->rk, x->topic, x->partition, &low, &high, timeout_ms);

    if (e)
        return reader_fail(r, e, NULL);
    x->offset = at < low ? low : at > high ? high : at;
    return true;
}

static bool place(struct kafka_reader *r, rd_kafka_topic_partition_list_t *list, enum kafka_start start, int64_t at,
                  int timeout_ms)
{
    rd_kafka_resp_err_t e;

    for (int i = 0; i < list->cnt; i++) {
        rd_kafka_topic_partition_t *x = &list->elems[i];

        x->offset = start == KAFKA_START_END ? RD_KAFKA_OFFSET_END : start == KAFKA_START_TIME ? at : RD_KAFKA_OFFSET_BEGINNING;
        if (start == KAFKA_START_OFFSET && !clamp(r, x, at, timeout_ms))
            return false;
    }
    if (start != KAFKA_START_TIME)
        return true;
    e = rd_kafka_offsets_for_times(r->rk, list, timeout_ms); /* none so late: the end */
    for (int i = 0; !e && i < list->cnt; i++)
        e = list->elems[i].err;
    return !e || reader_fail(r, e, NULL);
}

static bool assign(struct kafka_reader *r, const char *topic, int32_t partition, enum kafka_start start, int64_t at,
                   int timeout_ms)
{
    rd_kafka_topic_partition_list_t *list;
    rd_kafka_resp_err_t e;
    bool ok;

    if (!count_partitions(r, topic, timeout_ms))
        return false;
    if (partition >= (int32_t)r->nparts)
        return reader_fail(r, RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION, NULL);
    list = rd_kafka_topic_partition_list_new((int)r->nparts);
    for (size_t i = 0; i < r->nparts; i++)
        if (partition < 0 || (size_t)partition == i)
            rd_kafka_topic_partition_list_add(list, topic, (int32_t)i);
    r->open = (size_t)list->cnt;
    ok = place(r, list, start, at, timeout_ms);
    if (ok) {
        e = rd_kafka_assign(r->rk, list);
        ok = !e || reader_fail(r, e, NULL);
    }
    rd_kafka_topic_partition_list_destroy(list);
    return ok;
}

struct error kafka_reader_open(struct kafka_reader **reader, const struct kafka_options *options, const char *topic,
                               int32_t partition, enum kafka_start start, int64_t at, int timeout_ms, char *detail, size_t room)
{
    /* librdkafka wants a group name even of a consumer that joins none; nothing is ever committed under it. */
    static const struct kafka_option extra[] = {{"group.id", "stepmill-reader"}};
    struct kafka_reader *r = calloc(1, sizeof *r);
    struct error error;
    rd_kafka_conf_t *conf;

    *reader = NULL;
    if (!r)
        return error_make(CLASS_INTERNAL, "no_memory", "no memory left for the Kafka reader");
    r->opaque.log = options->log;
    conf = kafka_conf_new(KAFKA_ROLE_READER, options, extra, 1, &r->opaque, &error, detail, room);
    r->rk = conf ? kafka_client_new(RD_KAFKA_CONSUMER, conf, &error, detail, room) : NULL;
    if (!r->rk) {
        free(r);
        return error;
    }
    rd_kafka_poll_set_consumer(r->rk);
    if (assign(r, topic, partition, start, at, timeout_ms)) {
        *reader = r;
        return error_none();
    }
    error = r->error;
    kafka_copy_text(detail, room, r->detail);
    kafka_reader_close(r);
    return error;
}

/* A partition reached its end, or has more. */
static void mark(struct kafka_reader *r, int32_t partition, bool at_end)
{
    if (partition < 0 || (size_t)partition >= r->nparts || r->at_end[partition] == at_end || r->skipped[partition])
        return;
    r->at_end[partition] = at_end;
    r->open = at_end ? r->open - 1 : r->open + 1;
    if (!at_end)
        r->told_end = false;
}

static enum kafka_read take(struct kafka_reader *r, const struct kafka_record **record)
{
    if (!kafka_record_view(&r->record, r->message, &r->headers)) {
        reader_fail(r, RD_KAFKA_RESP_ERR__BAD_MSG, "the headers of a record are damaged, or too many for the memory");
        return KAFKA_READ_FAILED;
    }
    mark(r, r->message->partition, false);
    *record = &r->record;
    return KAFKA_READ_RECORD;
}

enum kafka_read kafka_reader_next(struct kafka_reader *r, int timeout_ms, const struct kafka_record **record)
{
    int64_t until = clock_mono_ms() + timeout_ms;

    for (;;) {
        int64_t left = until - clock_mono_ms();
        rd_kafka_resp_err_t e;

        if (r->message)
            rd_kafka_message_destroy(r->message);
        r->message = NULL;
        if (!r->open && !r->told_end) {
            r->told_end = true;
            return KAFKA_READ_END;
        }
        r->message = rd_kafka_consumer_poll(r->rk, left > 0 ? (int)left : 0);
        if (!r->message)
            return KAFKA_READ_NOTHING;
        e = r->message->err;
        if (r->message->partition >= 0 && (size_t)r->message->partition < r->nparts && r->skipped[r->message->partition])
            continue; /* fetched before */
        if (!e)
            return take(r, record);
        if (e == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
            mark(r, r->message->partition, true);
        } else if (kafka_trouble_of(e, false) != KAFKA_TROUBLE_TRANSPORT && e != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) {
            reader_fail(r, e, rd_kafka_message_errstr(r->message));
            return KAFKA_READ_FAILED;
        }
    }
}

void kafka_reader_skip(struct kafka_reader *r, int32_t partition)
{
    rd_kafka_topic_partition_list_t *list;

    if (partition < 0 || (size_t)partition >= r->nparts || r->skipped[partition])
        return;
    mark(r, partition, true);
    r->skipped[partition] = true;
    list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, rd_kafka_topic_name(r->message->rkt), partition);
    (void)rd_kafka_pause_partitions(r->rk, list); /* else it is fetched for nothing, no more */
    rd_kafka_topic_partition_list_destroy(list);
}

struct error kafka_reader_error(const struct kafka_reader *r, const char **detail)
{
    *detail = r->detail;
    return r->error;
}

void kafka_reader_close(struct kafka_reader *r)
{
    if (!r)
        return;
    if (r->message)
        rd_kafka_message_destroy(r->message);
    rd_kafka_destroy_flags(r->rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    kafka_headers_free(&r->headers);
    free(r->at_end);
    free(r->skipped);
    free(r);
}
