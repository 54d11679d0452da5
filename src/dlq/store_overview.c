/* The overview: totals, facets, and how many letters there were over time. */
#include "store_parts.h"

enum { FACETS_MAX = 64, POINTS_MAX = 2000, MINUTE_MS = 60000 };

#define UNFINISHED_STATUSES "(0, 1, 2, 3, 7)"
_Static_assert(LETTER_UNFINISHED == (1 << 0 | 1 << 1 | 1 << 2 | 1 << 3 | 1 << 7), "the numbers above");

static void read_totals(struct store *s, struct overview *o)
{
    struct statement *st = database_prepare(s->db, "SELECT status, n FROM tallies WHERE kind = ?1 AND name = '' AND of = ''");

    statement_int(st, 1, TALLY_ALL);
    while (statement_step(st)) {
        int64_t status = statement_int_at(st, 0), n = statement_int_at(st, 1);

        if (status < 0 || status >= LETTER_STATUSES)
            continue;
        o->by_status[status] = n;
        o->letters += n;
        if (LETTER_UNFINISHED & 1U << status)
            o->unfinished += n;
    }
    statement_reset(st);
}

static void read_groups(struct store *s, struct overview *o)
{
    struct statement *st = database_prepare(
        s->db, "SELECT count(*), coalesce(sum(u > 0), 0) FROM (SELECT sum(n) AS n, sum(CASE WHEN status IN " UNFINISHED_STATUSES
               " THEN n ELSE 0 END) AS u FROM tallies WHERE kind = ?1 GROUP BY name) WHERE n > 0");

    statement_int(st, 1, TALLY_GROUP);
    if (statement_step(st)) {
        o->groups = statement_int_at(st, 0);
        o->groups_unfinished = statement_int_at(st, 1);
    }
    statement_reset(st);
}

static void read_facets(struct store *s, enum tally_kind kind, struct arena *arena, const struct tally **at, size_t *n)
{
    struct statement *st =
        database_prepare(s->db, "SELECT name, sum(n) FROM tallies WHERE kind = ?1 AND status IN " UNFINISHED_STATUSES
                                " AND name <> '' GROUP BY name HAVING sum(n) > 0 ORDER BY 2 DESC LIMIT 64");
    struct tally *t = arena_alloc(arena, FACETS_MAX * sizeof *t);

    *at = t;
    *n = 0;
    statement_int(st, 1, kind);
    while (t && *n < FACETS_MAX && statement_step(st)) {
        t[*n] = (struct tally){store_text(st, 0, arena), statement_int_at(st, 1)};
        (*n)++;
    }
    statement_reset(st);
}

/* One status after another: each is the head of an index. */
static int64_t oldest_unfinished(struct store *s)
{
    struct statement *st =
        database_prepare(s->db, "SELECT failed_at FROM letters INDEXED BY letters_status WHERE status = ?1 ORDER "
                                "BY num LIMIT 1");
    int64_t oldest = -1;

    for (int status = 0; status < LETTER_STATUSES; status++) {
        if (!(LETTER_UNFINISHED & 1U << status))
            continue;
        statement_int(st, 1, status);
        if (statement_step(st)) {
            int64_t at = statement_int_at(st, 0);

            oldest = oldest < 0 || at < oldest ? at : oldest;
        }
        statement_reset(st);
    }
    return oldest;
}

static void read_points(struct store *s, int64_t from, int64_t to, int64_t step, struct arena *arena, struct overview *o)
{
    size_t n = (size_t)((to - from + step - 1) / step);
    struct overview_point *points = arena_alloc(arena, (n + 1) * sizeof *points);
    struct statement *st = database_prepare(s->db, "SELECT coalesce(sum(came - finished), 0) FROM minutes WHERE minute < ?1");
    int64_t unfinished;

    o->points = points;
    if (!points)
        return;
    o->npoints = n;
    for (size_t i = 0; i < n; i++)
        points[i].at_ms = (from + (int64_t)i * step) * MINUTE_MS;
    statement_int(st, 1, from);
    unfinished = statement_step(st) ? statement_int_at(st, 0) : 0;
    statement_reset(st);
    st = database_prepare(s->db, "SELECT minute, came, finished FROM minutes WHERE minute >= ?1 AND minute < ?2");
    statement_int(st, 1, from);
    statement_int(st, 2, from + (int64_t)n * step);
    while (statement_step(st)) {
        struct overview_point *p = &points[(statement_int_at(st, 0) - from) / step];

        p->came += statement_int_at(st, 1);
        p->finished += statement_int_at(st, 2);
    }
    statement_reset(st);
    for (size_t i = 0; i < n; i++)
        points[i].unfinished = unfinished += points[i].came - points[i].finished;
}

struct error store_overview(struct store *s, int64_t from_ms, int64_t to_ms, int64_t step_ms, struct arena *arena,
                            struct overview *overview)
{
    int64_t from = from_ms / MINUTE_MS, to = (to_ms + MINUTE_MS - 1) / MINUTE_MS, step = (step_ms + MINUTE_MS - 1) / MINUTE_MS;

    *overview = (struct overview){0};
    step = step < 1 ? 1 : step;
    if (to > from && (to - from) / step >= POINTS_MAX)
        step = (to - from) / POINTS_MAX + 1;
    database_run(s->db, "BEGIN"); /* all of one moment */
    read_totals(s, overview);
    read_groups(s, overview);
    read_facets(s, TALLY_CLASS, arena, &overview->classes, &overview->nclasses);
    read_facets(s, TALLY_AGENT, arena, &overview->agents, &overview->nagents);
    read_facets(s, TALLY_TOPIC, arena, &overview->topics, &overview->ntopics);
    read_facets(s, TALLY_FAMILY, arena, &overview->families, &overview->nfamilies);
    overview->oldest_unfinished_ms = oldest_unfinished(s);
    if (to > from)
        read_points(s, from, to, step, arena, overview);
    struct error error = store_outcome(s, arena);

    database_run(s->db, "COMMIT");
    database_error_clear(s->db);
    return error;
}

struct error store_came(struct store *s, struct slice agent, int64_t from_ms, int64_t to_ms, int64_t *n)
{
    struct statement *st =
        database_prepare(s->db, "SELECT count(*) FROM words WHERE words MATCH ?1 AND rowid >= ?2 AND rowid < ?3");
    char room[32];
    struct buf term = BUF_IN(room);
    struct error error;

    words_put_term(WORD_AGENT, agent, &term);
    statement_text(st, 1, buf_slice(&term));
    statement_int(st, 2, num_at(from_ms));
    statement_int(st, 3, num_at(to_ms));
    *n = statement_step(st) ? statement_int_at(st, 0) : 0;
    statement_reset(st);
    error = database_error(s->db);
    database_error_clear(s->db);
    return error;
}
