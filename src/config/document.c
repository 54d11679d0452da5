/* Reading a YAML file into a tree of nodes, from libyaml's events: iterative, bounded, every node with its place. */
#include "document.h"

#include <yaml.h>

/* What is read, and the open maps and lists around the present event. */
struct reading {
    struct arena *arena;
    struct config_report *report;
    struct place place; /* of the source */
    struct node *open[DOCUMENT_DEPTH_MAX];
    size_t depth;
    struct node *root;
    struct slice key; /* of the member whose value comes next; absent: a key comes next */
    struct place key_place;
    size_t nodes, documents;
    bool failed;
};

static struct place place_at(const struct reading *r, yaml_mark_t mark)
{
    struct place p = r->place;

    if (p.source == PLACE_FILE) {
        p.line = (int)mark.line + 1;
        p.column = (int)mark.column + 1;
    }
    return p;
}

#define REFUSE(r, place, ...)                                                                                                    \
    do {                                                                                                                         \
        problem_error((r)->report, (place), __VA_ARGS__);                                                                        \
        (r)->failed = true;                                                                                                      \
    } while (0)

static void add_key(struct reading *r, const struct node *map, const yaml_event_t *e)
{
    struct slice name = {(const char *)e->data.scalar.value, e->data.scalar.length};
    struct place place = place_at(r, e->start_mark);
    const struct node *other = node_member(map, name);

    if (name.len == 0 || name.len > TREE_PATH_MAX / 2 || memchr(name.at, '\0', name.len))
        REFUSE(r, &place, "a key must be a text of 1 to %d bytes", TREE_PATH_MAX / 2);
    else if (other && place.line)
        REFUSE(r, &place, "duplicate key \"%.*s\": it is already set in line %d", SLICE_FMT(name), other->named.line);
    else if (other)
        REFUSE(r, &place, "duplicate key \"%.*s\"", SLICE_FMT(name));
    r->key = arena_copy(r->arena, name);
    r->key_place = place;
}

/* Hangs a value under what is open. */
static void attach(struct reading *r, struct node *n)
{
    struct node *parent = r->depth ? r->open[r->depth - 1] : NULL;

    if (!parent) {
        r->root = n;
        return;
    }
    if (parent->kind == NODE_MAP) {
        n->name = r->key;
        n->named = r->key_place;
        r->key = (struct slice){NULL, 0};
    }
    node_append(parent, n);
}

static bool key_comes_next(const struct reading *r) { return r->depth && r->open[r->depth - 1]->kind == NODE_MAP && !r->key.at; }

static void add_node(struct reading *r, const yaml_event_t *e, enum node_kind kind, const yaml_char_t *anchor,
                     const yaml_char_t *tag)
{
    struct place place = place_at(r, e->start_mark);
    struct node *n;

    if (anchor)
        REFUSE(r, &place, "anchor \"&%.64s\": anchors and aliases are not allowed, write the value out", (const char *)anchor);
    else if (tag)
        REFUSE(r, &place, "tag \"%.64s\": tags are not allowed, the option decides the type", (const char *)tag);
    else if (kind != NODE_SCALAR && key_comes_next(r))
        REFUSE(r, &place, "a key must be a text, not a %s", kind == NODE_MAP ? "map" : "list");
    else if (++r->nodes > DOCUMENT_NODES_MAX)
        REFUSE(r, &place, "more than %d values", DOCUMENT_NODES_MAX);
    else if (kind != NODE_SCALAR && r->depth == DOCUMENT_DEPTH_MAX)
        REFUSE(r, &place, "nested deeper than %d levels", DOCUMENT_DEPTH_MAX);
    if (r->failed)
        return;
    if (key_comes_next(r)) {
        add_key(r, r->open[r->depth - 1], e);
        return;
    }
    n = node_new(r->arena, kind, place);
    if (!n) {
        REFUSE(r, &place, "out of memory");
        return;
    }
    if (kind == NODE_SCALAR) {
        n->plain = e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
        n->text = arena_copy(r->arena, (struct slice){(const char *)e->data.scalar.value, e->data.scalar.length});
        if (!n->text.at || memchr(n->text.at, '\0', n->text.len))
            REFUSE(r, &place, n->text.at ? "the value holds a NUL byte" : "out of memory");
    }
    attach(r, n);
    if (kind != NODE_SCALAR)
        r->open[r->depth++] = n;
}

static void take_event(struct reading *r, const yaml_event_t *e)
{
    struct place place = place_at(r, e->start_mark);

    switch (e->type) {
    case YAML_DOCUMENT_START_EVENT:
        if (++r->documents > 1)
            REFUSE(r, &place, "a second document begins here: only one is allowed");
        break;
    case YAML_ALIAS_EVENT:
        REFUSE(r, &place, "alias \"*%.64s\": anchors and aliases are not allowed, write the value out",
               (const char *)e->data.alias.anchor);
        break;
    case YAML_SCALAR_EVENT:
        add_node(r, e, NODE_SCALAR, e->data.scalar.anchor, e->data.scalar.tag);
        break;
    case YAML_SEQUENCE_START_EVENT:
        add_node(r, e, NODE_LIST, e->data.sequence_start.anchor, e->data.sequence_start.tag);
        break;
    case YAML_MAPPING_START_EVENT:
        add_node(r, e, NODE_MAP, e->data.mapping_start.anchor, e->data.mapping_start.tag);
        break;
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        r->depth--;
        break;
    default:
        break;
    }
}

static void refuse_syntax(struct reading *r, const yaml_parser_t *p)
{
    struct place place = place_at(r, p->problem_mark);

    if (p->error == YAML_READER_ERROR) /* the marks are not set then, but the byte is known */
        REFUSE(r, &r->place, "not readable as UTF-8 text: %s at byte %zu", p->problem ? p->problem : "damaged",
               p->problem_offset);
    else if (p->context)
        REFUSE(r, &place, "not YAML: %s, %s", p->problem ? p->problem : "syntax error", p->context);
    else
        REFUSE(r, &place, "not YAML: %s", p->problem ? p->problem : "syntax error");
}

static void read_events(struct reading *r, yaml_parser_t *p)
{
    yaml_event_t e;

    for (bool more = true; more && !r->failed;) {
        if (!yaml_parser_parse(p, &e)) {
            refuse_syntax(r, p);
            return;
        }
        more = e.type != YAML_STREAM_END_EVENT;
        take_event(r, &e);
        yaml_event_delete(&e);
    }
}

struct node *document_parse(struct arena *a, struct slice text, struct place place, struct config_report *report)
{
    struct reading r = {.arena = a, .report = report, .place = place};
    yaml_parser_t p;

    r.place.line = r.place.column = place.source == PLACE_FILE;
    if (slice_starts_with(text, "\xef\xbb\xbf")) {
        text.at += 3;
        text.len -= 3;
    }
    if (text.len > DOCUMENT_BYTES_MAX) {
        problem_error(report, &r.place, "larger than %d bytes", DOCUMENT_BYTES_MAX);
        return NULL;
    }
    if (!yaml_parser_initialize(&p)) {
        problem_error(report, &r.place, "out of memory");
        return NULL;
    }
    yaml_parser_set_encoding(&p, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&p, (const unsigned char *)(text.at ? text.at : ""), text.len);
    read_events(&r, &p);
    yaml_parser_delete(&p);
    if (r.failed)
        return NULL;
    if (!r.root && !(r.root = node_new(a, NODE_MAP, r.place)))
        problem_error(report, &r.place, "out of memory");
    return r.root;
}
