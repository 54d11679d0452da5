/* The worker's parts and how they hang together; private to src/worker. The public face is include/stepmill/worker.h. */
#ifndef WORKER_WORKER_H
#define WORKER_WORKER_H

#include "stepmill/config.h"
#include "stepmill/http_server.h"
#include "stepmill/idempotency.h"
#include "stepmill/kafka_source.h"
#include "stepmill/kafka_txn.h"
#include "stepmill/metrics.h"
#include "stepmill/openai.h"
#include "stepmill/random.h"
#include "stepmill/rate.h"
#include "stepmill/systemic.h"
#include "stepmill/tool.h"
#include "stepmill/worker.h"

#include "task.h"

struct model {
    const struct config_model *config;
    struct http_endpoint *endpoint;
    struct endpoint health;
    struct error last_error;  /* of the last call that failed; none after a good one */
    char authorization[2048]; /* "Bearer …"; empty: none */
};

struct tool {
    const struct tool_definition *definition;
    struct http_endpoint *endpoint;
    int64_t slow_until_ms; /* closed by Retry-After */
};

struct agent {
    struct worker *worker;
    struct config_agent values;        /* may change by a reload */
    const struct config_agent *config; /* &values */
    struct slice name;
    char result_source[CONFIG_NAME_MAX + 16]; /* "<agent>/results": in ce_source */
    char *topic;
    bool topic_missing;                   /* the brokers do not know it (yet) */
    char definition[2 * DIGEST_SIZE + 1]; /* of prompt and tools: named in ModelAnswered */
    struct model *models[CASCADE_MODELS_MAX];
    struct endpoint *healths[CASCADE_MODELS_MAX];
    struct buf heads[CASCADE_MODELS_MAX];       /* request body up to and with the system prompt, per model */
    size_t before_messages[CASCADE_MODELS_MAX]; /* of it: what is no message */
    struct digest_state hashed_heads[CASCADE_MODELS_MAX];
    size_t nmodels;
    struct tool *tools[EVENT_TOOLS_MAX];
    struct rate rates[EVENT_TOOLS_MAX]; /* of calls, by tool: this agent's in this process */
    struct frozen_tool frozen[EVENT_TOOLS_MAX];
    size_t ntools;
    size_t in_flight; /* tasks that hold a slot */
    size_t npartitions;
    struct systemic systemic;
    struct metric *completed, *failed, *cancelled, *duration, *steps, *prompt_tokens, *completion_tokens;
};

enum owned_state { OWNED_RUNNING, OWNED_REVOKING };

/* A partition that is ours. */
struct owned {
    struct list_node node; /* worker.owned */
    struct agent *agent;
    struct partition partition;
    enum owned_state state;
    struct list tasks;
    bool paused;
    bool full;      /* the finished set has grown too long for the commit: no more records till it shrinks */
    bool restate;   /* its offset must be sent although no record is (idle, or after an unknown outcome) */
    bool held_back; /* as the last batch was made: nothing of it may leave */
    bool cramped;   /* some of its results did not fit into the last batch's metadata */
    size_t batched; /* settled tasks in the batch under way */
};

enum outgoing_kind { OUTGOING_EVENT, OUTGOING_SETTLE };

/* Records that wait for a transaction; lives in the task's arena, so the task outlives it. */
struct outgoing {
    struct list_node in_queue; /* worker.outbox, or worker.batch while submitted */
    struct list_node in_task;
    struct task *task;
    enum outgoing_kind kind;
    struct kafka_output outputs[2]; /* event; or result, dead letter */
    size_t noutputs;
    size_t bytes;
    int64_t queued_ms;
    bool chosen;                /* its bit fits into the batch being made */
    int result_cut, letter_cut; /* how much of either is left out because the topic does not take it */
};

enum worker_state { WORKER_STARTING, WORKER_RUNNING, WORKER_DRAINING, WORKER_CLOSING, WORKER_STOPPING, WORKER_STOPPED };

struct worker {
    const struct worker_options *options;
    struct config live;          /* the options' config, with the values of the last reload */
    const struct config *config; /* &live */
    struct config *latest;       /* of the last reload; NULL: none */
    const struct log *log;
    struct log *log_to_set;
    struct loop *loop;
    struct http_client *http;
    struct http_server *server;
    struct registry *registry;
    struct redis *redis;
    struct cells *cells;
    struct kafka_source *source;
    struct kafka_txn *txn;
    struct metrics *metrics;
    struct tool_set *tool_set;
    struct worker_numbers *numbers;

    enum worker_state state;
    bool failed; /* exit status 1 */
    char *group, *transactional_id;
    char *event_subject, *result_subject;
    char slot[160];
    int slot_lock;
    char process[320]; /* host and pid, for dead letters */
    struct agent *agents;
    size_t nagents;
    struct model *models;
    size_t nmodels;
    struct tool *tools;
    size_t ntools;

    struct task **slots; /* by the low half of the task number */
    uint32_t nslots, nfree;
    uint32_t *free_slots;
    uint32_t generation;
    struct list tasks[TASK_STATES];
    struct list ready;
    struct list owned;
    bool admission_due;
    struct task *suspect; /* the one whose turn it is: nobody else begins a call */

    struct list outbox, batch; /* outgoing, in order */
    int64_t batch_ended_ms, batch_began_ms;
    uint64_t served, batch_served; /* times assigned or lost was served: ever, and when the batch under way was made */
    size_t outbox_settles, outbox_bytes;
    bool commits_blocked; /* the group does not know this member: until lost or assigned was served */
    bool proving;         /* a transaction over all our offsets must succeed before any outside call */
    bool batch_proves;    /* the batch under way was made after the gap: one made before proves nothing */
    uint64_t stops;       /* times that the process was stopped for longer than gap_max_ms */
    int64_t boot_ms, proving_ms, position_ms, complained_ms;
    int64_t gap_max_ms; /* half the group's session timeout: a stop begins up to a heartbeat interval after the last heartbeat */
    struct loop_timer commit_timer, second_timer, drain_timer;

    uint32_t done_attempts;
    struct list unsettled; /* `done` to be written: bounded, repeated */
    struct buf scratch;
    uint64_t seed;
    struct random_stock random;
};

/* intake.c */
extern const struct kafka_source_events intake_events;
void worker_admit(struct worker *w);
void worker_drop_owned(struct worker *w, struct owned *o, bool alive);
struct owned *worker_owned(struct worker *w, const char *topic, int32_t partition);
void worker_release_revoked(struct worker *w);

/* commit.c */
extern const struct kafka_txn_events commit_events;
void worker_commit(struct worker *w);
void worker_commit_soon(struct worker *w);
void worker_submit(struct worker *w);
/* What was put into the batch under way and has not left goes back to the head of the outbox. */
void worker_requeue(struct worker *w);
/* settle.c: one of its outputs is too large for the topic; all are written again with less in that one. False: nothing is left to
 * leave out. */
bool outgoing_shrink(struct outgoing *o, size_t output);
/* A record's tag in a batch: whose output it is, and which. */
static inline uint64_t outgoing_tag(const struct outgoing *o, size_t output) { return (uint64_t)(uintptr_t)o | output; }
static inline struct outgoing *outgoing_of(uint64_t tag) { return (struct outgoing *)(uintptr_t)(tag & ~UINT64_C(1)); }

enum { BATCH_RESULTS = 500, BATCH_BYTES = 4 * 1024 * 1024 };
bool worker_has_uncommitted(const struct worker *w, const struct owned *o);

/* done.c */
void worker_mark_done(struct worker *w, const struct cells_settle *settle);
void worker_done_answered(struct worker *w, struct ticket t, const struct cells_answer *a);
void worker_done_retry(struct worker *w);
void worker_done_free(struct worker *w);

/* complain.c */
void worker_complain(struct worker *w);

/* reload.c */
void worker_reload(struct worker *w);
void worker_bound_in_flight(struct worker *w);

/* agents.c */
struct error worker_make_agents(struct worker *w) MUST_CHECK;
void worker_free_agents(struct worker *w);
/* NULL: none of that name for this agent. */
struct tool *agent_tool(const struct agent *a, struct slice name);

/* tool_wait.c */
/* 0: the tool may be called now, and that call counts. Else in how many ms to ask again. */
int64_t tool_wait_ms(struct agent *a, const struct tool *tool);

/* make.c */
struct error worker_make(struct worker *w) MUST_CHECK;
struct error worker_start_kafka(struct worker *w) MUST_CHECK;
void worker_free(struct worker *w);

/* slot.c */
struct error worker_take_slot(struct worker *w) MUST_CHECK;

/* health.c */
/* Appends the JSON of /readyz. */
bool worker_is_ready(struct worker *w, struct buf *detail);
struct error worker_serve(struct worker *w) MUST_CHECK;
void worker_count_result(struct task *t, const struct task_result *r);
void worker_count(struct metric *m, double n);
/* A try of a call that failed: the task's event tells it only when the call has ended. `name`: of the tool, or of the model's
 * entry; `reused`: over a connection that was there. */
void worker_log_attempt(const struct task *t, const char *event, struct slice name, struct error error,
                        const struct http_answer *a);

/* Frees dead tasks. */
void worker_reap(struct worker *w);
/* Wakes tasks that wait for this outage to end. */
void worker_wake(struct worker *w, enum outage outage);
/* The partitions that are ours are so by the group's word: calls may be made again. */
void worker_proved(struct worker *w);
/* No outside call may start: draining, or its right to call must be proven first (DELIVERY §2, zombie). */
bool worker_may_call(struct worker *w, const struct task *t);
/* Of http_request, with the worker: not after a stop that nobody has looked at yet, and not before it is proved that the
 * partitions are ours. What waited for a connection meanwhile may be another's by now. */
bool worker_may_send(void *worker);
/* The process was stopped since Redis was last asked about the task: whoever ran it meanwhile may have stored the answer that is
 * about to be paid for, so it is saved, perhaps with nothing to save, before a call begins (DELIVERY §2, promise 3). */
bool task_missed_a_stop(const struct task *t);
void worker_stop_now(struct worker *w, bool failure);

/* Counters of our own, made once (health.c). */
struct worker_numbers {
    struct metric *admitted, *duplicates, *poisoned, *adopted, *stale, *late, *dropped, *tokens_unrecorded, *events, *batches,
        *wasted;
    struct metric_family *tasks, *task_duration, *tokens, *tool_calls, *rate_waits, *steps, *dead_letters, *model_calls, *outages;
};

#endif
