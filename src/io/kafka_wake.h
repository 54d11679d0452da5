/* Wakes the loop from another thread by an eventfd: any number of posts, one call of `wake` on the loop. */
#ifndef STEPMILL_IO_KAFKA_WAKE_H
#define STEPMILL_IO_KAFKA_WAKE_H

#include <stdbool.h>

struct event;
struct event_base;

struct kafka_wake {
    int fd; /* non-blocking; librdkafka writes into it too (8 bytes, a uint64_t of 1) */
    struct event *event;
    void (*wake)(void *context);
    void *context;
};

/* The struct must stay where it is until closed. False: no memory or no descriptor left; close is then allowed, not needed. */
bool kafka_wake_open(struct kafka_wake *w, struct event_base *base, void (*wake)(void *context), void *context);
void kafka_wake_post(const struct kafka_wake *w); /* any thread between open and close */
void kafka_wake_close(struct kafka_wake *w);      /* loop thread; a zeroed struct is fine */

#endif
