/* The two halves of live_kafka: the worker, and the tools around it. Not a unit test: it needs a running Kafka (tools/stack up).
 */
#ifndef STEPMILL_TESTS_LIVE_KAFKA_H
#define STEPMILL_TESTS_LIVE_KAFKA_H

#include <stdbool.h>
#include <stdint.h>

#include "stepmill/kafka_txn.h"

/* Consumes `in`, "works" on each record for 0 – 1 s so that records end in any order, and commits outputs and offsets every 20
 * ms. Ends on SIGTERM, or when nothing has come for `idle_s` and everything is committed. Exit code. */
int live_work(const char *bootstrap, const char *group, const char *slot, const char *in, const char *out, int idle_s);

int live_setup(const char *bootstrap, const char *in, const char *out, int partitions);
int live_feed(const char *bootstrap, const char *in, int records, int size);
/* Every record of `in` has exactly one read_committed record in `out`, and the group's offsets cover all of it, lag 0. */
int live_check(const char *bootstrap, const char *group, const char *in, const char *out);

/* Whether the group holds this record as finished, after a reread. */
bool live_is_stored(const struct kafka_batch *b, const struct kafka_result *r, int partition, int64_t record);
void live_sort(int64_t *at, int n);

#endif
