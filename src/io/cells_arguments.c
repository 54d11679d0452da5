/* Puts the keys and arguments of one script together. */
#include <stdlib.h>

#include "cells_private.h"

enum { KEPT_ROOM = 1 << 20 };

void arguments_begin(struct arguments *a)
{
    buf_clear(&a->bytes);
    a->count = 0;
    a->bad_key = false;
}

void arguments_free(struct arguments *a)
{
    buf_free(&a->bytes);
    free(a->places);
    free(a->slices);
}

static bool make_room(struct arguments *a)
{
    size_t room = a->room ? 2 * a->room : 64;
    struct place *places;
    struct slice *slices;

    if (a->count < a->room)
        return true;
    places = realloc(a->places, room * sizeof *places);
    if (places)
        a->places = places;
    slices = realloc(a->slices, room * sizeof *slices);
    if (slices)
        a->slices = slices;
    if (places && slices)
        a->room = room;
    return places && slices;
}

void open_argument(struct arguments *a)
{
    if (!make_room(a)) {
        a->bytes.failed = true;
        a->count = 0;
        return;
    }
    a->places[a->count].at = a->bytes.len;
}

void close_argument(struct arguments *a)
{
    if (a->bytes.failed)
        return;
    a->places[a->count].len = a->bytes.len - a->places[a->count].at;
    a->count++;
}

void put_argument(struct arguments *a, struct slice s)
{
    open_argument(a);
    buf_put_slice(&a->bytes, s);
    close_argument(a);
}

void put_number(struct arguments *a, int64_t n)
{
    open_argument(a);
    buf_put_int(&a->bytes, n);
    close_argument(a);
}

static bool is_id(struct slice id)
{
    if (id.len == 0 || id.len > ID_MAX)
        return false;
    for (size_t i = 0; i < id.len; i++)
        if (id.at[i] < ' ' || id.at[i] > '~')
            return false;
    return true;
}

static void put_key_parts(struct cells *c, const char *kind, struct slice id, const char *rest)
{
    struct arguments *a = &c->arguments;

    open_argument(a);
    buf_put_text(&a->bytes, c->prefix);
    buf_put_text(&a->bytes, kind);
    buf_put_slice(&a->bytes, id);
    buf_put_text(&a->bytes, rest);
    close_argument(a);
}

void put_key(struct cells *c, const char *kind, struct slice id, const char *rest)
{
    if (!is_id(id))
        c->arguments.bad_key = true;
    put_key_parts(c, kind, id, rest);
}

void put_key_again(struct cells *c, const char *kind, struct slice id) { put_key_parts(c, kind, id, ""); }

void put_seq(struct buf *to, int32_t seq)
{
    if (seq < 0 || seq > SEQ_MAX)
        bug("a cell with seq %d", seq);
    buf_put_byte(to, (char)(seq >> 8));
    buf_put_byte(to, (char)(seq & 0xff));
}

void append_parents(struct buf *to, const struct cell *parents, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        put_seq(to, parents[i].seq);
        buf_put_slice(to, digest_slice(&parents[i].digest));
    }
}

void put_parents(struct arguments *a, const struct cell *parents, size_t n)
{
    open_argument(a);
    append_parents(&a->bytes, parents, n);
    close_argument(a);
}

void put_cell(struct arguments *a, const struct cell *cell)
{
    open_argument(a);
    buf_put_slice(&a->bytes, digest_slice(&cell->digest));
    buf_put_slice(&a->bytes, cell->bytes);
    close_argument(a);
}

static void fill_slices(struct arguments *a)
{
    for (size_t i = 0; i < a->count; i++)
        a->slices[i] = (struct slice){a->bytes.at ? a->bytes.at + a->places[i].at : "", a->places[i].len};
}

bool send_command_for(struct cells *c, struct ticket t, redis_fn *fn, void *ctx)
{
    struct arguments *a = &c->arguments;

    if (a->bad_key || a->bytes.failed)
        return false;
    fill_slices(a);
    redis_call(c->redis, t, fn, ctx, a->slices, a->count);
    return true;
}

void send_script(struct cells *c, enum cells_op op, struct ticket t, size_t nkeys)
{
    send_script_for(c, op, t, nkeys, cells_answer_fn(op), c);
}

void send_script_for(struct cells *c, enum cells_op op, struct ticket t, size_t nkeys, redis_fn *fn, void *ctx)
{
    struct arguments *a = &c->arguments;

    if (a->bad_key) {
        redis_refuse(c->redis, t, fn, ctx,
                     error_make(CLASS_INTERNAL, "bad_key", "a task_id, session_id or agent that can't be part of a key"));
        return;
    }
    if (a->bytes.failed) {
        redis_refuse(c->redis, t, fn, ctx, error_make(CLASS_INTERNAL, "out_of_memory", "no memory for a call to Redis"));
        return;
    }
    fill_slices(a);
    redis_eval(c->redis, c->scripts[op], t, fn, ctx, a->slices, nkeys, a->slices + nkeys, a->count - nkeys);
    if (a->bytes.room > KEPT_ROOM) /* one large call must not hold its memory for ever */
        buf_free(&a->bytes);
}
