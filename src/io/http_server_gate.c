/* The gate of the HTTP server: evhttp 2.1 has no limit of its own, and its connections tell nobody that they end, except to a
 * filter. */
#include "http_server_gate.h"

#include <event2/bufferevent.h>
#include <event2/listener.h>
#include <stdbool.h>
#include <stdlib.h>

struct gate {
    struct evconnlistener *listener; /* NULL: the server is gone */
    size_t open;
    size_t max;
    bool left;
};

static void on_end(void *ctx)
{
    struct gate *g = ctx;

    g->open--;
    if (g->listener && g->open + 1 == g->max)
        evconnlistener_enable(g->listener);
    if (g->left && !g->open)
        free(g);
}

/* evhttp asks for the buffer of a connection it has just accepted. */
static struct bufferevent *on_accept(struct event_base *base, void *ctx)
{
    struct gate *g = ctx;
    struct bufferevent *plain = bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
    struct bufferevent *counted = plain ? bufferevent_filter_new(plain, NULL, NULL, BEV_OPT_CLOSE_ON_FREE, on_end, g) : NULL;

    if (!counted) {
        if (plain)
            bufferevent_free(plain);
        return NULL;
    }
    g->open++;
    if (g->listener && g->open == g->max)
        evconnlistener_disable(g->listener);
    return counted;
}

struct gate *gate_new(struct evhttp *http, size_t max)
{
    struct gate *g = calloc(1, sizeof *g);

    if (!g)
        return NULL;
    g->max = max;
    evhttp_set_bevcb(http, on_accept, g);
    return g;
}

void gate_set_socket(struct gate *g, struct evhttp_bound_socket *bound) { g->listener = evhttp_bound_socket_get_listener(bound); }

void gate_leave(struct gate *g)
{
    if (!g)
        return;
    g->listener = NULL;
    g->left = true;
    if (!g->open)
        free(g);
}
