/* include/stepmill/http_client.h over the simulated network: the same promises as the client over libcurl. */
#include "stepmill/http_client.h"

#include <stdlib.h>
#include <strings.h>

#include "http_hosts.h"
#include "ledger.h"
#include "stepmill/list.h"
#include "world.h"

/* How exchanges find their client; in the world's memory. */
struct http_port {
    struct http_client *client; /* NULL: freed */
    struct sim_process *process;
};

struct http_client {
    struct loop *loop;
    struct http_port *port;
    struct list requests, endpoints;
    uint64_t last_id;
    struct http_client_stats stats;
};

struct http_endpoint {
    struct list_node node;
    struct http_client *client;
    struct http_host *host;
};

struct request {
    struct list_node node;
    struct http_endpoint *endpoint;
    struct http_exchange *exchange;
    struct loop_timer timer;
    bool cancelled;
    http_done *done;
    void *ctx;
};

struct error http_client_new(struct loop *l, const struct log *log, const struct http_client_options *options,
                             struct http_client **out)
{
    struct http_client *c = calloc(1, sizeof *c);

    (void)log, (void)options;
    *out = c;
    if (!c)
        return error_make(CLASS_INTERNAL, "out_of_memory", "no memory for the HTTP client");
    c->loop = l;
    c->port = memory_take(world_memory(), sizeof *c->port);
    *c->port = (struct http_port){c, sim_self()};
    return error_none();
}

static void finish(struct request *q, const struct http_answer *a)
{
    struct http_client *c = q->endpoint->client;

    list_remove(&q->node);
    loop_timer_cancel(&q->timer);
    c->stats.running--;
    q->done(q->ctx, a);
    free(q);
}

static void finish_early(struct request *q, struct error error)
{
    struct http_exchange *x = q->exchange;

    finish(q, &(struct http_answer){
                  .id = x->id, .ticket = x->ticket, .error = error, .detail = error.text, .sent = x->sent, .total_us = 1});
}

static void on_timer(void *request)
{
    struct request *q = request;

    finish_early(q, q->cancelled ? error_make(CLASS_LOST, "cancelled", "the request was cancelled")
                                 : error_make(CLASS_AGAIN, "timeout", "no whole answer in time"));
}

void http_client_free(struct http_client *c)
{
    struct list_node *n;

    if (!c)
        return;
    while (c->requests.first)
        finish_early(list_entry(c->requests.first, struct request, node),
                     error_make(CLASS_LOST, "cancelled", "the client was closed"));
    while ((n = list_take_first(&c->endpoints)))
        free(list_entry(n, struct http_endpoint, node));
    c->port->client = NULL;
    free(c);
}

struct http_client_stats http_client_stats(const struct http_client *c) { return c->stats; }

struct error http_endpoint_new(struct http_client *c, const struct http_endpoint_options *options, struct http_endpoint **out)
{
    struct http_endpoint *e = calloc(1, sizeof *e);

    *out = e;
    if (!e)
        return error_make(CLASS_INTERNAL, "out_of_memory", "no memory for an endpoint");
    e->client = c;
    e->host = http_host_of(slice_of(options->url));
    list_append(&c->endpoints, &e->node);
    return error_none();
}

void http_endpoint_free(struct http_endpoint *e)
{
    if (!e)
        return;
    for (struct list_node *n = e->client->requests.first; n; n = n->next)
        if (list_entry(n, struct request, node)->endpoint == e)
            http_cancel(e->client, list_entry(n, struct request, node)->exchange->id);
    /* the client frees it: completions are still to come */
}

/* FNV-1a: two bodies under one key must be one. */
static uint64_t hash_body(const struct http_request *r)
{
    uint64_t h = UINT64_C(14695981039346656037);

    for (size_t part = 0; part < r->body_parts; part++)
        for (size_t i = 0; i < r->body[part].len; i++)
            h = (h ^ (unsigned char)r->body[part].at[i]) * UINT64_C(1099511628211);
    return h;
}

/* "<task_id>/<seq>/<hash>" in quotes. */
static void read_key(struct http_exchange *x, struct slice quoted)
{
    const char *slash, *second;
    int64_t seq;

    if (quoted.len < 2)
        bug("a request without an Idempotency-Key");
    x->key = memory_copy(world_memory(), (struct slice){quoted.at + 1, quoted.len - 2});
    slash = memchr(x->key.at, '/', x->key.len);
    second = slash ? memchr(slash + 1, '/', (size_t)(x->key.at + x->key.len - slash - 1)) : NULL;
    if (!second || !slice_to_int((struct slice){slash + 1, (size_t)(second - slash - 1)}, 0, INT32_MAX, &seq))
        bug("an Idempotency-Key of another form: %.*s", SLICE_FMT(x->key));
    x->task_id = (struct slice){x->key.at, (size_t)(slash - x->key.at)};
    x->seq = (int32_t)seq;
}

uint64_t http_send(struct http_endpoint *e, const struct http_request *r)
{
    struct http_client *c = e->client;
    struct request *q = calloc(1, sizeof *q);
    struct http_exchange *x = memory_take(world_memory(), sizeof *x);

    if (!q)
        bug("out of memory for a request");
    *x = (struct http_exchange){.port = c->port,
                                .host = e->host,
                                .id = ++c->last_id,
                                .ticket = r->ticket,
                                .once = r->once,
                                .body = hash_body(r),
                                .sent_ms = sim_now_ms(),
                                .max_body = r->max_body ? r->max_body : 1 << 20};
    for (size_t i = 0; i < r->header_count; i++)
        if (slice_is(r->headers[i].name, "Idempotency-Key"))
            read_key(x, r->headers[i].value);
    *q = (struct request){.endpoint = e, .exchange = x, .done = r->done, .ctx = r->ctx};
    loop_timer_init(&q->timer, c->loop, on_timer, q);
    loop_timer_set(&q->timer, r->timeout_ms ? r->timeout_ms : 60000);
    list_append(&c->requests, &q->node);
    c->stats.running++;
    c->stats.requests++;
    http_host_send(x);
    return x->id;
}

static struct request *request_of(const struct http_client *c, uint64_t id)
{
    for (struct list_node *n = c->requests.first; n; n = n->next)
        if (list_entry(n, struct request, node)->exchange->id == id)
            return list_entry(n, struct request, node);
    return NULL;
}

void http_cancel(struct http_client *c, uint64_t id)
{
    struct request *q = request_of(c, id);

    if (!q || q->cancelled)
        return;
    q->cancelled = true;
    loop_timer_set(&q->timer, 0);
}

struct sim_process *http_port_process(const struct http_port *p) { return p->process; }

void http_client_receive(void *exchange)
{
    struct http_exchange *x = exchange;
    struct request *q = x->port->client ? request_of(x->port->client, x->id) : NULL;

    if (!q || q->cancelled)
        return;
    ledger_answered(world_ledger(), x);
    finish(q, &(struct http_answer){.id = x->id,
                                    .ticket = x->ticket,
                                    .error = x->error,
                                    .detail = failed(x->error) ? x->error.text : "",
                                    .status = x->status,
                                    .version = x->status ? 11 : 0,
                                    .body = x->body_text,
                                    .head = x->head,
                                    .sent = x->sent,
                                    .total_us = (sim_now_ms() - x->sent_ms) * 1000});
}

struct slice http_answer_header(const struct http_answer *a, const char *name)
{
    size_t n = strlen(name);
    struct slice left = a->head;

    while (left.len) {
        const char *end = memchr(left.at, '\n', left.len);
        size_t len = end ? (size_t)(end - left.at) : left.len;

        if (len > n + 1 && !strncasecmp(left.at, name, n) && left.at[n] == ':') {
            struct slice value = {left.at + n + 1, len - n - 1};

            while (value.len && (value.at[0] == ' ' || value.at[0] == '\t'))
                value.at++, value.len--;
            while (value.len && (value.at[value.len - 1] == '\r' || value.at[value.len - 1] == ' '))
                value.len--;
            return value;
        }
        left = (struct slice){left.at + len + (end != NULL), left.len - len - (end != NULL)};
    }
    return (struct slice){NULL, 0};
}
