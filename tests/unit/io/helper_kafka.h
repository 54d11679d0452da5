/* A Kafka for the unit tests: librdkafka's mock cluster, one broker, topics "in" and "out" with two partitions each, and a loop
 * that is turned until something is true. */
#ifndef STEPMILL_TESTS_HELPER_KAFKA_H
#define STEPMILL_TESTS_HELPER_KAFKA_H

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include "stepmill/kafka_admin.h"
#include "stepmill/kafka_source.h"
#include "stepmill/kafka_txn.h"
#include "stepmill/log.h"

enum { SEEN_MAX = 256 };

/* Kafka's numbers of the requests that tests break. */
enum { API_PRODUCE = 0, API_ADD_OFFSETS = 25, API_END_TXN = 26, API_TXN_OFFSETS = 28 };

/* What one source told its app. */
struct app {
    struct kafka_world *world;
    struct kafka_source *source;
    int64_t start;        /* what `assigned` returns when nothing is committed; 0 = the beginning */
    bool release_at_once; /* in `revoked` */
    int assigned, revoked, lost, stopped, closed, troubles;
    uint64_t assignment[2];
    int64_t committed[2];
    char metadata[2][64];
    struct {
        int32_t partition;
        int64_t offset;
        uint64_t assignment;
        char value[32];
        bool has_key, has_value;
        size_t nheaders;
        bool null_header;
    } seen[SEEN_MAX];
    int nseen;
    int pause_after; /* pause the partition inside the record callback after so many; 0: never */
    const char *stopped_code;
};

struct kafka_world {
    struct event_base *base;
    rd_kafka_t *mock_client;
    rd_kafka_mock_cluster_t *mock;
    struct kafka_option pairs[3];
    struct kafka_options options;
    struct log log; /* TEST_LOG in the environment: everything */
    struct kafka_txn *txn;
    int ready, done, fenced, ended;
    int ready_before_done; /* what `ready` was when the last batch was done */
    struct kafka_result result;
    int64_t stored[2];
    char stored_metadata[64];
};

struct kafka_world *kafka_world_new(void);
void kafka_world_free(struct kafka_world *w);
/* Turns the loop until *value >= want, or fails the test after 60 s. */
void kafka_world_wait(struct kafka_world *w, const int *value, int want);
/* Turns the loop for that long. */
void kafka_world_turn(struct kafka_world *w, int ms);
/* n records "<from>", "<from + 1>", … into partition p of "in". */
void kafka_world_feed(struct kafka_world *w, int32_t p, int from, int n);
void kafka_world_commit(struct kafka_world *w, int32_t p, int64_t offset, const char *metadata);

void app_start(struct app *a, struct kafka_world *w);
/* Close, release, wait for `closed`, free. */
void app_end(struct app *a);

void world_start_txn(struct kafka_world *w, struct kafka_source *s);
/* A batch of n small records and, when a source is given, an offset of partition 0 with metadata "m"; waits for its fate. */
void world_run_batch(struct kafka_world *w, struct kafka_source *s, int n, int64_t offset);
void world_end_txn(struct kafka_world *w);

#endif
