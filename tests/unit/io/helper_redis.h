/* A Redis server of our own for tests, in a folder of its own, and a loop that turns until something is true. */
#ifndef STEPMILL_TEST_HELPER_REDIS_H
#define STEPMILL_TEST_HELPER_REDIS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "stepmill/loop.h"

struct redis_server {
    unsigned port;
    pid_t pid;
    char folder[64];
};

/* Fills port and folder. */
void redis_server_prepare(struct redis_server *s);
/* Starts redis-server with `more` behind the usual options ("--requirepass", "x", NULL) and waits until it answers anything at
 * all. NULL: nothing more. May be called again after redis_server_kill: same port, same folder. */
void redis_server_start(struct redis_server *s, const char *const *more);
void redis_server_kill(struct redis_server *s);
/* Kills it and removes the folder. */
void redis_server_end(struct redis_server *s);
/* One inline command over its own connection; the raw answer, terminated, stays until the next call. */
const char *redis_server_ask(const struct redis_server *s, const char *command);

/* Turns the loop until `done` says true; false after `seconds`. */
bool turn_until(struct loop *l, bool (*done)(void *ctx), void *ctx, int seconds);
/* Turns the loop for that long. */
void turn_for(struct loop *l, int ms);

#endif
