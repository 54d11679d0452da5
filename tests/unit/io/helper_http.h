/* A little HTTP server for tests, in threads, with raw sockets: it answers by path, also in ways that no real server should. */
#ifndef STEPMILL_TEST_HELPER_HTTP_H
#define STEPMILL_TEST_HELPER_HTTP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

/* Paths it knows: /ok /echo /status/N /hang /reset /midbody /slow /chunked /headers/N /head-without-end /long-header /big/N
 * /endless /garbage /interim /redirect /gzip /gzip-bomb /close /once-then-drop /mirror */
struct http_fake {
    unsigned port;
    atomic_int connections; /* accepted so far */
    atomic_int open;        /* now */
    atomic_int requests;    /* heads read so far */
    int fd;
    atomic_bool stop;
    unsigned long thread;
};

void http_fake_start(struct http_fake *s);
/* Closes all and waits for the threads. */
void http_fake_stop(struct http_fake *s);

/* Connects to 127.0.0.1:port, blocking, 5 s receive time-out; returns the socket. */
int tcp_connect(unsigned port);
/* Sends `text`, reads until the peer closes or `room` - 1 bytes; returns the length, `answer` is terminated. */
size_t tcp_talk(unsigned port, const char *text, char *answer, size_t room);

#endif
