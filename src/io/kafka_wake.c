/* Wakes the loop from another thread by an eventfd. */
#include "kafka_wake.h"

#include <event2/event.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

static void on_readable(evutil_socket_t fd, short what, void *context)
{
    struct kafka_wake *w = context;
    uint64_t posts;
    ssize_t n = read(fd, &posts, sizeof posts); /* drained first, so that a post during `wake` is not missed */

    (void)what;
    (void)n;
    w->wake(w->context);
}

bool kafka_wake_open(struct kafka_wake *w, struct event_base *base, void (*wake)(void *context), void *context)
{
    *w = (struct kafka_wake){.fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), .wake = wake, .context = context};
    if (w->fd < 0)
        return false;
    w->event = event_new(base, w->fd, EV_READ | EV_PERSIST, on_readable, w);
    if (w->event && event_add(w->event, NULL) == 0)
        return true;
    kafka_wake_close(w);
    return false;
}

void kafka_wake_post(const struct kafka_wake *w)
{
    uint64_t one = 1;
    ssize_t n = write(w->fd, &one, sizeof one); /* fails only when the counter is full, and then the loop is awake anyway */

    (void)n;
}

void kafka_wake_close(struct kafka_wake *w)
{
    if (w->event) {
        event_free(w->event);
        w->event = NULL;
        close(w->fd);
    } else if (w->wake && w->fd >= 0) {
        close(w->fd);
    }
    *w = (struct kafka_wake){.fd = -1};
}
