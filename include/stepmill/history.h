/* The fold of a task's events: what is known of it, and what to do next (DESIGN §1, DELIVERY §2).
 *
 *     state = fold(apply, events)          next thing to do = decide(state)
 *
 * Pure: depends on the cells only, never on config, clock or attempt counts; a replay of the same cells makes the same choices.
 *
 * Order of cells: 0 TaskStarted; then groups: ModelAnswered at n and its k tool answers at n+1 … n+k in any order; the terminal
 * event above a full group; TaskReopened after TaskFailed or TaskParked. The parents of a tool answer are its ModelAnswered, of
 * anything else all cells of the group before.
 */
#ifndef STEPMILL_HISTORY_H
#define STEPMILL_HISTORY_H

#include "arena.h"
#include "error.h"
#include "event.h"

enum { HISTORY_CELLS_MAX = 1024 };

/* Where a cell has got to. Whoever writes cells moves it on. */
enum cell_state { CELL_LOCAL, CELL_SENT, CELL_STORED };

/* One event as it lies in Redis. `bytes` are exactly those that go to agent.events, wire header included. */
struct cell {
    int32_t seq;
    struct digest digest;
    struct slice bytes; /* absent: no such cell (yet) */
    enum cell_state state;
    bool emitted;              /* queued for agent.events by this process */
    int32_t group, group_last; /* first and last seq of its group; set when its event is applied */
};

/* A call of the current group, in the order the model asked for them: call i belongs to seq group_first + 1 + i. */
struct asked_call {
    struct tool_call call;
    bool answered;
};

enum history_phase {
    HISTORY_EMPTY,  /* no TaskStarted yet */
    HISTORY_OPEN,   /* running */
    HISTORY_PARKED, /* sleeps */
    HISTORY_ENDED,  /* a terminal event is the newest */
};

struct history {
    struct arena *arena; /* of the task: everything below lives in it */
    struct cell *cells;  /* by seq */
    int32_t ncells;      /* highest seq + 1 */
    int32_t cells_room;

    enum history_phase phase;
    int32_t group_first, group_last; /* seqs of the current group, whether present or not */
    enum event_kind group_kind;      /* of the event at group_first */

    /* from TaskStarted and TaskReopened */
    int32_t opened_seq; /* of the newest of them */
    struct {
        int32_t steps;
        int64_t prompt_tokens, completion_tokens;
    } before; /* it: what earlier runs had used */
    struct event_started started;
    struct origin origin; /* of the newest TaskStarted or TaskReopened */
    int32_t redrives;
    int64_t started_at_us;
    int64_t reopened_deadline_ms; /* Unix time, -1: never reopened */
    struct slice trace_id;

    /* from ModelAnswered */
    struct asked_call *calls;
    size_t ncalls;
    enum finish_reason finish;
    struct slice content; /* of the newest answer, may be absent */
    struct slice model;
    int32_t steps_used;
    int64_t prompt_tokens, completion_tokens;
    int32_t tool_calls;
    bool outcome_unknown; /* of a tool of the current group that must not be left in doubt (fail_on_unknown) */

    /* the terminal event: valid when phase is HISTORY_ENDED */
    enum event_kind end_kind;
    int64_t ended_at_us;
    struct event_completed completed;
    struct event_failed failed;
    struct event_cancelled cancelled;
};

void history_init(struct history *h, struct arena *arena);

/* Keeps a copy of the cell's bytes in the arena; replaces what was held at that seq. internal: out of memory or past
 * HISTORY_CELLS_MAX. */
struct error history_hold(struct history *h, int32_t seq, const struct digest *digest, struct slice bytes) MUST_CHECK;
bool history_holds(const struct history *h, int32_t seq);
/* Forgets every cell and the fold (STALE, adoption): the caller holds and applies again what is stored. */
void history_reset(struct history *h);

/* Adds one event to the fold; strings are NOT copied, they must live in the arena. A cell held at its seq
 * learns its group.
 * internal "history_broken": the event cannot stand at this place, or its time or tokens are impossible. */
struct error history_apply(struct history *h, const struct event *e) MUST_CHECK;

/* Whether the cell at `seq` may come next: a cell above a hole (Redis lost what lay between) may not. */
bool history_follows(const struct history *h, int32_t seq);

/* Seqs of the parents of the cell at `seq`, which is about to follow: first and last, both inclusive (DELIVERY §2 "Parents").
 * False for cell 0, which has none. */
bool history_parents(const struct history *h, int32_t seq, int32_t *first, int32_t *last);
/* Digest of an event that is to become cell `seq`: over its parents' digests and its bytes without the 5-byte wire header. */
struct digest history_digest(const struct history *h, int32_t seq, struct slice bytes);

enum decision_kind {
    DECIDE_START,  /* nothing is known: write TaskStarted */
    DECIDE_CALL,   /* call a model; the answer becomes cell `seq` */
    DECIDE_ACT,    /* answer the calls of the group that are not answered (history.calls) */
    DECIDE_END,    /* write the terminal event `end` at `seq` */
    DECIDE_SETTLE, /* a terminal event is there */
    DECIDE_SLEEP,  /* parked */
};

struct decision {
    enum decision_kind kind;
    int32_t seq;
    const char *refuse;       /* DECIDE_ACT: not NULL = do not run the open calls, answer each `refused` with this text */
    enum event_kind end_kind; /* DECIDE_END */
    union {
        struct event_completed completed;
        struct event_failed failed;
    };
};

struct decision history_decide(const struct history *h);

/* The tool as frozen in TaskStarted, or NULL: then the call is `refused`. */
const struct frozen_tool *history_tool(const struct history *h, struct slice name);
/* True while calls of the current group have no answer. */
bool history_group_open(const struct history *h);
/* Seq of the next terminal event: one above the current group. */
int32_t history_next_seq(const struct history *h);

/* The result that a terminal event stands for. `history_hex` receives the digest of the terminal cell. */
struct task_result history_result(const struct history *h, char history_hex[2 * DIGEST_SIZE + 1]);

#endif
