/* The `tools` of a chat request: their names, and arguments that fit their JSON schema.
 *
 * Workers send the same tools with every request, so what was read is kept, by the hash of the bytes. */
#ifndef FAKES_TOOLBOX_H
#define FAKES_TOOLBOX_H

#include "text.h"

enum { TOOLBOX_SLOTS = 64 };

struct toolbox {
    struct {
        uint64_t hash;
        char *name, *arguments; /* NULL name: no tool in that array */
    } slots[TOOLBOX_SLOTS];
};

/* The tool `wanted` of the raw array `tools`, or the first when `wanted` is empty. `*arguments` is JSON text with the required
 * parameters. False: no such tool. The spans live until the next call. */
bool toolbox_find(struct toolbox *t, struct span tools, struct span wanted, struct span *name, struct span *arguments);
void toolbox_free(struct toolbox *t);

#endif
