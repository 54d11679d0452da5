/* One running task: its state names what it waits for (DESIGN §6).
 *
 *     FETCHING → LOADING → [decide] → CALLING → SAVING → [decide] → ACTING → SAVING → … → SETTLING → gone
 *                                        ↘ BACKOFF, WAITING ↗          (any) → dropped, when the partition is lost
 *
 * Callbacks store what came and mark the task ready (task_ready); the loop's hook advances ready tasks, then frees dead ones.
 * Nothing else does either.
 */
#ifndef WORKER_TASK_H
#define WORKER_TASK_H

#include "record.h"
#include "stepmill/cascade.h"
#include "stepmill/cells.h"
#include "stepmill/history.h"
#include "stepmill/http_client.h"
#include "stepmill/loop.h"
#include "stepmill/registry.h"
#include "stepmill/standing.h"
#include "stepmill/ticket.h"
#include "stepmill/trace.h"

struct worker;
struct agent;
struct model;
struct owned;
struct tool;

enum task_state {
    TASK_FETCHING, /* for the registry: the schema of the record, or of one of its cells */
    TASK_LOADING,  /* for Redis: load, or redrive */
    TASK_CALLING,  /* for a model */
    TASK_SAVING,   /* for Redis: record */
    TASK_ACTING,   /* for tools: claims, answers, pauses between attempts */
    TASK_BACKOFF,  /* for the next round of models */
    TASK_WAITING,  /* for the end of an outage: deadlines stand still */
    TASK_SETTLING, /* for the commit */
    TASK_GONE,     /* for the reap */
    TASK_STATES,
};
const char *task_state_name(enum task_state state);

/* What a task in WAITING waits for. */
enum outage {
    OUTAGE_NONE,
    OUTAGE_REDIS,
    OUTAGE_REGISTRY,
    OUTAGE_MODEL,
    OUTAGE_FENCE,
    OUTAGE_VERSION,
    OUTAGE_SUSPECT,
    OUTAGE_SYSTEMIC,
    OUTAGES
};
const char *outage_name(enum outage outage);

/* One tool call of the current group. */
enum run_state {
    RUN_IDLE,     /* not begun */
    RUN_CLAIMING, /* for Redis: may we call this non-repeatable tool? */
    RUN_HELD,     /* somebody else may be calling it: until its time has run out */
    RUN_CALLING,  /* for the tool */
    RUN_PAUSE,    /* until the next attempt */
    RUN_ANSWERED, /* its event is a cell, stored or on the way */
};
struct tool_run {
    enum run_state state;
    struct tool *tool;
    uint32_t attempt;       /* ticket of the operation under way */
    uint64_t request;       /* HTTP id, 0: none */
    int64_t wake_ms;        /* HELD, PAUSE */
    int64_t began_ms;       /* monotonic, of the first attempt */
    int64_t waited_ms;      /* for the tool's pauses and its rate, in all */
    int32_t attempts;       /* used up */
    bool sent;              /* a byte of some attempt may have reached the tool */
    bool claimed;           /* ours in Redis */
    struct slice body, key; /* key: idempotency */
    struct attempt *failures;
    size_t nfailures;
};

enum { TASK_MEMORY_MAX = 32 * 1024 * 1024, TASK_ATTEMPTS_MAX = 8, TASK_ARENAS_MAX = 2 };

struct task {
    uint64_t number;
    struct worker *worker;
    struct agent *agent;
    struct owned *owned;
    struct record *record;
    struct arena *arena;
    struct arena *old_arenas[TASK_ARENAS_MAX]; /* too large: full, another one serves its end */
    size_t nold_arenas;
    size_t too_large; /* times its arena was full */

    enum task_state state;
    enum outage outage;          /* in WAITING */
    struct list_node in_state;   /* worker.tasks[state] */
    struct list_node in_ready;   /* worker.ready */
    struct list_node in_owned;   /* owned.tasks */
    struct list outgoing;        /* its records that are not committed yet */
    bool holds_slot, holds_lane; /* given back when the terminal cell is acknowledged; see task_give_back */

    struct loop_timer timer;
    int64_t deadline_ms;    /* monotonic: the agent's; moved on by the time spent in WAITING */
    int64_t deadline_at_ms; /* Unix time: the caller's; -1: none */
    int64_t wake_ms;        /* BACKOFF, WAITING: look again then */
    int64_t waiting_since_ms;
    int64_t admitted_ms;
    int64_t recorded_ms;  /* Redis was last told, or asked, about it */
    uint64_t stops_asked; /* worker.stops when Redis was last asked about it */
    uint64_t stops_seen;  /* the same, of the last question that it answered */

    uint32_t last_attempt;    /* of tickets given out */
    uint32_t redis_attempt;   /* of load, redrive or record under way; 0: none */
    uint64_t registry_waiter; /* 0: none */

    struct task_input input;
    bool decoded;
    int64_t schema_id; /* of the record, -1: not known */
    struct digest input_hash;
    int32_t redrives; /* header stepmill.redrives */
    struct trace trace;
    bool loaded;
    bool cancel_asked;
    bool suspect;    /* it may have killed workers: runs alone */
    bool counted;    /* this load was counted as a start, and is still */
    bool turn_began; /* its turn is counted */

    struct history history;
    struct cells_writing {
        int32_t group_first; /* of the group that was current when Redis last answered */
        bool offered;        /* the whole history was offered after STALE */
        int32_t model_seq;   /* of the newest ModelAnswered made here, and its tokens: counted when it is newly stored */
        int64_t model_tokens;
    } writing;
    const struct turn *memory; /* of the session, as loaded */
    size_t nmemory;
    struct slice turn[2]; /* of this task, for the session's memory; absent until it is needed */
    int64_t session_tokens;
    const struct event_tool_answered **answers; /* of the current group, by call */
    /* Of the request to a model: the agent's head for model number `headed`, then the messages, raw JSON (wire/openai). It stays
     * as it is while a call is under way, for it is sent from here. */
    struct buf body;
    size_t headed;
    struct {
        const struct model *model; /* NULL: nothing yet */
        size_t bytes;              /* so many of the body */
        struct digest_state state;
    } hashed; /* for the idempotency key: only what is new is added */

    struct cascade cascade;
    struct model *model;    /* being called */
    uint32_t probe;         /* number of this call as its breaker's probe, 0: it is none */
    uint32_t model_attempt; /* ticket of the call under way, 0: none */
    uint64_t model_request;
    int64_t model_began_ms;
    struct attempt attempts[TASK_ATTEMPTS_MAX];
    size_t nattempts;
    int32_t attempts_total;
    char provider_message[304];

    char nonce[24];        /* of this load, for claims */
    struct tool_run *runs; /* of the current group, by call */

    struct event *ending; /* decided by deadline, cancel or failure: written when the group is full */
    struct error poison;  /* failed(): the record itself is the trouble */
    struct slice poison_detail;
    enum standing standing;
};

/* The only writer of the state. */
void task_enter(struct task *t, enum task_state state);
void task_wait(struct task *t, enum outage outage, int64_t look_again_ms);
/* To be advanced by the loop's hook in this turn. */
void task_ready(struct task *t);

/* An admitted record becomes a task. NULL: out of memory. */
struct task *task_new(struct worker *w, struct owned *owned, struct record *record);
/* Ends the task without a trace outside: cancels what is under way; it is freed in the reap. `alive`: an orderly release. */
void task_drop(struct task *t, bool alive);
void task_free(struct task *t);
/* None of its records leaves any more: they die with it. */
void task_unqueue(struct task *t);

struct ticket task_ticket(struct task *t);
struct task *task_of(struct worker *w, struct ticket ticket);
/* Sets the timer to the next moment at which something must be looked at. */
void task_arm(struct task *t);
/* The slot counts against max_in_flight; the lane lets the next record of the key begin. */
void task_give_back(struct task *t);

/* More than its share of memory: as the end of a task that could be loaded (rejected), or of a record (poison). */
#define TASK_TOO_LARGE(class) error_make(class, "task_too_large", "the task's messages need more memory than a task may have")

/* advance.c: what a ready task does next. */
void task_advance(struct task *t);
/* Decide from the cells and go there. */
void task_continue(struct task *t);
/* End the task by this event as soon as the group is full; open calls are cancelled and recorded. The first ending counts. */
void task_end_failed(struct task *t, enum error_class class, const char *code, const char *message, const char *stage,
                     bool retryable);
void task_end_cancelled(struct task *t, const char *reason);
/* The record can't be a task: dead letter, and a failed result if a task_id could be read. */
void task_poison(struct task *t, struct error error, const char *detail);
/* The machine failed the task (out of memory): it is dropped; the partition's next owner, or this process after a restart,
 * resumes. */
void task_give_up(struct task *t, struct error error);

/* load.c */
void task_fetch(struct task *t);
void task_load(struct task *t);
void task_loaded(struct task *t, const struct cells_answer *a);
void task_redriven(struct task *t, const struct cells_answer *a);
/* Read DELIVERY §3 again with what Redis says now. */
void task_stand(struct task *t, const struct cells_answer *a);

/* fold.c */
/* Encodes an event as the next cell and applies it: held, not yet stored. */
bool task_add_event(struct task *t, struct event *e);
/* An event of this task, now, with an empty body. */
struct event task_event(struct task *t, enum event_kind kind, int32_t seq);
/* Forgets the fold and builds it from these cells. False: the task went elsewhere (waits for a schema or a newer version). */
bool task_refold(struct task *t, const struct cell *cells, size_t ncells);
/* Adds one cell that Redis stores to the fold. False as above. */
bool task_adopt(struct task *t, const struct cell *cell);
bool task_start(struct task *t);
void task_emit_all(struct task *t);

/* save.c */
void task_save(struct task *t);
void task_saved(struct task *t, const struct cells_answer *a);
/* Something that was paid for is not stored yet. */
bool task_has_unsaved(const struct task *t);

/* turn.c */
/* Asked before each call. A suspect runs alone, one per process, for it may be what killed the worker before: true if this task
 * waits now, because another one has the turn or its own has not begun. */
bool task_waits_its_turn(struct task *t);
/* It has got further, waits for something else, or is gone. */
void task_turn_over(struct task *t);
/* It was loaded, but nothing of it is begun: if the worker dies, it was not this task. */
void task_stand_back(struct task *t);

/* model.c */
void task_call_model(struct task *t);
void task_cancel_model(struct task *t);

/* tool_wait.c */
/* Whether a call of its tools, or the claim of one, is under way. */
bool task_tools_are_out(const struct task *t);
void task_pause_run(struct task *t, struct tool_run *run, int64_t until_ms);
/* No call may be begun now. While none of the task is out either it waits for `outage`, and the agent's deadline stands still. */
void task_wait_to_begin(struct task *t, struct tool_run *run, enum outage outage, int64_t until_ms);
/* For a pause that the tool asked for, or its turn. After three minutes of that in all the model is told instead. */
void task_wait_for_tool(struct task *t, struct tool_run *run, int64_t wait_ms);

/* tools.c */
void task_act(struct task *t, const struct decision *d);
void task_cancel_tools(struct task *t);
void task_cancel_run(struct task *t, struct tool_run *run);
void task_claimed(struct task *t, uint32_t attempt, const struct cells_answer *a);
/* This error is its answer, and what it had claimed is given back. */
void task_fail_run(struct task *t, struct tool_run *run, const char *text);
/* Every open call gets its answer without the tool: `refused` with this text, or `unknown` where a request may have left. False:
 * out of memory, the task was given up. */
bool task_close_group(struct task *t, const char *refuse);

/* settle.c */
void task_settle(struct task *t);
void task_emit(struct task *t, struct cell *cell);
void task_committed(struct task *t);

#endif
