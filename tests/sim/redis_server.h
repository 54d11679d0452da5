/* The simulated Redis: one server (and a replica behind it) that all processes of a history reach over links that fail. */
#ifndef SIM_REDIS_SERVER_H
#define SIM_REDIS_SERVER_H

#include "lua_host.h"
#include "sim.h"
#include "stepmill/error.h"

/* One client's connection as the server and the network see it. In the world's memory, for it outlives the process. */
struct redis_port {
    struct redis *client; /* NULL: freed */
    struct sim_process *process;
    uint64_t connection;                /* number of the connection made now; what belongs to another is lost */
    uint64_t sent, arrived;             /* messages: none overtakes another, a stall or not */
    uint64_t cut;                       /* number of the newest connection that has ended */
    int64_t to_server_ms, to_client_ms; /* when the newest message arrives: none overtakes another */
};

/* A call on its way to the server, then its answer on the way back. */
struct redis_message {
    struct redis_port *port;
    uint64_t order;              /* of its port */
    uint64_t connection, number; /* number 0: the greeting */
    int script;                  /* of the Lua host; -1: a plain command */
    struct slice *args;
    size_t nkeys, nargs; /* keys first */
    struct reply reply;
    uint64_t task; /* of the ticket */
    int op;        /* enum cells_op of a script */
    uint64_t call; /* number under which the server carried it out */
    bool cut;      /* not an answer: the connection has ended */
};

struct redis_server;

struct redis_server *redis_server_new(struct memory *m, struct lua_host *lua);
struct store *redis_server_store(struct redis_server *s);
struct lua_host *redis_server_lua(struct redis_server *s);
/* Ends all faults that last: stalls, refusals, outages. */
void redis_server_heal(struct redis_server *s);

/* The message leaves the client now. */
void redis_server_send(struct redis_server *s, struct redis_message *m);

/* redis_value.c */
struct redis_value *redis_value_of(struct reply *r);
/* What an error answer means; `outage`: it would be the same for every call. */
struct error redis_error_of(struct slice text, bool *outage);

/* redis_client.c: the message has arrived at its process, in a turn of its loop. */
void redis_client_receive(void *message);

#endif
