/* A reader of several topics that begins where it is told and finds new partitions by itself. */
#include "stepmill/kafka_follow.h"

#include <stdlib.h>
#include <string.h>

#include "kafka_topic_ids.h"
#include "stepmill/clock.h"

enum { LOOK_MS = 10000, LOOK_MISSING_MS = 1000, LOOK_TIMEOUT_MS = 2000 };

struct part {
    size_t topic;
    int32_t number;
    int64_t next, end;
    bool at_end, held;
};

struct kafka_follow {
    struct kafka_opaque opaque;
    struct kafka_follow_options options;
    rd_kafka_t *rk;
    rd_kafka_message_t *message; /* behind the record given out last */
    struct kafka_record record;
    struct kafka_headers headers;
    struct part *parts; /* sorted by topic, then number */
    size_t nparts;
    bool *known;                /* by topic: it was read off the brokers, or they have none of this name, or none for us */
    struct kafka_topic_id *ids; /* by topic */
    bool asked;                 /* for the ids, and all are of our topics */
    bool other;                 /* one is not */
    int64_t look_ms;
    const char *trouble;
};

static struct error error_of(rd_kafka_resp_err_t code)
{
    switch (kafka_trouble_of(code, false)) {
    case KAFKA_TROUBLE_TOPIC_MISSING:
        return error_make(CLASS_WAIT, "kafka_topic_missing", "the topic or the partition does not exist");
    case KAFKA_TROUBLE_AUTH:
        return error_make(CLASS_CONFIG, "kafka_denied", "the broker refuses this user");
    case KAFKA_TROUBLE_TRANSPORT:
    case KAFKA_TROUBLE_ALL_DOWN:
    default:
        return error_make(CLASS_AGAIN, "kafka_timeout", "no broker answered in time");
    }
}

static void release(struct kafka_follow *f)
{
    if (!f)
        return;
    kafka_headers_free(&f->headers);
    free(f->parts);
    free(f->known);
    free(f->ids);
    free(f);
}

struct error kafka_follow_open(struct kafka_follow **follow, const struct kafka_follow_options *options, char *detail,
                               size_t room)
{
    /* librdkafka wants a group name even of a consumer that joins none; nothing is ever committed under it. */
    static const struct kafka_option extra[] = {{"group.id", "stepmill-follow"}};
    struct kafka_follow *f = calloc(1, sizeof *f);
    struct error error;
    rd_kafka_conf_t *conf;

    *follow = NULL;
    if (f) {
        f->known = calloc(options->ntopics + 1, sizeof *f->known);
        f->ids = calloc(options->ntopics + 1, sizeof *f->ids);
    }
    if (!f || !f->known || !f->ids) {
        release(f);
        return error_make(CLASS_INTERNAL, "no_memory", "no memory left for the Kafka reader");
    }
    f->opaque.log = options->kafka.log;
    f->options = *options;
    conf = kafka_conf_new(KAFKA_ROLE_READER, &options->kafka, extra, 1, &f->opaque, &error, detail, room);
    f->rk = conf ? kafka_client_new(RD_KAFKA_CONSUMER, conf, &error, detail, room) : NULL;
    if (!f->rk) {
        release(f);
        return error;
    }
    rd_kafka_poll_set_consumer(f->rk);
    *follow = f;
    return error_none();
}

/* ---- Partitions */

struct error kafka_follow_partitions(struct kafka_follow *f, const char *topic, int timeout_ms, size_t *n)
{
    rd_kafka_topic_t *handle = rd_kafka_topic_new(f->rk, topic, NULL);
    const struct rd_kafka_metadata *m;
    rd_kafka_resp_err_t e = handle ? rd_kafka_metadata(f->rk, 0, handle, &m, timeout_ms) : rd_kafka_last_error();

    *n = 0;
    if (handle)
        rd_kafka_topic_destroy(handle);
    if (e)
        return error_of(e);
    e = m->topic_cnt ? m->topics[0].err : RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC;
    if (!e)
        *n = (size_t)m->topics[0].partition_cnt;
    rd_kafka_metadata_destroy(m);
    return e && kafka_trouble_of(e, false) != KAFKA_TROUBLE_TOPIC_MISSING ? error_of(e) : error_none();
}

static struct part *part_of(struct kafka_follow *f, const char *topic, int32_t number)
{
    for (size_t i = 0; i < f->nparts; i++)
        if (f->parts[i].number == number && !strcmp(f->options.topics[f->parts[i].topic], topic))
            return &f->parts[i];
    return NULL;
}

/* Reads a partition from here on; `start` < 0: from its oldest record. */
static bool assign(struct kafka_follow *f, const char *topic, int32_t number, int64_t start)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_error_t *e;

    rd_kafka_topic_partition_list_add(list, topic, number)->offset = start >= 0 ? start : RD_KAFKA_OFFSET_BEGINNING;
    e = rd_kafka_incremental_assign(f->rk, list);
    rd_kafka_topic_partition_list_destroy(list);
    if (!e)
        return true;
    f->trouble = rd_kafka_error_name(e);
    rd_kafka_error_destroy(e);
    return false;
}

static bool add_part(struct kafka_follow *f, size_t topic, int32_t number)
{
    struct part *grown = realloc(f->parts, (f->nparts + 1) * sizeof *grown);
    const char *name = f->options.topics[topic];
    int64_t start;

    if (!grown)
        return false;
    f->parts = grown;
    start = f->options.start(f->options.ctx, name, number);
    f->parts[f->nparts] =
        (struct part){.topic = topic, .number = number, .next = start >= 0 ? start : KAFKA_OFFSET_NONE, .end = KAFKA_OFFSET_NONE};
    if (!assign(f, name, number, start))
        return false;
    f->nparts++;
    return true;
}

void kafka_follow_hold(struct kafka_follow *f)
{
    struct part *p = f->message ? part_of(f, rd_kafka_topic_name(f->message->rkt), f->message->partition) : NULL;
    rd_kafka_topic_partition_list_t *list;
    rd_kafka_error_t *e;

    if (!p || p->held)
        return;
    p->next = f->message->offset;
    list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, f->options.topics[p->topic], p->number);
    e = rd_kafka_incremental_unassign(f->rk, list);
    rd_kafka_topic_partition_list_destroy(list);
    if (e)
        f->trouble = rd_kafka_error_name(e);
    rd_kafka_error_destroy(e);
    p->held = true;
}

void kafka_follow_release(struct kafka_follow *f)
{
    for (size_t i = 0; i < f->nparts; i++)
        if (f->parts[i].held)
            f->parts[i].held = !assign(f, f->options.topics[f->parts[i].topic], f->parts[i].number, f->parts[i].next);
}

/* Whether the topics are known to be those that the offsets are of. */
static bool look_at_ids(struct kafka_follow *f)
{
    const struct kafka_follow_options *o = &f->options;
    rd_kafka_resp_err_t e = kafka_topic_ids(f->rk, o->topics, o->ntopics, LOOK_TIMEOUT_MS, f->ids);

    if (e) {
        f->trouble = error_of(e).code;
        return false;
    }
    for (size_t t = 0; t < o->ntopics && !f->other; t++)
        f->other = f->ids[t].text[0] && !o->same(o->ctx, o->topics[t], f->ids[t].text);
    if (f->other)
        f->trouble = "topic_remade";
    f->asked = !f->other;
    return f->asked;
}

/* New topics and partitions. What cannot be asked now is asked again soon. */
static void look(struct kafka_follow *f)
{
    bool all = true;

    f->trouble = NULL;
    if (!look_at_ids(f)) {
        f->look_ms = clock_mono_ms() + LOOK_MISSING_MS;
        return;
    }
    for (size_t t = 0; t < f->options.ntopics; t++) {
        size_t n;
        struct error error = kafka_follow_partitions(f, f->options.topics[t], LOOK_TIMEOUT_MS, &n);

        if (failed(error) || !n) {
            f->trouble = failed(error) ? error.code : "topic_missing";
            /* What we are refused is said again and again, and must not keep the others from being worked with. */
            f->known[t] = f->known[t] || !failed(error) || error.class == CLASS_CONFIG;
            all = false;
            continue;
        }
        for (int32_t i = 0; (size_t)i < n; i++)
            if (!part_of(f, f->options.topics[t], i))
                all = add_part(f, t, i) && all;
        f->known[t] = true;
    }
    f->look_ms = clock_mono_ms() + (all ? LOOK_MS : LOOK_MISSING_MS);
}

/* ---- Records */

static enum kafka_read take(struct kafka_follow *f)
{
    struct part *p = part_of(f, rd_kafka_topic_name(f->message->rkt), f->message->partition);

    if (p && p->held) /* it was on its way already, and comes again */
        return KAFKA_READ_NOTHING;
    if (p) {
        p->next = f->message->offset + 1;
        p->at_end = false;
    }
    if (kafka_record_view(&f->record, f->message, &f->headers)) {
        f->trouble = NULL;
        return KAFKA_READ_RECORD;
    }
    f->trouble = "damaged_headers";
    return KAFKA_READ_FAILED;
}

static void mark_end(struct kafka_follow *f)
{
    struct part *p = part_of(f, rd_kafka_topic_name(f->message->rkt), f->message->partition);

    if (!p || p->held)
        return;
    p->next = f->message->offset; /* also behind records of aborted transactions and their marks */
    p->at_end = true;
    f->trouble = NULL;
}

enum kafka_read kafka_follow_next(struct kafka_follow *f, int timeout_ms, const struct kafka_record **record)
{
    enum kafka_read read;

    if (f->message)
        rd_kafka_message_destroy(f->message);
    f->message = NULL;
    if (clock_mono_ms() >= f->look_ms)
        look(f);
    if (f->other)
        return KAFKA_READ_NOTHING;
    f->message = rd_kafka_consumer_poll(f->rk, timeout_ms);
    if (!f->message)
        return KAFKA_READ_NOTHING;
    if (!f->message->err) {
        read = take(f);
        *record = &f->record;
        return read;
    }
    if (f->message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF)
        mark_end(f);
    else
        f->trouble = rd_kafka_err2name(f->message->err);
    return KAFKA_READ_NOTHING;
}

/* ---- What is known */

size_t kafka_follow_count(const struct kafka_follow *f) { return f->nparts; }

struct kafka_follow_part kafka_follow_part(struct kafka_follow *f, size_t i)
{
    struct part *p = &f->parts[i];
    const char *topic = f->options.topics[p->topic];
    int64_t low, high;

    if (!rd_kafka_get_watermark_offsets(f->rk, topic, p->number, &low, &high) && high >= 0)
        p->end = high;
    return (struct kafka_follow_part){topic, p->number, p->next, p->end, p->at_end};
}

bool kafka_follow_knows_topics(const struct kafka_follow *f) { return f->asked; }

bool kafka_follow_caught_up(const struct kafka_follow *f)
{
    for (size_t t = 0; t < f->options.ntopics; t++)
        if (!f->known[t])
            return false;
    for (size_t i = 0; i < f->nparts; i++)
        if (!f->parts[i].at_end)
            return false;
    return true;
}

struct error kafka_follow_ends(struct kafka_follow *f, const char *topic, int32_t partition, int timeout_ms, int64_t *oldest,
                               int64_t *next)
{
    rd_kafka_resp_err_t e = rd_kafka_query_watermark_offsets(f->rk, topic, partition, oldest, next, timeout_ms);

    return e ? error_of(e) : error_none();
}

/* rd_kafka_query_watermark_offsets would give the last stable offset. */
static struct error take_written(rd_kafka_event_t *event, size_t partitions, int64_t *ends)
{
    const rd_kafka_ListOffsetsResultInfo_t **infos;
    size_t n = 0;

    if (rd_kafka_event_error(event))
        return error_of(rd_kafka_event_error(event));
    infos = rd_kafka_ListOffsets_result_infos(rd_kafka_event_ListOffsets_result(event), &n);
    for (size_t i = 0; i < partitions; i++)
        ends[i] = -1;
    for (size_t i = 0; i < n; i++) {
        const rd_kafka_topic_partition_t *x = rd_kafka_ListOffsetsResultInfo_topic_partition(infos[i]);

        if (x->err)
            return error_of(x->err);
        if (x->partition >= 0 && (size_t)x->partition < partitions)
            ends[x->partition] = x->offset;
    }
    for (size_t i = 0; i < partitions; i++)
        if (ends[i] < 0)
            return error_of(RD_KAFKA_RESP_ERR__BAD_MSG);
    return error_none();
}

struct error kafka_follow_written(struct kafka_follow *f, const char *topic, size_t partitions, int timeout_ms, int64_t *ends)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)partitions);
    rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(f->rk, RD_KAFKA_ADMIN_OP_LISTOFFSETS);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(f->rk);
    struct error error = error_of(RD_KAFKA_RESP_ERR__TIMED_OUT);
    rd_kafka_event_t *event;
    char text[128];

    for (size_t i = 0; i < partitions; i++)
        rd_kafka_topic_partition_list_add(list, topic, (int32_t)i)->offset = RD_KAFKA_OFFSET_SPEC_LATEST;
    rd_kafka_error_destroy(rd_kafka_AdminOptions_set_isolation_level(options, RD_KAFKA_ISOLATION_LEVEL_READ_UNCOMMITTED));
    if (!rd_kafka_AdminOptions_set_request_timeout(options, timeout_ms, text, sizeof text)) {
        rd_kafka_ListOffsets(f->rk, list, options, queue);
        event = rd_kafka_queue_poll(queue, timeout_ms + 1000);
        if (event) {
            error = take_written(event, partitions, ends);
            rd_kafka_event_destroy(event);
        }
    }
    rd_kafka_queue_destroy(queue);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_topic_partition_list_destroy(list);
    return error;
}

const char *kafka_follow_trouble(const struct kafka_follow *f) { return f->trouble; }

void kafka_follow_close(struct kafka_follow *f)
{
    if (!f)
        return;
    if (f->message)
        rd_kafka_message_destroy(f->message);
    rd_kafka_destroy_flags(f->rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    release(f);
}
