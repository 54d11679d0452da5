/* The small HTTP server on evhttp: listening, routing, and one answer per request. */
#include "stepmill/http_server.h"

#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http_server_gate.h"
#include "http_server_listen.h"

enum { MAX_HEAD = 16 * 1024, DEFAULT_MAX_BODY = 1 << 20, DEFAULT_CONNECTIONS = 256, DEFAULT_TIMEOUT_S = 30 };

struct http_server {
    const struct log *log;
    struct evhttp *http;
    struct gate *gate;
    struct http_server_route *routes;
    size_t route_count;
    unsigned port;
};

struct http_server_call {
    struct evhttp_request *request;
    struct slice path;
    struct slice query;
    struct slice body;
    bool answered;
};

static bool path_fits(const char *pattern, struct slice path)
{
    size_t n = strlen(pattern);

    if (n >= 2 && !strcmp(pattern + n - 2, "/*"))
        return path.len >= n - 1 && !memcmp(path.at, pattern, n - 1);
    return slice_is(path, pattern);
}

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

static void answer_405(const struct http_server *s, struct http_server_call *call)
{
    struct buf allow = BUF(256);

    for (size_t i = 0; i < s->route_count; i++) {
        if (!path_fits(s->routes[i].path, call->path))
            continue;
        buf_put_text(&allow, allow.len ? ", " : "");
        buf_put_text(&allow, s->routes[i].method);
        if (!strcmp(s->routes[i].method, "GET"))
            buf_put_text(&allow, ", HEAD");
    }
    http_server_set_header(call, "Allow", buf_text(&allow));
    http_server_answer(call, 405, "text/plain", SLICE("method not allowed\n"));
    buf_free(&allow);
}

static void route(const struct http_server *s, struct http_server_call *call)
{
    const char *method = method_name(evhttp_request_get_command(call->request));
    bool known = false;

    for (size_t i = 0; i < s->route_count; i++) {
        const struct http_server_route *r = &s->routes[i];

        if (!path_fits(r->path, call->path))
            continue;
        known = true;
        if (strcmp(r->method, method) != 0)
            continue;
        r->handler(r->ctx, call);
        if (!call->answered)
            http_server_answer(call, 500, "text/plain", SLICE("the handler gave no answer\n"));
        return;
    }
    if (known)
        answer_405(s, call);
    else
        http_server_answer(call, 404, "text/plain", SLICE("not found\n"));
}

static void on_request(struct evhttp_request *request, void *ctx)
{
    const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(request);
    struct evbuffer *input = evhttp_request_get_input_buffer(request);
    const char *raw = uri ? evhttp_uri_get_path(uri) : NULL;
    size_t path_len = 0, body_len = evbuffer_get_length(input);
    char *path = evhttp_uridecode(raw && *raw ? raw : "/", 0, &path_len);
    unsigned char *body = evbuffer_pullup(input, -1);
    struct http_server_call call = {.request = request, .path = {path, path_len}};

    if (!path) {
        evhttp_send_error(request, 500, NULL);
        return;
    }
    call.query = slice_of(uri ? evhttp_uri_get_query(uri) : NULL);
    call.body = (struct slice){body ? (const char *)body : "", body ? body_len : 0};
    route(ctx, &call);
    free(path);
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
        s->gate =
            s->http ? gate_new(l, s->http, options->max_connections ? options->max_connections : DEFAULT_CONNECTIONS) : NULL;
        s->routes = calloc(options->route_count + 1, sizeof *s->routes);
    }
    if (!s || !s->gate || !s->routes) {
        http_server_free(s);
        return error_make(CLASS_INTERNAL, "out_of_memory", "no memory for the HTTP server");
    }
    s->route_count = options->route_count;
    if (s->route_count)
        memcpy(s->routes, options->routes, s->route_count * sizeof *s->routes);
    e = http_listen(log, options->listen, &fd, &s->port);
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
    if (s->http)
        evhttp_free(s->http);
    gate_free(s->gate);
    free(s->routes);
    free(s);
}

unsigned http_server_port(const struct http_server *s) { return s->port; }

struct slice http_server_path(const struct http_server_call *call) { return call->path; }
struct slice http_server_query(const struct http_server_call *call) { return call->query; }
struct slice http_server_body(const struct http_server_call *call) { return call->body; }

bool http_server_query_value(const struct http_server_call *call, const char *name, struct buf *out)
{
    struct evkeyvalq pairs = {0};
    const char *value = NULL;

    buf_clear(out);
    if (!call->query.at || evhttp_parse_query_str(call->query.at, &pairs) < 0)
        return false;
    value = evhttp_find_header(&pairs, name); /* any case, as evhttp has it */
    if (value)
        buf_put_text(out, value);
    evhttp_clear_headers(&pairs);
    return value && !out->failed;
}

struct slice http_server_header(const struct http_server_call *call, const char *name)
{
    return slice_of(evhttp_find_header(evhttp_request_get_input_headers(call->request), name));
}

void http_server_set_header(struct http_server_call *call, const char *name, const char *value)
{
    if (call->answered)
        bug("HTTP header %s set after the answer", name);
    evhttp_remove_header(evhttp_request_get_output_headers(call->request), name);
    if (strpbrk(value, "\r\n"))
        bug("HTTP header %s with a line break", name);
    if (evhttp_add_header(evhttp_request_get_output_headers(call->request), name, value) < 0)
        bug("HTTP header %s could not be added", name);
}

/* The words of the status line, for people with curl -i. */
static const char *reason(int status)
{
    switch (status) {
    case 200:
        return "OK";
    case 202:
        return "Accepted";
    case 400:
        return "Bad Request";
    case 401:
        return "Unauthorized";
    case 403:
        return "Forbidden";
    case 404:
        return "Not Found";
    case 405:
        return "Method Not Allowed";
    case 409:
        return "Conflict";
    case 500:
        return "Internal Server Error";
    case 503:
        return "Service Unavailable";
    default:
        return status < 400 ? "OK" : "Error";
    }
}

void http_server_answer(struct http_server_call *call, int status, const char *content_type, struct slice body)
{
    struct evbuffer *output = evhttp_request_get_output_buffer(call->request);

    if (call->answered)
        bug("an HTTP request was answered twice (status %d)", status);
    if (content_type)
        http_server_set_header(call, "Content-Type", content_type);
    if (evhttp_request_get_command(call->request) == EVHTTP_REQ_HEAD) {
        char length[24];

        snprintf(length, sizeof length, "%zu", body.len); /* evhttp would leave this out and send the body */
        http_server_set_header(call, "Content-Length", length);
        body.len = 0;
    }
    call->answered = true;
    if (body.len && evbuffer_add(output, body.at, body.len) < 0) {
        evbuffer_drain(output, evbuffer_get_length(output));
        status = 500;
    }
    evhttp_send_reply(call->request, status, reason(status), NULL);
}
