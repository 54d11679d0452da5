/* What the files of the cells share: the state, and the list of arguments of one script. */
#ifndef STEPMILL_CELLS_PRIVATE_H
#define STEPMILL_CELLS_PRIVATE_H

#include "stepmill/cells.h"

enum {
    CELLS_OPS = CELLS_CANCEL + 1,
    PREFIX_MAX = 128,
    ID_MAX = 128, /* of task_id, session_id, agent (DELIVERY §3) */
    SEQ_MAX = UINT16_MAX,
    DAYS_MAX = 200,
    ARGUMENTS_MAX = 128 << 20, /* bytes; the client's own bound is what counts */
};

/* Arguments lie one behind another in `bytes`, which moves while it grows: so they are places, and become slices when all are
 * there. */
struct arguments {
    struct buf bytes;
    struct place {
        size_t at, len;
    } * places;
    struct slice *slices;
    size_t count, room;
    bool bad_key; /* a task_id, session_id or agent that can't be part of a key */
};

struct cells {
    struct redis *redis;
    const struct log *log;
    struct cells_options options;
    char prefix[PREFIX_MAX + 1];
    char process[17]; /* by chance: tells the loads of this process from those of another */
    int scripts[CELLS_OPS];
    struct buf sources[CELLS_OPS];
    struct arguments arguments;
    int32_t days[DAYS_MAX]; /* the distinct days of one record */
    size_t ndays;
    /* of the answer being told */
    struct cell *found;
    size_t found_room;
};

/* cells_arguments.c */
void arguments_begin(struct arguments *a);
void arguments_free(struct arguments *a);
void put_argument(struct arguments *a, struct slice s);
void put_number(struct arguments *a, int64_t n);
/* An argument of several parts: open, append to a->bytes, close. */
void open_argument(struct arguments *a);
void close_argument(struct arguments *a);
/* "<prefix><kind><id><rest>" */
void put_key(struct cells *c, const char *kind, struct slice id, const char *rest);
/* "<prefix><kind><id>" with the id of the key before, which was looked at there. */
void put_key_again(struct cells *c, const char *kind, struct slice id);
/* For each 2 bytes of seq and 16 of digest. */
void append_parents(struct buf *to, const struct cell *parents, size_t n);
void put_parents(struct arguments *a, const struct cell *parents, size_t n);
void put_seq(struct buf *to, int32_t seq);
/* Digest and event, as they lie in Redis. */
void put_cell(struct arguments *a, const struct cell *cell);
/* Calls the script of `op` with the first `nkeys` arguments as its keys; the owner is told what it answers. */
void send_script(struct cells *c, enum cells_op op, struct ticket t, size_t nkeys);
/* The same, but `fn` is told. */
void send_script_for(struct cells *c, enum cells_op op, struct ticket t, size_t nkeys, redis_fn *fn, void *ctx);
/* The arguments so far as a plain command, if they are whole; false: they are not, the next send_script says why. */
bool send_command_for(struct cells *c, struct ticket t, redis_fn *fn, void *ctx);

/* cells_answer.c */
redis_fn *cells_answer_fn(enum cells_op op);
/* Reads the answer of a script and tells the owner. */
void cells_tell(struct cells *c, enum cells_op op, struct ticket t, const struct redis_answer *from, const struct slice *messages,
                size_t nmessages);

#endif
