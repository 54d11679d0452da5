/* A client of librdkafka: its life, its queue of events, and small requests. */
#include <string.h>

#include "kafka_client.h"
#include "kernel.h"
#include "rdkafka.h"
#include "world.h"

enum { DESTROY_MS = 100 };

static void on_trouble(void *owner, rd_kafka_resp_err_t code)
{
    struct rd_kafka_s *rk = owner;
    struct trouble *t;

    if (!rk->client.producer) {
        fake_enqueue(rk, &(struct rd_kafka_op_s){.type = RD_KAFKA_EVENT_ERROR, .error = code, .text = "1 request(s) failed"});
        return;
    }
    t = memory_take(world_memory(), sizeof *t);
    *t = (struct trouble){NULL, code};
    *rk->troubles_end = t;
    rk->troubles_end = &t->next;
}

void fake_serve_troubles(struct rd_kafka_s *rk)
{
    struct trouble *t = rk->troubles;

    rk->troubles = NULL;
    rk->troubles_end = &rk->troubles;
    for (; t; t = t->next)
        if (rk->conf.error_cb)
            rk->conf.error_cb(rk, t->code, "1 request(s) failed", rk->conf.opaque);
}

rd_kafka_t *rd_kafka_new(rd_kafka_type_t type, rd_kafka_conf_t *conf, char *why, size_t room)
{
    struct rd_kafka_s *rk = memory_take(world_memory(), sizeof *rk);

    (void)why, (void)room;
    rk->client = (struct client){.process = sim_self(),
                                 .name = type == RD_KAFKA_PRODUCER ? "the producer" : "the consumer",
                                 .producer = type == RD_KAFKA_PRODUCER,
                                 .trouble = on_trouble,
                                 .owner = rk};
    rk->conf = *conf;
    rk->queue = (struct rd_kafka_queue_s){.rk = rk, .fd = -1};
    rk->queue.last = &rk->queue.first;
    rk->troubles_end = &rk->troubles;
    rk->cgrp.member.generation = -1;
    produce_reset(rk);
    return rk;
}

void rd_kafka_destroy(rd_kafka_t *rk)
{
    rk->client.closed = true;
    strand_sleep(sim_now_ms() + (int64_t)sim_below(DESTROY_MS));
}

void rd_kafka_destroy_flags(rd_kafka_t *rk, int flags)
{
    (void)flags;
    rd_kafka_destroy(rk);
}

/* In the product beside a thread of its own, for the real library may hang. */
bool kafka_consumer_destroy(rd_kafka_t *rk, int timeout_ms, const struct log *log)
{
    (void)timeout_ms;
    (void)log;
    rd_kafka_destroy(rk);
    return true;
}

const char *rd_kafka_name(const rd_kafka_t *rk) { return rk->client.name; }
void *rd_kafka_opaque(const rd_kafka_t *rk) { return rk->conf.opaque; }

rd_kafka_error_t *rd_kafka_sasl_background_callbacks_enable(rd_kafka_t *rk)
{
    (void)rk;
    return NULL;
}

int rd_kafka_poll(rd_kafka_t *rk, int timeout_ms)
{
    if (timeout_ms > 0)
        strand_sleep(sim_now_ms() + timeout_ms);
    fake_serve_troubles(rk);
    produce_serve(rk);
    return 0;
}

/* ---- Metadata */

struct metadata_call {
    struct request request;
    struct strand *waiter;
    bool done;
};

static void metadata_act(struct request *r) { (void)r; }

static void metadata_answered(struct request *r)
{
    struct metadata_call *c = r->ctx;

    c->done = true;
    strand_wake(c->waiter);
}

rd_kafka_resp_err_t rd_kafka_metadata(rd_kafka_t *rk, int all, rd_kafka_topic_t *only, const struct rd_kafka_metadata **metadata,
                                      int timeout_ms)
{
    static const struct rd_kafka_metadata nothing = {.topic_cnt = 0};
    struct metadata_call *c = memory_take(world_memory(), sizeof *c);
    int64_t until = sim_now_ms() + timeout_ms;

    (void)all, (void)only;
    *c = (struct metadata_call){.request = {.client = &rk->client,
                                            .server = SERVER_LOGS,
                                            .name = "Metadata",
                                            .timeout_ms = rk->conf.socket_timeout_ms,
                                            .act = metadata_act,
                                            .answered = metadata_answered,
                                            .ctx = c},
                                .waiter = strand_self()};
    net_send(&c->request);
    while (!c->done && sim_now_ms() < until)
        strand_sleep(until);
    *metadata = &nothing;
    return c->done ? c->request.error : RD_KAFKA_RESP_ERR__TIMED_OUT;
}

void rd_kafka_metadata_destroy(const struct rd_kafka_metadata *metadata) { (void)metadata; }

rd_kafka_topic_t *rd_kafka_topic_new(rd_kafka_t *rk, const char *name, rd_kafka_topic_conf_t *conf)
{
    rd_kafka_topic_t *t = memory_take(world_memory(), sizeof *t);

    (void)rk, (void)conf;
    t->name = memory_copy(world_memory(), slice_of(name)).at;
    return t;
}

void rd_kafka_topic_destroy(rd_kafka_topic_t *t) { (void)t; }
const char *rd_kafka_topic_name(const rd_kafka_topic_t *t) { return t->name; }

/* ---- The queue */

void fake_enqueue(struct rd_kafka_s *rk, const struct rd_kafka_op_s *op)
{
    struct rd_kafka_op_s *copy = memory_take(world_memory(), sizeof *copy);
    bool was_empty = !rk->queue.first;

    *copy = *op;
    copy->next = NULL;
    *rk->queue.last = copy;
    rk->queue.last = &copy->next;
    if (was_empty && rk->queue.fd >= 0)
        wake_ring(rk->client.process, rk->queue.fd);
}

rd_kafka_queue_t *rd_kafka_queue_get_consumer(rd_kafka_t *rk) { return &rk->queue; }

void rd_kafka_queue_destroy(rd_kafka_queue_t *q) { (void)q; }

void rd_kafka_queue_io_event_enable(rd_kafka_queue_t *q, int fd, const void *payload, size_t size)
{
    (void)payload, (void)size;
    q->fd = fd;
}

/* What the app is not to see any more, or never was. */
static bool is_for_app(struct rd_kafka_op_s *op)
{
    if (!op->part)
        return true;
    if (op->version != op->part->version)
        return false;
    if (op->type != RD_KAFKA_EVENT_NONE)
        return true;
    if (op->offset > op->part->app_at)
        op->part->app_at = op->offset;
    return false;
}

rd_kafka_event_t *rd_kafka_queue_poll(rd_kafka_queue_t *q, int timeout_ms)
{
    (void)timeout_ms; /* 0 */
    while (q->first) {
        struct rd_kafka_op_s *op = q->first;

        q->first = op->next;
        if (!q->first)
            q->last = &q->first;
        if (is_for_app(op))
            return op;
    }
    return NULL;
}

rd_kafka_event_type_t rd_kafka_event_type(const rd_kafka_event_t *e) { return e->type; }
rd_kafka_resp_err_t rd_kafka_event_error(rd_kafka_event_t *e) { return e->error; }
const char *rd_kafka_event_error_string(rd_kafka_event_t *e) { return e->text ? e->text : rd_kafka_err2str(e->error); }

int rd_kafka_event_error_is_fatal(rd_kafka_event_t *e)
{
    (void)e;
    return 0;
}

rd_kafka_topic_partition_list_t *rd_kafka_event_topic_partition_list(rd_kafka_event_t *e) { return e->list; }

rd_kafka_topic_partition_t *rd_kafka_event_topic_partition(rd_kafka_event_t *e)
{
    rd_kafka_topic_partition_list_t *l;

    if (!e->part)
        return NULL;
    l = rd_kafka_topic_partition_list_new(1);
    return rd_kafka_topic_partition_list_add(l, e->part->log->topic, e->part->log->partition);
}

const rd_kafka_message_t *rd_kafka_event_message_next(rd_kafka_event_t *e)
{
    if (e->taken || e->version != e->part->version)
        return NULL;
    e->taken = true;
    e->part->app_at = e->message.offset + 1;
    return &e->message;
}

void rd_kafka_event_destroy(rd_kafka_event_t *e) { (void)e; }
