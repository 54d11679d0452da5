/* Clocks, chance and log of the simulated processes: what the product would ask the system for. */
#include <stdio.h>
#include <sys/types.h>

#include "kernel.h"
#include "stepmill/clock.h"
#include "stepmill/log.h"

int64_t clock_mono_ms(void) { return sim_now_ms(); }
int64_t clock_mono_us(void) { return sim_now_ms() * 1000; }
int64_t clock_boot_ms(void) { return sim_now_ms(); }
int64_t clock_wall_ms(void) { return sim_wall_ms(); }
int64_t clock_wall_us(void) { return sim_wall_ms() * 1000; }
int64_t clock_thread_us(void) { return 0; }

ssize_t __wrap_getrandom(void *to, size_t n, unsigned flags);
/* By the linker in place of the kernel's: the seed decides all. */
ssize_t __wrap_getrandom(void *to, size_t n, unsigned flags)
{
    unsigned char *at = to;

    (void)flags;
    for (size_t i = 0; i < n; i++)
        at[i] = (unsigned char)sim_below(256);
    return (ssize_t)n;
}

void log_write(const struct log *log, enum log_level level, const char *event, size_t n, const struct log_field *fields)
{
    char text[1024];
    size_t len = 0;

    (void)log, (void)level;
    text[0] = '\0';
    for (size_t i = 0; i < n && len < sizeof text; i++) {
        const struct log_field *f = &fields[i];

        if (f->kind == LOG_KIND_TEXT)
            len += (size_t)snprintf(text + len, sizeof text - len, " %s=%.*s", f->name, SLICE_FMT(f->text));
        else if (f->kind != LOG_KIND_DOUBLE)
            len += (size_t)snprintf(text + len, sizeof text - len, " %s=%lld", f->name, (long long)f->integer);
    }
    sim_note("  %s%s", event, text);
}
