/* Redis for one command. */
#ifndef CLI_STORE_H
#define CLI_STORE_H

#include "cli.h"
#include "stepmill/loop.h"
#include "stepmill/redis.h"

/* As the worker opens it. Not connected yet: turn the loop. */
MUST_CHECK struct error store_open(struct cli *cli, const struct config *config, struct loop *loop, struct redis **redis);
/* Turns the loop until *done or the time is over; true: done. */
bool store_turn_until(struct loop *loop, const bool *done, int64_t timeout_ms);
/* Turns the loop until Redis takes writes; false: redis_why_down says why not. */
bool store_wait_up(struct loop *loop, struct redis *redis, int64_t timeout_ms);

#endif
