/* Letters and actions whose records the topics no longer hold leave the index. */
#include "store_parts.h"

enum { PIECE_MAX = 1000, WALK_MAX = 20000 };

struct old {
    int64_t num;
    struct slice text; /* a letter's id, an action's job */
};

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

/* Walks on from *cursor, over so many rows that nothing waits long; `st` gives num, a text, and whether it goes. */
static size_t find_old(struct store *s, struct statement *st, size_t limit, int64_t *cursor, struct old *old, bool *more)
{
    size_t n = 0, seen = 0;

    statement_int(st, 1, *cursor);
    while (n < limit && statement_step(st)) {
        seen++;
        *cursor = statement_int_at(st, 0);
        if (statement_int_at(st, 2))
            old[n++] = (struct old){*cursor, store_text(st, 1, s->arena)};
    }
    statement_reset(st);
    *more = n == limit || seen == WALK_MAX;
    return n;
}

struct error store_forget_before(struct store *s, const char *topic, int32_t partition, int64_t oldest_offset, size_t limit,
                                 int64_t *cursor, bool *more)
{
    struct old old[PIECE_MAX];
    struct statement *st;
    size_t n;

    store_begin(s);
    st = database_prepare(s->db, "SELECT num, id, dlq_topic = ?2 AND dlq_partition = ?3 AND dlq_offset < ?4 FROM letters NOT "
                                 "INDEXED WHERE num > ?1 ORDER BY num LIMIT 20000");
    _Static_assert(WALK_MAX == 20000, "the number above");
    statement_text(st, 2, slice_of(topic));
    statement_int(st, 3, partition);
    statement_int(st, 4, oldest_offset);
    n = find_old(s, st, limit < PIECE_MAX ? limit : PIECE_MAX, cursor, old, more);
    for (size_t i = 0; i < n; i++)
        forget(s, old[i].text, old[i].num);
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
    struct old old[PIECE_MAX];
    struct statement *st;
    size_t n;

    store_begin(s);
    st = database_prepare(s->db,
                          "SELECT num, job, partition = ?2 AND offset < ?3 AND (letter IS NULL OR NOT EXISTS (SELECT 1 FROM "
                          "letters WHERE id = actions.letter)) FROM actions NOT INDEXED WHERE num > ?1 ORDER BY num LIMIT "
                          "20000");
    _Static_assert(WALK_MAX == 20000, "the number above");
    statement_int(st, 2, partition);
    statement_int(st, 3, oldest_offset);
    n = find_old(s, st, limit < PIECE_MAX ? limit : PIECE_MAX, cursor, old, more);
    st = database_prepare(s->db, "DELETE FROM actions WHERE num = ?1");
    for (size_t i = 0; i < n; i++) {
        statement_int(st, 1, old[i].num);
        statement_run(st);
    }
    for (size_t i = 0; i < n; i++)
        if (old[i].text.at)
            forget_job(s, old[i].text);
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
