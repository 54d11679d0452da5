/* Redrive jobs: which one goes on, how fast, and when it is over. */
#include <stdio.h>
#include <stdlib.h>

#include "redrive_parts.h"
#include "stepmill/clock.h"
#include "store_parts.h"

enum { CANARY_MS = 1000, CANARY_MAX = 1000, JOB_ARENA_MAX = 16 * 1024 * 1024 };

/* ---- What the index says of jobs */

struct job_facts {
    struct job_row row;
    bool was_resumed; /* somebody let it go on */
    int64_t silent;   /* letters of its canary of whose end nobody will hear */
};
struct jobs_found {
    struct job_facts *at;
    size_t n;
};

/* Only people resume. Whoever does it once the canary is out or has failed wants the others sent: a second pause would make
 * `resume` useless. */
static bool was_resumed(struct store *s, struct slice job)
{
    struct statement *st = database_prepare(
        store_database(s),
        "SELECT 1 FROM actions INDEXED BY actions_job_own WHERE job = ?1 AND letter IS NULL AND kind = 'job_resumed'");
    bool found;

    statement_text(st, 1, job);
    found = statement_step(st);
    statement_reset(st);
    return found;
}

/* Only tasks tell their end (letter_is_of_task), and only if their events are kept. Of a job that is through with its canary it
 * is not asked: that would walk along all its letters at each look. */
static int64_t silent_of(const struct ask_place *place, const struct job_row *row)
{
    struct statement *st;
    int64_t n;

    if (row->sent > CANARY_MAX)
        return 0;
    st = database_prepare(
        store_database(place->store),
        "SELECT count(*) FROM job_letters j JOIN letters l ON l.id = j.letter WHERE j.job = ?1 AND j.sent = 1 AND "
        "(l.family <> ?2 OR l.task_id IS NULL OR l.code IS 'task_id_conflict' OR ?3)");
    statement_text(st, 1, row->id);
    statement_int(st, 2, LETTER_FAMILY_STEPMILL);
    statement_int(st, 3, !place->tasks);
    n = statement_step(st) ? statement_int_at(st, 0) : 0;
    statement_reset(st);
    return n;
}

static struct error run(struct ask_place *place, void *question, struct answer *a)
{
    struct jobs_found *found = arena_alloc(a->arena, sizeof *found);
    struct job_page page;
    struct error error;

    (void)question;
    if (!found)
        return error_make(CLASS_INTERNAL, "out_of_memory", "no memory left to look at jobs");
    error = store_jobs(place->store, true, 0, JOBS_MAX, a->arena, &page);
    if (failed(error))
        return error;
    found->at = arena_alloc(a->arena, (page.n + 1) * sizeof *found->at);
    for (size_t i = 0; found->at && i < page.n; i++)
        found->at[found->n++] =
            (struct job_facts){page.rows[i], was_resumed(place->store, page.rows[i].id), silent_of(place, &page.rows[i])};
    a->result = found;
    return found->at ? database_error(store_database(place->store))
                     : error_make(CLASS_INTERNAL, "out_of_memory", "no memory left to look at jobs");
}

/* ---- What we remember of them */

static void control_free(struct job_control *c)
{
    arena_free(c->arena);
    free(c);
}

void jobs_free(struct redrives *r)
{
    for (size_t i = 0; i < r->njobs; i++)
        control_free(r->jobs[i]);
    r->njobs = 0;
}

static struct job_control *control_of(struct redrives *r, struct slice id)
{
    for (size_t i = 0; i < r->njobs; i++)
        if (slice_is(id, r->jobs[i]->id))
            return r->jobs[i];
    return NULL;
}

/* Null: not now; an outage of the registry, or no memory. */
static struct job_control *make_control(struct redrives *r, const struct job_row *row)
{
    struct job_control *c;
    const struct avro_plan *plan;
    struct detail detail = {""};
    struct slice body;

    if (row->id.len >= sizeof c->id || r->njobs == JOBS_MAX || !row->body.at ||
        failed(registry_plan(r->o.registry, row->schema_id, &action_reader, &plan, &detail)))
        return NULL;
    c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->arena = arena_new(JOB_ARENA_MAX);
    body = c->arena ? arena_copy(c->arena, row->body) : (struct slice){NULL, 0};
    if (!body.at || failed(action_read(plan, body, c->arena, &c->request, &detail))) {
        control_free(c);
        return NULL;
    }
    memcpy(c->id, row->id.at, row->id.len);
    r->jobs[r->njobs++] = c;
    return c;
}

static void forget_ended(struct redrives *r)
{
    size_t n = 0;

    for (size_t i = 0; i < r->njobs; i++) {
        if (r->jobs[i]->seen)
            r->jobs[n++] = r->jobs[i];
        else
            control_free(r->jobs[i]);
    }
    r->njobs = n;
}

/* ---- Pace */

static int64_t rate_of(const struct redrives *r, const struct job_control *c)
{
    int64_t most = r->config->dlq.redrive.rate;

    return c->request.rate > 0 && c->request.rate < most ? c->request.rate : most;
}

void jobs_sent(struct redrives *r, struct sending *s)
{
    struct job_control *c = s->job;

    r->status.sent += s->sent;
    r->status.skipped += s->skipped;
    if (!c) {
        r->status.sent_by_itself += s->sent;
        pace_pay(&r->retries, r->config->dlq.redrive.rate, s->sent);
        return;
    }
    pace_pay(&c->pace, rate_of(r, c), s->sent);
    c->cursor = s->cursor;
    for (int v = 0; v < REDRIVE_VERDICTS; v++)
        c->skipped[v] += s->skipped_by[v];
}

/* ---- One job's next step */

static void pause_canary(struct redrives *r, const struct job_facts *f)
{
    char id[37], text[200];
    struct action a = redrives_action(r, id, ACTION_JOB_PAUSED);

    if (f->row.failed_again > 0)
        snprintf(text, sizeof text, "%lld of the first %lld letters failed again: resume the job to send the others all the same",
                 (long long)f->row.failed_again, (long long)f->row.sent);
    else
        snprintf(text, sizeof text,
                 "how the first %lld letters end cannot be seen from here: look at them, then resume the job to send the others",
                 (long long)f->row.sent);
    a.job = f->row.id;
    a.name = SLICE("canary");
    a.reason = slice_of(text);
    if (step_add(r, &a))
        step_ready(r);
    else
        step_end(r, AGAIN_MS);
}

void jobs_finish(struct redrives *r, const struct job_control *c)
{
    char id[37];
    struct action a = redrives_action(r, id, ACTION_JOB_FINISHED);
    struct action_count counts[REDRIVE_VERDICTS + 1];
    size_t n = 0;

    counts[n++] = (struct action_count){SLICE("sent"), c->sent};
    for (int v = 0; v < REDRIVE_VERDICTS; v++)
        if (c->skipped[v])
            counts[n++] = (struct action_count){slice_of(redrive_verdict_name((enum redrive_verdict)v)), c->skipped[v]};
    a.job = slice_of(c->id);
    a.counts = counts;
    a.ncounts = n;
    if (step_add(r, &a))
        step_ready(r);
    else
        step_end(r, AGAIN_MS);
}

enum next { NEXT_WAIT, NEXT_SELECT, NEXT_PAUSE, NEXT_SEND, NEXT_FINISH };

/* What the job wants; `limit`: letters that may go, `wait_ms`: when to look again. */
static enum next next_of(const struct redrives *r, struct job_control *c, const struct job_facts *f, size_t *limit,
                         int64_t *wait_ms)
{
    const struct job_row *row = &f->row;
    int64_t canary = c->request.canary;
    /* While the canary is not out `resume` means no more than that the job goes on. */
    bool passed = f->was_resumed && (row->sent >= canary || row->failed_again > 0);

    *wait_ms = INT64_MAX;
    if (row->state == JOB_PAUSED)
        return NEXT_WAIT;
    if (!row->selected_all)
        return NEXT_SELECT;
    if (row->sent >= row->selected)
        return NEXT_FINISH;
    *limit = pace_allows(&c->pace, rate_of(r, c), r->at_once, wait_ms);
    if (canary > 0 && !passed && row->sent <= canary) { /* more are sent only once it has passed */
        if (row->failed_again > 0)
            return NEXT_PAUSE;
        if (row->sent == canary && row->completed < canary) {
            if (row->completed + f->silent >= canary)
                return NEXT_PAUSE;
            *wait_ms = CANARY_MS;
            return NEXT_WAIT;
        }
        if (row->sent<canary && * limit>(size_t)(canary - row->sent))
            *limit = (size_t)(canary - row->sent);
    }
    return *limit ? NEXT_SEND : NEXT_WAIT;
}

static void go_on(struct redrives *r, struct job_control *c, const struct job_facts *f, enum next next, size_t limit)
{
    c->served = ++r->rounds;
    switch (next) {
    case NEXT_SELECT:
        select_letters_of(r, c);
        break;
    case NEXT_PAUSE:
        pause_canary(r, f);
        break;
    case NEXT_FINISH:
        jobs_finish(r, c);
        break;
    default:
        r->step.sending = (struct sending){.job = c, .cursor = c->cursor};
        load_and_send(r,
                      &(struct load_question){.source = LOAD_JOB, .job = slice_of(c->id), .cursor = c->cursor, .limit = limit});
        break;
    }
}

/* The job that waited longest of those that can go on. */
static void choose(struct redrives *r, const struct jobs_found *found)
{
    struct job_control *best = NULL;
    const struct job_facts *facts = NULL;
    enum next what = NEXT_WAIT;
    size_t most = 0;
    int64_t again = INT64_MAX;

    for (size_t i = 0; i < found->n; i++) {
        struct job_control *c = control_of(r, found->at[i].row.id);
        size_t limit = 0;
        int64_t wait_ms;
        enum next next;

        if (!c)
            c = make_control(r, &found->at[i].row);
        if (!c) {
            again = AGAIN_MS;
            continue;
        }
        c->seen = true;
        c->sent = found->at[i].row.sent;
        next = next_of(r, c, &found->at[i], &limit, &wait_ms);
        if (wait_ms < again)
            again = wait_ms;
        if (next != NEXT_WAIT && (!best || c->served < best->served)) {
            best = c;
            facts = &found->at[i];
            what = next;
            most = limit;
        }
    }
    forget_ended(r);
    if (best)
        go_on(r, best, facts, what, most);
    else
        step_end(r, again == INT64_MAX ? -1 : again);
}

static void done(void *ctx, uint64_t ticket, void *question, struct answer *a)
{
    struct redrives *r = ctx;

    (void)ticket;
    (void)question;
    r->step.ask = 0;
    if (failed(a->error)) {
        step_fail(r, a->error, a->detail);
        return;
    }
    for (size_t i = 0; i < r->njobs; i++)
        r->jobs[i]->seen = false;
    choose(r, a->result);
}

void jobs_work(struct redrives *r)
{
    if (r->config->dlq.access.read_only)
        r->due_ms[WORK_JOBS] = INT64_MAX;
    else if (step_begin(r, WORK_JOBS))
        r->step.ask = ask(r->o.asks, ASK_INDEX, run, done, r, "", 1);
}
