/* Folding actions into the index: what they do to letters, groups and jobs, and their history. */
#include "effect.h"
#include "store_parts.h"

/* ---- History */

static int64_t free_number(struct store *s, const struct effect *e)
{
    const int64_t mask = (INT64_C(1) << STORE_TIME_SHIFT) - 1;
    struct statement *st = database_prepare(s->db, "SELECT 1 FROM actions WHERE num = ?1");
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    int64_t num = 0;

    for (size_t i = 0; i < e->id.len; i++)
        hash = (hash ^ (unsigned char)e->id.at[i]) * UINT64_C(0x100000001b3);
    hash ^= hash >> 32;
    for (int64_t tries = 0; tries <= mask; tries++) {
        bool taken;

        num = num_at(e->at_ms) | (((int64_t)(hash & (uint64_t)mask) + tries) & mask);
        if (num == 0)
            continue;
        statement_int(st, 1, num);
        taken = statement_step(st);
        statement_reset(st);
        if (!taken)
            break;
    }
    return num;
}

/* False: it is there already. */
static bool keep(struct store *s, const struct effect *e, int64_t *num)
{
    struct statement *st = database_prepare(s->db, "INSERT OR IGNORE INTO actions (num, id, effect, kind, at, actor, actor_kind, "
                                                   "reason, letter, grp, job, name, detail, due_at, body, schema_id, partition, "
                                                   "offset, request) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, "
                                                   "?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19)");

    *num = free_number(s, e);
    statement_int(st, 1, *num);
    statement_text(st, 2, e->id);
    statement_int(st, 3, e->kind);
    statement_text(st, 4, e->kind_name);
    statement_int(st, 5, e->at_ms);
    statement_text(st, 6, e->actor);
    statement_text(st, 7, e->actor_kind);
    statement_text(st, 8, e->reason);
    statement_text(st, 9, e->letter);
    statement_text(st, 10, e->group);
    statement_text(st, 11, e->job);
    statement_text(st, 12, e->name);
    statement_text(st, 13, e->detail);
    statement_int(st, 14, e->due_ms);
    statement_blob(st, 15, e->body);
    statement_int(st, 16, e->schema_id);
    statement_int(st, 17, e->partition);
    statement_int(st, 18, e->offset);
    statement_text(st, 19, e->request);
    return statement_run(st) > 0;
}

/* ---- Letters */

static void apply_to_letter(struct store *s, const struct effect *e)
{
    struct state before, after;

    if (!state_load(s, e->letter, &before))
        return; /* it comes later, and catches up then */
    after = before;
    state_apply(&after, e);
    after.sent_job = arena_copy(s->arena, after.sent_job); /* tallies outlive the record */
    after.assigned = arena_copy(s->arena, after.assigned);
    if (e->kind == EFFECT_REDRIVEN || e->kind == EFFECT_SKIPPED)
        after.pending_job = state_pending_job(s, e->letter);
    state_save(s, &before, &after);
}

/* sent: 0 chosen, 1 sent, 2 left out */
static void mark_sent(struct store *s, const struct effect *e)
{
    struct statement *st =
        database_prepare(s->db, "INSERT INTO job_letters (job, letter, place, sent) VALUES (?1, ?2, NULL, ?3) ON "
                                "CONFLICT (job, letter) DO UPDATE SET sent = excluded.sent");

    statement_text(st, 1, e->job);
    statement_text(st, 2, e->letter);
    statement_int(st, 3, e->kind == EFFECT_SKIPPED ? 2 : 1);
    statement_run(st);
    s->have_jobs = true;
}

static void renew_pending(struct store *s, struct slice letter)
{
    struct state before, after;

    if (!state_load(s, letter, &before))
        return;
    after = before;
    after.pending_job = state_pending_job(s, letter);
    if (!slice_equal(after.pending_job, before.pending_job) || !after.pending_job.at != !before.pending_job.at)
        state_save(s, &before, &after);
}

/* ---- Jobs */

/* The row, made by whichever of its actions is seen first. */
static void touch_job(struct store *s, const struct effect *e, int64_t num)
{
    struct statement *st = database_prepare(s->db, "INSERT OR IGNORE INTO jobs (id, num, state, requested_at, ended_at, "
                                                   "selected_all) VALUES (?1, ?2, 0, -1, -1, 0)");

    statement_text(st, 1, e->job);
    statement_int(st, 2, num);
    statement_run(st);
}

static void set_job(struct store *s, const struct effect *e, enum job_state state, int64_t ended_at)
{
    struct statement *st =
        database_prepare(s->db, "UPDATE jobs SET state = ?2, ended_at = ?3 WHERE id = ?1 AND state NOT IN (3, 4)");

    _Static_assert(JOB_CANCELLED == 3 && JOB_FINISHED == 4, "the numbers above");
    statement_text(st, 1, e->job);
    statement_int(st, 2, state);
    statement_int(st, 3, ended_at);
    statement_run(st);
}

static void request_job(struct store *s, const struct effect *e, int64_t num)
{
    struct statement *st =
        database_prepare(s->db, "UPDATE jobs SET num = ?2, requested_at = ?3, actor = ?4, reason = ?5, body = ?6, "
                                "schema_id = ?7 WHERE id = ?1");

    statement_text(st, 1, e->job);
    statement_int(st, 2, num);
    statement_int(st, 3, e->at_ms);
    statement_text(st, 4, e->actor);
    statement_text(st, 5, e->reason);
    statement_blob(st, 6, e->body);
    statement_int(st, 7, e->schema_id);
    statement_run(st);
}

static int64_t next_place(struct store *s, struct slice job)
{
    struct statement *st = database_prepare(s->db, "SELECT coalesce(max(place), 0) FROM job_letters WHERE job = ?1");
    int64_t place;

    statement_text(st, 1, job);
    place = statement_step(st) ? statement_int_at(st, 0) + 1 : 1;
    statement_reset(st);
    return place;
}

static void select_letters(struct store *s, const struct effect *e)
{
    struct statement *st =
        database_prepare(s->db, "INSERT INTO job_letters (job, letter, place, sent) VALUES (?1, ?2, ?3, 0) ON "
                                "CONFLICT (job, letter) DO UPDATE SET place = coalesce(place, excluded.place)");
    int64_t place = next_place(s, e->job);

    s->have_jobs = true;
    for (size_t i = 0; i < e->nletters; i++) {
        statement_text(st, 1, e->job);
        statement_text(st, 2, e->letters[i]);
        statement_int(st, 3, place + (int64_t)i);
        statement_run(st);
        renew_pending(s, e->letters[i]);
    }
    st = database_prepare(s->db,
                          "UPDATE jobs SET selected_all = max(selected_all, ?2), state = CASE state WHEN 0 THEN 1 ELSE state "
                          "END WHERE id = ?1");
    _Static_assert(JOB_REQUESTED == 0 && JOB_RUNNING == 1, "the numbers above");
    statement_text(st, 1, e->job);
    statement_int(st, 2, e->last);
    statement_run(st);
}

/* Letters that it chose and did not send are free again. */
static void end_job(struct store *s, const struct effect *e, enum job_state state)
{
    enum { PIECE = 500 };
    int64_t after = -1;

    set_job(s, e, state, e->at_ms);
    for (;;) {
        struct statement *st =
            database_prepare(s->db, "SELECT letter, place FROM job_letters WHERE job = ?1 AND sent = 0 AND place > "
                                    "?2 ORDER BY place LIMIT 500");
        struct slice letters[PIECE];
        size_t n = 0;

        statement_text(st, 1, e->job);
        statement_int(st, 2, after);
        while (n < PIECE && statement_step(st)) {
            letters[n++] = store_text(st, 0, s->arena);
            after = statement_int_at(st, 1);
        }
        statement_reset(st);
        for (size_t i = 0; i < n; i++)
            renew_pending(s, letters[i]);
        if (n < PIECE)
            return;
    }
}

static void apply_to_job(struct store *s, const struct effect *e, int64_t num)
{
    touch_job(s, e, num);
    switch (e->kind) {
    case EFFECT_JOB_REQUESTED:
        request_job(s, e, num);
        break;
    case EFFECT_JOB_SELECTED:
        select_letters(s, e);
        break;
    case EFFECT_JOB_PAUSED:
        set_job(s, e, JOB_PAUSED, -1);
        break;
    case EFFECT_JOB_RESUMED:
        set_job(s, e, JOB_RUNNING, -1);
        break;
    case EFFECT_JOB_CANCELLED:
        end_job(s, e, JOB_CANCELLED);
        break;
    default:
        end_job(s, e, JOB_FINISHED);
        break;
    }
}

/* ---- Groups */

static void set_group(struct store *s, const char *sql, const struct effect *e, int64_t number)
{
    struct statement *st = database_prepare(s->db, sql);

    statement_text(st, 1, e->group);
    statement_int(st, 2, number);
    statement_text(st, 3, e->name.len ? e->name : (struct slice){NULL, 0});
    statement_run(st);
}

static void apply_to_group(struct store *s, const struct effect *e)
{
    struct statement *st = database_prepare(s->db, "INSERT OR IGNORE INTO groups (fingerprint) VALUES (?1)");

    statement_text(st, 1, e->group);
    statement_run(st);
    if (e->kind == EFFECT_GROUP_RESOLVED)
        set_group(
            s,
            "UPDATE groups SET resolved_at = ?2, returned_at = (SELECT failed_at FROM letters WHERE fingerprint = ?1 AND num "
            ">= (?2 + 1) << 21 ORDER BY num LIMIT 1) WHERE fingerprint = ?1 AND (?3 IS NULL OR 1)",
            e, e->at_ms);
    else if (e->kind == EFFECT_GROUP_REOPENED)
        set_group(s,
                  "UPDATE groups SET resolved_at = NULL, returned_at = NULL WHERE fingerprint = ?1 AND ?2 IS NOT NULL AND (?3 IS "
                  "NULL OR 1)",
                  e, 0);
    else if (e->kind == EFFECT_ASSIGNED)
        set_group(s, "UPDATE groups SET assigned = ?3 WHERE fingerprint = ?1 AND ?2 IS NOT NULL", e, 0);
    else
        set_group(s,
                  "UPDATE groups SET alerted_at = max(coalesce(alerted_at, 0), ?2) WHERE fingerprint = ?1 AND (?3 IS NULL OR 1)",
                  e, e->at_ms);
    _Static_assert(STORE_TIME_SHIFT == 21, "the shift above");
}

static void alerted(struct store *s, const struct effect *e)
{
    struct statement *st = database_prepare(s->db, "INSERT INTO alerts (grp, sink, at, kind) VALUES (?1, ?2, ?3, ?4) ON CONFLICT "
                                                   "(grp, sink) DO UPDATE SET at = excluded.at, kind = excluded.kind WHERE "
                                                   "excluded.at >= at");

    statement_text(st, 1, e->group);
    statement_text(st, 2, e->name);
    statement_int(st, 3, e->at_ms);
    statement_text(st, 4, e->detail);
    statement_run(st);
}

void store_fold_action(struct store *s, const struct effect *e)
{
    int64_t num;

    if (!keep(s, e, &num))
        return;
    s->have_actions = true;
    if (e->kind >= EFFECT_JOB_REQUESTED && e->job.at) {
        apply_to_job(s, e, num);
    } else if (e->letter.at && e->kind != EFFECT_NONE && e->kind < EFFECT_GROUP_RESOLVED) {
        if ((e->kind == EFFECT_REDRIVEN || e->kind == EFFECT_SKIPPED) && e->job.at && !slice_is(e->job, "auto"))
            mark_sent(s, e); /* "auto" is no job: nobody would ever forget its letters */
        apply_to_letter(s, e);
    } else if (e->group.at && e->kind != EFFECT_NONE) {
        apply_to_group(s, e);
        if (e->kind == EFFECT_ALERTED)
            alerted(s, e);
    }
}
