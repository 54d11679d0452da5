/* The event: what a task is made of (DESIGN §4).
 *
 *     state of a task = fold(apply, its events)
 *
 * One struct for reading and writing. All slices point into memory of whoever filled the struct (the decoded bytes, an arena);
 * an event owns nothing and may be copied. Times are Unix micro- or milliseconds, as named.
 * The Avro form is schemas/AgentEvent.avsc (wire/event_codec.c writes and reads it).
 */
#ifndef STEPMILL_EVENT_H
#define STEPMILL_EVENT_H

#include "bytes.h"
#include "digest.h"

enum {
    EVENT_TOOL_CALLS_MAX = 32, /* answers of one model call that get a cell; what goes beyond is counted in calls_refused */
    EVENT_TOOLS_MAX = 64,      /* tools of one agent */
    EVENT_TURNS_MAX = 20,      /* messages of session memory */
    EVENT_ATTEMPTS_MAX = 32,   /* failed attempts listed; older ones are dropped first */
    EVENT_CONTEXT_MAX = 256,   /* entries of a task's context */

    /* A record of our topics holds 8 MiB (DELIVERY §4.13). An event with texts of so many bytes in all fits with everything else
     * that it carries; so does a result with an output of so many and with metadata of so many. */
    EVENT_TEXT_MAX = 7 * 1024 * 1024 - 64 * 1024,
    EVENT_METADATA_MAX = 1024 * 1024,
};

enum event_kind {
    EVENT_STARTED,
    EVENT_MODEL_ANSWERED,
    EVENT_TOOL_ANSWERED,
    EVENT_COMPLETED,
    EVENT_FAILED,
    EVENT_CANCELLED,
    EVENT_PARKED,
    EVENT_REOPENED,
};

/* "TaskStarted", …: the Avro record names of the body. */
const char *event_kind_name(enum event_kind kind);

struct origin {
    struct slice topic;
    int32_t partition;
    int64_t offset;
};

struct context_entry {
    struct slice key, value;
};

/* AgentTaskEvent as decoded; limits that the record leaves out are -1. */
struct task_input {
    struct slice task_id, source_agent, target_agent, session_id, prompt;
    const struct context_entry *context; /* sorted by key */
    size_t ncontext;
    int64_t created_at_ms;
    int32_t max_steps;           /* 1–25, -1: the agent's */
    int32_t token_budget;        /* 512–32768, -1: the agent's */
    int64_t deadline_at_ms;      /* -1: none */
    struct slice parent_task_id; /* absent: none */
};

/* A tool as frozen in TaskStarted: what the model may call, for the whole life of the task. */
struct frozen_tool {
    struct slice name, version;
    bool repeatable;
    bool fail_on_unknown; /* the task fails when nobody knows whether a call was carried out */
};

/* One message of session memory. */
struct turn {
    struct slice role; /* "user" or "assistant" */
    struct slice content;
};

struct event_started {
    struct origin origin;
    struct digest input_hash;
    struct task_input input;
    int32_t max_steps, token_budget; /* the limits that count */
    int32_t redrives;                /* of the record that started it: 0, or h where the cells of a redriven task were gone */
    const struct frozen_tool *tools;
    size_t ntools;
    const struct turn *memory;
    size_t nmemory;
};

struct tool_call {
    struct slice id, name, arguments; /* arguments: as the model wrote them, JSON or not */
};

/* A failed attempt that an event ended. */
struct attempt {
    struct slice target; /* model entry or endpoint */
    struct slice error;  /* code */
    int64_t tokens;      /* that the provider counted for it, 0 = unknown */
    int64_t duration_ms;
};

enum finish_reason { FINISH_STOP, FINISH_LENGTH, FINISH_TOOL_CALLS, FINISH_CONTENT_FILTER, FINISH_REFUSAL, FINISH_OTHER };

struct event_model_answered {
    struct slice model;       /* the model as it answered: "gpt-4o-2024-08-06" */
    struct slice model_entry; /* the entry of the config that was called: "primary" */
    struct slice definition;  /* digest of the agent definition used, hex; empty = none */
    struct slice content;     /* text, may be absent when there are tool calls */
    const struct tool_call *calls;
    size_t ncalls;         /* <= EVENT_TOOL_CALLS_MAX */
    int32_t calls_refused; /* how many more the model asked for */
    enum finish_reason finish;
    int64_t prompt_tokens, completion_tokens;
    int64_t duration_ms;
    const struct attempt *attempts;
    size_t nattempts;
};

enum tool_outcome { TOOL_OK, TOOL_ERROR, TOOL_REFUSED, TOOL_UNKNOWN };
const char *tool_outcome_name(enum tool_outcome outcome); /* "ok", "error", "refused", "unknown" */

struct event_tool_answered {
    struct slice call_id, name, version, idempotency_key;
    enum tool_outcome outcome;
    struct slice content; /* what the model is told */
    bool truncated;       /* cut at the ceiling */
    int64_t duration_ms;
    const struct attempt *attempts;
    size_t nattempts;
};

struct event_completed {
    struct slice output; /* absent: the model said nothing */
    struct slice error;  /* absent, or token_budget_exceeded, max_steps_reached, output_truncated */
    bool output_cut;     /* the model said more than an event can hold */
};

struct event_failed {
    struct slice class, code, message, stage; /* class: error_class_name */
    bool retryable;
    bool final; /* false: the DLQ processor will try again (DELIVERY §5) */
    int32_t attempts;
    struct slice output; /* partial, may be absent */
};

struct event_cancelled {
    struct slice by, reason;
    struct slice output;
};

struct event_parked {
    int64_t until_ms; /* -1: not by time */
    struct slice approval;
};

struct event_reopened {
    struct slice reopen_kind; /* redrive, timer, approval */
    int32_t redrives;
    struct origin origin;
    struct slice by, reason;
    int64_t deadline_at_ms;
};

struct event {
    struct slice task_id, session_id, agent;
    int32_t seq;
    int64_t at_us;
    struct slice trace_id, span_id; /* hex */
    enum event_kind kind;
    union {
        struct event_started started;
        struct event_model_answered model;
        struct event_tool_answered tool;
        struct event_completed completed;
        struct event_failed failed;
        struct event_cancelled cancelled;
        struct event_parked parked;
        struct event_reopened reopened;
    };
};

/* AgentTaskResult, ready to be written. */
struct task_result {
    struct slice task_id, session_id, agent, status; /* completed, failed, cancelled */
    struct slice output, error;                      /* absent = null */
    int32_t steps_used;
    int64_t tokens_used, prompt_tokens, completion_tokens;
    int32_t tool_calls;
    struct slice model;
    int64_t duration_ms, finished_at_ms;
    int32_t redrives;
    bool final;
    struct slice history; /* hex of the terminal cell's digest; empty for poison */
    const struct context_entry *metadata;
    size_t nmetadata;
};

#endif
