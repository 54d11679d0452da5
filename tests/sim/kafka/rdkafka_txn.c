/* The transaction API of a producer: calls that block, may be repeated, and fail with the flags that 2.8 gives them (measured in
 * the lab: the same code comes as retriable and as abortable).
 */
#include <string.h>

#include "rdkafka.h"
#include "stepmill/error.h"
#include "world.h"

enum { AGAIN_MS = 20 };

/* One request of a call; outlives it. */
struct step_call {
    struct request request;
    uint64_t number; /* of the step: an answer to an earlier one is outdated */
    char *id;
    int64_t pid, timeout_ms;
    int32_t epoch;
    bool commit;
    struct member member;
    struct stored_offset offsets[OFFSETS_MAX];
    size_t n;
};

static void init_act(struct request *r)
{
    struct step_call *c = (struct step_call *)r;

    r->error = txns_init(c->id, c->timeout_ms, &c->pid, &c->epoch);
}

static void add_offsets_act(struct request *r)
{
    struct step_call *c = (struct step_call *)r;

    r->error = txns_add_offsets(c->id, c->pid, c->epoch);
}

static void offsets_act(struct request *r)
{
    struct step_call *c = (struct step_call *)r;

    r->error = txns_verify(c->pid, c->epoch, NULL);
    if (!r->error)
        r->error = group_commit_pending(c->pid, c->member, c->offsets, c->n);
}

static void end_act(struct request *r)
{
    struct step_call *c = (struct step_call *)r;

    r->error = txns_end(c->id, c->pid, c->epoch, c->commit);
}

static void step_answered(struct request *r)
{
    struct step_call *c = (struct step_call *)r;
    struct rd_kafka_s *rk = r->ctx;

    if (c->number != rk->p.step_number)
        return;
    rk->p.step_under_way = false;
    rk->p.step_done = true;
    rk->p.step_error = r->error;
    if (!r->error && rk->p.step == STEP_INIT) {
        rk->p.pid = c->pid;
        rk->p.epoch = c->epoch;
    }
    if (rk->p.waiter)
        strand_wake(rk->p.waiter);
}

static struct step_call *new_step(struct rd_kafka_s *rk, enum step step)
{
    static const struct {
        const char *name;
        enum server server;
        void (*act)(struct request *r);
    } steps[] = {
        [STEP_INIT] = {"InitProducerId", SERVER_TXN, init_act},
        [STEP_ADD_OFFSETS] = {"AddOffsetsToTxn", SERVER_TXN, add_offsets_act},
        [STEP_OFFSETS] = {"TxnOffsetCommit", SERVER_GROUP, offsets_act},
        [STEP_END] = {"EndTxn", SERVER_TXN, end_act},
    };
    struct step_call *c = memory_take(world_memory(), sizeof *c);

    *c = (struct step_call){.number = ++rk->p.step_number,
                            .id = rk->conf.transactional_id,
                            .pid = rk->p.pid,
                            .epoch = rk->p.epoch,
                            .timeout_ms = rk->conf.transaction_timeout_ms};
    c->request = (struct request){.client = &rk->client,
                                  .server = steps[step].server,
                                  .name = steps[step].name,
                                  .timeout_ms = rk->conf.socket_timeout_ms,
                                  .act = steps[step].act,
                                  .answered = step_answered,
                                  .ctx = rk};
    rk->p.step = step;
    rk->p.step_done = false;
    return c;
}

static void send_now(struct rd_kafka_s *rk, struct step_call *c)
{
    rk->p.step_under_way = true;
    net_send(&c->request);
}

/* False: the time was up first; the request stays under way. */
static bool wait_step(struct rd_kafka_s *rk, int64_t until)
{
    rk->p.waiter = strand_self();
    while (!rk->p.step_done && sim_now_ms() < until)
        strand_sleep(until);
    return rk->p.step_done;
}

static void pause(int64_t ms, int64_t until)
{
    int64_t end = sim_now_ms() + ms;

    while (sim_now_ms() < end && sim_now_ms() < until)
        strand_sleep(end < until ? end : until);
}

static bool is_fencing(rd_kafka_resp_err_t code)
{
    return code == RD_KAFKA_RESP_ERR_PRODUCER_FENCED || code == RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH;
}

static bool is_passing(rd_kafka_resp_err_t code)
{
    return code == RD_KAFKA_RESP_ERR_CONCURRENT_TRANSACTIONS || code == RD_KAFKA_RESP_ERR__TRANSPORT ||
           code == RD_KAFKA_RESP_ERR__TIMED_OUT || code == RD_KAFKA_RESP_ERR_NOT_COORDINATOR;
}

static rd_kafka_error_t *fatal(struct rd_kafka_s *rk) { return fake_error(rk->p.why, true, false, false); }
static rd_kafka_error_t *abortable(struct rd_kafka_s *rk) { return fake_error(rk->p.why, false, false, true); }
static rd_kafka_error_t *wrong_state(void) { return fake_error(RD_KAFKA_RESP_ERR__STATE, false, false, false); }

static rd_kafka_error_t *timed_out(rd_kafka_resp_err_t code)
{
    return fake_error(code == RD_KAFKA_RESP_ERR__TRANSPORT ? code : RD_KAFKA_RESP_ERR__TIMED_OUT, false, true, false);
}

rd_kafka_resp_err_t rd_kafka_fatal_error(rd_kafka_t *rk, char *text, size_t room)
{
    if (room)
        *text = '\0';
    return rk->p.state == TXN_FATAL ? rk->p.why : RD_KAFKA_RESP_ERR_NO_ERROR;
}

/* ---- init, begin */

/* A new producer id or epoch. NULL: it is there. */
static rd_kafka_error_t *take_epoch(struct rd_kafka_s *rk, int64_t until)
{
    for (;;) {
        if (!(rk->p.step == STEP_INIT && rk->p.step_under_way))
            send_now(rk, new_step(rk, STEP_INIT));
        if (!wait_step(rk, until))
            return timed_out(RD_KAFKA_RESP_ERR__TIMED_OUT);
        rk->p.step = STEP_NONE;
        if (!rk->p.step_error) {
            for (size_t i = 0; i < rk->p.nlanes; i++)
                rk->p.lanes[i].sequence = 0;
            rk->p.unsure = false;
            return NULL;
        }
        if (is_fencing(rk->p.step_error)) {
            produce_fail(rk, RD_KAFKA_RESP_ERR__FENCED);
            return fatal(rk);
        }
        pause(AGAIN_MS, until);
        if (sim_now_ms() >= until)
            return timed_out(rk->p.step_error);
    }
}

rd_kafka_error_t *rd_kafka_init_transactions(rd_kafka_t *rk, int timeout_ms)
{
    rd_kafka_error_t *e = take_epoch(rk, sim_now_ms() + timeout_ms);

    if (!e)
        rk->p.state = TXN_READY;
    return e;
}

rd_kafka_error_t *rd_kafka_begin_transaction(rd_kafka_t *rk)
{
    if (rk->p.state == TXN_FATAL)
        return fatal(rk);
    if (rk->p.state != TXN_READY)
        return wrong_state();
    rk->p.state = TXN_IN;
    rk->p.number++;
    rk->p.adding = rk->p.offsets_added = false;
    for (size_t i = 0; i < rk->p.nlanes; i++)
        rk->p.lanes[i].added = false;
    return NULL;
}

/* ---- Offsets */

static struct step_call *offsets_step(struct rd_kafka_s *rk, const rd_kafka_topic_partition_list_t *l, struct member member)
{
    struct step_call *c = new_step(rk, STEP_OFFSETS);

    c->member = member;
    for (int i = 0; i < l->cnt; i++)
        c->offsets[c->n++] = (struct stored_offset){
            .log = logs_find(l->elems[i].topic, l->elems[i].partition),
            .offset = l->elems[i].offset,
            .metadata = memory_copy(world_memory(), (struct slice){l->elems[i].metadata, l->elems[i].metadata_size})};
    return c;
}

/* Time is up: mostly the call may be repeated. */
static rd_kafka_error_t *offsets_timed_out(struct rd_kafka_s *rk, rd_kafka_resp_err_t code)
{
    rk->p.step_number++; /* whatever is answered later */
    rk->p.step_under_way = false;
    if (sim_below(4))
        return timed_out(code);
    produce_set_abortable(rk, RD_KAFKA_RESP_ERR__TIMED_OUT);
    return abortable(rk);
}

static rd_kafka_error_t *offsets_failed(struct rd_kafka_s *rk, rd_kafka_resp_err_t code)
{
    if (is_fencing(code)) {
        produce_fail(rk, RD_KAFKA_RESP_ERR__FENCED);
        return fatal(rk);
    }
    produce_set_abortable(rk, code);
    return rk->p.state == TXN_FATAL ? fatal(rk) : abortable(rk);
}

rd_kafka_error_t *rd_kafka_send_offsets_to_transaction(rd_kafka_t *rk, const rd_kafka_topic_partition_list_t *l,
                                                       const rd_kafka_consumer_group_metadata_t *m, int timeout_ms)
{
    int64_t until = sim_now_ms() + timeout_ms;
    enum step step = STEP_ADD_OFFSETS;

    for (;;) {
        if (rk->p.state == TXN_FATAL)
            return fatal(rk);
        if (rk->p.state == TXN_ABORTABLE)
            return fake_error(RD_KAFKA_RESP_ERR__STATE, false, false, true);
        if (rk->p.state != TXN_IN)
            return wrong_state();
        send_now(rk, step == STEP_OFFSETS ? offsets_step(rk, l, m->member) : new_step(rk, STEP_ADD_OFFSETS));
        rk->p.offsets_added = true; /* perhaps: its end must be sent */
        if (!wait_step(rk, until))
            return offsets_timed_out(rk, RD_KAFKA_RESP_ERR__TIMED_OUT);
        if (!rk->p.step_error && step == STEP_OFFSETS)
            return rk->p.state == TXN_IN ? NULL : rk->p.state == TXN_FATAL ? fatal(rk) : abortable(rk);
        if (!rk->p.step_error)
            step = STEP_OFFSETS;
        else if (!is_passing(rk->p.step_error))
            return offsets_failed(rk, rk->p.step_error);
        else
            pause(AGAIN_MS, until);
        if (sim_now_ms() >= until)
            return offsets_timed_out(rk, rk->p.step_error);
    }
}

/* ---- The end */

static bool is_empty_transaction(const struct rd_kafka_s *rk)
{
    for (size_t i = 0; i < rk->p.nlanes; i++)
        if (rk->p.lanes[i].added)
            return false;
    return !rk->p.offsets_added && !rk->p.adding;
}

static rd_kafka_error_t *end(struct rd_kafka_s *rk, bool commit, int64_t until)
{
    while (!is_empty_transaction(rk)) {
        if (rk->p.state == TXN_FATAL)
            return fatal(rk);
        if (!(rk->p.step == STEP_END && rk->p.step_under_way)) {
            struct step_call *c = new_step(rk, STEP_END);

            c->commit = commit;
            send_now(rk, c);
        }
        if (!wait_step(rk, until))
            return timed_out(RD_KAFKA_RESP_ERR__TIMED_OUT);
        rk->p.step = STEP_NONE;
        if (!rk->p.step_error)
            return NULL;
        if (!is_passing(rk->p.step_error)) {
            produce_fail(rk, is_fencing(rk->p.step_error) ? RD_KAFKA_RESP_ERR__FENCED : rk->p.step_error);
            return fatal(rk);
        }
        pause(AGAIN_MS, until);
        if (sim_now_ms() >= until)
            return timed_out(rk->p.step_error);
    }
    return NULL;
}

rd_kafka_error_t *rd_kafka_commit_transaction(rd_kafka_t *rk, int timeout_ms)
{
    int64_t until = sim_now_ms() + timeout_ms;
    rd_kafka_error_t *e;

    if (rk->p.state == TXN_IN)
        rk->p.state = TXN_COMMITTING;
    if (rk->p.state == TXN_COMMITTING)
        (void)rd_kafka_flush(rk, timeout_ms);
    if (rk->p.state == TXN_FATAL)
        return fatal(rk);
    if (rk->p.state == TXN_ABORTABLE)
        return abortable(rk);
    if (rk->p.state != TXN_COMMITTING)
        return wrong_state();
    if (!produce_is_empty(rk))
        return timed_out(RD_KAFKA_RESP_ERR__TIMED_OUT);
    e = end(rk, true, until);
    if (!e)
        rk->p.state = TXN_READY;
    return e;
}

rd_kafka_error_t *rd_kafka_abort_transaction(rd_kafka_t *rk, int timeout_ms)
{
    int64_t until = sim_now_ms() + timeout_ms;
    rd_kafka_error_t *e;

    if (rk->p.state == TXN_FATAL)
        return fatal(rk);
    if (rk->p.state != TXN_IN && rk->p.state != TXN_ABORTABLE && rk->p.state != TXN_ABORTING)
        return wrong_state();
    rk->p.state = TXN_ABORTING;
    produce_purge(rk);
    e = end(rk, false, until);
    if (!e && rk->p.unsure)
        e = take_epoch(rk, until);
    if (!e)
        rk->p.state = TXN_READY;
    return e;
}
