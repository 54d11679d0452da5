/* Up and down: told to the owner and to the log, once for each change. */
#include <string.h>

#include "redis_private.h"

enum { LOG_AGAIN_MS = 5000 };

static bool same(struct error a, struct error b) { return a.code && b.code && !strcmp(a.code, b.code); }

static void tell(struct redis *r, bool up)
{
    if (!r->options.on_state)
        return;
    r->in_callback++;
    r->options.on_state(r->options.ctx, up, r->why);
    r->in_callback--;
}

/* The same trouble is told once, but logged again every few seconds, for whoever looks at the end of the log. */
void redis_set_down(struct redis *r, struct error why, const char *detail)
{
    int64_t now = loop_now_ms(r->loop);
    bool again = same(why, r->why);

    if (!failed(r->why))
        r->stats.losses++;
    r->why = why;
    if (!again || now - r->logged_ms >= LOG_AGAIN_MS) {
        r->logged_ms = now;
        log_warn(r->log, "redis.down", LOG_ERROR(why), LOG_TEXT("detail", detail), LOG_TEXT("host", r->address.host),
                 LOG_INT("port", r->address.port));
    }
    if (!again)
        tell(r, false);
}

void redis_set_up(struct redis *r)
{
    r->state = STATE_UP;
    r->why = error_none();
    r->up_since_ms = loop_now_ms(r->loop);
    r->suspect = 0;
    r->stats.connects++;
    loop_timer_cancel(&r->timer);
    log_info(r->log, "redis.up", LOG_TEXT("host", r->address.host), LOG_INT("port", r->address.port),
             LOG_BOOL("tls", r->address.tls), LOG_TEXT("version", r->info.version),
             LOG_TEXT("maxmemory_policy", r->info.maxmemory_policy), LOG_TEXT("appendonly", r->info.appendonly),
             LOG_TEXT("appendfsync", r->info.appendfsync));
    if (strcmp(r->info.maxmemory_policy, "noeviction") != 0 && strcmp(r->info.maxmemory_policy, "unknown") != 0)
        log_warn(r->log, "redis.may_evict", LOG_TEXT("maxmemory_policy", r->info.maxmemory_policy),
                 LOG_TEXT("reason", "Redis may throw checkpoints away when it is full: set maxmemory-policy noeviction"));
    tell(r, true);
}

bool redis_is_up(const struct redis *r) { return r->state == STATE_UP; }
struct error redis_why_down(const struct redis *r) { return r->why; }
const struct redis_info *redis_info(const struct redis *r) { return &r->info; }

struct redis_stats redis_stats(const struct redis *r)
{
    struct redis_stats stats = r->stats;

    stats.in_flight = r->sent.count;
    return stats;
}
