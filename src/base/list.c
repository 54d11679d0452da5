/* The intrusive list. */
#include "stepmill/list.h"

#include "stepmill/error.h"

static void link_between(struct list *l, struct list_node *prev, struct list_node *n, struct list_node *next)
{
    if (n->list)
        bug("a list node was linked twice");
    n->list = l;
    n->prev = prev;
    n->next = next;
    *(prev ? &prev->next : &l->first) = n;
    *(next ? &next->prev : &l->last) = n;
    l->count++;
}

void list_append(struct list *l, struct list_node *n) { link_between(l, l->last, n, NULL); }
void list_prepend(struct list *l, struct list_node *n) { link_between(l, NULL, n, l->first); }

void list_insert_after(struct list *l, struct list_node *after, struct list_node *n)
{
    link_between(l, after, n, after ? after->next : l->first);
}

void list_remove(struct list_node *n)
{
    struct list *l = n->list;

    if (!l)
        return;
    *(n->prev ? &n->prev->next : &l->first) = n->next;
    *(n->next ? &n->next->prev : &l->last) = n->prev;
    l->count--;
    *n = (struct list_node){NULL, NULL, NULL};
}

struct list_node *list_take_first(struct list *l)
{
    struct list_node *n = l->first;

    if (n)
        list_remove(n);
    return n;
}
