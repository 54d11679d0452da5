/* The review API's life, and the guard at its door: who calls, from where, and whether they may. */
#include "api.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "api_parts.h"
#include "stepmill/clock.h"

enum { BODY_MAX = 8 * 1024 * 1024, CONNECTIONS_MAX = 512, ARENA_MAX = 64 * 1024 * 1024, ROUTES_EXTRA = 128, BEAT_MS = 1000 };

/* ---- The guard */

static bool refuse(struct api *api, struct http_server_call *http, int status, const char *code, const char *text)
{
    api->stats.requests++;
    api_problem_now(http, status, code, text);
    return false;
}

static bool knows_caller(struct api *api, struct http_server_call *http, struct who *who)
{
    struct error e = access_check(api->access, http_server_header(http, "Authorization"), clock_wall_ms(), who);

    if (!failed(e))
        return true;
    if (e.class == CLASS_WAIT || e.class == CLASS_INTERNAL)
        return refuse(api, http, 503, e.code, e.text);
    if (e.class == CLASS_LIMIT) {
        api->stats.refused_role++;
        api_record_refusal(api, who, http, e.code);
        return refuse(api, http, 403, e.code, e.text);
    }
    api->stats.refused_token++;
    log_warn(api->log, "dlq.api.refused", LOG_TEXT("peer", http_server_peer(http)), LOG_TEXT("code", e.code));
    return refuse(api, http, 401, e.code, e.text);
}

/* A browser brings no token by itself, so only what is open to anonymous callers can be reached from another site's page: by a
 * name that leads here, or by a request that needs no preflight. */
static bool comes_from_us(struct api *api, struct http_server_call *http, const struct who *who)
{
    const struct config_dlq *d = &api->config->dlq;
    struct slice host = http_server_header(http, "Host");

    if (who->kind == WHO_ANONYMOUS && !host_is_ours(host, d->listen, d->public_url)) {
        api->stats.refused_csrf++;
        return refuse(api, http, 403, "foreign_host",
                      "Without a token the API is called by this machine's name, by dlq.listen or by dlq.public_url only.");
    }
    if (!strcmp(http_server_method(http), "GET") ||
        !is_cross_site(host, http_server_header(http, "Origin"), http_server_header(http, "Sec-Fetch-Site")))
        return true;
    api->stats.refused_csrf++;
    return refuse(api, http, 403, "cross_site", "The request was made by a page of another site.");
}

static bool is_json(struct http_server_call *http)
{
    struct slice type = http_server_header(http, "Content-Type");
    static const char json[] = "application/json";

    return type.len >= sizeof json - 1 && !strncasecmp(type.at, json, sizeof json - 1) &&
           (type.len == sizeof json - 1 || type.at[sizeof json - 1] == ';' || type.at[sizeof json - 1] == ' ');
}

static bool may(struct api *api, const struct api_route *route, struct http_server_call *http, const struct who *who)
{
    char text[160];

    if (who->role < route->role) {
        api->stats.refused_role++;
        snprintf(text, sizeof text, "This needs the role %s; yours is %s.", role_name(route->role), role_name(who->role));
        if (route->acts)
            api_record_refusal(api, who, http, "role");
        return refuse(api, http, 403, "role", text);
    }
    if (route->acts && api->config->dlq.access.read_only)
        return refuse(api, http, 403, "read_only", "The processor is in read-only mode (dlq.access.read_only).");
    if (strcmp(http_server_method(http), "GET") != 0 && !is_json(http))
        return refuse(api, http, 415, "content_type", "The body must be JSON, with Content-Type: application/json.");
    return true;
}

/* ---- Calls */

static struct api_call *find(struct api *api, uint64_t ticket)
{
    for (struct list_node *n = api->calls.first; n; n = n->next)
        if (list_entry(n, struct api_call, node)->http == ticket)
            return list_entry(n, struct api_call, node);
    return NULL;
}

static void on_gone(void *ctx, uint64_t ticket)
{
    struct api_call *c = find(ctx, ticket);

    if (c)
        api_end(c);
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

/* The key that the caller chose, or a new one: what names the actions of this request. */
static bool take_key(struct api_call *c, struct http_server_call *http)
{
    struct slice key = http_server_header(http, "Idempotency-Key");
    char own[37];

    if (!key.at) {
        action_new_id(own, clock_wall_ms());
        key = (struct slice){own, 36};
    } else if (key.len < 8 || key.len > 64 ||
               strspn(key.at, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") < key.len) {
        api_problem(c, 400, "bad_key", "Idempotency-Key must be 8 to 64 letters, digits, '.', '_' or '-'.");
        return false;
    }
    c->key = arena_copy(c->arena, key);
    return true;
}

static void on_route(void *ctx, struct http_server_call *http)
{
    struct api_bound *bound = ctx;
    struct api *api = bound->api;
    const struct api_route *route = bound->route;
    struct who who = {.kind = WHO_ANONYMOUS, .name = "anonymous"};
    struct api_call *c;

    if (route->role != CONFIG_ROLE_NONE && !knows_caller(api, http, &who))
        return;
    if (!comes_from_us(api, http, &who) || !may(api, route, http, &who))
        return;
    c = call_new(api, route, &who);
    if (!c) {
        refuse(api, http, 503, "out_of_memory", "No memory for the request.");
        return;
    }
    c->http = http_server_hold(http, &(struct http_server_watch){.gone = on_gone, .drained = on_drained, .ctx = api});
    if (!strcmp(route->method, "GET") || take_key(c, http))
        route->begin(c, http);
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

static struct error check_address(const struct config_dlq *d, const struct log *log)
{
    if (d->access.remote || listen_is_loopback(d->listen))
        return error_none();
    log_error(log, "dlq.api.address", LOG_TEXT("listen", d->listen),
              LOG_TEXT("action", "listen on 127.0.0.1, or set dlq.access.remote with tokens and TLS"));
    return error_make(CLASS_CONFIG, "not_loopback",
                      "dlq.listen can be reached from other machines: set dlq.access.remote if that is meant");
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
    e = check_address(&o->config->dlq, o->log);
    if (!failed(e))
        e = access_new(o->loop, o->config, o->log, o->http, &api->access);
    if (!failed(e))
        e = start_server(api, o);
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
