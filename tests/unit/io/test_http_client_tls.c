/* http_client over TLS: trust, client certificates, broken handshakes, and HTTP/2 (against nghttpd, package nghttp2-server). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "helper_http_world.h"

/* Certificates, made once: a CA, a server (localhost, 127.0.0.1), a client, a server for another name, and a CA nobody knows. */
static char folder[] = "/tmp/stepmill-tls-XXXXXX";

static const char *in_folder(const char *name)
{
    static char paths[8][64];
    static int next;
    char *path = paths[next++ % 8];

    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static int make_certificates(void **state)
{
    char command[4096];

    (void)state;
    if (!mkdtemp(folder))
        return -1;
    snprintf(command, sizeof command,
             "cd %s && exec 2>/dev/null && "
             "ca() { openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=$1 -keyout $1.key "
             "-out $1.pem; } && "
             "leaf() { openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=$1 -keyout $1.key -out $1.csr && "
             "printf 'subjectAltName=%%s' $2 > $1.ext && openssl x509 -req -in $1.csr -CA ca.pem -CAkey ca.key -CAcreateserial "
             "-days 2 "
             "-extfile $1.ext -out $1.pem; } && "
             "ca ca && ca stranger && leaf server DNS:localhost,IP:127.0.0.1 && leaf client DNS:client && leaf other "
             "DNS:other.example",
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

/* A TLS server in a thread: one answer per connection, then it closes. */
struct tls_server {
    SSL_CTX *tls;
    unsigned port;
    int fd;
    bool cut; /* closes in the middle of the handshake */
    atomic_int requests;
    pthread_t thread;
};

static void serve_tls(struct tls_server *s, int fd)
{
    static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nsecret";
    SSL *tls = SSL_new(s->tls);
    char request[4096];

    SSL_set_fd(tls, fd);
    if (SSL_accept(tls) == 1 && SSL_read(tls, request, sizeof request) > 0) {
        atomic_fetch_add(&s->requests, 1);
        SSL_write(tls, answer, sizeof answer - 1);
        SSL_shutdown(tls);
    }
    SSL_free(tls);
}

static void *accept_tls(void *ctx)
{
    struct tls_server *s = ctx;
    char hello[64];
    int fd;

    while ((fd = accept(s->fd, NULL, NULL)) >= 0) {
        if (!s->cut)
            serve_tls(s, fd);
        else if (recv(fd, hello, sizeof hello, 0) < 0)
            break;
        close(fd);
    }
    return NULL;
}

static void tls_server_start(struct tls_server *s, const char *name, bool wants_client)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof a;
    char file[64];

    s->tls = SSL_CTX_new(TLS_server_method());
    snprintf(file, sizeof file, "%s/%s.pem", folder, name);
    assert_int_equal(SSL_CTX_use_certificate_chain_file(s->tls, file), 1);
    snprintf(file, sizeof file, "%s/%s.key", folder, name);
    assert_int_equal(SSL_CTX_use_PrivateKey_file(s->tls, file, SSL_FILETYPE_PEM), 1);
    if (wants_client) {
        SSL_CTX_set_verify(s->tls, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
        assert_int_equal(SSL_CTX_load_verify_locations(s->tls, in_folder("ca.pem"), NULL), 1);
    }
    s->fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(s->fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(s->fd, 64), 0);
    assert_int_equal(getsockname(s->fd, (struct sockaddr *)&a, &size), 0);
    s->port = ntohs(a.sin_port);
    assert_int_equal(pthread_create(&s->thread, NULL, accept_tls, s), 0);
}

static void tls_server_stop(struct tls_server *s)
{
    shutdown(s->fd, SHUT_RDWR);
    pthread_join(s->thread, NULL);
    close(s->fd);
    SSL_CTX_free(s->tls);
}

struct trust {
    const char *host, *ca, *cert, *key;
};

static void fetch_over_tls(struct got *g, unsigned port, struct trust t)
{
    char url[64];
    struct http_endpoint_options o = {.url = url, .ca_file = t.ca, .cert_file = t.cert, .key_file = t.key};
    struct world w;

    world_open(&w);
    snprintf(url, sizeof url, "https://%s:%u", t.host, port);
    assert_false(failed(http_endpoint_new(w.client, &o, &w.endpoint)));
    fetch(&w, g, "/ok");
    world_close(&w);
}

static void a_trusted_server_is_used(void **state)
{
    struct tls_server s = {0};
    struct got g;

    (void)state;
    tls_server_start(&s, "server", false);
    for (int i = 0; i < 2; i++) {
        fetch_over_tls(&g, s.port, (struct trust){i ? "localhost" : "127.0.0.1", in_folder("ca.pem"), NULL, NULL});
        if (failed(g.error))
            fail_msg("%s: %s", g.error.code, g.detail);
        assert_int_equal(g.status, 200);
        assert_string_equal(g.body, "secret");
    }
    tls_server_stop(&s);
}

static void check_refused(struct tls_server *s, struct trust t, const char *code, enum error_class class)
{
    struct got g;

    fetch_over_tls(&g, s->port, t);
    if (!failed(g.error) || strcmp(g.error.code, code) != 0 || g.error.class != class)
        fail_msg("%s, not %s (%s)", failed(g.error) ? g.error.code : "taken", code, g.detail);
    assert_false(g.sent);
    assert_int_equal(atomic_load(&s->requests), 0);
}

static void an_untrusted_server_gets_nothing(void **state)
{
    struct tls_server s = {0}, other = {0};

    (void)state;
    tls_server_start(&s, "server", false);
    check_refused(&s, (struct trust){"127.0.0.1", in_folder("stranger.pem"), NULL, NULL}, "tls_not_trusted", CLASS_CONFIG);
    check_refused(&s, (struct trust){"127.0.0.1", NULL, NULL, NULL}, "tls_not_trusted", CLASS_CONFIG);
    check_refused(&s, (struct trust){"127.0.0.1", in_folder("ca.key"), NULL, NULL}, "tls_files", CLASS_CONFIG);
    tls_server_stop(&s);
    tls_server_start(&other, "other", false);
    check_refused(&other, (struct trust){"localhost", in_folder("ca.pem"), NULL, NULL}, "tls_not_trusted", CLASS_CONFIG);
    tls_server_stop(&other);
}

static void a_cut_handshake_may_be_tried_again(void **state)
{
    struct tls_server s = {.cut = true};

    (void)state;
    tls_server_start(&s, "server", false);
    check_refused(&s, (struct trust){"127.0.0.1", in_folder("ca.pem"), NULL, NULL}, "tls_failed", CLASS_AGAIN);
    tls_server_stop(&s);
}

static void client_certificates_are_shown(void **state)
{
    struct tls_server s = {0};
    struct got g;

    (void)state;
    tls_server_start(&s, "server", true);
    fetch_over_tls(&g, s.port, (struct trust){"127.0.0.1", in_folder("ca.pem"), NULL, NULL});
    assert_true(failed(g.error));
    assert_int_equal(atomic_load(&s.requests), 0);
    fetch_over_tls(&g, s.port,
                   (struct trust){"127.0.0.1", in_folder("ca.pem"), in_folder("client.pem"), in_folder("client.key")});
    assert_false(failed(g.error));
    assert_string_equal(g.body, "secret");
    tls_server_stop(&s);
}

/* Starts nghttpd on a port that was free a moment ago; 0: not installed. */
static pid_t start_nghttpd(unsigned *port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    char number[8];
    pid_t pid;

    if (access("/usr/sbin/nghttpd", X_OK) != 0 || bind(fd, (struct sockaddr *)&a, sizeof a) < 0 ||
        getsockname(fd, (struct sockaddr *)&a, &size) < 0) {
        close(fd);
        return 0;
    }
    close(fd);
    *port = ntohs(a.sin_port);
    snprintf(number, sizeof number, "%u", *port);
    pid = fork();
    if (pid == 0) {
        execl("/usr/sbin/nghttpd", "nghttpd", "-a", "127.0.0.1", "--echo-upload", number, in_folder("server.key"),
              in_folder("server.pem"), (char *)NULL);
        _exit(127);
    }
    usleep(300 * 1000);
    return pid;
}

static void many_requests_share_a_connection_over_http2(void **state)
{
    enum { N = 300 };
    struct got *g = calloc(N, sizeof *g);
    char url[64], body[3000];
    struct slice part = {body, sizeof body};
    struct http_endpoint_options o = {.url = url, .ca_file = in_folder("ca.pem")};
    struct world w;
    unsigned port = 0;
    pid_t server = start_nghttpd(&port);

    (void)state;
    if (server <= 0) {
        free(g);
        print_message("SKIPPED: no /usr/sbin/nghttpd (package nghttp2-server)\n");
        skip();
    }
    memset(body, 'b', sizeof body);
    world_open(&w);
    snprintf(url, sizeof url, "https://127.0.0.1:%u", port);
    assert_false(failed(http_endpoint_new(w.client, &o, &w.endpoint)));
    for (int i = 0; i < N; i++) {
        struct http_request r = get_request(&g[i], "/echo");

        g[i].world = &w;
        r.method = "POST";
        r.body = &part;
        r.body_parts = 1;
        send_request(&g[i], &r);
    }
    for (int i = 0; i < N; i++) {
        while (!g[i].count)
            world_turn_for(&w, 1);
        if (failed(g[i].error))
            fail_msg("%s: %s", g[i].error.code, g[i].detail);
        assert_int_equal(g[i].version, 20);
        assert_int_equal(g[i].status, 200);
        assert_int_equal(g[i].body_len, sizeof body);
        assert_memory_equal(g[i].body, body, sizeof body);
    }
    assert_in_range(http_client_stats(w.client).connected, 1, 10); /* 5 shards; each one at first */
    http_cancel(w.client, g[0].id);
    world_close(&w);
    kill(server, SIGTERM);
    waitpid(server, NULL, 0);
    free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_trusted_server_is_used),
        cmocka_unit_test(an_untrusted_server_gets_nothing),
        cmocka_unit_test(a_cut_handshake_may_be_tried_again),
        cmocka_unit_test(client_certificates_are_shown),
        cmocka_unit_test(many_requests_share_a_connection_over_http2),
    };

    return cmocka_run_group_tests(tests, make_certificates, remove_certificates);
}
