/* http_server: parameters of paths and queries, answers that come later or in pieces, and clients that go away. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "helper_http.h"
#include "stepmill/clock.h"
#include "stepmill/http_server.h"

struct site {
    struct loop *loop;
    struct http_server *server;
    uint64_t ticket; /* of the last held call */
    int gone, drained, taken, strays;
    size_t to_send; /* pieces that on_drained still has */
};

static void on_gone(void *ctx, uint64_t ticket)
{
    struct site *s = ctx;

    s->gone++;
    assert_null(http_server_held(s->server, ticket));
}

static void on_drained(void *ctx, struct http_server_call *call)
{
    struct site *s = ctx;

    s->drained++;
    if (s->to_send == 0)
        return;
    if (--s->to_send)
        assert_true(http_server_send(call, SLICE("piece ")));
    else
        http_server_end(call);
}

static void on_later(void *ctx, struct http_server_call *call)
{
    struct site *s = ctx;

    s->ticket = http_server_hold(call, &(struct http_server_watch){on_gone, on_drained, s});
}

static void on_stream(void *ctx, struct http_server_call *call)
{
    on_later(ctx, call);
    http_server_stream(call, 200, "text/event-stream");
    assert_true(http_server_send(call, SLICE("first ")));
}

/* Both at once: held, and answered in the handler all the same. */
static void on_prompt(void *ctx, struct http_server_call *call)
{
    on_later(ctx, call);
    http_server_answer(call, 200, "text/plain", SLICE("prompt"));
}

static void on_param(void *ctx, struct http_server_call *call)
{
    struct buf out = BUF(4096), name = BUF(10), value = BUF(10);
    size_t at = 0;
    bool bad;

    (void)ctx;
    buf_printf(&out, "%s id=%.*s part=%.*s;", http_server_method(call), SLICE_FMT(http_server_param(call, "id")),
               SLICE_FMT(http_server_param(call, "part")));
    while (http_server_query_next(call, &at, &name, &value, &bad))
        buf_printf(&out, " %s=%s", buf_text(&name), buf_text(&value));
    buf_put_text(&out, bad ? " bad" : " end");
    http_server_answer(call, 200, "text/plain", buf_slice(&out));
    buf_free(&out);
    buf_free(&name);
    buf_free(&value);
}

static void on_fixed(void *ctx, struct http_server_call *call)
{
    (void)ctx;
    http_server_answer(call, 200, "text/plain", SLICE("fixed"));
}

static void on_stray(void *ctx, struct http_server_call *call, int status)
{
    struct site *s = ctx;

    s->strays++;
    http_server_answer(call, status, "application/problem+json", SLICE("{}"));
}

static void site_open(struct site *s, struct http_server_options options)
{
    const struct http_server_route routes[] = {
        {"GET", "/later", on_later, s},   {"GET", "/stream", on_stream, s},      {"GET", "/a/fixed", on_fixed, s},
        {"GET", "/a/{id}", on_param, s},  {"PUT", "/a/{id}/fixed", on_fixed, s}, {"POST", "/a/{id}/{part}", on_param, s},
        {"GET", "/prompt", on_prompt, s},
    };

    memset(s, 0, sizeof *s);
    s->loop = loop_new();
    options.routes = routes;
    options.route_count = sizeof routes / sizeof *routes;
    options.listen = "127.0.0.1:0";
    assert_false(failed(http_server_new(s->loop, NULL, &options, &s->server)));
}

static void site_close(struct site *s)
{
    http_server_free(s->server);
    loop_turn(s->loop, false);
    loop_free(s->loop);
}

static void turn_until(struct site *s, bool (*done)(struct site *s))
{
    int64_t until = clock_mono_ms() + 20000;

    while (!done(s)) {
        assert_true(clock_mono_ms() < until);
        loop_turn(s->loop, false);
        usleep(500);
    }
}

static bool is_held(struct site *s) { return s->ticket && http_server_held(s->server, s->ticket); }
static bool is_gone(struct site *s) { return s->gone > 0; }

static int begin(struct site *s, const char *text)
{
    int fd = tcp_connect(http_server_port(s->server));

    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
    return fd;
}

/* Reads until `part` has come. */
static const char *hear(struct site *s, int fd, const char *part)
{
    static char text[64 * 1024];
    int64_t until = clock_mono_ms() + 20000;
    size_t len = 0;

    for (text[0] = '\0'; !strstr(text, part);) {
        ssize_t n = recv(fd, text + len, sizeof text - 1 - len, MSG_DONTWAIT);

        if (n == 0 || clock_mono_ms() > until)
            fail_msg("no \"%s\" in: %s", part, text);
        len += n > 0 ? (size_t)n : 0;
        text[len] = '\0';
        loop_turn(s->loop, false);
        usleep(200);
    }
    return text;
}

static void asked(struct site *s, const char *request, const char *part)
{
    int fd = begin(s, request);

    hear(s, fd, part);
    close(fd);
}

static void paths_and_queries_have_parameters(void **state)
{
    struct site s;

    (void)state;
    site_open(&s, (struct http_server_options){.stray = on_stray, .stray_ctx = &s});
    asked(&s, "GET /a/x%2Fy:7%20 HTTP/1.1\r\nHost: x\r\n\r\n", "GET id=x/y:7  part=; end");
    asked(&s, "GET /a/fixed HTTP/1.1\r\nHost: x\r\n\r\n", "fixed");
    asked(&s, "GET /a/fixe?a=1&&b=%41+c&c HTTP/1.1\r\nHost: x\r\n\r\n", "id=fixe part=; a=1 b=A c c= end");
    asked(&s, "POST /a/1/2?x=0123456789abc HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", "POST id=1 part=2; bad");
    asked(&s, "GET /a/1?x=%4 HTTP/1.1\r\nHost: x\r\n\r\n", "; bad");
    asked(&s, "GET /a/1?x=%zz HTTP/1.1\r\nHost: x\r\n\r\n", "; bad");
    asked(&s, "GET /a/1?x=1%00 HTTP/1.1\r\nHost: x\r\n\r\n", "; x=1");
    assert_int_equal(s.strays, 0);
    asked(&s, "GET /a/ HTTP/1.1\r\nHost: x\r\n\r\n", " 404 Not Found");
    asked(&s, "GET /a/1/ HTTP/1.1\r\nHost: x\r\n\r\n", " 404 ");
    asked(&s, "GET /a/1/2/3 HTTP/1.1\r\nHost: x\r\n\r\n", " 404 ");
    asked(&s, "GET /a HTTP/1.1\r\nHost: x\r\n\r\n", " 404 ");
    asked(&s, "GET /a/1/2 HTTP/1.1\r\nHost: x\r\n\r\n", "Allow: POST");
    asked(&s, "POST /a/fixed HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", "Allow: GET, HEAD\r\n");
    asked(&s, "GET /a/1/fixed HTTP/1.1\r\nHost: x\r\n\r\n", "Allow: PUT\r\n"); /* not by POST /a/{id}/{part} */
    asked(&s, "PUT /a/1 HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", "Allow: GET, HEAD");
    assert_int_equal(s.strays, 8);
    site_close(&s);
}

static void an_answer_may_come_later(void **state)
{
    struct site s;
    int fd;

    (void)state;
    site_open(&s, (struct http_server_options){0});
    fd = begin(&s, "GET /later HTTP/1.1\r\nHost: x\r\n\r\n");
    for (int i = 1; i <= 3; i++) { /* on one connection */
        struct http_server_call *call;

        s.ticket = 0;
        turn_until(&s, is_held);
        call = http_server_held(s.server, s.ticket);
        assert_int_equal(s.ticket, i);
        http_server_set_header(call, "X-Late", "yes");
        http_server_answer(call, 200, "text/plain", SLICE("at last"));
        assert_null(http_server_held(s.server, s.ticket));
        hear(&s, fd, "at last");
        assert_int_equal(send(fd, "GET /later HTTP/1.1\r\nHost: x\r\n\r\n", 32, MSG_NOSIGNAL), 32);
    }
    asked(&s, "GET /prompt HTTP/1.1\r\nHost: x\r\n\r\n", "prompt");
    assert_int_equal(s.gone, 0);
    close(fd);
    site_close(&s);
    assert_int_equal(s.gone, 1); /* the fourth was held when the server went */
}

/* The answer for a client that is no more falls away, the server lives on. */
static void a_late_answer_may_miss(void **state)
{
    struct site s;
    int fd;

    (void)state;
    site_open(&s, (struct http_server_options){0});
    for (int i = 0; i < 3; i++) {
        s.ticket = 0;
        fd = begin(&s, "GET /later HTTP/1.1\r\nHost: x\r\n\r\n");
        turn_until(&s, is_held);
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){1, 0}, sizeof(struct linger));
        close(fd); /* a reset */
        for (int t = 0; t < 20; t++)
            loop_turn(s.loop, false);
        if (is_held(&s))
            http_server_answer(http_server_held(s.server, s.ticket), 200, "text/plain", SLICE("into the void"));
        for (int t = 0; t < 20; t++)
            loop_turn(s.loop, false);
        asked(&s, "GET /prompt HTTP/1.1\r\nHost: x\r\n\r\n", "prompt");
    }
    site_close(&s);
}

static void pieces_come_as_they_are_sent(void **state)
{
    struct site s;
    const char *text;
    int fd;

    (void)state;
    site_open(&s, (struct http_server_options){.timeout_s = 1});
    fd = begin(&s, "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
    text = hear(&s, fd, "first ");
    assert_non_null(strstr(text, "Transfer-Encoding: chunked"));
    for (int i = 0; i < 1500; i++) { /* longer than the time-out of silent connections */
        loop_turn(s.loop, false);
        usleep(1000);
    }
    assert_true(is_held(&s));
    assert_true(s.drained > 0);
    s.to_send = 100;
    assert_true(http_server_send(http_server_held(s.server, s.ticket), SLICE("again ")));
    hear(&s, fd, "\r\n0\r\n\r\n");
    assert_int_equal(s.to_send, 0);
    assert_int_equal(s.gone, 0);
    close(fd);
    fd = begin(&s, "HEAD /stream HTTP/1.1\r\nHost: x\r\n\r\n");
    s.ticket = 0;
    turn_until(&s, is_held);
    http_server_end(http_server_held(s.server, s.ticket));
    assert_null(strstr(hear(&s, fd, "\r\n\r\n"), "first"));
    close(fd);
    site_close(&s);
}

static void a_watcher_that_leaves_is_noticed(void **state)
{
    struct site s;
    int fd;

    (void)state;
    site_open(&s, (struct http_server_options){0});
    fd = begin(&s, "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
    hear(&s, fd, "first ");
    assert_int_equal(send(fd, "GET /later HTTP/1.1\r\n\r\n", 23, MSG_NOSIGNAL), 23); /* nobody reads this */
    close(fd);
    turn_until(&s, is_gone);
    assert_int_equal(s.gone, 1);
    fd = begin(&s, "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
    hear(&s, fd, "first ");
    http_server_cut(http_server_held(s.server, s.ticket));
    assert_int_equal(s.gone, 1);
    while (recv(fd, (char[64]){0}, 64, MSG_DONTWAIT) != 0)
        loop_turn(s.loop, false);
    close(fd);
    site_close(&s);
}

/* Who takes nothing is neither waited for without end nor served from endless memory. */
static void a_slow_client_has_a_ceiling(void **state)
{
    char *piece = calloc(1, 64 * 1024);
    struct site s;
    size_t sent = 0;
    int fd;

    (void)state;
    memset(piece, 'p', 64 * 1024);
    site_open(&s, (struct http_server_options){.timeout_s = 1});
    fd = begin(&s, "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
    hear(&s, fd, "first ");
    for (int64_t until = clock_mono_ms() + 20000; !is_gone(&s);) { /* after a second without taking anything */
        assert_true(clock_mono_ms() < until);
        assert_non_null(http_server_held(s.server, s.ticket));
        if (http_server_send(http_server_held(s.server, s.ticket), (struct slice){piece, 64 * 1024}))
            sent += 64 * 1024;
        assert_true(sent < 64 << 20);
        for (int i = 0; i < 10; i++)
            loop_turn(s.loop, false);
        usleep(500);
    }
    close(fd);
    free(piece);
    site_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_and_queries_have_parameters),
        cmocka_unit_test(an_answer_may_come_later),
        cmocka_unit_test(a_late_answer_may_miss),
        cmocka_unit_test(pieces_come_as_they_are_sent),
        cmocka_unit_test(a_watcher_that_leaves_is_noticed),
        cmocka_unit_test(a_slow_client_has_a_ceiling),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
