/* States of letters in the file: read, written, counted. */
#include "effect.h"
#include "store_parts.h"

#define FINISHED_MINUTE(ms) ((ms) / 60000)

bool state_load(struct store *s, struct slice id, struct state *state)
{
    struct statement *st = database_prepare(
        s->db, "SELECT num, base, base_at, due_at, sent, notes, sent_job, pending_job, assigned, newer_id, newer_at, status, "
               "status_at, job, failed_at, class, code, stage, agent, topic, worker, fingerprint, family, ended FROM letters "
               "WHERE id = ?1");
    struct arena *a = s->arena;
    bool found;

    statement_text(st, 1, id);
    found = statement_step(st);
    if (found)
        *state = (struct state){
            .num = statement_int_at(st, 0),
            .base = (enum letter_status)statement_int_at(st, 1),
            .base_at_ms = statement_int_at(st, 2),
            .due_ms = statement_int_at(st, 3),
            .sent = (int32_t)statement_int_at(st, 4),
            .notes = (int32_t)statement_int_at(st, 5),
            .sent_job = store_text(st, 6, a),
            .pending_job = store_text(st, 7, a),
            .assigned = store_text(st, 8, a),
            .newer_id = store_text(st, 9, a),
            .newer_at_ms = statement_int_at(st, 10),
            .status = (enum letter_status)statement_int_at(st, 11),
            .status_at_ms = statement_int_at(st, 12),
            .job = store_text(st, 13, a),
            .failed_at_ms = statement_int_at(st, 14),
            .class = store_text(st, 15, a),
            .code = store_text(st, 16, a),
            .stage = store_text(st, 17, a),
            .agent = store_text(st, 18, a),
            .topic = store_text(st, 19, a),
            .worker = store_text(st, 20, a),
            .fingerprint = store_text(st, 21, a),
            .family = (enum letter_family)statement_int_at(st, 22),
            .ended = store_text(st, 23, a),
        };
    statement_reset(st);
    return found;
}

/* Only the host: each worker's process would be another one. */
static struct slice host_of(struct slice worker)
{
    for (size_t i = 0; i < worker.len; i++)
        if (worker.at[i] == ' ' || worker.at[i] == ':' || worker.at[i] == '(')
            return (struct slice){worker.at, i};
    return worker;
}

static void add(struct store *s, const struct state *state, enum tally_kind kind, struct slice name, struct slice of, int64_t n)
{
    tally_add(&s->tallies, s->arena,
              (struct tally_entry){.kind = kind, .status = (int)state->status, .name = name, .of = of, .n = n});
}

void state_count(struct store *s, const struct state *st, int64_t n)
{
    const struct slice none = {NULL, 0};
    bool finished = !(LETTER_UNFINISHED & 1U << st->status);

    add(s, st, TALLY_ALL, none, none, n);
    add(s, st, TALLY_CLASS, st->class, none, n);
    add(s, st, TALLY_CODE, st->code, none, n);
    add(s, st, TALLY_STAGE, st->stage, none, n);
    add(s, st, TALLY_AGENT, st->agent, none, n);
    add(s, st, TALLY_TOPIC, st->topic, none, n);
    add(s, st, TALLY_FAMILY, slice_of(letter_family_name(st->family)), none, n);
    add(s, st, TALLY_GROUP, st->fingerprint, none, n);
    add(s, st, TALLY_GROUP_AGENT, st->fingerprint, st->agent, n);
    add(s, st, TALLY_GROUP_TOPIC, st->fingerprint, st->topic, n);
    add(s, st, TALLY_GROUP_WORKER, st->fingerprint, host_of(st->worker), n);
    if (st->job.at)
        add(s, st, TALLY_JOB, st->job, none, n);
    if (st->job.at && st->status == LETTER_RESOLVED && st->ended.len && !slice_is(st->ended, "completed"))
        add(s, st, TALLY_JOB, st->job, TALLY_IN_VAIN, n);
    tally_add(&s->tallies, s->arena,
              (struct tally_entry){.kind = TALLY_CAME, .number = FINISHED_MINUTE(st->failed_at_ms), .n = n});
    if (finished)
        tally_add(&s->tallies, s->arena,
                  (struct tally_entry){.kind = TALLY_FINISHED, .number = FINISHED_MINUTE(st->status_at_ms), .n = n});
}

void state_save(struct store *s, const struct state *before, struct state *after)
{
    struct statement *st;

    state_settle(after);
    state_count(s, before, -1);
    state_count(s, after, 1);
    st =
        database_prepare(s->db, "UPDATE letters SET base = ?2, base_at = ?3, due_at = ?4, sent = ?5, notes = ?6, sent_job = ?7, "
                                "pending_job = ?8, assigned = ?9, newer_id = ?10, newer_at = ?11, status = ?12, status_at = ?13, "
                                "job = ?14, ended = ?15 WHERE num = ?1");
    statement_int(st, 1, after->num);
    statement_int(st, 2, after->base);
    statement_int(st, 3, after->base_at_ms);
    statement_int(st, 4, after->due_ms);
    statement_int(st, 5, after->sent);
    statement_int(st, 6, after->notes);
    statement_text(st, 7, after->sent_job);
    statement_text(st, 8, after->pending_job);
    statement_text(st, 9, after->assigned);
    statement_text(st, 10, after->newer_id);
    statement_int(st, 11, after->newer_at_ms);
    statement_int(st, 12, after->status);
    statement_int(st, 13, after->status_at_ms);
    statement_text(st, 14, after->job);
    statement_text(st, 15, after->ended);
    statement_run(st);
}

/* The newest of the jobs that chose it: two at once are a slip that the engine does not make. */
struct slice state_pending_job(struct store *s, struct slice letter)
{
    struct statement *st;
    struct slice job;

    if (!s->have_jobs)
        return (struct slice){NULL, 0};
    st = database_prepare(s->db,
                          "SELECT max(l.job) FROM job_letters l JOIN jobs j ON j.id = l.job WHERE l.letter = ?1 AND l.sent = "
                          "0 AND j.state NOT IN (3, 4)");
    _Static_assert(JOB_CANCELLED == 3 && JOB_FINISHED == 4, "the numbers above");
    statement_text(st, 1, letter);
    job = statement_step(st) ? store_text(st, 0, s->arena) : (struct slice){NULL, 0};
    statement_reset(st);
    return job;
}

void state_catch_up(struct store *s, struct slice id, struct state *state)
{
    struct statement *st;

    if (!s->have_actions)
        return;
    st =
        database_prepare(s->db, "SELECT effect, at, job, name, due_at FROM actions WHERE letter = ?1 ORDER BY partition, offset");
    statement_text(st, 1, id);
    while (statement_step(st)) {
        struct effect e = {.kind = (enum effect_kind)statement_int_at(st, 0),
                           .at_ms = statement_int_at(st, 1),
                           .job = store_text(st, 2, s->arena),
                           .name = store_text(st, 3, s->arena),
                           .due_ms = statement_int_at(st, 4)};

        state_apply(state, &e);
    }
    statement_reset(st);
    state->pending_job = state_pending_job(s, id);
}
