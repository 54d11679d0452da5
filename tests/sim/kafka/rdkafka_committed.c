/* rd_kafka_committed: waits for stable offsets, which an open transaction can hold up. */
#include <stdlib.h>
#include <string.h>

#include "rdkafka.h"
#include "world.h"

enum { AGAIN_MS = 100 };

/* One OffsetFetch; outlives the call that waits for it. */
struct offset_fetch {
    struct request request;
    struct strand *waiter;
    size_t n;
    struct log_of *logs[OFFSETS_MAX];
    struct stored_offset stored[OFFSETS_MAX];
    bool stable, done;
};

static void act(struct request *r)
{
    struct offset_fetch *f = (struct offset_fetch *)r;

    f->stable = true;
    for (size_t i = 0; i < f->n; i++)
        f->stable &= group_stored(f->logs[i], &f->stored[i]);
}

static void answered(struct request *r)
{
    struct offset_fetch *f = (struct offset_fetch *)r;

    f->done = true;
    strand_wake(f->waiter);
}

static struct offset_fetch *ask(rd_kafka_t *rk, const rd_kafka_topic_partition_list_t *l)
{
    struct offset_fetch *f = memory_take(world_memory(), sizeof *f);

    f->request = (struct request){.client = &rk->client,
                                  .server = SERVER_GROUP,
                                  .name = "OffsetFetch",
                                  .timeout_ms = rk->conf.socket_timeout_ms,
                                  .act = act,
                                  .answered = answered};
    f->waiter = strand_self();
    f->n = (size_t)l->cnt;
    for (size_t i = 0; i < f->n; i++)
        f->logs[i] = logs_find(l->elems[i].topic, l->elems[i].partition);
    net_send(&f->request);
    return f;
}

static void take(rd_kafka_topic_partition_t *x, const struct stored_offset *s)
{
    free(x->metadata);
    x->metadata = NULL;
    x->metadata_size = 0;
    x->err = RD_KAFKA_RESP_ERR_NO_ERROR;
    x->offset = s->offset >= 0 ? s->offset : RD_KAFKA_OFFSET_INVALID;
    if (!s->metadata.len)
        return;
    x->metadata = malloc(s->metadata.len);
    x->metadata_size = s->metadata.len;
    memcpy(x->metadata, s->metadata.at, s->metadata.len);
}

/* The request was answered, one partition was not: its offset then means nothing. */
static void spoil(rd_kafka_topic_partition_list_t *l)
{
    rd_kafka_topic_partition_t *x;

    if (!l->cnt || !sim_fault(SIM_FAULT_KAFKA_COMMITTED))
        return;
    x = &l->elems[sim_below((uint64_t)l->cnt)];
    sim_note("Kafka: the committed offset of %s/%d can't be told now", x->topic, x->partition);
    take(x, &(struct stored_offset){.offset = -1});
    x->err = RD_KAFKA_RESP_ERR_UNSTABLE_OFFSET_COMMIT;
}

rd_kafka_resp_err_t rd_kafka_committed(rd_kafka_t *rk, rd_kafka_topic_partition_list_t *l, int timeout_ms)
{
    int64_t until = sim_now_ms() + timeout_ms;

    while (sim_now_ms() < until) {
        struct offset_fetch *f = ask(rk, l);

        while (!f->done && sim_now_ms() < until)
            strand_sleep(until);
        if (f->done && f->request.error == RD_KAFKA_RESP_ERR_NOT_COORDINATOR)
            return f->request.error;
        if (f->done && !f->request.error && f->stable) {
            for (size_t i = 0; i < f->n; i++)
                take(&l->elems[i], &f->stored[i]);
            spoil(l);
            return RD_KAFKA_RESP_ERR_NO_ERROR;
        }
        if (sim_now_ms() < until)
            for (int64_t pause = sim_now_ms() + AGAIN_MS; sim_now_ms() < pause && sim_now_ms() < until;)
                strand_sleep(pause < until ? pause : until);
    }
    return RD_KAFKA_RESP_ERR__TIMED_OUT;
}
