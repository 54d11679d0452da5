/* The records a history feeds into the input topics, and what each of them is owed. */
#ifndef SIM_FEED_H
#define SIM_FEED_H

#include "memory.h"
#include "model_script.h"
#include "stepmill/event.h"
#include "stepmill/kafka.h"

enum feed_kind {
    FEED_TASK,    /* a task; several records may name one task_id */
    FEED_REDRIVE, /* a dead letter sent again, with its number in a header */
    FEED_POISON,  /* can't be a task, and nobody can tell whose it is: a dead letter alone */
    FEED_REFUSED, /* can't be a task, but has a task_id: a dead letter and a failed result */
};
const char *feed_kind_name(enum feed_kind kind);

/* One task_id. */
struct fed_task {
    struct script_task script;
    struct slice session_id;
    uint64_t lost;    /* times Redis lost something of it that it had acknowledged */
    bool cancelled;   /* somebody asked for its end */
    bool was_deadly;  /* script.deadly, of any run */
    int32_t redrives; /* highest number sent so far */
};

/* One record. */
struct fed {
    enum feed_kind kind;
    struct fed_task *task; /* NULL: POISON */
    int32_t input;         /* which of the task's inputs: records with another number ask for other work */
    int32_t redrives;      /* header */
    const char *topic;
    int32_t partition;
    int64_t offset; /* -1: not appended yet */
    struct slice key, value;
    struct kafka_header *headers;
    size_t nheaders;
    int64_t timestamp;
};

/* Schedules the records of a history within this time from now. */
void feed_begin(int64_t until_ms);

#endif
