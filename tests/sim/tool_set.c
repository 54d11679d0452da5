/* The tools of the simulated agent, in place of the folder of files that include/stepmill/tool.h reads. */
#include "stepmill/tool.h"

#include "model_script.h"

enum { TOOL_TIMEOUT_MS = 10 * 1000 };

static struct tool_definition tools[SCRIPT_TOOLS] = {
    [SCRIPT_LOOK] = {.name = {"look", 4}, .endpoint = "http://tool-look", .repeatable = true},
    [SCRIPT_PAY] = {.name = {"pay", 3}, .endpoint = "http://tool-pay"},
    [SCRIPT_BOOK] = {.name = {"book", 4}, .endpoint = "http://tool-book", .fail_on_unknown = true},
};
static struct tool_set set = {.tools = tools, .ntools = SCRIPT_TOOLS};

struct tool_set *tool_set_load(const char *folder, struct tool_report *report)
{
    (void)folder, (void)report;
    for (size_t i = 0; i < SCRIPT_TOOLS; i++) {
        tools[i].version = SLICE("1");
        tools[i].description = SLICE("a tool");
        tools[i].parameters = SLICE("{\"type\":\"object\"}");
        tools[i].timeout_ms = TOOL_TIMEOUT_MS;
        tools[i].file = "tool.json";
    }
    return &set;
}

void tool_set_free(struct tool_set *s) { (void)s; }

const struct tool_definition *tool_set_find(const struct tool_set *s, struct slice name)
{
    for (size_t i = 0; i < s->ntools; i++)
        if (slice_equal(s->tools[i].name, name))
            return &s->tools[i];
    return NULL;
}
