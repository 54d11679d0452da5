/* What the files of the index of tasks share. */
#ifndef DLQ_TASKS_PARTS_H
#define DLQ_TASKS_PARTS_H

#include "stepmill/utf8.h"
#include "tally.h"
#include "tasks.h"

enum { TASKS_TIME_SHIFT = 21 };

/* The numbers of this ms begin here. */
static inline int64_t task_num_at(int64_t ms)
{
    const int64_t max = (INT64_C(1) << (63 - TASKS_TIME_SHIFT)) - 1;

    return (ms < 0 ? 0 : ms > max ? max : ms) << TASKS_TIME_SHIFT;
}

struct tasks {
    struct database *db;
    struct tasks_options options;
    char *path;
    int64_t rows;
    struct arena *arena;    /* of the open batch */
    struct tallies touched; /* ids of its tasks */
};

/* tasks_sum.c: the task's row out of its steps. */
void tasks_sum_up(struct tasks *t, struct slice task_id);

#endif
