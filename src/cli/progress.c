/* A progress line on a terminal. */
#include <unistd.h>

#include "cli.h"
#include "stepmill/clock.h"

enum { BAR_WIDTH = 30, REDRAW_MS = 100 };

struct cli_progress cli_progress_start(const char *what, int64_t total)
{
    return (struct cli_progress){.what = what, .total = total, .started_ms = clock_mono_ms(), .on = isatty(STDERR_FILENO)};
}

static void draw(struct cli_progress *p, int64_t done, int64_t now)
{
    int64_t elapsed = now - p->started_ms;
    int64_t rate = elapsed > 0 ? done * 1000 / elapsed : 0;
    char bar[BAR_WIDTH + 1];

    p->drawn_ms = now;
    if (p->total <= 0) {
        fprintf(stderr, "\r%lld %s, %lld/s\033[K", (long long)done, p->what, (long long)rate);
    } else {
        int full = (int)(done >= p->total ? BAR_WIDTH : done * BAR_WIDTH / p->total);

        for (int i = 0; i < BAR_WIDTH; i++)
            bar[i] = i < full ? '#' : '.';
        bar[BAR_WIDTH] = '\0';
        fprintf(stderr, "\r[%s] %lld/%lld %s, %lld/s\033[K", bar, (long long)done, (long long)p->total, p->what, (long long)rate);
    }
    fflush(stderr);
}

void cli_progress_show(struct cli_progress *p, int64_t done)
{
    int64_t now = p->on ? clock_mono_ms() : 0;

    if (p->on && now - p->drawn_ms >= REDRAW_MS)
        draw(p, done, now);
}

void cli_progress_end(struct cli_progress *p, int64_t done)
{
    if (!p->on)
        return;
    draw(p, done, clock_mono_ms());
    fputc('\n', stderr);
    p->on = false;
}
