/* include/stepmill/redis.h over the simulated network: the same states, limits and promises as the client over hiredis. */
#include "stepmill/redis.h"

#include <stdlib.h>
#include <string.h>

#include "ledger.h"
#include "redis_server.h"
#include "stepmill/list.h"
#include "stepmill/random.h"
#include "world.h"

enum { SCRIPTS_MAX = 32, BACKOFF_MIN_MS = 50, BACKOFF_MAX_MS = 5000, STEADY_MS = 5000, OVERDUE_GRACE_MS = 50 };

enum client_state { APART, CONNECTING, UP, DRAINING, CLOSING };

struct call {
    struct list_node node;
    struct ticket ticket;
    redis_fn *fn;
    void *ctx;
    struct error refused;
    int64_t due_ms;
    uint64_t number;
};

struct redis {
    struct loop *loop;
    struct redis_options options;
    struct redis_server *server;
    struct redis_port *port;
    enum client_state state;
    struct error why;
    struct loop_timer timer, refuse_timer;
    int64_t backoff_ms, up_since_ms;
    uint64_t jitter, next_number, suspect;
    struct list sent, refused;
    int in_callback;
    int scripts[SCRIPTS_MAX];
    int nscripts;
    struct redis_info info;
    struct redis_stats stats;
};

static void set_down(struct redis *r, struct error why)
{
    bool again = r->why.code && !strcmp(why.code, r->why.code);

    if (!failed(r->why))
        r->stats.losses++;
    r->why = why;
    if (again || !r->options.on_state)
        return;
    r->in_callback++;
    r->options.on_state(r->options.ctx, false, why);
    r->in_callback--;
}

static void set_up(struct redis *r)
{
    r->state = UP;
    r->why = error_none();
    r->up_since_ms = loop_now_ms(r->loop);
    r->suspect = 0;
    r->stats.connects++;
    loop_timer_cancel(&r->timer);
    if (!r->options.on_state)
        return;
    r->in_callback++;
    r->options.on_state(r->options.ctx, true, r->why);
    r->in_callback--;
}

static void tell(struct redis *r, struct call *call, struct error error, struct slice detail, struct reply *reply)
{
    struct redis_answer answer = {error, detail, reply ? redis_value_of(reply) : NULL};

    r->stats.errors += failed(error);
    r->in_callback++;
    call->fn(call->ctx, call->ticket, &answer);
    r->in_callback--;
    free(call);
}

static void wait_before_next(struct redis *r)
{
    if (r->up_since_ms && loop_now_ms(r->loop) - r->up_since_ms >= STEADY_MS)
        r->backoff_ms = 0;
    r->up_since_ms = 0;
    r->backoff_ms = r->backoff_ms ? r->backoff_ms * 2 : BACKOFF_MIN_MS;
    if (r->backoff_ms > BACKOFF_MAX_MS)
        r->backoff_ms = BACKOFF_MAX_MS;
    r->state = APART;
    loop_timer_set(&r->timer, r->backoff_ms / 2 + (int64_t)random_below(&r->jitter, (uint64_t)r->backoff_ms / 2 + 1));
}

/* The connection is gone: the oldest call is told `culprit`, the others that it was lost. */
static void drop(struct redis *r, struct error why, struct error culprit)
{
    struct list_node *n;

    r->port->connection = world_next_number();
    if (r->state != CLOSING)
        r->state = APART; /* nothing is sent on what is dying */
    while ((n = list_take_first(&r->sent))) {
        struct error error = r->state == CLOSING ? error_make(CLASS_WAIT, "redis_closed", "the client of Redis was closed")
                                                 : error_make(CLASS_WAIT, "redis_lost", "the connection to Redis was lost");

        tell(r, list_entry(n, struct call, node), failed(culprit) ? culprit : error, (struct slice){NULL, 0}, NULL);
        culprit = error_none();
    }
    if (r->state == CLOSING)
        return;
    wait_before_next(r);
    set_down(r, why);
}

static void connect_now(struct redis *r)
{
    struct redis_message *m = memory_take(world_memory(), sizeof *m);

    r->state = CONNECTING;
    r->port->connection = world_next_number();
    *m = (struct redis_message){.port = r->port, .connection = r->port->connection, .script = -1};
    loop_timer_set(&r->timer, r->options.connect_timeout_ms);
    redis_server_send(r->server, m);
}

static void look_at_oldest(struct redis *r)
{
    const struct call *oldest = r->sent.first ? list_entry(r->sent.first, struct call, node) : NULL;
    struct error timeout = error_make(CLASS_WAIT, "redis_timeout", "Redis did not answer in time");
    int64_t left;

    if (!oldest)
        return;
    left = oldest->due_ms - loop_now_ms(r->loop);
    if (left > 0) {
        r->suspect = 0;
        loop_timer_set(&r->timer, left);
    } else if (r->suspect != oldest->number) {
        r->suspect = oldest->number;
        loop_timer_set(&r->timer, OVERDUE_GRACE_MS);
    } else {
        r->stats.timeouts++;
        drop(r, timeout, timeout);
    }
}

static void on_timer(void *redis)
{
    struct redis *r = redis;

    if (r->state == APART)
        connect_now(r);
    else if (r->state == CONNECTING)
        drop(r, error_make(CLASS_WAIT, "redis_unreachable", "Redis could not be reached in time"), error_none());
    else if (r->state == UP || r->state == DRAINING)
        look_at_oldest(r);
}

/* Those that callbacks add meanwhile wait for the next turn. */
static void on_refused(void *redis)
{
    struct redis *r = redis;

    for (size_t n = r->refused.count; n > 0; n--) {
        struct call *call = list_entry(list_take_first(&r->refused), struct call, node);

        tell(r, call, call->refused, (struct slice){NULL, 0}, NULL);
    }
    if (r->refused.count && r->state != CLOSING)
        loop_timer_set(&r->refuse_timer, 0);
}

struct error redis_new(struct loop *l, const struct log *log, const struct redis_options *options, struct redis **out)
{
    struct redis *r = calloc(1, sizeof *r);

    (void)log;
    *out = r;
    if (!r)
        return error_make(CLASS_INTERNAL, "out_of_memory", "no memory for the client of Redis");
    r->loop = l;
    r->options = *options;
    if (!r->options.connect_timeout_ms)
        r->options.connect_timeout_ms = 5000;
    if (!r->options.call_timeout_ms)
        r->options.call_timeout_ms = 2000;
    if (!r->options.max_calls)
        r->options.max_calls = 100000;
    random_bytes(&r->jitter, sizeof r->jitter);
    r->why = error_make(CLASS_WAIT, "redis_connecting", "the first connection to Redis is being made");
    r->info = (struct redis_info){"7.0.15", "noeviction", "yes", "everysec"};
    r->server = world_redis();
    r->port = memory_take(world_memory(), sizeof *r->port);
    *r->port = (struct redis_port){.client = r, .process = sim_self()};
    loop_timer_init(&r->timer, l, on_timer, r);
    loop_timer_init(&r->refuse_timer, l, on_refused, r);
    loop_timer_set(&r->timer, 0);
    return error_none();
}

void redis_free(struct redis *r)
{
    if (!r)
        return;
    if (r->in_callback)
        bug("redis_free from a callback of the client");
    r->state = CLOSING;
    loop_timer_cancel(&r->timer);
    drop(r, error_none(), error_none());
    while (r->refused.count)
        on_refused(r);
    loop_timer_cancel(&r->refuse_timer);
    r->port->client = NULL;
    free(r);
}

static void refuse(struct redis *r, struct call *call, struct error error)
{
    call->refused = error;
    list_append(&r->refused, &call->node);
    if (!loop_timer_is_set(&r->refuse_timer))
        loop_timer_set(&r->refuse_timer, 0);
}

static struct call *call_new(struct redis *r, struct ticket ticket, redis_fn *fn, void *ctx)
{
    struct call *call = malloc(sizeof *call);

    if (!call)
        bug("out of memory for a Redis call");
    *call = (struct call){.ticket = ticket,
                          .fn = fn,
                          .ctx = ctx,
                          .number = ++r->next_number,
                          .due_ms = loop_now_ms(r->loop) + r->options.call_timeout_ms};
    r->stats.calls++;
    return call;
}

static void submit(struct redis *r, struct call *call, int script, int op, const struct slice *lists[2], const size_t counts[2])
{
    struct memory *memory = world_memory();
    struct redis_message *m;

    if (r->state != UP) {
        refuse(r, call,
               r->state == CLOSING ? error_make(CLASS_WAIT, "redis_closed", "the client of Redis is being closed")
                                   : error_make(CLASS_WAIT, "redis_down", "there is no connection to Redis that takes writes"));
        return;
    }
    if (r->sent.count >= r->options.max_calls) {
        refuse(r, call, error_make(CLASS_WAIT, "redis_busy", "too many calls wait for Redis"));
        return;
    }
    m = memory_take(memory, sizeof *m);
    *m = (struct redis_message){.port = r->port,
                                .connection = r->port->connection,
                                .number = call->number,
                                .script = script,
                                .op = op,
                                .task = call->ticket.task,
                                .nkeys = counts[0],
                                .nargs = counts[1]};
    m->args = memory_take(memory, (counts[0] + counts[1]) * sizeof *m->args);
    for (size_t list = 0, n = 0; list < 2; list++)
        for (size_t i = 0; i < counts[list]; i++)
            m->args[n++] = memory_copy(memory, lists[list][i]);
    list_append(&r->sent, &call->node);
    if (!loop_timer_is_set(&r->timer))
        loop_timer_set(&r->timer, r->options.call_timeout_ms);
    redis_server_send(r->server, m);
}

void redis_call(struct redis *r, struct ticket ticket, redis_fn *fn, void *ctx, const struct slice *args, size_t nargs)
{
    submit(r, call_new(r, ticket, fn, ctx), -1, -1, (const struct slice *[]){NULL, args}, (size_t[]){0, nargs});
}

void redis_eval(struct redis *r, int script, struct ticket ticket, redis_fn *fn, void *ctx, const struct slice *keys,
                size_t nkeys, const struct slice *args, size_t nargs)
{
    if (script < 0 || script >= r->nscripts)
        bug("no Redis script %d", script);
    submit(r, call_new(r, ticket, fn, ctx), r->scripts[script], script, (const struct slice *[]){keys, args},
           (size_t[]){nkeys, nargs});
}

void redis_refuse(struct redis *r, struct ticket ticket, redis_fn *fn, void *ctx, struct error error)
{
    refuse(r, call_new(r, ticket, fn, ctx), error);
}

int redis_script(struct redis *r, struct slice source)
{
    if (r->nscripts == SCRIPTS_MAX)
        bug("a Redis script too many");
    r->scripts[r->nscripts] = world_script(source);
    return r->nscripts++;
}

static void answered(struct redis *r, struct redis_message *m)
{
    struct list_node *n = list_take_first(&r->sent);
    struct call *call = n ? list_entry(n, struct call, node) : NULL;
    struct error error;
    bool outage;

    if (!call || call->number != m->number)
        bug("an answer of Redis out of order");
    if (m->reply.kind != REPLY_ERROR) {
        ledger_redis_answered(world_ledger(), m);
        tell(r, call, error_none(), (struct slice){NULL, 0}, &m->reply);
        return;
    }
    error = redis_error_of(m->reply.text, &outage);
    if (outage && r->state == UP) {
        r->state = DRAINING;
        set_down(r, error);
    }
    tell(r, call, error, m->reply.text, NULL);
}

void redis_client_receive(void *message)
{
    struct redis_message *m = message;
    struct redis *r = m->port->client;

    if (!r || m->connection != m->port->connection)
        return; /* of a connection that is gone */
    if (m->cut) {
        drop(r,
             r->state == CONNECTING ? error_make(CLASS_WAIT, "redis_unreachable", "Redis can't be reached, or hung up")
                                    : error_make(CLASS_WAIT, "redis_lost", "the connection to Redis was lost"),
             error_none());
    } else if (m->number == 0 && m->reply.kind == REPLY_ERROR) {
        bool outage;

        drop(r, redis_error_of(m->reply.text, &outage), error_none());
    } else if (m->number == 0) {
        set_up(r);
    } else {
        answered(r, m);
        if (r->state == DRAINING && !r->sent.count)
            drop(r, r->why, error_none());
    }
}

bool redis_is_up(const struct redis *r) { return r->state == UP; }
struct error redis_why_down(const struct redis *r) { return r->why; }
const struct redis_info *redis_info(const struct redis *r) { return &r->info; }

struct redis_stats redis_stats(const struct redis *r)
{
    struct redis_stats stats = r->stats;

    stats.in_flight = r->sent.count;
    return stats;
}
