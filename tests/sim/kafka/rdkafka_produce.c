/* A producer's records: queued, sent within the open transaction, acknowledged or not; delivery reports. */
#include "rdkafka.h"
#include "stepmill/error.h"
#include "world.h"

enum { LINGER_MS = 5, AGAIN_MS = 20, RETRY_MS = 100 };

void produce_reset(struct rd_kafka_s *rk)
{
    rk->p = (struct producer){.pid = -1, .epoch = -1};
    rk->p.reports_end = &rk->p.reports;
}

static void wake(struct rd_kafka_s *rk)
{
    if (rk->p.waiter)
        strand_wake(rk->p.waiter);
}

void produce_fail(struct rd_kafka_s *rk, rd_kafka_resp_err_t code)
{
    sim_note("Kafka: the producer of %s is %s", rk->conf.transactional_id, rd_kafka_err2name(code));
    rk->p.state = TXN_FATAL;
    rk->p.why = code;
    wake(rk);
}

void produce_set_abortable(struct rd_kafka_s *rk, rd_kafka_resp_err_t code)
{
    if (rk->p.state != TXN_IN && rk->p.state != TXN_COMMITTING)
        return;
    rk->p.state = TXN_ABORTABLE;
    rk->p.why = code;
    wake(rk);
}

static void report(struct rd_kafka_s *rk, struct message *m, rd_kafka_resp_err_t error)
{
    struct report *r = memory_take(world_memory(), sizeof *r);

    *r = (struct report){NULL, m, error};
    *rk->p.reports_end = r;
    rk->p.reports_end = &r->next;
    wake(rk);
}

void produce_serve(struct rd_kafka_s *rk)
{
    struct report *r = rk->p.reports;

    rk->p.reports = NULL;
    rk->p.reports_end = &rk->p.reports;
    for (; r; r = r->next) {
        rd_kafka_message_t m = {.err = r->error, ._private = r->message->opaque};

        rk->conf.dr_msg_cb(rk, &m, rk->conf.opaque);
    }
}

bool produce_is_empty(const struct rd_kafka_s *rk)
{
    for (size_t i = 0; i < rk->p.nlanes; i++)
        if (rk->p.lanes[i].n)
            return false;
    return !rk->p.reports;
}

/* The first n are done with. */
static void take(struct rd_kafka_s *rk, struct lane *l, size_t n, rd_kafka_resp_err_t error)
{
    for (size_t i = 0; i < n; i++) {
        report(rk, l->first, error);
        l->first = l->first->next;
    }
    l->n -= n;
    if (!l->n)
        l->first = l->last = NULL;
}

void produce_purge(struct rd_kafka_s *rk)
{
    for (size_t i = 0; i < rk->p.nlanes; i++) {
        struct lane *l = &rk->p.lanes[i];

        rk->p.unsure |= l->under_way;
        take(rk, l, l->n, l->under_way ? RD_KAFKA_RESP_ERR__PURGE_INFLIGHT : RD_KAFKA_RESP_ERR__PURGE_QUEUE);
        l->under_way = false;
    }
}

/* ---- Requests */

static void pump(void *client)
{
    struct rd_kafka_s *rk = client;

    produce_pump_soon(rk, -1);
}

static void pump_after(struct rd_kafka_s *rk, int64_t delay_ms) { kernel_aside(rk->client.process, delay_ms, pump, rk); }

static bool is_fencing(rd_kafka_resp_err_t code)
{
    return code == RD_KAFKA_RESP_ERR_PRODUCER_FENCED || code == RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH;
}

struct add_partitions {
    struct request request;
    uint64_t number;
    int64_t pid;
    int32_t epoch;
    struct log_of *logs[OFFSETS_MAX];
    size_t n;
};

static void add_act(struct request *r)
{
    struct add_partitions *a = (struct add_partitions *)r;
    const struct rd_kafka_s *rk = r->ctx;

    r->error = txns_add_partitions(rk->conf.transactional_id, a->pid, a->epoch, a->logs, a->n);
}

static void add_answered(struct request *r)
{
    struct add_partitions *a = (struct add_partitions *)r;
    struct rd_kafka_s *rk = r->ctx;

    if (a->number != rk->p.number)
        return;
    rk->p.adding = false;
    if (is_fencing(r->error)) {
        produce_fail(rk, RD_KAFKA_RESP_ERR__FENCED);
    } else if (r->error == RD_KAFKA_RESP_ERR_INVALID_TXN_STATE || r->error == RD_KAFKA_RESP_ERR_INVALID_PRODUCER_ID_MAPPING) {
        produce_fail(rk, r->error);
    } else if (r->error) {
        pump_after(rk, r->error == RD_KAFKA_RESP_ERR_CONCURRENT_TRANSACTIONS ? AGAIN_MS : RETRY_MS);
    } else {
        for (size_t i = 0; i < rk->p.nlanes; i++)
            for (size_t k = 0; k < a->n; k++)
                rk->p.lanes[i].added |= rk->p.lanes[i].log == a->logs[k];
        pump_after(rk, 0);
    }
}

static void add_partitions(struct rd_kafka_s *rk)
{
    struct add_partitions *a = memory_take(world_memory(), sizeof *a);

    for (size_t i = 0; i < rk->p.nlanes; i++)
        if (rk->p.lanes[i].n && !rk->p.lanes[i].added)
            a->logs[a->n++] = rk->p.lanes[i].log;
    if (!a->n)
        return;
    a->request = (struct request){.client = &rk->client,
                                  .server = SERVER_TXN,
                                  .name = "AddPartitionsToTxn",
                                  .timeout_ms = rk->conf.socket_timeout_ms,
                                  .act = add_act,
                                  .answered = add_answered,
                                  .ctx = rk};
    a->number = rk->p.number;
    a->pid = rk->p.pid;
    a->epoch = rk->p.epoch;
    rk->p.adding = true;
    net_send(&a->request);
}

struct produce_call {
    struct request request;
    struct lane *lane;
    uint64_t number;
    int64_t pid, sequence;
    int32_t epoch;
    struct entry *entries;
    size_t n;
};

static void produce_act(struct request *r)
{
    struct produce_call *c = (struct produce_call *)r;

    r->error = logs_produce(c->lane->log, c->pid, c->epoch, c->sequence, c->entries, c->n);
}

static void produce_answered(struct request *r)
{
    struct produce_call *c = (struct produce_call *)r;
    struct rd_kafka_s *rk = r->ctx;
    struct lane *l = c->lane;

    if (c->number != rk->p.number || c->epoch != rk->p.epoch || !l->under_way)
        return; /* purged meanwhile */
    l->under_way = false;
    if (!r->error) {
        l->sequence += (int64_t)c->n;
        take(rk, l, c->n, RD_KAFKA_RESP_ERR_NO_ERROR);
        pump_after(rk, 0);
    } else if (is_fencing(r->error)) {
        take(rk, l, l->n, r->error);
        produce_fail(rk, RD_KAFKA_RESP_ERR__FENCED);
    } else if (r->error == RD_KAFKA_RESP_ERR__TRANSPORT || r->error == RD_KAFKA_RESP_ERR__TIMED_OUT) {
        pump_after(rk, RETRY_MS);
    } else {
        rk->p.unsure = true;
        take(rk, l, l->n, r->error);
        produce_set_abortable(rk, r->error);
    }
}

static void send_now(struct rd_kafka_s *rk, struct lane *l)
{
    struct produce_call *c = memory_take(world_memory(), sizeof *c);
    size_t i = 0;

    c->entries = memory_take(world_memory(), l->n * sizeof *c->entries);
    for (struct message *m = l->first; m; m = m->next)
        c->entries[i++] = m->entry;
    c->request = (struct request){.client = &rk->client,
                                  .server = SERVER_LOGS,
                                  .name = "Produce",
                                  .timeout_ms = rk->conf.socket_timeout_ms,
                                  .act = produce_act,
                                  .answered = produce_answered,
                                  .ctx = rk};
    c->lane = l;
    c->number = rk->p.number;
    c->pid = rk->p.pid;
    c->epoch = rk->p.epoch;
    c->sequence = l->sequence;
    c->n = l->n;
    l->under_way = true;
    net_send(&c->request);
}

static void time_out(struct rd_kafka_s *rk, struct lane *l)
{
    if (l->n && sim_now_ms() - l->first->queued_ms >= rk->conf.message_timeout_ms) {
        rk->p.unsure = true;
        l->under_way = false;
        take(rk, l, l->n, RD_KAFKA_RESP_ERR__MSG_TIMED_OUT);
        produce_set_abortable(rk, RD_KAFKA_RESP_ERR__MSG_TIMED_OUT);
    }
}

/* delay < 0: now. */
void produce_pump_soon(struct rd_kafka_s *rk, int64_t delay_ms)
{
    if (delay_ms >= 0) {
        pump_after(rk, delay_ms);
        return;
    }
    if (rk->client.closed)
        return;
    for (size_t i = 0; i < rk->p.nlanes; i++)
        time_out(rk, &rk->p.lanes[i]);
    if (rk->p.state != TXN_IN && rk->p.state != TXN_COMMITTING)
        return;
    if (!rk->p.adding)
        add_partitions(rk);
    for (size_t i = 0; i < rk->p.nlanes; i++)
        if (rk->p.lanes[i].n && rk->p.lanes[i].added && !rk->p.lanes[i].under_way)
            send_now(rk, &rk->p.lanes[i]);
}

/* ---- What the app calls */

static struct lane *lane_of(struct rd_kafka_s *rk, struct log_of *log)
{
    for (size_t i = 0; i < rk->p.nlanes; i++)
        if (rk->p.lanes[i].log == log)
            return &rk->p.lanes[i];
    rk->p.lanes[rk->p.nlanes] = (struct lane){.log = log};
    return &rk->p.lanes[rk->p.nlanes++];
}

static struct message *read_message(const rd_kafka_vu_t *vu, size_t n, struct cluster_topic **topic)
{
    struct message *m = memory_take(world_memory(), sizeof *m);

    for (size_t i = 0; i < n; i++)
        if (vu[i].vtype == RD_KAFKA_VTYPE_TOPIC)
            *topic = logs_topic(vu[i].u.cstr);
        else if (vu[i].vtype == RD_KAFKA_VTYPE_VALUE)
            m->entry.value = memory_copy(world_memory(), (struct slice){vu[i].u.mem.ptr, vu[i].u.mem.size});
        else if (vu[i].vtype == RD_KAFKA_VTYPE_KEY)
            m->entry.key = memory_copy(world_memory(), (struct slice){vu[i].u.mem.ptr, vu[i].u.mem.size});
        else if (vu[i].vtype == RD_KAFKA_VTYPE_TIMESTAMP)
            m->entry.timestamp = vu[i].u.i64 ? vu[i].u.i64 : sim_wall_ms();
        else if (vu[i].vtype == RD_KAFKA_VTYPE_OPAQUE)
            m->opaque = vu[i].u.ptr;
        else if (vu[i].vtype == RD_KAFKA_VTYPE_HEADERS) {
            m->entry.headers = vu[i].u.headers->at;
            m->entry.nheaders = vu[i].u.headers->n;
        }
    m->queued_ms = sim_now_ms();
    return m;
}

rd_kafka_error_t *rd_kafka_produceva(rd_kafka_t *rk, const rd_kafka_vu_t *vu, size_t n)
{
    struct cluster_topic *t = NULL;
    struct message *m;
    struct lane *l;

    if (rk->p.state != TXN_IN)
        return fake_error(RD_KAFKA_RESP_ERR__STATE, false, false, false);
    if (sim_fault(SIM_FAULT_KAFKA_QUEUE))
        return fake_error(RD_KAFKA_RESP_ERR__QUEUE_FULL, false, true, false);
    m = read_message(vu, n, &t);
    if (!t)
        bug("a record for a topic that does not exist");
    l = lane_of(rk, &t->logs[logs_partition_of(t, m->entry.key)]);
    if (l->last)
        l->last->next = m;
    else
        l->first = m;
    l->last = m;
    if (l->n++ == 0)
        pump_after(rk, LINGER_MS);
    return NULL;
}

rd_kafka_resp_err_t rd_kafka_flush(rd_kafka_t *rk, int timeout_ms)
{
    int64_t until = sim_now_ms() + timeout_ms;

    rk->p.waiter = strand_self();
    produce_pump_soon(rk, -1);
    for (;;) {
        fake_serve_troubles(rk);
        produce_serve(rk);
        if (produce_is_empty(rk) || sim_now_ms() >= until)
            break;
        strand_sleep(until);
        for (size_t i = 0; i < rk->p.nlanes; i++)
            time_out(rk, &rk->p.lanes[i]);
    }
    return produce_is_empty(rk) ? RD_KAFKA_RESP_ERR_NO_ERROR : RD_KAFKA_RESP_ERR__TIMED_OUT;
}

rd_kafka_resp_err_t rd_kafka_purge(rd_kafka_t *rk, int flags)
{
    (void)flags;
    produce_purge(rk);
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}
