/* The way of a call: formatted, sent, answered exactly once; refused when it can't be sent. */
#include <stdlib.h>
#include <string.h>

#include "redis_private.h"

enum { OVERDUE_GRACE_MS = 50, NUMBER_ROOM = 24 };

static size_t digits_of(size_t n)
{
    size_t digits = 1;

    while (n /= 10)
        digits++;
    return digits;
}

static char *put_head(char *to, char mark, size_t n)
{
    size_t digits = digits_of(n);

    *to = mark;
    for (size_t i = digits; i > 0; i--, n /= 10)
        to[i] = (char)('0' + n % 10);
    memcpy(to + 1 + digits, "\r\n", 2);
    return to + digits + 3;
}

static char *put_argument(char *to, struct slice s)
{
    to = put_head(to, '$', s.len);
    if (s.len)
        memcpy(to, s.at, s.len);
    memcpy(to + s.len, "\r\n", 2);
    return to + s.len + 2;
}

static size_t argument_size(struct slice s) { return digits_of(s.len) + s.len + 5; }

struct call *redis_format(int script, const char *sha, const struct slice *args, size_t nargs)
{
    struct slice head[2] = {SLICE("EVALSHA"), {sha, SHA_LEN}};
    size_t nhead = script >= 0 ? 2 : 0, len = digits_of(nargs + nhead) + 3;
    struct call *call;
    char *to;

    for (size_t i = 0; i < nhead; i++)
        len += argument_size(head[i]);
    for (size_t i = 0; i < nargs; i++)
        len += argument_size(args[i]);
    call = malloc(sizeof *call + len + 1);
    if (!call)
        bug("out of memory for a Redis call of %zu bytes", len);
    *call = (struct call){.script = script, .len = len};
    to = put_head(call->bytes, '*', nargs + nhead);
    for (size_t i = 0; i < nhead; i++)
        to = put_argument(to, head[i]);
    call->tail = (size_t)(to - call->bytes);
    for (size_t i = 0; i < nargs; i++)
        to = put_argument(to, args[i]);
    *to = '\0'; /* hiredis looks at the first argument with strchr */
    return call;
}

static void tell(struct call *call, struct error error, struct slice detail, const struct redis_value *value)
{
    struct redis *r = call->redis;
    struct redis_answer answer = {error, detail, value};

    r->stats.errors += failed(error);
    r->in_callback++;
    call->fn(call->ctx, call->ticket, &answer);
    r->in_callback--;
    free(call);
}

static void refuse(struct call *call, struct error error)
{
    struct redis *r = call->redis;

    call->refused = error;
    list_append(&r->refused, &call->node);
    if (!loop_timer_is_set(&r->refuse_timer))
        loop_timer_set(&r->refuse_timer, 0);
}

/* Those that callbacks add meanwhile wait for the next turn. */
void redis_on_refused(void *redis)
{
    struct redis *r = redis;

    for (size_t n = r->refused.count; n > 0; n--) {
        struct call *call = list_entry(list_take_first(&r->refused), struct call, node);

        tell(call, call->refused, slice_of(r->why.text), NULL);
    }
    if (r->refused.count && r->state != STATE_CLOSING)
        loop_timer_set(&r->refuse_timer, 0);
}

static bool send_command(struct redis *r, struct call *call, const char *bytes, size_t len)
{
    if (!r->link || redisAsyncFormattedCommand(r->link->async, redis_on_reply, call, bytes, len) != REDIS_OK)
        return false;
    list_append(&r->sent, &call->node);
    r->stats.in_flight_bytes += call->len;
    if (!loop_timer_is_set(&r->timer))
        loop_timer_set(&r->timer, r->options.call_timeout_ms);
    return true;
}

static void submit(struct redis *r, struct call *call, struct ticket ticket, redis_fn *fn, void *ctx)
{
    call->redis = r;
    call->ticket = ticket;
    call->fn = fn;
    call->ctx = ctx;
    call->number = ++r->next_number;
    call->due_ms = loop_now_ms(r->loop) + r->options.call_timeout_ms;
    r->stats.calls++;
    if (r->state == STATE_CLOSING)
        refuse(call, error_make(CLASS_WAIT, "redis_closed", "the client of Redis is being closed"));
    else if (r->state != STATE_UP)
        refuse(call, error_make(CLASS_WAIT, "redis_down", "there is no connection to Redis that takes writes"));
    else if (r->sent.count >= r->options.max_calls || call->len > r->options.max_bytes - r->stats.in_flight_bytes)
        refuse(call, error_make(CLASS_WAIT, "redis_busy", "too many calls wait for Redis"));
    else if (!send_command(r, call, call->bytes, call->len))
        refuse(call, error_make(CLASS_WAIT, "redis_lost", "the connection to Redis ends"));
}

void redis_call(struct redis *r, struct ticket ticket, redis_fn *fn, void *ctx, const struct slice *args, size_t nargs)
{
    submit(r, redis_format(-1, NULL, args, nargs), ticket, fn, ctx);
}

void redis_eval(struct redis *r, int script, struct ticket ticket, redis_fn *fn, void *ctx, const struct slice *keys,
                size_t nkeys, const struct slice *args, size_t nargs)
{
    struct slice few[32], *all = few;
    size_t n = 1 + nkeys + nargs;
    char number[NUMBER_ROOM];

    if (script < 0 || script >= r->nscripts)
        bug("no Redis script %d", script);
    if (n > sizeof few / sizeof *few && !(all = malloc(n * sizeof *all)))
        bug("out of memory for a Redis call with %zu arguments", n);
    put_head(number, '$', nkeys);
    all[0] = (struct slice){number + 1, digits_of(nkeys)};
    memcpy(all + 1, keys, nkeys * sizeof *keys);
    if (nargs)
        memcpy(all + 1 + nkeys, args, nargs * sizeof *args);
    submit(r, redis_format(script, r->scripts[script].sha, all, n), ticket, fn, ctx);
    if (all != few)
        free(all);
}

void redis_refuse(struct redis *r, struct ticket ticket, redis_fn *fn, void *ctx, struct error error)
{
    struct call *call = redis_format(-1, NULL, NULL, 0);

    call->redis = r;
    call->ticket = ticket;
    call->fn = fn;
    call->ctx = ctx;
    refuse(call, error);
}

/* The server has forgotten the script (restart behind a proxy, SCRIPT FLUSH): the same call with its source, which it then keeps.
 */
static bool send_source(struct redis *r, struct call *call)
{
    struct slice head[2] = {SLICE("EVAL"), r->scripts[call->script].source};
    size_t mark = (size_t)((const char *)memchr(call->bytes, '\n', call->len) - call->bytes) + 1;
    size_t len = mark + argument_size(head[0]) + argument_size(head[1]) + call->len - call->tail;
    char *bytes = malloc(len), *to;
    bool sent;

    if (!bytes)
        return false;
    memcpy(bytes, call->bytes, mark);
    to = put_argument(bytes + mark, head[0]);
    to = put_argument(to, head[1]);
    memcpy(to, call->bytes + call->tail, call->len - call->tail);
    call->by_source = true;
    sent = send_command(r, call, bytes, len);
    free(bytes);
    return sent;
}

/* The connection ended before the answer. */
static void answer_lost(struct link *k, struct call *call)
{
    struct redis *r = call->redis;
    struct error error = error_make(CLASS_WAIT, "redis_lost", "the connection to Redis was lost before the answer came");

    if (r->state == STATE_CLOSING) {
        error = error_make(CLASS_WAIT, "redis_closed", "the client of Redis was closed");
    } else {
        r->state = STATE_APART; /* so that nothing is sent on what is dying; the link tells why in a moment */
        if (failed(k->culprit))
            error = k->culprit;
        k->culprit = error_none();
    }
    tell(call, error, (struct slice){NULL, 0}, NULL);
}

/* At most one line a second: the error of one call is often that of many. */
static void log_error_answer(struct redis *r, struct error error, const char *detail)
{
    if (r->error_logged_ms && loop_now_ms(r->loop) - r->error_logged_ms < 1000)
        return;
    r->error_logged_ms = loop_now_ms(r->loop);
    log_warn(r->log, "redis.error", LOG_ERROR(error), LOG_TEXT("detail", detail));
}

void redis_on_reply(redisAsyncContext *async, void *reply, void *pending)
{
    struct link *k = async->data;
    struct call *call = pending;
    struct redis *r = call->redis;
    const redisReply *answer = reply;
    bool outage;

    list_remove(&call->node);
    r->stats.in_flight_bytes -= call->len;
    if (!answer) {
        answer_lost(k, call);
        return;
    }
    k->unread = async->c.reader->len - async->c.reader->pos;
    if (answer->type != REDIS_REPLY_ERROR) {
        tell(call, error_none(), (struct slice){NULL, 0}, reply);
        return;
    }
    if (!strncmp(answer->str, "NOSCRIPT", 8) && call->script >= 0 && !call->by_source && send_source(r, call))
        return;
    struct error error = redis_error_of(answer->str, &outage);
    log_error_answer(r, error, answer->str);
    if (outage)
        redis_link_drain(r, error);
    tell(call, error, (struct slice){answer->str, answer->len}, NULL);
}

/* After a stall of this process the answers may lie in the socket unread: an overdue call gets another look after they were read.
 */
void redis_look_at_oldest(struct redis *r)
{
    const struct call *oldest = r->sent.first ? list_entry(r->sent.first, struct call, node) : NULL;
    struct error timeout = error_make(CLASS_WAIT, "redis_timeout", "Redis did not answer in time");
    int64_t left;

    if (!oldest)
        return;
    left = oldest->due_ms - loop_now_ms(r->loop);
    if (left > 0) {
        r->suspect = 0;
        loop_timer_set(&r->timer, left);
    } else if (r->suspect != oldest->number) {
        r->suspect = oldest->number;
        loop_timer_set(&r->timer, OVERDUE_GRACE_MS);
    } else {
        r->stats.timeouts++;
        redis_link_drop(r, timeout, timeout, "the connection is made anew");
    }
}
