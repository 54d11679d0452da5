/* The world of the HTTP client's tests. */
#include "helper_http_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "stepmill/clock.h"

void world_open(struct world *w)
{
    memset(w, 0, sizeof *w);
    http_fake_start(&w->fake);
    w->loop = loop_new();
    assert_non_null(w->loop);
    assert_false(failed(http_client_new(w->loop, NULL, NULL, &w->client)));
    snprintf(w->url, sizeof w->url, "http://127.0.0.1:%u", w->fake.port);
}

void world_close(struct world *w)
{
    http_client_free(w->client);
    loop_free(w->loop);
    http_fake_stop(&w->fake);
}

struct http_endpoint *world_endpoint(struct world *w)
{
    const struct http_endpoint_options options = {.url = w->url, .max_connections = w->max_connections};

    if (!w->endpoint)
        assert_false(failed(http_endpoint_new(w->client, &options, &w->endpoint)));
    return w->endpoint;
}

static void keep_header(char *to, size_t room, const struct http_answer *a, const char *name)
{
    struct slice value = http_answer_header(a, name);

    snprintf(to, room, "%.*s", SLICE_FMT(value.at ? value : SLICE("-")));
}

void got_answer(void *ctx, const struct http_answer *a)
{
    struct got *g = ctx;

    g->count++;
    assert_int_equal(a->id, g->id);
    g->error = a->error;
    snprintf(g->detail, sizeof g->detail, "%s", a->detail);
    g->status = a->status;
    g->version = a->version;
    g->sent = a->sent;
    g->reused = a->reused;
    g->body_len = a->body.len;
    if (a->body.len)
        memcpy(g->body, a->body.at, a->body.len < sizeof g->body ? a->body.len : sizeof g->body);
    g->body[a->body.len < sizeof g->body ? a->body.len : sizeof g->body - 1] = '\0';
    keep_header(g->type, sizeof g->type, a, "content-type");
    keep_header(g->retry_after, sizeof g->retry_after, a, "Retry-After");
    keep_header(g->last, sizeof g->last, a, "x-last");
    g->head_len = a->head.len;
    g->ticket = a->ticket;
    g->connected_us = a->connected_us;
    g->first_byte_us = a->first_byte_us;
    g->total_us = a->total_us;
}

struct http_request get_request(struct got *g, const char *path)
{
    return (struct http_request){.method = "GET",
                                 .path = slice_of(path),
                                 .timeout_ms = 15000,
                                 .ticket = {.task = 77, .attempt = 3},
                                 .done = got_answer,
                                 .ctx = g};
}

void send_request(struct got *g, const struct http_request *r)
{
    int before = g->count;

    g->id = http_send(world_endpoint(g->world), r);
    assert_int_not_equal(g->id, 0);
    assert_int_equal(g->count, before); /* never inside http_send */
}

static void wake(void *ctx) { (void)ctx; }

void world_turn_for(struct world *w, int64_t ms)
{
    int64_t end = clock_mono_ms() + ms;
    struct loop_timer timer;

    loop_timer_init(&timer, w->loop, wake, NULL);
    while (clock_mono_ms() < end) {
        loop_timer_set(&timer, 2);
        loop_turn(w->loop, true);
    }
    loop_timer_cancel(&timer);
}

void await(struct got *g)
{
    int64_t end = clock_mono_ms() + 60000;

    while (!g->count) {
        if (clock_mono_ms() > end)
            fail_msg("no completion after 60 s");
        world_turn_for(g->world, 1);
    }
    world_turn_for(g->world, 5);
    assert_int_equal(g->count, 1);
    assert_int_equal(g->ticket.task, 77);
    assert_int_equal(g->ticket.attempt, 3);
}

void fetch(struct world *w, struct got *g, const char *path)
{
    struct http_request r;

    memset(g, 0, sizeof *g);
    g->world = w;
    r = get_request(g, path);
    send_request(g, &r);
    await(g);
}
