/* include/stepmill/http_server.h where nobody listens: nothing of a history asks for probes or metrics. */
#include "stepmill/http_server.h"

#include <stdlib.h>

struct http_server {
    unsigned port;
};

struct error http_server_new(struct loop *l, const struct log *log, const struct http_server_options *options,
                             struct http_server **out)
{
    struct http_server *s = calloc(1, sizeof *s);

    (void)l, (void)log, (void)options;
    *out = s;
    if (!s)
        return error_make(CLASS_INTERNAL, "out_of_memory", "no memory for the HTTP server");
    s->port = 1;
    return error_none();
}

void http_server_free(struct http_server *s) { free(s); }
unsigned http_server_port(const struct http_server *s) { return s->port; }

void http_server_answer(struct http_server_call *call, int status, const char *content_type, struct slice body)
{
    (void)call, (void)status, (void)content_type, (void)body;
    bug("a request was answered that nobody made");
}
