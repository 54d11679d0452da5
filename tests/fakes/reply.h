/* What the model says, and its rendering as a chat.completion (or, for stream:true, as its chunks). */
#ifndef FAKES_REPLY_H
#define FAKES_REPLY_H

#include "text.h"

enum { REPLY_CALLS_MAX = 256 };
enum reply_ids { IDS_UNIQUE, IDS_SAME, IDS_NONE };

/* Start from reply_new; free with reply_free. */
struct reply {
    struct text content; /* empty beside tool calls: null */
    struct text calls;   /* the elements of tool_calls, rendered */
    size_t ncalls;
    char finish[32];                          /* empty: tool_calls or stop */
    int64_t prompt_tokens, completion_tokens; /* < 0: a quarter of the bytes */
    bool no_usage, no_choices, refusal;       /* refusal: the content goes to message.refusal */
    enum reply_ids ids;
    uint64_t seed; /* all ids are made from it: the same request gets the same ids */
};

struct reply reply_new(uint64_t seed);
void reply_free(struct reply *r);

/* Adds a tool call; `arguments` is sent as it is, JSON or not. Calls above REPLY_CALLS_MAX are left out. */
void reply_call(struct reply *r, struct span name, struct span arguments);

/* Appends the body. `model` is raw inside of a JSON string; `request_bytes` is the size of the messages. */
void reply_render(struct text *out, const struct reply *r, struct span model, size_t request_bytes, bool stream);

#endif
