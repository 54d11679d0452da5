/* Redis over one connection: pipelined calls, none blocks the loop.
 *
 *     struct redis *r;
 *     struct error err = redis_new(loop, log, &(struct redis_options){.url = "redis://127.0.0.1:26379/0"}, &r);
 *
 *     redis_call(r, ticket, on_answer, worker, (struct slice[]){SLICE("GET"), key}, 2);
 *
 * RESP2 to one endpoint, Redis >= 6.2, not Redis Cluster: a script touches keys of different slots. Calls made in one turn of the
 * loop leave in one write and are answered in order.
 *
 * Up means: a write was acknowledged on this connection. It goes down when the connection is lost, when the oldest call has
 * waited `call_timeout_ms`, and when Redis answers that it can't serve anybody now (LOADING, READONLY, OOM, MISCONF, NOAUTH …).
 * It then comes back by itself: name resolved anew, backoff 50 ms doubling to 5 s with jitter. `on_state` tells both.
 *
 * Each call gets its callback exactly once, later, from the loop (never inside redis_call); while the client is down at once in
 * the next turn. redis_free is the only exception. After an error of a call that was sent its outcome is unknown: whoever calls
 * must be able to call again.
 *
 * All of it belongs to the loop thread. An answer and all it shows end with the callback. A callback may call again, but not free
 * the client.
 */
#ifndef STEPMILL_REDIS_H
#define STEPMILL_REDIS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bytes.h"
#include "error.h"
#include "log.h"
#include "loop.h"
#include "ticket.h"

struct redis;

/* Texts are copied, files are read at each connect. 0 and NULL: the default. */
struct redis_options {
    const char *url;       /* redis://[user[:password]@]host[:port][/db]; rediss:// for TLS; [v6] in brackets; %XX where needed */
    const char *user;      /* ACL user; in place of the URL's. A password without user: "default" */
    const char *password;  /* in place of the URL's; never logged */
    const char *ca_file;   /* PEM; NULL: the system's authorities */
    const char *cert_file; /* PEM, client certificate */
    const char *key_file;  /* PEM; NULL: it is in cert_file */
    const char *server_name; /* that the certificate must carry, and SNI; NULL: the URL's host (name or address) */
    const char *client_name; /* CLIENT SETNAME; "stepmill" */
    const char *probe_key;   /* written (life 1 s) at each connect, to see that Redis takes writes; "stepmill:probe" */

    int64_t connect_timeout_ms; /* name, TCP, TLS and greeting; 5 s */
    int64_t call_timeout_ms;    /* 2 s: waiting in our queue counts */
    size_t max_calls;           /* unanswered; 100,000 */
    size_t max_bytes;           /* of unanswered calls; 256 MiB */
    size_t max_answer;          /* bytes of one answer; 8 MiB */

    /* `why` is none when up. Called from the loop, on changes only (also when the reason of being down changes). May be NULL. */
    void (*on_state)(void *ctx, bool up, struct error why);
    void *ctx;
};

/* Starts to connect in the next turn. Errors: config "redis_url", "redis_tls_files"; internal "out_of_memory". Loop and log must
 * outlive it. */
struct error redis_new(struct loop *l, const struct log *log, const struct redis_options *options, struct redis **out) MUST_CHECK;
/* Every unanswered call gets its callback from here (wait "redis_closed"). Not from a callback of this client. NULL is fine. */
void redis_free(struct redis *r);

/* An answer as Redis gave it. */
struct redis_value;
enum redis_kind { REDIS_NIL, REDIS_INTEGER, REDIS_TEXT, REDIS_ARRAY };
enum redis_kind redis_kind(const struct redis_value *v);
int64_t redis_integer(const struct redis_value *v);   /* also of a text that is a number; 0 of anything else */
struct slice redis_text(const struct redis_value *v); /* absent of anything but a text */
size_t redis_count(const struct redis_value *v);      /* elements of an array, 0 of anything else */
const struct redis_value *redis_at(const struct redis_value *v, size_t i); /* BUG past the end */

struct redis_answer {
    /* None: `value` is set. All others are outages (class wait):
     *
     * - not sent, or the outcome is unknown; the client is down: redis_down, redis_lost, redis_timeout, redis_closed
     * - Redis serves nobody now; the client goes down: redis_loading, redis_readonly, redis_oom, redis_misconf, redis_auth,
     * redis_script_busy, redis_unavailable
     * - only this call, the client stays up, on_state won't wake anybody: redis_busy (max_calls or max_bytes reached),
     *   redis_error (an error answer of another kind), redis_answer_too_large (the connection is made anew) */
    struct error error;
    struct slice detail; /* Redis' own words, for the log; absent when there are none */
    const struct redis_value *value;
};

typedef void redis_fn(void *ctx, struct ticket ticket, const struct redis_answer *answer);

/* The arguments are copied. */
void redis_call(struct redis *r, struct ticket ticket, redis_fn *fn, void *ctx, const struct slice *args, size_t nargs);

/* Makes a Lua script known; it is loaded at each connect, before the client is up. `source` must outlive the client. At most 32
 * (BUG), and before the loop turns. Returns its number for redis_eval. */
int redis_script(struct redis *r, struct slice source);
/* EVALSHA; a server that has forgotten the script gets its source, unseen by the caller. */
void redis_eval(struct redis *r, int script, struct ticket ticket, redis_fn *fn, void *ctx, const struct slice *keys,
                size_t nkeys, const struct slice *args, size_t nargs);
/* Answers `error` in the next turn without sending anything: for callers that find a call impossible but owe a callback. */
void redis_refuse(struct redis *r, struct ticket ticket, redis_fn *fn, void *ctx, struct error error);

/* What the server said at the last connect; texts are empty before the first, "unknown" where an ACL forbids the question. */
struct redis_info {
    char version[32];
    char maxmemory_policy[32]; /* anything but noeviction may drop checkpoints */
    char appendonly[8];        /* yes, no */
    char appendfsync[16];      /* always, everysec, no: what a crash of the Redis machine may lose (DELIVERY promise 3) */
};

bool redis_is_up(const struct redis *r);
struct error redis_why_down(const struct redis *r); /* none while up */
const struct redis_info *redis_info(const struct redis *r);

struct redis_stats {
    uint64_t calls, errors, timeouts; /* so far */
    uint64_t connects, losses;        /* connections that came up; that went down */
    size_t in_flight, in_flight_bytes;
};
struct redis_stats redis_stats(const struct redis *r);

#endif
