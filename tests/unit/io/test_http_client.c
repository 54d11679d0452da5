/* http_client: what servers answer, well or badly, and what the caller sees of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "helper_http_world.h"

static void an_answer_arrives_whole(void **state)
{
    struct world w;
    struct got g;

    (void)state;
    world_open(&w);
    fetch(&w, &g, "/ok");
    assert_false(failed(g.error));
    assert_int_equal(g.status, 200);
    assert_int_equal(g.version, 11);
    assert_string_equal(g.body, "hello");
    assert_string_equal(g.type, "text/plain");
    assert_string_equal(g.retry_after, "-");
    assert_true(g.sent);
    assert_false(g.reused);
    assert_true(g.connected_us > 0 && g.connected_us <= g.first_byte_us && g.first_byte_us <= g.total_us);

    fetch(&w, &g, "/status/503");
    assert_false(failed(g.error));
    assert_int_equal(g.status, 503);
    assert_string_equal(g.body, "body");
    assert_string_equal(g.retry_after, "7");
    assert_true(g.reused);

    fetch(&w, &g, "/redirect");
    assert_int_equal(g.status, 302);
    assert_string_equal(g.body, "moved");
    assert_int_equal(atomic_load(&w.fake.connections), 1);
    world_close(&w);
}

static void interim_answers_and_trailers_do_not_count(void **state)
{
    struct world w;
    struct got g;

    (void)state;
    world_open(&w);
    fetch(&w, &g, "/interim");
    assert_int_equal(g.status, 200);
    assert_string_equal(g.body, "final");
    assert_string_equal(g.last, "yes");
    assert_string_equal(g.retry_after, "-"); /* it was the 103's */
    fetch(&w, &g, "/chunked");
    assert_int_equal(g.status, 200);
    assert_string_equal(g.body, "abcdefg");
    assert_string_equal(g.retry_after, "-"); /* a trailer */
    fetch(&w, &g, "/slow");
    assert_string_equal(g.body, "hello");
    world_close(&w);
}

/* The head as the server saw it. */
static void the_request_is_as_asked(void **state)
{
    const struct http_header headers[] = {
        {SLICE("X-Agent-Id"), SLICE("search")}, {SLICE("X-Empty"), SLICE("")}, {SLICE("User-Agent"), SLICE("mine")}};
    struct world w;
    struct got g;
    struct http_request r;

    (void)state;
    world_open(&w);
    memset(&g, 0, sizeof g);
    g.world = &w;
    r = get_request(&g, "/mirror");
    r.headers = headers;
    r.header_count = 3;
    send_request(&g, &r);
    await(&g);
    assert_non_null(strstr(g.body, "GET /mirror HTTP/1.1\r\n"));
    assert_non_null(strstr(g.body, "\r\nX-Agent-Id: search\r\n"));
    assert_non_null(strstr(g.body, "\r\nX-Empty:\r\n"));
    assert_non_null(strstr(g.body, "\r\nUser-Agent: mine\r\n"));
    assert_null(strstr(g.body, "stepmill"));

    g.count = 0;
    r.method = "POST";
    r.header_count = 0;
    send_request(&g, &r);
    await(&g);
    assert_non_null(strstr(g.body, "POST /mirror HTTP/1.1\r\n"));
    assert_non_null(strstr(g.body, "\r\nContent-Length: 0\r\n"));
    assert_non_null(strstr(g.body, "\r\nUser-Agent: stepmill/"));
    assert_null(strstr(g.body, "Content-Type"));
    assert_null(strstr(g.body, "Expect"));
    assert_null(strstr(g.body, "X-Empty")); /* the handle is used again, its last request is forgotten */

    g.count = 0;
    r.method = "DELETE";
    send_request(&g, &r);
    await(&g);
    assert_non_null(strstr(g.body, "DELETE /mirror HTTP/1.1\r\n"));
    assert_null(strstr(g.body, "Content-Length"));

    g.count = 0;
    r.method = "HEAD";
    r.path = SLICE("/ok");
    send_request(&g, &r);
    await(&g);
    assert_int_equal(g.status, 200);
    assert_int_equal(g.body_len, 0);
    world_close(&w);
}

/* One part and many, small and large, one after another over the same handles. */
static void bodies_of_any_shape_arrive(void **state)
{
    static const size_t sizes[] = {0, 1, 3000, 50000, 16384};
    char *bytes = malloc(50000 * 8);
    struct world w;
    struct got g;

    (void)state;
    world_open(&w);
    for (size_t i = 0; i < 50000 * 8; i++)
        bytes[i] = (char)('a' + i % 23);
    for (size_t s = 0; s < 5; s++)
        for (size_t parts = 1; parts <= HTTP_BODY_PARTS_MAX; parts++) {
            struct slice body[HTTP_BODY_PARTS_MAX];
            struct http_request r = get_request(&g, "/echo");
            size_t size = sizes[s] / parts, total = size * parts;

            for (size_t p = 0; p < parts; p++)
                body[p] = (struct slice){bytes + p * size, size};
            memset(&g, 0, sizeof g);
            g.world = &w;
            r.method = "POST";
            r.body = body;
            r.body_parts = parts;
            send_request(&g, &r);
            await(&g);
            assert_int_equal(g.status, 200);
            assert_int_equal(g.body_len, total);
            assert_memory_equal(g.body, bytes, total);
        }
    assert_int_equal(atomic_load(&w.fake.connections), 1);
    free(bytes);
    world_close(&w);
}

static void check_error(struct world *w, const char *path, const char *code, enum error_class class, int status)
{
    struct got g;

    fetch(w, &g, path);
    if (!failed(g.error) || strcmp(g.error.code, code) != 0 || g.error.class != class || g.status != status)
        fail_msg("%s: %s (%s), status %d", path, failed(g.error) ? g.error.code : "no error", g.detail, g.status);
    assert_true(g.detail[0] != '\0');
    assert_true(g.sent);
}

static void broken_answers_are_named(void **state)
{
    struct world w;

    (void)state;
    world_open(&w);
    check_error(&w, "/reset", "connection_lost", CLASS_AGAIN, 0);
    check_error(&w, "/close", "connection_lost", CLASS_AGAIN, 0);
    check_error(&w, "/midbody", "connection_lost", CLASS_AGAIN, 200);
    check_error(&w, "/garbage", "bad_answer", CLASS_AGAIN, 0);
    check_error(&w, "/head-without-end", "too_large", CLASS_AGAIN, 200);
    check_error(&w, "/long-header", "too_large", CLASS_AGAIN, 200);
    check_error(&w, "/endless", "too_large", CLASS_AGAIN, 200);
    world_close(&w);
}

static void what_came_before_the_error_is_shown(void **state)
{
    struct world w;
    struct got g;

    (void)state;
    world_open(&w);
    fetch(&w, &g, "/midbody");
    assert_string_equal(g.body, "only this");
    world_close(&w);
}

static void ceilings_hold(void **state)
{
    static const struct {
        const char *path;
        size_t max_body, max_head;
        bool gzip, fits;
        size_t body_len;
    } cases[] = {
        {"/big/10000", 10000, 0, false, true, 10000},  {"/big/10001", 10000, 0, false, false, 10000},
        {"/big/60000", 10000, 0, false, false, 10000}, {"/chunked", 7, 0, false, true, 7},
        {"/chunked", 6, 0, false, false, 6},           {"/headers/4000", 0, 1 << 20, false, true, 2},
        {"/headers/10000", 0, 0, false, false, 0},     {"/gzip", 1000, 0, true, true, 13},
        {"/gzip-bomb", 1000, 0, true, false, 1000},    {"/gzip-bomb", 65536, 0, true, true, 65536},
        {"/gzip-bomb", 1000, 0, false, true, 96},      {"/ok", 5, 0, false, true, 5},
    };
    struct world w;

    (void)state;
    world_open(&w);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct got g = {.world = &w};
        struct http_request r = get_request(&g, cases[i].path);

        r.max_body = cases[i].max_body;
        r.max_head = cases[i].max_head;
        r.gzip = cases[i].gzip;
        send_request(&g, &r);
        await(&g);
        if (failed(g.error) == cases[i].fits || g.body_len != cases[i].body_len)
            fail_msg("%s, case %zu: %s, %zu bytes", cases[i].path, i, failed(g.error) ? g.error.code : "fits", g.body_len);
        if (!cases[i].fits)
            assert_string_equal(g.error.code, "too_large");
    }
    world_close(&w);
}

static void bad_requests_are_refused_later(void **state)
{
    const struct http_header split = {SLICE("X-A"), SLICE("a\r\nX-B: b")}, name = {SLICE("X A"), SLICE("a")},
                             zero = {SLICE("X-A"), {"a\0b", 3}};
    const struct http_header *const bad[] = {&split, &name, &zero};
    static const char *const paths[] = {"ok", "/a b", "/a\r\nX: y", "/#x", "/\x7f"};
    struct world w;

    (void)state;
    world_open(&w);
    for (size_t i = 0; i < 8; i++) {
        struct got g = {.world = &w};
        struct http_request r = get_request(&g, i < 3 ? "/ok" : paths[i - 3]);

        r.headers = i < 3 ? bad[i] : NULL;
        r.header_count = i < 3;
        send_request(&g, &r);
        await(&g);
        assert_int_equal(g.error.class, CLASS_CONFIG);
        assert_string_equal(g.error.code, i < 3 ? "bad_header" : "bad_url");
        assert_false(g.sent);
    }
    assert_int_equal(atomic_load(&w.fake.connections), 0);
    world_close(&w);
}

static void bad_endpoints_are_refused_at_once(void **state)
{
    static const struct {
        const char *url, *file, *code;
    } cases[] = {
        {"ftp://h/", NULL, "bad_url"},
        {"http://", NULL, "bad_url"},
        {"h:80", NULL, "bad_url"},
        {"", NULL, "bad_url"},
        {"http://u:p@h/", NULL, "bad_url"},
        {"http://h/#x", NULL, "bad_url"},
        {"http://h:99999/", NULL, "bad_url"},
        {"http://a b/", NULL, "bad_url"},
        {"file:///etc/passwd", NULL, "bad_url"},
        {"https://h/", "/no/such/file", "bad_tls_file"},
    };
    struct world w;

    (void)state;
    world_open(&w);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct http_endpoint_options o = {.url = cases[i].url, .ca_file = cases[i].file};
        struct http_endpoint *e;
        struct error error = http_endpoint_new(w.client, &o, &e);

        if (!failed(error) || strcmp(error.code, cases[i].code) != 0)
            fail_msg("%s: %s", cases[i].url, failed(error) ? error.code : "taken");
        assert_int_equal(error.class, CLASS_CONFIG);
        assert_null(e);
    }
    world_close(&w);
}

static void url_and_path_are_joined(void **state)
{
    struct world w;
    struct got g;

    (void)state;
    world_open(&w);
    snprintf(w.url, sizeof w.url, "http://127.0.0.1:%u/base", w.fake.port);
    fetch(&w, &g, "/ok?q=1");
    assert_int_equal(g.status, 200);
    assert_string_equal(g.body, "hello");
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_arrives_whole),
        cmocka_unit_test(interim_answers_and_trailers_do_not_count),
        cmocka_unit_test(the_request_is_as_asked),
        cmocka_unit_test(bodies_of_any_shape_arrive),
        cmocka_unit_test(broken_answers_are_named),
        cmocka_unit_test(what_came_before_the_error_is_shown),
        cmocka_unit_test(ceilings_hold),
        cmocka_unit_test(bad_requests_are_refused_later),
        cmocka_unit_test(bad_endpoints_are_refused_at_once),
        cmocka_unit_test(url_and_path_are_joined),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
