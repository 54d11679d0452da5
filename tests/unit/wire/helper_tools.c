/* A scratch folder of tool files. */
#include "helper_tools.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void path_of(const struct tool_folder *folder, const char *name, char path[400])
{
    snprintf(path, 400, "%s/%s", folder->path, name);
}

struct tool_folder tool_folder_new(void)
{
    struct tool_folder folder = {"/tmp/stepmill-tools-XXXXXX"};

    if (!mkdtemp(folder.path))
        bug("no scratch folder");
    return folder;
}

void tool_folder_put(const struct tool_folder *folder, const char *name, struct slice content)
{
    char path[400];
    FILE *file;

    path_of(folder, name, path);
    file = fopen(path, "w");
    if (!file || fwrite(content.at ? content.at : "", 1, content.len, file) != content.len || fclose(file) != 0)
        bug("can't write %s", path);
}

void tool_folder_free(struct tool_folder *folder)
{
    DIR *dir = opendir(folder->path);
    const struct dirent *entry;

    while (dir && (entry = readdir(dir))) {
        char path[400];

        path_of(folder, entry->d_name, path);
        (void)unlink(path);
    }
    if (dir)
        closedir(dir);
    rmdir(folder->path);
}

struct tool_set *load_tool(struct slice content, struct tool_report *report)
{
    struct tool_folder folder = tool_folder_new();
    struct tool_set *set;

    tool_folder_put(&folder, "tool.json", content);
    set = tool_set_load(folder.path, report);
    tool_folder_free(&folder);
    return set;
}
