/* Cells against a real Redis, as if each call were a plain function: made, waited for, its answer copied. */
#ifndef STEPMILL_TEST_HELPER_REDIS_CELLS_H
#define STEPMILL_TEST_HELPER_REDIS_CELLS_H

#include "helper_redis.h"
#include "stepmill/cells.h"

enum { SEEN_CELLS_MAX = 64, SEEN_TEXT_MAX = 48, SEEN_MESSAGES_MAX = 24 };

/* An answer that stays. */
struct seen {
    bool answered;
    enum cells_op op;
    const char *code; /* NULL: no error */
    enum cells_status status;
    bool cancel, done_found, raised;
    struct done done;
    char topic[64];
    size_t ncells;
    struct cell cells[SEEN_CELLS_MAX]; /* bytes point into `texts`, cut */
    char texts[SEEN_CELLS_MAX][SEEN_TEXT_MAX];
    int32_t written, orphans;
    int64_t now_ms, starts, session_tokens, since_ms, timeout_ms;
    size_t nmessages;
    char messages[SEEN_MESSAGES_MAX][SEEN_TEXT_MAX];
    size_t message_bytes;
    char nonce[72];
};

struct cells_world {
    struct redis_server server;
    struct loop *loop;
    struct redis *redis;
    struct cells *cells;
    struct seen seen;
    uint64_t ticket;
};

/* A server, a client that is up, prefix "p:". */
struct cells_world *cells_world_begin(void);
void cells_world_end(struct cells_world *w);
/* Clears `seen` and gives the ticket of the call to come. */
struct ticket cells_world_next(struct cells_world *w);
/* Turns until the answer is there. */
const struct seen *cells_world_wait(struct cells_world *w);
/* redis_server_ask without the type mark and line end of a simple answer: ":7\r\n" is "7". */
const char *cells_world_ask(const struct cells_world *w, const char *format, ...) __attribute__((format(printf, 2, 3)));
int64_t cells_world_number(const struct cells_world *w, const char *command);

/* A task of one model call with two tools, session "s", agent "a": 0 started, 1 model (100 tokens on 2026-11-21), 2 and 3 tools,
 * 4 the end with two messages. Every text says whose it is ("model1-A"). */
struct story {
    struct cell cell[5]; /* without bytes: the texts are those */
    char text[5][16];
};
struct story story_of(const char *who);
/* The story from `from` up, told anew on top of what lies below it: after a text was changed. */
void story_continue(struct story *s, int from);
struct cells_write story_write(const struct story *s, int i);
/* Records cells from..to for the task "t"; the caller's group begins at `group`, of which it holds `held`. */
const struct seen *story_record(struct cells_world *w, const struct story *s, int from, int to, int group, uint64_t held);
/* Is the i-th cell seen the one of that story? */
bool is_cell(const struct seen *seen, size_t i, const struct story *of, int seq);

/* A cell with the digest that belongs to its parents and text; `text` must stay. */
struct cell cell_make(int32_t seq, const struct cell *parents, size_t nparents, const char *text);

#endif
