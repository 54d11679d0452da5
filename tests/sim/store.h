/* What a simulated Redis holds, and the commands that the product uses (https://redis.io/commands): strings, hashes and lists
 * that expire by simulated time.
 *
 * Every change can be taken back: a failover makes the last calls undone, as a replica that lags behind does.
 */
#ifndef SIM_STORE_H
#define SIM_STORE_H

#include "memory.h"

enum reply_kind { REPLY_NIL, REPLY_INTEGER, REPLY_TEXT, REPLY_STATUS, REPLY_ERROR, REPLY_ARRAY };

/* One answer; what it shows lies in the store's memory. The `struct redis_value` of redis.h is this. */
struct reply {
    enum reply_kind kind;
    int64_t integer;
    struct slice text;
    struct reply *items;
    size_t count;
};

struct store;

struct store *store_new(struct memory *m);

/* One call of a client: a command, or a script with all its commands. Everything between two begins is undone together. Returns
 * the call's number, from 1. */
uint64_t store_begin(struct store *s);
/* Carries out one command at this Unix time. An unknown command is an error answer, as in Redis. */
struct reply store_do(struct store *s, int64_t now_ms, const struct slice *args, size_t nargs);

/* A key whose content was not what its writer was told. */
typedef void store_lost_fn(void *ctx, struct slice key);
/* Takes back all calls above this number; tells each key that changed by it once. */
void store_undo(struct store *s, uint64_t above, store_lost_fn *lost, void *ctx);
/* Deletes one existing key, chosen by `pick` among all that live now. False: the store is empty. */
bool store_flush_one(struct store *s, int64_t now_ms, uint64_t pick, store_lost_fn *lost, void *ctx);

/* Deletes one field of a hash whose key begins with `kind`, chosen by `pick`. */
bool store_lose_field(struct store *s, int64_t now_ms, const char *kind, uint64_t pick, store_lost_fn *lost, void *ctx);

/* For the checker: a field of a hash, or (field absent) a string. Absent: not there. */
struct slice store_peek(struct store *s, int64_t now_ms, struct slice key, struct slice field);
/* Keys that live now, in the order they were made. */
size_t store_keys(struct store *s, int64_t now_ms, struct slice *keys, size_t room);

struct reply reply_error(const char *text);

#endif
