/* One scan of agent.events for the cells of many tasks; on a reader thread. */
#ifndef DLQ_RESTORE_SCAN_H
#define DLQ_RESTORE_SCAN_H

#include "ask.h"
#include "stepmill/config.h"
#include "stepmill/history.h"

struct restore_task;

struct scan_question {
    struct restore_task **tasks; /* sorted by scan_sort */
    size_t n;
    const struct config *config;
};

/* A record that says which cell it is (ce_id). */
struct scan_cell {
    int32_t seq;
    struct digest digest;
    struct slice bytes;
    const struct scan_cell *older; /* read before it */
};
/* In the order of the question's tasks; the answer's result is an array of these. */
struct scan_task {
    const struct scan_cell *newest;
    bool ended; /* the failure that made its letter was read */
};

void scan_sort(struct restore_task **tasks, size_t n);
ask_run scan_run;

#endif
