/* The merged configuration as a tree: members by name, nodes by path. */
#include "tree.h"

struct node *node_new(struct arena *a, enum node_kind kind, struct place place)
{
    struct node *n = arena_alloc(a, sizeof *n);

    if (n) {
        n->kind = kind;
        n->place = place;
    }
    return n;
}

void node_append(struct node *parent, struct node *child)
{
    child->next = NULL;
    *(parent->last ? &parent->last->next : &parent->first) = child;
    parent->last = child;
    parent->count++;
}

void node_remove(struct node *parent, const struct node *child)
{
    struct node *before = NULL;

    for (struct node *n = parent->first; n; before = n, n = n->next) {
        if (n != child)
            continue;
        *(before ? &before->next : &parent->first) = n->next;
        if (parent->last == n)
            parent->last = before;
        parent->count--;
        return;
    }
}

struct node *node_member(const struct node *map, struct slice name)
{
    if (map->kind != NODE_MAP)
        return NULL;
    for (struct node *n = map->first; n; n = n->next)
        if (slice_equal(n->name, name))
            return n;
    return NULL;
}

bool node_is_null(const struct node *n)
{
    return n->kind == NODE_SCALAR && n->plain && (n->text.len == 0 || slice_is(n->text, "~") || slice_is(n->text, "null"));
}

bool node_is_reference(const struct node *n)
{
    struct slice t = n->text;

    return n->kind == NODE_SCALAR && n->place.source != PLACE_ENVIRONMENT && t.len > 3 && slice_starts_with(t, "${") &&
           memchr(t.at, '}', t.len) == t.at + t.len - 1 && !memchr(t.at, ':', t.len);
}

/* Cuts the name at `*at` off the path `whole`. Names of the section "kafka" hold dots themselves. */
static struct slice next_name(const char *whole, const char **at)
{
    bool in_kafka = *at == whole + strlen("kafka.") && slice_starts_with(slice_of(whole), "kafka.");
    const char *dot = in_kafka ? NULL : strchr(*at, '.');
    struct slice name = {*at, dot ? (size_t)(dot - *at) : strlen(*at)};

    *at += name.len + (dot != NULL);
    return name;
}

struct node *tree_find(const struct node *root, const char *path)
{
    struct node *found = NULL;

    for (const char *at = path; *at && (at == path || found);)
        found = node_member(found ? found : root, next_name(path, &at));
    return found;
}

bool tree_set(struct arena *a, struct node *root, const char *path, struct node *value)
{
    struct node *map = root, *child;
    const char *at = path;
    struct slice name = next_name(path, &at);

    for (; *at; name = next_name(path, &at), map = child) {
        child = node_member(map, name);
        if (child && node_is_null(child))
            child->kind = NODE_MAP;
        if (!child && (child = node_new(a, NODE_MAP, value->place))) {
            child->name = arena_copy(a, name);
            child->named = value->place;
            node_append(map, child);
        }
        if (!child || !child->name.at || child->kind != NODE_MAP)
            return false;
    }
    child = node_member(map, name);
    if (child)
        node_remove(map, child);
    value->name = arena_copy(a, name);
    value->named = value->place;
    node_append(map, value);
    return value->name.at != NULL;
}

void tree_remove(struct node *root, const char *path)
{
    struct node *map = root, *child = NULL;

    for (const char *at = path; *at;) {
        map = child ? child : root;
        child = node_member(map, next_name(path, &at));
        if (!child)
            return;
    }
    if (child)
        node_remove(map, child);
}
