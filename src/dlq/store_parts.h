/* What the files of the index share; private to store*.c. */
#ifndef DLQ_STORE_PARTS_H
#define DLQ_STORE_PARTS_H

#include "store.h"
#include "tally.h"

enum {
    STORE_VERSION = 5, /* of the schema; another one: the file is made anew */
    STORE_TIME_SHIFT = 21,
    STORE_BATCH_MAX = 256 * 1024 * 1024, /* texts of one batch */
};

struct store {
    struct database *db;
    struct store_options options;
    char *path;
    bool writer;
    /* of the batch that is open: */
    struct arena *arena;
    struct tallies tallies;
    struct word_entry *words;
    size_t nwords;
    bool have_actions, have_jobs; /* whether looking for them can find any */
    bool cuts_words;              /* the tables by which words are cut are there */
};

/* What is to be found by text, of one letter. */
struct word_entry {
    struct word_entry *next;
    int64_t num;
    struct slice text;
};

/* The number of the letters of this ms begin here. */
static inline int64_t num_at(int64_t ms)
{
    const int64_t max = (INT64_C(1) << (63 - STORE_TIME_SHIFT)) - 1;

    return (ms < 0 ? 0 : ms > max ? max : ms) << STORE_TIME_SHIFT;
}

/* What decides over a letter's status, and what its status is counted under. */
struct state {
    int64_t num;
    enum letter_status base; /* by its own actions alone */
    int64_t base_at_ms;
    int64_t due_ms;
    int32_t sent, notes;
    struct slice sent_job, pending_job, assigned, newer_id;
    struct slice ended; /* name of the Resolved that made it so; absent: none */
    int64_t newer_at_ms;
    enum letter_status status; /* base, pending job and newer letter together */
    int64_t status_at_ms;
    struct slice job;
    int64_t failed_at_ms;
    struct slice class, code, stage, agent, topic, worker, fingerprint;
    enum letter_family family;
};

/* state.c: pure */
void state_apply(struct state *s, const struct effect *e);
void state_settle(struct state *s);

/* store_state.c */
/* False: no such letter (yet). Texts are copied to the batch's arena. */
bool state_load(struct store *s, struct slice id, struct state *state);
void state_save(struct store *s, const struct state *before, struct state *after);
void state_count(struct store *s, const struct state *state, int64_t n);
/* Folds what was folded before the letter came. */
void state_catch_up(struct store *s, struct slice id, struct state *state);
/* The job that chose the letter and has not sent it; absent: none. */
struct slice state_pending_job(struct store *s, struct slice letter);

/* store_groups.c */
/* First and last letter of each group that the batch touched. */
void groups_flush(struct store *s);

/* store_words.c */
void words_add(struct store *s, const struct letter *l, int64_t num);
void words_flush(struct store *s);
void words_remove(struct store *s, const struct letter *l, int64_t num);
/* The query for the full-text index, or false: no word in it. */
bool words_query(struct store *s, struct slice text, struct buf *to);
/* What stays as it is and many letters share; found by a term of the full-text index. */
enum word_kind { WORD_TOPIC, WORD_DLQ_TOPIC, WORD_AGENT, WORD_CLASS, WORD_CODE, WORD_STAGE, WORD_FAMILY, WORD_KINDS };
/* The term that letters with this value have. Another value may have it too, once in 10^12: compare the column. */
void words_put_term(enum word_kind kind, struct slice value, struct buf *to);

/* store_row.c */
#define LETTER_COLUMNS                                                                                                           \
    "num, id, family, dlq_topic, dlq_partition, dlq_offset, topic, partition, offset, consumer, task_id, session_id, agent, "    \
    "class, code, stage, message, step, attempts, redrives, first_failed_at, failed_at, started_at, retryable, worker, "         \
    "schema_id, value_omitted, trace_id, fingerprint, occurrences, value_size, value_kept, status, status_at, due_at, sent, "    \
    "job, assigned, newer_id, notes"
void row_read(struct statement *st, struct arena *arena, struct letter_row *row);
void headers_put(const struct kafka_header *headers, size_t n, struct buf *to);
bool headers_read(struct slice packed, struct arena *arena, const struct kafka_header **headers, size_t *n);

/* store.c */
/* What went wrong with the connection or the arena, if anything; clears it. */
struct error store_outcome(struct store *s, const struct arena *arena);
struct slice store_text(struct statement *st, int column, struct arena *arena);

#endif
