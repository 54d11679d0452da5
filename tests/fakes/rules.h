/* Rules: what to answer to which call. From the script, set at run time, or made from an outage switch. README.md is their
 * manual. */
#ifndef FAKES_RULES_H
#define FAKES_RULES_H

#include <jansson.h>
#include <regex.h>

#include "duration.h"
#include "fault.h"

enum rule_scope { PER_TASK, PER_KEY, PER_ALL };

/* What a call must look like; NULL or < 0: does not matter. */
struct rule_match {
    char *model, *tool, *user, *system, *tool_result, *header_name, *header_value;
    bool has_regex;
    regex_t regex; /* of the last user message, POSIX extended */
    int64_t step, tool_messages;
    json_t *params; /* each member must be there and equal */
};

struct rule_call {
    char *name, *arguments;
};

/* What to answer. */
struct rule_answer {
    bool given;
    char *content;
    struct rule_call *calls;
    size_t ncalls;
    int64_t size; /* < 0: the content says it */
    char finish[32];
    int64_t prompt_tokens, completion_tokens;
    char *body; /* of a tool: JSON text */
    int status;
};

struct rule {
    struct rule *next;
    char *name;
    unsigned version; /* tells the counters of one setting from those of the next; the caller's */
    bool on_tool;
    struct rule_match match;
    struct rule_answer answer;
    struct fault fault;
    struct duration latency; /* from < 0: the usual one */
    bool idempotent;         /* tool: a key has one effect */
    int64_t times;           /* 0: always */
    enum rule_scope per;
    double chance;
    int64_t until_us; /* monotonic; 0: for ever */
};

/* Reads {"rules": [...]} in order. NULL and `why` filled when it is wrong. No rules: an empty list, also NULL, with `why` empty.
 */
struct rule *rules_read(struct span json, struct text *why);

/* Reads outages: {"model": FAULT, "model:NAME": FAULT, "tool": FAULT, "tool:NAME": FAULT}; "until_us" in them is ours. */
struct rule *outages_read(struct span json, struct text *why);
void rules_free(struct rule *rules);

#endif
