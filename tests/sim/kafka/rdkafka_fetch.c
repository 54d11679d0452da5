/* A consumer reads its partitions: committed records and what only moves the position; pause, resume, position. */
#include "rdkafka.h"
#include "stepmill/error.h"
#include "world.h"

enum { CONSUMERS_MAX = 256, FETCH_MS = 8, SLOW_FETCH_MS = 1500, LOOK_AGAIN_MS = 100, FETCH_RECORDS = 20 };

static struct {
    struct rd_kafka_s *consumers[CONSUMERS_MAX];
    size_t n;
} all;

void fetch_begin(void) { all.n = 0; }

void fetch_add_consumer(struct rd_kafka_s *rk)
{
    size_t n = 0;

    for (size_t i = 0; i < all.n; i++) /* the dead make room */
        if (process_is_alive(all.consumers[i]->client.process) && !all.consumers[i]->client.closed)
            all.consumers[n++] = all.consumers[i];
    if (n == CONSUMERS_MAX)
        bug("more than %d consumers", CONSUMERS_MAX);
    all.consumers[n] = rk;
    all.n = n + 1;
}

struct part *fake_part(struct rd_kafka_s *rk, struct log_of *log)
{
    struct part *p;

    for (size_t i = 0; i < rk->nparts; i++)
        if (rk->parts[i]->log == log)
            return rk->parts[i];
    p = rk->parts[rk->nparts++] = memory_take(world_memory(), sizeof *p);
    *p = (struct part){.log = log, .topic = {log->topic, log}, .app_at = RD_KAFKA_OFFSET_INVALID, .end_told = -1};
    return p;
}

/* While the app has not yet answered an event of a rebalance, nothing else moves. */
static bool stands_still(const struct rd_kafka_s *rk)
{
    return rk->cgrp.state == CG_WAIT_ASSIGN_CALL || rk->cgrp.state == CG_WAIT_UNASSIGN_CALL;
}

struct fetch {
    struct rd_kafka_s *rk;
    struct part *part;
};

static void read_on(void *fetch);

static void schedule(struct rd_kafka_s *rk, struct part *p, int64_t delay_ms)
{
    struct fetch *f;

    if (p->scheduled || !p->added || p->paused || rk->client.closed)
        return;
    f = memory_take(world_memory(), sizeof *f);
    *f = (struct fetch){rk, p};
    p->scheduled = true;
    kernel_aside(rk->client.process, delay_ms, read_on, f);
}

static int64_t delay(void)
{
    return sim_fault(SIM_FAULT_KAFKA_FETCH) ? (int64_t)sim_below(SLOW_FETCH_MS) : (int64_t)sim_below(FETCH_MS);
}

static void hand_over(struct rd_kafka_s *rk, struct part *p, int64_t offset)
{
    struct entry *e = &p->log->entries[offset];
    struct rd_kafka_op_s op = {.type = RD_KAFKA_EVENT_FETCH, .part = p, .version = p->version};

    op.message = (rd_kafka_message_t){.rkt = &p->topic,
                                      .partition = p->log->partition,
                                      .payload = (void *)(uintptr_t)e->value.at,
                                      .len = e->value.len,
                                      .key = (void *)(uintptr_t)e->key.at,
                                      .key_len = e->key.len,
                                      .offset = offset,
                                      ._private = memory_take(world_memory(), sizeof *e)};
    *(struct entry *)op.message._private = *e; /* the log may move */
    fake_enqueue(rk, &op);
}

static void read_on(void *fetch)
{
    struct rd_kafka_s *rk = ((struct fetch *)fetch)->rk;
    struct part *p = ((struct fetch *)fetch)->part;
    int64_t end = logs_stable_end(p->log);
    int records = 0;

    p->scheduled = false;
    if (!p->added || p->paused || rk->client.closed || stands_still(rk))
        return;
    if (net_is_out(SERVER_LOGS)) {
        schedule(rk, p, LOOK_AGAIN_MS);
        return;
    }
    while (p->fetch_at < end && records < FETCH_RECORDS) {
        const struct entry *e = &p->log->entries[p->fetch_at];

        if (e->kind == ENTRY_DATA && e->fate == FATE_COMMITTED) {
            hand_over(rk, p, p->fetch_at);
            records++;
        } else {
            fake_enqueue(rk, &(struct rd_kafka_op_s){
                                 .type = RD_KAFKA_EVENT_NONE, .part = p, .version = p->version, .offset = p->fetch_at + 1});
        }
        p->fetch_at++;
    }
    if (p->fetch_at < end) {
        schedule(rk, p, delay());
    } else if (p->end_told != end) {
        p->end_told = end;
        fake_enqueue(
            rk, &(struct rd_kafka_op_s){
                    .type = RD_KAFKA_EVENT_ERROR, .error = RD_KAFKA_RESP_ERR__PARTITION_EOF, .part = p, .version = p->version});
    }
}

void fetch_wake_all(void)
{
    for (size_t i = 0; i < all.n; i++)
        for (size_t k = 0; k < all.consumers[i]->nparts; k++)
            schedule(all.consumers[i], all.consumers[i]->parts[k], delay());
}

void fetch_start(struct rd_kafka_s *rk, struct part *p, int64_t offset)
{
    p->added = true; /* paused stays what it was: only the application resumes */
    p->version++;
    p->start = p->fetch_at = offset >= 0 ? offset : offset == RD_KAFKA_OFFSET_END ? logs_stable_end(p->log) : 0;
    p->app_at = RD_KAFKA_OFFSET_INVALID;
    p->end_told = -1;
    schedule(rk, p, delay());
}

void fetch_end(struct part *p)
{
    p->added = false;
    p->version++;
    p->app_at = RD_KAFKA_OFFSET_INVALID;
}

/* Behind what the app has taken: what was queued is fetched again. */
static void rewind_to_app(struct part *p)
{
    p->version++;
    p->fetch_at = p->app_at >= 0 ? p->app_at : p->start;
    p->end_told = -1;
}

void fetch_pause_all(struct rd_kafka_s *rk)
{
    for (size_t i = 0; i < rk->nparts; i++)
        if (rk->parts[i]->added && !rk->parts[i]->paused)
            rewind_to_app(rk->parts[i]);
}

void fetch_resume_all(struct rd_kafka_s *rk)
{
    for (size_t i = 0; i < rk->nparts; i++)
        schedule(rk, rk->parts[i], delay());
}

static rd_kafka_resp_err_t set_paused(rd_kafka_t *rk, rd_kafka_topic_partition_list_t *l, bool pause)
{
    for (int i = 0; i < l->cnt; i++) {
        struct log_of *log = logs_find(l->elems[i].topic, l->elems[i].partition);
        struct part *p = log ? fake_part(rk, log) : NULL;

        l->elems[i].err = p ? RD_KAFKA_RESP_ERR_NO_ERROR : RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION;
        if (l->elems[i].err)
            continue;
        p->paused = pause;
        if (!p->added)
            continue;
        rewind_to_app(p);
        schedule(rk, p, delay());
    }
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

rd_kafka_resp_err_t rd_kafka_pause_partitions(rd_kafka_t *rk, rd_kafka_topic_partition_list_t *l)
{
    return set_paused(rk, l, true);
}

rd_kafka_resp_err_t rd_kafka_resume_partitions(rd_kafka_t *rk, rd_kafka_topic_partition_list_t *l)
{
    return set_paused(rk, l, false);
}

rd_kafka_resp_err_t rd_kafka_position(rd_kafka_t *rk, rd_kafka_topic_partition_list_t *l)
{
    for (int i = 0; i < l->cnt; i++) {
        struct log_of *log = logs_find(l->elems[i].topic, l->elems[i].partition);

        l->elems[i].offset = log ? fake_part(rk, log)->app_at : RD_KAFKA_OFFSET_INVALID;
        l->elems[i].err = RD_KAFKA_RESP_ERR_NO_ERROR;
    }
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}
