/* Files that are compiled into the executable (cmake/embed.cmake makes the tables). */
#ifndef STEPMILL_EMBEDDED_H
#define STEPMILL_EMBEDDED_H

#include <stddef.h>

#include "bytes.h"

struct embedded_file {
    const char *name;  /* without folder: "AgentEvent.avsc" */
    struct slice text; /* a terminator follows that is not counted */
};

/* The file of a table of n, or an absent slice. */
static inline struct slice embedded_find(const struct embedded_file *files, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (!strcmp(files[i].name, name))
            return files[i].text;
    return (struct slice){NULL, 0};
}

#endif
