/* Inside a batch: what the helper thread needs of it. */
#ifndef STEPMILL_IO_KAFKA_BATCH_H
#define STEPMILL_IO_KAFKA_BATCH_H

#include "stepmill/arena.h"
#include "stepmill/kafka_txn.h"

struct batch_offset {
    struct kafka_partition partition;
    int64_t offset;
    struct slice metadata;
};

struct kafka_batch {
    struct arena *arena; /* all bytes of records and offsets */
    struct kafka_output *records;
    size_t nrecords, records_room;
    struct batch_offset *offsets;
    size_t noffsets, offsets_room;
    size_t bytes;
    struct kafka_membership *membership;
    bool one_producer; /* only the one after `producer` replacements may send it */
    uint64_t producer;
    struct kafka_stored *stored; /* one per offset, filled by a reread; its metadata is in the arena */
};

#endif
