/* Reads committed offsets for the loop, on a thread of its own, because rd_kafka_committed blocks (DELIVERY §4.1).
 *
 * Ask once per partition; the answer comes exactly once, as soon as it is known, however long that takes. Nothing can be taken
 * back: the asker gives each question a number and ignores the answers whose number no longer fits.
 */
#ifndef STEPMILL_IO_KAFKA_LOOKUP_H
#define STEPMILL_IO_KAFKA_LOOKUP_H

#include "kafka_client.h"
#include "kafka_wake.h"

struct kafka_lookup;

struct kafka_answer {
    uint64_t number;
    const char *topic; /* NULL: the answer to a ping: a broker can be reached */
    int32_t partition;
    int64_t committed; /* stable; KAFKA_OFFSET_NONE: nothing committed */
    struct slice metadata;
};

/* Loop thread. `answered` runs on the loop. `rk` outlives it. NULL: no memory, descriptor or thread. */
struct kafka_lookup *kafka_lookup_new(struct event_base *base, rd_kafka_t *rk, const struct log *log,
                                      void (*answered)(void *context, const struct kafka_answer *a), void *context);
/* False: out of memory; ask again later. */
bool kafka_lookup_ask(struct kafka_lookup *l, const char *topic, int32_t partition, uint64_t number);
/* One answer with topic NULL as soon as a broker answers anything. */
bool kafka_lookup_ping(struct kafka_lookup *l);
/* Waits for the read in flight, up to about 5 s; no answer comes after it. NULL is fine. */
void kafka_lookup_free(struct kafka_lookup *l);

/* One blocking read, any thread. Number of partitions that are known (no error in the list's entry), or -1 when the request
 * itself failed: then the list says nothing, least of all "nothing committed". Errors are logged. */
int kafka_committed(rd_kafka_t *rk, rd_kafka_topic_partition_list_t *list, int timeout_ms, const struct log *log);

#endif
