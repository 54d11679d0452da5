/* One request of the HTTP server: what the handler sees of it, and its answer: at once, later, or in pieces.
 *
 * evhttp's part in it: a request stays ours until it is answered. When its connection ends before that, evhttp takes it off the
 * connection and it must be freed by us; when the connection is freed for another reason, the request goes with it. Either is
 * told by the close callback of the connection, which outlives the request where the connection is kept alive: so it is set while
 * a call is held, and only then. */
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include "http_server_parts.h"

enum { STREAM_WAITING_MAX = 1 << 20, STREAM_READ_MAX = 4096 };

struct slice http_server_path(const struct http_server_call *call) { return call->path; }
struct slice http_server_query(const struct http_server_call *call) { return call->query; }
struct slice http_server_body(const struct http_server_call *call) { return call->body; }

struct slice http_server_header(const struct http_server_call *call, const char *name)
{
    return slice_of(evhttp_find_header(evhttp_request_get_input_headers(call->request), name));
}

const char *http_server_peer(const struct http_server_call *call)
{
    struct evhttp_connection *connection = evhttp_request_get_connection(call->request);
    char *address = NULL;
    ev_uint16_t port = 0;

    if (connection)
        evhttp_connection_get_peer(connection, &address, &port);
    return address ? address : "";
}

void call_free(struct http_server_call *call)
{
    call_forget_params(call);
    free(call->path_memory);
    free(call);
}

void http_server_set_header(struct http_server_call *call, const char *name, const char *value)
{
    if (call->state == CALL_STREAMING || call->state == CALL_ANSWERED)
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
    static const struct {
        int status;
        const char *words;
    } known[] = {
        {200, "OK"},
        {202, "Accepted"},
        {204, "No Content"},
        {304, "Not Modified"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {409, "Conflict"},
        {413, "Content Too Large"},
        {415, "Unsupported Media Type"},
        {421, "Misdirected Request"},
        {422, "Unprocessable Content"},
        {429, "Too Many Requests"},
        {500, "Internal Server Error"},
        {503, "Service Unavailable"},
    };

    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (known[i].status == status)
            return known[i].words;
    return status < 400 ? "OK" : "Error";
}

/* Takes the call off the list and the connection's close callback away. */
static void let_go(struct http_server_call *call)
{
    struct evhttp_connection *connection = evhttp_request_get_connection(call->request);

    if (call->ticket) {
        *call->back = call->next;
        if (call->next)
            call->next->back = call->back;
        if (connection)
            evhttp_connection_set_closecb(connection, NULL, NULL);
    }
    call->ticket = 0;
    call->state = CALL_ANSWERED;
}

static void done_with(struct http_server_call *call)
{
    if (!call->in_handler)
        call_free(call);
}

void http_server_answer(struct http_server_call *call, int status, const char *content_type, struct slice body)
{
    struct evhttp_request *request = call->request;
    struct evbuffer *output = evhttp_request_get_output_buffer(request);

    if (call->state != CALL_OPEN && call->state != CALL_HELD)
        bug("an HTTP request was answered twice (status %d)", status);
    if (content_type)
        http_server_set_header(call, "Content-Type", content_type);
    if (http_server_is_head(call)) {
        char length[24];

        snprintf(length, sizeof length, "%zu", body.len); /* evhttp would leave this out and send the body */
        http_server_set_header(call, "Content-Length", length);
        body.len = 0;
    }
    let_go(call);
    if (body.len && evbuffer_add(output, body.at, body.len) < 0) {
        evbuffer_drain(output, evbuffer_get_length(output));
        status = 500;
    }
    done_with(call);
    evhttp_send_reply(request, status, reason(status), NULL);
}

static void on_close(struct evhttp_connection *connection, void *ctx)
{
    struct http_server_call *call = ctx;
    struct http_server_watch watch = call->watch;
    uint64_t ticket = call->ticket;
    bool ours = !evhttp_request_get_connection(call->request);

    (void)connection;
    let_go(call);
    if (ours)
        evhttp_request_free(call->request);
    done_with(call);
    if (watch.gone)
        watch.gone(watch.ctx, ticket);
}

uint64_t http_server_hold(struct http_server_call *call, const struct http_server_watch *watch)
{
    struct http_server *s = call->server;

    if (call->state != CALL_OPEN)
        bug("an HTTP request that was answered or held cannot be held");
    call->state = CALL_HELD;
    call->watch = *watch;
    call->ticket = ++s->last_ticket;
    call->next = s->held;
    call->back = &s->held;
    if (call->next)
        call->next->back = &call->next;
    s->held = call;
    evhttp_connection_set_closecb(evhttp_request_get_connection(call->request), on_close, call);
    return call->ticket;
}

struct http_server_call *http_server_held(struct http_server *s, uint64_t ticket)
{
    for (struct http_server_call *c = s->held; c; c = c->next)
        if (c->ticket == ticket)
            return c;
    return NULL;
}

void calls_end(struct http_server *s)
{
    while (s->held) {
        struct http_server_call *call = s->held;
        struct http_server_watch watch = call->watch;
        uint64_t ticket = call->ticket;

        let_go(call); /* the request goes with its connection */
        done_with(call);
        if (watch.gone)
            watch.gone(watch.ctx, ticket);
    }
}

/* From the head on evhttp reads, only to learn of the end: the client's silence is no reason to close, and what it says all the
 * same is not kept. */
void http_server_stream(struct http_server_call *call, int status, const char *content_type)
{
    struct evhttp_connection *connection = evhttp_request_get_connection(call->request);
    struct bufferevent *b = evhttp_connection_get_bufferevent(connection);
    const struct timeval patience = {.tv_sec = call->server->timeout_s};

    if (call->state != CALL_HELD)
        bug("an HTTP request must be held before its answer is streamed");
    http_server_set_header(call, "Content-Type", content_type);
    http_server_set_header(call, "Connection", "close");
    call->state = CALL_STREAMING;
    bufferevent_set_timeouts(b, NULL, &patience);
    bufferevent_setwatermark(b, EV_READ, 0, STREAM_READ_MAX);
    evhttp_send_reply_start(call->request, status, reason(status));
}

static void on_drained(struct evhttp_connection *connection, void *ctx)
{
    struct http_server_call *call = ctx;

    (void)connection;
    if (call->watch.drained)
        call->watch.drained(call->watch.ctx, call);
}

bool http_server_send(struct http_server_call *call, struct slice bytes)
{
    struct evhttp_connection *connection = evhttp_request_get_connection(call->request);
    struct evbuffer *waiting = bufferevent_get_output(evhttp_connection_get_bufferevent(connection)), *piece;

    if (call->state != CALL_STREAMING)
        bug("a piece of an HTTP answer that is not streamed");
    if (evbuffer_get_length(waiting) > STREAM_WAITING_MAX)
        return false;
    piece = evbuffer_new();
    if (!piece || evbuffer_add(piece, bytes.at, bytes.len) < 0) {
        if (piece)
            evbuffer_free(piece);
        return false;
    }
    evhttp_send_reply_chunk_with_cb(call->request, piece, on_drained, call);
    evbuffer_free(piece);
    return true;
}

void http_server_end(struct http_server_call *call)
{
    struct evhttp_request *request = call->request;

    if (call->state != CALL_STREAMING)
        bug("the end of an HTTP answer that is not streamed");
    let_go(call);
    done_with(call);
    evhttp_send_reply_end(request);
}

void http_server_cut(struct http_server_call *call)
{
    struct evhttp_connection *connection = evhttp_request_get_connection(call->request);

    if (call->state != CALL_STREAMING)
        bug("the cutting of an HTTP answer that is not streamed");
    let_go(call);
    done_with(call);
    evhttp_connection_free(connection); /* and with it the request */
}
