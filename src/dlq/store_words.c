/* Finding letters by words: the full-text index. */
#include <ctype.h>
#include <stdlib.h>

#include "store_parts.h"

enum { WORDS_MAX = 16, BEGINNING_MIN = 3, TERM_MAX = 32, TERMS_MAX = 64, FILTER_DIGITS = 10, FILTER_TERM = FILTER_DIGITS + 3 };

/* No word of a text looks like it: "zz", the kind, and a hash of the value, which may hold anything. */
void words_put_term(enum word_kind kind, struct slice value, struct buf *to)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);

    for (size_t i = 0; i < value.len; i++)
        hash = (hash ^ (unsigned char)value.at[i]) * UINT64_C(0x100000001b3);
    hash ^= hash >> 32;
    buf_put_text(to, "zz");
    buf_put_byte(to, (char)('a' + kind));
    for (int i = FILTER_DIGITS; i-- > 0; hash >>= 4)
        buf_put_byte(to, "0123456789abcdef"[hash & 15]);
}

static void put_terms(const struct letter *l, struct buf *to)
{
    const struct slice values[WORD_KINDS] = {[WORD_TOPIC] = l->topic,
                                             [WORD_DLQ_TOPIC] = l->dlq_topic,
                                             [WORD_AGENT] = l->agent,
                                             [WORD_CLASS] = l->class,
                                             [WORD_CODE] = l->code,
                                             [WORD_STAGE] = l->stage,
                                             [WORD_FAMILY] = slice_of(letter_family_name(l->family))};

    for (enum word_kind kind = 0; kind < WORD_KINDS; kind++)
        if (values[kind].at) {
            buf_put_byte(to, ' ');
            words_put_term(kind, values[kind], to);
        }
}

/* *words: the part of it that holds the letter's words; behind it are the terms of filters. */
static struct slice text_of(const struct letter *l, struct arena *arena, struct slice *words)
{
    const struct slice parts[] = {l->message, l->class, l->code, l->stage, l->agent, l->task_id, l->session_id};
    char room[WORD_KINDS * (FILTER_TERM + 2)];
    struct buf terms = BUF_IN(room);
    size_t n = 0;
    char *at;

    put_terms(l, &terms);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        n += parts[i].len + 1;
    at = arena_alloc(arena, n + terms.len);
    *words = (struct slice){NULL, 0};
    if (!at)
        return *words;
    n = 0;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (parts[i].len) {
            for (size_t k = 0; k < parts[i].len; k++)
                at[n++] = (char)tolower((unsigned char)parts[i].at[k]);
            at[n++] = ' ';
        }
    *words = (struct slice){at, n};
    memcpy(at + n, terms.at, terms.len);
    return (struct slice){at, n + terms.len};
}

static bool is_plain(struct slice word)
{
    for (size_t i = 0; i < word.len; i++)
        if (word.at[i] < 'a' || word.at[i] > 'z')
            return false;
    return word.len >= BEGINNING_MIN && word.len <= TERM_MAX;
}

static bool in_word(char c) { return isalnum((unsigned char)c) || (unsigned char)c >= 0x80; }

/* The next word from *at on; empty: there is none. */
static struct slice next_word(struct slice text, size_t *at)
{
    size_t begin;

    while (*at < text.len && !in_word(text.at[*at]))
        (*at)++;
    begin = *at;
    while (*at < text.len && in_word(text.at[*at]))
        (*at)++;
    return (struct slice){text.at + begin, *at - begin};
}

/* Plain words are few: they are listed, so that the beginning of one can be looked up. */
static void note_terms(struct store *s, struct slice text)
{
    size_t at = 0;

    for (struct slice word = next_word(text, &at); word.len; word = next_word(text, &at))
        if (is_plain(word))
            tally_add(&s->tallies, s->arena, (struct tally_entry){.kind = TALLY_WORD, .name = word, .n = 1});
}

/* Only noted here: the full-text index wants rising numbers, else each letter becomes a piece of its own in the file. */
void words_add(struct store *s, const struct letter *l, int64_t num)
{
    struct word_entry *e = arena_alloc(s->arena, sizeof *e);
    struct slice words;

    if (!e)
        return;
    *e = (struct word_entry){.next = s->words, .num = num, .text = text_of(l, s->arena, &words)};
    s->words = e;
    s->nwords++;
    note_terms(s, words);
}

static int by_number(const void *a, const void *b)
{
    int64_t x = (*(struct word_entry *const *)a)->num, y = (*(struct word_entry *const *)b)->num;

    return (x > y) - (x < y);
}

void words_flush(struct store *s)
{
    struct statement *st = database_prepare(s->db, "INSERT INTO words (rowid, text) VALUES (?1, ?2)");
    struct word_entry **sorted = arena_alloc(s->arena, (s->nwords + 1) * sizeof(struct word_entry *));
    size_t n = 0;

    for (struct word_entry *e = sorted ? s->words : NULL; e; e = e->next)
        sorted[n++] = e;
    if (n)
        qsort(sorted, n, sizeof(struct word_entry *), by_number);
    for (size_t i = 0; i < n; i++) {
        statement_int(st, 1, sorted[i]->num);
        statement_text(st, 2, sorted[i]->text);
        statement_run(st);
    }
    s->words = NULL;
    s->nwords = 0;
}

/* The index holds no texts: what is taken out must be told again. */
void words_remove(struct store *s, const struct letter *l, int64_t num)
{
    struct statement *st = database_prepare(s->db, "INSERT INTO words (words, rowid, text) VALUES ('delete', ?1, ?2)");
    struct slice words, text = text_of(l, s->arena, &words);

    statement_int(st, 1, num);
    statement_text(st, 2, text);
    statement_run(st);
}

/* A word of the query by its beginning. The full-text index walks along whole words in the order of letters, but has to gather
 * and sort what a beginning could mean: so plain words that begin so are named one by one. */
static void put_word(struct store *s, struct slice word, struct buf *to)
{
    struct statement *st = database_prepare(s->db, "SELECT term FROM terms WHERE term >= ?1 AND term < ?1 || '{' LIMIT 65");
    size_t before = to->len;
    int n = 0;

    if (is_plain(word)) {
        statement_text(st, 1, word);
        while (n <= TERMS_MAX && statement_step(st))
            buf_printf(to, "%s\"%.*s\"", n++ ? " OR " : "(", SLICE_FMT(statement_text_at(st, 0)));
        statement_reset(st);
    }
    if (n > 0 && n <= TERMS_MAX) {
        buf_put_byte(to, ')');
        return;
    }
    if (!to->failed)
        to->len = before;
    buf_printf(to, "\"%.*s\"%s", SLICE_FMT(word), word.len >= BEGINNING_MIN ? "*" : "");
}

/* Where a word of other than ASCII letters ends, only the full-text index knows, and one that it cuts in two would be a phrase,
 * which it has no places for: so it is asked. Its tables for that lie in memory; the connection's file stays as it is. */
static void cut_word(struct store *s, struct slice word)
{
    struct statement *st;

    if (!s->writer)
        database_run(s->db, "PRAGMA query_only = 0");
    if (!s->cuts_words)
        database_run(s->db, "CREATE VIRTUAL TABLE temp.asked USING fts5 (text, tokenize = 'unicode61 remove_diacritics 2');"
                            "CREATE VIRTUAL TABLE temp.asked_words USING fts5vocab (temp, asked, row);");
    s->cuts_words = true;
    database_run(s->db, "DELETE FROM temp.asked");
    st = database_prepare(s->db, "INSERT INTO temp.asked (text) VALUES (?1)");
    statement_text(st, 1, word);
    statement_run(st);
    if (!s->writer)
        database_run(s->db, "PRAGMA query_only = 1");
}

static int put_words_of(struct store *s, struct slice word, struct buf *to, int n)
{
    struct statement *st;
    bool ascii = true;

    for (size_t i = 0; i < word.len; i++)
        ascii = ascii && (unsigned char)word.at[i] < 0x80;
    if (ascii) {
        buf_put_text(to, n ? " AND " : "");
        put_word(s, word, to);
        return n + 1;
    }
    cut_word(s, word);
    st = database_prepare(s->db, "SELECT term FROM temp.asked_words LIMIT 16");
    while (n < WORDS_MAX && statement_step(st)) {
        buf_put_text(to, n++ ? " AND " : "");
        put_word(s, statement_text_at(st, 0), to);
    }
    statement_reset(st);
    return n;
}

bool words_query(struct store *s, struct slice text, struct buf *to)
{
    struct buf lower = BUF(4096);
    size_t at = 0;
    int n = 0;

    for (size_t i = 0; i < text.len; i++)
        buf_put_byte(&lower, (char)tolower((unsigned char)text.at[i]));
    for (struct slice word = next_word(buf_slice(&lower), &at); word.len && n < WORDS_MAX;
         word = next_word(buf_slice(&lower), &at))
        n = put_words_of(s, word, to, n);
    if (lower.failed)
        n = 0;
    buf_free(&lower);
    return n > 0;
}
