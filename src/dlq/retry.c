/* What goes by itself: letters that are tried again after a while, and letters that have been tried often enough. */
#include <stdio.h>

#include "redrive_parts.h"
#include "stepmill/clock.h"
#include "stepmill/random.h"
#include "store_parts.h"

/* A letter that is so much older than its retry should be is left to people: what was decided about it may be gone from the
 * topic, and nobody waits for its task any more. */
enum { LOOK_MS = 2000, DECIDE_LOOK_MS = 60000, TOO_OLD_MS = 7 * 24 * 60 * 60 * 1000 };

/* ---- Deciding over new letters */

struct decide_question {
    int32_t auto_redrives, park_after;
    int64_t failed_after_ms;
};
struct undecided {
    struct letter_row *rows;
    size_t n;
};

#define UNDECIDED                                                                                                                \
    "SELECT " LETTER_COLUMNS " FROM letters INDEXED BY letters_undecided WHERE (status = 0 AND status_at = failed_at AND "       \
    "(retryable = 1 OR redrives > 0)) AND "

static void take(struct statement *st, struct undecided *u, struct arena *arena)
{
    while (u->n < LETTERS_AT_ONCE && statement_step(st))
        row_read(st, arena, &u->rows[u->n++]);
    statement_reset(st);
}

/* Only letters about which nobody has decided anything: whoever unparks one wants it open. The conditions in brackets are those
 * of the index letters_undecided, word by word; it is by redrives, then by num, so that letters that nothing will be decided
 * about, because no redrives are made by themselves or because they are too old, are not walked over time and again. */
static struct error run(struct ask_place *place, void *question, struct answer *a)
{
    const struct decide_question *q = question;
    struct database *db = store_database(place->store);
    int32_t most = q->auto_redrives < q->park_after ? q->auto_redrives : q->park_after;
    struct undecided *u = arena_alloc(a->arena, sizeof *u);
    struct statement *st = database_prepare(db, UNDECIDED "redrives >= ?1 LIMIT 500");

    _Static_assert(LETTER_OPEN == 0 && LETTERS_AT_ONCE == 500, "the numbers above");
    if (u)
        u->rows = arena_alloc(a->arena, LETTERS_AT_ONCE * sizeof *u->rows);
    if (!u || !u->rows)
        return error_make(CLASS_INTERNAL, "out_of_memory", "no memory left to decide over letters");
    a->result = u;
    statement_int(st, 1, q->park_after);
    take(st, u, a->arena);
    st = database_prepare(db, UNDECIDED "redrives = ?1 AND num >= ?2 AND retryable = 1 AND class IN ('exhausted', 'timeout') "
                                        "LIMIT 500");
    for (int32_t redrives = 0; redrives < most && u->n < LETTERS_AT_ONCE; redrives++) {
        statement_int(st, 1, redrives);
        statement_int(st, 2, num_at(q->failed_after_ms));
        take(st, u, a->arena);
    }
    return database_error(db);
}

static bool park(struct redrives *r, const struct letter_row *row)
{
    char id[37], text[80];
    struct action a = redrives_action(r, id, ACTION_PARKED);

    snprintf(text, sizeof text, "it has failed again after %d redrives", row->letter.redrives);
    a.letter = row->letter.id;
    a.group = slice_of(row->letter.fingerprint);
    a.reason = slice_of(text);
    r->step.count = &r->status.parked;
    r->step.counted++;
    return step_add(r, &a);
}

static bool schedule(struct redrives *r, const struct letter_row *row)
{
    char id[37];
    struct action a = redrives_action(r, id, ACTION_RETRY_SCHEDULED);
    int64_t failed_at = row->letter.failed_at_ms < a.at_ms ? row->letter.failed_at_ms : a.at_ms; /* a header of anybody's */
    int64_t due = failed_at + r->config->dlq.retry.after_ms, jitter = r->config->dlq.retry.jitter_ms;

    if (due < a.at_ms) /* found late: after a pause of the processor they must not all go at once */
        due = a.at_ms;
    if (jitter > 0)
        due += (int64_t)random_below(&r->seed, (uint64_t)jitter);
    a.letter = row->letter.id;
    a.group = slice_of(row->letter.fingerprint);
    a.due_at_ms = due;
    a.redrives = row->letter.redrives + 1;
    r->step.count = &r->status.scheduled;
    r->step.counted++;
    return step_add(r, &a);
}

static void decided(void *ctx, uint64_t ticket, void *question, struct answer *a)
{
    struct redrives *r = ctx;
    struct undecided *u = a->result;
    bool fine = true;

    (void)ticket;
    (void)question;
    r->step.ask = 0;
    if (failed(a->error)) {
        step_fail(r, a->error, a->detail);
        return;
    }
    if (step_is_old(r)) {
        step_end(r, 0);
        return;
    }
    for (size_t i = 0; fine && i < u->n; i++)
        fine = u->rows[i].letter.redrives >= r->config->dlq.redrive.park_after ? park(r, &u->rows[i]) : schedule(r, &u->rows[i]);
    if (fine)
        step_ready(r);
    else
        step_end(r, AGAIN_MS);
}

void decide_work(struct redrives *r)
{
    const struct config_dlq *c = &r->config->dlq;
    struct decide_question q = {c->auto_redrives, c->redrive.park_after, clock_wall_ms() - c->retry.after_ms - TOO_OLD_MS};

    r->due_ms[WORK_DECIDE] = INT64_MAX;
    if (r->config->dlq.access.read_only || !step_begin(r, WORK_DECIDE))
        return;
    work_due(r, WORK_DECIDE, DECIDE_LOOK_MS);
    r->step.ask = ask(r->o.asks, ASK_INDEX, run, decided, r, &q, sizeof q);
}

/* ---- Sending those whose time has come */

/* At the pace of a job: what fell due together, while the processor was away or by one outage, is no storm. */
void due_work(struct redrives *r)
{
    int64_t wait_ms = 0;
    size_t limit;

    r->due_ms[WORK_DUE] = INT64_MAX;
    if (r->config->dlq.access.read_only)
        return;
    limit = pace_allows(&r->retries, r->config->dlq.redrive.rate, r->at_once, &wait_ms);
    if (!limit) {
        work_due(r, WORK_DUE, wait_ms);
        return;
    }
    if (!step_begin(r, WORK_DUE))
        return;
    work_due(r, WORK_DUE, LOOK_MS);
    load_and_send(r, &(struct load_question){.source = LOAD_DUE, .until_ms = clock_wall_ms(), .limit = limit});
}
