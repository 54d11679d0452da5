/* The parsed schema as the plan compiler and the JSON printer see it: two flat arrays. */
#ifndef STEPMILL_SCHEMA_NODES_H
#define STEPMILL_SCHEMA_NODES_H

#include "stepmill/arena.h"
#include "stepmill/schema.h"

enum schema_type {
    SCHEMA_NULL,
    SCHEMA_BOOLEAN,
    SCHEMA_INT,
    SCHEMA_LONG,
    SCHEMA_FLOAT,
    SCHEMA_DOUBLE,
    SCHEMA_BYTES,
    SCHEMA_STRING,
    SCHEMA_PRIMITIVES, /* the nodes 0 to 7 of every schema are the plain primitives */
    SCHEMA_FIXED = SCHEMA_PRIMITIVES,
    SCHEMA_ENUM,
    SCHEMA_ARRAY,
    SCHEMA_MAP,
    SCHEMA_UNION,
    SCHEMA_RECORD,
};

enum schema_unit { UNIT_NONE, UNIT_MILLIS, UNIT_MICROS, UNIT_NANOS }; /* of a long that is a time */

struct schema_node {
    enum schema_type type;
    enum schema_unit unit;
    uint32_t first, n; /* members: fields, branches, symbols, or the one type of items or values */
    uint32_t size;     /* of a fixed */
    struct slice name; /* full name of a record, enum or fixed */
};

struct schema_member {
    struct slice name; /* of a field or symbol */
    uint32_t node;     /* of a field, branch, items, values */
};

struct schema {
    struct arena *names;
    struct schema_node *nodes;
    struct schema_member *members;
    uint32_t nnodes, nmembers, root;
};

/* The part of a full name behind the last dot. */
static inline struct slice schema_short_name(struct slice name)
{
    for (size_t i = name.len; i > 0; i--)
        if (name.at[i - 1] == '.')
            return (struct slice){name.at + i, name.len - i};
    return name;
}

/* "null" … "string", or SCHEMA_PRIMITIVES. */
enum schema_type schema_primitive(struct slice name);
const char *schema_type_name(enum schema_type type);

#endif
