/* http_server over TLS: whole answers, streams, client certificates, and clients that do not speak it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "helper_http.h"
#include "stepmill/clock.h"
#include "stepmill/http_server.h"

static char folder[] = "/tmp/stepmill-tls-XXXXXX";

struct site {
    struct loop *loop;
    struct http_server *server;
    int gone;
};

static void on_gone(void *ctx, uint64_t ticket)
{
    struct site *s = ctx;

    s->gone++;
    assert_null(http_server_held(s->server, ticket));
}

static void on_stream(void *ctx, struct http_server_call *call)
{
    http_server_hold(call, &(struct http_server_watch){.gone = on_gone, .ctx = ctx});
    http_server_stream(call, 200, "text/event-stream");
    assert_true(http_server_send(call, SLICE("first ")));
}

static void on_prompt(void *ctx, struct http_server_call *call)
{
    (void)ctx;
    http_server_answer(call, 200, "text/plain", SLICE("prompt"));
}

static void site_open(struct site *s, struct http_server_options options)
{
    const struct http_server_route routes[] = {{"GET", "/stream", on_stream, s}, {"GET", "/prompt", on_prompt, s}};

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

static void turn_until_gone(struct site *s)
{
    int64_t until = clock_mono_ms() + 20000;

    while (!s->gone) {
        assert_true(clock_mono_ms() < until);
        loop_turn(s->loop, false);
        usleep(500);
    }
}

static SSL *tls_begin(struct site *s, const char *certificate, int *fd)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    char file[128];
    SSL *ssl;

    snprintf(file, sizeof file, "%s/server.pem", folder);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    assert_int_equal(SSL_CTX_load_verify_locations(context, file, NULL), 1);
    if (certificate) {
        assert_int_equal(SSL_CTX_use_certificate_chain_file(context, certificate), 1);
        assert_int_equal(SSL_CTX_use_PrivateKey_file(context, certificate, SSL_FILETYPE_PEM), 1);
    }
    ssl = SSL_new(context);
    SSL_CTX_free(context);
    *fd = tcp_connect(http_server_port(s->server));
    fcntl(*fd, F_SETFL, O_NONBLOCK);
    SSL_set_fd(ssl, *fd);
    return ssl;
}

/* What the server answers over TLS; empty where the handshake or the connection fails. */
static const char *tls_talk(struct site *s, SSL *ssl, const char *request, const char *part)
{
    static char text[16 * 1024];
    int64_t until = clock_mono_ms() + 20000;
    bool sent = false;
    size_t len = 0;

    text[0] = '\0';
    while (!strstr(text, part) && clock_mono_ms() < until) {
        int n = sent ? SSL_read(ssl, text + len, (int)(sizeof text - 1 - len)) : SSL_connect(ssl);
        int why = n > 0 ? SSL_ERROR_NONE : SSL_get_error(ssl, n);

        if (n > 0 && !sent)
            sent = SSL_write(ssl, request, (int)strlen(request)) > 0;
        else if (n > 0)
            len += (size_t)n;
        else if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE)
            break;
        text[len] = '\0';
        loop_turn(s->loop, false);
        usleep(200);
    }
    ERR_clear_error();
    return text;
}

static void tls_asked(struct site *s, const char *certificate, const char *request, const char *part)
{
    int fd;
    SSL *ssl = tls_begin(s, certificate, &fd);
    const char *answer = tls_talk(s, ssl, request, *part ? part : "HTTP");

    if (*part ? !strstr(answer, part) : *answer != '\0')
        fail_msg("no \"%s\" in: %s", part, answer);
    SSL_free(ssl);
    close(fd);
}

static int make_certificates(void **state)
{
    char command[1024];

    (void)state;
    if (!mkdtemp(folder))
        return -1;
    snprintf(command, sizeof command,
             "cd %s && exec 2>/dev/null && for name in server client; do openssl req -x509 -newkey ec -pkeyopt "
             "ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=$name -addext subjectAltName=IP:127.0.0.1 -keyout $name.key -out "
             "$name.crt && cat $name.crt $name.key > $name.pem; done",
             folder);
    return system(command);
}

static int remove_certificates(void **state)
{
    char command[128];

    (void)state;
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command);
}

static const char more[] = "GET /prompt HTTP/1.1\r\nHost: x\r\n\r\n";

static void it_speaks_tls(void **state)
{
    char certificate[64], key[64];
    struct site s;
    int64_t began;
    int plain;

    (void)state;
    snprintf(certificate, sizeof certificate, "%s/server.crt", folder);
    snprintf(key, sizeof key, "%s/server.key", folder);
    site_open(&s, (struct http_server_options){.certificate_file = certificate, .key_file = key, .timeout_s = 2});
    assert_true(http_server_is_tls(s.server));
    tls_asked(&s, NULL, more, "prompt");
    tls_asked(&s, NULL, "GET /prompt HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "prompt");
    tls_asked(&s, NULL, "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n", "first ");
    turn_until_gone(&s);
    plain = tcp_connect(http_server_port(s.server));
    assert_int_equal(send(plain, more, strlen(more), MSG_NOSIGNAL), strlen(more)); /* not TLS: closed, and nobody is harmed */
    for (int i = 0; i < 50; i++)
        loop_turn(s.loop, false);
    close(plain);
    plain = tcp_connect(http_server_port(s.server)); /* silent: closed after two seconds */
    began = clock_mono_ms();
    while (recv(plain, (char[8]){0}, 8, MSG_DONTWAIT) != 0) {
        assert_true(clock_mono_ms() - began < 20000);
        loop_turn(s.loop, false);
        usleep(1000);
    }
    close(plain);
    tls_asked(&s, NULL, more, "prompt");
    site_close(&s);
}

static void clients_may_need_a_certificate(void **state)
{
    char server[64], client[64];
    struct site s;
    struct http_server *none;
    struct error e;

    (void)state;
    snprintf(server, sizeof server, "%s/server.pem", folder);
    snprintf(client, sizeof client, "%s/client.pem", folder);
    site_open(&s, (struct http_server_options){.certificate_file = server, .ca_file = client});
    tls_asked(&s, client, more, "prompt");
    tls_asked(&s, NULL, more, "");
    tls_asked(&s, server, more, "");
    e = http_server_new(s.loop, NULL,
                        &(struct http_server_options){.listen = "127.0.0.1:0", .certificate_file = server, .key_file = client},
                        &none);
    assert_string_equal(e.code, "bad_tls_file");
    site_close(&s);
}

/* As in test_http_server: what an ended connection had as descriptor belongs to others. */
static void an_ended_tls_connection_reads_no_more(void **state)
{
    char server[64];
    struct site s;
    int pair[2];
    char byte;

    (void)state;
    snprintf(server, sizeof server, "%s/server.pem", folder);
    site_open(&s, (struct http_server_options){.certificate_file = server});
    tls_asked(&s, NULL, "GET /prompt HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "prompt");
    for (int i = 0; i < 3000; i++) { /* until the gate has looked */
        if (i % 100 == 0) {
            assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
            assert_int_equal(send(pair[0], "x", 1, 0), 1);
        }
        loop_turn(s.loop, false);
        if (i % 100 == 99) {
            assert_int_equal(recv(pair[1], &byte, 1, MSG_DONTWAIT), 1);
            close(pair[0]);
            close(pair[1]);
        }
        usleep(500);
    }
    site_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_speaks_tls),
        cmocka_unit_test(clients_may_need_a_certificate),
        cmocka_unit_test(an_ended_tls_connection_reads_no_more),
    };

    return cmocka_run_group_tests(tests, make_certificates, remove_certificates);
}
