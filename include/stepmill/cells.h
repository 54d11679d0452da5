/* The state of tasks in Redis: each function is one round trip, one Lua script (src/io/lua), as DELIVERY §2 and §3 demand.
 * (cells_load also reads session memory, by a plain command that leaves and comes with it.)
 *
 * All calls may be repeated with the same arguments after any error: what was done once is not done twice. Each call leads to
 * exactly one `answered`, later, from the loop (redis_free excepted). Arguments are copied before the function returns.
 *
 * Keys, after the prefix (all keys of a task and its session go to one script, so Redis Cluster can't serve it):
 *
 *     checkpoint:<task_id>            HASH   seq → digest (16 bytes) + event
 *     claims:<task_id>                HASH   starts → "<number> <who>"; <seq> → who calls a non-repeatable tool; redrive →
 * "<number> <origin>" done:<task_id>                  STRING done.h cancel:<task_id>                STRING flag
 *     session:<session_id>:messages   LIST   messages as given
 *     tokens:<agent>:<yyyymmdd>       STRING counter
 *     tokens:session:<session_id>     STRING counter
 *
 * Loop thread only.
 */
#ifndef STEPMILL_CELLS_H
#define STEPMILL_CELLS_H

#include "done.h"
#include "history.h"
#include "redis.h"

struct cells;

enum cells_op {
    CELLS_LOAD,
    CELLS_RECORD,
    CELLS_REDRIVE,
    CELLS_CLAIM,
    CELLS_UNCLAIM,
    CELLS_RELEASE,
    CELLS_SETTLE,
    CELLS_CANCEL,
};
const char *cells_op_name(enum cells_op op); /* "load", …: for logs and metrics */

enum cells_status {
    CELLS_OK,
    CELLS_GONE,     /* `done` exists: apply DELIVERY §3 (done and all stored cells are given) */
    CELLS_STALE,    /* not this history: `cells` holds all that is stored */
    CELLS_HELD,     /* claim: somebody else's, see `claim` */
    CELLS_ANSWERED, /* claim: the cell is there already, and given */
};

/* Slices end with the callback. Fields that an operation does not name are zero. */
struct cells_answer {
    /* The errors of redis.h, all class wait; also wait "checkpoint_damaged", "done_unreadable", "done_newer" (the task waits, an
     * operator must look), internal "bad_key" (a task_id or session_id that no record can have). */
    struct error error;
    enum cells_status status;
    bool cancel; /* somebody asked to cancel the task (load, record, redrive, claim) */
    bool done_found;
    struct done done;
    const struct cell *cells; /* by seq, rising; there may be holes only if Redis lost data */
    size_t ncells;
    int32_t written; /* cells newly stored by this call (record, redrive) */
    int32_t orphans; /* stored cells removed because their parents were lost and another history took their place: an incident,
                        for metrics */
    int64_t now_ms;  /* Redis TIME (load, claim) */
    int64_t session_tokens; /* of all tasks of the session (load; record when it added some, else 0) */

    /* load */
    int64_t starts; /* processes that loaded the task since a cell was stored or it was released, this one included */
    bool raised;    /* by this load: it was the process' first, or the one before stood back */
    const struct slice *messages; /* session memory, oldest first */
    size_t nmessages;

    /* claim, when held */
    struct {
        struct slice nonce;
        int64_t since_ms, timeout_ms; /* it has run out at since + timeout, by the clock of now_ms */
    } claim;
};

typedef void cells_fn(void *ctx, struct ticket ticket, enum cells_op op, const struct cells_answer *answer);

/* Lives in ms. 0: the default. */
struct cells_options {
    const char *prefix;             /* copied, at most 128 bytes; NULL: "" */
    int64_t life_ms;                /* of cells and claims; 7 d */
    int64_t failed_life_ms;         /* of the cells of a dead-lettered task; 30 d */
    int64_t done_life_ms;           /* 24 h */
    int64_t cancel_life_ms;         /* 24 h */
    int64_t session_life_ms;        /* of session memory; 24 h */
    int32_t session_messages;       /* 20 */
    int64_t session_bytes;          /* 256 KiB: oldest turns are dropped first; a turn larger than that is not kept */
    int64_t agent_tokens_life_ms;   /* 7 d */
    int64_t session_tokens_life_ms; /* as long as the cap of the session counts; 30 d */
    cells_fn *answered;
    void *ctx;
};

/* Registers its scripts with `r`: before the loop turns. `r` must outlive all calls: redis_free first (it answers them), then
 * cells_free. NULL: out of memory, or the prefix is too long. */
struct cells *cells_new(struct redis *r, const struct log *log, const struct cells_options *options);
void cells_free(struct cells *c);

/* LOADING: all that is stored of a task and its session. Raises `starts` unless the task is done or this process was the last to
 * load it (asked again after an outage; another record that names the task) or the task will wait for its turn (waits_above). A
 * caller that raised it and then does not run the task (a duplicate) must let it stand back. Answers OK: cells (all), done,
 * cancel, starts, raised, messages, session_tokens, now_ms. */
struct cells_load {
    struct slice task_id, session_id;
    int64_t waits_above; /* with more starts than these it waits for a turn of its own, so this one is no further; 0: its turn */
};
void cells_load(struct cells *c, struct ticket t, const struct cells_load *load);

/* One cell to store. `parents`: its parents' cells by seq, digests set (bytes are not looked at): &history.cells[first]. */
struct cells_write {
    struct cell cell;
    const struct cell *parents;
    size_t nparents;
    int32_t above;  /* lowest seq that only a later event can have: seq + 1; of a tool answer one above its group's last */
    int64_t tokens; /* added to both counters if the cell is newly stored; 0: none */
    int32_t day;    /* UTC day of the event, yyyymmdd: names the agent's counter */
};

/* `record` of DELIVERY §2: stores cells in the order given (ascending). A cell that is absent is stored only when each of its
 * parents, in Redis or earlier in this call, is there with the digest named.
 *
 * - OK: nothing was refused. `cells` = what is stored from `group_first` up and is neither a cell of this call that lies there
 * with our digest nor in `held`: the caller adopts it. A cell of this call that lost to another's is therefore among them.
 * Usually empty.
 * - STALE: a parent is missing or differs; cells of this call before the one refused may have been stored. `cells` = all that is
 * stored. When Redis lost what we hold, offer the whole history once, ascending; then what is stored is the history (ours is kept
 * as far as it fits).
 * - GONE: nothing was stored.
 *
 * Also stored with the cells, once: counters, and with a newly written cell at `messages_seq` (TaskCompleted) the two messages.
 * Any new cell resets `starts`. Refreshes the life. */
struct cells_record {
    struct slice task_id, session_id, agent;
    const struct cells_write *cells;
    size_t ncells;
    int32_t group_first;      /* first seq of the caller's current group (before this call) */
    uint64_t held;            /* bit i: the caller holds the cell at group_first + i already, from an earlier answer */
    int64_t life_ms;          /* 0: the default; longer for a parked task */
    int32_t messages_seq;     /* -1: no session memory */
    struct slice messages[2]; /* prompt and final answer, in the form that load is to give back */
};
void cells_record(struct cells *c, struct ticket t, const struct cells_record *record);

/* Row d of DELIVERY §3: deletes `done` and appends TaskReopened on top of TaskFailed, or (ncells 0) opens a task whose cells are
 * gone.
 *
 * - OK: `cells` = the TaskReopened that is stored: ours, or the one that an earlier call of the same origin stored (adopt it);
 * none when ncells is 0. `redrives` is remembered, so a late settle of a lower number writes no `done`.
 * - STALE: the parent named is not stored, or another event has the place; `cells` = all. (Cells above an empty place are void:
 * Redis lost what they stood on.)
 * - GONE: `done` is of this redrive or a higher one, or (ncells 0) not failed: apply §3 again. */
struct cells_redrive {
    struct slice task_id;
    struct origin origin;           /* of the record that redrives */
    int32_t redrives;               /* its number, >= 1 */
    const struct cells_write *cell; /* TaskReopened; NULL: no cells are stored, the task runs as new. Once more, without parents,
                                     * what opened the run: takes away `done` of an older one that was written late. */
};
void cells_redrive(struct cells *c, struct ticket t, const struct cells_redrive *redrive);

/* Before a call of a non-repeatable tool whose answer becomes cell `seq`. OK: ours, call it (the time runs anew from now_ms, so a
 * retry claims again). HELD: wait until it has run out + 5 s or the cell appears, then record `unknown`; nobody ever takes a
 * claim over. */
struct cells_claim {
    struct slice task_id;
    int32_t seq;
    const struct cell *parents;
    size_t nparents;
    struct slice nonce; /* of this load of the task: 1–64 bytes, no blanks */
    int64_t timeout_ms; /* of the tool */
};
void cells_claim(struct cells *c, struct ticket t, const struct cells_claim *claim);
/* Gives our claim back: only when no byte of the request was sent. Another's stays. */
void cells_unclaim(struct cells *c, struct ticket t, struct slice task_id, int32_t seq, struct slice nonce);

/* Orderly release: the task is given up alive (drain, revoke), so `starts` begins again. */
void cells_release(struct cells *c, struct ticket t, struct slice task_id);
/* The start that a load of this process raised does not count: nothing was begun after it, because the task waits for its turn,
 * or the record is not the one that runs it. The next load counts again. Not to be repeated. */
void cells_stand_back(struct cells *c, struct ticket t, struct slice task_id);

/* After the Kafka commit. Writes `done`, unless a redrive with a higher number is known. Deletes cells and claims if the newest
 * cell is `last`; with `keep` (dead-lettered) they stay and live 30 d. OK: `done` stands; STALE: a higher redrive is known,
 * nothing done. */
struct cells_settle {
    struct slice task_id;
    struct done done;
    struct digest last; /* of our terminal cell */
    bool keep;
};
void cells_settle(struct cells *c, struct ticket t, const struct cells_settle *settle);

/* Asks whoever runs the task to cancel it. GONE: it has ended, nothing was set. */
void cells_cancel(struct cells *c, struct ticket t, struct slice task_id);

#endif
