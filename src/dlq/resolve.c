/* How redrives ended: letters whose task has come to an end since are resolved. */
#include "redrive_parts.h"
#include "stepmill/clock.h"
#include "store_parts.h"

/* A failed task without a dead letter of its own (limit, refusal) is told after a while: the letter may still be on its way. */
enum { LOOK_MS = 2000, IDLE_MS = 5000, FAILED_MS = 60000 };

struct resolve_question {
    int64_t cursor;
};
struct sent_letter {
    struct letter_row row;
    struct slice task_id; /* that was sent: another one where it was edited; absent: none whose end is this letter's */
    int32_t redrives;
    struct task_outcome outcome;
};
struct sent_letters {
    struct sent_letter *at;
    size_t n;
    int64_t next;
};

static void what_was_sent(struct store *s, struct arena *arena, struct sent_letter *x)
{
    struct statement *st = database_prepare(
        store_database(s), "SELECT name, detail FROM actions INDEXED BY actions_letter WHERE letter = ?1 AND kind = "
                           "'redriven' ORDER BY num DESC LIMIT 1");

    x->task_id = letter_is_of_task(&x->row.letter) ? x->row.letter.task_id : (struct slice){NULL, 0};
    x->redrives = x->row.letter.redrives + x->row.sent;
    statement_text(st, 1, x->row.letter.id);
    if (statement_step(st) && slice_is(statement_text_at(st, 0), "edited")) {
        x->task_id = store_text(st, 1, arena);
        x->redrives = 0;
    }
    statement_reset(st);
}

static struct error run(struct ask_place *place, void *question, struct answer *a)
{
    const struct resolve_question *q = question;
    const struct letter_filter filter = {.statuses = 1U << LETTER_REDRIVEN, .family = LETTER_FAMILY_STEPMILL + 1};
    struct sent_letters *found = arena_alloc(a->arena, sizeof *found);
    struct task_outcome *outcomes = arena_alloc(a->arena, LETTERS_AT_ONCE * sizeof *outcomes);
    struct slice *ids = arena_alloc(a->arena, LETTERS_AT_ONCE * sizeof *ids);
    struct letter_page page;
    struct error error;

    a->result = found;
    if (!found || !outcomes || !ids)
        return error_make(CLASS_INTERNAL, "out_of_memory", "no memory left to resolve letters");
    if (!place->tasks)
        return error_none();
    error = store_letters(place->store, &filter, STORE_OLDEST_FIRST, q->cursor, LETTERS_AT_ONCE, a->arena, &page);
    if (failed(error) || !page.n)
        return error;
    found->at = arena_alloc(a->arena, page.n * sizeof *found->at);
    for (size_t i = 0; found->at && i < page.n; i++) {
        found->at[i].row = page.rows[i];
        what_was_sent(place->store, a->arena, &found->at[i]);
        ids[i] = found->at[i].task_id;
    }
    if (!found->at)
        return error_make(CLASS_INTERNAL, "out_of_memory", "no memory left to resolve letters");
    error = tasks_outcomes(place->tasks, ids, page.n, outcomes);
    for (size_t i = 0; !failed(error) && i < page.n; i++)
        found->at[i].outcome = outcomes[i];
    found->n = failed(error) ? 0 : page.n;
    found->next = page.next;
    return error;
}

/* NULL: not known yet. */
static const char *end_of(const struct sent_letter *x)
{
    if (x->outcome.redrives < x->redrives)
        return NULL;
    switch (x->outcome.status) {
    case TASK_COMPLETED:
        return "completed";
    case TASK_CANCELLED:
        return "cancelled";
    case TASK_FAILED:
        return x->outcome.last_ms < clock_wall_ms() - FAILED_MS ? "failed" : NULL;
    default:
        return NULL;
    }
}

static bool add_resolved(struct redrives *r, const struct sent_letter *x, const char *end)
{
    char id[37];
    struct action a = redrives_action(r, id, ACTION_RESOLVED);

    a.letter = x->row.letter.id;
    a.group = slice_of(x->row.letter.fingerprint);
    a.name = slice_of(end);
    a.redrives = x->redrives;
    a.task_id = x->task_id;
    r->step.count = &r->status.resolved;
    r->step.counted++;
    return step_add(r, &a);
}

static void resolved(void *ctx, uint64_t ticket, void *question, struct answer *a)
{
    struct redrives *r = ctx;
    struct sent_letters *found = a->result;
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
    r->resolve_cursor = found->next;
    for (size_t i = 0; fine && i < found->n; i++) {
        const char *end = end_of(&found->at[i]);

        fine = !end || add_resolved(r, &found->at[i], end);
    }
    if (!fine) {
        step_end(r, AGAIN_MS);
        return;
    }
    work_due(r, WORK_RESOLVE, found->next ? 100 : found->n ? LOOK_MS : IDLE_MS);
    step_ready(r);
}

/* The engine begins when the actions are read. While letters are still to come, a task that failed again lacks the letter that
 * says so, and `resolved` stays in the topic. */
void resolve_work(struct redrives *r)
{
    struct resolve_question q = {r->resolve_cursor};

    r->due_ms[WORK_RESOLVE] = INT64_MAX;
    if (!collect_status(r->o.collect).was_caught_up)
        work_due(r, WORK_RESOLVE, LOOK_MS);
    else if (step_begin(r, WORK_RESOLVE))
        r->step.ask = ask(r->o.asks, ASK_INDEX, run, resolved, r, &q, sizeof q);
}
