/* The collector of tasks: a thread that reads agent.events and folds them into the index of tasks (tasks.h). */
#ifndef DLQ_TASKS_COLLECT_H
#define DLQ_TASKS_COLLECT_H

#include "stepmill/config.h"
#include "stepmill/log.h"
#include "stepmill/loop.h"
#include "tasks.h"

struct tasks_collect;

struct tasks_collect_options {
    struct loop *loop;
    const struct config *config;
    const struct log *log;
    struct tasks_options tasks;
    void (*folded)(void *ctx); /* something was, since the last call; at most a few times a second */
    void *ctx;
};

MUST_CHECK struct error tasks_collect_start(const struct tasks_collect_options *options, struct tasks_collect **out);
/* Ends after the batch under way. NULL is fine. */
void tasks_collect_free(struct tasks_collect *t);

struct tasks_collect_status {
    uint64_t events, unreadable;
    int64_t lag; /* records; -1: not known */
    bool caught_up;
    const char *trouble;
};
struct tasks_collect_status tasks_collect_status(const struct tasks_collect *t);

#endif
