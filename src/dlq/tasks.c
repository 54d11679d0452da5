/* The index of tasks: its file, and the fold of events into it. */
#include "tasks_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "topic_ids.h"

enum { VERSION = 3, BATCH_MEMORY = 128 * 1024 * 1024, TEXT_KEPT = 4096, PROMPT_KEPT = 200, NAME_KEPT = 200 };

static const char schema[] =
    "CREATE TABLE tasks (task_id TEXT PRIMARY KEY, num INT NOT NULL, session_id TEXT, agent TEXT, parent TEXT, trace_id TEXT, "
    "status "
    "INT NOT NULL, error TEXT, steps INT, tool_calls INT, redrives INT, prompt_tokens INT, completion_tokens INT, first_ms INT, "
    "last_ms INT, last_seq INT, last_kind TEXT, prompt TEXT) WITHOUT ROWID;"
    "CREATE INDEX tasks_num ON tasks (num);"
    "CREATE INDEX tasks_session ON tasks (session_id, num);"
    "CREATE INDEX tasks_agent ON tasks (agent, num);"
    "CREATE INDEX tasks_status ON tasks (status, num);"
    "CREATE TABLE steps (task_id TEXT, seq INT, kind INT NOT NULL, at_ms INT NOT NULL, topic TEXT, partition INT, offset INT, "
    "name "
    "TEXT, outcome TEXT, text TEXT, text_cut INT, prompt_tokens INT, completion_tokens INT, duration_ms INT, attempts INT, calls "
    "INT, "
    "span_id TEXT, redrives INT, entry TEXT, PRIMARY KEY (task_id, seq)) WITHOUT ROWID;"
    "CREATE TABLE places (topic TEXT, partition INT, next INT NOT NULL, PRIMARY KEY (topic, partition)) WITHOUT "
    "ROWID;" TOPIC_IDS_TABLE;

/* ---- Connections */

static struct tasks *tasks_new(const struct tasks_options *options)
{
    struct tasks *t = calloc(1, sizeof *t);

    if (t && asprintf(&t->path, "%s/tasks.db", options->folder) < 0)
        t->path = NULL;
    if (!t || !t->path) {
        free(t);
        return NULL;
    }
    t->options = *options;
    return t;
}

static struct error open_file(struct tasks *t, enum database_role role, char *detail, size_t room)
{
    return database_open(&(struct database_options){.path = t->path, .role = role, .cache_bytes = t->options.cache_bytes}, &t->db,
                         detail, room);
}

static int64_t number_of(struct tasks *t, const char *sql)
{
    struct statement *st = database_prepare(t->db, sql);
    int64_t n = statement_step(st) ? statement_int_at(st, 0) : -1;

    statement_reset(st);
    return n;
}

static void remove_files(const struct tasks *t)
{
    static const char *const ends[] = {"", "-wal", "-shm"};
    char path[4200];

    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        snprintf(path, sizeof path, "%s%s", t->path, ends[i]);
        unlink(path);
    }
}

static struct error make_tables(struct tasks *t, char *detail, size_t room)
{
    struct error error;

    database_close(t->db);
    t->db = NULL;
    remove_files(t);
    error = open_file(t, DATABASE_WRITER, detail, room);
    if (failed(error))
        return error;
    database_run(t->db, "BEGIN IMMEDIATE");
    database_run(t->db, schema);
    database_run(t->db, "PRAGMA user_version = 3");
    _Static_assert(VERSION == 3, "the number above");
    database_run(t->db, "COMMIT");
    return database_error(t->db);
}

struct error tasks_open_writer(const struct tasks_options *options, struct tasks **out, char *detail, size_t room)
{
    struct tasks *t = tasks_new(options);
    struct error error;

    *out = NULL;
    if (!t)
        return error_make(CLASS_INTERNAL, "out_of_memory", "no memory left for the index of tasks");
    mkdir(options->folder, 0700); /* the collector of letters makes it too; what fails is said by the opening */
    error = open_file(t, DATABASE_WRITER, detail, room);
    if (error.class == CLASS_INTERNAL || (!failed(error) && number_of(t, "PRAGMA user_version") != VERSION))
        error = make_tables(t, detail, room);
    if (failed(error)) {
        tasks_close(t);
        return error;
    }
    t->rows = number_of(t, "SELECT count(*) FROM tasks");
    *out = t;
    return error_none();
}

struct error tasks_open_reader(const struct tasks_options *options, struct tasks **out, char *detail, size_t room)
{
    struct tasks *t = tasks_new(options);
    struct error error;

    *out = NULL;
    if (!t)
        return error_make(CLASS_INTERNAL, "out_of_memory", "no memory left for the index of tasks");
    error = open_file(t, DATABASE_READER, detail, room);
    if (!failed(error) && number_of(t, "PRAGMA user_version") != VERSION)
        error = error_make(CLASS_WAIT, "index_not_ready", "the index of tasks is not there yet");
    if (failed(error)) {
        tasks_close(t);
        return error;
    }
    *out = t;
    return error_none();
}

void tasks_close(struct tasks *t)
{
    if (!t)
        return;
    arena_free(t->arena);
    database_close(t->db);
    free(t->path);
    free(t);
}

/* ---- Events */

/* What a step shows, out of the body of its event. */
struct shown {
    struct slice name, outcome, text, entry;
    int64_t prompt_tokens, completion_tokens, duration_ms;
    size_t attempts, calls;
    int32_t redrives; /* -1: it tells none */
};

static struct shown show(const struct event *e)
{
    static const char *const finishes[] = {[FINISH_STOP] = "stop",
                                           [FINISH_LENGTH] = "length",
                                           [FINISH_TOOL_CALLS] = "tool_calls",
                                           [FINISH_CONTENT_FILTER] = "content_filter",
                                           [FINISH_REFUSAL] = "refusal",
                                           [FINISH_OTHER] = "other"};
    const struct event_model_answered *m = &e->model;
    const struct event_tool_answered *t = &e->tool;

    switch (e->kind) {
    case EVENT_STARTED:
        return (struct shown){.text = e->started.input.prompt, .redrives = e->started.redrives};
    case EVENT_MODEL_ANSWERED:
        return (struct shown){m->model,         slice_of(finishes[m->finish]),
                              m->content,       m->model_entry,
                              m->prompt_tokens, m->completion_tokens,
                              m->duration_ms,   m->nattempts,
                              m->ncalls,        -1};
    case EVENT_TOOL_ANSWERED:
        return (struct shown){.name = t->name,
                              .outcome = slice_of(tool_outcome_name(t->outcome)),
                              .text = t->content,
                              .duration_ms = t->duration_ms,
                              .attempts = t->nattempts,
                              .redrives = -1};
    case EVENT_COMPLETED:
        return (struct shown){.name = e->completed.error, .text = e->completed.output, .redrives = -1};
    case EVENT_FAILED:
        return (struct shown){.name = e->failed.code,
                              .outcome = e->failed.class,
                              .text = e->failed.message,
                              .attempts = (size_t)(e->failed.attempts > 0 ? e->failed.attempts : 0),
                              .redrives = -1};
    case EVENT_CANCELLED:
        return (struct shown){.name = e->cancelled.by, .text = e->cancelled.reason, .redrives = -1};
    case EVENT_PARKED:
        return (struct shown){.name = e->parked.approval, .redrives = -1};
    case EVENT_REOPENED:
        return (struct shown){.name = e->reopened.reopen_kind,
                              .outcome = e->reopened.by,
                              .text = e->reopened.reason,
                              .redrives = e->reopened.redrives};
    }
    return (struct shown){.redrives = -1};
}

static void put_step(struct tasks *t, const struct event *e, const struct kafka_record *record)
{
    struct statement *st = database_prepare(
        t->db, "INSERT INTO steps (task_id, seq, kind, at_ms, topic, partition, offset, name, outcome, text, text_cut, "
               "prompt_tokens, completion_tokens, duration_ms, attempts, calls, span_id, redrives, entry) VALUES (?1, ?2, "
               "?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19) ON CONFLICT (task_id, seq) DO "
               "UPDATE SET kind = excluded.kind, at_ms = excluded.at_ms, topic = excluded.topic, partition = "
               "excluded.partition, offset = excluded.offset, name = excluded.name, outcome = excluded.outcome, text = "
               "excluded.text, text_cut = excluded.text_cut, prompt_tokens = excluded.prompt_tokens, completion_tokens "
               "= excluded.completion_tokens, duration_ms = excluded.duration_ms, attempts = excluded.attempts, calls "
               "= excluded.calls, span_id = excluded.span_id, redrives = excluded.redrives, entry = excluded.entry WHERE "
               "excluded.at_ms > "
               "at_ms"); /* the same event again changes nothing */
    struct shown s = show(e);
    struct slice text = utf8_cut(s.text, TEXT_KEPT);

    statement_text(st, 1, e->task_id);
    statement_int(st, 2, e->seq);
    statement_int(st, 3, e->kind);
    statement_int(st, 4, e->at_us / 1000);
    statement_text(st, 5, slice_of(record->topic));
    statement_int(st, 6, record->partition);
    statement_int(st, 7, record->offset);
    statement_text(st, 8, s.name.len ? utf8_cut(s.name, NAME_KEPT) : (struct slice){NULL, 0});
    statement_text(st, 9, s.outcome.len ? utf8_cut(s.outcome, NAME_KEPT) : (struct slice){NULL, 0});
    statement_text(st, 10, s.text.len ? text : (struct slice){NULL, 0});
    statement_int(st, 11, text.len < s.text.len);
    statement_int(st, 12, s.prompt_tokens);
    statement_int(st, 13, s.completion_tokens);
    statement_int(st, 14, s.duration_ms);
    statement_int(st, 15, (int64_t)s.attempts);
    statement_int(st, 16, (int64_t)s.calls);
    statement_text(st, 17, e->span_id);
    statement_int(st, 18, s.redrives);
    statement_text(st, 19, s.entry.len ? s.entry : (struct slice){NULL, 0});
    statement_run(st);
}

/* Begun anew without its cells: what the earlier run left is no part of this history. */
static void forget_earlier_run(struct tasks *t, const struct event *e)
{
    struct statement *st =
        database_prepare(t->db, "DELETE FROM steps WHERE task_id = ?1 AND at_ms < ?2 AND EXISTS (SELECT 1 FROM "
                                "steps s WHERE s.task_id = ?1 AND s.seq = 0 AND s.at_ms < ?2)");

    statement_text(st, 1, e->task_id);
    statement_int(st, 2, e->at_us / 1000);
    statement_run(st);
}

static void touch(struct tasks *t, const struct event *e)
{
    struct statement *st = database_prepare(
        t->db, "INSERT INTO tasks (task_id, num, session_id, agent, trace_id, status, parent, prompt) VALUES (?1, 0, ?2, "
               "?3, ?4, 0, ?5, ?6) ON CONFLICT (task_id) DO UPDATE SET parent = coalesce(excluded.parent, parent), "
               "prompt = coalesce(excluded.prompt, prompt), trace_id = coalesce(excluded.trace_id, trace_id)");
    bool started = e->kind == EVENT_STARTED;
    struct slice none = {NULL, 0};

    statement_text(st, 1, e->task_id);
    statement_text(st, 2, e->session_id);
    statement_text(st, 3, e->agent);
    statement_text(st, 4, e->trace_id.len ? e->trace_id : none);
    statement_text(st, 5, started && e->started.input.parent_task_id.len ? e->started.input.parent_task_id : none);
    statement_text(st, 6, started ? utf8_cut(e->started.input.prompt, PROMPT_KEPT) : none);
    statement_run(st);
    tally_add(&t->touched, t->arena, (struct tally_entry){.kind = TALLY_WORD, .name = arena_copy(t->arena, e->task_id), .n = 1});
}

void tasks_fold(struct tasks *t, const struct event *event, const struct kafka_record *record)
{
    if (event->kind == EVENT_STARTED)
        forget_earlier_run(t, event);
    put_step(t, event, record);
    touch(t, event);
}

/* ---- Batches */

void tasks_begin(struct tasks *t)
{
    t->arena = arena_new(BATCH_MEMORY);
    t->touched = (struct tallies){0};
    database_run(t->db, "BEGIN IMMEDIATE");
}

static void end_batch(struct tasks *t)
{
    arena_free(t->arena);
    t->arena = NULL;
    t->touched = (struct tallies){0};
}

void tasks_abort(struct tasks *t)
{
    database_error_clear(t->db);
    database_run(t->db, "ROLLBACK");
    database_error_clear(t->db);
    end_batch(t);
}

struct error tasks_commit(struct tasks *t)
{
    struct error error;

    for (size_t i = 0; i < t->touched.room; i++)
        if (t->touched.slots[i])
            tasks_sum_up(t, t->touched.slots[i]->name);
    if (!t->arena || arena_failed(t->arena)) {
        tasks_abort(t);
        return error_make(CLASS_INTERNAL, "out_of_memory", "no memory left for a batch of events");
    }
    database_run(t->db, "COMMIT");
    error = database_error(t->db);
    if (failed(error))
        tasks_abort(t);
    else
        end_batch(t);
    return error;
}

void tasks_set_place(struct tasks *t, const char *topic, int32_t partition, int64_t next_offset)
{
    struct statement *st = database_prepare(t->db, "INSERT INTO places (topic, partition, next) VALUES (?1, ?2, ?3) ON CONFLICT "
                                                   "(topic, partition) DO UPDATE SET next = excluded.next");

    statement_text(st, 1, slice_of(topic));
    statement_int(st, 2, partition);
    statement_int(st, 3, next_offset);
    statement_run(st);
}

int64_t tasks_place(struct tasks *t, const char *topic, int32_t partition)
{
    struct statement *st = database_prepare(t->db, "SELECT next FROM places WHERE topic = ?1 AND partition = ?2");
    int64_t next;

    statement_text(st, 1, slice_of(topic));
    statement_int(st, 2, partition);
    next = statement_step(st) ? statement_int_at(st, 0) : KAFKA_OFFSET_BEGINNING;
    statement_reset(st);
    return next;
}

bool tasks_is_of_topic(struct tasks *t, const char *topic, const char *id) { return topic_ids_agree(t->db, topic, id); }

struct error tasks_empty(struct tasks *t)
{
    tasks_begin(t);
    topic_ids_empty(t->db);
    return tasks_commit(t);
}

struct error tasks_trim(struct tasks *t, int64_t now_ms, size_t limit, bool *more)
{
    struct statement *st;
    int64_t gone, over;

    t->rows = number_of(t, "SELECT count(*) FROM tasks");
    over = t->rows - t->options.rows_max;
    database_run(t->db, "BEGIN IMMEDIATE");
    database_run(t->db, "CREATE TEMP TABLE IF NOT EXISTS old (task_id TEXT)");
    st = database_prepare(
        t->db, "INSERT INTO old SELECT task_id FROM tasks WHERE num < ?1 OR num <= (SELECT num FROM tasks ORDER BY num "
               "LIMIT 1 OFFSET ?2) ORDER BY num LIMIT ?3");
    statement_int(st, 1, task_num_at(now_ms - t->options.keep_ms));
    if (over > 0)
        statement_int(st, 2, over - 1);
    else
        statement_int(st, 2, INT64_MAX);
    statement_int(st, 3, (int64_t)limit);
    gone = statement_run(st);
    database_run(t->db, "DELETE FROM steps WHERE task_id IN (SELECT task_id FROM old)");
    database_run(t->db, "DELETE FROM tasks WHERE task_id IN (SELECT task_id FROM old)");
    database_run(t->db, "DELETE FROM old");
    *more = gone == (int64_t)limit;
    if (failed(database_error(t->db))) {
        struct error error = database_error(t->db);

        tasks_abort(t);
        return error;
    }
    database_run(t->db, "COMMIT");
    return database_error(t->db);
}
