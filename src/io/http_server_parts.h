/* What the files of the HTTP server share. */
#ifndef STEPMILL_IO_HTTP_SERVER_PARTS_H
#define STEPMILL_IO_HTTP_SERVER_PARTS_H

#include <event2/http.h>

#include "stepmill/http_server.h"

enum { PARAMS_MAX = 4 };

struct http_server {
    const struct log *log;
    struct evhttp *http;
    struct gate *gate;
    struct server_tls *tls; /* NULL: plain */
    struct http_server_route *routes;
    size_t route_count;
    void (*stray)(void *ctx, struct http_server_call *call, int status);
    void *stray_ctx;
    unsigned port;
    int timeout_s;
    struct http_server_call *held; /* list */
    uint64_t last_ticket;
};

enum call_state {
    CALL_OPEN,      /* the handler runs and has not answered */
    CALL_HELD,      /* the answer comes later */
    CALL_STREAMING, /* its head is sent */
    CALL_ANSWERED,  /* nothing more may be done with it */
};

struct http_server_call {
    struct http_server *server;
    struct evhttp_request *request;
    enum call_state state;
    bool in_handler; /* who called the handler frees it */
    char *path_memory;
    struct slice path, query, body;
    struct call_param {
        struct slice name; /* in the route's pattern */
        char *value;
        size_t len;
    } params[PARAMS_MAX];
    size_t nparams;
    uint64_t ticket; /* 0: not held */
    struct http_server_watch watch;
    struct http_server_call *next, **back; /* in the list of held ones */
};

/* Whether the route's path fits; then the call's params are those of this route. `raw`: not decoded. */
bool route_fits(struct http_server_call *call, const char *pattern, const char *raw);
void call_forget_params(struct http_server_call *call);
void call_free(struct http_server_call *call);
/* All held calls are gone: before the evhttp is freed. */
void calls_end(struct http_server *s);

#endif
