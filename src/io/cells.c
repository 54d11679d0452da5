/* The operations on a task's state: each one script, one round trip. */
#include "stepmill/cells.h"

#include <stdio.h>
#include <stdlib.h>

#include "cells_private.h"
#include "stepmill/embedded.h"

extern const struct embedded_file lua_files[];
extern const size_t lua_files_count;

enum { SCRIPT_SIZE_MAX = 64 << 10, TOKEN_COUNTERS_AT = 7 /* in KEYS, from 1 */, NONCE_MAX = 64, DAY_MAX = 99991231 };

const char *cells_op_name(enum cells_op op)
{
    static const char *const names[] = {"load", "record", "redrive", "claim", "unclaim", "release", "settle", "cancel"};

    return (size_t)op < CELLS_OPS ? names[op] : "unknown";
}

static void fill(struct cells_options *o)
{
    static const int64_t second = 1000, hour = 3600 * second, day = 24 * hour;
    const struct {
        int64_t *value, otherwise;
    } lives[] = {
        {&o->life_ms, 7 * day},
        {&o->failed_life_ms, 30 * day},
        {&o->done_life_ms, day},
        {&o->cancel_life_ms, day},
        {&o->session_life_ms, day},
        {&o->session_bytes, 256 << 10},
        {&o->agent_tokens_life_ms, 7 * day},
        {&o->session_tokens_life_ms, 30 * day},
    };

    for (size_t i = 0; i < sizeof lives / sizeof *lives; i++)
        if (*lives[i].value <= 0)
            *lives[i].value = lives[i].otherwise;
    if (o->session_messages <= 0)
        o->session_messages = EVENT_TURNS_MAX;
}

static bool add_script(struct cells *c, enum cells_op op)
{
    struct buf *source = &c->sources[op];
    char name[32];
    struct slice text;

    snprintf(name, sizeof name, "%s.lua", cells_op_name(op));
    text = embedded_find(lua_files, lua_files_count, name);
    if (!text.at)
        bug("%s is not embedded", name);
    *source = BUF(SCRIPT_SIZE_MAX);
    buf_put_slice(source, embedded_find(lua_files, lua_files_count, "common.lua"));
    buf_put_slice(source, text);
    if (source->failed)
        return false;
    c->scripts[op] = redis_script(c->redis, buf_slice(source));
    return true;
}

struct cells *cells_new(struct redis *r, const struct log *log, const struct cells_options *options)
{
    const char *prefix = options->prefix ? options->prefix : "";
    struct cells *c = calloc(1, sizeof *c);
    bool made = c && strlen(prefix) <= PREFIX_MAX;

    if (made) {
        c->redis = r;
        c->log = log;
        c->options = *options;
        c->options.prefix = c->prefix;
        memcpy(c->prefix, prefix, strlen(prefix) + 1);
        c->arguments.bytes = BUF(ARGUMENTS_MAX);
        fill(&c->options);
    }
    for (int op = 0; made && op < CELLS_OPS; op++)
        made = add_script(c, (enum cells_op)op);
    if (made)
        return c;
    cells_free(c);
    return NULL;
}

void cells_free(struct cells *c)
{
    if (!c)
        return;
    for (int op = 0; op < CELLS_OPS; op++)
        buf_free(&c->sources[op]);
    arguments_free(&c->arguments);
    free(c->days);
    free(c->found);
    free(c);
}

/* The place in KEYS of the agent's counter for that day, which is added to `days` when it is new; 0: no memory. */
static size_t day_place(struct cells *c, int32_t day)
{
    for (size_t i = 0; i < c->ndays; i++)
        if (c->days[i] == day)
            return TOKEN_COUNTERS_AT + i;
    if (c->ndays == c->days_room) {
        size_t room = c->days_room ? 2 * c->days_room : 8;
        int32_t *days = realloc(c->days, room * sizeof *days);

        if (!days)
            return 0;
        c->days = days;
        c->days_room = room;
    }
    c->days[c->ndays++] = day;
    return TOKEN_COUNTERS_AT + c->ndays - 1;
}

static void put_record_keys(struct cells *c, const struct cells_record *r)
{
    put_key(c, "checkpoint:", r->task_id, "");
    put_key(c, "done:", r->task_id, "");
    put_key(c, "cancel:", r->task_id, "");
    put_key(c, "claims:", r->task_id, "");
    put_key(c, "session:", r->session_id, ":messages");
    put_key(c, "tokens:session:", r->session_id, "");
    c->ndays = 0;
    for (size_t i = 0; i < r->ncells; i++) {
        size_t known = c->ndays;
        char day[16];

        if (!r->cells[i].tokens)
            continue;
        if (r->cells[i].tokens < 0 || r->cells[i].day <= 0 || r->cells[i].day > DAY_MAX)
            bug("%lld tokens on day %d", (long long)r->cells[i].tokens, r->cells[i].day);
        if (!day_place(c, r->cells[i].day))
            c->arguments.bytes.failed = true;
        snprintf(day, sizeof day, ":%08d", r->cells[i].day);
        if (c->ndays > known)
            put_key(c, "tokens:", r->agent, day);
    }
}

static void put_held(struct arguments *a, int32_t first, uint64_t held)
{
    open_argument(a);
    for (int32_t i = 0; held; i++, held >>= 1)
        if (held & 1)
            put_seq(&a->bytes, first + i);
    close_argument(a);
}

static void put_record_cell(struct cells *c, const struct cells_write *w)
{
    struct arguments *a = &c->arguments;

    if (w->cell.seq < 0 || w->cell.seq > SEQ_MAX || w->above <= w->cell.seq)
        bug("cell %d with %d above it", w->cell.seq, w->above);
    put_number(a, w->cell.seq);
    put_number(a, w->above);
    put_parents(a, w->parents, w->nparents);
    put_cell(a, &w->cell);
    put_number(a, w->tokens);
    put_number(a, w->tokens ? (int64_t)day_place(c, w->day) : 0);
}

void cells_record(struct cells *c, struct ticket t, const struct cells_record *r)
{
    struct arguments *a = &c->arguments;
    const struct cells_options *o = &c->options;
    int32_t first = r->group_first;
    size_t nkeys;

    for (size_t i = 0; i < r->ncells; i++)
        if (r->cells[i].cell.seq < first)
            first = r->cells[i].cell.seq;
    arguments_begin(a);
    put_record_keys(c, r);
    nkeys = a->count;
    put_number(a, r->life_ms > 0 ? r->life_ms : o->life_ms);
    put_number(a, first);
    put_held(a, r->group_first, r->held);
    put_number(a, r->messages_seq);
    put_argument(a, r->messages[0]);
    put_argument(a, r->messages[1]);
    put_number(a, o->session_life_ms);
    put_number(a, o->session_messages);
    put_number(a, o->session_bytes);
    put_number(a, o->agent_tokens_life_ms);
    put_number(a, o->session_tokens_life_ms);
    for (size_t i = 0; i < r->ncells; i++)
        put_record_cell(c, &r->cells[i]);
    send_script(c, CELLS_RECORD, t, nkeys);
}

static void put_task_keys(struct cells *c, struct slice task_id)
{
    put_key(c, "checkpoint:", task_id, "");
    put_key(c, "done:", task_id, "");
    put_key(c, "cancel:", task_id, "");
    put_key(c, "claims:", task_id, "");
}

void cells_redrive(struct cells *c, struct ticket t, const struct cells_redrive *r)
{
    struct arguments *a = &c->arguments;

    if (r->redrives < 1)
        bug("redrive number %d", r->redrives);
    arguments_begin(a);
    put_task_keys(c, r->task_id);
    put_number(a, c->options.life_ms);
    put_number(a, r->redrives);
    open_argument(a);
    buf_printf(&a->bytes, "%d %lld %.*s", r->origin.partition, (long long)r->origin.offset, SLICE_FMT(r->origin.topic));
    close_argument(a);
    if (r->cell) {
        put_number(a, r->cell->cell.seq);
        put_parents(a, r->cell->parents, r->cell->nparents);
        put_cell(a, &r->cell->cell);
    }
    send_script(c, CELLS_REDRIVE, t, 4);
}

static void check_nonce(struct slice nonce)
{
    if (nonce.len == 0 || nonce.len > NONCE_MAX || memchr(nonce.at, ' ', nonce.len))
        bug("a nonce of %zu bytes", nonce.len);
}

void cells_claim(struct cells *c, struct ticket t, const struct cells_claim *claim)
{
    struct arguments *a = &c->arguments;

    check_nonce(claim->nonce);
    arguments_begin(a);
    put_task_keys(c, claim->task_id);
    put_number(a, c->options.life_ms);
    put_number(a, claim->seq);
    put_parents(a, claim->parents, claim->nparents);
    put_argument(a, claim->nonce);
    put_number(a, claim->timeout_ms);
    send_script(c, CELLS_CLAIM, t, 4);
}

void cells_unclaim(struct cells *c, struct ticket t, struct slice task_id, int32_t seq, struct slice nonce)
{
    check_nonce(nonce);
    arguments_begin(&c->arguments);
    put_key(c, "claims:", task_id, "");
    put_number(&c->arguments, seq);
    put_argument(&c->arguments, nonce);
    send_script(c, CELLS_UNCLAIM, t, 1);
}

void cells_release(struct cells *c, struct ticket t, struct slice task_id)
{
    arguments_begin(&c->arguments);
    put_key(c, "claims:", task_id, "");
    send_script(c, CELLS_RELEASE, t, 1);
}

void cells_settle(struct cells *c, struct ticket t, const struct cells_settle *s)
{
    struct arguments *a = &c->arguments;
    struct buf done = BUF(DONE_TEXT_MAX);

    done_encode(&s->done, &done);
    if (done.failed)
        bug("a task was settled for the topic %.*s", SLICE_FMT(s->done.origin.topic));
    arguments_begin(a);
    put_key(c, "checkpoint:", s->task_id, "");
    put_key(c, "done:", s->task_id, "");
    put_key(c, "claims:", s->task_id, "");
    put_argument(a, buf_slice(&done));
    buf_free(&done);
    put_number(a, c->options.done_life_ms);
    put_number(a, s->done.redrives);
    put_argument(a, digest_slice(&s->last));
    put_number(a, s->keep);
    put_number(a, c->options.failed_life_ms);
    send_script(c, CELLS_SETTLE, t, 3);
}

void cells_cancel(struct cells *c, struct ticket t, struct slice task_id)
{
    arguments_begin(&c->arguments);
    put_key(c, "done:", task_id, "");
    put_key(c, "cancel:", task_id, "");
    put_number(&c->arguments, c->options.cancel_life_ms);
    send_script(c, CELLS_CANCEL, t, 2);
}
