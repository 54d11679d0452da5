/* http_server: routing, ceilings, keep-alive, addresses, and more connections than it wants. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
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
    int calls;
    int client; /* of whoever asks /more */
};

static const char more[] = "GET /more HTTP/1.1\r\nHost: x\r\n\r\n";

static void on_health(void *ctx, struct http_server_call *call)
{
    struct site *s = ctx;

    s->calls++;
    http_server_answer(call, 200, "application/json", SLICE("{\"ok\":true}"));
}

/* Path, query, header and body as the handler sees them. */
static void on_echo(void *ctx, struct http_server_call *call)
{
    struct buf out = BUF(1 << 20), value = BUF(100);

    (void)ctx;
    buf_printf(&out, "path=%.*s query=%.*s header=%.*s", SLICE_FMT(http_server_path(call)), SLICE_FMT(http_server_query(call)),
               SLICE_FMT(http_server_header(call, "x-test")));
    if (http_server_query_value(call, "name", &value))
        buf_printf(&out, " name=%s", buf_text(&value));
    buf_printf(&out, " body=%.*s", SLICE_FMT(http_server_body(call)));
    http_server_set_header(call, "X-Answer", "first");
    http_server_set_header(call, "X-Answer", "second");
    http_server_answer(call, 202, "text/plain", buf_slice(&out));
    buf_free(&out);
    buf_free(&value);
}

/* The client's next request comes while this one is being answered. */
static void on_more(void *ctx, struct http_server_call *call)
{
    struct site *s = ctx;

    if (s->calls++ == 0)
        assert_int_equal(send(s->client, more, strlen(more), MSG_NOSIGNAL), strlen(more));
    http_server_answer(call, 200, "text/plain", SLICE("more"));
}

static void on_silence(void *ctx, struct http_server_call *call)
{
    (void)ctx;
    (void)call;
}

static void site_open(struct site *s, struct http_server_options options)
{
    const struct http_server_route routes[] = {
        {"GET", "/health", on_health, s},   {"GET", "/echo", on_echo, s},   {"POST", "/echo", on_echo, s},
        {"GET", "/silence", on_silence, s}, {"GET", "/dash/*", on_echo, s}, {"GET", "/more", on_more, s},
    };

    memset(s, 0, sizeof *s);
    s->loop = loop_new();
    options.routes = routes;
    options.route_count = sizeof routes / sizeof *routes;
    options.listen = options.listen ? options.listen : "127.0.0.1:0";
    assert_false(failed(http_server_new(s->loop, NULL, &options, &s->server)));
    assert_int_not_equal(http_server_port(s->server), 0);
}

static void site_close(struct site *s)
{
    http_server_free(s->server);
    loop_turn(s->loop, false); /* connections end in the loop */
    loop_free(s->loop);
}

/* Reads what the server says until it closes or is silent for `quiet_ms`: counted in turns of half a millisecond each, so that a
 * busy machine, which stops us between two of them, is not taken for silence. */
static size_t listen_to(struct site *s, int fd, char *answer, size_t room, int64_t quiet_ms)
{
    size_t len = 0;

    for (int64_t quiet = 0; quiet < 2 * quiet_ms;) {
        ssize_t n;

        loop_turn(s->loop, false);
        n = recv(fd, answer + len, room - 1 - len, MSG_DONTWAIT);
        if (n == 0)
            break;
        if (n > 0) {
            len += (size_t)n;
            quiet = 0;
        } else {
            usleep(500);
            quiet++;
        }
    }
    answer[len] = '\0';
    return len;
}

/* As listen_to, for an answer that must come: its first byte may take long on a busy machine. */
static void hear(struct site *s, int fd, char *answer, size_t room, int64_t quiet_ms)
{
    int64_t until = clock_mono_ms() + 20000;
    char byte;

    while (recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && clock_mono_ms() < until) {
        loop_turn(s->loop, false);
        usleep(500);
    }
    listen_to(s, fd, answer, room, quiet_ms);
}

static const char *send_text(struct site *s, const char *text, bool answered)
{
    static char answer[64 * 1024];
    int fd = tcp_connect(http_server_port(s->server));

    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
    if (answered)
        hear(s, fd, answer, sizeof answer, 60);
    else
        listen_to(s, fd, answer, sizeof answer, 60);
    close(fd);
    return answer;
}

static const char *ask(struct site *s, const char *text) { return send_text(s, text, true); }

static void assert_has(const char *answer, const char *part)
{
    if (!strstr(answer, part))
        fail_msg("no \"%s\" in: %s", part, answer);
}

static void requests_find_their_handler(void **state)
{
    struct site s;
    const char *a;

    (void)state;
    site_open(&s, (struct http_server_options){0});
    a = ask(&s, "GET /health HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_has(a, "HTTP/1.1 200 OK\r\n");
    assert_has(a, "Content-Type: application/json\r\n");
    assert_has(a, "Content-Length: 11\r\n");
    assert_has(a, "\r\n\r\n{\"ok\":true}");
    a = ask(&s, "GET /health?verbose=1 HTTP/1.0\r\n\r\n");
    assert_has(a, " 200 OK\r\n");
    a = ask(&s, "POST /echo?a=1&name=%41%20b+c HTTP/1.1\r\nHost: x\r\nX-TEST: yes\r\nContent-Length: 4\r\n\r\nbody");
    assert_has(a, " 202 Accepted\r\n");
    assert_has(a, "X-Answer: second\r\n");
    assert_null(strstr(a, "first"));
    assert_has(a, "path=/echo query=a=1&name=%41%20b+c header=yes name=A b c body=body");
    a = ask(&s, "GET /dash/a%2Fb/c HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_has(a, "path=/dash/a/b/c query= header= body=");
    a = ask(&s, "GET /silence HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_has(a, " 500 ");
    site_close(&s);
}

static void wrong_paths_and_methods_are_told(void **state)
{
    struct site s;
    const char *a;

    (void)state;
    site_open(&s, (struct http_server_options){0});
    assert_has(ask(&s, "GET /healt HTTP/1.1\r\nHost: x\r\n\r\n"), " 404 Not Found\r\n");
    assert_has(ask(&s, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"), " 404 ");
    assert_has(ask(&s, "GET /dash HTTP/1.1\r\nHost: x\r\n\r\n"), " 404 ");
    a = ask(&s, "POST /health HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
    assert_has(a, " 405 ");
    assert_has(a, "Allow: GET, HEAD\r\n");
    a = ask(&s, "DELETE /echo HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_has(a, "Allow: GET, HEAD, POST\r\n");
    assert_has(ask(&s, "PATCH /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"), " 405 ");
    a = ask(&s, "GET /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 33\r\n\r\nGET /health HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_has(a, "Connection: close\r\n"); /* what it carries is no second request */
    assert_int_equal(s.calls, 0);
    a = ask(&s, "HEAD /health HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_has(a, " 200 OK\r\n");
    assert_has(a, "Content-Length: 11\r\n");
    assert_null(strstr(a, "{"));
    site_close(&s);
}

static void ceilings_hold(void **state)
{
    struct site s;
    char *text = malloc(64 * 1024);
    size_t n;

    (void)state;
    site_open(&s, (struct http_server_options){.max_body = 10});
    assert_has(ask(&s, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n0123456789"), "body=0123456789");
    assert_has(ask(&s, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\n0123456789a"), " 413 ");
    assert_has(ask(&s, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n0"), " 4");
    n = (size_t)snprintf(text, 64 * 1024, "GET /health HTTP/1.1\r\nHost: x\r\nX-Long: ");
    memset(text + n, 'h', 17 * 1024);
    memcpy(text + n + 17 * 1024, "\r\n\r\n", 5);
    send_text(&s, text, false);
    assert_int_equal(s.calls, 0); /* the long head reached no handler */
    send_text(&s, "\0\x01\x02 not http at all\r\n\r\n", false);
    assert_has(ask(&s, "GET /health HTTP/1.1\r\nHost: x\r\n\r\n"), " 200 "); /* and it lives on */
    free(text);
    site_close(&s);
}

static void a_connection_takes_many_requests(void **state)
{
    const char *request = "GET /health HTTP/1.1\r\nHost: x\r\n\r\n";
    char answer[4096];
    struct site s;
    int fd;

    (void)state;
    site_open(&s, (struct http_server_options){0});
    fd = tcp_connect(http_server_port(s.server));
    for (int i = 1; i <= 20; i++) {
        assert_int_equal(send(fd, request, strlen(request), MSG_NOSIGNAL), strlen(request));
        hear(&s, fd, answer, sizeof answer, 10);
        assert_has(answer, "{\"ok\":true}");
        assert_int_equal(s.calls, i);
    }
    close(fd);
    site_close(&s);
}

/* The descriptor of one that has ended is soon somebody else's, Redis' for example: nothing of what comes there may be read by
 * us. */
static void a_connection_that_ended_reads_no_more(void **state)
{
    char answer[4096];
    struct site s;

    (void)state;
    site_open(&s, (struct http_server_options){0});
    ask(&s, "GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    s.calls = 0;
    s.client = tcp_connect(http_server_port(s.server)); /* has the same descriptor at the server, if that was closed */
    assert_int_equal(send(s.client, more, strlen(more), MSG_NOSIGNAL), strlen(more));
    hear(&s, s.client, answer, sizeof answer, 200);
    assert_int_equal(s.calls, 2);
    close(s.client);
    site_close(&s);
}

static void silent_connections_are_closed(void **state)
{
    char answer[4096];
    struct site s;
    int64_t began = clock_mono_ms();
    int fd;

    (void)state;
    site_open(&s, (struct http_server_options){.timeout_s = 1});
    fd = tcp_connect(http_server_port(s.server));
    assert_int_equal(send(fd, "GET /hea", 8, MSG_NOSIGNAL), 8);
    listen_to(&s, fd, answer, sizeof answer, 20000);
    assert_in_range(clock_mono_ms() - began, 900, 19000);
    close(fd);
    site_close(&s);
}

/* Four connections hold the server; the fifth is answered when one of them ends. */
static void connections_have_a_ceiling(void **state)
{
    const char *request = "GET /health HTTP/1.1\r\nHost: x\r\n\r\n";
    char answer[4096];
    struct site s;
    int fds[4], late;

    (void)state;
    site_open(&s, (struct http_server_options){.max_connections = 4});
    for (int i = 0; i < 4; i++) {
        fds[i] = tcp_connect(http_server_port(s.server));
        listen_to(&s, fds[i], answer, sizeof answer, 10);
    }
    late = tcp_connect(http_server_port(s.server)); /* the kernel answers, not the server */
    assert_int_equal(send(late, request, strlen(request), MSG_NOSIGNAL), strlen(request));
    assert_int_equal(listen_to(&s, late, answer, sizeof answer, 60), 0);
    close(fds[2]);
    hear(&s, late, answer, sizeof answer, 60);
    assert_has(answer, "{\"ok\":true}");
    for (int i = 0; i < 4; i++)
        if (i != 2)
            close(fds[i]);
    close(late);
    site_close(&s);
}

static void addresses_are_checked(void **state)
{
    static const struct {
        const char *listen, *code; /* NULL: fine */
    } cases[] = {
        {"127.0.0.1:0", NULL},
        {":0", NULL},
        {"localhost:0", NULL},
        {"[::1]:0", NULL},
        {"127.0.0.1", "bad_listen"},
        {"", "bad_listen"},
        {"127.0.0.1:", "bad_listen"},
        {"127.0.0.1:x", "bad_listen"},
        {"127.0.0.1:65536", "bad_listen"},
        {"127.0.0.1:-1", "bad_listen"},
        {"::1:80", "bad_listen"},
        {"192.0.2.1:0", "bad_listen"},
        {"no-such-host.invalid:0", "bad_listen"},
    };
    struct loop *l = loop_new();

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct http_server *server;
        struct error e = http_server_new(l, NULL, &(struct http_server_options){.listen = cases[i].listen}, &server);

        if (!strcmp(cases[i].listen, "[::1]:0") && failed(e)) {
            print_message("no IPv6 on this machine\n");
            continue;
        }
        if (failed(e) != (cases[i].code != NULL) || (failed(e) && strcmp(e.code, cases[i].code) != 0))
            fail_msg("%s: %s", cases[i].listen, failed(e) ? e.code : "taken");
        http_server_free(server);
    }
    loop_free(l);
}

static void a_taken_address_is_named(void **state)
{
    struct site s;
    struct http_server *second;
    char address[32];
    struct error e;

    (void)state;
    site_open(&s, (struct http_server_options){0});
    snprintf(address, sizeof address, "127.0.0.1:%u", http_server_port(s.server));
    e = http_server_new(s.loop, NULL, &(struct http_server_options){.listen = address}, &second);
    assert_int_equal(e.class, CLASS_CONFIG);
    assert_string_equal(e.code, "address_in_use");
    assert_null(second);
    site_close(&s);
}

static void freeing_it_closes_what_is_open(void **state)
{
    char answer[4096];
    struct site s;
    int fd;

    (void)state;
    site_open(&s, (struct http_server_options){0});
    fd = tcp_connect(http_server_port(s.server));
    assert_int_equal(send(fd, "GET /", 5, MSG_NOSIGNAL), 5);
    listen_to(&s, fd, answer, sizeof answer, 20);
    site_close(&s);
    assert_true(recv(fd, answer, sizeof answer, 0) <= 0);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_find_their_handler),
        cmocka_unit_test(wrong_paths_and_methods_are_told),
        cmocka_unit_test(ceilings_hold),
        cmocka_unit_test(a_connection_takes_many_requests),
        cmocka_unit_test(a_connection_that_ended_reads_no_more),
        cmocka_unit_test(silent_connections_are_closed),
        cmocka_unit_test(connections_have_a_ceiling),
        cmocka_unit_test(addresses_are_checked),
        cmocka_unit_test(a_taken_address_is_named),
        cmocka_unit_test(freeing_it_closes_what_is_open),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
