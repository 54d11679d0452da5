/* Finding letters by words: the full-text index. */
#include <ctype.h>
#include <stdlib.h>

#include "store_parts.h"

enum { WORDS_MAX = 16, BEGINNING_MIN = 3 };

static struct slice text_of(const struct letter *l, struct arena *arena)
{
    const struct slice parts[] = {l->message, l->class, l->code, l->stage, l->agent, l->task_id, l->session_id};
    size_t n = 0;
    char *at;

    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        n += parts[i].len + 1;
    at = arena_alloc(arena, n);
    if (!at)
        return (struct slice){NULL, 0};
    n = 0;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (parts[i].len) {
            memcpy(at + n, parts[i].at, parts[i].len);
            n += parts[i].len;
            at[n++] = ' ';
        }
    return (struct slice){at, n};
}

/* Only noted here: the full-text index wants rising numbers, else each letter becomes a piece of its own in the file. */
void words_add(struct store *s, const struct letter *l, int64_t num)
{
    struct word_entry *e = arena_alloc(s->arena, sizeof *e);

    if (!e)
        return;
    *e = (struct word_entry){.next = s->words, .num = num, .text = text_of(l, s->arena)};
    s->words = e;
    s->nwords++;
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
    struct slice text = text_of(l, s->arena);

    statement_int(st, 1, num);
    statement_text(st, 2, text);
    statement_run(st);
}

static bool in_word(char c) { return isalnum((unsigned char)c) || (unsigned char)c >= 0x80; }

bool words_query(struct slice text, struct buf *to)
{
    int n = 0;

    for (size_t i = 0; i < text.len && n < WORDS_MAX;) {
        size_t begin = i;

        while (i < text.len && in_word(text.at[i]))
            i++;
        if (i == begin) {
            i++;
            continue;
        }
        if (n++)
            buf_put_byte(to, ' ');
        buf_put_byte(to, '"');
        buf_put(to, text.at + begin, i - begin);
        buf_put_text(to, i - begin >= BEGINNING_MIN ? "\"*" : "\"");
    }
    return n > 0;
}
