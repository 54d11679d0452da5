/* A consumed record that outlives the poll: one piece of memory per record. */
#ifndef WORKER_RECORD_H
#define WORKER_RECORD_H

#include "stepmill/event.h"
#include "stepmill/kafka.h"
#include "stepmill/partition.h"

struct record {
    struct waiting waiting; /* offset and key */
    const char *topic;      /* of the agent: outlives every record */
    int32_t partition;
    int64_t timestamp;
    enum kafka_time time_kind;
    struct slice value;
    struct kafka_header *headers;
    size_t nheaders;
    size_t size;
};

/* NULL: out of memory. */
struct record *record_copy(const struct kafka_record *from, const char *topic);
void record_free(struct record *r);

/* Value of the last header of that name; absent when there is none. */
struct slice record_header(const struct record *r, const char *name);
struct origin record_origin(const struct record *r);

#endif
