/* Answers of the review API: JSON, problems (RFC 9457), and the headers that keep browsers honest. */
#include <stdlib.h>

#include "api_parts.h"
#include "stepmill/json.h"

enum { PROBLEM_MAX = 8192 };

static const char *title_of(int status)
{
    switch (status) {
    case 400:
        return "Bad request";
    case 401:
        return "Not authenticated";
    case 403:
        return "Forbidden";
    case 404:
        return "Not found";
    case 405:
        return "Method not allowed";
    case 409:
        return "Conflict";
    case 413:
        return "Too large";
    case 415:
        return "Wrong content type";
    case 422:
        return "Cannot be done";
    case 503:
        return "Not now";
    default:
        return "Error";
    }
}

/* No page may frame, guess or keep what is said here, and pages of other sites may not read it (no CORS header). */
void api_safe_headers(const struct api *api, struct http_server_call *http)
{
    http_server_set_header(http, "Cache-Control", "no-store");
    http_server_set_header(http, "X-Content-Type-Options", "nosniff");
    http_server_set_header(http, "Referrer-Policy", "no-referrer");
    http_server_set_header(http, "Cross-Origin-Resource-Policy", "same-origin");
    if (api && http_server_is_tls(api->server))
        http_server_set_header(http, "Strict-Transport-Security", "max-age=31536000");
}

void api_problem_now(struct http_server_call *http, int status, const char *code, const char *detail)
{
    struct buf b = BUF(PROBLEM_MAX);

    put_begin(&b, '{');
    put_word(&b, "type", "about:blank");
    put_word(&b, "title", title_of(status));
    put_int(&b, "status", status);
    put_word(&b, "detail", detail);
    put_word(&b, "code", code);
    buf_put_byte(&b, '}');
    api_safe_headers(NULL, http);
    if (status == 401)
        http_server_set_header(http, "WWW-Authenticate", "Bearer realm=\"stepmill\"");
    if (status == 503)
        http_server_set_header(http, "Retry-After", "2");
    http_server_answer(http, status, "application/problem+json", buf_slice(&b));
    buf_free(&b);
}

static void count(struct api *api, int status)
{
    api->stats.requests++;
    if (status >= 500)
        api->stats.failed++;
}

void api_end(struct api_call *c)
{
    c->http = 0;
    if (c->asking)
        return; /* the question reads our memory: its end is ours */
    if (c->acting)
        redrives_forget(c->api->redrives, c->acting);
    if (c->waiter)
        registry_cancel(c->api->registry, c->waiter);
    loop_timer_cancel(&c->patience);
    list_remove(&c->watcher);
    list_remove(&c->node);
    arena_free(c->arena);
    free(c);
}

void api_answer_json(struct api_call *c, int status, struct slice body)
{
    struct http_server_call *http = http_server_held(c->api->server, c->http);

    count(c->api, status);
    if (http) {
        api_safe_headers(c->api, http);
        http_server_answer(http, status, "application/json", body);
    }
    api_end(c);
}

void api_problem(struct api_call *c, int status, const char *code, const char *detail)
{
    struct http_server_call *http = http_server_held(c->api->server, c->http);

    count(c->api, status);
    if (http && c->streaming)
        http_server_cut(http); /* too late to say it in words */
    else if (http)
        api_problem_now(http, status, code, detail);
    api_end(c);
}

void api_fail(struct api_call *c, struct error e)
{
    int status = 500;

    switch (e.class) {
    case CLASS_AGAIN:
    case CLASS_SLOW_DOWN:
    case CLASS_WAIT:
        status = 503;
        break;
    case CLASS_POISON:
    case CLASS_REJECTED:
    case CLASS_CONFIG: /* of the store: the query's words */
        status = 422;
        break;
    default:
        break;
    }
    if (status == 500)
        log_error(c->api->log, "dlq.api.failed", LOG_TEXT("route", c->route->path), LOG_ERROR(e));
    api_problem(c, status, e.code, e.text);
}
