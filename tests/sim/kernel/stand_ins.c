/* Clocks, chance and log of the simulated processes: what the product would ask the system for, by the linker (--wrap). */
#include <stdio.h>
#include <sys/types.h>
#include <time.h>

#include "kernel.h"
#include "stepmill/log.h"

int __wrap_clock_gettime(clockid_t id, struct timespec *t);
ssize_t __wrap_getrandom(void *to, size_t n, unsigned flags);

int __wrap_clock_gettime(clockid_t id, struct timespec *t)
{
    int64_t us = id == CLOCK_REALTIME ? kernel_unique_us() : id == CLOCK_THREAD_CPUTIME_ID ? 0 : sim_now_ms() * 1000;

    *t = (struct timespec){.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000};
    return 0;
}

ssize_t __wrap_getrandom(void *to, size_t n, unsigned flags)
{
    (void)flags;
    kernel_random(to, n);
    return (ssize_t)n;
}

void log_write(const struct log *log, enum log_level level, const char *event, size_t n, const struct log_field *fields)
{
    char text[1024] = "";
    size_t len = 0;

    (void)log, (void)level;
    for (size_t i = 0; i < n && len < sizeof text; i++) {
        const struct log_field *f = &fields[i];

        if (f->kind == LOG_KIND_TEXT)
            len += (size_t)snprintf(text + len, sizeof text - len, " %s=%.*s", f->name, SLICE_FMT(f->text));
        else if (f->kind != LOG_KIND_DOUBLE)
            len += (size_t)snprintf(text + len, sizeof text - len, " %s=%lld", f->name, (long long)f->integer);
    }
    sim_note("  log: %s%s", event, text);
}
