/* The network: when a request arrives, whether it acts, whether its answer comes back, and what its sender believes. */
#include <string.h>

#include "cluster.h"
#include "world.h"

enum { LAN_MS = 2, LATE_MOST_MS = 40 * 1000, WORKERS_MAX = 256, CUT_MOST_MS = 45 * 1000 };

static struct {
    struct outage {
        int64_t until;
        bool frozen;
    } outages[SERVERS];
    int64_t cut_until[WORKERS_MAX]; /* by number of the worker: its way to the transactions' coordinator */
} net;

void net_begin(void)
{
    for (int i = 0; i < SERVERS; i++)
        net.outages[i] = (struct outage){0, false};
    memset(net.cut_until, 0, sizeof net.cut_until);
}

static const char *name_of(enum server s)
{
    static const char *const names[] = {"the logs' leader", "the transactions' coordinator", "the group's coordinator"};

    return names[s];
}

void net_outage(enum server server, bool frozen, int64_t ms)
{
    sim_note("Kafka: %s is %s for %lld ms", name_of(server), frozen ? "frozen" : "down", (long long)ms);
    net.outages[server] = (struct outage){sim_now_ms() + ms, frozen};
}

/* A way that is cut stays so for its time: else no history would be long enough. */
void net_heal(void)
{
    for (int i = 0; i < SERVERS; i++)
        net.outages[i].until = 0;
}

static bool is_out(const struct request *r) { return net.outages[r->server].until > sim_now_ms(); }

static int64_t *cut_of(const struct request *r) { return &net.cut_until[sim_number(r->client->process) % WORKERS_MAX]; }

static bool is_cut(const struct request *r) { return r->server == SERVER_TXN && *cut_of(r) > sim_now_ms(); }

/* What has acted is not answered, nor is what is asked next, for longer than a commit is asked again. */
static void maybe_cut(const struct request *r)
{
    if (r->server != SERVER_TXN || !sim_fault(SIM_FAULT_KAFKA_CUT))
        return;
    *cut_of(r) = sim_now_ms() + 1000 + (int64_t)sim_below(CUT_MOST_MS);
    sim_note("Kafka: after %s the way of %s to the coordinator is cut for %lld ms", r->name, r->client->name,
             (long long)(*cut_of(r) - sim_now_ms()));
}

/* ---- Back in the client */

static void tell(struct request *r, rd_kafka_resp_err_t error)
{
    if (r->told || r->client->closed)
        return;
    r->told = true;
    r->error = error;
    if ((error == RD_KAFKA_RESP_ERR__TRANSPORT || error == RD_KAFKA_RESP_ERR__TIMED_OUT) && r->client->trouble)
        r->client->trouble(r->client->owner, error);
    r->answered(r);
}

static void answer_arrives(void *request)
{
    struct request *r = request;

    /* Its process slept meanwhile: librdkafka may look at the clock before it looks at the socket. */
    if (!r->deferred && sim_now_ms() - r->sent_ms > r->timeout_ms && sim_below(2))
        tell(r, RD_KAFKA_RESP_ERR__TIMED_OUT);
    else
        tell(r, r->verdict);
}

static void connection_lost(void *request) { tell(request, RD_KAFKA_RESP_ERR__TRANSPORT); }

static void out_of_patience(void *request)
{
    struct request *r = request;

    if (!r->told && !r->client->closed)
        sim_note("Kafka: %s: no answer to %s in time", r->client->name, r->name);
    tell(r, RD_KAFKA_RESP_ERR__TIMED_OUT);
}

static void back(struct request *r, int64_t delay_ms, void (*fn)(void *request))
{
    kernel_aside(r->client->process, delay_ms, fn, r);
}

/* ---- On the way */

enum fate { FATE_FINE, FATE_REQUEST_LOST, FATE_ANSWER_LOST, FATE_REQUEST_LATE, FATE_ANSWER_LATE, FATES };

static const char *const fate_names[FATES] = {"fine", "is lost", "answer lost", "arrives late", "answer late"};

static void act(struct request *r)
{
    r->error = RD_KAFKA_RESP_ERR_NO_ERROR;
    r->act(r);
    r->verdict = r->error;
    if (r->server == SERVER_TXN && sim_fault(SIM_FAULT_DEATH))
        sim_strike(r->client->process);
}

/* What is answered later may never be: an older request of the same sender, late on its way, can take its place. */
static void answer(struct request *r, int64_t delay_ms)
{
    if (r->deferred)
        back(r, r->timeout_ms, out_of_patience);
    else
        back(r, delay_ms, answer_arrives);
}

void net_answer(struct request *r, rd_kafka_resp_err_t error)
{
    r->verdict = error;
    back(r, (int64_t)sim_below(LAN_MS + 1), answer_arrives);
}

bool net_is_out(enum server server) { return net.outages[server].until > sim_now_ms(); }

/* After its sender gave up: it acts all the same, and nobody waits for the answer. */
static void acts_late(void *request)
{
    struct request *r = request;

    if (is_out(r)) {
        sim_later(net.outages[r->server].until - sim_now_ms(), acts_late, r);
        return;
    }
    sim_note("Kafka: a late %s of %s acts", r->name, r->client->name);
    act(r);
    answer(r, (int64_t)sim_below(LAN_MS + 1));
}

static void arrives(void *request)
{
    struct request *r = request;

    if (is_cut(r) || (is_out(r) && !net.outages[r->server].frozen)) {
        back(r, 1 + (int64_t)sim_below(50), connection_lost);
    } else if (is_out(r)) {
        back(r, r->timeout_ms - (sim_now_ms() - r->sent_ms), out_of_patience);
        sim_later(net.outages[r->server].until - sim_now_ms() + (int64_t)sim_below(20), acts_late, r);
    } else {
        act(r);
        maybe_cut(r);
        if (is_cut(r))
            back(r, 1 + (int64_t)sim_below(50), connection_lost);
        else
            answer(r, (int64_t)sim_below(LAN_MS + 1));
    }
}

static void arrives_unanswered(void *request)
{
    struct request *r = request;

    if (!is_out(r))
        act(r);
    back(r, 1 + (int64_t)sim_below(50), connection_lost);
}

static void arrives_slowly_answered(void *request)
{
    struct request *r = request;

    if (!is_out(r))
        act(r);
    else
        r->verdict = RD_KAFKA_RESP_ERR_NOT_COORDINATOR;
    answer(r, 100 + (int64_t)sim_below(8000));
    back(r, r->timeout_ms, out_of_patience);
}

static enum fate fate_of(const struct request *r)
{
    enum fate fate;

    if (!sim_fault(SIM_FAULT_KAFKA_CALL))
        return FATE_FINE;
    fate = (enum fate)(1 + sim_below(FATES - 1));
    sim_note("Kafka: %s of %s: %s", r->name, r->client->name, fate_names[fate]);
    return fate;
}

void net_send(struct request *r)
{
    int64_t delay = (int64_t)sim_below(LAN_MS + 1);

    r->sent_ms = sim_now_ms();
    r->told = false;
    switch (fate_of(r)) {
    case FATE_REQUEST_LOST:
        back(r, 1 + (int64_t)sim_below(200), connection_lost);
        return;
    case FATE_ANSWER_LOST:
        sim_later(delay, arrives_unanswered, r);
        return;
    case FATE_REQUEST_LATE:
        back(r, r->timeout_ms, out_of_patience);
        sim_later(100 + (int64_t)sim_below(sim_below(2) ? LATE_MOST_MS : 6000), acts_late, r);
        return;
    case FATE_ANSWER_LATE:
        sim_later(delay, arrives_slowly_answered, r);
        return;
    default:
        sim_later(delay, arrives, r);
    }
}
