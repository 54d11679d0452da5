/* The second half of parsing: names become node numbers, lists of members become runs of an array. */
#include <stdlib.h>

#include "schema_build.h"

static const char *const type_names[] = {"null",   "boolean", "int",  "long",  "float", "double", "bytes",
                                         "string", "fixed",   "enum", "array", "map",   "union",  "record"};

const char *schema_type_name(enum schema_type type) { return type_names[type]; }

enum schema_type schema_primitive(struct slice name)
{
    int i = 0;

    while (i < SCHEMA_PRIMITIVES && !slice_is(name, type_names[i]))
        i++;
    return (enum schema_type)i;
}

enum schema_unit schema_unit_of(struct slice logical)
{
    static const char *const names[][2] = {{"timestamp-millis", "local-timestamp-millis"},
                                           {"timestamp-micros", "local-timestamp-micros"},
                                           {"timestamp-nanos", "local-timestamp-nanos"}};

    for (int i = 0; i < 3; i++)
        if (slice_is(logical, names[i][0]) || slice_is(logical, names[i][1]))
            return (enum schema_unit)(UNIT_MILLIS + i);
    return UNIT_NONE;
}

struct name {
    struct slice full;
    uint32_t node;
};

static int compare_slices(struct slice a, struct slice b)
{
    int order = memcmp(a.at, b.at, a.len < b.len ? a.len : b.len);

    return order ? order : (a.len > b.len) - (a.len < b.len);
}

static int compare_names(const void *a, const void *b)
{
    return compare_slices(((const struct name *)a)->full, ((const struct name *)b)->full);
}

static uint32_t find_name(const struct name *names, size_t n, struct slice full)
{
    struct name wanted = {.full = full};
    const struct name *found = n ? bsearch(&wanted, names, n, sizeof *names, compare_names) : NULL;

    return found ? found->node : NO_NODE;
}

/* Every named type once; the edges that wait for a name get its node. */
static bool resolve(struct schema_build *b, struct name *names)
{
    size_t n = 0;

    for (size_t i = 0; i < b->nnodes; i++)
        if (b->nodes[i].name.at)
            names[n++] = (struct name){b->nodes[i].name, (uint32_t)i};
    qsort(names, n, sizeof *names, compare_names);
    for (size_t i = 1; i < n; i++)
        if (slice_equal(names[i - 1].full, names[i].full))
            return schema_refuse(b, "type %.*s is defined twice", names[i].full);

    for (size_t i = 0; i < b->nedges; i++) {
        struct edge *edge = &b->edges[i];

        if (edge->type_name.at)
            edge->node = find_name(names, n, edge->type_name);
        if (edge->node == NO_NODE)
            edge->node = find_name(names, n, edge->bare_name); /* as other libraries do */
        if (edge->node == NO_NODE)
            return schema_refuse(b, "type %.*s is not defined", edge->type_name);
    }
    return true;
}

static int compare_members(const void *a, const void *b)
{
    return compare_slices(*(const struct slice *)a, *(const struct slice *)b);
}

/* Fields are told apart by their names. `sorted` has room for all edges. */
static bool fields_differ(struct schema_build *b, const struct schema_node *record, struct slice *sorted)
{
    size_t n = 0;

    for (uint32_t e = record->first; e != NO_NODE; e = b->edges[e].next)
        sorted[n++] = b->edges[e].name;
    qsort(sorted, n, sizeof *sorted, compare_members);
    for (size_t i = 1; i < n; i++)
        if (slice_equal(sorted[i - 1], sorted[i]))
            return schema_refuse(b, "field %.*s stands twice in one record", sorted[i]);
    return true;
}

static bool check_records(struct schema_build *b, struct slice *sorted)
{
    for (size_t i = 0; i < b->nnodes; i++)
        if (b->nodes[i].type == SCHEMA_RECORD && !fields_differ(b, &b->nodes[i], sorted))
            return false;
    return true;
}

/* Avro 1.12 "Unions": no union directly in a union. {"type": […]} is one as well, so the parser does not see them all. */
static bool check_unions(struct schema_build *b)
{
    for (size_t i = 0; i < b->nnodes; i++)
        for (uint32_t e = b->nodes[i].first; b->nodes[i].type == SCHEMA_UNION && e != NO_NODE; e = b->edges[e].next)
            if (b->nodes[b->edges[e].node].type == SCHEMA_UNION)
                return schema_refuse(b, "a union stands directly in a union%.*s", SLICE(""));
    return true;
}

/* Copies nodes and edges into arrays of their final size, each node's edges side by side. */
static struct schema *pack(const struct schema_build *b)
{
    struct schema *s = calloc(1, sizeof *s);

    if (!s)
        return NULL;
    s->nodes = calloc(b->nnodes, sizeof *s->nodes);
    s->members = calloc(b->nedges, sizeof *s->members);
    if (!s->nodes || !s->members) {
        schema_free(s);
        return NULL;
    }
    s->names = b->names;
    s->root = b->edges[0].node;
    s->nnodes = (uint32_t)b->nnodes;
    for (uint32_t i = 0; i < s->nnodes; i++) {
        s->nodes[i] = b->nodes[i];
        s->nodes[i].first = s->nmembers;
        for (uint32_t e = b->nodes[i].first; e != NO_NODE; e = b->edges[e].next)
            s->members[s->nmembers++] = (struct schema_member){b->edges[e].name, b->edges[e].node};
    }
    return s;
}

struct schema *schema_link(struct schema_build *b)
{
    struct name *names = calloc(b->nnodes, sizeof *names);
    struct slice *sorted = calloc(b->nedges, sizeof *sorted);
    struct schema *s = NULL;

    if (names && sorted && resolve(b, names) && check_unions(b) && check_records(b, sorted))
        s = pack(b);
    if (!s && !failed(b->error))
        b->error = error_make(CLASS_INTERNAL, "out_of_memory", "No memory for a schema.");
    free(names);
    free(sorted);
    return s;
}

void schema_free(struct schema *s)
{
    if (!s)
        return;
    arena_free(s->names);
    free(s->nodes);
    free(s->members);
    free(s);
}

size_t schema_size(const struct schema *s)
{
    return sizeof *s + arena_size(s->names) + s->nnodes * sizeof *s->nodes + s->nmembers * sizeof *s->members;
}

/* Both were built in the same order, so equal schemas have equal arrays. */
bool schema_equal(const struct schema *a, const struct schema *b)
{
    if (a->nnodes != b->nnodes || a->nmembers != b->nmembers || a->root != b->root)
        return false;
    for (uint32_t i = 0; i < a->nnodes; i++) {
        const struct schema_node *x = &a->nodes[i], *y = &b->nodes[i];

        if (x->type != y->type || x->unit != y->unit || x->n != y->n || x->size != y->size || !slice_equal(x->name, y->name))
            return false;
    }
    for (uint32_t i = 0; i < a->nmembers; i++)
        if (a->members[i].node != b->members[i].node || !slice_equal(a->members[i].name, b->members[i].name))
            return false;
    return true;
}
