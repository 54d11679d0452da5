/* The folder of tool files. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tool_file.h"

enum { SET_MEMORY_MAX = 64 << 20, FILES_MAX = 4096 };

struct listing {
    char **names;
    size_t count;
};

/* What concerns the folder, or a file that can't be read. */
static void refuse(struct tool_report *report, const char *path, const char *what, const char *why)
{
    report->errors++;
    if (report->count < TOOL_PROBLEMS_MAX)
        snprintf(report->problems[report->count++].text, sizeof report->problems->text, "%s: %s%s%s", path, what,
                 *why ? ": " : "", why);
}

static bool is_tool_file(const char *name)
{
    size_t n = strlen(name);

    return name[0] != '.' && n > 5 && !strcmp(name + n - 5, ".json");
}

static int by_text(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static void listing_free(struct listing *l)
{
    for (size_t i = 0; i < l->count; i++)
        free(l->names[i]);
    free(l->names);
}

static bool list_folder(const char *folder, struct tool_report *report, struct listing *l)
{
    DIR *dir = opendir(folder);
    const struct dirent *entry;

    *l = (struct listing){.names = dir ? calloc(FILES_MAX, sizeof *l->names) : NULL};
    if (!dir || !l->names)
        refuse(report, folder, "the folder of tool files can't be read", strerror(errno));
    while (l->names && (entry = readdir(dir))) {
        if (!is_tool_file(entry->d_name))
            continue;
        if (l->count == FILES_MAX || !(l->names[l->count] = strdup(entry->d_name))) {
            refuse(report, folder, "too many tool files", "");
            break;
        }
        l->count++;
    }
    if (dir)
        closedir(dir);
    if (l->count)
        qsort(l->names, l->count, sizeof *l->names, by_text);
    return !report->errors;
}

/* The whole file into `to`. */
static bool read_file(const char *path, struct buf *to, struct tool_report *report)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = -1;

    if (fd < 0) {
        refuse(report, path, "the file can't be read", strerror(errno));
        return false;
    }
    for (;;) {
        char *at = buf_reserve(to, 4096);

        got = at ? read(fd, at, 4096) : -2;
        if (got <= 0)
            break;
        to->len += (size_t)got;
    }
    if (got < 0)
        refuse(report, path,
               got != -2       ? "the file can't be read"
               : to->no_memory ? "no memory left for the file"
                               : "the file is larger than 256 KiB",
               got == -2 ? "" : strerror(errno));
    close(fd);
    return got == 0;
}

static void add_tool(struct tool_set *set, struct tool_file *f)
{
    const struct tool_definition *other = f->definition.name.at ? tool_set_find(set, f->definition.name) : NULL;

    if (other)
        tool_file_problem(f, false, f->name_offset, "the name \"%.*s\" is already taken by %s", SLICE_FMT(f->definition.name),
                          other->file);
    set->tools[set->ntools++] = f->definition;
}

static void load_file(struct tool_set *set, const char *folder, const char *name, struct tool_report *report)
{
    struct buf text = BUF(TOOL_FILE_MAX + 4096), path = BUF(8192);
    struct tool_file f = {.folder = folder, .arena = set->arena, .report = report};

    buf_printf(&path, "%s/%s", folder, name);
    f.path = arena_copy(set->arena, buf_slice(&path)).at;
    if (path.failed || !f.path) {
        refuse(report, folder, "no room for the path of a tool file", name);
    } else if (read_file(f.path, &text, report)) {
        f.text = buf_slice(&text);
        tool_file_read(&f);
        add_tool(set, &f);
    }
    buf_free(&path);
    buf_free(&text);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct tool_definition *)a)->name.at, ((const struct tool_definition *)b)->name.at);
}

struct tool_set *tool_set_load(const char *folder, struct tool_report *report)
{
    struct tool_set *set = calloc(1, sizeof *set);
    struct listing list = {NULL, 0};

    *report = (struct tool_report){.count = 0};
    if (set)
        set->arena = arena_new(SET_MEMORY_MAX);
    if (!set || !set->arena) {
        refuse(report, folder, "no memory left", "");
    } else if (list_folder(folder, report, &list)) {
        set->tools = arena_alloc(set->arena, (list.count + 1) * sizeof *set->tools);
        if (!set->tools)
            refuse(report, folder, "no memory left", "");
        for (size_t i = 0; set->tools && i < list.count; i++)
            load_file(set, folder, list.names[i], report);
        if (arena_failed(set->arena)) /* a tool may lack its key now, or its parameters */
            refuse(report, folder,
                   arena_is_full(set->arena) ? "the tool files together are too large" : "no memory left for the tool files", "");
    }
    listing_free(&list);
    if (report->errors) {
        tool_set_free(set);
        return NULL;
    }
    qsort(set->tools, set->ntools, sizeof *set->tools, by_name);
    return set;
}

void tool_set_free(struct tool_set *set)
{
    if (!set)
        return;
    arena_free(set->arena);
    free(set);
}

const struct tool_definition *tool_set_find(const struct tool_set *set, struct slice name)
{
    for (size_t i = 0; i < set->ntools; i++)
        if (set->tools[i].name.at && slice_equal(set->tools[i].name, name))
            return &set->tools[i];
    return NULL;
}
