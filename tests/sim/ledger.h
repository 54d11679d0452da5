/* What really happened outside the workers: records fed, calls that arrived, cells acknowledged, what Redis lost.
 *
 * The checker judges by it. Calls of a model or a tool are judged as they are sent; what is wrong is told to sim_violation at
 * once.
 */
#ifndef SIM_LEDGER_H
#define SIM_LEDGER_H

#include "feed.h"
#include "http_hosts.h"
#include "stepmill/digest.h"

struct sim_process;

enum { LEDGER_TASKS_MAX = 64, LEDGER_FED_MAX = 256, LEDGER_CELLS = 256, LEDGER_RUNNERS_MAX = 256 };

/* One cell of a task, as the outside saw it come about. */
struct ledger_cell {
    uint64_t stored; /* the call of Redis since when it lies there; 0: it does not */
    int64_t stored_ms;
    const struct sim_process *stored_by;
    bool gone;                      /* Redis lost it: what lies above it belongs to nothing */
    bool model;                     /* its call was one of a model */
    uint32_t asked;                 /* times its call was carried out */
    uint32_t failures;              /* answers of its calls that were no good, or went lost */
    const struct sim_process *told; /* who got a good answer for it … */
    uint64_t told_task;             /* … in which load of the task */
};

/* One load of the task by one process. */
struct ledger_runner {
    const struct sim_process *process;
    uint64_t task;     /* number of the load: two records of one task_id may run in one process */
    uint64_t informed; /* the newest call of Redis that told it what is stored; 0: none yet */
};

struct ledger_task {
    struct fed_task fed;
    struct ledger_cell cells[LEDGER_CELLS];
    struct ledger_runner runners[LEDGER_RUNNERS_MAX];
    size_t nrunners;
    uint32_t loads;           /* answered */
    int64_t first_failure_ms; /* of a model call, -1: none */
    struct digest *stored;    /* digests of all cells that ever lay in Redis */
    size_t nstored, stored_room;
};

struct ledger {
    struct ledger_task *tasks[LEDGER_TASKS_MAX];
    size_t ntasks;
    struct fed *fed[LEDGER_FED_MAX];
    size_t nfed;
    struct ledger_call {
        struct slice key;
        uint64_t body;
    } * calls; /* one per Idempotency-Key */
    size_t ncalls, calls_room;
    int64_t last_good_ms[LEDGER_TASKS_MAX]; /* a model answered this task well */
    uint64_t redis_losses;
    uint64_t late_handovers; /* partitions were given up although something of them was still under way */
};

struct ledger_task *ledger_task(struct ledger *l, struct slice task_id);   /* NULL: never fed */
bool ledger_is_alone(const struct ledger *l, const struct ledger_task *t); /* one record names it */
const struct script_task *ledger_script(struct ledger *l, struct slice task_id);
struct ledger_task *ledger_add_task(struct ledger *l, const struct fed_task *fed);
struct fed *ledger_add_fed(struct ledger *l, const struct fed *fed);
struct fed *ledger_fed_at(struct ledger *l, const char *topic, int32_t partition, int64_t offset);

/* Of http_hosts.c: a call leaves its worker; the host carries it out (returns how often it did so before); its answer arrives. */
void ledger_called(struct ledger *l, const struct http_exchange *x);
uint32_t ledger_carried_out(struct ledger *l, const struct http_exchange *x);
void ledger_answered(struct ledger *l, const struct http_exchange *x);

/* That load of the task knows what was stored up to that call of Redis. */
void ledger_informed(struct ledger_task *t, const struct sim_process *process, uint64_t task, uint64_t call);

/* Whether TaskStarted, as it lies in Redis, says that this tool must not be repeated. */
bool ledger_froze_as_once(const struct ledger_task *t, struct slice tool);

bool ledger_was_stored(const struct ledger_task *t, const struct digest *d);

/* Of redis_server.c: a script of the cells was carried out; its answer reached its process; Redis lost a key. */
struct redis_message;
void ledger_redis_acted(struct ledger *l, const struct redis_message *m);
void ledger_redis_answered(struct ledger *l, const struct redis_message *m);
void ledger_redis_lost(struct ledger *l, struct slice key);

#endif
