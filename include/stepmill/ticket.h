/* The claim check of an outside operation: it holds this, never a pointer; an answer whose ticket no longer fits is counted and
 * dropped. */
#ifndef STEPMILL_TICKET_H
#define STEPMILL_TICKET_H

#include <stdint.h>

struct ticket {
    uint64_t task;    /* task number, never used again within the process */
    uint32_t attempt; /* raised whenever the task starts another outside operation */
};

#endif
