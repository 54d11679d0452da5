/* Accepting connections, reading requests, sending answers on time or badly, as asked. */
#include "server.h"

#include <errno.h>
#include <event2/event_struct.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SCRATCH = 256 << 10, ACCEPTS_AT_ONCE = 64, WAITING_MAX = 1 << 20, COMMON_LATENCIES = 16 };

/* An answer on its way. */
struct pending {
    struct event timer;
    struct answer answer;
    size_t sent, limit; /* send no more than that for now */
    bool close_after;
};

/* An idle connection is this and nothing else. */
struct conn {
    LIST_ENTRY(conn) link;
    struct server *server;
    int fd; /* -1: closed, freed when the callback that did it returns */
    bool writing, told_to_continue;
    struct event io;
    struct text in; /* bytes of requests that cannot be answered yet */
    struct pending *pending;
};

struct server {
    struct event_base *base;
    struct fakes *fakes;
    int listening;
    struct event *accepting, *resume;
    LIST_HEAD(, conn) conns;
    struct {
        int64_t us;
        const struct timeval *common;
    } latencies[COMMON_LATENCIES]; /* libevent queues equal timeouts at no cost */
    char scratch[SCRATCH];
};

static void on_io(evutil_socket_t fd, short what, void *arg);
static void on_timer(evutil_socket_t fd, short what, void *arg);

static struct stats *stats_of(struct conn *c) { return &c->server->fakes->shared->stats; }

static void drop_pending(struct conn *c)
{
    if (!c->pending)
        return;
    event_del(&c->pending->timer);
    text_free(&c->pending->answer.bytes);
    free(c->pending);
    c->pending = NULL;
    atomic_fetch_sub_explicit(&stats_of(c)->pending, 1, memory_order_relaxed);
}

static void conn_close(struct conn *c, bool reset)
{
    if (c->fd < 0)
        return;
    if (c->pending && c->pending->answer.delivery == DELIVER && c->pending->sent < c->pending->answer.bytes.len)
        atomic_fetch_add(&stats_of(c)->abandoned, 1);
    drop_pending(c);
    event_del(&c->io);
    if (reset)
        setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &(struct linger){.l_onoff = 1}, sizeof(struct linger));
    close(c->fd);
    c->fd = -1;
    atomic_fetch_sub(&stats_of(c)->connections, 1);
}

/* The last thing a callback does. */
static void conn_reap(struct conn *c)
{
    if (c->fd >= 0)
        return;
    LIST_REMOVE(c, link);
    text_free(&c->in);
    free(c);
}

static void watch_writing(struct conn *c, bool on)
{
    if (c->writing == on)
        return;
    c->writing = on;
    event_del(&c->io);
    event_assign(&c->io, c->server->base, c->fd, (short)(EV_READ | EV_PERSIST | (on ? EV_WRITE : 0)), on_io, c);
    event_add(&c->io, NULL);
}

/* The answer is out: count it, and be ready for the next request. */
static void conn_answered(struct conn *c)
{
    struct pending *p = c->pending;
    struct fakes *f = c->server->fakes;
    bool close_after = p->close_after, whole = p->sent == p->answer.bytes.len, good = p->answer.status / 100 == 2;

    if (whole && p->answer.kind) {
        calls_answered(f->shared, p->answer.call, p->answer.status);
        if (good)
            atomic_fetch_add_explicit(p->answer.kind == CALL_MODEL ? &f->shared->stats.model_answered
                                                                   : &f->shared->stats.tool_answered,
                                      1, memory_order_relaxed);
    }
    drop_pending(c);
    if (close_after)
        conn_close(c, false);
}

static void conn_send(struct conn *c)
{
    struct pending *p = c->pending;

    while (p->sent < p->limit) {
        ssize_t n = send(c->fd, p->answer.bytes.at + p->sent, p->limit - p->sent, MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            watch_writing(c, true);
            return;
        }
        if (n < 0) {
            conn_close(c, false);
            return;
        }
        p->sent += (size_t)n;
        atomic_fetch_add_explicit(&stats_of(c)->bytes_out, (unsigned long long)n, memory_order_relaxed);
    }
    if (p->answer.delivery == DELIVER_ENDLESSLY) { /* the loop goes round before more of it */
        p->sent = p->answer.head;
        watch_writing(c, true);
        return;
    }
    watch_writing(c, false);
    if (p->answer.delivery != DELIVER_SLOWLY || p->sent == p->answer.bytes.len)
        conn_answered(c);
}

static const struct timeval *timeout(struct server *s, int64_t us, struct timeval *room)
{
    *room = (struct timeval){.tv_sec = us / 1000000, .tv_usec = us % 1000000};
    for (size_t i = 0; i < COMMON_LATENCIES; i++) {
        if (!s->latencies[i].common) {
            s->latencies[i].us = us;
            s->latencies[i].common = event_base_init_common_timeout(s->base, room);
        }
        if (s->latencies[i].us == us && s->latencies[i].common)
            return s->latencies[i].common;
    }
    return room;
}

/* Its time has come. */
static void conn_deliver(struct conn *c)
{
    struct pending *p = c->pending;
    struct answer *a = &p->answer;
    struct timeval room;

    switch (a->delivery) {
    case DELIVER_NEVER: /* the connection stays, the client waits */
        return;
    case DELIVER_RESET:
    case DELIVER_CLOSE:
        conn_close(c, a->delivery == DELIVER_RESET);
        return;
    case DELIVER_HALF:
        p->limit = a->head + (a->bytes.len - a->head) / 2;
        p->close_after = true;
        break;
    case DELIVER_SLOWLY:
        p->limit = p->sent < a->head ? a->head : p->sent < a->bytes.len ? p->sent + 1 : p->sent;
        if (p->limit < a->bytes.len)
            event_add(&p->timer, timeout(c->server, a->interval_us, &room));
        break;
    default:
        p->limit = a->bytes.len;
    }
    conn_send(c);
}

static void log_call(const struct http_request *r, const struct answer *a)
{
    fprintf(stderr, "%.*s %.*s key=\"%.*s\" status=%d latency=%lldus%s\n", (int)r->method.len, r->method.at, (int)r->path.len,
            r->path.at, (int)r->key.len, r->key.at, a->status, (long long)a->latency_us,
            a->delivery == DELIVER ? "" : " (spoiled)");
}

static void start_answer(struct conn *c, const struct http_request *r)
{
    struct pending *p = must_alloc(sizeof *p);
    struct server *s = c->server;
    struct timeval room;

    c->pending = p;
    evtimer_assign(&p->timer, s->base, on_timer, c);
    atomic_fetch_add_explicit(&stats_of(c)->pending, 1, memory_order_relaxed);
    if (r->bad_status) {
        atomic_fetch_add(&stats_of(c)->bad_requests, 1);
        answer_error(&p->answer, r->bad_status, "bad_request", r->bad_why, NULL);
    } else {
        record_request(s->fakes, r);
        fakes_answer(s->fakes, r, &p->answer);
        if (s->fakes->options->log)
            log_call(r, &p->answer);
    }
    p->close_after = r->close || r->bad_status || p->answer.close;
    if (p->answer.latency_us > 0)
        event_add(&p->timer, timeout(s, p->answer.latency_us, &room));
    else
        conn_deliver(c);
}

/* Takes one request from the bytes; returns how many it was, 0: it is not complete. */
static size_t take_request(struct conn *c, struct span bytes)
{
    struct http_request r;
    enum http_state state = http_parse(&r, bytes);

    if (state == HTTP_MORE) {
        if (r.expects_continue && !c->told_to_continue) {
            static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";

            c->told_to_continue = true;
            if (send(c->fd, go_on, sizeof go_on - 1, MSG_NOSIGNAL) < 0)
                conn_close(c, false);
        }
        return 0;
    }
    c->told_to_continue = false;
    start_answer(c, &r);
    http_request_free(&r);
    return state == HTTP_BAD ? bytes.len : r.size;
}

/* Works on what was kept while an answer was on its way. */
static void take_kept(struct conn *c)
{
    while (c->fd >= 0 && !c->pending && c->in.len) {
        size_t taken = take_request(c, span_text(&c->in));

        if (!taken)
            return;
        memmove(c->in.at, c->in.at + taken, c->in.len - taken);
        c->in.len -= taken;
    }
    if (!c->in.len)
        text_free(&c->in);
}

static void conn_read(struct conn *c)
{
    char *scratch = c->server->scratch;
    ssize_t n = recv(c->fd, scratch, SCRATCH, 0);
    size_t taken = 0;

    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
        return;
    if (n <= 0) {
        conn_close(c, false);
        return;
    }
    atomic_fetch_add_explicit(&stats_of(c)->bytes_in, (unsigned long long)n, memory_order_relaxed);
    if (!c->pending && !c->in.len)
        taken = take_request(c, (struct span){scratch, (size_t)n});
    if (c->fd < 0 || taken == (size_t)n)
        return;
    text_add(&c->in, scratch + taken, (size_t)n - taken);
    if (!c->pending)
        take_kept(c);
    else if (c->in.len > WAITING_MAX)
        conn_close(c, true);
}

static void on_io(evutil_socket_t fd, short what, void *arg)
{
    struct conn *c = arg;

    (void)fd;
    if (what & EV_WRITE && c->pending) {
        conn_send(c);
        take_kept(c);
    }
    if (what & EV_READ && c->fd >= 0)
        conn_read(c);
    conn_reap(c);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct conn *c = arg;

    (void)fd;
    (void)what;
    conn_deliver(c);
    take_kept(c);
    conn_reap(c);
}

static void conn_new(struct server *s, int fd)
{
    struct conn *c = must_alloc(sizeof *c);
    struct stats *t = &s->fakes->shared->stats;
    long long now, max;

    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    c->server = s;
    c->fd = fd;
    LIST_INSERT_HEAD(&s->conns, c, link);
    event_assign(&c->io, s->base, fd, EV_READ | EV_PERSIST, on_io, c);
    event_add(&c->io, NULL);
    atomic_fetch_add(&t->accepted, 1);
    now = atomic_fetch_add(&t->connections, 1) + 1;
    max = atomic_load(&t->connections_max);
    while (now > max && !atomic_compare_exchange_weak(&t->connections_max, &max, now)) {
    }
}

/* Out of file descriptors: let the clients wait in the queue for a moment instead of spinning. */
static void on_accept(evutil_socket_t fd, short what, void *arg)
{
    struct server *s = arg;

    (void)what;
    for (int i = 0; i < ACCEPTS_AT_ONCE; i++) {
        int client = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (client >= 0) {
            conn_new(s, client);
            continue;
        }
        if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
            if (atomic_fetch_add(&s->fakes->shared->stats.refused, 1) == 0)
                fprintf(stderr, "stepmill-fakes: cannot accept: %s; use more --processes\n", strerror(errno));
            event_del(s->accepting);
            evtimer_add(s->resume, (&(struct timeval){.tv_usec = 100000}));
        }
        return;
    }
}

static void on_resume(evutil_socket_t fd, short what, void *arg)
{
    struct server *s = arg;

    (void)fd;
    (void)what;
    event_add(s->accepting, NULL);
}

struct server *server_new(struct event_base *base, struct fakes *fakes, int listening)
{
    struct server *s = must_alloc(sizeof *s);

    s->base = base;
    s->fakes = fakes;
    s->listening = listening;
    LIST_INIT(&s->conns);
    s->accepting = event_new(base, listening, EV_READ | EV_PERSIST, on_accept, s);
    s->resume = evtimer_new(base, on_resume, s);
    if (s->accepting && s->resume && event_add(s->accepting, NULL) == 0)
        return s;
    server_free(s);
    return NULL;
}

void server_free(struct server *s)
{
    struct conn *c;

    while ((c = LIST_FIRST(&s->conns))) {
        conn_close(c, false);
        conn_reap(c);
    }
    if (s->accepting)
        event_free(s->accepting);
    if (s->resume)
        event_free(s->resume);
    close(s->listening);
    free(s);
}
