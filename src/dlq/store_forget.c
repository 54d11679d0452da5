/* Letters and actions whose records the topics no longer hold leave the index. */
#include "store_parts.h"

enum { PIECE_MAX = 1000 };

static void forget(struct store *s, struct slice id, int64_t num)
{
    static const char *const tables[] = {"DELETE FROM letters WHERE num = ?1", "DELETE FROM bytes WHERE num = ?1"};
    struct statement *st = database_prepare(s->db, "SELECT " LETTER_COLUMNS " FROM letters WHERE num = ?1");
    struct letter_row row;
    struct state state;

    statement_int(st, 1, num);
    if (statement_step(st)) {
        row_read(st, s->arena, &row);
        statement_reset(st);
        words_remove(s, &row.letter, num);
    } else {
        statement_reset(st);
    }
    if (state_load(s, id, &state))
        state_count(s, &state, -1);
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        st = database_prepare(s->db, tables[i]);
        statement_int(st, 1, num);
        statement_run(st);
    }
    st = database_prepare(s->db, "DELETE FROM actions WHERE letter = ?1");
    statement_text(st, 1, id);
    statement_run(st);
}

struct error store_forget_before(struct store *s, const char *topic, int32_t partition, int64_t oldest_offset, size_t limit,
                                 bool *more)
{
    struct statement *st;
    struct slice ids[PIECE_MAX];
    int64_t nums[PIECE_MAX];
    size_t n = 0;

    limit = limit < PIECE_MAX ? limit : PIECE_MAX;
    store_begin(s);
    st = database_prepare(s->db,
                          "SELECT num, id FROM letters NOT INDEXED WHERE dlq_topic = ?1 AND dlq_partition = ?2 AND dlq_offset < "
                          "?3 ORDER BY num LIMIT ?4");
    statement_text(st, 1, slice_of(topic));
    statement_int(st, 2, partition);
    statement_int(st, 3, oldest_offset);
    statement_int(st, 4, (int64_t)limit);
    while (n < limit && statement_step(st)) {
        nums[n] = statement_int_at(st, 0);
        ids[n++] = store_text(st, 1, s->arena);
    }
    statement_reset(st);
    for (size_t i = 0; i < n; i++)
        forget(s, ids[i], nums[i]);
    *more = n == limit;
    return store_commit(s);
}

/* ---- Actions and jobs */

/* Ended, and its request and its end are gone: so it is older than what the topic keeps. */
static void forget_job(struct store *s, struct slice job)
{
    struct statement *st =
        database_prepare(s->db, "DELETE FROM jobs WHERE id = ?1 AND state IN (3, 4) AND NOT EXISTS (SELECT 1 FROM "
                                "actions WHERE job = ?1 AND letter IS NULL)");

    _Static_assert(JOB_CANCELLED == 3 && JOB_FINISHED == 4, "the numbers above");
    statement_text(st, 1, job);
    if (!statement_run(st))
        return;
    st = database_prepare(s->db, "DELETE FROM job_letters WHERE job = ?1");
    statement_text(st, 1, job);
    statement_run(st);
}

struct error store_forget_actions(struct store *s, int32_t partition, int64_t oldest_offset, size_t limit, int64_t *cursor,
                                  bool *more)
{
    struct statement *st;
    struct slice jobs[PIECE_MAX];
    int64_t nums[PIECE_MAX];
    size_t n = 0;

    limit = limit < PIECE_MAX ? limit : PIECE_MAX;
    store_begin(s);
    st = database_prepare(s->db,
                          "SELECT num, job FROM actions WHERE num > ?1 AND partition = ?2 AND offset < ?3 AND (letter IS NULL "
                          "OR NOT EXISTS (SELECT 1 FROM letters WHERE id = actions.letter)) ORDER BY num LIMIT ?4");
    statement_int(st, 1, *cursor);
    statement_int(st, 2, partition);
    statement_int(st, 3, oldest_offset);
    statement_int(st, 4, (int64_t)limit);
    while (n < limit && statement_step(st)) {
        nums[n] = statement_int_at(st, 0);
        jobs[n++] = store_text(st, 1, s->arena);
    }
    statement_reset(st);
    st = database_prepare(s->db, "DELETE FROM actions WHERE num = ?1");
    for (size_t i = 0; i < n; i++) {
        statement_int(st, 1, nums[i]);
        statement_run(st);
    }
    for (size_t i = 0; i < n; i++)
        if (jobs[i].at)
            forget_job(s, jobs[i]);
    *more = n == limit;
    if (n)
        *cursor = nums[n - 1];
    return store_commit(s);
}

struct error store_forget_rest(struct store *s)
{
    static const char *const all[] = {
        "DELETE FROM tallies WHERE n = 0", "DELETE FROM minutes WHERE came = 0 AND finished = 0",
        "DELETE FROM groups WHERE NOT EXISTS (SELECT 1 FROM letters l WHERE l.fingerprint = groups.fingerprint) AND NOT EXISTS "
        "(SELECT 1 FROM actions WHERE grp = groups.fingerprint)",
        "DELETE FROM alerts WHERE NOT EXISTS (SELECT 1 FROM groups g WHERE g.fingerprint = grp)"};

    store_begin(s);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        statement_run(database_prepare(s->db, all[i]));
    return store_commit(s);
}
