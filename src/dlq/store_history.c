/* What was done: actions, jobs and their letters, alerts, letters that wait for their time. */
#include "store_parts.h"

#define ACTION_COLUMNS "num, id, kind, at, actor, actor_kind, reason, letter, grp, job, body, schema_id"

static void read_action(struct statement *st, struct arena *arena, struct action_row *a)
{
    *a = (struct action_row){.num = statement_int_at(st, 0),
                             .id = store_text(st, 1, arena),
                             .kind = store_text(st, 2, arena),
                             .at_ms = statement_int_at(st, 3),
                             .actor = store_text(st, 4, arena),
                             .actor_kind = store_text(st, 5, arena),
                             .reason = store_text(st, 6, arena),
                             .letter = store_text(st, 7, arena),
                             .group = store_text(st, 8, arena),
                             .job = store_text(st, 9, arena),
                             .body = arena_copy(arena, statement_blob_at(st, 10)),
                             .schema_id = (uint32_t)statement_int_at(st, 11)};
}

/* A letter's history holds also what its jobs were told: they chose it. */
static void put_action_query(const struct action_filter *f, enum store_order order, struct buf *sql)
{
    /* The plus: no index for this. Many actions are of one kind or by one actor, few of one letter, group or job. */
    const char *plus = f->letter.at || f->group.at || f->job.at ? "+" : "";

    buf_put_text(sql, "SELECT " ACTION_COLUMNS " FROM actions WHERE num > ?1 AND num < ?2");
    if (f->letter.at)
        buf_put_text(sql, " AND (letter = ?3 OR (letter IS NULL AND job IN (SELECT job FROM job_letters WHERE letter = ?3)))");
    if (f->group.at)
        buf_put_text(sql, " AND grp = ?4");
    if (f->job.at)
        buf_put_text(sql, " AND job = ?5");
    if (f->kind.at)
        buf_printf(sql, " AND %skind = ?6", plus);
    if (f->actor.at)
        buf_printf(sql, " AND %sactor = ?7", plus);
    buf_printf(sql, " ORDER BY num %s LIMIT ?8", order == STORE_NEWEST_FIRST ? "DESC" : "ASC");
}

struct error store_actions(struct store *s, const struct action_filter *f, enum store_order order, int64_t cursor, size_t limit,
                           struct arena *arena, struct action_page *page)
{
    int64_t low = f->from_ms > 0 ? num_at(f->from_ms) - 1 : 0, high = f->to_ms > 0 ? num_at(f->to_ms) : INT64_MAX;
    struct action_row *rows = arena_alloc(arena, (limit + 1) * sizeof *rows);
    char room[1024];
    struct buf sql = BUF_IN(room);
    struct statement *st;
    size_t n = 0;

    put_action_query(f, order, &sql);
    if (cursor && order == STORE_NEWEST_FIRST && cursor < high)
        high = cursor;
    if (cursor && order == STORE_OLDEST_FIRST && cursor > low)
        low = cursor;
    st = database_prepare_text(s->db, buf_slice(&sql));
    statement_int(st, 1, low);
    statement_int(st, 2, high);
    if (f->letter.at)
        statement_text(st, 3, f->letter);
    if (f->group.at)
        statement_text(st, 4, f->group);
    if (f->job.at)
        statement_text(st, 5, f->job);
    if (f->kind.at)
        statement_text(st, 6, f->kind);
    if (f->actor.at)
        statement_text(st, 7, f->actor);
    statement_int(st, 8, (int64_t)limit + 1);
    while (rows && n <= limit && statement_step(st))
        read_action(st, arena, &rows[n++]);
    statement_reset(st);
    *page = (struct action_page){.rows = rows, .n = n > limit ? limit : n, .next = n > limit && limit ? rows[limit - 1].num : 0};
    return store_outcome(s, arena);
}

struct error store_has_action(struct store *s, struct slice action_id, bool *has)
{
    struct statement *st = database_prepare(s->db, "SELECT 1 FROM actions WHERE id = ?1");
    struct error error;

    statement_text(st, 1, action_id);
    *has = statement_step(st);
    statement_reset(st);
    error = database_error(s->db);
    database_error_clear(s->db);
    return error;
}

struct error store_action_detail(struct store *s, struct slice action_id, struct arena *arena, struct slice *detail, bool *has)
{
    struct statement *st = database_prepare(s->db, "SELECT detail FROM actions WHERE id = ?1");

    statement_text(st, 1, action_id);
    *has = statement_step(st);
    *detail = *has ? store_text(st, 0, arena) : (struct slice){NULL, 0};
    statement_reset(st);
    return store_outcome(s, arena);
}

/* ---- Requests that came with an Idempotency-Key: by their own index, else SQLite walks along all actions of the actor */

struct error store_request(struct store *s, struct slice actor, struct slice key, struct arena *arena, struct slice *request)
{
    /* "0" comes after "/" */
    struct statement *st = database_prepare(s->db, "SELECT request FROM actions INDEXED BY actions_request WHERE request >= ?1 "
                                                   "|| '/' AND request < ?1 || '0' AND actor = ?2 LIMIT 1");

    statement_text(st, 1, key);
    statement_text(st, 2, actor);
    *request = statement_step(st) ? store_text(st, 0, arena) : (struct slice){NULL, 0};
    statement_reset(st);
    return store_outcome(s, arena);
}

struct error store_request_letters(struct store *s, struct slice actor, struct slice request, struct arena *arena,
                                   struct slice **ids, size_t *n)
{
    enum { LETTERS_MAX = 500 }; /* of one request */
    struct statement *st =
        database_prepare(s->db, "SELECT a.letter FROM actions a INDEXED BY actions_request LEFT JOIN letters l "
                                "ON l.id = a.letter WHERE a.request = ?1 AND a.actor = ?2 AND a.letter IS NOT "
                                "NULL ORDER BY l.num DESC LIMIT 500");
    struct slice *found = arena_alloc(arena, LETTERS_MAX * sizeof *found);

    *n = 0;
    *ids = found;
    statement_text(st, 1, request);
    statement_text(st, 2, actor);
    while (found && *n < LETTERS_MAX && statement_step(st))
        found[(*n)++] = store_text(st, 0, arena);
    statement_reset(st);
    return store_outcome(s, arena);
}

struct error store_alerted(struct store *s, struct slice group, struct slice sink, int64_t *at_ms, struct slice *kind,
                           struct arena *arena)
{
    struct statement *st = database_prepare(s->db, "SELECT at, kind FROM alerts WHERE grp = ?1 AND sink = ?2");

    *at_ms = -1;
    *kind = (struct slice){NULL, 0};
    statement_text(st, 1, group);
    statement_text(st, 2, sink);
    if (statement_step(st)) {
        *at_ms = statement_int_at(st, 0);
        *kind = store_text(st, 1, arena);
    }
    statement_reset(st);
    return store_outcome(s, arena);
}

/* ---- Jobs */

#define JOB_COLUMNS                                                                                                              \
    "j.num, j.id, j.state, j.requested_at, j.ended_at, j.actor, j.reason, j.selected_all, j.body, j.schema_id, (SELECT "         \
    "count(*) FROM job_letters l WHERE l.job = j.id AND l.place IS NOT NULL), (SELECT count(*) FROM job_letters l WHERE l.job "  \
    "= "                                                                                                                         \
    "j.id AND l.sent = 1), (SELECT count(*) FROM job_letters l WHERE l.job = j.id AND l.sent = 2)"

static void read_job(struct statement *st, struct arena *arena, struct job_row *j)
{
    *j = (struct job_row){.num = statement_int_at(st, 0),
                          .id = store_text(st, 1, arena),
                          .state = (enum job_state)statement_int_at(st, 2),
                          .requested_at_ms = statement_int_at(st, 3),
                          .ended_at_ms = statement_int_at(st, 4),
                          .actor = store_text(st, 5, arena),
                          .reason = store_text(st, 6, arena),
                          .selected_all = statement_int_at(st, 7) != 0,
                          .body = arena_copy(arena, statement_blob_at(st, 8)),
                          .schema_id = (uint32_t)statement_int_at(st, 9),
                          .selected = statement_int_at(st, 10),
                          .sent = statement_int_at(st, 11),
                          .skipped = statement_int_at(st, 12)};
}

static void read_outcomes(struct store *s, struct job_row *j)
{
    struct statement *st = database_prepare(s->db, "SELECT status, n, of FROM tallies WHERE kind = ?1 AND name = ?2");
    int64_t resolved = 0, again = 0, in_vain = 0;

    statement_int(st, 1, TALLY_JOB);
    statement_text(st, 2, j->id);
    while (statement_step(st)) {
        int64_t status = statement_int_at(st, 0), n = statement_int_at(st, 1);

        if (slice_equal(statement_text_at(st, 2), TALLY_IN_VAIN))
            in_vain = n;
        else if (status == LETTER_RESOLVED)
            resolved = n;
        else if (status == LETTER_FAILED_AGAIN)
            again = n;
    }
    statement_reset(st);
    j->completed = resolved - in_vain;
    j->failed_again = again + in_vain;
}

struct error store_jobs(struct store *s, bool unended_only, int64_t cursor, size_t limit, struct arena *arena,
                        struct job_page *page)
{
    struct statement *st = database_prepare(
        s->db,
        "SELECT " JOB_COLUMNS " FROM jobs j WHERE j.num < ?1 AND (?2 = 0 OR j.state NOT IN (3, 4)) ORDER BY j.num DESC LIMIT ?3");
    struct job_row *rows = arena_alloc(arena, (limit + 1) * sizeof *rows);
    size_t n = 0;

    statement_int(st, 1, cursor ? cursor : INT64_MAX);
    statement_int(st, 2, unended_only);
    statement_int(st, 3, (int64_t)limit + 1);
    while (rows && n <= limit && statement_step(st))
        read_job(st, arena, &rows[n++]);
    statement_reset(st);
    *page = (struct job_page){.rows = rows, .n = n > limit ? limit : n, .next = n > limit && limit ? rows[limit - 1].num : 0};
    for (size_t i = 0; i < page->n; i++)
        read_outcomes(s, &rows[i]);
    return store_outcome(s, arena);
}

struct error store_job(struct store *s, struct slice id, struct arena *arena, struct job_row *job, bool *found)
{
    struct statement *st = database_prepare(s->db, "SELECT " JOB_COLUMNS " FROM jobs j WHERE j.id = ?1");

    statement_text(st, 1, id);
    *found = statement_step(st);
    if (*found)
        read_job(st, arena, job);
    statement_reset(st);
    if (*found)
        read_outcomes(s, job);
    return store_outcome(s, arena);
}

struct error store_job_letters(struct store *s, struct slice job, bool unsent_only, int64_t cursor, size_t limit,
                               struct arena *arena, struct job_letters *letters)
{
    struct statement *st =
        database_prepare(s->db, unsent_only ? "SELECT letter, place FROM job_letters WHERE job = ?1 AND sent = 0 "
                                              "AND place > ?2 ORDER BY place LIMIT ?3"
                                            : "SELECT letter, place FROM job_letters WHERE job = ?1 AND place > "
                                              "?2 ORDER BY place LIMIT ?3");
    struct slice *ids = arena_alloc(arena, (limit + 1) * sizeof *ids);
    int64_t last = 0;
    size_t n = 0;

    *letters = (struct job_letters){.ids = ids};
    statement_text(st, 1, job);
    statement_int(st, 2, cursor);
    statement_int(st, 3, (int64_t)limit + 1);
    while (ids && n <= limit && statement_step(st)) {
        ids[n++] = store_text(st, 0, arena);
        if (n <= limit)
            last = statement_int_at(st, 1);
    }
    statement_reset(st);
    letters->n = n > limit ? limit : n;
    letters->next = n > limit ? last : 0;
    return store_outcome(s, arena);
}

/* ---- Timers */

struct error store_due(struct store *s, int64_t until_ms, size_t limit, struct arena *arena, struct letter_page *page)
{
    struct statement *st = database_prepare(s->db, "SELECT " LETTER_COLUMNS
                                                   " FROM letters INDEXED BY letters_due WHERE due_at >= 0 AND due_at <= ?1 AND "
                                                   "status = ?2 ORDER BY due_at LIMIT ?3");
    struct letter_row *rows = arena_alloc(arena, (limit + 1) * sizeof *rows);
    size_t n = 0;

    statement_int(st, 1, until_ms);
    statement_int(st, 2, LETTER_RETRY_WAITING);
    statement_int(st, 3, (int64_t)limit);
    while (rows && n < limit && statement_step(st))
        row_read(st, arena, &rows[n++]);
    statement_reset(st);
    *page = (struct letter_page){.rows = rows, .n = n};
    return store_outcome(s, arena);
}
