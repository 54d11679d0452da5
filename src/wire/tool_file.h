/* Reading one tool file: where we are in it, and how a problem is reported. */
#ifndef STEPMILL_WIRE_TOOL_FILE_H
#define STEPMILL_WIRE_TOOL_FILE_H

#include "stepmill/json.h"
#include "stepmill/tool.h"

struct tool_file {
    const char *path; /* as shown in problems */
    const char *folder;
    struct slice text;
    struct arena *arena;
    struct tool_report *report;
    struct tool_definition definition;
    size_t name_offset; /* of the member "name", for a name that another file has too */
    struct json auth;   /* on the first token of the member "auth"; JSON_TOKEN_END: there is none */
};

/* Fills file->definition from file->text. What is wrong is in the report; its strings lie in the arena. */
void tool_file_read(struct tool_file *file);
/* After the members are read: auth_type and auth together. */
void tool_file_read_auth(struct tool_file *file);

/* "path:line:column: …" for the byte at `offset`. */
__attribute__((format(printf, 4, 5))) void tool_file_problem(struct tool_file *file, bool warning, size_t offset,
                                                             const char *format, ...);
/* The present string, unescaped in the arena; NULL, reported, when it is not a string of min to max bytes of printable text. */
const char *tool_file_string(struct tool_file *file, const struct json *j, const char *name, size_t min, size_t max);
/* The same with ${NAME} replaced. `secret`: plain text is worth a warning. */
const char *tool_file_expanded(struct tool_file *file, const struct json *j, const char *name, size_t max, bool secret);

#endif
