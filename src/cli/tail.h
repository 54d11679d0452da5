/* Between tail.c and tail_text.c: one record at a time, for people. */
#ifndef CLI_TAIL_H
#define CLI_TAIL_H

#include "link.h"
#include "stepmill/arena.h"
#include "stepmill/event.h"

enum tail_what { TAIL_RESULTS, TAIL_EVENTS, TAIL_DLQ };

struct tail {
    struct cli *cli;
    struct config *config;
    struct cli_link link;
    enum tail_what what;
    const char *task, *session, *agent, *since;
    bool follow, verbose, colour;
    int64_t limit, shown;
};

/* What a record says, as far as it could be read. */
struct tail_record {
    const struct kafka_record *kafka;
    struct slice task_id, session_id, agent;
    struct event event;        /* TAIL_EVENTS */
    struct task_result result; /* TAIL_RESULTS */
    const char *trouble;       /* why the value can't be read; NULL: fine */
};

struct slice tail_header(const struct kafka_record *r, const char *name);
void tail_put_text(const struct tail *t, const struct tail_record *r, struct buf *out);

#endif
