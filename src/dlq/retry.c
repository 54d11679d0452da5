/* What goes by itself: letters that are tried again after a while, and letters that have been tried often enough. */
#include <stdio.h>

#include "redrive_parts.h"
#include "stepmill/clock.h"
#include "stepmill/random.h"
#include "store_parts.h"

enum { LOOK_MS = 2000, DECIDE_LOOK_MS = 60000 };

/* ---- Deciding over new letters */

struct decide_question {
    int32_t auto_redrives, park_after;
};
struct undecided {
    struct letter_row *rows;
    size_t n;
};

#define UNDECIDED                                                                                                                \
    "SELECT " LETTER_COLUMNS " FROM letters INDEXED BY letters_undecided WHERE (status = 0 AND status_at = failed_at AND "       \
    "(retryable = 1 OR redrives > 0)) AND "

/* Only letters about which nobody has decided anything: whoever unparks one wants it open. The conditions in brackets are those
 * of the index letters_undecided, word by word; it is by redrives, so that letters that nothing will be decided about, because no
 * redrives are made by themselves, are not walked over time and again. */
static struct error run(struct ask_place *place, void *question, struct answer *a)
{
    const struct decide_question *q = question;
    struct database *db = store_database(place->store);
    struct statement *st = database_prepare(
        db, UNDECIDED "redrives >= ?1 UNION ALL " UNDECIDED
                      "redrives < min(?1, ?2) AND retryable = 1 AND class IN ('exhausted', 'timeout') LIMIT 500");
    struct undecided *u = arena_alloc(a->arena, sizeof *u);

    _Static_assert(LETTER_OPEN == 0 && LETTERS_AT_ONCE == 500, "the numbers above");
    if (u)
        u->rows = arena_alloc(a->arena, LETTERS_AT_ONCE * sizeof *u->rows);
    statement_int(st, 1, q->park_after);
    statement_int(st, 2, q->auto_redrives);
    while (u && u->rows && u->n < LETTERS_AT_ONCE && statement_step(st))
        row_read(st, a->arena, &u->rows[u->n++]);
    statement_reset(st);
    a->result = u;
    return u && u->rows ? database_error(db)
                        : error_make(CLASS_INTERNAL, "out_of_memory", "no memory left to decide over letters");
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
    struct decide_question q = {r->config->dlq.auto_redrives, r->config->dlq.redrive.park_after};

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
