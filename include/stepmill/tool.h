/* Tools as JSON files: what they are called, where they live, what a call may do (REQUIREMENTS D1, D3, D7;
 * schemas/tool.schema.json describes the file for editors).
 *
 * One file, one tool. Unknown and repeated members, wrong types and values out of range are refused with file, line, column and
 * what to write instead. ${NAME} of the environment is understood in endpoint, health_url and auth.value; auth.value_file is
 * relative to the tool's file. auth: {"header":"X-API-Key","value":"${KEY}"}; with bearer the header is Authorization and the
 * value the bare token.
 *
 * A set never changes after tool_set_load and owns all its texts. Reads files: at start and on SIGHUP only.
 */
#ifndef STEPMILL_TOOL_H
#define STEPMILL_TOOL_H

#include "arena.h"
#include "error.h"

enum {
    TOOL_PROBLEMS_MAX = 20,
    TOOL_NAME_MAX = 64,         /* [a-zA-Z0-9_-]: what models take as a function's name */
    TOOL_FILE_MAX = 256 * 1024, /* bytes of one file */
};

enum tool_auth { TOOL_AUTH_NONE, TOOL_AUTH_API_KEY, TOOL_AUTH_BEARER };

struct tool_definition {
    struct slice name, version, description; /* terminated */
    struct slice parameters, returns;        /* JSON Schema as compact text; returns may be absent */
    const char *endpoint, *health_url;       /* http or https; health_url may be NULL */
    enum tool_auth auth;
    const char *auth_header, *auth_value; /* e.g. "Authorization", "Bearer …"; NULL without auth. Never print the value */
    int32_t rate_limit;                   /* calls per minute per agent, of each worker process; more wait (rate.h). 0: none */
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
    bool warning;   /* a secret in plain text: does not stop the load */
    char text[512]; /* "definitions/search.json:3:14: …"; never a secret */
};
struct tool_report {
    struct tool_problem problems[TOOL_PROBLEMS_MAX];
    size_t count;  /* of problems[] */
    size_t errors; /* seen, kept or not */
};

/* Reads all *.json of the folder (hidden ones are left out), in the order of their names; two with one tool name are refused. A
 * folder without any is an empty set. NULL when report->errors > 0. */
struct tool_set *tool_set_load(const char *folder, struct tool_report *report);
void tool_set_free(struct tool_set *set);
/* NULL: no such tool. */
const struct tool_definition *tool_set_find(const struct tool_set *set, struct slice name);

/* Appends {"params":<arguments>}; arguments that are empty or blank are {}. False: they are not one JSON object, or `to` is full;
 * nothing is appended. */
bool tool_put_request(struct buf *to, struct slice arguments) __attribute__((warn_unused_result));
/* What the model is told of an answer: its body as text. Bytes that are not UTF-8 become U+FFFD; what is longer than `max` bytes
 * is cut, and the last line says so. In the arena; absent: out of memory. */
struct slice tool_answer_text(struct slice body, size_t max, struct arena *arena, bool *truncated);

#endif
