/* The gate of the HTTP server. evhttp 2.1 has no limit of its own and tells nobody when a connection ends, so the gate keeps a
 * reference to each connection's buffer and looks from time to time which ones evhttp has let go: those have no callbacks any
 * more.
 *
 * A buffer watches its descriptor until its last reference goes. So the buffer owns the descriptor (BEV_OPT_CLOSE_ON_FREE): if
 * evhttp closed it before that, its number would soon be another connection's, Redis' for example, and the buffer would read from
 * there. */
#include "http_server_gate.h"

#include <event2/bufferevent.h>
#include <event2/listener.h>
#include <stdlib.h>

#include "http_server_tls.h"

enum { LOOK_AGAIN_MS = 100, LOOK_IDLY_MS = 1000 };

struct gate {
    struct evconnlistener *listener;
    struct server_tls *tls;
    struct loop_timer look;
    size_t max;
    size_t bytes; /* that a connection may have sent and nobody taken */
    size_t count;
    struct bufferevent *connections[]; /* `max` of them */
};

static bool is_let_go(struct bufferevent *b)
{
    bufferevent_event_cb on_event = NULL;
    bufferevent_data_cb on_read = NULL, on_write = NULL;
    void *ctx = NULL;

    bufferevent_getcb(b, &on_read, &on_write, &on_event, &ctx);
    return !on_event && !on_read && !on_write;
}

static void forget_ended(struct gate *g)
{
    for (size_t i = 0; i < g->count;) {
        if (is_let_go(g->connections[i])) {
            bufferevent_decref(g->connections[i]);
            g->connections[i] = g->connections[--g->count];
        } else {
            i++;
        }
    }
}

static void on_look(void *ctx)
{
    struct gate *g = ctx;

    forget_ended(g);
    if (g->count < g->max)
        evconnlistener_enable(g->listener);
    if (g->count)
        loop_timer_set(&g->look, g->count < g->max ? LOOK_IDLY_MS : LOOK_AGAIN_MS);
}

/* evhttp asks for the buffer of a connection it has just accepted, and sets its callbacks right after. */
static struct bufferevent *on_accept(struct event_base *base, void *ctx)
{
    struct gate *g = ctx;
    struct bufferevent *b;

    if (g->count + 1 >= g->max)
        forget_ended(g);
    if (g->count == g->max) /* the kernel had more ready than the listener could be stopped for */
        return NULL;
    b = g->tls ? server_tls_accept(g->tls, base) : bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
    if (!b) /* libevent would make one itself: without TLS, and not counted */
        bug("out of memory for a connection");
    bufferevent_setwatermark(b, EV_READ, 0, g->bytes); /* evhttp goes on reading while an answer waits for a slow reader */
    bufferevent_incref(b);
    g->connections[g->count++] = b;
    if (g->count == g->max) {
        evconnlistener_disable(g->listener);
        loop_timer_set(&g->look, LOOK_AGAIN_MS);
    } else if (!loop_timer_is_set(&g->look)) {
        loop_timer_set(&g->look, LOOK_IDLY_MS);
    }
    return b;
}

struct gate *gate_new(struct loop *l, struct evhttp *http, size_t max, size_t bytes)
{
    struct gate *g = calloc(1, sizeof *g + max * sizeof(struct bufferevent *));

    if (!g)
        return NULL;
    g->max = max;
    g->bytes = bytes;
    loop_timer_init(&g->look, l, on_look, g);
    evhttp_set_bevcb(http, on_accept, g);
    return g;
}

void gate_set_socket(struct gate *g, struct evhttp_bound_socket *bound) { g->listener = evhttp_bound_socket_get_listener(bound); }

void gate_set_tls(struct gate *g, struct server_tls *tls) { g->tls = tls; }

void gate_free(struct gate *g)
{
    if (!g)
        return;
    loop_timer_cancel(&g->look);
    for (size_t i = 0; i < g->count; i++)
        bufferevent_decref(g->connections[i]);
    free(g);
}
