/* AgentEvent, written. */
#include "avro_tables.h"
#include "stepmill/avro_put.h"
#include "stepmill/event_codec.h"
#include "stepmill/wire_format.h"

static void put_origin(struct buf *to, const struct origin *o)
{
    avro_put_string(to, o->topic);
    avro_put_long(to, o->partition);
    avro_put_long(to, o->offset);
}

/* The head of an array's only block; its end is one more avro_put_long(to, 0). An empty array is its end alone. */
static void put_count(struct buf *to, size_t n)
{
    if (n)
        avro_put_long(to, (int64_t)n);
}

static void put_attempts(struct buf *to, const struct attempt *attempts, size_t n)
{
    put_count(to, n);
    for (size_t i = 0; i < n; i++) {
        avro_put_string(to, attempts[i].target);
        avro_put_string(to, attempts[i].error);
        avro_put_long(to, attempts[i].tokens);
        avro_put_long(to, attempts[i].duration_ms);
    }
    avro_put_long(to, 0);
}

static void put_started(struct buf *to, const struct event_started *e)
{
    put_origin(to, &e->origin);
    buf_put_slice(to, digest_slice(&e->input_hash));
    task_fields_put(to, &e->input);
    avro_put_long(to, e->max_steps);
    avro_put_long(to, e->token_budget);
    avro_put_long(to, e->redrives);
    put_count(to, e->ntools);
    for (size_t i = 0; i < e->ntools; i++) {
        avro_put_string(to, e->tools[i].name);
        avro_put_string(to, e->tools[i].version);
        avro_put_bool(to, e->tools[i].repeatable);
        avro_put_bool(to, e->tools[i].fail_on_unknown);
    }
    avro_put_long(to, 0);
    put_count(to, e->nmemory);
    for (size_t i = 0; i < e->nmemory; i++) {
        avro_put_string(to, e->memory[i].role);
        avro_put_string(to, e->memory[i].content);
    }
    avro_put_long(to, 0);
}

static void put_model(struct buf *to, const struct event_model_answered *e)
{
    avro_put_string(to, e->model);
    avro_put_string(to, e->model_entry);
    avro_put_string(to, e->definition);
    avro_put_optional_string(to, e->content);
    put_count(to, e->ncalls);
    for (size_t i = 0; i < e->ncalls; i++) {
        avro_put_string(to, e->calls[i].id);
        avro_put_string(to, e->calls[i].name);
        avro_put_string(to, e->calls[i].arguments);
    }
    avro_put_long(to, 0);
    avro_put_long(to, e->calls_refused);
    avro_put_long(to, (int64_t)e->finish);
    avro_put_long(to, e->prompt_tokens);
    avro_put_long(to, e->completion_tokens);
    avro_put_long(to, e->duration_ms);
    put_attempts(to, e->attempts, e->nattempts);
}

static void put_tool(struct buf *to, const struct event_tool_answered *e)
{
    avro_put_string(to, e->call_id);
    avro_put_string(to, e->name);
    avro_put_string(to, e->version);
    avro_put_string(to, e->idempotency_key);
    avro_put_long(to, (int64_t)e->outcome);
    avro_put_string(to, e->content);
    avro_put_bool(to, e->truncated);
    avro_put_long(to, e->duration_ms);
    put_attempts(to, e->attempts, e->nattempts);
}

static void put_failed(struct buf *to, const struct event_failed *e)
{
    avro_put_string(to, e->class);
    avro_put_string(to, e->code);
    avro_put_string(to, e->message);
    avro_put_string(to, e->stage);
    avro_put_bool(to, e->retryable);
    avro_put_bool(to, e->final);
    avro_put_long(to, e->attempts);
    avro_put_optional_string(to, e->output);
}

static void put_reopened(struct buf *to, const struct event_reopened *e)
{
    avro_put_string(to, e->reopen_kind);
    avro_put_long(to, e->redrives);
    put_origin(to, &e->origin);
    avro_put_string(to, e->by);
    avro_put_string(to, e->reason);
    avro_put_long(to, e->deadline_at_ms);
}

static void put_body(struct buf *to, const struct event *e)
{
    switch (e->kind) {
    case EVENT_STARTED:
        put_started(to, &e->started);
        break;
    case EVENT_MODEL_ANSWERED:
        put_model(to, &e->model);
        break;
    case EVENT_TOOL_ANSWERED:
        put_tool(to, &e->tool);
        break;
    case EVENT_COMPLETED:
        avro_put_optional_string(to, e->completed.output);
        avro_put_optional_string(to, e->completed.error);
        avro_put_bool(to, e->completed.output_cut);
        break;
    case EVENT_FAILED:
        put_failed(to, &e->failed);
        break;
    case EVENT_CANCELLED:
        avro_put_string(to, e->cancelled.by);
        avro_put_string(to, e->cancelled.reason);
        avro_put_optional_string(to, e->cancelled.output);
        break;
    case EVENT_PARKED:
        avro_put_optional_long(to, e->parked.until_ms, -1);
        avro_put_string(to, e->parked.approval);
        break;
    case EVENT_REOPENED:
        put_reopened(to, &e->reopened);
        break;
    }
}

void event_put(struct buf *to, uint32_t schema_id, const struct event *e)
{
    wire_put(to, schema_id);
    avro_put_string(to, e->task_id);
    avro_put_string(to, e->session_id);
    avro_put_string(to, e->agent);
    avro_put_long(to, e->seq);
    avro_put_long(to, e->at_us);
    avro_put_string(to, e->trace_id);
    avro_put_string(to, e->span_id);
    avro_put_long(to, (int64_t)e->kind); /* the union's branches stand in the order of enum event_kind */
    put_body(to, e);
}
