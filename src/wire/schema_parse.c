/* Parsing a writer's schema: one object, union or name at a time from a stack of texts, never by recursion. */
#include <stdio.h>
#include <stdlib.h>

#include "schema_build.h"
#include "stepmill/json.h"

/* A piece of the text still to be read: the schema of one edge. */
struct piece {
    struct slice text, namespace;
    uint32_t edge;
};

struct parse {
    struct schema_build build;
    struct piece *pieces;
    size_t npieces;
};

/* The attributes of one object that matter; texts of values as written. */
struct attributes {
    struct slice type, name, namespace, fields, symbols, items, values, size, logical;
};

static struct error out_of_memory(void) { return error_make(CLASS_INTERNAL, "out_of_memory", "No memory for a schema."); }

bool schema_refuse(struct schema_build *b, const char *format, struct slice what)
{
    if (failed(b->error))
        return false;
    b->error = error_make(CLASS_POISON, "hostile_schema", "The writer's schema is not Avro, or is past a ceiling.");
    if (b->detail)
        snprintf(b->detail->text, sizeof b->detail->text, format, what.len > 100 ? 100 : SLICE_FMT(what));
    return false;
}

/* The ceiling of the names counts too: a namespace is written out at each name that needs it. */
static bool no_memory(struct schema_build *b)
{
    if (b->names && arena_is_full(b->names))
        return schema_refuse(b, "the names of the schema are too long together%.*s", SLICE(""));
    if (!failed(b->error))
        b->error = out_of_memory();
    return false;
}

static bool refuse(struct parse *p, const char *format, struct slice what) { return schema_refuse(&p->build, format, what); }

/* The whole text once: JSON, and not deeper than the scanner goes. */
static bool check_text(struct parse *p, struct slice text)
{
    struct json j = json_start(text);

    if (text.len > p->build.limits->bytes)
        return refuse(p, "the schema is longer than the ceiling%.*s", SLICE(""));
    while (json_next(&j))
        continue;
    return !j.error || refuse(p, "the schema is not JSON: %.*s", slice_of(j.error));
}

/* The value of a string token, kept for the schema's life. */
static bool take_text(struct parse *p, const struct json *j, struct slice *value)
{
    char room[SCHEMA_NAME_MAX + 1];
    struct buf plain = BUF_IN(room);

    if (j->token != JSON_TOKEN_STRING)
        return refuse(p, "a name is not a string%.*s", SLICE(""));
    if (j->raw.len > SCHEMA_NAME_MAX || !json_unescape(j, &plain))
        return refuse(p, "a name is too long%.*s", SLICE(""));
    *value = arena_copy(p->build.names, buf_slice(&plain));
    return value->at || no_memory(&p->build);
}

/* The same from the text of a whole value; an absent text stays absent. */
static bool take_value(struct parse *p, struct slice text, struct slice *value)
{
    struct json j = json_start(text);

    *value = (struct slice){NULL, 0};
    return !text.at || (json_next(&j) && take_text(p, &j, value)) || refuse(p, "a name is not a string%.*s", SLICE(""));
}

static bool join(struct parse *p, struct slice namespace, struct slice name, struct slice *full)
{
    char *at;

    *full = name;
    if (!namespace.len || memchr(name.at, '.', name.len))
        return true;
    at = arena_alloc(p->build.names, namespace.len + 1 + name.len);
    if (!at)
        return no_memory(&p->build);
    memcpy(at, namespace.at, namespace.len);
    at[namespace.len] = '.';
    memcpy(at + namespace.len + 1, name.at, name.len);
    *full = (struct slice){at, namespace.len + 1 + name.len};
    return true;
}

static bool add_edge(struct parse *p, struct slice name, uint32_t *edge)
{
    struct schema_build *b = &p->build;

    if (b->nedges == b->max_edges)
        return refuse(p, "the schema has too many fields, branches and symbols%.*s", SLICE(""));
    *edge = (uint32_t)b->nedges++;
    b->edges[*edge] = (struct edge){.name = name, .node = NO_NODE, .next = NO_NODE};
    return true;
}

static bool add_node(struct parse *p, uint32_t edge, enum schema_type type, struct schema_node **node)
{
    struct schema_build *b = &p->build;

    if (b->nnodes == b->max_nodes)
        return refuse(p, "the schema has too many types%.*s", SLICE(""));
    *node = &b->nodes[b->nnodes];
    **node = (struct schema_node){.type = type, .first = NO_NODE};
    b->edges[edge].node = (uint32_t)b->nnodes++;
    return true;
}

static void push(struct parse *p, struct slice text, struct slice namespace, uint32_t edge)
{
    p->pieces[p->npieces++] = (struct piece){text, namespace, edge}; /* an edge waits at most once: there is room */
}

/* Hangs a new edge on the node, behind `*last`. */
static bool add_member(struct parse *p, struct schema_node *node, uint32_t *last, struct slice name, uint32_t *edge)
{
    if (!add_edge(p, name, edge))
        return false;
    if (node->n++ == 0)
        node->first = *edge;
    else
        p->build.edges[*last].next = *edge;
    *last = *edge;
    return true;
}

static bool parse_name(struct parse *p, const struct piece *piece, const struct json *j)
{
    struct edge *edge = &p->build.edges[piece->edge];
    struct slice name;
    enum schema_type primitive;

    if (!take_text(p, j, &name))
        return false;
    primitive = schema_primitive(name);
    if (primitive != SCHEMA_PRIMITIVES) {
        edge->node = (uint32_t)primitive;
        return true;
    }
    edge->bare_name = name;
    return join(p, piece->namespace, name, &edge->type_name);
}

static bool parse_union(struct parse *p, const struct piece *piece, struct json *j)
{
    struct schema_node *node;
    uint32_t last = NO_NODE, edge;
    struct slice text;

    if (!add_node(p, piece->edge, SCHEMA_UNION, &node))
        return false;
    while (json_next(j) && j->token != JSON_TOKEN_ARRAY_END) {
        if (!json_value_text(j, &text) || !add_member(p, node, &last, (struct slice){NULL, 0}, &edge))
            return refuse(p, "a union can't be read%.*s", SLICE(""));
        push(p, text, piece->namespace, edge);
    }
    return node->n > 0 || refuse(p, "a union is empty%.*s", SLICE(""));
}

static bool read_attributes(struct parse *p, struct json *j, struct attributes *a)
{
    static const char *const names[] = {"type",  "name",   "namespace", "fields",     "symbols",
                                        "items", "values", "size",      "logicalType"};
    struct slice *texts[] = {&a->type,  &a->name,   &a->namespace, &a->fields, &a->symbols,
                             &a->items, &a->values, &a->size,      &a->logical};

    while (json_next(j) && j->token == JSON_TOKEN_KEY) {
        size_t i = 0;
        struct slice text;

        while (i < sizeof names / sizeof *names && !json_key_is(j, names[i]))
            i++;
        if (!json_value_text(j, &text))
            break;
        if (i < sizeof names / sizeof *names)
            *texts[i] = text;
    }
    return !j->error || refuse(p, "an object can't be read: %.*s", slice_of(j->error));
}

/* The full name of a record, enum or fixed, and the namespace inside it. */
static bool read_name(struct parse *p, const struct attributes *a, struct slice *namespace, struct slice *full)
{
    struct slice name, own;

    if (!take_value(p, a->name, &name) || !take_value(p, a->namespace, &own))
        return false;
    if (!name.len)
        return refuse(p, "a record, enum or fixed has no name%.*s", SLICE(""));
    if (!join(p, a->namespace.at ? own : *namespace, name, full))
        return false;
    *namespace = *full;
    namespace->len = full->len - schema_short_name(*full).len;
    namespace->len -= namespace->len > 0;
    return true;
}

static bool parse_fields(struct parse *p, struct schema_node *node, struct slice fields, struct slice namespace)
{
    struct json j = json_start(fields);
    uint32_t last = NO_NODE, edge;

    if (!json_next(&j) || j.token != JSON_TOKEN_ARRAY)
        return refuse(p, "record %.*s has no list of fields", node->name);
    while (json_next(&j) && j.token != JSON_TOKEN_ARRAY_END) {
        struct attributes a = {0};
        struct slice name;

        if (j.token != JSON_TOKEN_OBJECT || !read_attributes(p, &j, &a) || !a.type.at || !take_value(p, a.name, &name) ||
            !name.len)
            return refuse(p, "a field of %.*s is not {name, type}", node->name);
        if (!add_member(p, node, &last, name, &edge))
            return false;
        push(p, a.type, namespace, edge);
    }
    return !j.error || refuse(p, "the fields of %.*s can't be read", node->name);
}

static bool parse_symbols(struct parse *p, struct schema_node *node, struct slice symbols)
{
    struct json j = json_start(symbols);
    uint32_t last = NO_NODE, edge;
    struct slice name;

    if (!json_next(&j) || j.token != JSON_TOKEN_ARRAY)
        return refuse(p, "enum %.*s has no list of symbols", node->name);
    while (json_next(&j) && j.token != JSON_TOKEN_ARRAY_END) {
        if (!take_text(p, &j, &name) || !add_member(p, node, &last, name, &edge))
            return refuse(p, "a symbol of %.*s can't be read", node->name);
        p->build.edges[edge].node = SCHEMA_NULL;
    }
    return node->n > 0 || refuse(p, "enum %.*s has no symbols", node->name);
}

static bool parse_size(struct parse *p, struct schema_node *node, struct slice size)
{
    int64_t n;

    if (!slice_to_int(size, 0, INT32_MAX, &n))
        return refuse(p, "fixed %.*s has no size", node->name);
    node->size = (uint32_t)n;
    return true;
}

/* {"type": "long", "logicalType": "timestamp-micros"} and the like. True when it was such a time. */
static bool parse_time(struct parse *p, const struct piece *piece, const struct attributes *a, struct slice type, bool *done)
{
    struct schema_node *node;
    struct slice logical;
    enum schema_unit unit;

    *done = false;
    if (!slice_is(type, "long") || !a->logical.at || a->logical.at[0] != '"')
        return true;
    logical = (struct slice){a->logical.at + 1, a->logical.len - 2};
    unit = schema_unit_of(logical);
    if (unit == UNIT_NONE)
        return true;
    *done = true;
    if (!add_node(p, piece->edge, SCHEMA_LONG, &node))
        return false;
    node->unit = unit;
    return true;
}

static bool parse_named(struct parse *p, const struct piece *piece, const struct attributes *a, enum schema_type type)
{
    struct slice namespace = piece->namespace;
    struct schema_node *node;

    if (!add_node(p, piece->edge, type, &node) || !read_name(p, a, &namespace, &node->name))
        return false;
    if (type == SCHEMA_RECORD)
        return parse_fields(p, node, a->fields, namespace);
    return type == SCHEMA_ENUM ? parse_symbols(p, node, a->symbols) : parse_size(p, node, a->size);
}

static bool parse_items(struct parse *p, const struct piece *piece, struct slice items, enum schema_type type)
{
    struct schema_node *node;
    uint32_t last = NO_NODE, edge;

    if (!items.at)
        return refuse(p, "an array has no items, or a map no values%.*s", SLICE(""));
    if (!add_node(p, piece->edge, type, &node) || !add_member(p, node, &last, (struct slice){NULL, 0}, &edge))
        return false;
    push(p, items, piece->namespace, edge);
    return true;
}

static bool parse_object(struct parse *p, const struct piece *piece, struct json *j)
{
    struct attributes a = {0};
    struct json type;
    bool done;

    if (!read_attributes(p, j, &a))
        return false;
    type = json_start(a.type);
    if (!a.type.at || !json_next(&type))
        return refuse(p, "a schema has no type%.*s", SLICE(""));
    if (type.token != JSON_TOKEN_STRING) { /* {"type": {…}}: the inner one counts */
        push(p, a.type, piece->namespace, piece->edge);
        return true;
    }
    if (slice_is(type.raw, "record") || slice_is(type.raw, "error"))
        return parse_named(p, piece, &a, SCHEMA_RECORD);
    if (slice_is(type.raw, "enum"))
        return parse_named(p, piece, &a, SCHEMA_ENUM);
    if (slice_is(type.raw, "fixed"))
        return parse_named(p, piece, &a, SCHEMA_FIXED);
    if (slice_is(type.raw, "array"))
        return parse_items(p, piece, a.items, SCHEMA_ARRAY);
    if (slice_is(type.raw, "map"))
        return parse_items(p, piece, a.values, SCHEMA_MAP);
    return parse_time(p, piece, &a, type.raw, &done) && (done || parse_name(p, piece, &type));
}

static bool parse_piece(struct parse *p, const struct piece *piece)
{
    struct json j = json_start(piece->text);

    if (!json_next(&j))
        return refuse(p, "a type is missing%.*s", SLICE(""));
    switch (j.token) {
    case JSON_TOKEN_STRING:
        return parse_name(p, piece, &j);
    case JSON_TOKEN_ARRAY:
        return parse_union(p, piece, &j);
    case JSON_TOKEN_OBJECT:
        return parse_object(p, piece, &j);
    default:
        return refuse(p, "a type is neither name, object nor union%.*s", SLICE(""));
    }
}

static bool prepare(struct parse *p)
{
    struct schema_build *b = &p->build;

    b->max_edges = b->limits->fields + 1;
    b->max_nodes = b->max_edges + SCHEMA_PRIMITIVES;
    b->names = arena_new(4 * b->limits->bytes + 64 * 1024);
    b->nodes = calloc(b->max_nodes, sizeof *b->nodes);
    b->edges = calloc(b->max_edges, sizeof *b->edges);
    p->pieces = calloc(b->max_edges, sizeof *p->pieces);
    if (!b->names || !b->nodes || !b->edges || !p->pieces)
        return no_memory(b);
    for (; b->nnodes < SCHEMA_PRIMITIVES; b->nnodes++)
        b->nodes[b->nnodes] = (struct schema_node){.type = (enum schema_type)b->nnodes, .first = NO_NODE};
    return true;
}

struct error schema_parse(struct slice text, const struct schema_limits *limits, struct schema **schema, struct detail *detail)
{
    struct parse p = {.build = {.limits = limits, .detail = detail}};
    uint32_t root;

    *schema = NULL;
    if (detail)
        detail->text[0] = '\0';
    if (prepare(&p) && check_text(&p, text) && add_edge(&p, (struct slice){NULL, 0}, &root)) {
        push(&p, text, (struct slice){NULL, 0}, root);
        while (p.npieces > 0) {
            struct piece piece = p.pieces[--p.npieces];

            if (!parse_piece(&p, &piece))
                break;
        }
        if (!failed(p.build.error))
            *schema = schema_link(&p.build);
    }
    if (!*schema)
        arena_free(p.build.names);
    free(p.build.nodes);
    free(p.build.edges);
    free(p.pieces);
    return p.build.error;
}
