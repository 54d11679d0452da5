/* The HTTP client's sockets: watched by libevent from opening to closing, idle ones too. */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http_client_private.h"

static void watch_events(struct watch *w, curl_socket_t fd, short events);

static void on_ready(evutil_socket_t fd, short what, void *ctx)
{
    struct watch *w = ctx;
    int ready = (what & EV_READ ? CURL_CSELECT_IN : 0) | (what & EV_WRITE ? CURL_CSELECT_OUT : 0);

    /* An idle connection that speaks is being closed by the server: curl sees that when it wants to use it again. */
    if (!w->shard || !(what & w->wanted))
        watch_events(w, fd, w->wanted);
    else
        shard_act(w->shard, fd, ready);
}

/* Makes libevent watch exactly `events`. */
static void watch_events(struct watch *w, curl_socket_t fd, short events)
{
    struct event_base *base = event_get_base(&w->event);

    if (w->events == events)
        return;
    if (w->events)
        event_del(&w->event);
    w->events = 0;
    if (!events)
        return;
    event_assign(&w->event, base, fd, (short)(events | EV_PERSIST), on_ready, w);
    if (event_add(&w->event, NULL) < 0)
        bug("event_add failed for a socket of curl");
    w->events = events;
}

/* The watch of a descriptor, made when missing; NULL: out of memory. */
static struct watch *watch_of(struct http_client *c, curl_socket_t fd)
{
    size_t i = (size_t)fd;

    if (i >= c->watch_count) {
        size_t count = i + i / 2 + 64;
        struct watch **watches = realloc(c->watches, count * sizeof *watches);

        if (!watches)
            return NULL;
        for (size_t k = c->watch_count; k < count; k++)
            watches[k] = NULL;
        c->watches = watches;
        c->watch_count = count;
    }
    if (!c->watches[i]) {
        c->watches[i] = calloc(1, sizeof **c->watches);
        if (c->watches[i])
            event_assign(&c->watches[i]->event, loop_base(c->loop), fd, EV_READ | EV_PERSIST, on_ready, c->watches[i]);
    }
    return c->watches[i];
}

static void forget(struct http_client *c, curl_socket_t fd)
{
    struct watch *w = (size_t)fd < c->watch_count ? c->watches[fd] : NULL;

    if (!w)
        return;
    watch_events(w, fd, 0);
    free(w);
    c->watches[fd] = NULL;
}

int socket_wanted(CURL *easy, curl_socket_t fd, int what, void *shard, void *unused)
{
    struct shard *s = shard;
    struct http_client *c = s->endpoint->client;
    struct watch *w = watch_of(c, fd);

    (void)easy;
    (void)unused;
    if (!w)
        return -1;
    if (what == CURL_POLL_REMOVE) {
        w->wanted = 0;
        w->shard = NULL;
        if (!w->opened) /* the resolver's: closed without a word */
            forget(c, fd);
        return 0;
    }
    w->shard = s;
    w->wanted = (short)((what & CURL_POLL_IN ? EV_READ : 0) | (what & CURL_POLL_OUT ? EV_WRITE : 0));
    watch_events(w, fd, w->wanted);
    return 0;
}

curl_socket_t socket_open(void *client, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct http_client *c = client;
    int fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
    struct watch *w;

    (void)purpose;
    if (fd < 0)
        return CURL_SOCKET_BAD;
    forget(c, fd); /* a number the resolver used before */
    w = watch_of(c, fd);
    if (!w) {
        close(fd);
        return CURL_SOCKET_BAD;
    }
    w->opened = true;
    c->stats.connections++;
    c->stats.connected++;
    return fd;
}

int socket_close(void *client, curl_socket_t fd)
{
    struct http_client *c = client;

    forget(c, fd);
    c->stats.connections--;
    return close(fd);
}

void sockets_free(struct http_client *c)
{
    for (size_t i = 0; i < c->watch_count; i++)
        forget(c, (curl_socket_t)i);
    free(c->watches);
    c->watches = NULL;
    c->watch_count = 0;
}
