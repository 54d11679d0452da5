/* Reading a YAML file into a tree of nodes. */
#ifndef CONFIG_DOCUMENT_H
#define CONFIG_DOCUMENT_H

#include "problems.h"
#include "tree.h"

enum {
    DOCUMENT_BYTES_MAX = 1024 * 1024,
    DOCUMENT_DEPTH_MAX = 16,
    DOCUMENT_NODES_MAX = 10000,
};

/* The root node, or NULL with a problem added. An empty text gives an empty map. `place` names the source; where it is no file,
 * lines and columns are left out. Refused: more than one document, duplicate keys, anchors, aliases, tags, NUL bytes, keys that
 * are no plain text, and what is beyond the limits. */
struct node *document_parse(struct arena *a, struct slice text, struct place place, struct config_report *report);

#endif
