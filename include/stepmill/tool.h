/* Tools as JSON files: what they are called, where they live, what a call may do (REQUIREMENTS D1, D3, D7; schemas/tool.schema.json).
 *
 * A set never changes after tool_set_load and owns all its texts. Reads files: at start and on SIGHUP only.
 */
#ifndef STEPMILL_TOOL_H
#define STEPMILL_TOOL_H

#include "arena.h"
#include "error.h"

enum { TOOL_PROBLEMS_MAX = 20 };

enum tool_auth { TOOL_AUTH_NONE, TOOL_AUTH_API_KEY, TOOL_AUTH_BEARER };

struct tool_definition {
    struct slice name, version, description; /* terminated */
    struct slice parameters, returns;        /* JSON Schema as compact text; returns may be absent */
    const char *endpoint, *health_url;       /* http or https; health_url may be NULL */
    enum tool_auth auth;
    const char *auth_header, *auth_value; /* e.g. "Authorization", "Bearer …"; NULL without auth. Never print the value */
    int32_t rate_limit;                   /* calls per minute per agent, 0: none */
    int64_t timeout_ms;
    bool repeatable;      /* may be called again when nobody knows whether it ran */
    bool fail_on_unknown; /* on_unknown: "fail" */
    const char *file;
};

struct tool_set {
    struct arena *arena;
    struct tool_definition *tools; /* by name */
    size_t ntools;
};

struct tool_problem {
    char text[512]; /* "definitions/search.json:3:14: …" */
};
struct tool_report {
    struct tool_problem problems[TOOL_PROBLEMS_MAX];
    size_t count; /* kept */
    size_t errors;
};

/* Reads all *.json of the folder, in the order of their names. NULL when report->errors > 0. */
struct tool_set *tool_set_load(const char *folder, struct tool_report *report);
void tool_set_free(struct tool_set *set);
/* NULL: no such tool. */
const struct tool_definition *tool_set_find(const struct tool_set *set, struct slice name);

/* Appends {"params":<arguments>}. False: the arguments are not one JSON object; nothing is appended. */
bool tool_put_request(struct buf *to, struct slice arguments) __attribute__((warn_unused_result));
/* What the model is told of an answer: its body as text, UTF-8, cut at `max` bytes with a mark. In the arena; absent: out of memory. */
struct slice tool_answer_text(struct slice body, size_t max, struct arena *arena, bool *truncated);

#endif
