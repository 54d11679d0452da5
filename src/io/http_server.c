/* The small HTTP server on evhttp: listening, and who answers a request. */
#include "stepmill/http_server.h"

#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <stdlib.h>
#include <string.h>

#include "http_server_gate.h"
#include "http_server_listen.h"
#include "http_server_parts.h"
#include "http_server_tls.h"

enum { MAX_HEAD = 16 * 1024, DEFAULT_MAX_BODY = 1 << 20, DEFAULT_CONNECTIONS = 256, DEFAULT_TIMEOUT_S = 30 };

/* evhttp's method names; those we never route to are all "". */
static const char *method_name(enum evhttp_cmd_type method)
{
    switch (method) {
    case EVHTTP_REQ_GET:
    case EVHTTP_REQ_HEAD: /* answered as GET, without the body */
        return "GET";
    case EVHTTP_REQ_POST:
        return "POST";
    case EVHTTP_REQ_PUT:
        return "PUT";
    case EVHTTP_REQ_DELETE:
        return "DELETE";
    default:
        return "";
    }
}

/* By whatever methods `path` is routed. */
static void answer_405(const struct http_server *s, struct http_server_call *call, const char *path)
{
    struct buf allow = BUF(256);

    for (size_t i = 0; i < s->route_count; i++) {
        if (strcmp(s->routes[i].path, path) != 0)
            continue;
        buf_put_text(&allow, allow.len ? ", " : "");
        buf_put_text(&allow, s->routes[i].method);
        if (!strcmp(s->routes[i].method, "GET"))
            buf_put_text(&allow, ", HEAD");
    }
    http_server_set_header(call, "Allow", buf_text(&allow));
    buf_free(&allow);
    if (s->stray)
        s->stray(s->stray_ctx, call, 405);
    else
        http_server_answer(call, 405, "text/plain", SLICE("method not allowed\n"));
}

static void route(const struct http_server *s, struct http_server_call *call, const char *raw)
{
    const char *method = http_server_method(call), *known = NULL;

    for (size_t i = 0; i < s->route_count; i++) {
        const struct http_server_route *r = &s->routes[i];

        if (known ? strcmp(r->path, known) != 0 : !route_fits(call, r->path, raw))
            continue;
        known = r->path;
        if (strcmp(r->method, method) != 0)
            continue;
        r->handler(r->ctx, call);
        return;
    }
    if (known)
        answer_405(s, call, known);
    else if (s->stray)
        s->stray(s->stray_ctx, call, 404);
    else
        http_server_answer(call, 404, "text/plain", SLICE("not found\n"));
}

/* evhttp reads the body of POST, PUT and PATCH only: what another request carries would be taken for the next one. */
static bool leaves_a_body(struct evhttp_request *request)
{
    struct evkeyvalq *headers = evhttp_request_get_input_headers(request);
    const char *length = evhttp_find_header(headers, "Content-Length");

    if (evhttp_request_get_command(request) & (EVHTTP_REQ_POST | EVHTTP_REQ_PUT | EVHTTP_REQ_PATCH))
        return false;
    return evhttp_find_header(headers, "Transfer-Encoding") || (length && strcmp(length, "0") != 0);
}

static void on_request(struct evhttp_request *request, void *ctx)
{
    const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(request);
    struct evbuffer *input = evhttp_request_get_input_buffer(request);
    const char *raw = uri ? evhttp_uri_get_path(uri) : NULL;
    size_t body_len = evbuffer_get_length(input);
    unsigned char *body = evbuffer_pullup(input, -1);
    struct http_server_call *call = calloc(1, sizeof *call);

    raw = raw && *raw ? raw : "/";
    if (call)
        call->path_memory = evhttp_uridecode(raw, 0, &call->path.len);
    if (!call || !call->path_memory) {
        free(call);
        evhttp_send_error(request, 500, NULL);
        return;
    }
    call->server = ctx;
    call->request = request;
    call->path.at = call->path_memory;
    call->query = slice_of(uri ? evhttp_uri_get_query(uri) : NULL);
    call->body = (struct slice){body ? (const char *)body : "", body ? body_len : 0};
    if (leaves_a_body(request))
        http_server_set_header(call, "Connection", "close");
    call->in_handler = true;
    route(ctx, call, raw);
    call->in_handler = false;
    if (call->state == CALL_OPEN)
        http_server_answer(call, 500, "text/plain", SLICE("the handler gave no answer\n"));
    else if (call->state == CALL_ANSWERED)
        call_free(call);
}

static struct evhttp *make_http(struct loop *l, const struct http_server_options *o)
{
    struct evhttp *http = evhttp_new(loop_base(l));

    if (!http)
        return NULL;
    evhttp_set_max_headers_size(http, MAX_HEAD);
    evhttp_set_max_body_size(http, (ev_ssize_t)(o->max_body ? o->max_body : DEFAULT_MAX_BODY));
    evhttp_set_timeout(http, o->timeout_s ? o->timeout_s : DEFAULT_TIMEOUT_S);
    /* PATCH and the like reach us too, so that they get a 405 and not evhttp's 501. */
    evhttp_set_allowed_methods(http, EVHTTP_REQ_GET | EVHTTP_REQ_HEAD | EVHTTP_REQ_POST | EVHTTP_REQ_PUT | EVHTTP_REQ_DELETE |
                                         EVHTTP_REQ_PATCH | EVHTTP_REQ_OPTIONS | EVHTTP_REQ_TRACE);
    evhttp_set_default_content_type(http, NULL);
    return http;
}

struct error http_server_new(struct loop *l, const struct log *log, const struct http_server_options *options,
                             struct http_server **out)
{
    struct http_server *s = calloc(1, sizeof *s);
    struct error e = error_none();
    int fd = -1;

    *out = NULL;
    if (s) {
        s->log = log;
        s->http = make_http(l, options);
        s->timeout_s = options->timeout_s ? options->timeout_s : DEFAULT_TIMEOUT_S;
        s->stray = options->stray;
        s->stray_ctx = options->stray_ctx;
        s->gate = s->http ? gate_new(l, s->http, options->max_connections ? options->max_connections : DEFAULT_CONNECTIONS,
                                     MAX_HEAD + (options->max_body ? options->max_body : DEFAULT_MAX_BODY))
                          : NULL;
        s->routes = calloc(options->route_count + 1, sizeof *s->routes);
    }
    if (!s || !s->gate || !s->routes) {
        http_server_free(s);
        return error_make(CLASS_INTERNAL, "out_of_memory", "no memory for the HTTP server");
    }
    s->route_count = options->route_count;
    if (s->route_count)
        memcpy(s->routes, options->routes, s->route_count * sizeof *s->routes);
    e = server_tls_new(log, options, &s->tls);
    if (!failed(e)) {
        gate_set_tls(s->gate, s->tls);
        e = http_listen(log, options->listen, &fd, &s->port);
    }
    if (!failed(e)) {
        struct evhttp_bound_socket *bound = evhttp_accept_socket_with_handle(s->http, fd);

        if (bound) {
            gate_set_socket(s->gate, bound);
        } else {
            evutil_closesocket(fd);
            e = error_make(CLASS_INTERNAL, "out_of_memory", "no memory for the HTTP server");
        }
    }
    if (failed(e)) {
        http_server_free(s);
        return e;
    }
    evhttp_set_gencb(s->http, on_request, s);
    *out = s;
    return error_none();
}

void http_server_free(struct http_server *s)
{
    if (!s)
        return;
    calls_end(s);
    if (s->http)
        evhttp_free(s->http);
    gate_free(s->gate);
    server_tls_free(s->tls);
    free(s->routes);
    free(s);
}

unsigned http_server_port(const struct http_server *s) { return s->port; }
bool http_server_is_tls(const struct http_server *s) { return s->tls != NULL; }
const char *http_server_method(const struct http_server_call *call)
{
    return method_name(evhttp_request_get_command(call->request));
}

bool http_server_is_head(const struct http_server_call *call)
{
    return evhttp_request_get_command(call->request) == EVHTTP_REQ_HEAD;
}
