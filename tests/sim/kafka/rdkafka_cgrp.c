/* The consumer's membership, as librdkafka's rdkafka_cgrp.c keeps it: join, heartbeats, assignment given and taken, lost, leave.
 */
#include <stdlib.h>

#include "ledger.h"
#include "rdkafka.h"
#include "stepmill/error.h"
#include "world.h"

enum { JOIN_MS = 15 * 1000, JOIN_AGAIN_MS = 500, SERVE_MS = 1000, HANDOVER_MS = 5000, HANDOVER_MOST_MS = 6000 };

static void join(struct rd_kafka_s *rk);

static struct request new_request(struct rd_kafka_s *rk, const char *name, int64_t timeout_ms, void (*act)(struct request *),
                                  void (*answered)(struct request *), void *ctx)
{
    return (struct request){.client = &rk->client,
                            .server = SERVER_GROUP,
                            .name = name,
                            .timeout_ms = timeout_ms,
                            .act = act,
                            .answered = answered,
                            .ctx = ctx};
}

/* ---- What the app is told */

static void tell(struct rd_kafka_s *rk, rd_kafka_resp_err_t kind, const struct part_list *parts, bool rejoin)
{
    struct cgrp *g = &rk->cgrp;

    g->rejoin = rejoin;
    g->state = kind == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS ? CG_WAIT_ASSIGN_CALL : CG_WAIT_UNASSIGN_CALL;
    if (kind == RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS)
        g->revoking = *parts;
    g->told_ms = sim_now_ms();
    fetch_pause_all(rk);
    fake_enqueue(rk, &(struct rd_kafka_op_s){.type = RD_KAFKA_EVENT_REBALANCE, .error = kind, .list = fake_list(parts)});
}

static bool rebalancing(const struct cgrp *g)
{
    return (g->state == CG_WAIT_JOIN && g->member.id) || g->state == CG_WAIT_ASSIGN_CALL || g->state == CG_WAIT_UNASSIGN_CALL ||
           g->has_incr || g->rejoin;
}

static void rejoin(struct rd_kafka_s *rk)
{
    rk->cgrp.state = CG_INIT;
    rk->cgrp.rejoin = false;
    join(rk);
}

static void revoke_all(struct rd_kafka_s *rk, bool lost)
{
    struct cgrp *g = &rk->cgrp;

    if (g->assignment.n) {
        g->lost = lost;
        if (lost)
            sim_note("Kafka: the consumer has lost its %zu partitions", g->assignment.n);
        tell(rk, RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS, &g->assignment, !g->closing);
    } else if (!g->closing) {
        rejoin(rk);
    }
}

static void revoke_all_maybe(struct rd_kafka_s *rk)
{
    if (!rebalancing(&rk->cgrp))
        revoke_all(rk, true);
}

/* ---- Leave */

struct leave {
    struct request request;
    uint64_t member;
};

static void leave_act(struct request *r) { group_leave(((struct leave *)r)->member); }
static void leave_answered(struct request *r) { (void)r; }

static void terminate(struct rd_kafka_s *rk)
{
    struct leave *l = memory_take(world_memory(), sizeof *l);

    l->request = new_request(rk, "LeaveGroup", 5000, leave_act, leave_answered, rk);
    l->member = rk->cgrp.member.id;
    net_send(&l->request);
    rk->cgrp.state = CG_TERM;
}

/* ---- Join */

struct join_call {
    struct join join; /* first */
    uint64_t number;
};

static void again(void *client)
{
    struct rd_kafka_s *rk = client;

    if (!rk->client.closed && rk->cgrp.state == CG_INIT)
        join(rk);
}

static void given(struct rd_kafka_s *rk, const struct join *j)
{
    struct cgrp *g = &rk->cgrp;
    struct part_list added = {.n = 0}, revoked = {.n = 0};

    g->member = j->member;
    g->session_end_ms = sim_now_ms() + rk->conf.session_timeout_ms;
    for (size_t i = 0; i < j->parts.n; i++)
        if (!part_list_has(&g->assignment, j->parts.at[i]))
            added.at[added.n++] = j->parts.at[i];
    for (size_t i = 0; i < g->assignment.n; i++)
        if (!part_list_has(&j->parts, g->assignment.at[i]))
            revoked.at[revoked.n++] = g->assignment.at[i];
    if (revoked.n) {
        g->incr = added;
        g->has_incr = true;
        tell(rk, RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS, &revoked, false);
        return;
    }
    for (size_t i = 0; i < added.n; i++)
        g->assignment.at[g->assignment.n++] = added.at[i];
    tell(rk, RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS, &added, false);
}

static void joined(struct request *r)
{
    struct join_call *c = (struct join_call *)r;
    struct rd_kafka_s *rk = r->ctx;
    struct cgrp *g = &rk->cgrp;

    if (g->join_number != c->number || g->state != CG_WAIT_JOIN)
        return; /* outdated */
    if (!r->error) {
        given(rk, &c->join);
        return;
    }
    g->state = CG_INIT;
    if (r->error == RD_KAFKA_RESP_ERR_MEMBER_ID_REQUIRED) {
        g->member.id = c->join.member.id;
        revoke_all(rk, true); /* what it still holds was given to somebody it no longer is */
        return;
    }
    if (r->error == RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID)
        g->member.id = 0;
    kernel_aside(rk->client.process, (int64_t)sim_below(JOIN_AGAIN_MS), again, rk);
}

static void join(struct rd_kafka_s *rk)
{
    struct cgrp *g = &rk->cgrp;
    struct join_call *c = memory_take(world_memory(), sizeof *c);

    if (g->closing) {
        terminate(rk);
        return;
    }
    g->state = CG_WAIT_JOIN;
    c->number = ++g->join_number;
    c->join.request = new_request(rk, "JoinGroup", JOIN_MS, group_join, joined, rk);
    c->join.member = g->member;
    c->join.parts = g->assignment;
    net_send(&c->join.request);
}

/* ---- Heartbeats */

struct heartbeat {
    struct request request;
    struct member member;
};

static void heartbeat_act(struct request *r) { r->error = group_heartbeat(((struct heartbeat *)r)->member); }

static void heartbeat_answered(struct request *r)
{
    struct rd_kafka_s *rk = r->ctx;
    struct cgrp *g = &rk->cgrp;

    g->heartbeat_under_way = false;
    if (g->state < CG_WAIT_ASSIGN_CALL || g->state == CG_TERM)
        return;
    if (!r->error || r->error == RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS) {
        if (g->session_end_ms)
            g->session_end_ms = sim_now_ms() + rk->conf.session_timeout_ms;
        if (r->error && !rebalancing(g) && !g->closing)
            rejoin(rk);
    } else if (r->error == RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID) {
        g->member.id = 0;
        revoke_all_maybe(rk);
    } else if (r->error == RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION) {
        g->member.generation = -1;
        revoke_all_maybe(rk);
    }
}

static void look_at_session(struct rd_kafka_s *rk)
{
    struct cgrp *g = &rk->cgrp;

    if (!g->session_end_ms || sim_now_ms() < g->session_end_ms)
        return;
    sim_note("Kafka: the consumer's session has timed out");
    g->session_end_ms = 0;
    g->member.id = 0;
    revoke_all_maybe(rk);
}

static void serve(void *client)
{
    struct rd_kafka_s *rk = client;
    struct cgrp *g = &rk->cgrp;
    struct heartbeat *h;

    if (rk->client.closed || g->state == CG_TERM)
        return;
    kernel_aside(rk->client.process, rk->conf.heartbeat_ms, serve, rk);
    if (g->state < CG_WAIT_ASSIGN_CALL)
        return;
    look_at_session(rk);
    if (g->state < CG_WAIT_ASSIGN_CALL || g->heartbeat_under_way)
        return;
    h = memory_take(world_memory(), sizeof *h);
    h->request = new_request(rk, "Heartbeat", rk->conf.socket_timeout_ms, heartbeat_act, heartbeat_answered, rk);
    h->member = g->member;
    g->heartbeat_under_way = true;
    net_send(&h->request);
}

/* ---- What the app calls */

rd_kafka_resp_err_t rd_kafka_subscribe(rd_kafka_t *rk, const rd_kafka_topic_partition_list_t *topics)
{
    (void)topics; /* all inputs there are */
    fetch_add_consumer(rk);
    join(rk);
    kernel_aside(rk->client.process, rk->conf.heartbeat_ms, serve, rk);
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

int rd_kafka_assignment_lost(rd_kafka_t *rk) { return rk->cgrp.lost; }

static void unassign_everything(struct rd_kafka_s *rk)
{
    for (size_t i = 0; i < rk->nparts; i++)
        fetch_end(rk->parts[i]);
    rk->cgrp.assignment.n = 0;
    terminate(rk);
}

rd_kafka_error_t *rd_kafka_incremental_assign(rd_kafka_t *rk, const rd_kafka_topic_partition_list_t *l)
{
    struct cgrp *g = &rk->cgrp;

    if (g->closing) {
        unassign_everything(rk);
        return NULL;
    }
    for (int i = 0; i < l->cnt; i++) {
        struct part *p = fake_part(rk, logs_find(l->elems[i].topic, l->elems[i].partition));

        if (p->added)
            return fake_error(RD_KAFKA_RESP_ERR__CONFLICT, false, false, false);
        fetch_start(rk, p, l->elems[i].offset);
    }
    g->lost = false;
    if (g->state == CG_WAIT_ASSIGN_CALL) {
        g->state = CG_STEADY;
        fetch_resume_all(rk);
    }
    if (g->state == CG_STEADY && g->rejoin)
        rejoin(rk);
    return NULL;
}

static void unassigned(struct rd_kafka_s *rk)
{
    struct cgrp *g = &rk->cgrp;
    int64_t from, to;

    /* The whole group waits for it. */
    if (sim_now_ms() - g->told_ms > HANDOVER_MOST_MS && (!sim_was_stopped(rk->client.process, &from, &to) || to < g->told_ms))
        sim_violation("handover", "a worker gave its partitions up %lld ms after it was told to",
                      (long long)(sim_now_ms() - g->told_ms));
    world_ledger()->late_handovers += sim_now_ms() - g->told_ms >= HANDOVER_MS;
    for (size_t i = 0; i < g->revoking.n; i++)
        part_list_remove(&g->assignment, g->revoking.at[i]);
    g->revoking.n = 0;
    if (g->closing) {
        unassign_everything(rk);
    } else if (g->has_incr) {
        struct part_list incr = g->incr;

        g->has_incr = false;
        for (size_t i = 0; i < incr.n; i++)
            g->assignment.at[g->assignment.n++] = incr.at[i];
        tell(rk, RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS, &incr, true);
    } else if (g->rejoin) {
        rejoin(rk);
    } else {
        g->state = CG_STEADY;
        fetch_resume_all(rk);
    }
}

rd_kafka_error_t *rd_kafka_incremental_unassign(rd_kafka_t *rk, const rd_kafka_topic_partition_list_t *l)
{
    for (int i = 0; i < l->cnt; i++) {
        struct part *p = fake_part(rk, logs_find(l->elems[i].topic, l->elems[i].partition));

        if (!p->added)
            return fake_error(RD_KAFKA_RESP_ERR__INVALID_ARG, false, false, false);
    }
    for (int i = 0; i < l->cnt; i++)
        fetch_end(fake_part(rk, logs_find(l->elems[i].topic, l->elems[i].partition)));
    rk->cgrp.lost = false;
    if (rk->cgrp.state == CG_WAIT_UNASSIGN_CALL)
        unassigned(rk);
    return NULL;
}

rd_kafka_error_t *rd_kafka_consumer_close_queue(rd_kafka_t *rk, rd_kafka_queue_t *q)
{
    struct cgrp *g = &rk->cgrp;

    (void)q;
    g->closing = true;
    if (g->state == CG_WAIT_ASSIGN_CALL || g->state == CG_WAIT_UNASSIGN_CALL)
        return NULL; /* goes on when the app has answered */
    if (g->assignment.n)
        revoke_all(rk, false);
    else
        terminate(rk);
    return NULL;
}

int rd_kafka_consumer_closed(rd_kafka_t *rk) { return rk->cgrp.state == CG_TERM; }

rd_kafka_consumer_group_metadata_t *rd_kafka_consumer_group_metadata(rd_kafka_t *rk)
{
    rd_kafka_consumer_group_metadata_t *m = memory_take(world_memory(), sizeof *m);

    m->member = rk->cgrp.member;
    return m;
}

int32_t rd_kafka_consumer_group_metadata_generation_id(const rd_kafka_consumer_group_metadata_t *m)
{
    return m->member.generation;
}

void rd_kafka_consumer_group_metadata_destroy(rd_kafka_consumer_group_metadata_t *m) { (void)m; }
