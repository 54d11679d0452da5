/* The registry of metrics as its two files see it. */
#ifndef STEPMILL_BASE_METRICS_PRIVATE_H
#define STEPMILL_BASE_METRICS_PRIVATE_H

#include "stepmill/metrics.h"

enum {
    SERIES_TABLE = 256, /* hash chains of a family with labels */
    LABEL_TEXT_MAX = METRIC_LABELS_MAX * (METRIC_VALUE_MAX + 1),
    REFRESHERS_MAX = 16,
};

enum metric_kind { KIND_COUNTER, KIND_GAUGE, KIND_HISTOGRAM };

struct series {
    struct metric metric;
    struct series *next;      /* of the family, oldest first */
    struct series *collision; /* of the hash chain */
    size_t labels_size;
    char labels[]; /* values, each with its terminator */
};

struct metric_family {
    struct metrics *metrics;
    struct metric_family *next;
    enum metric_kind kind;
    const char *name;
    const char *help;
    size_t label_count;
    const char *const *labels;
    size_t bound_count;
    const double *bounds;
    struct series *first, **last;
    struct series **table; /* SERIES_TABLE chains; NULL until the first series with labels */
    size_t count;
};

struct refresher {
    void (*call)(void *ctx);
    void *ctx;
};

struct metrics {
    struct metric_family *first, **last;
    struct refresher refreshers[REFRESHERS_MAX];
    size_t refresher_count;
    struct metric_family nowhere; /* handed out when there is no memory */
    struct metric lost;           /* its only series */
    uint64_t lost_buckets[1];
};

#endif
