/* Problems with their place in the file, and its strings. */
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "stepmill/secret.h"
#include "tool_file.h"

void tool_file_problem(struct tool_file *file, bool warning, size_t offset, const char *format, ...)
{
    struct tool_report *r = file->report;
    int line = 1, column = 1, n;
    struct tool_problem *p;
    va_list args;

    r->errors += !warning;
    if (r->count == TOOL_PROBLEMS_MAX)
        return;
    p = &r->problems[r->count++];
    for (size_t i = 0; i < offset && i < file->text.len; i++) {
        line += file->text.at[i] == '\n';
        column = file->text.at[i] == '\n' ? 1 : column + 1;
    }
    p->warning = warning;
    n = snprintf(p->text, sizeof p->text, "%s:%d:%d: %s", file->path, line, column, warning ? "warning: " : "");
    if (n < 0 || (size_t)n >= sizeof p->text)
        return;
    va_start(args, format);
    vsnprintf(p->text + n, sizeof p->text - (size_t)n, format, args);
    va_end(args);
}

const char *tool_file_string(struct tool_file *file, const struct json *j, const char *name, size_t min, size_t max)
{
    char *at;
    size_t n;

    if (j->token != JSON_TOKEN_STRING) {
        tool_file_problem(file, false, json_offset(j), "\"%s\" must be a string", name);
        return NULL;
    }
    at = arena_alloc(file->arena, j->raw.len + 1);
    if (!at) {
        tool_file_problem(file, false, json_offset(j), "the tool files together are too large");
        return NULL;
    }
    n = json_unescape_raw(j->raw, at);
    if (n >= min && n <= max)
        return at;
    if (n < min)
        tool_file_problem(file, false, json_offset(j), "\"%s\" must not be empty", name);
    else
        tool_file_problem(file, false, json_offset(j), "\"%s\" has %zu bytes, at most %zu are allowed", name, n, max);
    return NULL;
}

const char *tool_file_expanded(struct tool_file *file, const struct json *j, const char *name, size_t max, bool secret)
{
    const char *text = tool_file_string(file, j, name, 1, max);
    struct buf value = BUF(2 * SECRET_MAX);
    struct secret_use use = {0};
    struct slice copy = {NULL, 0};
    struct error e;

    if (!text)
        return NULL;
    e = secret_expand(slice_of(text), environ, &value, &use);
    if (failed(e))
        tool_file_problem(file, false, json_offset(j), "\"%s\": %s%s%s", name, e.text, use.missing[0] ? ": " : "", use.missing);
    else if (secret && !use.references)
        tool_file_problem(file, true, json_offset(j),
                          "\"%s\" is a secret in plain text: write \"${NAME}\" and set that variable, or use \"value_file\"",
                          name);
    if (!failed(e) && value.len > max)
        tool_file_problem(file, false, json_offset(j),
                          "\"%s\" has %zu bytes once its variables are put in, at most %zu are allowed", name, value.len, max);
    else if (!failed(e) && !value.len)
        tool_file_problem(file, false, json_offset(j), "\"%s\" is empty once its variables are put in", name);
    else if (!failed(e))
        copy = arena_copy(file->arena, buf_slice(&value));
    buf_free(&value);
    return copy.at;
}
