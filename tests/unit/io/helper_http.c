/* The little HTTP server of the tests. */
#include "helper_http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { REQUEST_MAX = 1 << 20 };

struct visitor {
    struct http_fake *server;
    int fd;
    char request[REQUEST_MAX + 1];
    size_t len;
    size_t head_len;
    size_t body_len;
    int served;
};

static bool put(struct visitor *v, const void *bytes, size_t n)
{
    for (size_t done = 0; done < n;) {
        ssize_t sent = send(v->fd, (const char *)bytes + done, n - done, MSG_NOSIGNAL);

        if (sent < 0 && errno == EINTR)
            continue;
        if (sent <= 0)
            return false;
        done += (size_t)sent;
    }
    return true;
}

static bool say(struct visitor *v, const char *text) { return put(v, text, strlen(text)); }

/* Waits until there is something to read, the peer is gone, or the test is over. */
static bool wait_readable(struct visitor *v)
{
    while (!atomic_load(&v->server->stop)) {
        struct pollfd p = {.fd = v->fd, .events = POLLIN};

        if (poll(&p, 1, 20) > 0)
            return true;
    }
    return false;
}

static size_t content_length(const char *head)
{
    const char *at = strcasestr(head, "\r\nContent-Length:");

    return at ? strtoul(at + strlen("\r\nContent-Length:"), NULL, 10) : 0;
}

/* One whole request into v->request. False: the peer is gone. */
static bool read_request(struct visitor *v)
{
    char *end = NULL;

    memmove(v->request, v->request + v->head_len + v->body_len, v->len - v->head_len - v->body_len);
    v->len -= v->head_len + v->body_len;
    v->head_len = v->body_len = 0;
    for (;;) {
        ssize_t n;

        v->request[v->len] = '\0';
        end = end ? end : strstr(v->request, "\r\n\r\n");
        if (end && v->len >= (size_t)(end + 4 - v->request) + content_length(v->request))
            break;
        if (!wait_readable(v))
            return false;
        n = recv(v->fd, v->request + v->len, REQUEST_MAX - v->len, 0);
        if (n <= 0)
            return false;
        v->len += (size_t)n;
    }
    v->head_len = (size_t)(end + 4 - v->request);
    v->body_len = content_length(v->request);
    atomic_fetch_add(&v->server->requests, 1);
    return true;
}

static bool answer(struct visitor *v, int status, const char *headers, const void *body, size_t n)
{
    char head[1024];

    snprintf(head, sizeof head, "HTTP/1.1 %d Word\r\nContent-Length: %zu\r\n%s\r\n", status, n, headers);
    return say(v, head) && put(v, body, n);
}

static void hang(struct visitor *v)
{
    char byte;

    if (wait_readable(v) && recv(v->fd, &byte, 1, 0) < 0)
        return;
}

/* Closes so that the peer gets a reset, not an end. */
static bool reset(struct visitor *v)
{
    const struct linger now = {.l_onoff = 1};

    setsockopt(v->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    return false;
}

static bool many_headers(struct visitor *v, long n)
{
    bool sent = say(v, "HTTP/1.1 200 OK\r\n");

    for (long i = 0; sent && i < n; i++) {
        char line[64];

        snprintf(line, sizeof line, "X-Header-%ld: value-%ld\r\n", i, i);
        sent = say(v, line);
    }
    return sent && say(v, "Content-Length: 2\r\n\r\nok");
}

/* 1 MB in one line. */
static bool long_header(struct visitor *v)
{
    bool sent = say(v, "HTTP/1.1 200 OK\r\nX-Header: ");

    for (int i = 0; sent && i < 1 << 16; i++)
        sent = say(v, "0123456789abcdef");
    return false;
}

static bool big(struct visitor *v, size_t n)
{
    char *body = malloc(n + 1);
    bool sent;

    memset(body, 'x', n);
    sent = answer(v, 200, "", body, n);
    free(body);
    return sent;
}

static bool slowly(struct visitor *v)
{
    for (const char *at = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"; *at; at++) {
        if (!put(v, at, 1))
            return false;
        usleep(3000);
    }
    return true;
}

static bool endless(struct visitor *v)
{
    bool sent = say(v, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");

    while (sent && !atomic_load(&v->server->stop))
        sent = say(v, "10\r\n0123456789abcdef\r\n");
    return false;
}

static bool from_hex(struct visitor *v, const char *hex)
{
    unsigned char bytes[512];
    size_t n = strlen(hex) / 2;

    for (size_t i = 0; i < n; i++) {
        unsigned byte;

        sscanf(hex + 2 * i, "%2x", &byte);
        bytes[i] = (unsigned char)byte;
    }
    return answer(v, 200, "Content-Encoding: gzip\r\n", bytes, n);
}

/* What ends badly. True: the connection may go on. */
static bool serve_badly(struct visitor *v, const char *path)
{
    if (!strcmp(path, "/reset"))
        return reset(v);
    if (!strcmp(path, "/close"))
        return false;
    if (!strcmp(path, "/midbody"))
        return say(v, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this") && false;
    if (!strcmp(path, "/garbage"))
        return say(v, "220 this is not HTTP\r\n") && false;
    if (!strcmp(path, "/endless"))
        return endless(v);
    if (!strcmp(path, "/head-without-end"))
        return many_headers(v, 1000000);
    if (!strcmp(path, "/long-header"))
        return long_header(v);
    if (!strcmp(path, "/once-then-drop")) /* the second request of a connection is read and gets no answer */
        return v->served == 1 && answer(v, 200, "", "one", 3);
    if (!strcmp(path, "/hang")) {
        hang(v);
        return false;
    }
    return answer(v, 404, "", "?", 1);
}

static bool serve(struct visitor *v)
{
    char path[256] = "";

    sscanf(v->request, "%*s %255s", path);
    v->served++;
    if (!strcmp(path, "/ok") || !strcmp(path, "/base/ok?q=1"))
        return answer(v, 200, "Content-Type:  text/plain \r\n", "hello", strncmp(v->request, "HEAD", 4) ? 5 : 0);
    if (!strcmp(path, "/echo"))
        return answer(v, 200, "", v->request + v->head_len, v->body_len);
    if (!strcmp(path, "/mirror"))
        return answer(v, 200, "", v->request, v->head_len);
    if (!strncmp(path, "/status/", 8))
        return answer(v, (int)strtol(path + 8, NULL, 10), "retry-AFTER: 7\r\n", "body", 4);
    if (!strcmp(path, "/slow"))
        return slowly(v);
    if (!strcmp(path, "/chunked"))
        return say(
            v, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\nRetry-After: 99\r\n\r\n");
    if (!strncmp(path, "/headers/", 9))
        return many_headers(v, strtol(path + 9, NULL, 10));
    if (!strncmp(path, "/big/", 5))
        return big(v, strtoul(path + 5, NULL, 10));
    if (!strcmp(path, "/interim"))
        return say(v, "HTTP/1.1 103 Early Hints\r\nRetry-After: 1\r\n\r\n") && answer(v, 200, "X-Last: yes\r\n", "final", 5);
    if (!strcmp(path, "/redirect"))
        return answer(v, 302, "Location: /ok\r\n", "moved", 5);
    if (!strcmp(path, "/gzip")) /* "hello, packed" */
        return from_hex(v, "1f8b0800000000000203cb48cdc9c9d75128484cce4e4d0100eba1ea080d000000");
    if (!strcmp(path, "/gzip-bomb")) /* 65,536 zeros in 96 bytes */
        return from_hex(v, "1f8b0800000000000203edc101010000008090feafee080a000000000000000000000000000000000000000000000000"
                           "0000000000000000000000000000000000000000000000000000000000000000000000000000006aeb8e97d700000100");
    return serve_badly(v, path);
}

static void *visit(void *ctx)
{
    struct visitor *v = ctx;
    struct http_fake *server = v->server;

    while (read_request(v) && serve(v))
        ;
    close(v->fd);
    free(v);
    atomic_fetch_sub(&server->open, 1);
    return NULL;
}

static void *accept_all(void *ctx)
{
    struct http_fake *s = ctx;

    while (!atomic_load(&s->stop)) {
        struct pollfd p = {.fd = s->fd, .events = POLLIN};
        struct visitor *v;
        pthread_t thread;
        int fd = poll(&p, 1, 20) > 0 ? accept(s->fd, NULL, NULL) : -1;

        if (fd < 0)
            continue;
        v = calloc(1, sizeof *v);
        v->server = s;
        v->fd = fd;
        atomic_fetch_add(&s->connections, 1);
        atomic_fetch_add(&s->open, 1);
        if (pthread_create(&thread, NULL, visit, v) != 0)
            abort();
        pthread_detach(thread);
    }
    return NULL;
}

void http_fake_start(struct http_fake *s)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    pthread_t thread;

    memset(s, 0, sizeof *s);
    s->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(s->fd, (struct sockaddr *)&address, sizeof address) < 0 || listen(s->fd, 1024) < 0 ||
        getsockname(s->fd, (struct sockaddr *)&address, &size) < 0 || pthread_create(&thread, NULL, accept_all, s) != 0)
        abort();
    s->port = ntohs(address.sin_port);
    s->thread = thread;
}

void http_fake_stop(struct http_fake *s)
{
    atomic_store(&s->stop, true);
    pthread_join(s->thread, NULL);
    while (atomic_load(&s->open))
        usleep(1000);
    close(s->fd);
}

int tcp_connect(unsigned port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t)port)};
    const struct timeval limit = {.tv_sec = 5};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
        abort();
    return fd;
}

size_t tcp_talk(unsigned port, const char *text, char *answer_text, size_t room)
{
    int fd = tcp_connect(port);
    size_t len = 0;
    ssize_t n;

    if (send(fd, text, strlen(text), MSG_NOSIGNAL) < 0)
        abort();
    while (len + 1 < room && (n = recv(fd, answer_text + len, room - 1 - len, 0)) > 0)
        len += (size_t)n;
    answer_text[len] = '\0';
    close(fd);
    return len;
}
