/* The operations on a task's state: each one script, one round trip. */
#include "stepmill/cells.h"

#include <stdio.h>
#include <stdlib.h>

#include "cells_private.h"
#include "stepmill/embedded.h"
#include "stepmill/random.h"

extern const struct embedded_file lua_files[];
extern const size_t lua_files_count;

enum {
    SCRIPT_SIZE_MAX = 64 << 10,
    CONSTANTS_MAX = 4 << 10,
    AGENT_TOKENS_AT = 6 /* in KEYS, from 1 */,
    NONCE_MAX = 64,
    DAY_MAX = 99991231
};

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

static void put_constants(struct buf *to, const struct cells_options *o)
{
    const struct {
        const char *name;
        int64_t ms;
    } lives[] = {
        {"LIFE", o->life_ms},
        {"FAILED_LIFE", o->failed_life_ms},
        {"DONE_LIFE", o->done_life_ms},
        {"CANCEL_LIFE", o->cancel_life_ms},
        {"SESSION_LIFE", o->session_life_ms},
        {"AGENT_TOKENS_LIFE", o->agent_tokens_life_ms},
        {"SESSION_TOKENS_LIFE", o->session_tokens_life_ms},
    };

    for (size_t i = 0; i < sizeof lives / sizeof *lives; i++)
        buf_printf(to, "local %s = '%lld'\n", lives[i].name, (long long)lives[i].ms);
    buf_printf(to, "local SESSION_MESSAGES, SESSION_BYTES = %d, %lld\n", o->session_messages, (long long)o->session_bytes);
}

static bool add_script(struct cells *c, enum cells_op op, struct slice constants)
{
    struct buf *source = &c->sources[op];
    char name[32];
    struct slice text;

    snprintf(name, sizeof name, "%s.lua", cells_op_name(op));
    text = embedded_find(lua_files, lua_files_count, name);
    if (!text.at)
        bug("%s is not embedded", name);
    *source = BUF(SCRIPT_SIZE_MAX);
    buf_put_slice(source, constants);
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
    struct buf constants = BUF(CONSTANTS_MAX);
    uint8_t process[8];

    if (made) {
        c->redis = r;
        c->log = log;
        random_bytes(process, sizeof process);
        hex_encode(c->process, process, sizeof process);
        c->options = *options;
        c->options.prefix = c->prefix;
        memcpy(c->prefix, prefix, strlen(prefix) + 1);
        c->arguments.bytes = BUF(ARGUMENTS_MAX);
        fill(&c->options);
        put_constants(&constants, &c->options);
        made = !constants.failed;
    }
    for (int op = 0; made && op < CELLS_OPS; op++)
        made = add_script(c, (enum cells_op)op, buf_slice(&constants));
    buf_free(&constants);
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
    free(c->found);
    free(c);
}

static void put_task_keys(struct cells *c, struct slice task_id)
{
    put_key(c, "checkpoint:", task_id, "");
    put_key_again(c, "done:", task_id);
    put_key_again(c, "cancel:", task_id);
    put_key_again(c, "claims:", task_id);
}

/* The place in KEYS of the agent's counter for that day, which is added to `days` when it is new; 0: no memory. */
static size_t day_place(struct cells *c, int32_t day)
{
    for (size_t i = 0; i < c->ndays; i++)
        if (c->days[i] == day)
            return AGENT_TOKENS_AT + i;
    if (c->ndays == DAYS_MAX)
        return AGENT_TOKENS_AT + DAYS_MAX - 1; /* a history of so many days, offered anew: the last counts for the rest */
    c->days[c->ndays++] = day;
    return AGENT_TOKENS_AT + c->ndays - 1;
}

static void put_token_keys(struct cells *c, const struct cells_record *r)
{
    c->ndays = 0;
    for (size_t i = 0; i < r->ncells; i++) {
        size_t known = c->ndays;
        char day[] = ":00000000";

        if (!r->cells[i].tokens)
            continue;
        if (r->cells[i].tokens < 0 || r->cells[i].day <= 0 || r->cells[i].day > DAY_MAX)
            bug("%lld tokens on day %d", (long long)r->cells[i].tokens, r->cells[i].day);
        if (known == 0)
            put_key(c, "tokens:session:", r->session_id, "");
        (void)day_place(c, r->cells[i].day);
        for (int32_t place = 8, rest = r->cells[i].day; place > 0; place--, rest /= 10)
            day[place] = (char)('0' + rest % 10);
        if (c->ndays > known)
            put_key(c, "tokens:", r->agent, day);
    }
}

static void put_head(struct arguments *a, const struct cells_record *r)
{
    int32_t first = r->group_first, at = r->group_first;

    for (size_t i = 0; i < r->ncells; i++)
        if (r->cells[i].cell.seq < first)
            first = r->cells[i].cell.seq;
    open_argument(a);
    put_seq(&a->bytes, first);
    put_seq(&a->bytes, r->messages_seq + 1);
    for (uint64_t held = r->held; held; held >>= 1, at++)
        if (held & 1)
            put_seq(&a->bytes, at);
    close_argument(a);
}

static void put_record_cell(struct cells *c, const struct cells_write *w)
{
    struct arguments *a = &c->arguments;

    if (w->above <= w->cell.seq || w->nparents > UINT8_MAX)
        bug("cell %d with %d above it and %zu parents", w->cell.seq, w->above, w->nparents);
    open_argument(a);
    put_seq(&a->bytes, w->cell.seq);
    put_seq(&a->bytes, w->above);
    buf_put_byte(&a->bytes, (char)(w->tokens ? day_place(c, w->day) : 0));
    buf_put_byte(&a->bytes, (char)w->nparents);
    append_parents(&a->bytes, w->parents, w->nparents);
    buf_put_int(&a->bytes, w->tokens);
    close_argument(a);
    put_cell(a, &w->cell);
}

void cells_record(struct cells *c, struct ticket t, const struct cells_record *r)
{
    struct arguments *a = &c->arguments;
    size_t nkeys;

    arguments_begin(a);
    put_task_keys(c, r->task_id);
    put_token_keys(c, r);
    if (r->messages_seq >= 0)
        put_key(c, "session:", r->session_id, ":messages");
    nkeys = a->count;
    put_number(a, r->life_ms > 0 ? r->life_ms : c->options.life_ms);
    put_head(a, r);
    for (size_t i = 0; i < r->ncells; i++)
        put_record_cell(c, &r->cells[i]);
    if (r->messages_seq >= 0) {
        put_argument(a, r->messages[0]);
        put_argument(a, r->messages[1]);
    }
    send_script(c, CELLS_RECORD, t, nkeys);
}

void cells_redrive(struct cells *c, struct ticket t, const struct cells_redrive *r)
{
    struct arguments *a = &c->arguments;

    if (r->redrives < 1)
        bug("redrive number %d", r->redrives);
    arguments_begin(a);
    put_task_keys(c, r->task_id);
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

void cells_stand_back(struct cells *c, struct ticket t, struct slice task_id)
{
    arguments_begin(&c->arguments);
    put_key(c, "claims:", task_id, "");
    put_argument(&c->arguments, slice_of(c->process));
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
    put_key_again(c, "done:", s->task_id);
    put_key_again(c, "claims:", s->task_id);
    put_argument(a, buf_slice(&done));
    buf_free(&done);
    put_number(a, s->done.redrives);
    put_argument(a, digest_slice(&s->last));
    put_number(a, s->keep);
    send_script(c, CELLS_SETTLE, t, 3);
}

void cells_cancel(struct cells *c, struct ticket t, struct slice task_id)
{
    arguments_begin(&c->arguments);
    put_key(c, "done:", task_id, "");
    put_key(c, "cancel:", task_id, "");
    send_script(c, CELLS_CANCEL, t, 2);
}
