/* Timers in the order they are due: a pairing heap through the timers themselves, so that it never needs memory.
 *
 * Setting is O(1), cancelling and firing O(log n) amortised. Most timers are cancelled (the answer came in time).
 */
#ifndef STEPMILL_IO_TIMER_HEAP_H
#define STEPMILL_IO_TIMER_HEAP_H

#include "stepmill/loop.h"

struct timer_heap {
    struct loop_timer *root; /* the first to fire, NULL when none is set */
    uint64_t order;          /* of the timer set last */
    uint64_t count;
};

void timer_heap_add(struct timer_heap *h, struct loop_timer *t, int64_t due_ms);
void timer_heap_remove(struct timer_heap *h, struct loop_timer *t);

#endif
