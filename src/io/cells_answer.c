/* Reads what a script answered, and tells the owner. Nothing in Redis is trusted to be well formed. */
#include <stdlib.h>

#include "cells_private.h"

static struct error damaged(void)
{
    return error_make(CLASS_WAIT, "checkpoint_damaged",
                      "a key of the task in Redis was not written by stepmill: look at it, then delete it");
}

static struct error no_memory(void) { return error_make(CLASS_INTERNAL, "out_of_memory", "no memory for an answer of Redis"); }

static int by_seq(const void *a, const void *b)
{
    const struct cell *left = a, *right = b;

    return (left->seq > right->seq) - (left->seq < right->seq);
}

static bool read_seq(const struct redis_value *field, int32_t *seq)
{
    int64_t number = redis_kind(field) == REDIS_INTEGER ? redis_integer(field) : -1;

    if (redis_kind(field) == REDIS_TEXT && !slice_to_int(redis_text(field), 0, SEQ_MAX, &number))
        return false;
    *seq = (int32_t)number;
    return number >= 0 && number <= SEQ_MAX;
}

/* A list of seq, digest + event, seq, … */
static struct error read_cells(struct cells *c, const struct redis_value *list, struct cells_answer *to)
{
    size_t n = redis_count(list) / 2;

    if (n > c->found_room) {
        struct cell *found = realloc(c->found, n * sizeof *found);

        if (!found)
            return no_memory();
        c->found = found;
        c->found_room = n;
    }
    for (size_t i = 0; i < n; i++) {
        struct cell *cell = &c->found[i];
        struct slice value = redis_text(redis_at(list, 2 * i + 1));

        *cell = (struct cell){.state = CELL_STORED};
        if (!read_seq(redis_at(list, 2 * i), &cell->seq) || value.len < DIGEST_SIZE)
            return damaged();
        memcpy(cell->digest.bytes, value.at, DIGEST_SIZE);
        cell->bytes = (struct slice){value.at + DIGEST_SIZE, value.len - DIGEST_SIZE};
    }
    if (n)
        qsort(c->found, n, sizeof *c->found, by_seq);
    to->cells = c->found;
    to->ncells = n;
    return error_none();
}

/* {status, cancel, done, cells, …}: each script leaves out what it has no use for, from the end. */
static struct error read_common(struct cells *c, const struct redis_value *v, struct cells_answer *to)
{
    size_t n = redis_count(v);
    int64_t status = n ? redis_integer(redis_at(v, 0)) : -1;

    if (status < CELLS_OK || status > CELLS_ANSWERED)
        return damaged();
    to->status = (enum cells_status)status;
    to->cancel = n > 1 && redis_integer(redis_at(v, 1)) != 0;
    to->done_found = n > 2 && redis_kind(redis_at(v, 2)) == REDIS_TEXT;
    if (to->done_found) {
        struct error error = done_decode(redis_text(redis_at(v, 2)), &to->done);

        if (failed(error))
            return error;
    }
    return n > 3 ? read_cells(c, redis_at(v, 3), to) : error_none();
}

static struct error read_own(enum cells_op op, const struct redis_value *v, struct cells_answer *to)
{
    static const size_t least[CELLS_OPS] = {[CELLS_LOAD] = 8, [CELLS_RECORD] = 7, [CELLS_REDRIVE] = 5, [CELLS_CLAIM] = 5};
    size_t n = redis_count(v);

    if (n < least[op])
        return damaged();
    if (op == CELLS_LOAD) {
        to->starts = redis_integer(redis_at(v, 4));
        to->session_tokens = redis_integer(redis_at(v, 5));
        to->now_ms = redis_integer(redis_at(v, 6));
        to->raised = redis_integer(redis_at(v, 7)) != 0;
    }
    if (op == CELLS_RECORD || op == CELLS_REDRIVE)
        to->written = (int32_t)redis_integer(redis_at(v, 4));
    if (op == CELLS_RECORD) {
        to->orphans = (int32_t)redis_integer(redis_at(v, 5));
        to->session_tokens = redis_integer(redis_at(v, 6));
    }
    if (op == CELLS_CLAIM) {
        to->now_ms = redis_integer(redis_at(v, 4));
        if (to->status == CELLS_HELD && n >= 8) {
            to->claim.nonce = redis_text(redis_at(v, 5));
            to->claim.since_ms = redis_integer(redis_at(v, 6));
            to->claim.timeout_ms = redis_integer(redis_at(v, 7));
        }
    }
    return error_none();
}

void cells_tell(struct cells *c, enum cells_op op, struct ticket t, const struct redis_answer *from, const struct slice *messages,
                size_t nmessages)
{
    struct cells_answer to = {.error = from->error, .messages = messages, .nmessages = nmessages};

    if (!failed(to.error))
        to.error = read_common(c, from->value, &to);
    if (!failed(to.error))
        to.error = read_own(op, from->value, &to);
    if (failed(to.error)) {
        if (from->value)
            log_error(c->log, "cells.unreadable", LOG_ERROR(to.error), LOG_TEXT("op", cells_op_name(op)),
                      LOG_INT("task", t.task));
        to = (struct cells_answer){.error = to.error};
    }
    if (to.orphans)
        log_error(c->log, "cells.orphans", LOG_INT("removed", to.orphans), LOG_INT("task", t.task),
                  LOG_TEXT("reason", "Redis lost steps in the middle of a task's history; those above them were of no use"));
    c->options.answered(c->options.ctx, t, op, &to);
}

static void on_record(void *c, struct ticket t, const struct redis_answer *a) { cells_tell(c, CELLS_RECORD, t, a, NULL, 0); }
static void on_redrive(void *c, struct ticket t, const struct redis_answer *a) { cells_tell(c, CELLS_REDRIVE, t, a, NULL, 0); }
static void on_claim(void *c, struct ticket t, const struct redis_answer *a) { cells_tell(c, CELLS_CLAIM, t, a, NULL, 0); }
static void on_unclaim(void *c, struct ticket t, const struct redis_answer *a) { cells_tell(c, CELLS_UNCLAIM, t, a, NULL, 0); }
static void on_release(void *c, struct ticket t, const struct redis_answer *a) { cells_tell(c, CELLS_RELEASE, t, a, NULL, 0); }
static void on_settle(void *c, struct ticket t, const struct redis_answer *a) { cells_tell(c, CELLS_SETTLE, t, a, NULL, 0); }
static void on_cancel(void *c, struct ticket t, const struct redis_answer *a) { cells_tell(c, CELLS_CANCEL, t, a, NULL, 0); }

redis_fn *cells_answer_fn(enum cells_op op)
{
    static redis_fn *const fns[CELLS_OPS] = {
        [CELLS_RECORD] = on_record,   [CELLS_REDRIVE] = on_redrive, [CELLS_CLAIM] = on_claim,   [CELLS_UNCLAIM] = on_unclaim,
        [CELLS_RELEASE] = on_release, [CELLS_SETTLE] = on_settle,   [CELLS_CANCEL] = on_cancel,
    };

    return fns[op];
}
