/* A shard: one curl multi with few requests, driven by the loop. */
#include <stdlib.h>

#include "http_client_private.h"

/* Requests of this shard that curl has brought to an end. */
static void collect(struct shard *s)
{
    CURLMsg *message;
    int left;

    while ((message = curl_multi_info_read(s->multi, &left))) {
        CURLcode code = message->data.result;
        struct request *r = NULL;

        if (message->msg != CURLMSG_DONE)
            continue;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &r);
        easy_read_answer(r);
        request_finish(r, easy_error(r, code));
    }
}

void shard_act(struct shard *s, curl_socket_t fd, int ready)
{
    struct http_client *c = s->endpoint->client;
    struct loop *l = c->loop; /* a completion may free the endpoint, not the client */
    int running;

    curl_multi_socket_action(s->multi, fd, ready, &running);
    collect(s);
    client_start_waiting(c);
    client_deliver(c);
    loop_breathe(l);
}

static void on_timer(void *ctx) { shard_act(ctx, CURL_SOCKET_TIMEOUT, 0); }

static int timer_wanted(CURLM *multi, long delay_ms, void *ctx)
{
    struct shard *s = ctx;

    (void)multi;
    if (delay_ms < 0)
        loop_timer_cancel(&s->timer);
    else
        loop_timer_set(&s->timer, delay_ms);
    return 0;
}

static void on_idle(void *ctx) { shard_free(ctx); }

static struct shard *shard_new(struct http_endpoint *e)
{
    struct shard *s = calloc(1, sizeof *s);

    if (!s)
        return NULL;
    s->endpoint = e;
    s->multi = curl_multi_init();
    if (!s->multi) {
        free(s);
        return NULL;
    }
    loop_timer_init(&s->timer, e->client->loop, on_timer, s);
    loop_timer_init(&s->idle, e->client->loop, on_idle, s);
    curl_multi_setopt(s->multi, CURLMOPT_SOCKETFUNCTION, socket_wanted);
    curl_multi_setopt(s->multi, CURLMOPT_SOCKETDATA, s);
    curl_multi_setopt(s->multi, CURLMOPT_TIMERFUNCTION, timer_wanted);
    curl_multi_setopt(s->multi, CURLMOPT_TIMERDATA, s);
    curl_multi_setopt(s->multi, CURLMOPT_PIPELINING, CURLPIPE_MULTIPLEX);
    /* Without it curl closes connections when few requests run, just before they are wanted again. */
    curl_multi_setopt(s->multi, CURLMOPT_MAXCONNECTS, (long)SHARD_REQUESTS);
    list_append(&e->shards, &s->node);
    return s;
}

void shard_free(struct shard *s)
{
    struct list_node *n;

    while ((n = s->running.first))
        request_finish(list_entry(n, struct request, node), error_make(CLASS_LOST, "cancelled", "the request was cancelled"));
    list_remove(&s->node);
    curl_multi_cleanup(s->multi);
    loop_timer_cancel(&s->timer);
    loop_timer_cancel(&s->idle);
    free(s);
}

/* Busy shards stay busy: the one that was full last comes first, so the others run empty and are freed. */
static struct shard *shard_with_room(struct http_endpoint *e)
{
    return e->shards.first ? list_entry(e->shards.first, struct shard, node) : shard_new(e);
}

bool shard_start(struct request *r)
{
    struct shard *s = shard_with_room(r->endpoint);

    if (!s)
        return false;
    r->easy = easy_take(r);
    if (!r->easy)
        return false;
    if (curl_multi_add_handle(s->multi, r->easy) != CURLM_OK) {
        easy_give(r);
        return false;
    }
    r->shard = s;
    list_append(&s->running, &r->node);
    if (s->running.count == SHARD_REQUESTS) {
        list_remove(&s->node);
        list_append(&r->endpoint->full, &s->node);
    }
    loop_timer_cancel(&s->idle);
    r->endpoint->running++;
    r->endpoint->client->stats.running++;
    return true;
}

void shard_stop(struct request *r)
{
    struct shard *s = r->shard;

    curl_multi_remove_handle(s->multi, r->easy);
    easy_give(r);
    r->shard = NULL;
    list_remove(&r->node);
    if (s->node.list == &r->endpoint->full) {
        list_remove(&s->node);
        list_prepend(&r->endpoint->shards, &s->node);
    }
    r->endpoint->running--;
    r->endpoint->client->stats.running--;
    if (s->running.count == 0)
        loop_timer_set(&s->idle, SHARD_IDLE_MS);
}
