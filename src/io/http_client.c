/* The HTTP client: requests wait, run and finish, each with exactly one completion. */
#include "stepmill/http_client.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/resource.h>

#include "http_client_private.h"
#include "stepmill/clock.h"

enum { DEFAULT_TIMEOUT_MS = 60 * 1000, CURL_NEEDED = 0x075700 /* 7.87: CURLOPT_QUICK_EXIT */ };

static struct error cancelled(void) { return error_make(CLASS_LOST, "cancelled", "the request was cancelled"); }

static void on_deliver(void *ctx)
{
    client_start_waiting(ctx);
    client_deliver(ctx);
}

static size_t default_connections(void)
{
    struct rlimit files = {.rlim_cur = 1024};

    getrlimit(RLIMIT_NOFILE, &files);
    if (files.rlim_cur == RLIM_INFINITY || files.rlim_cur > 1 << 20)
        files.rlim_cur = 1 << 20;
    return (size_t)(files.rlim_cur - files.rlim_cur / 4);
}

static struct error check_curl(void)
{
    const curl_version_info_data *v = curl_version_info(CURLVERSION_NOW);

    if (v->version_num < CURL_NEEDED)
        return error_make(CLASS_CONFIG, "curl_too_old", "libcurl 7.87 or later is needed");
    if (!(v->features & CURL_VERSION_ASYNCHDNS))
        return error_make(CLASS_CONFIG, "no_async_dns",
                          "this libcurl resolves names blocking: use one with a threaded or c-ares resolver");
    return error_none();
}

struct error http_client_new(struct loop *l, const struct log *log, const struct http_client_options *options,
                             struct http_client **out)
{
    struct error e = check_curl();
    struct http_client *c;

    *out = NULL;
    if (failed(e))
        return e;
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return error_make(CLASS_INTERNAL, "out_of_memory", "libcurl could not be set up");
    c = calloc(1, sizeof *c);
    if (c) {
        c->loop = l;
        c->log = log;
        c->share = curl_share_init();
        if (asprintf(&c->user_agent, "User-Agent: %s",
                     options && options->user_agent ? options->user_agent : "stepmill/" STEPMILL_VERSION) < 0)
            c->user_agent = NULL;
        c->max_connections = options && options->max_connections ? options->max_connections : default_connections();
        loop_timer_init(&c->deliver, l, on_deliver, c);
    }
    if (!c || !c->share || !c->user_agent) {
        http_client_free(c);
        if (!c)
            curl_global_cleanup();
        return error_make(CLASS_INTERNAL, "out_of_memory", "no memory for the HTTP client");
    }
    curl_share_setopt(c->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_DNS);
    curl_share_setopt(c->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION);
    *out = c;
    return error_none();
}

void http_client_free(struct http_client *c)
{
    struct list_node *n;

    if (!c)
        return;
    while ((n = c->endpoints.first)) {
        http_endpoint_free(list_entry(n, struct http_endpoint, node));
        while (c->finished.first) /* with the last one the endpoint is gone */
            client_deliver(c);
    }
    loop_timer_cancel(&c->deliver);
    sockets_free(c);
    curl_share_cleanup(c->share);
    free(c->slots);
    free(c->user_agent);
    free(c);
    curl_global_cleanup();
}

struct http_client_stats http_client_stats(const struct http_client *c) { return c->stats; }

/* A new id for the request. */
static uint64_t slot_take(struct http_client *c, struct request *r)
{
    uint32_t i = c->slot_free;

    if (!i) {
        uint32_t count = c->slot_count ? c->slot_count * 2 : 256;
        struct slot *slots = realloc(c->slots, count * sizeof *slots);

        if (!slots)
            bug("no memory for the table of HTTP requests");
        for (uint32_t k = count; k-- > (c->slot_count ? c->slot_count : 1);) {
            slots[k] = (struct slot){.next_free = i};
            i = k;
        }
        c->slots = slots;
        c->slot_count = count;
    }
    c->slot_free = c->slots[i].next_free;
    c->slots[i].request = r;
    c->slots[i].generation++;
    return (uint64_t)c->slots[i].generation << 32 | i;
}

static struct request *slot_find(const struct http_client *c, uint64_t id)
{
    uint32_t i = (uint32_t)id;

    if (!i || i >= c->slot_count || c->slots[i].generation != id >> 32)
        return NULL;
    return c->slots[i].request;
}

static void slot_give(struct http_client *c, uint64_t id)
{
    uint32_t i = (uint32_t)id;

    c->slots[i].request = NULL;
    c->slots[i].next_free = c->slot_free;
    c->slot_free = i;
}

static void on_timeout(void *ctx)
{
    struct request *r = ctx;
    struct http_client *c = r->endpoint->client;

    snprintf(r->detail, sizeof r->detail, "%s after %lld ms", r->easy ? "no whole answer" : "no free connection",
             (long long)(clock_mono_us() - r->began_us) / 1000);
    request_finish(r, error_make(CLASS_AGAIN, "timeout", "the answer did not come in time"));
    client_start_waiting(c);
    client_deliver(c);
}

uint64_t http_send(struct http_endpoint *e, const struct http_request *q)
{
    struct http_client *c = e->client;
    struct request *r = request_new(e, q);

    if (!r)
        bug("no memory for an HTTP request"); /* whoever waits for its completion would wait for ever */
    if (e->closing)
        bug("http_send to %s after http_endpoint_free", e->url);
    r->id = slot_take(c, r);
    c->stats.requests++;
    e->outstanding++;
    loop_timer_init(&r->timeout, c->loop, on_timeout, r);
    if (failed(r->error)) {
        request_finish(r, r->error);
        return (uint64_t)r->id;
    }
    loop_timer_set(&r->timeout, q->timeout_ms ? q->timeout_ms : DEFAULT_TIMEOUT_MS);
    list_append(&e->waiting, &r->node);
    c->stats.waiting++;
    if (!e->hungry.list)
        list_append(&c->hungry, &e->hungry);
    client_start_waiting(c);
    return r->id;
}

void http_cancel(struct http_client *c, uint64_t id)
{
    struct request *r = slot_find(c, id);

    if (r)
        request_finish(r, cancelled());
}

void request_finish(struct request *r, struct error error)
{
    struct http_endpoint *e = r->endpoint;
    struct http_client *c = e->client;

    if (r->easy) {
        easy_read_answer(r);
        c->load -= r->is_load;
        shard_stop(r);
    } else if (r->node.list == &e->waiting) {
        list_remove(&r->node);
        c->stats.waiting--;
        if (!e->waiting.first)
            list_remove(&e->hungry);
    }
    loop_timer_cancel(&r->timeout);
    r->error = error;
    if (!r->node.list)
        list_append(&c->finished, &r->node);
    if (!loop_timer_is_set(&c->deliver))
        loop_timer_set(&c->deliver, 0);
}

/* Idle connections of quiet shards are the first to go when descriptors run short. */
static void close_idle(struct http_client *c)
{
    for (struct list_node *n = c->endpoints.first; n; n = n->next) {
        struct http_endpoint *e = list_entry(n, struct http_endpoint, node);

        for (struct list_node *m = e->shards.first, *next; m; m = next) {
            struct shard *s = list_entry(m, struct shard, node);

            next = m->next;
            if (!s->running.first)
                shard_free(s);
        }
    }
}

static bool has_room(const struct http_endpoint *e)
{
    return e->running / (e->multiplexed ? SHARD_REQUESTS : 1) < e->max_connections;
}

static void start_one(struct http_endpoint *e)
{
    struct http_client *c = e->client;
    struct request *r = list_entry(e->waiting.first, struct request, node);

    if (c->stats.connections >= c->max_connections)
        close_idle(c);
    list_remove(&r->node);
    c->stats.waiting--;
    r->started_us = clock_mono_us();
    if (!shard_start(r)) {
        request_finish(r, error_make(CLASS_INTERNAL, "out_of_memory", "no memory for the request"));
        return;
    }
    r->is_load = !e->multiplexed;
    c->load += r->is_load;
}

void client_start_waiting(struct http_client *c)
{
    for (size_t full = 0; full < c->hungry.count && c->load < c->max_connections;) {
        struct http_endpoint *e = list_entry(list_take_first(&c->hungry), struct http_endpoint, hungry);

        if (has_room(e)) {
            start_one(e);
            full = 0;
        } else {
            full++;
        }
        if (e->waiting.first)
            list_append(&c->hungry, &e->hungry);
    }
}

static void deliver_one(struct http_client *c, struct request *r)
{
    struct http_endpoint *e = r->endpoint;
    struct http_answer a = {
        .id = r->id,
        .ticket = r->ticket,
        .error = r->error,
        .detail = r->detail[0] || !failed(r->error) ? r->detail : r->error.text,
        .status = r->status,
        .version = r->version,
        .body = buf_slice(&r->answer),
        .sent = r->sent,
        .reused = r->reused,
        .connected_us = r->connected_us,
        .first_byte_us = r->first_byte_us,
        .total_us = clock_mono_us() - r->began_us,
        .head = buf_slice(&r->head),
    };

    slot_give(c, r->id);
    r->done(r->ctx, &a);
    request_free(r);
    e->outstanding--;
    if (e->closing && !e->outstanding)
        http_endpoint_free(e);
}

void client_deliver(struct http_client *c)
{
    /* What the callbacks finish in their turn waits for the next turn: nobody can keep the loop here. */
    for (size_t n = c->finished.count; n; n--)
        deliver_one(c, list_entry(list_take_first(&c->finished), struct request, node));
    if (!c->finished.first)
        loop_timer_cancel(&c->deliver);
}

struct slice http_answer_header(const struct http_answer *a, const char *name)
{
    size_t len = strlen(name);

    for (const char *at = a->head.at, *end = at + a->head.len; at < end;) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        const char *stop = newline ? newline : end;

        if ((size_t)(stop - at) > len && at[len] == ':' && !strncasecmp(at, name, len)) {
            for (at += len + 1; at < stop && (*at == ' ' || *at == '\t');)
                at++;
            while (stop > at && (stop[-1] == '\r' || stop[-1] == ' ' || stop[-1] == '\t'))
                stop--;
            return (struct slice){at, (size_t)(stop - at)};
        }
        at = newline ? newline + 1 : end;
    }
    return (struct slice){NULL, 0};
}
