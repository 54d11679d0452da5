/* A connection to Redis for one command, and the loop turned until it answers. */
#include "store.h"

struct error store_open(struct cli *cli, const struct config *config, struct loop *loop, struct redis **redis)
{
    const struct config_redis *c = &config->redis;

    if (cli->log.level < LOG_LEVEL_WARN)
        cli->log.level = LOG_LEVEL_WARN;
    return redis_new(loop, &cli->log,
                     &(struct redis_options){.url = c->url,
                                             .user = c->username,
                                             .password = c->password.value,
                                             .ca_file = c->tls.ca_file,
                                             .cert_file = c->tls.certificate_file,
                                             .key_file = c->tls.key_file,
                                             .client_name = "stepmill-cli",
                                             .connect_timeout_ms = c->connect_timeout_ms,
                                             .call_timeout_ms = c->timeout_ms},
                     redis);
}

static void tick(void *ctx) { (void)ctx; }

struct wait {
    const bool *done;
    const struct redis *redis;
};

static bool over(const struct wait *w) { return w->done ? *w->done : redis_is_up(w->redis); }

static bool turn_until(struct loop *loop, const struct wait *w, int64_t timeout_ms)
{
    int64_t until = loop_now_ms(loop) + timeout_ms;
    struct loop_timer timer;

    loop_timer_init(&timer, loop, tick, NULL);
    while (!over(w) && loop_now_ms(loop) < until) {
        loop_timer_set(&timer, 50); /* so that a turn ends when nothing comes */
        loop_turn(loop, true);
    }
    loop_timer_cancel(&timer);
    return over(w);
}

bool store_turn_until(struct loop *loop, const bool *done, int64_t timeout_ms)
{
    return turn_until(loop, &(struct wait){.done = done}, timeout_ms);
}

bool store_wait_up(struct loop *loop, struct redis *redis, int64_t timeout_ms)
{
    return turn_until(loop, &(struct wait){.redis = redis}, timeout_ms);
}
