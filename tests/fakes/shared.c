/* The memory all processes share. */
#include "shared.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

static int64_t read_clock(clockid_t id)
{
    struct timespec t;

    clock_gettime(id, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int64_t wall_us(void) { return read_clock(CLOCK_REALTIME); }
int64_t clock_us(void) { return read_clock(CLOCK_MONOTONIC); }

/* Pages cost nothing until they are written. */
static void *map(size_t bytes)
{
    void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (at == MAP_FAILED) {
        perror("stepmill-fakes: cannot map shared memory");
        exit(1);
    }
    return at;
}

struct shared *shared_new(size_t call_bytes, size_t request_bytes)
{
    struct shared *s = map(sizeof *s);
    pthread_mutexattr_t attr;

    pthread_mutexattr_init(&attr);
    pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(&s->lock, &attr);
    pthread_mutexattr_destroy(&attr);
    ring_init(&s->calls, map(call_bytes), call_bytes);
    if (request_bytes)
        ring_init(&s->requests, map(request_bytes), request_bytes);
    s->started_us = wall_us();
    return s;
}

void shared_free(struct shared *s)
{
    munmap(s->calls.bytes, s->calls.room);
    if (s->requests.room)
        munmap(s->requests.bytes, s->requests.room);
    munmap(s, sizeof *s);
}

void shared_lock(struct shared *s)
{
    if (pthread_mutex_lock(&s->lock) == EOWNERDEAD)
        pthread_mutex_consistent(&s->lock);
}

void shared_unlock(struct shared *s) { pthread_mutex_unlock(&s->lock); }

void shared_reset(struct shared *s)
{
    struct stats *t = &s->stats;
    atomic_ullong *counters[] = {&t->accepted,       &t->refused,    &t->requests,      &t->control,      &t->bad_requests,
                                 &t->faults,         &t->abandoned,  &t->bytes_in,      &t->bytes_out,    &t->model_calls,
                                 &t->model_answered, &t->tool_calls, &t->tool_answered, &t->tool_effects, &t->no_key};

    shared_lock(s);
    for (size_t i = 0; i < sizeof counters / sizeof *counters; i++)
        atomic_store(counters[i], 0);
    atomic_store(&t->connections_max, atomic_load(&t->connections));
    ring_clear(&s->calls);
    if (s->requests.room)
        ring_clear(&s->requests);
    s->rules[0] = s->outages[0] = '\0';
    atomic_store(&s->task_notes, 0);
    atomic_fetch_add(&s->settings_version, 1);
    shared_unlock(s);
}
