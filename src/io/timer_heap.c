/* The pairing heap of timers. */
#include "timer_heap.h"

static bool is_before(const struct loop_timer *a, const struct loop_timer *b)
{
    return a->due_ms != b->due_ms ? a->due_ms < b->due_ms : a->order < b->order;
}

/* Two roots become one: the later one is the first child of the earlier. */
static struct loop_timer *meld(struct loop_timer *a, struct loop_timer *b)
{
    if (!a || !b)
        return a ? a : b;
    if (is_before(b, a)) {
        struct loop_timer *later = a;

        a = b;
        b = later;
    }
    b->before = a;
    b->sibling = a->child;
    if (a->child)
        a->child->before = b;
    a->child = b;
    return a;
}

/* The children of a removed timer, melded in pairs, then from the last pair to the first: this is what keeps the heap shallow. */
static struct loop_timer *meld_children(struct loop_timer *first)
{
    struct loop_timer *pairs = NULL, *root = NULL;

    while (first) {
        struct loop_timer *a = first, *b = a->sibling;

        first = b ? b->sibling : NULL;
        a->sibling = a->before = NULL;
        if (b)
            b->sibling = b->before = NULL;
        a = meld(a, b);
        a->sibling = pairs;
        pairs = a;
    }
    while (pairs) {
        struct loop_timer *next = pairs->sibling;

        pairs->sibling = NULL;
        root = meld(root, pairs);
        pairs = next;
    }
    return root;
}

void timer_heap_add(struct timer_heap *h, struct loop_timer *t, int64_t due_ms)
{
    t->due_ms = due_ms;
    t->order = ++h->order;
    t->child = t->sibling = t->before = NULL;
    h->root = meld(h->root, t);
    h->count++;
}

void timer_heap_remove(struct timer_heap *h, struct loop_timer *t)
{
    if (h->root == t) {
        h->root = meld_children(t->child);
    } else {
        if (t->before->child == t)
            t->before->child = t->sibling;
        else
            t->before->sibling = t->sibling;
        if (t->sibling)
            t->sibling->before = t->before;
        h->root = meld(h->root, meld_children(t->child));
    }
    t->child = t->sibling = t->before = NULL;
    t->order = 0;
    h->count--;
}
