/* The threads of the product: strands in place of pthreads, by the linker (--wrap). Time limits are simulated time. */
#include <errno.h>
#include <pthread.h>
#include <time.h>

#include "kernel.h"
#include "stepmill/error.h"
#include "world.h"

/* A pthread_mutex_t or pthread_cond_t begins with this; both are larger. */
struct lock {
    struct strand *holder;
};
struct condition {
    struct strand *waiter;
};

struct thread {
    void *(*main)(void *ctx);
    void *ctx;
    struct strand *strand, *joiner;
};

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*main)(void *), void *ctx);
int __wrap_pthread_join(pthread_t thread, void **result);
int __wrap_pthread_mutex_init(pthread_mutex_t *m, const pthread_mutexattr_t *attributes);
int __wrap_pthread_mutex_destroy(pthread_mutex_t *m);
int __wrap_pthread_mutex_lock(pthread_mutex_t *m);
int __wrap_pthread_mutex_unlock(pthread_mutex_t *m);
int __wrap_pthread_cond_init(pthread_cond_t *c, const pthread_condattr_t *attributes);
int __wrap_pthread_cond_destroy(pthread_cond_t *c);
int __wrap_pthread_cond_signal(pthread_cond_t *c);
int __wrap_pthread_cond_wait(pthread_cond_t *c, pthread_mutex_t *m);
int __wrap_pthread_cond_timedwait(pthread_cond_t *c, pthread_mutex_t *m, const struct timespec *until);

static void run(void *thread)
{
    struct thread *t = thread;

    (void)t->main(t->ctx);
    if (t->joiner)
        strand_wake(t->joiner);
}

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*main)(void *), void *ctx)
{
    struct thread *t = memory_take(world_memory(), sizeof *t);

    (void)attributes;
    *t = (struct thread){.main = main, .ctx = ctx};
    t->strand = strand_new(sim_self(), run, t);
    *thread = (pthread_t)(uintptr_t)t;
    return 0;
}

int __wrap_pthread_join(pthread_t thread, void **result)
{
    struct thread *t = (struct thread *)(uintptr_t)thread;

    if (result)
        bug("what a thread returns is not simulated");
    t->joiner = strand_self();
    while (!strand_has_ended(t->strand))
        strand_sleep(sim_now_ms() + 1); /* the wake comes a moment before the end */
    return 0;
}

int __wrap_pthread_mutex_init(pthread_mutex_t *m, const pthread_mutexattr_t *attributes)
{
    (void)attributes;
    ((struct lock *)(void *)m)->holder = NULL;
    return 0;
}

int __wrap_pthread_mutex_destroy(pthread_mutex_t *m)
{
    if (((struct lock *)(void *)m)->holder)
        bug("a mutex is destroyed while somebody holds it");
    return 0;
}

/* Nobody gives way while holding a lock, or the loop would have to wait for a helper that waits for Kafka. */
int __wrap_pthread_mutex_lock(pthread_mutex_t *m)
{
    struct lock *l = (struct lock *)(void *)m;

    if (l->holder)
        bug("a thread sleeps with a lock that another one needs");
    l->holder = strand_self();
    return 0;
}

int __wrap_pthread_mutex_unlock(pthread_mutex_t *m)
{
    struct lock *l = (struct lock *)(void *)m;

    if (l->holder != strand_self())
        bug("a thread unlocks what it does not hold");
    l->holder = NULL;
    return 0;
}

int __wrap_pthread_cond_init(pthread_cond_t *c, const pthread_condattr_t *attributes)
{
    (void)attributes;
    ((struct condition *)(void *)c)->waiter = NULL;
    return 0;
}

int __wrap_pthread_cond_destroy(pthread_cond_t *c)
{
    (void)c;
    return 0;
}

int __wrap_pthread_cond_signal(pthread_cond_t *c)
{
    struct condition *w = (struct condition *)(void *)c;

    if (w->waiter)
        strand_wake(w->waiter);
    return 0;
}

static int wait_for(pthread_cond_t *c, pthread_mutex_t *m, int64_t until_ms)
{
    struct condition *w = (struct condition *)(void *)c;
    bool woken;

    if (w->waiter)
        bug("two threads wait for one condition");
    w->waiter = strand_self();
    __wrap_pthread_mutex_unlock(m);
    woken = strand_sleep(until_ms);
    w->waiter = NULL;
    __wrap_pthread_mutex_lock(m);
    return woken ? 0 : ETIMEDOUT;
}

int __wrap_pthread_cond_wait(pthread_cond_t *c, pthread_mutex_t *m) { return wait_for(c, m, INT64_MAX); }

int __wrap_pthread_cond_timedwait(pthread_cond_t *c, pthread_mutex_t *m, const struct timespec *until)
{
    return wait_for(c, m, (int64_t)until->tv_sec * 1000 + until->tv_nsec / 1000000);
}
