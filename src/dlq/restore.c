/* Cells of failed tasks that Redis has lost, back from agent.events: so a redrive does not pay again for steps that were paid. */
#include <stdio.h>
#include <stdlib.h>

#include "redrive_parts.h"
#include "restore_scan.h"
#include "stepmill/event_codec.h"
#include "stepmill/wire_format.h"

enum { HISTORY_ARENA_MAX = 64 * 1024 * 1024, CALL_ARGS_MAX = 2 * HISTORY_CELLS_MAX + 2 };

/* As long as the cells of a dead-lettered task live (DESIGN §5). */
#define FAILED_LIFE_MS "2592000000"

/* Only where the hash holds no cell: whatever is there is the newer truth. KEYS: checkpoint. ARGV: life, then seq and cell. */
static const char script[] = "if redis.call('HLEN', KEYS[1]) > 0 then return 0 end\n"
                             "for i = 2, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end\n"
                             "redis.call('PEXPIRE', KEYS[1], ARGV[1])\n"
                             "return 1\n";

struct restore {
    struct redrives *redrives;
    struct redis *redis; /* NULL: none is configured */
    int script;
    uint64_t number; /* of the call under way: late answers miss */
    struct restore_task *tasks;
    size_t n, answers;
    bool outage;
    struct arena *arena;
    void (*done)(void *ctx, bool fine);
    void *ctx;
};

static void end(struct restore *x, bool fine)
{
    x->number++;
    x->done(x->ctx, fine);
}

static struct slice key_of(const struct restore *x, const char *name, struct slice task_id, struct buf *room)
{
    buf_clear(room);
    buf_put_text(room, x->redrives->config->redis.prefix);
    buf_put_text(room, name);
    buf_put_slice(room, task_id);
    return buf_slice(room);
}

/* ---- Putting back */

static void stored(void *ctx, struct ticket ticket, const struct redis_answer *answer)
{
    struct restore *x = ctx;

    if (ticket.task != x->number)
        return;
    x->outage = x->outage || failed(answer->error);
    if (!failed(answer->error) && redis_integer(answer->value) == 1)
        x->redrives->status.restored++;
    if (--x->answers == 0)
        end(x, !x->outage);
}

static void put_back(struct restore *x, const struct restore_task *t, const struct history *h)
{
    struct slice args[CALL_ARGS_MAX], key;
    char room[512];
    struct buf text = BUF_IN(room);
    size_t n = 0;

    args[n++] = SLICE(FAILED_LIFE_MS);
    for (int32_t seq = 0; seq < h->ncells; seq++) {
        const struct cell *c = &h->cells[seq];
        char number[16];
        struct buf digits = BUF_IN(number), value = BUF(16 * 1024 * 1024);

        buf_put_int(&digits, seq);
        buf_put_slice(&value, digest_slice(&c->digest));
        buf_put_slice(&value, c->bytes);
        args[n++] = arena_copy(h->arena, buf_slice(&digits));
        args[n++] = arena_copy(h->arena, buf_slice(&value));
        buf_free(&value);
    }
    if (arena_failed(h->arena)) {
        x->outage = true;
        return;
    }
    key = key_of(x, "checkpoint:", t->task_id, &text);
    x->answers++;
    redis_eval(x->redis, x->script, (struct ticket){x->number, 0}, stored, x, &key, 1, args, n);
}

/* ---- Which cells belong together */

/* The next cell of the history: of those at this seq the newest whose digest fits what it stands on. */
static bool add_cell(struct restore *x, struct history *h, const struct scan_task *found, int32_t seq, bool *pending)
{
    for (const struct scan_cell *c = found->newest; c; c = c->older) {
        const struct avro_plan *plan;
        struct event event;
        struct digest digest;
        struct slice avro;
        uint32_t id;
        struct error error;

        if (c->seq != seq || (seq > 0 && !history_follows(h, seq)))
            continue;
        digest = history_digest(h, seq, c->bytes);
        if (!digest_equal(&digest, &c->digest) || failed(wire_parse(c->bytes, &id, &avro)))
            continue;
        error = registry_plan(x->redrives->o.registry, id, &event_reader, &plan, NULL);
        *pending = *pending || error.class == CLASS_WAIT;
        if (failed(error) || failed(history_hold(h, seq, &digest, c->bytes)) ||
            failed(wire_parse(h->cells[seq].bytes, &id, &avro)) || failed(event_read(plan, avro, h->arena, &event, NULL)))
            return false;
        return !failed(history_apply(h, &event));
    }
    return false;
}

/* Whole, up to the failure that made the letter. */
static bool is_whole(const struct history *h, const struct restore_task *t)
{
    return h->phase == HISTORY_ENDED && h->end_kind == EVENT_FAILED && h->redrives == t->redrives;
}

static void restore_one(struct restore *x, struct restore_task *t, const struct scan_task *found, bool *pending)
{
    struct arena *arena = arena_new(HISTORY_ARENA_MAX);
    struct history h;

    if (!arena)
        return;
    history_init(&h, arena);
    for (int32_t seq = 0; seq < HISTORY_CELLS_MAX && add_cell(x, &h, found, seq, pending); seq++)
        if (is_whole(&h, t))
            break;
    t->found = is_whole(&h, t);
    if (t->found && !*pending)
        put_back(x, t, &h);
    arena_free(arena);
}

static void scanned(void *ctx, uint64_t ticket, void *question, struct answer *a)
{
    struct restore *x = ctx;
    struct scan_question *q = question;
    const struct scan_task *found = a->result;
    struct slice example = {NULL, 0};
    uint64_t lost = 0;
    bool pending = false;

    (void)ticket;
    if (failed(a->error)) {
        log_warn(x->redrives->o.log, "dlq.restore_failed", LOG_ERROR(a->error), LOG_TEXT("detail", a->detail));
        end(x, false);
        return;
    }
    x->answers = 1; /* ours: so that an answer that comes at once does not end it */
    x->outage = false;
    for (size_t i = 0; i < q->n && !pending; i++) {
        struct restore_task *t = q->tasks[i];

        restore_one(x, t, &found[i], &pending);
        if (!t->found && !pending && !lost++)
            example = t->task_id;
    }
    x->redrives->status.not_restored += lost;
    if (lost)
        log_warn(x->redrives->o.log, "dlq.cells_lost", LOG_INT("tasks", lost), LOG_SLICE("task_id", example),
                 LOG_TEXT("action", "neither Redis nor agent.events holds all their steps: they run from their beginning"));
    x->outage = x->outage || pending;
    if (--x->answers == 0)
        end(x, !x->outage);
}

/* ---- Which are missing */

static void look_into_events(struct restore *x)
{
    struct restore_task **missing = arena_alloc(x->arena, (x->n + 1) * sizeof(struct restore_task *));
    struct scan_question q = {.tasks = missing, .config = x->redrives->config};

    for (size_t i = 0; missing && i < x->n; i++)
        if (x->tasks[i].missing)
            missing[q.n++] = &x->tasks[i];
    if (!missing || !q.n) {
        end(x, missing != NULL);
        return;
    }
    scan_sort(missing, q.n);
    log_info(x->redrives->o.log, "dlq.restore", LOG_INT("tasks", q.n));
    (void)ask(x->redrives->o.asks, ASK_SLOW, scan_run, scanned, x, &q, sizeof q);
}

static void counted(void *ctx, struct ticket ticket, const struct redis_answer *answer)
{
    struct restore *x = ctx;

    if (ticket.task != x->number)
        return;
    x->outage = x->outage || failed(answer->error);
    if (!failed(answer->error))
        x->tasks[ticket.attempt].missing = !x->tasks[ticket.attempt].forget && redis_integer(answer->value) == 0;
    if (--x->answers > 0)
        return;
    if (x->outage)
        end(x, false);
    else
        look_into_events(x);
}

/* From the start: cells and claims go, and the worker finds a task that failed without a trace of its steps (DELIVERY §3, row d).
 * It has ended, for nothing newer than its letter is known; if the record is never sent, its events still hold the steps. */
static void look_or_forget(struct restore *x, size_t i)
{
    const struct restore_task *t = &x->tasks[i];
    const struct ticket ticket = {x->number, (uint32_t)i};
    char cells[512], claims[512];
    struct buf cells_key = BUF_IN(cells), claims_key = BUF_IN(claims);
    struct slice args[] = {t->forget ? SLICE("UNLINK") : SLICE("HLEN"), key_of(x, "checkpoint:", t->task_id, &cells_key),
                           key_of(x, "claims:", t->task_id, &claims_key)};

    redis_call(x->redis, ticket, counted, x, args, t->forget ? 3 : 2);
}

void restore_tasks(struct restore *x, struct restore_task *tasks, size_t n, struct arena *arena,
                   void (*done)(void *ctx, bool fine), void *ctx)
{
    x->number++;
    x->tasks = tasks;
    x->n = x->answers = n;
    x->arena = arena;
    x->outage = false;
    x->done = done;
    x->ctx = ctx;
    if (!x->redis) {
        end(x, true);
        return;
    }
    for (size_t i = 0; i < n; i++)
        look_or_forget(x, i);
}

void restore_cancel(struct restore *x)
{
    if (x)
        x->number++;
}

struct error restore_new(struct redrives *r, struct restore **out)
{
    const struct config_redis *c = &r->config->redis;
    struct restore *x = calloc(1, sizeof *x);
    char probe[256];
    struct error error;

    *out = x;
    if (!x)
        return error_make(CLASS_INTERNAL, "out_of_memory", "no memory left at start");
    x->redrives = r;
    if (!c->url) {
        log_warn(r->o.log, "dlq.no_redis",
                 LOG_TEXT("action", "set redis.url: without it the steps of a task that Redis has lost are paid again"));
        return error_none();
    }
    snprintf(probe, sizeof probe, "%sprobe", c->prefix);
    error = redis_new(r->o.loop, r->o.log,
                      &(struct redis_options){.url = c->url,
                                              .user = c->username,
                                              .password = c->password.value,
                                              .ca_file = c->tls.ca_file,
                                              .cert_file = c->tls.certificate_file,
                                              .key_file = c->tls.key_file,
                                              .client_name = "stepmill-dlq",
                                              .probe_key = probe,
                                              .connect_timeout_ms = c->connect_timeout_ms,
                                              .call_timeout_ms = c->timeout_ms},
                      &x->redis);
    if (!failed(error))
        x->script = redis_script(x->redis, (struct slice){script, sizeof script - 1});
    return error;
}

void restore_free(struct restore *x)
{
    if (!x)
        return;
    x->number++;
    redis_free(x->redis);
    free(x);
}
