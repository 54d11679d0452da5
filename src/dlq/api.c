/* The review API's life, and the calls from their arrival on. */
#include "api.h"

#include <stdlib.h>

#include "api_parts.h"
#include "stepmill/clock.h"

enum { BODY_MAX = 8 * 1024 * 1024, CONNECTIONS_MAX = 512, ARENA_MAX = 64 * 1024 * 1024, ROUTES_EXTRA = 128, BEAT_MS = 1000 };

/* ---- Calls */

static struct api_call *find(struct api *api, uint64_t ticket)
{
    for (struct list_node *n = api->calls.first; n; n = n->next)
        if (list_entry(n, struct api_call, node)->http == ticket)
            return list_entry(n, struct api_call, node);
    return NULL;
}

static void forget_arrival(struct api *api, uint64_t ticket);

static void on_gone(void *ctx, uint64_t ticket)
{
    struct api_call *c = find(ctx, ticket);

    if (c)
        api_end(c);
    else
        forget_arrival(ctx, ticket);
}

static void on_drained(void *ctx, struct http_server_call *http);

static struct api_call *call_new(struct api *api, const struct api_route *route, const struct who *who)
{
    struct api_call *c = calloc(1, sizeof *c);

    if (c)
        c->arena = arena_new(ARENA_MAX);
    if (!c || !c->arena) {
        free(c);
        return NULL;
    }
    c->api = api;
    c->route = route;
    c->number = ++api->last_number;
    c->who = *who;
    c->masked = api->config->dlq.access.mask && who->role < CONFIG_ROLE_EDIT;
    c->limit = API_LIMIT_DEFAULT;
    c->began_ms = clock_mono_ms();
    list_append(&api->calls, &c->node);
    return c;
}

/* ---- Those who wait at the door: their token may be of a key that is being fetched */

struct arrival {
    struct list_node node;
    struct api_bound *bound;
    uint64_t http; /* ticket */
};

static const struct http_server_watch *watch_of(struct api *api, struct http_server_watch *w)
{
    *w = (struct http_server_watch){.gone = on_gone, .drained = on_drained, .ctx = api};
    return w;
}

static void let_wait(struct api_bound *bound, struct http_server_call *http)
{
    struct arrival *a = calloc(1, sizeof *a);
    struct http_server_watch w;

    if (!a) {
        api_refuse(bound->api, http, 503, "out_of_memory", "No memory for the request.");
        return;
    }
    a->bound = bound;
    a->http = http_server_hold(http, watch_of(bound->api, &w));
    list_append(&bound->api->arrivals, &a->node);
}

static void forget_arrival(struct api *api, uint64_t ticket)
{
    for (struct list_node *n = api->arrivals.first; n; n = n->next) {
        struct arrival *a = list_entry(n, struct arrival, node);

        if (a->http != ticket)
            continue;
        list_remove(n);
        free(a);
        return;
    }
}

/* `ticket` 0: it comes now; else it has waited. */
static void enter(struct api_bound *bound, struct http_server_call *http, uint64_t ticket)
{
    struct api *api = bound->api;
    struct http_server_watch w;
    struct api_call *c;
    struct who who;

    switch (api_guard(api, bound->route, http, ticket != 0, &who)) {
    case DOOR_SHUT:
        return;
    case DOOR_LATER:
        let_wait(bound, http);
        return;
    default:
        break;
    }
    c = call_new(api, bound->route, &who);
    if (!c) {
        api_refuse(api, http, 503, "out_of_memory", "No memory for the request.");
        return;
    }
    c->http = ticket ? ticket : http_server_hold(http, watch_of(api, &w));
    if (!strcmp(bound->route->method, "GET"))
        bound->route->begin(c, http);
    else
        api_begin_keyed(c, http);
}

static void on_route(void *ctx, struct http_server_call *http) { enter(ctx, http, 0); }

static void on_keys(void *ctx)
{
    struct api *api = ctx;
    struct list_node *n;

    while ((n = list_take_first(&api->arrivals))) {
        struct arrival *a = list_entry(n, struct arrival, node);
        struct http_server_call *http = http_server_held(api->server, a->http);

        if (http)
            enter(a->bound, http, a->http);
        free(a);
    }
}

static void on_drained(void *ctx, struct http_server_call *http)
{
    struct api *api = ctx;

    for (struct list_node *n = api->calls.first; n; n = n->next) {
        struct api_call *c = list_entry(n, struct api_call, node);

        if (c->http && http_server_held(api->server, c->http) == http) {
            if (c->drained)
                c->drained(c, http);
            return;
        }
    }
}

static void on_stray(void *ctx, struct http_server_call *http, int status)
{
    struct api *api = ctx;

    api->stats.requests++;
    if (status == 405)
        api_problem_now(http, 405, "method", "This path is not called by this method: see Allow.");
    else
        api_problem_now(http, 404, "not_found", "There is nothing at this path; the API is described at /api/v1/openapi.json.");
}

/* ---- Life */

/* What is asked for on purpose is done, and said at each start. */
static void warn_plain(const struct config_dlq *d, const struct log *log)
{
    if (d->access.remote && !d->tls.certificate_file)
        log_warn(log, "dlq.api.plain", LOG_TEXT("listen", d->listen),
                 LOG_TEXT("reason", "dlq.access.remote without TLS: tokens and letters cross the network in plain text"),
                 LOG_TEXT("action", "set dlq.tls.certificate_file, unless a proxy before it does TLS"));
}

static struct error start_server(struct api *api, const struct api_options *o)
{
    const struct config_dlq *d = &o->config->dlq;
    size_t room = api_route_count + o->nroutes + ROUTES_EXTRA, n = o->nroutes;
    struct http_server_route *routes = calloc(room, sizeof *routes);
    struct http_server_options options;
    struct error e;

    api->bound = calloc(api_route_count, sizeof *api->bound);
    api->arena = arena_new(64 * 1024);
    if (!routes || !api->bound || !api->arena) {
        free(routes);
        return error_make(CLASS_INTERNAL, "out_of_memory", "no memory for the API's routes");
    }
    if (n)
        memcpy(routes, o->routes, n * sizeof *routes);
    for (size_t i = 0; i < api_route_count; i++) {
        api->bound[i] = (struct api_bound){api, &api_routes[i]};
        routes[n++] = (struct http_server_route){api_routes[i].method, api_routes[i].path, on_route, &api->bound[i]};
    }
    n += api_file_routes(api, routes + n, room - n);
    options = (struct http_server_options){.listen = d->listen,
                                           .routes = routes,
                                           .route_count = n,
                                           .max_body = BODY_MAX,
                                           .max_connections = CONNECTIONS_MAX,
                                           .certificate_file = d->tls.certificate_file,
                                           .key_file = d->tls.key_file,
                                           .ca_file = d->tls.ca_file,
                                           .stray = on_stray,
                                           .stray_ctx = api};
    e = http_server_new(o->loop, o->log, &options, &api->server);
    free(routes);
    return e;
}

struct error api_new(const struct api_options *o, struct api **out)
{
    struct api *api = calloc(1, sizeof *api);
    struct error e;

    *out = NULL;
    if (!api)
        return error_make(CLASS_INTERNAL, "out_of_memory", "no memory for the API");
    *api = (struct api){.loop = o->loop,
                        .config = o->config,
                        .log = o->log,
                        .asks = o->asks,
                        .collect = o->collect,
                        .registry = o->registry,
                        .redrives = o->redrives};
    loop_timer_init(&api->beat, o->loop, api_beat, api);
    warn_plain(&o->config->dlq, o->log);
    e = access_new(o->loop, o->config, o->log, o->http, &api->access);
    if (!failed(e)) {
        access_on_keys(api->access, on_keys, api);
        e = start_server(api, o);
    }
    if (failed(e)) {
        api_free(api);
        return e;
    }
    loop_timer_set(&api->beat, BEAT_MS);
    *out = api;
    return e;
}

void api_free(struct api *api)
{
    if (!api)
        return;
    loop_timer_cancel(&api->beat);
    http_server_free(api->server); /* each call is told that its client has gone */
    while (api->calls.first) {     /* those whose question was open: nobody answers it any more */
        struct api_call *c = list_entry(api->calls.first, struct api_call, node);

        c->asking = false;
        api_end(c);
    }
    access_free(api->access);
    free(api->bound);
    arena_free(api->arena);
    free(api);
}

unsigned api_port(const struct api *api) { return http_server_port(api->server); }

void api_reload(struct api *api, const struct config *config)
{
    api->config = config;
    access_reload(api->access, config);
}

struct api_stats api_stats(const struct api *api)
{
    struct api_stats s = api->stats;

    s.watching = api->watchers.count;
    return s;
}
