/* The OpenAI chat.completions API: bodies only, no sockets (DESIGN §4 "message list", DELIVERY §5 "Messages").
 *
 * The message list is raw JSON text that is only appended to: messages separated by commas, without the brackets around them. It is one API's rendering
 * of a task's events; contents and arguments are copied as bytes and escaped once. All functions are pure; any thread.
 */
#ifndef STEPMILL_OPENAI_H
#define STEPMILL_OPENAI_H

#include "arena.h"
#include "error.h"
#include "event.h"

/* Each appends one message, with a comma before it when the list is not empty. Look at `list->failed` once. An empty system prompt adds nothing. */
void openai_put_system(struct buf *list, struct slice prompt);
void openai_put_turn(struct buf *list, const struct turn *turn);
/* The prompt; before it, if any entry may be shown, "Context:" and the context as one JSON object. Keys that begin with "meta." are not shown. */
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
    struct slice extra; /* one JSON object whose members are added; absent: none. Members that are set here too are not repeated: extra's count */
};

/* The body up to the messages: {"model":…,…,"messages":[   — then come the list and openai_tail. Made once per agent and model. */
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

/* Reads a 200 answer. Strings lie in the arena, unescaped. Ids of calls that are missing or repeated become "call_<n>".
 * Errors: again model_answer_not_json (also truncated, or HTML), again model_answer_empty (no choices; no content, calls or refusal), internal. */
struct error openai_parse(struct slice body, struct arena *arena, struct openai_answer *answer) MUST_CHECK;

enum { OPENAI_MESSAGE_MAX = 300 };
/* What another status means (DELIVERY §5): again, slow_down, wait, rejected or limit; codes such as model_rate_limited, model_quota_exceeded, model_unauthorized,
 * model_not_found, context_length_exceeded, refused, model_http_500. `message`: the provider's own words, bounded, without anything that looks like a key;
 * room for OPENAI_MESSAGE_MAX + 4 bytes, always terminated. */
struct error openai_classify(int status, struct slice body, char *message);

#endif
