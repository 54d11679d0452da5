/* The index: a fold of the dead letters and of the actions on them, in one SQLite file (DESIGN §2, issue 5).
 *
 *     index = fold(records of agent.dlq and dlq.topics, records of agent.dlq.actions)
 *
 * One writing connection, on the collector's thread (store_fold_…); reading connections on the threads of ask.h (store_…).
 * Reading functions are plain calls that answer from the last commit; give them a struct store that store_open_reader made.
 * Results lie in the arena that is passed, texts are copied there.
 *
 * The result does not depend on the order in which partitions are read: an action that comes before its letter waits in the table
 * of actions and is applied when the letter is there.
 *
 * Letters have a number (`num`), the order of all lists: failed_at in ms, then a hash of the id. Newest first is num falling; a
 * cursor is the num of the last row of a page. The number is the same after the index was made anew (save for equal hashes within
 * one ms).
 */
#ifndef DLQ_STORE_H
#define DLQ_STORE_H

#include "stepmill/arena.h"
#include "stepmill/database.h"
#include "stepmill/letter.h"

struct store;
struct effect; /* effect.h */

/* ---- Letters */

/* What has become of a letter, by its actions. */
enum letter_status {
    LETTER_OPEN,
    LETTER_ACKNOWLEDGED,  /* somebody looks at it */
    LETTER_RETRY_WAITING, /* goes by itself at due_at */
    LETTER_REDRIVING,     /* chosen by a job, not sent yet */
    LETTER_REDRIVEN,      /* sent; how it ended is not known yet */
    LETTER_FAILED_AGAIN,  /* sent, and failed: a newer letter stands for the task (newer_id) */
    LETTER_RESOLVED,      /* sent, and its task has ended: mostly completed */
    LETTER_PARKED,        /* no redrive by itself or by jobs until it is unparked */
    LETTER_DISCARDED,
    LETTER_STATUSES,
};
const char *letter_status_name(enum letter_status status); /* "open", "acknowledged", "retry_waiting", … */
bool letter_status_read(struct slice name, enum letter_status *status);
/* Those that still want something from somebody: open, acknowledged, retry_waiting, redriving, parked. */
#define LETTER_UNFINISHED                                                                                                        \
    (1U << LETTER_OPEN | 1U << LETTER_ACKNOWLEDGED | 1U << LETTER_RETRY_WAITING | 1U << LETTER_REDRIVING | 1U << LETTER_PARKED)

struct letter_row {
    int64_t num;
    struct letter letter;
    enum letter_status status;
    int64_t status_at_ms;  /* of the action that made it so; failed_at where none did */
    int64_t due_at_ms;     /* retry_waiting; else -1 */
    int32_t occurrences;   /* records with this id */
    int32_t sent;          /* Redriven actions of this letter */
    int64_t value_size;    /* bytes; -1: null */
    bool value_kept;       /* false: larger than dlq.value_max, to be fetched at dlq_topic, dlq_partition, dlq_offset */
    struct slice job;      /* of the last Redrive that chose it, or "auto" */
    struct slice assigned; /* to whom; absent: nobody */
    struct slice newer_id; /* letter of the same task with more redrives; absent: none */
    int32_t notes;         /* Noted actions */
};

/* A letter with all its bytes. */
struct letter_full {
    struct letter_row row;
    const struct kafka_header *headers; /* as in the record */
    size_t nheaders;
    struct slice key, value; /* absent: null (value: or not kept) */
};

/* Empty members ask for nothing. Texts are compared whole, but `text`: words (or their beginnings) that must all occur in
 * message, class, code, stage, id, task, session or agent. */
struct letter_filter {
    struct slice topic, dlq_topic, agent, class, code, stage, group, task_id, session_id, assigned, job, text;
    unsigned statuses;      /* bits 1 << enum letter_status; 0: all */
    int family;             /* enum letter_family + 1; 0: all */
    int64_t from_ms, to_ms; /* failed_at in [from, to); 0: open */
};

struct letter_page {
    const struct letter_row *rows;
    size_t n;
    int64_t next; /* cursor for the following page; 0: this is the last */
};

enum store_order { STORE_NEWEST_FIRST, STORE_OLDEST_FIRST };

/* `cursor` 0: from the start. Errors: database_… of database.h; internal out_of_memory (arena); config bad_query (`text` holds no
 * word). */
MUST_CHECK struct error store_letters(struct store *s, const struct letter_filter *f, enum store_order order, int64_t cursor,
                                      size_t limit, struct arena *arena, struct letter_page *page);
/* How many there are, counted up to `cap` (then *n == cap). */
MUST_CHECK struct error store_count(struct store *s, const struct letter_filter *f, int64_t cap, int64_t *n);
/* *found false: no such letter. */
MUST_CHECK struct error store_letter(struct store *s, struct slice id, struct arena *arena, struct letter_full *letter,
                                     bool *found);
/* The same without headers, key and value. */
MUST_CHECK struct error store_letter_row(struct store *s, struct slice id, struct arena *arena, struct letter_row *row,
                                         bool *found);

/* ---- Groups: letters of one fingerprint */

struct tally {
    struct slice name;
    int64_t n;
};

struct group_row {
    struct slice fingerprint;
    struct slice class, code, stage, pattern; /* pattern: the message as normalised */
    int64_t letters, unfinished;              /* occurrences, and those that still want something */
    int64_t by_status[LETTER_STATUSES];
    int64_t first_ms, last_ms; /* failed_at */
    struct slice example;      /* id of its newest letter */
    struct slice example_message;
    const struct tally *agents, *topics, *workers; /* most first, at most 8; workers: by host */
    size_t nagents, ntopics, nworkers;
    bool resolved;          /* by a GroupResolved; false again when a letter comes after it */
    int64_t resolved_at_ms; /* -1: never */
    int64_t returned_at_ms; /* failed_at of the first letter after the last resolution; -1: none */
    int64_t alerted_at_ms;  /* last Alerted of any sink; -1: never */
    struct slice assigned;
};

enum group_order { GROUP_BY_COUNT, GROUP_BY_LAST, GROUP_BY_FIRST };

struct group_filter {
    struct slice text, agent, topic, class;
    bool unfinished_only;
    enum group_order order; /* most, latest, or newest group first */
    int64_t seen_after_ms;  /* last letter at or after it; 0: all */
};

struct group_page {
    const struct group_row *rows;
    size_t n;
    int64_t next; /* offset of the following page; 0: this is the last */
};

MUST_CHECK struct error store_groups(struct store *s, const struct group_filter *f, int64_t offset, size_t limit,
                                     struct arena *arena, struct group_page *page);
MUST_CHECK struct error store_group(struct store *s, struct slice fingerprint, struct arena *arena, struct group_row *group,
                                    bool *found);

/* ---- Overview */

/* New letters and finished ones in [at, at + step). */
struct overview_point {
    int64_t at_ms, came, finished, unfinished; /* unfinished: at the end of the step */
};

struct overview {
    int64_t letters, by_status[LETTER_STATUSES], unfinished;
    int64_t groups, groups_unfinished;
    int64_t oldest_unfinished_ms;                             /* failed_at; -1: none */
    const struct tally *classes, *agents, *topics, *families; /* of the unfinished ones, most first, at most 64 each */
    size_t nclasses, nagents, ntopics, nfamilies;
    const struct overview_point *points;
    size_t npoints;
};

/* `step_ms` is rounded up to whole minutes; at most 2,000 points. */
MUST_CHECK struct error store_overview(struct store *s, int64_t from_ms, int64_t to_ms, int64_t step_ms, struct arena *arena,
                                       struct overview *overview);
/* Letters of an agent that came in [from, to): for error rates. */
MUST_CHECK struct error store_came(struct store *s, struct slice agent, int64_t from_ms, int64_t to_ms, int64_t *n);

/* ---- Actions, as they lie in the topic */

struct action_row {
    int64_t num;           /* order of the list, by time; cursor */
    struct slice id, kind; /* kind: action_kind_name of action.h */
    int64_t at_ms;
    struct slice actor, actor_kind, reason;
    struct slice letter, group, job; /* absent where it has none */
    struct slice body;               /* the record's Avro bytes, without the wire header */
    uint32_t schema_id;              /* that they were written with */
};

struct action_filter {
    struct slice letter, group, job, kind, actor;
    int64_t from_ms, to_ms;
};

struct action_page {
    const struct action_row *rows;
    size_t n;
    int64_t next;
};

MUST_CHECK struct error store_actions(struct store *s, const struct action_filter *f, enum store_order order, int64_t cursor,
                                      size_t limit, struct arena *arena, struct action_page *page);
/* Whether an action of this id was folded: for waiting, and for Idempotency-Key. */
MUST_CHECK struct error store_has_action(struct store *s, struct slice action_id, bool *has);
MUST_CHECK struct error store_action_detail(struct store *s, struct slice action_id, struct arena *arena, struct slice *detail,
                                            bool *has);
/* The request ("<key>/<digest>") for which `actor` used this Idempotency-Key first; absent: it is new. */
MUST_CHECK struct error store_request(struct store *s, struct slice actor, struct slice key, struct arena *arena,
                                      struct slice *request);
/* Letters of the actions that it made, newest first. */
MUST_CHECK struct error store_request_letters(struct store *s, struct slice actor, struct slice request, struct arena *arena,
                                              struct slice **ids, size_t *n);
/* Last Alerted of a group to a sink; -1: never. */
MUST_CHECK struct error store_alerted(struct store *s, struct slice group, struct slice sink, int64_t *at_ms, struct slice *kind,
                                      struct arena *arena);

/* ---- Redrive jobs */

enum job_state { JOB_REQUESTED, JOB_RUNNING, JOB_PAUSED, JOB_CANCELLED, JOB_FINISHED, JOB_STATES };
const char *job_state_name(enum job_state state);

struct job_row {
    int64_t num; /* order and cursor */
    struct slice id;
    enum job_state state;
    int64_t requested_at_ms, ended_at_ms; /* -1: not ended */
    struct slice actor, reason;
    int64_t selected, sent, skipped, completed, failed_again; /* letters; the last two: of the sent ones; cancelled ones
                                                                 count as failed */
    bool selected_all;                                        /* the last of its `selected` records was folded */
    struct slice body;                                        /* the request: Avro bytes as in action_row */
    uint32_t schema_id;
};

struct job_page {
    const struct job_row *rows;
    size_t n;
    int64_t next;
};

MUST_CHECK struct error store_jobs(struct store *s, bool unended_only, int64_t cursor, size_t limit, struct arena *arena,
                                   struct job_page *page);
MUST_CHECK struct error store_job(struct store *s, struct slice id, struct arena *arena, struct job_row *job, bool *found);
/* Its letters in the order in which they were selected; `unsent_only`: those without a Redriven of this job. `cursor` counts
 * selected letters. */
struct job_letters {
    const struct slice *ids;
    size_t n;
    int64_t next;
};
MUST_CHECK struct error store_job_letters(struct store *s, struct slice job, bool unsent_only, int64_t cursor, size_t limit,
                                          struct arena *arena, struct job_letters *letters);

/* ---- Timers */

/* Letters that wait for a retry, due at or before `until_ms`, earliest first. */
MUST_CHECK struct error store_due(struct store *s, int64_t until_ms, size_t limit, struct arena *arena, struct letter_page *page);

/* ---- Connections */

struct store_options {
    const char *folder; /* holds letters.db; made if missing */
    int64_t value_max;  /* larger values are not kept */
    int64_t cache_bytes;
};

/* The writer makes or migrates the schema; a file of another version is replaced by an empty one (the topics hold everything).
 * *made: the file is new, everything is to be folded again. */
MUST_CHECK struct error store_open_writer(const struct store_options *options, struct store **out, bool *made, char *detail,
                                          size_t room);
/* Whether it was folded from topics beside these. */
bool store_has_other_topics(struct store *s, const char *const *topics, size_t n);
/* Whether it was folded from the topic with this id; the first id that it is told is the right one. */
bool store_is_of_topic(struct store *s, const char *topic, const char *id);
/* Nothing is in it any more, for readers neither, which stay open. Between batches. */
MUST_CHECK struct error store_empty(struct store *s);
/* Replaces *s by a new, empty one. On an error *s is NULL. */
MUST_CHECK struct error store_open_anew(const struct store_options *options, struct store **s, char *detail, size_t room);
/* After the writer is open. */
MUST_CHECK struct error store_open_reader(const struct store_options *options, struct store **out, char *detail, size_t room);
void store_close(struct store *s);
struct database *store_database(struct store *s);

/* ---- Fold: the writer's, on its thread */

/* A batch is one SQLite transaction, with the places where reading goes on. */
void store_begin(struct store *s);
void store_fold_letter(struct store *s, const struct kafka_record *record);
/* An action of an id that was folded already is left out. */
void store_fold_action(struct store *s, const struct effect *effect);
void store_set_place(struct store *s, const char *topic, int32_t partition, int64_t next_offset);
/* On an error nothing of the batch is in the index. */
MUST_CHECK struct error store_commit(struct store *s);
void store_abort(struct store *s);
/* KAFKA_OFFSET_BEGINNING: nothing of this partition was folded. */
int64_t store_place(struct store *s, const char *topic, int32_t partition);

/* Letters whose records the topic no longer holds (retention) go, and with them what was done to them: the index is what a new
 * fold would give. A piece at a time, some 100 ms: at most `limit` go. *cursor: 0 at the beginning, then where it goes on; *more:
 * call again. Between batches. */
MUST_CHECK struct error store_forget_before(struct store *s, const char *topic, int32_t partition, int64_t oldest_offset,
                                            size_t limit, int64_t *cursor, bool *more);
/* The same for actions, save those of letters that are still there. Jobs go when they have ended and nothing is left of their own
 * actions. */
MUST_CHECK struct error store_forget_actions(struct store *s, int32_t partition, int64_t oldest_offset, size_t limit,
                                             int64_t *cursor, bool *more);
/* Once all is forgotten: groups without letters and actions, and counts that came to 0. */
MUST_CHECK struct error store_forget_rest(struct store *s);

#endif
