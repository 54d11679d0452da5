/* The end of a consumer, which may not wait for librdkafka for ever. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "kafka_client.h"
#include "stepmill/log.h"

struct ending {
    pthread_mutex_t lock;
    pthread_cond_t ended;
    rd_kafka_t *rk;
    bool is_ended, left; /* left: nobody waits any more */
};

static void ending_free(struct ending *e)
{
    pthread_cond_destroy(&e->ended);
    pthread_mutex_destroy(&e->lock);
    free(e);
}

static void *destroy(void *ending)
{
    struct ending *e = ending;
    bool left;

    rd_kafka_destroy_flags(e->rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    pthread_mutex_lock(&e->lock);
    e->is_ended = true;
    left = e->left;
    pthread_cond_signal(&e->ended);
    pthread_mutex_unlock(&e->lock);
    if (left)
        ending_free(e);
    return NULL;
}

static struct ending *ending_new(rd_kafka_t *rk)
{
    struct ending *e = calloc(1, sizeof *e);
    pthread_condattr_t attributes;

    if (!e)
        return NULL;
    e->rk = rk;
    pthread_mutex_init(&e->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&e->ended, &attributes);
    pthread_condattr_destroy(&attributes);
    return e;
}

static bool wait_for_end(struct ending *e, int timeout_ms)
{
    struct timespec until;
    bool is_ended;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += timeout_ms / 1000;
    until.tv_nsec += timeout_ms % 1000 * 1000000L;
    if (until.tv_nsec >= 1000000000L) {
        until.tv_nsec -= 1000000000L;
        until.tv_sec++;
    }
    pthread_mutex_lock(&e->lock);
    while (!e->is_ended && pthread_cond_timedwait(&e->ended, &e->lock, &until) != ETIMEDOUT)
        continue;
    is_ended = e->is_ended;
    e->left = true;
    pthread_mutex_unlock(&e->lock);
    return is_ended;
}

bool kafka_consumer_destroy(rd_kafka_t *rk, int timeout_ms, const struct log *log)
{
    struct ending *e = ending_new(rk);
    pthread_t thread;
    bool is_ended;

    if (!e || pthread_create(&thread, NULL, destroy, e) != 0) {
        if (e)
            ending_free(e);
        rd_kafka_destroy_flags(rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
        return true;
    }
    is_ended = wait_for_end(e, timeout_ms);
    if (is_ended) {
        pthread_join(thread, NULL);
        ending_free(e);
    } else {
        pthread_detach(thread);
        log_warn(
            log, "kafka.end.late", LOG_INT("waited_ms", timeout_ms),
            LOG_TEXT("reason", "librdkafka does not end one of its threads; the group has been left, so nothing waits for it"));
    }
    return is_ended;
}
