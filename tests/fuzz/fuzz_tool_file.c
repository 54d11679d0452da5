/* Fuzzes tool files: any text ends in a definition whose every part can be used, or in problems that say where.
 */
#include <jansson.h>

#include "fuzz_input.h"
#include "tool_file.h"

static void check_definition(const struct tool_definition *t)
{
    if (!t->name.len || t->name.len > TOOL_NAME_MAX || !t->version.len || !t->description.len)
        bug("a tool without name, version or description");
    if (!json_valid_object(t->parameters) || (t->returns.at && !json_valid(t->returns)))
        bug("a schema that is no JSON: %.*s", SLICE_FMT(t->parameters));
    if (!t->endpoint || (strncmp(t->endpoint, "http://", 7) != 0 && strncmp(t->endpoint, "https://", 8) != 0))
        bug("an endpoint that nobody can call");
    if (t->auth != TOOL_AUTH_NONE &&
        (!t->auth_header || !t->auth_value || strpbrk(t->auth_header, "\r\n: ") || strpbrk(t->auth_value, "\r\n")))
        bug("a header that would break the request");
    if (t->timeout_ms <= 0 || t->rate_limit < 0)
        bug("limits below zero");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = fuzz_begin(data, size);
    static struct tool_report report;
    struct tool_file f = {.path = "tool.json", .folder = "/nonexistent", .arena = arena_new(4 << 20), .report = &report};

    report = (struct tool_report){.count = 0};
    f.text = fuzz_rest(&in);
    if (f.arena && !memmem(data, size, "value_file", 10)) { /* no file of this machine is read */
        tool_file_read(&f);
        if (!report.errors)
            check_definition(&f.definition);
        for (size_t i = 0; i < report.count; i++)
            if (strncmp(report.problems[i].text, "tool.json:", 10) != 0)
                bug("a problem without a place: %s", report.problems[i].text);
    }
    arena_free(f.arena);
    fuzz_end(&in);
    return 0;
}
