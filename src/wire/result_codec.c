/* AgentTaskResult, written and read. */
#include "stepmill/result_codec.h"

#include "avro_tables.h"
#include "stepmill/avro_put.h"
#include "stepmill/wire_format.h"

static const struct avro_take result_rows[] = {
    TEXT(task_result, "task_id", task_id),
    TEXT(task_result, "session_id", session_id),
    TEXT(task_result, "agent", agent),
    TEXT(task_result, "status", status),
    NULLABLE_TEXT(task_result, "output", output),
    NULLABLE_TEXT(task_result, "error", error),
    OPTIONAL_NUMBER(INT, task_result, "steps_used", steps_used, 0),
    OPTIONAL_NUMBER(LONG, task_result, "tokens_used", tokens_used, 0),
    OPTIONAL_NUMBER(LONG, task_result, "prompt_tokens", prompt_tokens, 0),
    OPTIONAL_NUMBER(LONG, task_result, "completion_tokens", completion_tokens, 0),
    OPTIONAL_NUMBER(INT, task_result, "tool_calls", tool_calls, 0),
    OPTIONAL_TEXT(task_result, "model", model),
    OPTIONAL_NUMBER(LONG, task_result, "duration_ms", duration_ms, 0),
    NUMBER(MILLIS, task_result, "finished_at", finished_at_ms),
    OPTIONAL_NUMBER(INT, task_result, "redrives", redrives, 0),
    OPTIONAL_NUMBER(BOOL, task_result, "final", final, 1),
    OPTIONAL_TEXT(task_result, "history", history),
    LIST(MAP, task_result, "metadata", metadata, nmetadata, context_entry_reader, EVENT_CONTEXT_MAX, true),
};
const struct avro_record result_reader = READER(task_result, "AgentTaskResult", result_rows);

void result_put(struct buf *to, uint32_t schema_id, const struct task_result *r)
{
    wire_put(to, schema_id);
    avro_put_string(to, r->task_id);
    avro_put_string(to, r->session_id);
    avro_put_string(to, r->agent);
    avro_put_string(to, r->status);
    avro_put_optional_string(to, r->output);
    avro_put_optional_string(to, r->error);
    avro_put_long(to, r->steps_used);
    avro_put_long(to, r->tokens_used);
    avro_put_long(to, r->prompt_tokens);
    avro_put_long(to, r->completion_tokens);
    avro_put_long(to, r->tool_calls);
    avro_put_string(to, r->model);
    avro_put_long(to, r->duration_ms);
    avro_put_long(to, r->finished_at_ms);
    avro_put_long(to, r->redrives);
    avro_put_bool(to, r->final);
    avro_put_string(to, r->history);
    context_put(to, r->metadata, r->nmetadata);
}

struct error result_read(const struct avro_plan *plan, struct slice avro, struct arena *arena, struct task_result *result,
                         struct detail *detail)
{
    return avro_plan_decode(plan, avro, arena, result, detail);
}
