/* What the files of the Redis client share. Nothing outside src/io/redis*.c includes this. */
#ifndef STEPMILL_REDIS_PRIVATE_H
#define STEPMILL_REDIS_PRIVATE_H

#include <hiredis/async.h>
#include <hiredis/hiredis.h>
#include <netinet/in.h>

#include "stepmill/list.h"
#include "stepmill/redis.h"

struct evdns_base;
struct ssl_st;

enum {
    SCRIPTS_MAX = 32,
    SHA_LEN = 40,
    HOST_MAX = 256, /* a DNS name has at most 253 characters */
    SECRET_ROOM = 1024,
    DETAIL_MAX = 256,
    ADDRESSES_MAX = 8,
};

/* Where Redis is, as the URL says. */
struct redis_address {
    bool tls;
    char host[HOST_MAX];
    uint16_t port;
    int32_t db;
    char user[SECRET_ROOM], password[SECRET_ROOM];
};

/* redis_url.c */
struct error redis_url_parse(const char *url, struct redis_address *out) MUST_CHECK;

struct script {
    struct slice source;
    char sha[SHA_LEN + 1]; /* as the server named it at the last connect */
};

/* One call that owes a callback. `bytes` is the command as it goes over the wire, kept to send it again after NOSCRIPT. */
struct call {
    struct list_node node;
    struct redis *redis;
    redis_fn *fn;
    void *ctx;
    struct ticket ticket;
    struct error refused; /* on the list of refused calls: what it will be told */
    int64_t due_ms;
    uint64_t number;
    int script;     /* -1: no script */
    bool by_source; /* sent as EVAL after NOSCRIPT */
    size_t len;
    size_t tail; /* where the part behind the SHA begins */
    char bytes[];
};

/* What the client waits for. */
enum redis_state {
    STATE_APART,      /* the time to try again */
    STATE_RESOLVING,  /* the resolver's answer */
    STATE_CONNECTING, /* TCP, TLS and the answers to the greeting */
    STATE_UP,         /* calls */
    STATE_DRAINING,   /* the answers that are still out, then the end of the connection */
    STATE_CLOSING,    /* redis_free */
};

/* One connection, from connect to the moment hiredis lets go of it. */
struct link {
    struct redis *redis;
    redisAsyncContext *async;
    redisContextFuncs funcs; /* hiredis' own, with our read in front */
    const redisContextFuncs *inner;
    struct ssl_st *ssl;                /* NULL: plain */
    void (*watch_write)(void *events); /* hiredis' own: tells when the socket takes more */
    struct loop_timer flush;
    int64_t flushed_ms; /* when commands were last sent */
    bool flushing;
    size_t unread;        /* bytes received since the last whole answer */
    int awaited;          /* answers to the greeting that are still out */
    int loaded;           /* scripts that the server has loaded */
    struct error culprit; /* what the oldest call is told when the connection ends; the others are told redis_lost */
    struct error why;     /* why it ends, if we ended it */
    char detail[DETAIL_MAX];
};

struct lookup;

struct redis {
    struct loop *loop;
    const struct log *log;
    struct redis_options options; /* its texts are ours */
    struct redis_address address;

    enum redis_state state;
    struct error why; /* none only while up */
    struct link *link;
    struct loop_timer timer; /* of the state: backoff, connect timeout, deadline of calls */
    int64_t backoff_ms;
    int64_t up_since_ms, logged_ms, error_logged_ms;
    uint64_t jitter;

    struct evdns_base *dns;
    struct lookup *lookup;
    char addresses[ADDRESSES_MAX][INET6_ADDRSTRLEN]; /* of the host, as of the last resolving */
    size_t naddresses, next_address;

    struct list sent;    /* struct call, oldest first */
    struct list refused; /* struct call */
    struct loop_timer refuse_timer;
    uint64_t next_number;
    uint64_t suspect; /* number of the call seen overdue at the last look; 0: none */
    int in_callback;

    struct script scripts[SCRIPTS_MAX];
    int nscripts;
    struct redis_info info;
    struct redis_stats stats;
};

/* redis_state.c: up and down, told once each. */
void redis_set_down(struct redis *r, struct error why, const char *detail);
void redis_set_up(struct redis *r);

/* redis_calls.c: calls from redis_call to their callback. */
struct call *redis_format(int script, const char *sha, const struct slice *args, size_t nargs);
void redis_on_reply(redisAsyncContext *async, void *reply, void *call);
void redis_on_refused(void *redis);
void redis_look_at_oldest(struct redis *r); /* ends the connection when its oldest call is overdue */

/* redis_value.c: what an error answer means. `outage`: it would be the same for every call. */
struct error redis_error_of(const char *text, bool *outage);

/* redis_link.c: the connection. */
void redis_link_open(struct redis *r);
/* Ends it now: unanswered calls get redis_lost, the oldest `culprit` if that is one. */
void redis_link_drop(struct redis *r, struct error why, struct error culprit, const char *detail);
/* Ends it when the answers that are out have come. */
void redis_link_drain(struct redis *r, struct error why);
/* No connection came about: try again later. */
void redis_link_failed(struct redis *r, struct error why, const char *detail);

/* redis_resolve.c: fills `addresses`; calls redis_link_resolved, perhaps at once. */
void redis_resolve(struct redis *r);
void redis_resolve_cancel(struct redis *r);
void redis_resolve_free(struct redis *r);
void redis_link_resolved(struct redis *r, const char *failure);

/* redis_greet.c: who we are, what the server is, does it take writes. */
struct error redis_greet(struct link *k) MUST_CHECK;

/* redis_tls.c */
struct error redis_tls_check(const struct redis *r) MUST_CHECK;
struct error redis_tls_start(struct link *k, const char **detail) MUST_CHECK; /* detail is set only on error */
struct error redis_tls_untrusted(void) MUST_CHECK;
const char *redis_tls_failure(const struct link *k); /* NULL: the certificate was not the trouble */

#endif
