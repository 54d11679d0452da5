/* The merged configuration as a tree: what the file, the environment and the flags say, each value with its place. */
#ifndef CONFIG_TREE_H
#define CONFIG_TREE_H

#include "stepmill/arena.h"
#include "stepmill/bytes.h"

enum { TREE_PATH_MAX = 256 };

enum place_source { PLACE_DEFAULT, PLACE_FILE, PLACE_ENVIRONMENT, PLACE_FLAG };

struct place {
    enum place_source source;
    const char *name; /* the file as the user wrote it, the variable, or "--set path" */
    int line, column; /* from 1; 0 outside a file */
};

enum node_kind { NODE_SCALAR, NODE_LIST, NODE_MAP };

struct node {
    enum node_kind kind;
    struct place place;
    bool plain;         /* a scalar without quotes */
    struct slice text;  /* of a scalar, as written; terminated, holds no NUL */
    const char *path;   /* of a file option: where it was found; NULL before that */
    bool credentials;   /* an URL that user and password were taken out of */
    struct slice name;  /* of a map's member, terminated; absent in a list */
    struct place named; /* where the name stands */
    struct node *first, *last, *next;
    size_t count;
};

struct node *node_new(struct arena *a, enum node_kind kind, struct place place);
void node_append(struct node *parent, struct node *child);
void node_remove(struct node *parent, const struct node *child);
/* NULL: not a map, or no such member. */
struct node *node_member(const struct node *map, struct slice name);
/* "~", "null" or nothing at all, without quotes: a key whose value is missing. */
bool node_is_null(const struct node *n);

/* "${NAME}" and nothing else: safe to print. */
bool node_is_reference(const struct node *n);

/* The node at "agents.search.max_steps". Below "kafka" the rest of the path is one name. NULL: not there. */
struct node *tree_find(const struct node *root, const char *path);
/* Put `value` there, in place of what was there; sections on the way are made. False: out of memory, or a section on the way is a
 * value. */
bool tree_set(struct arena *a, struct node *root, const char *path, struct node *value);
/* Drop the node at `path`, if it is there. */
void tree_remove(struct node *root, const char *path);

#endif
