/* A schema while it is parsed: members hang on lists, and names are not looked up yet. */
#ifndef STEPMILL_SCHEMA_BUILD_H
#define STEPMILL_SCHEMA_BUILD_H

#include "schema_nodes.h"

enum { NO_NODE = 0xffffffff, SCHEMA_NAME_MAX = 512 };

/* One edge of the tree: a field, branch or symbol, the items or values of a node, or the root. */
struct edge {
    struct slice name;
    struct slice type_name; /* full name still to be looked up; absent: `node` is known */
    struct slice bare_name; /* the same without the enclosing namespace */
    uint32_t node, next;
};

struct schema_build {
    const struct schema_limits *limits;
    struct arena *names;
    struct schema_node *nodes; /* `first` heads the list of edges until schema_link */
    struct edge *edges;
    size_t nnodes, nedges, max_nodes, max_edges;
    struct error error;
    struct detail *detail;
};

/* Sets the error, hostile_schema, once. `format` has one %.*s for `what`. Returns false. */
__attribute__((format(printf, 2, 0))) bool schema_refuse(struct schema_build *b, const char *format, struct slice what);
/* "timestamp-millis" … */
enum schema_unit schema_unit_of(struct slice logical_type);
/* Looks up names and packs the edges: NULL with b->error set on failure. Takes over b->names on success. */
struct schema *schema_link(struct schema_build *b);

#endif
