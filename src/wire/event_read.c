/* AgentEvent, read: the tables that say which field goes where. */
#include "avro_tables.h"
#include "stepmill/event_codec.h"

static const struct avro_take origin_rows[] = {
    TEXT(origin, "topic", topic),
    NUMBER(INT, origin, "partition", partition),
    NUMBER(LONG, origin, "offset", offset),
};
static const struct avro_record origin_reader = READER(origin, "Origin", origin_rows);

static const struct avro_take tool_rows[] = {
    TEXT(frozen_tool, "name", name),
    TEXT(frozen_tool, "version", version),
    NUMBER(BOOL, frozen_tool, "repeatable", repeatable),
    OPTIONAL_NUMBER(BOOL, frozen_tool, "fail_on_unknown", fail_on_unknown, 0),
};
static const struct avro_record tool_reader = READER(frozen_tool, "FrozenTool", tool_rows);

static const struct avro_take turn_rows[] = {
    TEXT(turn, "role", role),
    TEXT(turn, "content", content),
};
static const struct avro_record turn_reader = READER(turn, "Turn", turn_rows);

static const struct avro_take started_rows[] = {
    INNER(event_started, "origin", origin, origin_reader),
    ROW(FIXED, event_started, "input_hash", input_hash, .max = DIGEST_SIZE),
    INNER(event_started, "task", input, task_reader),
    NUMBER(INT, event_started, "max_steps", max_steps),
    NUMBER(INT, event_started, "token_budget", token_budget),
    OPTIONAL_NUMBER(INT, event_started, "redrives", redrives, 0),
    LIST(ARRAY, event_started, "tools", tools, ntools, tool_reader, EVENT_TOOLS_MAX, true),
    LIST(ARRAY, event_started, "memory", memory, nmemory, turn_reader, EVENT_TURNS_MAX, true),
};
static const struct avro_record started_reader = READER(event_started, "TaskStarted", started_rows);

static const struct avro_take call_rows[] = {
    TEXT(tool_call, "id", id),
    TEXT(tool_call, "name", name),
    TEXT(tool_call, "arguments", arguments),
};
static const struct avro_record call_reader = READER(tool_call, "ToolCall", call_rows);

static const struct avro_take attempt_rows[] = {
    TEXT(attempt, "target", target),
    TEXT(attempt, "error", error),
    OPTIONAL_NUMBER(LONG, attempt, "tokens", tokens, 0),
    OPTIONAL_NUMBER(LONG, attempt, "duration_ms", duration_ms, 0),
};
static const struct avro_record attempt_reader = READER(attempt, "Attempt", attempt_rows);

static const char *const finish_symbols[] = {"stop", "length", "tool_calls", "content_filter", "refusal", "other", NULL};

static const struct avro_take model_rows[] = {
    TEXT(event_model_answered, "model", model),
    OPTIONAL_TEXT(event_model_answered, "model_entry", model_entry),
    OPTIONAL_TEXT(event_model_answered, "definition", definition),
    NULLABLE_TEXT(event_model_answered, "content", content),
    LIST(ARRAY, event_model_answered, "tool_calls", calls, ncalls, call_reader, EVENT_TOOL_CALLS_MAX, true),
    OPTIONAL_NUMBER(INT, event_model_answered, "tool_calls_refused", calls_refused, 0),
    ROW(ENUM, event_model_answered, "finish_reason", finish, .symbols = finish_symbols, .optional = true, .none = FINISH_OTHER),
    NUMBER(LONG, event_model_answered, "prompt_tokens", prompt_tokens),
    NUMBER(LONG, event_model_answered, "completion_tokens", completion_tokens),
    OPTIONAL_NUMBER(LONG, event_model_answered, "duration_ms", duration_ms, 0),
    LIST(ARRAY, event_model_answered, "attempts", attempts, nattempts, attempt_reader, EVENT_ATTEMPTS_MAX, true),
};
static const struct avro_record model_reader = READER(event_model_answered, "ModelAnswered", model_rows);

static const char *const outcome_symbols[] = {"ok", "error", "refused", "unknown", NULL};

static const struct avro_take answer_rows[] = {
    TEXT(event_tool_answered, "call_id", call_id),
    TEXT(event_tool_answered, "name", name),
    OPTIONAL_TEXT(event_tool_answered, "version", version),
    OPTIONAL_TEXT(event_tool_answered, "idempotency_key", idempotency_key),
    ROW(ENUM, event_tool_answered, "outcome", outcome, .symbols = outcome_symbols, .optional = true, .none = TOOL_UNKNOWN),
    TEXT(event_tool_answered, "content", content),
    OPTIONAL_NUMBER(BOOL, event_tool_answered, "truncated", truncated, 0),
    OPTIONAL_NUMBER(LONG, event_tool_answered, "duration_ms", duration_ms, 0),
    LIST(ARRAY, event_tool_answered, "attempts", attempts, nattempts, attempt_reader, EVENT_ATTEMPTS_MAX, true),
};
static const struct avro_record answer_reader = READER(event_tool_answered, "ToolAnswered", answer_rows);

static const struct avro_take completed_rows[] = {
    NULLABLE_TEXT(event_completed, "output", output),
    NULLABLE_TEXT(event_completed, "error", error),
    OPTIONAL_NUMBER(BOOL, event_completed, "output_cut", output_cut, 0),
};
static const struct avro_record completed_reader = READER(event_completed, "TaskCompleted", completed_rows);

static const struct avro_take failed_rows[] = {
    TEXT(event_failed, "class", class),
    TEXT(event_failed, "code", code),
    OPTIONAL_TEXT(event_failed, "message", message),
    OPTIONAL_TEXT(event_failed, "stage", stage),
    OPTIONAL_NUMBER(BOOL, event_failed, "retryable", retryable, 0),
    OPTIONAL_NUMBER(BOOL, event_failed, "final", final, 1),
    OPTIONAL_NUMBER(INT, event_failed, "attempts", attempts, 0),
    NULLABLE_TEXT(event_failed, "output", output),
};
static const struct avro_record failed_reader = READER(event_failed, "TaskFailed", failed_rows);

static const struct avro_take cancelled_rows[] = {
    OPTIONAL_TEXT(event_cancelled, "by", by),
    OPTIONAL_TEXT(event_cancelled, "reason", reason),
    NULLABLE_TEXT(event_cancelled, "output", output),
};
static const struct avro_record cancelled_reader = READER(event_cancelled, "TaskCancelled", cancelled_rows);

static const struct avro_take parked_rows[] = {
    NULLABLE_NUMBER(MILLIS, event_parked, "until", until_ms, -1),
    OPTIONAL_TEXT(event_parked, "approval", approval),
};
static const struct avro_record parked_reader = READER(event_parked, "TaskParked", parked_rows);

static const struct avro_take reopened_rows[] = {
    TEXT(event_reopened, "kind", reopen_kind),
    OPTIONAL_NUMBER(INT, event_reopened, "redrives", redrives, 0),
    INNER(event_reopened, "origin", origin, origin_reader),
    OPTIONAL_TEXT(event_reopened, "by", by),
    OPTIONAL_TEXT(event_reopened, "reason", reason),
    NUMBER(MILLIS, event_reopened, "deadline_at", deadline_at_ms),
};
static const struct avro_record reopened_reader = READER(event_reopened, "TaskReopened", reopened_rows);

/* In the order of enum event_kind. All bodies begin at the same place: that of the union. */
static const struct avro_record *const bodies[] = {
    &started_reader, &model_reader,    &answer_reader, &completed_reader, &failed_reader, &cancelled_reader,
    &parked_reader,  &reopened_reader, NULL,
};

static const struct avro_take event_rows[] = {
    TEXT(event, "task_id", task_id),
    TEXT(event, "session_id", session_id),
    TEXT(event, "agent", agent),
    NUMBER(INT, event, "seq", seq),
    NUMBER(MICROS, event, "at", at_us),
    OPTIONAL_TEXT(event, "trace_id", trace_id),
    OPTIONAL_TEXT(event, "span_id", span_id),
    ROW(ONE_OF, event, "body", started, .count = offsetof(struct event, kind), .branches = bodies),
};
const struct avro_record event_reader = READER(event, "AgentEvent", event_rows);

struct error event_read(const struct avro_plan *plan, struct slice avro, struct arena *arena, struct event *event,
                        struct detail *detail)
{
    struct error error = avro_plan_decode(plan, avro, arena, event, detail);

    if (!failed(error) && event->kind == EVENT_STARTED)
        task_normalise(&event->started.input);
    if (failed(error) && !strcmp(error.code, "unknown_branch"))
        return error_make(CLASS_WAIT, "newer_version",
                          "The event is of a kind that only a newer version knows: upgrade this process.");
    return error;
}
