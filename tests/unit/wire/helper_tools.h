/* A scratch folder of tool files. */
#ifndef STEPMILL_TEST_HELPER_TOOLS_H
#define STEPMILL_TEST_HELPER_TOOLS_H

#include "stepmill/tool.h"

struct tool_folder {
    char path[64];
};

struct tool_folder tool_folder_new(void);
void tool_folder_put(const struct tool_folder *folder, const char *name, struct slice content);
void tool_folder_free(struct tool_folder *folder);

/* Loads a folder that holds this one file, tool.json. */
struct tool_set *load_tool(struct slice content, struct tool_report *report);

#endif
