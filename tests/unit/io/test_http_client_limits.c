/* http_client: time-outs, cancelling, waiting for a connection, reuse, and what must not be sent twice. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "helper_http_world.h"

static void no_answer_is_a_timeout(void **state)
{
    struct world w;
    struct got g = {.world = &w};
    struct http_request r = get_request(&g, "/hang");

    (void)state;
    world_open(&w);
    r.timeout_ms = 50;
    send_request(&g, &r);
    await(&g);
    assert_string_equal(g.error.code, "timeout");
    assert_int_equal(g.error.class, CLASS_AGAIN);
    assert_true(g.sent);
    assert_in_range(g.total_us, 49000, 1000000);
    assert_int_equal(http_client_stats(w.client).running, 0);
    world_close(&w);
}

/* An address whose accept queue is full: the SYN gets no answer. */
static unsigned open_deaf_port(int fds[20])
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof a;

    fds[0] = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fds[0], (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(fds[0], 0), 0);
    assert_int_equal(getsockname(fds[0], (struct sockaddr *)&a, &size), 0);
    for (int i = 1; i < 20; i++) {
        fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void)!connect(fds[i], (struct sockaddr *)&a, sizeof a);
    }
    return ntohs(a.sin_port);
}

static struct http_endpoint *endpoint_at(struct world *w, const char *host, unsigned port, int64_t connect_timeout_ms)
{
    char url[64];
    struct http_endpoint_options o = {.url = url, .connect_timeout_ms = connect_timeout_ms};
    struct http_endpoint *e;

    snprintf(url, sizeof url, "http://%s:%u", host, port);
    assert_false(failed(http_endpoint_new(w->client, &o, &e)));
    return e;
}

static void no_connection_is_certain_not_to_be_sent(void **state)
{
    int fds[20], closed[20];
    struct world w;
    struct got g;

    (void)state;
    world_open(&w);
    w.endpoint = endpoint_at(&w, "127.0.0.1", open_deaf_port(fds), 80);
    fetch(&w, &g, "/ok");
    assert_string_equal(g.error.code, "connect_timeout");
    assert_int_equal(g.error.class, CLASS_AGAIN);
    assert_false(g.sent);

    w.endpoint = endpoint_at(&w, "127.0.0.1", open_deaf_port(closed), 0);
    for (int i = 0; i < 20; i++)
        close(closed[i]);
    fetch(&w, &g, "/ok");
    assert_string_equal(g.error.code, "connect_failed");
    assert_int_equal(g.error.class, CLASS_AGAIN);
    assert_false(g.sent);

    w.endpoint = endpoint_at(&w, "no-such-name.invalid", 80, 0);
    fetch(&w, &g, "/ok");
    assert_string_equal(g.error.code, "name_not_found");
    assert_int_equal(g.error.class, CLASS_AGAIN);
    assert_false(g.sent);
    for (int i = 0; i < 20; i++)
        close(fds[i]);
    world_close(&w);
}

static void names_are_resolved(void **state)
{
    struct world w;
    struct got g;

    (void)state;
    world_open(&w);
    w.endpoint = endpoint_at(&w, "localhost", w.fake.port, 0);
    fetch(&w, &g, "/ok");
    assert_int_equal(g.status, 200);
    world_close(&w);
}

static void cancelling_ends_a_request_once(void **state)
{
    struct world w;
    struct got g = {.world = &w};
    struct http_request r = get_request(&g, "/hang");
    char *body = calloc(1, 600000);
    struct slice part = {body, 600000};

    (void)state;
    world_open(&w);
    for (int64_t before_ms = 0; before_ms <= 30; before_ms += 30) { /* before curl has begun; while the server is silent */
        g.count = 0;
        r.method = "POST";
        r.body = &part;
        r.body_parts = 1;
        send_request(&g, &r);
        world_turn_for(&w, before_ms);
        http_cancel(w.client, g.id);
        http_cancel(w.client, g.id);
        memset(body, 'z', 600000); /* ours again */
        assert_int_equal(g.count, 0);
        await(&g);
        assert_string_equal(g.error.code, "cancelled");
        assert_int_equal(g.error.class, CLASS_LOST);
        assert_int_equal(g.sent, before_ms > 0);
    }
    http_cancel(w.client, g.id); /* gone */
    http_cancel(w.client, 0);
    http_cancel(w.client, UINT64_MAX);
    fetch(&w, &g, "/ok");
    assert_int_equal(g.status, 200);
    free(body);
    world_close(&w);
}

static void an_old_id_does_not_hit_a_new_request(void **state)
{
    struct world w;
    struct got first, second = {.world = &w};
    struct http_request r = get_request(&second, "/ok");

    (void)state;
    world_open(&w);
    fetch(&w, &first, "/ok");
    send_request(&second, &r);
    assert_int_not_equal(first.id, second.id);
    http_cancel(w.client, first.id);
    await(&second);
    assert_false(failed(second.error));
    world_close(&w);
}

static void closing_completes_what_is_in_flight(void **state)
{
    struct world w;
    struct got g[3] = {{.world = &w}, {.world = &w}, {.world = &w}};

    (void)state;
    world_open(&w);
    w.max_connections = 2;
    for (int i = 0; i < 3; i++) {
        struct http_request r = get_request(&g[i], "/hang");

        send_request(&g[i], &r);
    }
    world_turn_for(&w, 20);
    assert_int_equal(http_client_stats(w.client).running, 2);
    assert_int_equal(http_client_stats(w.client).waiting, 1);
    http_client_free(w.client);
    w.client = NULL;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(g[i].count, 1);
        assert_string_equal(g[i].error.code, "cancelled");
    }
    world_close(&w);
}

static bool never(void *ctx)
{
    (void)ctx;
    return false;
}

/* Over a new connection and over one that was there: no byte of it leaves. */
static void what_may_not_be_sent_any_more_is_held_back(void **state)
{
    struct world w;
    struct got g = {.world = &w};
    struct http_request r = get_request(&g, "/ok");

    (void)state;
    world_open(&w);
    r.may_send = never;
    for (int requests = 0; requests < 2; requests++) {
        g.count = 0;
        send_request(&g, &r);
        await(&g);
        assert_string_equal(g.error.code, "held_back");
        assert_int_equal(g.error.class, CLASS_LOST);
        assert_false(g.sent);
        assert_int_equal(w.fake.requests, requests);
        g.count = 0;
        fetch(&w, &g, "/ok");
        assert_false(failed(g.error));
        assert_int_equal(w.fake.requests, requests + 1);
    }
    world_close(&w);
}

static void an_endpoint_goes_with_its_last_completion(void **state)
{
    struct world w;
    struct got g = {.world = &w};
    struct http_request r = get_request(&g, "/hang");

    (void)state;
    world_open(&w);
    send_request(&g, &r);
    world_turn_for(&w, 10);
    http_endpoint_free(w.endpoint);
    w.endpoint = NULL;
    assert_int_equal(g.count, 0);
    await(&g);
    assert_string_equal(g.error.code, "cancelled");
    assert_int_equal(http_client_stats(w.client).connections, 0);
    fetch(&w, &g, "/ok");
    assert_int_equal(g.status, 200);
    world_close(&w);
}

/* 200 requests over at most 3 connections: all answered, in reach of their time-out. */
static void requests_wait_for_a_connection(void **state)
{
    enum { N = 200 };
    struct world w;
    struct got *g = calloc(N + 1, sizeof *g);
    struct http_request r;

    (void)state;
    world_open(&w);
    w.max_connections = 3;
    for (int i = 0; i < N; i++) {
        g[i].world = &w;
        r = get_request(&g[i], "/ok");
        send_request(&g[i], &r);
    }
    assert_int_equal(http_client_stats(w.client).waiting, N - 3);
    http_cancel(w.client, g[N - 1].id);
    for (int i = 0; i < N; i++) {
        await(&g[i]);
        assert_int_equal(failed(g[i].error), i == N - 1);
    }
    assert_in_range(atomic_load(&w.fake.connections), 1, 3);
    assert_int_equal(atomic_load(&w.fake.requests), N - 1);

    /* Waiting counts against the time-out. */
    for (int i = 0; i < 4; i++) {
        g[i] = (struct got){.world = &w};
        r = get_request(&g[i], "/hang");
        r.timeout_ms = i < 3 ? 300 : 60;
        send_request(&g[i], &r);
    }
    await(&g[3]);
    assert_string_equal(g[3].error.code, "timeout");
    assert_non_null(strstr(g[3].detail, "no free connection"));
    assert_false(g[3].sent);
    for (int i = 0; i < 3; i++)
        await(&g[i]);
    free(g);
    world_close(&w);
}

/* More requests than one shard takes, twice: the second wave finds the connections of the first. */
static void connections_are_used_again(void **state)
{
    enum { N = 150 };
    struct world w;
    struct got *g = calloc(N, sizeof *g);
    int connections = 0;

    (void)state;
    world_open(&w);
    for (int wave = 0; wave < 3; wave++) {
        for (int i = 0; i < N; i++) {
            struct http_request r = get_request(&g[i], "/slow");

            g[i] = (struct got){.world = &w};
            send_request(&g[i], &r);
        }
        for (int i = 0; i < N; i++) {
            while (!g[i].count)
                world_turn_for(&w, 1);
            assert_false(failed(g[i].error));
            assert_string_equal(g[i].body, "hello");
        }
        if (wave == 0)
            connections = atomic_load(&w.fake.connections);
    }
    assert_int_equal(connections, N);
    assert_int_equal(atomic_load(&w.fake.connections), N);
    assert_int_equal(http_client_stats(w.client).connections, N);
    free(g);
    world_close(&w);
}

/* A reused connection that dies before a byte of the answer: curl sends again by itself, unless told `once`. */
static void once_means_once(void **state)
{
    for (int once = 0; once < 2; once++) {
        struct slice part = SLICE("{\"params\":{}}");
        struct world w;
        struct got g = {.world = &w};
        struct http_request r = get_request(&g, "/once-then-drop");

        (void)state;
        world_open(&w);
        fetch(&w, &g, "/ok"); /* leaves an idle connection */
        g.count = 0;
        r.method = "POST";
        r.body = &part;
        r.body_parts = 1;
        r.once = once;
        send_request(&g, &r);
        await(&g);
        assert_false(failed(g.error));
        assert_string_equal(g.body, "one");
        assert_int_equal(atomic_load(&w.fake.connections), 2);
        assert_int_equal(atomic_load(&w.fake.requests), once ? 2 : 3); /* without it the server saw the order twice */
        world_close(&w);
    }
}

struct chain {
    struct world *w;
    int left;
};

static void send_next(void *ctx, const struct http_answer *a)
{
    struct chain *c = ctx;
    struct http_request r = {.method = "GET", .path = SLICE("/ok"), .done = send_next, .ctx = c};

    assert_int_equal(a->status, 200);
    if (--c->left)
        http_send(world_endpoint(c->w), &r);
    else
        http_endpoint_free(c->w->endpoint); /* from its own last completion */
}

static void completions_may_send_and_free(void **state)
{
    struct world w;
    struct chain c = {.w = &w, .left = 50};
    struct http_request r = {.method = "GET", .path = SLICE("/ok"), .done = send_next, .ctx = &c};

    (void)state;
    world_open(&w);
    http_send(world_endpoint(&w), &r);
    for (int i = 0; i < 5000 && c.left; i++)
        world_turn_for(&w, 1);
    assert_int_equal(c.left, 0);
    assert_int_equal(atomic_load(&w.fake.connections), 1);
    assert_int_equal(http_client_stats(w.client).connections, 0);
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_answer_is_a_timeout),
        cmocka_unit_test(no_connection_is_certain_not_to_be_sent),
        cmocka_unit_test(names_are_resolved),
        cmocka_unit_test(cancelling_ends_a_request_once),
        cmocka_unit_test(an_old_id_does_not_hit_a_new_request),
        cmocka_unit_test(closing_completes_what_is_in_flight),
        cmocka_unit_test(what_may_not_be_sent_any_more_is_held_back),
        cmocka_unit_test(an_endpoint_goes_with_its_last_completion),
        cmocka_unit_test(requests_wait_for_a_connection),
        cmocka_unit_test(connections_are_used_again),
        cmocka_unit_test(once_means_once),
        cmocka_unit_test(completions_may_send_and_free),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
