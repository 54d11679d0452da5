/* Groups of letters with one fingerprint: kept per batch, listed, shown. */
#include "store_parts.h"

enum { GROUP_TALLIES = 8 };

/* ---- The writer's part */

static int64_t outer_number(struct store *s, const char *sql, struct slice group)
{
    struct statement *st = database_prepare(s->db, sql);
    int64_t num;

    statement_text(st, 1, group);
    num = statement_step(st) ? statement_int_at(st, 0) : 0;
    statement_reset(st);
    return num;
}

static void refresh(struct store *s, struct slice group)
{
    struct statement *st =
        database_prepare(s->db, "INSERT INTO groups (fingerprint, first_num, last_num) VALUES (?1, ?2, ?3) ON "
                                "CONFLICT (fingerprint) DO UPDATE SET first_num = excluded.first_num, last_num = "
                                "excluded.last_num");
    int64_t first = outer_number(s, "SELECT num FROM letters WHERE fingerprint = ?1 ORDER BY num LIMIT 1", group);
    int64_t last = outer_number(s, "SELECT num FROM letters WHERE fingerprint = ?1 ORDER BY num DESC LIMIT 1", group);

    statement_text(st, 1, group);
    if (first)
        statement_int(st, 2, first);
    if (last)
        statement_int(st, 3, last);
    statement_run(st);
    st = database_prepare(s->db,
                          "UPDATE groups SET returned_at = (SELECT failed_at FROM letters WHERE fingerprint = ?1 AND num >= "
                          "(groups.resolved_at + 1) << 21 ORDER BY num LIMIT 1) WHERE fingerprint = ?1 AND resolved_at IS NOT "
                          "NULL");
    _Static_assert(STORE_TIME_SHIFT == 21, "the shift above");
    statement_text(st, 1, group);
    statement_run(st);
}

void groups_flush(struct store *s)
{
    for (size_t i = 0; i < s->tallies.room; i++) {
        const struct tally_entry *e = s->tallies.slots[i];

        if (e && e->kind == TALLY_GROUP && e->n)
            refresh(s, e->name);
    }
}

/* ---- Reading */

static void read_tallies(struct store *s, enum tally_kind kind, struct slice group, struct arena *arena, const struct tally **at,
                         size_t *n)
{
    struct statement *st =
        database_prepare(s->db, "SELECT of, sum(n) FROM tallies WHERE kind = ?1 AND name = ?2 GROUP BY of HAVING "
                                "sum(n) > 0 ORDER BY 2 DESC LIMIT 9");
    struct tally *t = arena_alloc(arena, (GROUP_TALLIES + 1) * sizeof *t);

    *n = 0;
    *at = t;
    statement_int(st, 1, kind);
    statement_text(st, 2, group);
    while (t && *n < GROUP_TALLIES && statement_step(st)) {
        struct slice name = statement_text_at(st, 0);

        if (name.len) /* the empty one stands for what has none */
            t[(*n)++] = (struct tally){arena_copy(arena, name), statement_int_at(st, 1)};
    }
    statement_reset(st);
}

static void read_statuses(struct store *s, struct group_row *g)
{
    struct statement *st = database_prepare(s->db, "SELECT status, n FROM tallies WHERE kind = ?1 AND name = ?2 AND of = ''");

    statement_int(st, 1, TALLY_GROUP);
    statement_text(st, 2, g->fingerprint);
    while (statement_step(st)) {
        int64_t status = statement_int_at(st, 0), n = statement_int_at(st, 1);

        if (status < 0 || status >= LETTER_STATUSES)
            continue;
        g->by_status[status] = n;
        g->letters += n;
        if (LETTER_UNFINISHED & 1U << status)
            g->unfinished += n;
    }
    statement_reset(st);
}

static void put_pattern(struct group_row *g, struct arena *arena)
{
    struct buf pattern = BUF(64 * 1024);

    fingerprint_normalise(g->example_message.at ? g->example_message : SLICE(""), &pattern);
    g->pattern = arena_copy(arena, buf_slice(&pattern));
    buf_free(&pattern);
}

#define GROUP_COLUMNS                                                                                                            \
    "g.fingerprint, l.class, l.code, l.stage, l.message, l.id, g.first_num >> 21, l.failed_at, g.resolved_at, g.returned_at, "   \
    "g.alerted_at, g.assigned"

/* n: letters, or with ?1 the unfinished ones. */
#define GROUPS_WITH_COUNT                                                                                                        \
    "SELECT " GROUP_COLUMNS                                                                                                      \
    ", (SELECT sum(n) FROM tallies t WHERE t.kind = 7 AND t.name = g.fingerprint AND t.of = '' AND (?1 = "                       \
    "0 OR t.status IN (0, 1, 2, 3, 7))) AS n FROM groups g JOIN letters l ON l.num = g.last_num WHERE "

static int64_t time_or_none(struct statement *st, int column)
{
    return statement_is_null(st, column) ? -1 : statement_int_at(st, column);
}

static void read_group(struct statement *st, struct arena *arena, struct group_row *g)
{
    *g = (struct group_row){.fingerprint = store_text(st, 0, arena),
                            .class = store_text(st, 1, arena),
                            .code = store_text(st, 2, arena),
                            .stage = store_text(st, 3, arena),
                            .example_message = store_text(st, 4, arena),
                            .example = store_text(st, 5, arena),
                            .first_ms = statement_int_at(st, 6),
                            .last_ms = statement_int_at(st, 7),
                            .resolved_at_ms = time_or_none(st, 8),
                            .returned_at_ms = time_or_none(st, 9),
                            .alerted_at_ms = time_or_none(st, 10),
                            .assigned = store_text(st, 11, arena)};
    g->resolved = g->resolved_at_ms >= 0 && g->returned_at_ms < 0;
}

/* What is asked of the tallies, after the statement that found the group has ended. */
static void complete(struct store *s, struct arena *arena, struct group_row *g)
{
    read_statuses(s, g);
    put_pattern(g, arena);
    read_tallies(s, TALLY_GROUP_AGENT, g->fingerprint, arena, &g->agents, &g->nagents);
    read_tallies(s, TALLY_GROUP_TOPIC, g->fingerprint, arena, &g->topics, &g->ntopics);
    read_tallies(s, TALLY_GROUP_WORKER, g->fingerprint, arena, &g->workers, &g->nworkers);
}

static struct slice pattern_of(struct slice text, struct arena *arena)
{
    char *at = arena_alloc(arena, 2 * text.len + 2);
    size_t n = 0;

    if (!at || !text.at)
        return (struct slice){NULL, 0};
    at[n++] = '%';
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] == '%' || text.at[i] == '_' || text.at[i] == '\\')
            continue; /* they would mean more than themselves; what is left still has to occur */
        at[n++] = text.at[i];
    }
    at[n++] = '%';
    return (struct slice){at, n};
}

static struct statement *prepare_groups(struct store *s, const struct group_filter *f, struct arena *arena)
{
    static const char *const ends[] = {
        [GROUP_BY_COUNT] = "n DESC, g.last_num DESC", [GROUP_BY_LAST] = "g.last_num DESC", [GROUP_BY_FIRST] = "g.first_num DESC"};
    char room[4096];
    struct buf sql = BUF_IN(room);
    struct statement *st;

    _Static_assert(TALLY_GROUP == 7 && TALLY_GROUP_AGENT == 8 && TALLY_GROUP_TOPIC == 9, "the numbers here");
    _Static_assert(LETTER_UNFINISHED == (1 << 0 | 1 << 1 | 1 << 2 | 1 << 3 | 1 << 7), "the numbers above");
    buf_put_text(
        &sql, GROUPS_WITH_COUNT
        "(?2 IS NULL OR l.message LIKE ?2 OR l.class LIKE ?2 OR l.code LIKE ?2 OR l.stage LIKE ?2 OR g.fingerprint LIKE ?2) "
        "AND (?3 IS NULL OR l.class = ?3) AND l.num >= ?4 AND (?5 IS NULL OR EXISTS (SELECT 1 FROM tallies a WHERE a.kind = "
        "8 AND a.name = g.fingerprint AND a.of = ?5 AND a.n > 0)) AND (?6 IS NULL OR EXISTS (SELECT 1 FROM tallies a WHERE "
        "a.kind = 9 AND a.name = g.fingerprint AND a.of = ?6 AND a.n > 0)) AND coalesce(n, 0) > 0 ORDER BY ");
    buf_put_text(&sql, ends[f->order]);
    buf_put_text(&sql, " LIMIT ?7 OFFSET ?8");
    st = database_prepare_text(s->db, buf_slice(&sql));
    statement_int(st, 1, f->unfinished_only);
    statement_text(st, 2, f->text.len ? pattern_of(f->text, arena) : (struct slice){NULL, 0});
    statement_text(st, 3, f->class);
    statement_int(st, 4, f->seen_after_ms > 0 ? num_at(f->seen_after_ms) : 0);
    statement_text(st, 5, f->agent);
    statement_text(st, 6, f->topic);
    return st;
}

struct error store_groups(struct store *s, const struct group_filter *f, int64_t offset, size_t limit, struct arena *arena,
                          struct group_page *page)
{
    struct statement *st = prepare_groups(s, f, arena);
    struct group_row *rows = arena_alloc(arena, (limit + 1) * sizeof *rows);
    size_t n = 0;

    *page = (struct group_page){.rows = rows};
    statement_int(st, 7, (int64_t)limit + 1);
    statement_int(st, 8, offset);
    while (rows && n <= limit && statement_step(st))
        read_group(st, arena, &rows[n++]);
    statement_reset(st);
    page->n = n > limit ? limit : n;
    page->next = n > limit ? offset + (int64_t)limit : 0;
    for (size_t i = 0; i < page->n; i++)
        complete(s, arena, &rows[i]);
    return store_outcome(s, arena);
}

struct error store_group(struct store *s, struct slice fingerprint, struct arena *arena, struct group_row *group, bool *found)
{
    struct statement *st = database_prepare(
        s->db, "SELECT " GROUP_COLUMNS " FROM groups g JOIN letters l ON l.num = g.last_num WHERE g.fingerprint = ?1");

    statement_text(st, 1, fingerprint);
    *found = statement_step(st);
    if (*found)
        read_group(st, arena, group);
    statement_reset(st);
    if (*found)
        complete(s, arena, group);
    return store_outcome(s, arena);
}
