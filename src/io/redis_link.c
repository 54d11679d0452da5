/* The connection to Redis: opened, watched, ended, and opened again after a while. */
#include <hiredis/adapters/libevent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "redis_private.h"
#include "stepmill/random.h"

enum { BACKOFF_MIN_MS = 50, BACKOFF_MAX_MS = 5000, STEADY_MS = 5000, ELEMENTS_MAX = 1 << 17 };

/* Half of the time is fixed, half is chance, so that a fleet does not come back in one moment. Only a connection that held makes
 * the next wait short again: a server that falls over at each first call must not be hammered. */
static void wait_before_next(struct redis *r)
{
    int64_t wait;

    if (r->up_since_ms && loop_now_ms(r->loop) - r->up_since_ms >= STEADY_MS)
        r->backoff_ms = 0;
    r->up_since_ms = 0;
    r->backoff_ms = r->backoff_ms ? r->backoff_ms * 2 : BACKOFF_MIN_MS;
    if (r->backoff_ms > BACKOFF_MAX_MS)
        r->backoff_ms = BACKOFF_MAX_MS;
    wait = r->backoff_ms / 2 + (int64_t)random_below(&r->jitter, (uint64_t)r->backoff_ms / 2 + 1);
    r->state = STATE_APART;
    loop_timer_set(&r->timer, wait);
}

void redis_link_failed(struct redis *r, struct error why, const char *detail)
{
    wait_before_next(r);
    redis_set_down(r, why, detail);
}

/* What the end of the connection means, when it was not us who ended it. */
static struct error reason_of(const struct link *k, const char **detail)
{
    const redisAsyncContext *async = k->async;
    const char *distrust = redis_tls_failure(k);

    if (failed(k->why)) {
        *detail = k->detail;
        return k->why;
    }
    *detail = distrust ? distrust : async->err && async->errstr ? async->errstr : "";
    if (distrust)
        return redis_tls_untrusted();
    if (k->awaited)
        return error_make(CLASS_WAIT, "redis_unreachable", "Redis can't be reached, or hung up before it took us in");
    return error_make(CLASS_WAIT, "redis_lost", "the connection to Redis was lost");
}

/* hiredis lets go of the connection, for whatever reason; all its calls were answered. */
static void on_gone(void *link)
{
    struct link *k = link;
    struct redis *r = k->redis;
    char text[DETAIL_MAX];
    const char *detail;
    struct error why = reason_of(k, &detail);

    if (r->sent.count)
        bug("%zu Redis calls outlive their connection", r->sent.count);
    snprintf(text, sizeof text, "%s", detail);
    k->async->c.funcs = k->inner; /* hiredis goes on with them */
    loop_timer_cancel(&k->flush);
    r->link = NULL;
    free(k);
    if (r->state != STATE_CLOSING)
        redis_link_failed(r, why, text);
}

/* In place of hiredis' read: an answer may not grow past its ceiling. What is unread before a read belongs to one answer; what
 * comes with it may belong to several. */
static ssize_t bounded_read(struct redisContext *c, char *to, size_t room)
{
    struct link *k = c->privdata;
    ssize_t got;

    if (k->unread > k->redis->options.max_answer) {
        k->culprit = error_make(CLASS_WAIT, "redis_answer_too_large",
                                "Redis gave an answer over the ceiling; the connection is made anew");
        k->why = k->culprit;
        c->err = REDIS_ERR_OTHER;
        snprintf(c->errstr, sizeof c->errstr, "answer too large");
        return -1;
    }
    got = k->inner->read(c, to, room);
    if (got > 0)
        k->unread += (size_t)got;
    return got;
}

static void flush(void *link)
{
    struct link *k = link;
    struct redis *r = k->redis;

    k->flushing = true;
    k->flushed_ms = loop_now_ms(r->loop);
    redisAsyncHandleWrite(k->async);
    if (r->link == k) /* else the write showed that the connection is gone, and so is the link */
        k->flushing = false;
}

/* In place of "wake me when the socket takes more", which costs hiredis two system calls for each turn that has commands: it
 * nearly always takes more, so what has gathered is written by a timer, at most once a millisecond. Once the socket is full, or
 * not connected yet, hiredis' own way is the right one. */
static void write_soon(void *events)
{
    struct link *k = ((redisLibeventEvents *)events)->context->data;
    struct loop *l = k->redis->loop;

    if (k->flushing || !(k->async->c.flags & REDIS_CONNECTED)) {
        k->watch_write(events);
    } else if (!loop_timer_is_set(&k->flush)) {
        loop_timer_set(&k->flush, loop_now_ms(l) > k->flushed_ms ? 0 : 1);
    }
}

static struct error start(struct link *k, const char **detail)
{
    struct error failure = error_make(CLASS_INTERNAL, "out_of_memory", "no memory for the connection to Redis");

    if (redisLibeventAttach(k->async, loop_base(k->redis->loop)) != REDIS_OK)
        return failure;
    k->watch_write = k->async->ev.addWrite;
    k->async->ev.addWrite = write_soon;
    redisEnableKeepAlive(&k->async->c);
    if (k->redis->address.tls) {
        struct error error = redis_tls_start(k, detail);

        if (failed(error))
            return error;
    }
    k->inner = k->async->c.funcs;
    k->funcs = *k->inner;
    k->funcs.read = bounded_read;
    k->async->c.funcs = &k->funcs;
    k->async->c.reader->maxelements = ELEMENTS_MAX;
    return redis_greet(k);
}

static void connect_to(struct redis *r, const char *address)
{
    struct link *k = calloc(1, sizeof *k);
    redisOptions options = {0};

    if (!k)
        bug("out of memory for the connection to Redis");
    REDIS_OPTIONS_SET_TCP(&options, address, r->address.port);
    options.options = strchr(address, ':') ? REDIS_OPT_PREFER_IPV6 : REDIS_OPT_PREFER_IPV4;
    k->async = redisAsyncConnectWithOptions(&options);
    if (!k->async)
        bug("out of memory for the connection to Redis");
    k->redis = r;
    loop_timer_init(&k->flush, r->loop, flush, k);
    k->inner = k->async->c.funcs;
    k->awaited = 1;
    k->async->c.privdata = k;
    k->async->data = k;
    k->async->dataCleanup = on_gone;
    r->link = k;
    r->state = STATE_CONNECTING;
    if (k->async->err) {
        redis_link_drop(r, error_none(), error_none(), "");
        return;
    }
    const char *detail = "";
    struct error error = start(k, &detail);
    if (failed(error))
        redis_link_drop(r, error, error_none(), detail);
}

void redis_link_resolved(struct redis *r, const char *failure)
{
    if (failure || !r->naddresses) {
        redis_link_failed(r, error_make(CLASS_WAIT, "redis_unresolved", "the host name of Redis can't be resolved"),
                          failure ? failure : "");
        return;
    }
    connect_to(r, r->addresses[r->next_address++ % r->naddresses]);
}

void redis_link_open(struct redis *r)
{
    r->state = STATE_RESOLVING;
    loop_timer_set(&r->timer, r->options.connect_timeout_ms);
    redis_resolve(r);
}

void redis_link_drop(struct redis *r, struct error why, struct error culprit, const char *detail)
{
    struct link *k = r->link;

    if (r->state != STATE_CLOSING)
        r->state = STATE_APART;
    k->why = why;
    k->culprit = culprit;
    snprintf(k->detail, sizeof k->detail, "%s", detail ? detail : "");
    redisAsyncFree(k->async);
}

void redis_link_drain(struct redis *r, struct error why)
{
    if (r->state != STATE_UP)
        return;
    r->state = STATE_DRAINING;
    r->link->why = why;
    redisAsyncDisconnect(r->link->async);
    redis_set_down(r, why, "the connection is made anew");
}
