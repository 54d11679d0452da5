/* Finding letters: filters, pages, counts. */
#include "store_parts.h"

enum { SQL_MAX = 8192, VALUES_MAX = 24 };

/* A query that is put together: its text and what is bound to it. */
struct query {
    struct buf sql;
    char room[SQL_MAX];
    struct value {
        struct slice text; /* absent: the number counts */
        int64_t number;
    } values[VALUES_MAX];
    int n;
};

static int bind_text(struct query *q, struct slice text)
{
    q->values[q->n++] = (struct value){text, 0};
    return q->n;
}

static int bind_number(struct query *q, int64_t number)
{
    q->values[q->n++] = (struct value){{NULL, 0}, number};
    return q->n;
}

static struct statement *prepare(struct store *s, struct query *q)
{
    struct statement *st = database_prepare_text(s->db, buf_slice(&q->sql));

    for (int i = 0; i < q->n; i++) {
        if (q->values[i].text.at)
            statement_text(st, i + 1, q->values[i].text);
        else
            statement_int(st, i + 1, q->values[i].number);
    }
    return st;
}

/* A filter by one column: its index, or the kind of its terms in the full-text index, and under what its letters are counted (-1:
 * they are few, or not counted). */
struct column {
    const char *name, *index; /* index NULL: by term */
    enum word_kind word;
    int tally;
    struct slice value;
    int64_t number; /* what stands in the column, where it is no text */
};

enum { COLUMNS = 12 };

static void columns_of(const struct letter_filter *f, struct column c[COLUMNS])
{
    const struct column all[COLUMNS] = {
        {"task_id", "letters_task", 0, -1, f->task_id, 0},
        {"session_id", "letters_session", 0, -1, f->session_id, 0},
        {"job", "letters_job", 0, TALLY_JOB, f->job, 0},
        {"assigned", "letters_assigned", 0, -1, f->assigned, 0},
        {"fingerprint", "letters_group", 0, TALLY_GROUP, f->group, 0},
        {"code", NULL, WORD_CODE, TALLY_CODE, f->code, 0},
        {"class", NULL, WORD_CLASS, TALLY_CLASS, f->class, 0},
        {"stage", NULL, WORD_STAGE, TALLY_STAGE, f->stage, 0},
        {"agent", NULL, WORD_AGENT, TALLY_AGENT, f->agent, 0},
        {"topic", NULL, WORD_TOPIC, TALLY_TOPIC, f->topic, 0},
        {"dlq_topic", NULL, WORD_DLQ_TOPIC, -1, f->dlq_topic, 0},
        {"family", NULL, WORD_FAMILY, TALLY_FAMILY,
         f->family ? slice_of(letter_family_name((enum letter_family)(f->family - 1))) : (struct slice){NULL, 0}, f->family - 1},
    };

    memcpy(c, all, sizeof all);
}

static int64_t tally_of(struct store *s, int kind, struct slice name, unsigned statuses)
{
    struct statement *st = database_prepare(s->db, "SELECT status, n FROM tallies WHERE kind = ?1 AND name = ?2 AND of = ''");
    int64_t n = 0;

    statement_int(st, 1, kind);
    statement_text(st, 2, name.at ? name : SLICE(""));
    while (statement_step(st))
        if (statuses & 1U << statement_int_at(st, 0))
            n += statement_int_at(st, 1);
    statement_reset(st);
    return n;
}

enum { EVERY_STATUS = (1 << LETTER_STATUSES) - 1 };

/* The way with the fewest letters on it. */
struct way {
    const struct column *column; /* its index, or all terms; NULL: by status, or all by time */
    bool by_status;
    int64_t expected;
};

static struct way choose(struct store *s, const struct letter_filter *f, const struct column *c)
{
    struct way w = {.expected = tally_of(s, TALLY_ALL, SLICE(""), EVERY_STATUS)};

    if (f->statuses) {
        int64_t n = tally_of(s, TALLY_ALL, SLICE(""), f->statuses);

        /* Where most letters have one of the statuses, a walk by time finds them as quickly, and in order. */
        if (n < w.expected / 4)
            w = (struct way){.by_status = true, .expected = n};
    }
    for (int i = 0; i < COLUMNS; i++) {
        int64_t n;

        if (!c[i].value.at)
            continue;
        n = c[i].tally >= 0 ? tally_of(s, c[i].tally, c[i].value, EVERY_STATUS) : c[i].index ? 100 : w.expected;
        if (n <= w.expected)
            w = (struct way){.column = &c[i], .expected = n};
    }
    return w;
}

static void put_conditions(struct query *q, const struct letter_filter *f, const struct column *c, bool statuses)
{
    for (int i = 0; i < COLUMNS; i++)
        if (c[i].value.at) {
            int parameter = c[i].tally == TALLY_FAMILY ? bind_number(q, c[i].number) : bind_text(q, c[i].value);

            buf_printf(&q->sql, " AND %s = ?%d", c[i].name, parameter);
        }
    if (statuses && f->statuses) {
        buf_put_text(&q->sql, " AND status IN (");
        for (int i = 0, n = 0; i < LETTER_STATUSES; i++)
            if (f->statuses & 1U << i)
                buf_printf(&q->sql, n++ ? ", %d" : "%d", i);
        buf_put_byte(&q->sql, ')');
    }
}

static void put_range(struct query *q, const struct letter_filter *f, const char *num, enum store_order order, int64_t cursor)
{
    int64_t low = f->from_ms > 0 ? num_at(f->from_ms) - 1 : 0, high = f->to_ms > 0 ? num_at(f->to_ms) : INT64_MAX;
    int a, b;

    if (cursor && order == STORE_NEWEST_FIRST && cursor < high)
        high = cursor;
    if (cursor && order == STORE_OLDEST_FIRST && cursor > low)
        low = cursor;
    a = bind_number(q, low);
    b = bind_number(q, high);
    buf_printf(&q->sql, " WHERE %s > ?%d AND %s < ?%d", num, a, num, b);
}

/* Numbers of letters: SELECT num FROM … ORDER BY num. By status: one status per query, so that each is a walk along the index. */
static bool put_source(struct query *q, const struct letter_filter *f, const struct column *c, const struct way *w,
                       enum store_order order, int64_t cursor, struct slice words, int status)
{
    q->sql = BUF_IN(q->room);
    if (words.at) {
        int parameter;

        buf_put_text(&q->sql, "SELECT words.rowid FROM words JOIN letters ON letters.num = words.rowid");
        put_range(q, f, "words.rowid", order, cursor);
        parameter = bind_text(q, words);
        buf_printf(&q->sql, " AND words MATCH ?%d", parameter);
        put_conditions(q, f, c, true);
        buf_printf(&q->sql, " ORDER BY words.rowid %s", order == STORE_NEWEST_FIRST ? "DESC" : "ASC");
    } else {
        const char *index = w->column ? w->column->index : status >= 0 ? "letters_status" : NULL;

        buf_printf(&q->sql, "SELECT num FROM letters %s%s", index ? "INDEXED BY " : "NOT INDEXED", index ? index : "");
        put_range(q, f, "num", order, cursor);
        put_conditions(q, f, c, status < 0);
        if (status >= 0)
            buf_printf(&q->sql, " AND status = %d", status);
        buf_printf(&q->sql, " ORDER BY num %s", order == STORE_NEWEST_FIRST ? "DESC" : "ASC");
    }
    return !q->sql.failed;
}

static size_t take_numbers(struct store *s, struct query *q, int64_t *nums, size_t limit)
{
    int parameter = bind_number(q, (int64_t)limit);
    struct statement *st;
    size_t n = 0;

    buf_printf(&q->sql, " LIMIT ?%d", parameter);
    st = prepare(s, q);
    while (n < limit && statement_step(st))
        nums[n++] = statement_int_at(st, 0);
    statement_reset(st);
    return n;
}

/* Both in order; the first `limit` of both together, into `a`. */
static size_t merge(int64_t *a, size_t na, const int64_t *b, size_t nb, size_t limit, enum store_order order, int64_t *scratch)
{
    size_t i = 0, k = 0, n = 0;

    while (n < limit && (i < na || k < nb)) {
        bool first = k == nb || (i < na && (order == STORE_NEWEST_FIRST ? a[i] > b[k] : a[i] < b[k]));

        scratch[n++] = first ? a[i++] : b[k++];
    }
    memcpy(a, scratch, n * sizeof *a);
    return n;
}

/* The query of the full-text index: the words asked for, and terms for the columns that have no index of their own. Absent: none.
 */
static struct slice with_terms(const struct column *c, const struct way *w, struct slice words, struct arena *arena)
{
    char room[COLUMNS * 32];
    struct buf all = BUF(128 * 1024), terms = BUF_IN(room);
    struct slice query = words;

    if (!words.at && (!w->column || w->column->index))
        return words;
    for (int i = 0; i < COLUMNS; i++)
        if (c[i].value.at && !c[i].index) {
            buf_put_text(&terms, terms.len ? " AND " : "");
            words_put_term(c[i].word, c[i].value, &terms);
        }
    if (terms.len) {
        buf_printf(&all, words.at ? "%.*s AND (%.*s)" : "%.*s%.*s", SLICE_FMT(buf_slice(&terms)), (int)words.len,
                   words.at ? words.at : "");
        query = arena_copy(arena, buf_slice(&all));
    }
    buf_free(&all);
    return query;
}

static size_t find_numbers(struct store *s, const struct letter_filter *f, enum store_order order, int64_t cursor, size_t limit,
                           struct slice words, struct arena *arena, int64_t **nums)
{
    struct column columns[COLUMNS];
    int64_t *other = arena_alloc(arena, (limit + 1) * sizeof *other),
            *scratch = arena_alloc(arena, (limit + 1) * sizeof *scratch);
    struct query q;
    struct way way;
    size_t n = 0;

    *nums = arena_alloc(arena, (limit + 1) * sizeof **nums);
    if (!*nums || !other || !scratch)
        return 0;
    columns_of(f, columns);
    way = choose(s, f, columns);
    words = with_terms(columns, &way, words, arena);
    if (!way.by_status || words.at) {
        q.n = 0;
        return put_source(&q, f, columns, &way, order, cursor, words, -1) ? take_numbers(s, &q, *nums, limit) : 0;
    }
    for (int status = 0; status < LETTER_STATUSES; status++) {
        size_t more;

        q.n = 0;
        if (!(f->statuses & 1U << status) || !put_source(&q, f, columns, &way, order, cursor, words, status))
            continue;
        more = take_numbers(s, &q, other, limit);
        n = merge(*nums, n, other, more, limit, order, scratch);
    }
    return n;
}

/* What is looked for, as a query of the full-text index; absent: nothing. */
static struct error read_words(struct store *s, const struct letter_filter *f, struct arena *arena, struct slice *words)
{
    struct buf query = BUF(64 * 1024);
    struct error error = error_none();

    *words = (struct slice){NULL, 0};
    if (!f->text.len)
        return error;
    if (words_query(s, f->text, &query) && !query.failed)
        *words = arena_copy(arena, buf_slice(&query));
    else
        error = error_make(CLASS_CONFIG, "bad_query", "the text holds no word to look for");
    buf_free(&query);
    return error;
}

struct error store_letters(struct store *s, const struct letter_filter *f, enum store_order order, int64_t cursor, size_t limit,
                           struct arena *arena, struct letter_page *page)
{
    struct statement *st = database_prepare(s->db, "SELECT " LETTER_COLUMNS " FROM letters WHERE num = ?1");
    struct letter_row *rows;
    struct slice words;
    struct error error = read_words(s, f, arena, &words);
    int64_t *nums;
    size_t n, read = 0;

    *page = (struct letter_page){0};
    if (failed(error))
        return error;
    n = find_numbers(s, f, order, cursor, limit + 1, words, arena, &nums);
    rows = arena_alloc(arena, (n + 1) * sizeof *rows);
    for (size_t i = 0; rows && i < n && i < limit; i++) {
        statement_int(st, 1, nums[i]);
        if (statement_step(st))
            row_read(st, arena, &rows[read++]);
        statement_reset(st);
    }
    page->rows = rows;
    page->n = read;
    page->next = n > limit ? nums[limit - 1] : 0;
    return store_outcome(s, arena);
}

/* What a tally knows needs no walk. */
static bool count_by_tally(struct store *s, const struct letter_filter *f, int64_t *n)
{
    unsigned statuses = f->statuses ? f->statuses : EVERY_STATUS;
    const struct column *only = NULL;
    struct column c[COLUMNS];

    columns_of(f, c);
    for (int i = 0; i < COLUMNS; i++) {
        if (!c[i].value.at)
            continue;
        if (only || c[i].tally < 0)
            return false;
        only = &c[i];
    }
    if (f->text.len || f->from_ms || f->to_ms)
        return false;
    *n = only ? tally_of(s, only->tally, only->value, statuses) : tally_of(s, TALLY_ALL, SLICE(""), statuses);
    return true;
}

static int64_t count_rows(struct store *s, struct query *q, int64_t cap)
{
    int parameter = bind_number(q, cap);
    struct statement *st;
    int64_t n = 0;

    buf_printf(&q->sql, " LIMIT ?%d", parameter);
    st = prepare(s, q);
    while (statement_step(st))
        n++;
    statement_reset(st);
    return n;
}

/* By status: one walk for each, as find_numbers does it. */
static int64_t count_by_walk(struct store *s, const struct letter_filter *f, int64_t cap, struct slice words, struct arena *arena)
{
    struct column columns[COLUMNS];
    struct query q = {.n = 0};
    struct way way;
    int64_t n = 0;

    columns_of(f, columns);
    way = choose(s, f, columns);
    words = with_terms(columns, &way, words, arena);
    if (!way.by_status || words.at)
        return put_source(&q, f, columns, &way, STORE_OLDEST_FIRST, 0, words, -1) ? count_rows(s, &q, cap) : 0;
    for (int status = 0; status < LETTER_STATUSES && n < cap; status++) {
        q.n = 0;
        if (f->statuses & 1U << status && put_source(&q, f, columns, &way, STORE_OLDEST_FIRST, 0, words, status))
            n += count_rows(s, &q, cap - n);
    }
    return n;
}

struct error store_count(struct store *s, const struct letter_filter *f, int64_t cap, int64_t *n)
{
    struct arena *arena = arena_new(256 * 1024);
    struct slice words;
    struct error error;

    *n = 0;
    if (!arena)
        return error_make(CLASS_INTERNAL, "out_of_memory", "no memory left for a query");
    error = read_words(s, f, arena, &words);
    if (!failed(error) && !count_by_tally(s, f, n)) {
        *n = count_by_walk(s, f, cap, words, arena);
        error = store_outcome(s, arena);
    }
    if (*n > cap)
        *n = cap;
    arena_free(arena);
    return error;
}
