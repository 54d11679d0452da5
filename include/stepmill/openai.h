/* The OpenAI chat.completions API: bodies only, no sockets (DESIGN §4 "message list", DELIVERY §5 "Messages").
 *
 * The message list is raw JSON text that is only appended to: messages separated by commas, without the brackets around them. It
 * is one API's rendering of a task's events; contents and arguments are copied as bytes and escaped once. What servers would
 * refuse to read back is the exception: a function name outside [a-zA-Z0-9_-]{1,64} gets '_' in place of the characters, and
 * arguments that are not a JSON object are sent as {"invalid_arguments":"…"} (vLLM and llama.cpp parse them again and would
 * refuse the whole task). The events keep what the model wrote. All functions are pure; any thread.
 */
#ifndef STEPMILL_OPENAI_H
#define STEPMILL_OPENAI_H

#include "arena.h"
#include "error.h"
#include "event.h"

/* Each appends one message, with a comma before it unless it is the first: the list is empty, or ends with the '[' of
 * openai_put_head. Look at `list->failed` once. An empty system prompt adds nothing. */
void openai_put_system(struct buf *list, struct slice prompt);
void openai_put_turn(struct buf *list, const struct turn *turn);
/* The prompt; before it, if any entry may be shown, "Context:" and the context as one JSON object in the order given (a task's is
 * sorted by key). Keys that begin with "meta." are not shown. */
void openai_put_user(struct buf *list, struct slice prompt, const struct context_entry *context, size_t ncontext);
void openai_put_assistant(struct buf *list, const struct event_model_answered *answer);
void openai_put_tool(struct buf *list, const struct event_tool_answered *answer);

/* What a tool looks like to the model. */
struct openai_tool {
    struct slice name, description;
    struct slice parameters; /* JSON Schema object, as text; absent: no parameters */
};

struct openai_request {
    struct slice model;
    const struct openai_tool *tools;
    size_t ntools; /* 0: no "tools" member */
    bool has_temperature, has_seed, has_max_tokens;
    double temperature;
    int64_t seed;
    int32_t max_tokens;
    /* One JSON object whose members are added; absent: none. Members that are set here too are not repeated: extra's count. Its
     * "messages" and "stream" are left out: both are ours. With "max_completion_tokens" in it, max_tokens is not sent (OpenAI
     * takes one of them). */
    struct slice extra;
};

/* The body up to the messages: {"stream":false,"model":…,…,"messages":[   — then come the list and openai_tail. Made once per
 * agent and model. */
void openai_put_head(struct buf *to, const struct openai_request *request);
#define OPENAI_TAIL SLICE("]}")
/* The parts before the messages, for the definition's digest: system prompt and tools, unambiguous. */
void openai_put_definition(struct buf *to, struct slice system_prompt, const struct openai_tool *tools, size_t ntools);

struct openai_answer {
    struct slice model;   /* as answered; absent if it does not say */
    struct slice content; /* absent: null */
    const struct tool_call *calls;
    size_t ncalls;         /* <= EVENT_TOOL_CALLS_MAX */
    int32_t calls_refused; /* asked for beyond that */
    enum finish_reason finish;
    bool has_usage;
    int64_t prompt_tokens, completion_tokens; /* 0 without usage */
};

/* Reads a 200 answer. Strings lie in the arena, unescaped and terminated. Of equal keys the last counts, of several choices the
 * first.
 *
 * Understood beyond OpenAI's own form: content as an array of parts; arguments as a JSON value instead of a string (taken as
 * written); arguments null, missing or blank (become "{}"); tool_calls null or empty; the old function_call; a finish_reason that
 * says "stop" beside tool calls (FINISH_TOOL_CALLS), or speaks another API's words (end_turn, max_tokens, tool_use). Ids of calls
 * that are missing or repeated become "call_<n>". A refusal is FINISH_REFUSAL, with its text as the content. Usage is taken when
 * prompt and completion tokens, or one of them and the total, are there.
 *
 * Errors: again model_answer_not_json (also truncated, or HTML); again model_answer_empty (no choices; or no text, calls or
 * refusal although the answer was not cut by length or content filter); an {"error":…} under status 200, by its code as
 * openai_classify says, else again model_answer_error; internal out_of_memory (also: the arena's ceiling). */
struct error openai_parse(struct slice body, struct arena *arena, struct openai_answer *answer) MUST_CHECK;

enum { OPENAI_MESSAGE_MAX = 300 };
/* What another status means (DELIVERY §5). `body` may be anything; what its error's code, type and message say goes before the
 * status:
 *
 *     limit      refused                    the provider's content filter stopped the request
 *     rejected   context_length_exceeded    the messages are longer than the model takes
 *                model_request_too_large    413
 *                model_request_rejected     400, 422, other 4xx
 *     wait       model_unauthorized         401, 407, or a 400 that says the key is wrong
 *                model_quota_exceeded       402, or 429 with insufficient_quota: somebody must pay
 *                model_forbidden            403
 *                model_not_found            404, 405, 410
 *                model_redirected           3xx: the URL is wrong
 *     slow_down  model_rate_limited 429, model_overloaded 529
 *     again      model_http_408 …           408, 409, 425, 5xx; model_http_unexpected: any other
 *
 * `message`: the provider's own words, one line, without anything that looks like a key; room for OPENAI_MESSAGE_MAX + 4 bytes,
 * always terminated, empty when it said nothing. NULL: not wanted. */
struct error openai_classify(int status, struct slice body, char *message);

#endif
