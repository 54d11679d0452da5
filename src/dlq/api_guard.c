/* The guard at the API's door: who calls, from where, and whether they may. */
#include <stdio.h>
#include <strings.h>

#include "api_parts.h"
#include "stepmill/clock.h"

enum door api_refuse(struct api *api, struct http_server_call *http, int status, const char *code, const char *text)
{
    api->stats.requests++;
    api_problem_now(http, status, code, text);
    return DOOR_SHUT;
}

/* Who shows nothing is asked for a token and leaves no record: a browser does so each time it comes. */
static enum door knows_caller(struct api *api, struct http_server_call *http, bool waited, struct who *who)
{
    struct slice shown = http_server_header(http, "Authorization");
    struct error e = access_check(api->access, shown, clock_wall_ms(), who);

    if (!failed(e))
        return DOOR_OPEN;
    if (e.class == CLASS_WAIT && !waited && access_fetches(api->access))
        return DOOR_LATER;
    if (e.class == CLASS_WAIT || e.class == CLASS_INTERNAL)
        return api_refuse(api, http, 503, e.code, e.text);
    if (shown.at)
        api_record_refusal(api, who, http, e.code);
    else
        log_info(api->log, "dlq.api.refused", LOG_TEXT("peer", http_server_peer(http)), LOG_TEXT("code", e.code));
    if (e.class == CLASS_LIMIT) {
        api->stats.refused_role++;
        return api_refuse(api, http, 403, e.code, e.text);
    }
    api->stats.refused_token++;
    return api_refuse(api, http, 401, e.code, e.text);
}

/* A browser brings no token by itself, so only what is open to anonymous callers can be reached from another site's page: by a
 * name that leads here, or by a request that needs no preflight. */
static enum door comes_from_us(struct api *api, struct http_server_call *http, const struct who *who)
{
    const struct config_dlq *d = &api->config->dlq;
    struct slice host = http_server_header(http, "Host");

    if (who->kind == WHO_ANONYMOUS && !host_is_ours(host, d->listen, d->public_url)) {
        api->stats.refused_csrf++;
        api_record_refusal(api, who, http, "foreign_host");
        return api_refuse(api, http, 403, "foreign_host",
                          "Without a token the API is called by this machine's name, by dlq.listen or by dlq.public_url only.");
    }
    if (!strcmp(http_server_method(http), "GET") ||
        !is_cross_site(host, http_server_header(http, "Origin"), http_server_header(http, "Sec-Fetch-Site")))
        return DOOR_OPEN;
    api->stats.refused_csrf++;
    api_record_refusal(api, who, http, "cross_site");
    return api_refuse(api, http, 403, "cross_site", "The request was made by a page of another site.");
}

static bool is_json(struct http_server_call *http)
{
    struct slice type = http_server_header(http, "Content-Type");
    static const char json[] = "application/json";

    return type.len >= sizeof json - 1 && !strncasecmp(type.at, json, sizeof json - 1) &&
           (type.len == sizeof json - 1 || type.at[sizeof json - 1] == ';' || type.at[sizeof json - 1] == ' ');
}

static enum door may(struct api *api, const struct api_route *route, struct http_server_call *http, const struct who *who)
{
    char text[160];

    if (who->role < route->role) {
        api->stats.refused_role++;
        snprintf(text, sizeof text, "This needs the role %s; yours is %s.", role_name(route->role), role_name(who->role));
        api_record_refusal(api, who, http, "role");
        return api_refuse(api, http, 403, "role", text);
    }
    if (route->acts && api->config->dlq.access.read_only)
        return api_refuse(api, http, 403, "read_only", "The processor is in read-only mode (dlq.access.read_only).");
    if (strcmp(http_server_method(http), "GET") != 0 && !is_json(http))
        return api_refuse(api, http, 415, "content_type", "The body must be JSON, with Content-Type: application/json.");
    return DOOR_OPEN;
}

enum door api_guard(struct api *api, const struct api_route *route, struct http_server_call *http, bool waited, struct who *who)
{
    enum door door = DOOR_OPEN;

    *who = (struct who){.kind = WHO_ANONYMOUS, .name = "anonymous"};
    if (route->role != CONFIG_ROLE_NONE)
        door = knows_caller(api, http, waited, who);
    if (door == DOOR_OPEN)
        door = comes_from_us(api, http, who);
    return door == DOOR_OPEN ? may(api, route, http, who) : door;
}
