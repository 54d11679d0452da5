/* Stands in for the review API while it is not whole: probes and metrics only. CMakeLists.txt takes it or the API, never both. */
#include <stdlib.h>

#include "api.h"

struct api {
    struct http_server *server;
};

struct error api_new(const struct api_options *o, struct api **out)
{
    struct api *api = calloc(1, sizeof *api);
    struct error error = error_make(CLASS_INTERNAL, "out_of_memory", "no memory left for the API");

    *out = NULL;
    if (api)
        error = http_server_new(
            o->loop, o->log,
            &(struct http_server_options){.listen = o->config->dlq.listen, .routes = o->routes, .route_count = o->nroutes},
            &api->server);
    if (failed(error)) {
        free(api);
        return error;
    }
    log_warn(o->log, "dlq.no_api", LOG_TEXT("reason", "this build has no review API: probes and metrics only"));
    *out = api;
    return error_none();
}

void api_free(struct api *api)
{
    if (api)
        http_server_free(api->server);
    free(api);
}

unsigned api_port(const struct api *api) { return http_server_port(api->server); }

void api_folded(struct api *api, const struct collect_news *news)
{
    (void)api;
    (void)news;
}

void api_tasks_changed(struct api *api) { (void)api; }

void api_reload(struct api *api, const struct config *config)
{
    (void)api;
    (void)config;
}

struct api_stats api_stats(const struct api *api)
{
    (void)api;
    return (struct api_stats){0};
}
