/* AgentTaskEvent, read and written. */
#include "stepmill/task_codec.h"

#include <stdio.h>
#include <stdlib.h>

#include "avro_tables.h"
#include "stepmill/avro_put.h"
#include "stepmill/utf8.h"
#include "stepmill/wire_format.h"

/* What null is read as, so that a -1 in the record is told from it: -1 is out of range. */
#define NO_INT  INT32_MIN
#define NO_TIME INT64_MIN
static const int64_t TIME_MOST_MS = INT64_C(253402300799999); /* the end of the year 9999 */

static const struct avro_take context_entry_rows[] = {
    TEXT(context_entry, "key", key),
    TEXT(context_entry, "value", value),
};
const struct avro_record context_entry_reader = READER(context_entry, "", context_entry_rows);

static const struct avro_take task_rows[] = {
    TEXT(task_input, "task_id", task_id),
    TEXT(task_input, "source_agent", source_agent),
    TEXT(task_input, "target_agent", target_agent),
    TEXT(task_input, "session_id", session_id),
    TEXT(task_input, "prompt", prompt),
    LIST(MAP, task_input, "context", context, ncontext, context_entry_reader, EVENT_CONTEXT_MAX, false),
    NUMBER(MILLIS, task_input, "created_at", created_at_ms),
    NULLABLE_NUMBER(INT, task_input, "max_steps", max_steps, NO_INT),
    NULLABLE_NUMBER(INT, task_input, "token_budget", token_budget, NO_INT),
    NULLABLE_NUMBER(MILLIS, task_input, "deadline_at", deadline_at_ms, NO_TIME),
    NULLABLE_TEXT(task_input, "parent_task_id", parent_task_id),
};
const struct avro_record task_reader = READER(task_input, "AgentTaskEvent", task_rows);

bool task_id_valid(struct slice id)
{
    if (id.len < 1 || id.len > ID_MAX)
        return false;
    for (size_t i = 0; i < id.len; i++)
        if (id.at[i] < 0x20 || id.at[i] > 0x7e || id.at[i] == '"' || id.at[i] == '/')
            return false;
    return true;
}

/* By key, and where keys are equal by place, so that the last one written stands last. */
static int compare_entries(const void *a, const void *b)
{
    const struct context_entry *x = a, *y = b;
    size_t n = x->key.len < y->key.len ? x->key.len : y->key.len;
    int order = n ? memcmp(x->key.at, y->key.at, n) : 0;

    if (order)
        return order;
    if (x->key.len != y->key.len)
        return x->key.len < y->key.len ? -1 : 1;
    return x->key.at < y->key.at ? -1 : x->key.at > y->key.at;
}

/* Sorts by key; of equal keys the last counts. */
static void sort_context(struct context_entry *entries, size_t *n)
{
    size_t kept = 0;

    if (*n)
        qsort(entries, *n, sizeof *entries, compare_entries);
    for (size_t i = 0; i < *n; i++)
        if (i + 1 == *n || !slice_equal(entries[i].key, entries[i + 1].key))
            entries[kept++] = entries[i];
    *n = kept;
}

/* A time that no calendar has: our events carry it on, and readers in other languages would stumble over it. */
static int64_t nearest_time(int64_t ms) { return ms < 0 ? 0 : ms > TIME_MOST_MS ? TIME_MOST_MS : ms; }

void task_normalise(struct task_input *task)
{
    /* The array is ours and in the arena, so sorting it in place is fine. */
    sort_context((struct context_entry *)(uintptr_t)task->context, &task->ncontext);
    if (task->max_steps == NO_INT)
        task->max_steps = -1;
    if (task->token_budget == NO_INT)
        task->token_budget = -1;
    task->created_at_ms = nearest_time(task->created_at_ms);
    task->deadline_at_ms = task->deadline_at_ms == NO_TIME ? -1 : nearest_time(task->deadline_at_ms);
}

static struct error refuse(const char *code, const char *text, struct detail *detail)
{
    if (detail)
        snprintf(detail->text, sizeof detail->text, "%s", text);
    return error_make(CLASS_POISON, code, text);
}

static struct error check(const struct task_input *task, struct slice agent, struct detail *detail)
{
    if (!task_id_valid(task->task_id))
        return refuse("bad_task_id", "task_id must be 1 to 128 bytes of printable ASCII without double quote and slash.", detail);
    if (!task_id_valid(task->session_id))
        return refuse("bad_session_id", "session_id must be 1 to 128 bytes of printable ASCII without double quote and slash.",
                      detail);
    if (!slice_equal(task->target_agent, agent))
        return refuse("wrong_target_agent", "target_agent is not the agent of this topic: produce to the topic of that agent.",
                      detail);
    if (task->max_steps != NO_INT && (task->max_steps < MAX_STEPS_LEAST || task->max_steps > MAX_STEPS_MOST))
        return refuse("max_steps_out_of_range", "max_steps must be 1 to 25, or null.", detail);
    if (task->token_budget != NO_INT && (task->token_budget < TOKEN_BUDGET_LEAST || task->token_budget > TOKEN_BUDGET_MOST))
        return refuse("token_budget_out_of_range", "token_budget must be 512 to 32768, or null.", detail);
    return error_none();
}

static bool all_utf8(const struct task_input *task)
{
    bool fine = utf8_valid(task->source_agent) && utf8_valid(task->target_agent) && utf8_valid(task->prompt) &&
                utf8_valid(task->parent_task_id);

    for (size_t i = 0; fine && i < task->ncontext; i++)
        fine = utf8_valid(task->context[i].key) && utf8_valid(task->context[i].value);
    return fine;
}

static bool has_equal_keys(const struct task_input *task)
{
    for (size_t i = 0; i < task->ncontext; i++)
        for (size_t k = 0; k < i; k++)
            if (slice_equal(task->context[i].key, task->context[k].key))
                return true;
    return false;
}

struct error task_check(const struct task_input *task, struct slice agent, struct detail *detail)
{
    struct task_input read = *task; /* as it will be read */

    if (read.max_steps == -1)
        read.max_steps = NO_INT;
    if (read.token_budget == -1)
        read.token_budget = NO_INT;
    if (!all_utf8(task))
        return refuse("bad_utf8", "prompt, context and the agents' names must be UTF-8.", detail);
    if (task->ncontext > EVENT_CONTEXT_MAX)
        return refuse("too_many_elements", "context must hold at most 256 entries.", detail);
    if (has_equal_keys(task))
        return refuse("duplicate_key", "context holds a key twice.", detail);
    if (task->created_at_ms != nearest_time(task->created_at_ms) || task->deadline_at_ms > TIME_MOST_MS)
        return refuse("out_of_range", "created_at and deadline_at must lie between the years 1970 and 9999.", detail);
    return check(&read, agent, detail);
}

struct error task_read(const struct avro_plan *plan, struct slice avro, struct slice agent, struct arena *arena,
                       struct task_input *task, struct detail *detail)
{
    struct error error = avro_plan_decode(plan, avro, arena, task, detail);

    if (!failed(error))
        error = check(task, agent, detail);
    task_normalise(task);
    if (failed(error) && !task_id_valid(task->task_id))
        task->task_id = (struct slice){NULL, 0};
    if (failed(error) && !task_id_valid(task->session_id))
        task->session_id = (struct slice){NULL, 0};
    return error;
}

void context_put(struct buf *to, const struct context_entry *entries, size_t n)
{
    if (n)
        avro_put_long(to, (int64_t)n);
    for (size_t i = 0; i < n; i++) {
        avro_put_string(to, entries[i].key);
        avro_put_string(to, entries[i].value);
    }
    avro_put_long(to, 0);
}

void task_fields_put(struct buf *to, const struct task_input *task)
{
    avro_put_string(to, task->task_id);
    avro_put_string(to, task->source_agent);
    avro_put_string(to, task->target_agent);
    avro_put_string(to, task->session_id);
    avro_put_string(to, task->prompt);
    context_put(to, task->context, task->ncontext);
    avro_put_long(to, task->created_at_ms);
    avro_put_optional_long(to, task->max_steps, -1);
    avro_put_optional_long(to, task->token_budget, -1);
    avro_put_optional_long(to, task->deadline_at_ms, -1);
    avro_put_optional_string(to, task->parent_task_id);
}

void task_put(struct buf *to, uint32_t schema_id, const struct task_input *task)
{
    wire_put(to, schema_id);
    task_fields_put(to, task);
}
