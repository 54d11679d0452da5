/* The engine: the one writer of agent.dlq.actions. It writes what people decide, sends letters back (jobs and by itself), parks,
 * resolves and alerts.
 *
 * All goes through one transactional producer, one transaction at a time; a task record and its `redriven` action are in one. The
 * engine knows only what the index holds: before anything is decided, all that was written has been folded, and after every
 * transaction, whatever its outcome, the end of the topic is asked for anew and reached. So a letter goes once, whenever the
 * process dies (an action of an id that was written before is the same action again).
 *
 * Loop thread only. Callbacks come later, from the loop.
 */
#ifndef DLQ_REDRIVE_H
#define DLQ_REDRIVE_H

#include <string.h>

#include "ask.h"
#include "collect.h"
#include "stepmill/action.h"
#include "stepmill/http_client.h"
#include "stepmill/registry.h"

struct redrives;

struct redrives_options {
    struct loop *loop;
    const struct config *config;
    const struct log *log;
    struct asks *asks;
    struct collect *collect;
    struct registry *registry; /* the engine wants the ids that it writes with */
    struct http_client *http;  /* for alerts */
    const char *process;       /* host and process: the actor of what goes by itself */
    /* Another processor of this dlq.name has taken over: the process should exit 1. */
    void (*fenced)(void *ctx, const char *transactional_id);
    void (*stopped)(void *ctx); /* after redrives_stop */
    void *ctx;
};

/* Connects by itself. Errors: those of kafka_txn_start and registry_want; config (Redis' url, an alert's url). */
MUST_CHECK struct error redrives_new(const struct redrives_options *options, struct redrives **out, char *detail, size_t room);
/* Takes nothing new; what is in work ends within `deadline_ms`, then `stopped`. */
void redrives_stop(struct redrives *r, int64_t deadline_ms);
/* After asks_free (its questions may run until then); no callback is called. NULL is fine. */
void redrives_free(struct redrives *r);
/* From collect_events.folded. */
void redrives_folded(struct redrives *r, const struct collect_news *news);
/* SIGHUP: rates, caps, retry, alerts and read-only mode follow. The old configuration may be freed after it. */
void redrives_reload(struct redrives *r, const struct config *config);

struct redrives_status {
    bool ready;                                 /* it has read all that was written, and can write */
    const char *trouble;                        /* static name of what it waits for; NULL: nothing */
    uint64_t sent, sent_by_itself, skipped;     /* letters */
    uint64_t scheduled, held, parked, resolved; /* retries planned; put off because the agent fails; letters */
    uint64_t restored, not_restored;            /* tasks whose cells were lost: put back; not all found */
    uint64_t alerts, alerts_failed;             /* calls of sinks */
    size_t waiting;                             /* actions that wait to be written */
    size_t jobs;                                /* not ended */
};
struct redrives_status redrives_status(const struct redrives *r);

/* ---- Writing actions */

enum { REDRIVES_ACT_MAX = 500, REDRIVES_ACT_MS = 10000 };

/* None: written, and the index shows it. wait not_folded: it is written or will be, but the index does not show it yet (202).
 * wait not_ready: nothing was written, nothing will be (503). rejected action_too_large. internal out_of_memory. */
typedef void redrives_done(void *ctx, uint64_t ticket, struct error error);
/* Written, whether the index shows it yet or not. */
static inline bool redrives_written(struct error error) { return !failed(error) || strcmp(error.code, "not_folded") == 0; }

/* Writes 1 to REDRIVES_ACT_MAX actions, all in one transaction; copied. Each needs id, at_ms, kind, actor, actor_kind; nothing
 * else is checked here. A job begins by a job_requested (job: its id; letters or filter; cap, rate, canary, from_start), and is
 * told by job_paused, job_resumed, job_cancelled. Returns a ticket, never 0; `done` comes within REDRIVES_ACT_MS. */
uint64_t redrives_act(struct redrives *r, const struct action *actions, size_t n, redrives_done *done, void *ctx);
/* `done` (of any call here) is not called any more; what was asked for happens all the same. */
void redrives_forget(struct redrives *r, uint64_t ticket);

/* ---- Which letters may go */

enum redrive_verdict {
    REDRIVE_FINE,
    REDRIVE_UNKNOWN_LETTER,
    REDRIVE_PARKED,
    REDRIVE_IN_JOB,       /* another job has chosen it */
    REDRIVE_UNDER_WAY,    /* sent; how it ended is not known */
    REDRIVE_FAILED_AGAIN, /* a newer letter stands for the task */
    REDRIVE_RESOLVED,
    REDRIVE_DISCARDED,
    REDRIVE_NO_ORIGIN,      /* nobody knows the topic it came from */
    REDRIVE_NO_VALUE,       /* too large for the dead letter, and gone from its topic */
    REDRIVE_UNKNOWN_SCHEMA, /* the registry does not know the schema of its value */
    REDRIVE_BAD_VALUE,      /* the value does not follow its schema, or lacks what a task needs */
    REDRIVE_TOO_LARGE,
    REDRIVE_NO_TOPIC, /* its topic is gone, or may not be written to */
    REDRIVE_VERDICTS,
};
const char *redrive_verdict_name(enum redrive_verdict v); /* "fine", "parked", …: stable */
const char *redrive_verdict_text(enum redrive_verdict v); /* one sentence */

/* As far as the index alone can tell (all but the value's schema and size). `job`: the one that asks; absent: none. Pure. */
enum redrive_verdict redrive_verdict_of(const struct letter_row *row, struct slice job);

struct selection {
    const struct slice *letters; /* ids; NULL: by filter */
    size_t nletters;
    struct letter_filter filter; /* `from_ms` and `to_ms` as times */
    int64_t cap;                 /* 0: the configured one; larger ones count as that */
};

struct dry_run {
    int64_t selected; /* letters found, up to the cap */
    bool more;        /* the cap ended it */
    int64_t n[REDRIVE_VERDICTS];
    struct slice example[REDRIVE_VERDICTS]; /* id of one letter */
};
typedef void redrives_tried(void *ctx, uint64_t ticket, struct error error, const struct dry_run *found);
/* What a job over it would do now. Values are checked for up to 2,000 letters, the others count by the index alone. Errors: those
 * of ask.h and store.h. `found` ends with the callback. The selection's texts are copied. */
uint64_t redrives_dry_run(struct redrives *r, const struct selection *s, redrives_tried *done, void *ctx);

/* The filter as terms of an action and back; names as in GET /api/v1/letters. False: out of memory; a name or value is unknown.
 */
bool filter_to_terms(const struct letter_filter *f, struct arena *arena, const struct action_term **terms, size_t *n);
bool filter_from_terms(const struct action_term *terms, size_t n, struct letter_filter *f);

/* ---- Edit, then redrive */

/* `done` error none or wait not_folded: written. Else nothing: rejected (code and detail say what is wrong with the task),
 * rejected unknown_letter, not_editable (no task of ours: its value is not an AgentTaskEvent). */
typedef void redrives_edited(void *ctx, uint64_t ticket, struct error error, const char *detail, struct slice task_id);
/* A new task from `json` (task_json.h, the whole task; a task_id that is absent is made; parent_task_id becomes the old task),
 * sent to the letter's topic and partition key in one transaction with `redriven` {edited}. The letter keeps its record.
 * `action`: id, at_ms, actor, actor_kind, reason, letter. Copied. */
uint64_t redrives_edit(struct redrives *r, const struct action *action, struct slice json, redrives_edited *done, void *ctx);

#endif
