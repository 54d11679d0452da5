/* What the files of the engine share; private to redrive*.c, retry.c, resolve.c, restore.c, alert*.c, edit.c.
 *
 * The writer has one transaction out at a time: STARTING → REACHING → IDLE → SENDING → REACHING … Beside it at most one step is
 * under way: a piece of work that looks into the index, prepares a batch, and hands it to the writer. A batch that was prepared
 * before another transaction is thrown away, and the step begins again: it would rest on an index that is no more.
 */
#ifndef DLQ_REDRIVE_PARTS_H
#define DLQ_REDRIVE_PARTS_H

#include "redrive.h"
#include "stepmill/kafka_txn.h"
#include "stepmill/list.h"
#include "stepmill/redis.h"

enum {
    LETTERS_AT_ONCE = 500,                 /* of one transaction */
    BYTES_AT_ONCE = 16 * 1024 * 1024,      /* of their values, keys and headers */
    STEP_ARENA_MAX = 96 * 1024 * 1024,     /* of one step */
    JOBS_MAX = 100,                        /* unended ones that are looked at */
    SELECTED_BYTES_MAX = 40 * 1024 * 1024, /* ids of one selection: they leave in one transaction */
    AGAIN_MS = 1000,                       /* after what failed for a reason that time mends */
    AGAIN_MAX_MS = 60000,
};

enum writer_phase { WRITER_STARTING, WRITER_REACHING, WRITER_IDLE, WRITER_SENDING, WRITER_STOPPED };

enum work_kind { WORK_JOBS, WORK_DECIDE, WORK_DUE, WORK_RESOLVE, WORK_EDIT, WORK_KINDS };

/* A request to write actions. */
struct act_record {
    struct slice key, value;
};
struct act {
    struct list_node in_queue;
    struct redrives *redrives;
    uint64_t ticket;
    struct arena *arena;
    struct act_record *records;
    size_t n, bytes;
    bool submitted; /* at least once: it may be in the topic */
    struct error error;
    redrives_done *done; /* NULL: told, or forgotten */
    void *ctx;
    struct loop_timer timer;
};

/* So many letters a second, one behind the other. */
struct pace {
    int64_t paid_until_us; /* for the letters so far */
};

/* A job as it was asked for, and what this process remembers of it. Forgetting it costs a second look at letters, no more. */
struct job_control {
    char id[64];
    struct arena *arena; /* holds the request */
    struct action request;
    int64_t cursor; /* places up to here were sent, or left out */
    struct pace pace;
    uint64_t served; /* when it last had its turn */
    int64_t sent;    /* as of the last look */
    int64_t skipped[REDRIVE_VERDICTS];
    bool seen;
};

/* Letters that are to be sent by one transaction. */
struct sending {
    struct job_control *job;  /* NULL: by themselves */
    struct loaded *loaded;    /* ends with the answer that brought it */
    struct slice *ids;        /* of the records, by tag - 1 */
    bool under_way, complete; /* complete: nothing is left behind them */
    int64_t cursor;
    size_t sent, skipped;
    int64_t skipped_by[REDRIVE_VERDICTS];
};

struct step {
    struct arena *arena; /* NULL: none */
    enum work_kind kind;
    uint64_t generation;
    uint64_t ask; /* that it waits for; 0: none */
    struct kafka_batch *batch;
    bool ready, submitted;
    struct sending sending;
    uint64_t *count; /* of status: raised by `counted` when it is committed */
    uint64_t counted;
};

enum { REFUSED_MAX = 16 };

struct alerts;
struct restore;

struct redrives {
    struct redrives_options o;
    const struct config *config;
    char *transactional_id, *subject;
    char *process;
    struct kafka_txn *txn;
    enum writer_phase phase;
    bool stopping, turning;
    bool freeing;        /* asks are gone */
    size_t at_once;      /* letters of the next transaction: fewer after one that failed, until the one to blame is alone */
    int64_t pause_ms;    /* after the next one that fails with a single letter */
    uint64_t generation; /* raised by every transaction */
    uint64_t producer;   /* kafka_txn_status.replaced when what was written was last read */
    uint64_t last_ticket;
    struct buf scratch;
    struct list acts, written; /* waiting; in the transaction that is out */
    struct loop_timer timer;   /* the next turn */
    struct step step;
    int64_t due_ms[WORK_KINDS]; /* loop_now_ms */
    struct job_control *jobs[JOBS_MAX];
    size_t njobs;
    struct pace retries; /* by themselves */
    uint64_t rounds;
    bool committed;   /* the last transaction */
    uint64_t refused; /* tag of the record that Kafka refused alone; 0: none */
    uint64_t seed;
    struct list tries; /* dry runs */
    struct list edits;
    int64_t resolve_cursor;
    char refused_letters[REFUSED_MAX][LETTER_ID_MAX + 1]; /* records that Kafka lately refused for themselves */
    size_t nrefused;
    struct known_topics *topics;
    struct restore *restore;
    struct alerts *alerts;
    struct redrives_status status;
};

/* ---- redrive.c */

void redrives_wake(struct redrives *r);
/* The work has something to do `ms` from now; an earlier time stays. */
void work_due(struct redrives *r, enum work_kind kind, int64_t ms);
/* False: no memory; it is tried again in a while. */
bool step_begin(struct redrives *r, enum work_kind kind);
/* Without a transaction. */
void step_end(struct redrives *r, int64_t again_ms);
/* An answer failed: logged, and tried again. */
void step_fail(struct redrives *r, struct error why, const char *detail);
/* Its batch goes as soon as the writer is free. An empty one: step_end. */
void step_ready(struct redrives *r);
/* True: something was committed since the step began. */
bool step_is_old(const struct redrives *r);
/* By the engine itself: id, time and actor are set. */
struct action redrives_action(struct redrives *r, char id[37], enum action_kind kind);
/* Encoded into r->scratch. False: the schema's id is not known, or it does not fit. */
bool redrives_encode(struct redrives *r, const struct action *a);
/* With the tag of a record that is refused for itself; 0: none. */
bool step_add(struct redrives *r, const struct action *a);

/* ---- redrive_act.c */
bool acts_fill(struct redrives *r, struct kafka_batch *batch);
void acts_settle(struct redrives *r, bool committed, uint64_t refused);
void acts_forget(struct redrives *r, uint64_t ticket);
void acts_drop(struct redrives *r);

/* ---- redrive_pace.c */
/* How many may go now; 0: *wait_ms says when. */
size_t pace_allows(struct pace *p, int64_t rate, size_t at_once, int64_t *wait_ms);
void pace_pay(struct pace *p, int64_t rate, size_t sent);

/* ---- redrive_jobs.c */
void jobs_work(struct redrives *r);
void jobs_sent(struct redrives *r, struct sending *s);
/* None of its letters is left. */
void jobs_finish(struct redrives *r, const struct job_control *c);
void jobs_free(struct redrives *r);

/* ---- redrive_load.c: what is to be sent, with all its bytes */

enum load_source { LOAD_JOB, LOAD_DUE, LOAD_ONE };
struct load_question {
    enum load_source source;
    struct slice job; /* LOAD_JOB; LOAD_ONE: the letter */
    int64_t cursor;   /* LOAD_JOB */
    int64_t until_ms; /* LOAD_DUE */
    size_t limit;
    bool fetch; /* Kafka may be asked: for values that the index has not kept, and for topics that are not known */
    bool no_values;
    const struct config *config;
    struct known_topics *topics;
};
struct loaded_letter {
    struct letter_full full;
    struct slice id;
    int64_t place;
    enum redrive_verdict verdict;
    int64_t ended, failed; /* LOAD_DUE: tasks of the agent in the last ten minutes */
};
struct loaded {
    struct loaded_letter *letters;
    size_t n;
    bool complete;    /* there were no more */
    bool wants_fetch; /* Kafka must be asked: load again with `fetch` */
};
ask_run load_run;
/* Asks for them and sends what comes. */
void load_and_send(struct redrives *r, struct load_question *q);

/* ---- redrive_send.c */

/* The letters of the step's `sending.loaded` into its batch: task record and action each. Then restores cells, then step_ready.
 * Steps again by itself when a schema must be waited for. */
void send_letters(struct redrives *r);
/* Kafka refuses this record of the step: its letter is left out next time. */
void send_refused(struct redrives *r, uint64_t tag);
enum redrive_verdict send_check(struct redrives *r, const struct letter_full *full, bool *pending, uint32_t *schema_id,
                                struct slice *problem);

/* ---- redrive_headers.c: pure */

/* Headers of the record that goes back. Memory: the arena. False: no room. */
struct redrive_headers {
    const struct kafka_header *original;
    size_t noriginal;
    struct slice letter, job, by, reason;
    int32_t redrives;
    bool from_start, edited;
};
bool redrive_headers_make(const struct redrive_headers *h, struct arena *arena, const struct kafka_header **headers, size_t *n);

/* ---- retry.c, resolve.c, edit.c */
void decide_work(struct redrives *r);
void due_work(struct redrives *r);
void resolve_work(struct redrives *r);
void edit_work(struct redrives *r);
void edit_settle(struct redrives *r, bool committed);
void edits_drop(struct redrives *r);
void edits_forget(struct redrives *r, uint64_t ticket);
void edits_want(struct redrives *r);

/* ---- redrive_select.c */
void select_letters_of(struct redrives *r, struct job_control *job);
void tries_drop(struct redrives *r);
void tries_forget(struct redrives *r, uint64_t ticket);

/* ---- restore.c: cells of failed tasks that Redis has lost, back from agent.events */
MUST_CHECK struct error restore_new(struct redrives *r, struct restore **out);
void restore_free(struct restore *x);
/* Puts back what can be, then calls `done`, once; false: an outage, nothing should be sent now. `tasks` live until then. */
struct restore_task {
    struct slice task_id, session_id;
    int64_t started_at_ms, failed_at_ms;
    int32_t redrives;
    bool forget; /* from the start: its steps shall not be kept */
    bool missing, found;
};
void restore_tasks(struct restore *x, struct restore_task *tasks, size_t n, struct arena *arena,
                   void (*done)(void *ctx, bool fine), void *ctx);
void restore_cancel(struct restore *x);

/* ---- alert.c: one more user of redrives_act */
MUST_CHECK struct error alerts_new(struct redrives *r, struct alerts **out);
void alerts_free(struct alerts *a);
/* The engine has read everything: alerts begin. */
void alerts_start(struct alerts *a);
void alerts_folded(struct alerts *a);

#endif
