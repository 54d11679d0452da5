/* The index of tasks: what agent.events says about each task, in a file of its own, bounded by age and number (dlq.tasks).
 *
 * A convenience for people: losing it loses nothing. One writer (its collector's thread), readers on the threads of ask.h.
 */
#ifndef DLQ_TASKS_H
#define DLQ_TASKS_H

#include "stepmill/arena.h"
#include "stepmill/database.h"
#include "stepmill/event.h"
#include "stepmill/kafka.h"

struct tasks;

enum task_status { TASK_RUNNING, TASK_COMPLETED, TASK_FAILED, TASK_CANCELLED, TASK_PARKED, TASK_STATUSES };
const char *task_status_name(enum task_status status);

struct task_row {
    int64_t num; /* order of lists: last event; cursor */
    struct slice task_id, session_id, agent, parent_task_id, trace_id;
    enum task_status status;
    struct slice error; /* code of TaskFailed, or error of TaskCompleted; absent: none */
    int32_t steps, tool_calls, redrives;
    int64_t prompt_tokens, completion_tokens;
    int64_t first_ms, last_ms; /* of its events */
    int32_t last_seq;
    struct slice last_kind; /* event_kind_name */
    struct slice prompt;    /* the first 200 bytes */
};

struct task_filter {
    struct slice task_id, session_id, agent;
    unsigned statuses; /* bits 1 << enum task_status; 0: all */
    int64_t from_ms, to_ms;
};

struct task_page {
    const struct task_row *rows;
    size_t n;
    int64_t next;
};

/* One event. Its bytes are kept up to `value_max`; larger ones are to be fetched at their place. */
struct task_step {
    int32_t seq;
    enum event_kind kind;
    int64_t at_ms;
    struct slice topic;
    int32_t partition;
    int64_t offset;
    struct slice name;    /* model, tool, code, or kind of a reopening */
    struct slice outcome; /* finish reason, tool outcome, class; absent: none */
    struct slice text;    /* content, message, output, prompt: the first 4 KiB */
    bool text_cut;
    int64_t prompt_tokens, completion_tokens, duration_ms; /* 0 where it has none */
    int32_t attempts, calls;                               /* failed attempts before it; tool calls it asks for */
    struct slice span_id, entry;                           /* entry: the model's name in the configuration; absent: no model */
};

struct task_steps {
    const struct task_step *at;
    size_t n;
};

MUST_CHECK struct error tasks_list(struct tasks *t, const struct task_filter *f, int64_t cursor, size_t limit,
                                   struct arena *arena, struct task_page *page);
MUST_CHECK struct error tasks_task(struct tasks *t, struct slice task_id, struct arena *arena, struct task_row *task,
                                   bool *found);
/* By seq; after a redrive without cells a seq may occur twice: the later run counts. */
MUST_CHECK struct error tasks_steps(struct tasks *t, struct slice task_id, struct arena *arena, struct task_steps *steps);

/* How the redrives of these tasks ended: for resolving letters and for canaries. In the order of `ids`; what is not known has
 * status TASK_RUNNING and redrives -1. */
struct task_outcome {
    enum task_status status;
    int32_t redrives;
    int64_t last_ms;
};
MUST_CHECK struct error tasks_outcomes(struct tasks *t, const struct slice *ids, size_t n, struct task_outcome *outcomes);

/* Tasks of an agent that ended in [from, to), and how many of them failed: for error rates. */
MUST_CHECK struct error tasks_ended(struct tasks *t, struct slice agent, int64_t from_ms, int64_t to_ms, int64_t *ended,
                                    int64_t *failed);

struct tasks_options {
    const char *folder; /* holds tasks.db; NULL: none is kept */
    int64_t keep_ms;    /* tasks whose last event is older go */
    int64_t rows_max;   /* tasks beyond go, oldest first */
    int64_t cache_bytes;
};

MUST_CHECK struct error tasks_open_writer(const struct tasks_options *options, struct tasks **out, char *detail, size_t room);
MUST_CHECK struct error tasks_open_reader(const struct tasks_options *options, struct tasks **out, char *detail, size_t room);
void tasks_close(struct tasks *t);

/* The fold, as in store.h. */
void tasks_begin(struct tasks *t);
void tasks_fold(struct tasks *t, const struct event *event, const struct kafka_record *record);
void tasks_set_place(struct tasks *t, const char *topic, int32_t partition, int64_t next_offset);
MUST_CHECK struct error tasks_commit(struct tasks *t);
void tasks_abort(struct tasks *t);
int64_t tasks_place(struct tasks *t, const char *topic, int32_t partition);
/* As store_is_of_topic and store_empty. */
bool tasks_is_of_topic(struct tasks *t, const char *topic, const char *id);
MUST_CHECK struct error tasks_empty(struct tasks *t);
/* What is too old or too many goes, at most `limit` tasks. */
MUST_CHECK struct error tasks_trim(struct tasks *t, int64_t now_ms, size_t limit, bool *more);

#endif
