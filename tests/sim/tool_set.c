/* The tools of the simulated agent, in place of the folder of files that include/stepmill/tool.h reads. */
#include "stepmill/tool.h"

#include "model_script.h"
#include "world.h"

enum { TOOL_TIMEOUT_MS = 10 * 1000 };

/* Somebody edits the files: then some workers have the second ones, where everything may be repeated. */
static struct tool_definition tools[2][SCRIPT_TOOLS] = {
    {[SCRIPT_LOOK] = {.name = {"look", 4}, .endpoint = "http://tool-look", .repeatable = true},
     [SCRIPT_PAY] = {.name = {"pay", 3}, .endpoint = "http://tool-pay"},
     [SCRIPT_BOOK] = {.name = {"book", 4}, .endpoint = "http://tool-book", .fail_on_unknown = true}},
    {[SCRIPT_LOOK] = {.name = {"look", 4}, .endpoint = "http://tool-look", .repeatable = true},
     [SCRIPT_PAY] = {.name = {"pay", 3}, .endpoint = "http://tool-pay", .repeatable = true},
     [SCRIPT_BOOK] = {.name = {"book", 4}, .endpoint = "http://tool-book", .repeatable = true}},
};
static struct tool_set sets[2] = {{.tools = tools[0], .ntools = SCRIPT_TOOLS}, {.tools = tools[1], .ntools = SCRIPT_TOOLS}};

struct tool_set *tool_set_load(const char *folder, struct tool_report *report)
{
    size_t edition = world_mood() == WORLD_CHANGING ? sim_below(2) : 0;

    (void)folder, (void)report;
    for (size_t i = 0; i < SCRIPT_TOOLS; i++) {
        struct tool_definition *t = &tools[edition][i];

        t->version = SLICE("1");
        t->description = SLICE("a tool");
        t->parameters = SLICE("{\"type\":\"object\"}");
        t->timeout_ms = TOOL_TIMEOUT_MS;
        t->file = "tool.json";
    }
    return &sets[edition];
}

void tool_set_free(struct tool_set *s) { (void)s; }

const struct tool_definition *tool_set_find(const struct tool_set *s, struct slice name)
{
    for (size_t i = 0; i < s->ntools; i++)
        if (slice_equal(s->tools[i].name, name))
            return &s->tools[i];
    return NULL;
}
