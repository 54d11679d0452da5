/* Preloaded into a worker by the chaos lab: adds what a shared file says to the clock of the day and to CLOCK_BOOTTIME.
 *
 * The file (STEPMILL_CHAOS_CLOCK) holds two int64, nanoseconds: the jump of CLOCK_REALTIME, the gap of CLOCK_BOOTTIME. The lab
 * changes them while the worker runs. librdkafka takes the time of day and waits until a time of day (cnd_timedwait), so what it
 * waits until is brought back to the kernel's clock, which does not jump.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

struct jumps {
    int64_t realtime_ns, boottime_ns;
};

static const volatile struct jumps none;
static const volatile struct jumps *jumps = &none;

__attribute__((constructor)) static void map_file(void)
{
    const char *path = getenv("STEPMILL_CHAOS_CLOCK");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    void *at;

    if (fd < 0)
        return;
    at = mmap(NULL, sizeof(struct jumps), PROT_READ, MAP_SHARED, fd, 0);
    if (at != MAP_FAILED)
        jumps = at;
    close(fd);
}

static void add(struct timespec *t, int64_t ns)
{
    int64_t total = (int64_t)t->tv_sec * 1000000000 + t->tv_nsec + ns;

    t->tv_sec = (time_t)(total / 1000000000);
    t->tv_nsec = (long)(total % 1000000000);
}

int clock_gettime(clockid_t id, struct timespec *t)
{
    int rc = (int)syscall(SYS_clock_gettime, id, t);

    if (rc == 0 && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE))
        add(t, jumps->realtime_ns);
    if (rc == 0 && id == CLOCK_BOOTTIME)
        add(t, jumps->boottime_ns);
    return rc;
}

int gettimeofday(struct timeval *restrict tv, void *restrict zone)
{
    struct timespec t;

    (void)zone;
    if (clock_gettime(CLOCK_REALTIME, &t))
        return -1;
    tv->tv_sec = t.tv_sec;
    tv->tv_usec = t.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *at)
{
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    if (at)
        *at = t.tv_sec;
    return t.tv_sec;
}

int timespec_get(struct timespec *t, int base) { return base == TIME_UTC && clock_gettime(CLOCK_REALTIME, t) == 0 ? base : 0; }

int cnd_timedwait(cnd_t *restrict c, mtx_t *restrict m, const struct timespec *restrict until)
{
    static int (*real)(cnd_t *, mtx_t *, const struct timespec *);
    struct timespec t = *until;

    if (!real) /* twice at once does no harm */
        *(void **)&real = dlsym(RTLD_NEXT, "cnd_timedwait");
    add(&t, -jumps->realtime_ns);
    return real(c, m, &t);
}
