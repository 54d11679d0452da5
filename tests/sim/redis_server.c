/* The simulated Redis and its network: when a call arrives, whether it acts, whether its answer comes back; failover, stall,
 * loss.
 */
#include "redis_server.h"

#include "ledger.h"
#include "stepmill/cells.h"
#include "stepmill/error.h"
#include "world.h"

enum { LAN_MS = 3, REPLICA_CALLS = 12, PORTS_MAX = 256 };

struct redis_server {
    struct memory *memory;
    struct lua_host *lua;
    struct store *store;
    struct redis_port *ports[PORTS_MAX];
    size_t nports;
    uint64_t calls;         /* number of the last one that acted */
    int64_t stalled_until;  /* nothing acts before */
    int64_t gone_until;     /* refuses connections */
    int64_t refusing_until; /* serves nobody: answers with `refusal` */
    const char *refusal;
};

struct redis_server *redis_server_new(struct memory *m, struct lua_host *lua)
{
    struct redis_server *s = memory_take(m, sizeof *s);

    *s = (struct redis_server){.memory = m, .lua = lua, .store = store_new(m)};
    return s;
}

struct store *redis_server_store(struct redis_server *s) { return s->store; }
struct lua_host *redis_server_lua(struct redis_server *s) { return s->lua; }

static int64_t later_than(int64_t *newest, int64_t at_ms)
{
    if (at_ms < *newest)
        at_ms = *newest;
    return *newest = at_ms;
}

static void deliver(struct redis_message *m, int64_t delay_ms)
{
    int64_t now = sim_now_ms(), at = later_than(&m->port->to_client_ms, now + delay_ms);

    sim_deliver(m->port->process, at - now, redis_client_receive, m);
}

/* The client learns, after a while, that its connection has ended. */
static void cut(struct redis_server *s, struct redis_port *port, uint64_t connection)
{
    struct redis_message *m = memory_take(s->memory, sizeof *m);

    *m = (struct redis_message){.port = port, .connection = connection, .cut = true};
    port->cut = connection;
    deliver(m, 1 + (int64_t)sim_below(LAN_MS));
}

static void cut_all(struct redis_server *s)
{
    for (size_t i = 0; i < s->nports; i++)
        if (s->ports[i]->client)
            cut(s, s->ports[i], s->ports[i]->connection);
}

static void lost(void *server, struct slice key)
{
    (void)server;
    sim_note("redis lost %.*s", SLICE_FMT(key));
    ledger_redis_lost(world_ledger(), key);
}

/* The replica takes over; what the old master acknowledged last has not reached it. */
static void fail_over(struct redis_server *s)
{
    uint64_t behind = sim_below(REPLICA_CALLS);

    sim_note("redis fails over, %llu calls behind", (unsigned long long)behind);
    store_undo(s->store, s->calls > behind ? s->calls - behind : 0, lost, s);
    s->gone_until = sim_now_ms() + 50 + (int64_t)sim_below(3000);
    cut_all(s);
}

static void refuse_for(struct redis_server *s, const char *refusal)
{
    s->refusal = refusal;
    s->refusing_until = sim_now_ms() + 10 + (int64_t)sim_below(4000);
    sim_note("redis answers %.10s for %lld ms", refusal, (long long)(s->refusing_until - sim_now_ms()));
}

/* Something that concerns the whole server. */
static void server_fault(struct redis_server *s)
{
    static const char *const refusals[] = {
        "LOADING Redis is loading the dataset in memory",
        "READONLY You can't write against a read only replica.",
        "OOM command not allowed when used memory > 'maxmemory'.",
    };

    switch (sim_below(7)) {
    case 0:
        s->stalled_until = sim_now_ms() + 100 + (int64_t)sim_below(6000);
        sim_note("redis stalls for %lld ms", (long long)(s->stalled_until - sim_now_ms()));
        return;
    case 1:
        refuse_for(s, refusals[sim_below(3)]);
        return;
    case 2:
        s->gone_until = sim_now_ms() + 50 + (int64_t)sim_below(8000);
        sim_note("redis is gone for %lld ms", (long long)(s->gone_until - sim_now_ms()));
        cut_all(s);
        return;
    case 3:
    case 4:
        fail_over(s);
        return;
    case 5:
        (void)store_lose_field(s->store, sim_wall_ms(), sim_below(2) ? "checkpoint:" : "claims:", sim_below(1000), lost, s);
        return;
    default:
        (void)store_flush_one(s->store, sim_wall_ms(), sim_below(1000), lost, s);
        return;
    }
}

static void act(struct redis_server *s, struct redis_message *m)
{
    if (s->refusing_until > sim_now_ms()) {
        m->reply = reply_error(s->refusal);
        return;
    }
    if (m->number == 0) {
        m->reply = (struct reply){.kind = REPLY_STATUS, .text = SLICE("OK")};
        return;
    }
    m->call = s->calls = store_begin(s->store);
    if (m->script < 0)
        m->reply = store_do(s->store, sim_wall_ms(), m->args, m->nargs);
    else
        m->reply =
            lua_host_run(s->lua, m->script, s->store, s->memory, sim_wall_ms(), m->args, m->nkeys, m->args + m->nkeys, m->nargs);
    if (m->script < 0)
        return;
    sim_note("redis: %s of %.*s for worker %d: %lld", cells_op_name((enum cells_op)m->op), SLICE_FMT(m->args[0]),
             sim_number(m->port->process), (long long)(m->reply.count ? m->reply.items[0].integer : -1));
    ledger_redis_acted(world_ledger(), m);
}

/* Whether something happens to this one call. */
enum call_fate { CALL_FINE, CALL_LOST, CALL_UNANSWERED, CALL_SLOW, CALL_VERY_SLOW, CALL_FATES };

static void arrive(void *message)
{
    struct redis_message *m = message;
    struct redis_port *port = m->port;
    struct redis_server *s = world_redis();
    enum call_fate fate = CALL_FINE;

    if (m->order != port->arrived + 1) {
        sim_later(1, arrive, m);
        return;
    }
    if (s->stalled_until > sim_now_ms()) {
        sim_later(s->stalled_until - sim_now_ms(), arrive, m);
        return;
    }
    port->arrived++;
    if (port->cut == m->connection)
        return; /* it did not get here */
    if (sim_fault(SIM_FAULT_REDIS))
        server_fault(s);
    if (s->gone_until > sim_now_ms() || port->cut == m->connection) {
        cut(s, port, m->connection);
        return;
    }
    if (m->number && sim_fault(SIM_FAULT_REDIS_CALL))
        fate = (enum call_fate)(1 + sim_below(CALL_FATES - 1));
    if (fate != CALL_FINE)
        sim_note("redis: fate %d for call %llu of connection %llu", fate, (unsigned long long)m->number,
                 (unsigned long long)m->connection);
    if (fate != CALL_LOST)
        act(s, m);
    if (m->number && sim_fault(SIM_FAULT_DEATH))
        sim_strike(m->port->process);
    if (fate == CALL_LOST || fate == CALL_UNANSWERED)
        cut(s, port, m->connection);
    else
        deliver(m, fate == CALL_SLOW        ? 100 + (int64_t)sim_below(1500)
                   : fate == CALL_VERY_SLOW ? 1000 + (int64_t)sim_below(6000)
                                            : (int64_t)sim_below(LAN_MS));
}

void redis_server_send(struct redis_server *s, struct redis_message *m)
{
    int64_t now = sim_now_ms(), at = later_than(&m->port->to_server_ms, now + (int64_t)sim_below(LAN_MS));
    bool known = false;

    for (size_t i = 0; i < s->nports; i++)
        known |= s->ports[i] == m->port;
    if (!known) {
        if (s->nports == PORTS_MAX)
            bug("more than %d clients of Redis in one history", PORTS_MAX);
        s->ports[s->nports++] = m->port;
    }
    m->order = ++m->port->sent;
    sim_later(at - now, arrive, m);
}

void redis_server_heal(struct redis_server *s) { s->stalled_until = s->gone_until = s->refusing_until = 0; }
