/* Counters, gauges and histograms, written as Prometheus text (exposition format 0.0.4).
 *
 *     struct metric_family *tasks = metrics_counter(m, "agent_tasks_total", "Tasks that ended.", 2, (const char *[]){"agent_id",
 * "status"}); struct metric *done = metric_of(tasks, (struct slice[]){agent, SLICE("completed")});    // once, keep the pointer
 *     metric_add(done, 1);                                                                    // hot path: one addition
 *
 * A family holds at most METRIC_SERIES_MAX series; label values beyond that share one series whose labels are all "other", so
 * hostile or careless label values can't eat the memory. No function here fails in a way a caller must handle: without memory,
 * values go to a series that is not shown. Loop thread only. All pointers live until metrics_free.
 */
#ifndef STEPMILL_METRICS_H
#define STEPMILL_METRICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bytes.h"

struct metrics;
struct metric_family;

enum {
    METRIC_SERIES_MAX = 1000,
    METRIC_LABELS_MAX = 6,
    METRIC_VALUE_MAX = 128, /* bytes of a label value; longer ones are cut */
    METRIC_BUCKETS_MAX = 32,
};

/* One series. Fields are for the inline functions below. */
struct metric {
    double value;      /* counter, gauge; histogram: sum */
    uint64_t *buckets; /* histogram: count per bucket (not cumulative), the last is +Inf */
    const double *bounds;
    size_t bound_count;
};

/* NULL: out of memory. */
struct metrics *metrics_new(void);
void metrics_free(struct metrics *m);

/* Families, in the order they will be shown. Name, help, label names and bounds are static and right ([a-zA-Z_][a-zA-Z0-9_]*,
 * bounds rising), else it is a BUG; so is a name registered twice with another kind or other labels (the same again gives the
 * same family). 0 labels: the family is one series. */
struct metric_family *metrics_counter(struct metrics *m, const char *name, const char *help, size_t label_count,
                                      const char *const *labels);
struct metric_family *metrics_gauge(struct metrics *m, const char *name, const char *help, size_t label_count,
                                    const char *const *labels);
struct metric_family *metrics_histogram(struct metrics *m, const char *name, const char *help, size_t label_count,
                                        const char *const *labels, size_t bound_count, const double *bounds);

/* The series with these label values (as many as the family has labels; NULL for none), made on first use. Values are copied;
 * bytes that are not UTF-8 become "?". Never NULL. Looking one up costs a hash; keep the pointer where it is hot. */
struct metric *metric_of(struct metric_family *f, const struct slice *values);

static inline void metric_add(struct metric *s, double n) { s->value += n; } /* counter (n ≥ 0) or gauge */
static inline void metric_set(struct metric *s, double v) { s->value = v; }  /* gauge; a counter that is kept elsewhere */
/* Gauges: every series of the family shows 0 until it is set again, so that what is no more does not stay. */
void metrics_zero(struct metric_family *f);
void metric_observe(struct metric *s, double v); /* histogram, in the unit its name says */

/* `refresh` runs before each metrics_write: to set gauges that are read from elsewhere. At most 16 (BUG). */
void metrics_on_write(struct metrics *m, void (*refresh)(void *ctx), void *ctx);
/* All families that have a series. Content type: METRICS_CONTENT_TYPE. Nothing is written half: if `out` is too small its
 * `failed` is set. */
void metrics_write(struct metrics *m, struct buf *out);

#define METRICS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

#endif
