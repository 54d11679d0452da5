/* Intrusive doubly linked list. A node remembers its list, so it can't be removed from the wrong one; linking a linked node is a
 * BUG. */
#ifndef STEPMILL_LIST_H
#define STEPMILL_LIST_H

#include <stddef.h>

struct list;

struct list_node {
    struct list_node *next, *prev;
    struct list *list; /* NULL: not linked */
};

struct list {
    struct list_node *first, *last;
    size_t count;
};

void list_append(struct list *l, struct list_node *n);
void list_prepend(struct list *l, struct list_node *n);
/* Behind `after`, a node of this list, or first when it is NULL. */
void list_insert_after(struct list *l, struct list_node *after, struct list_node *n);
/* Does nothing when the node is not linked. */
void list_remove(struct list_node *n);
/* Unlinks and returns the first node, or NULL. */
struct list_node *list_take_first(struct list *l);

#define list_entry(node, type, member) ((type *)(void *)((char *)(node)-offsetof(type, member)))

#endif
