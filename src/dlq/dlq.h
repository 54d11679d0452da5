/* The dead-letter processor's parts and how they hang together; private to dlq.c and health.c. */
#ifndef DLQ_DLQ_H
#define DLQ_DLQ_H

#include "api.h"
#include "ask.h"
#include "collect.h"
#include "redrive.h"
#include "stepmill/dlq.h"
#include "stepmill/metrics.h"
#include "tasks_collect.h"

enum dlq_state { DLQ_RUNNING, DLQ_STOPPING, DLQ_STOPPED };

struct dlq {
    const struct dlq_options *options;
    struct config live;          /* the options' config, with the values of the last reload */
    const struct config *config; /* &live */
    struct config *latest;       /* of the last reload; NULL: none */
    const struct log *log;
    enum dlq_state state;
    bool failed; /* exit status 1 */
    struct loop *loop;
    struct http_client *http;
    struct registry *registry;
    struct asks *asks;
    struct collect *collect;
    struct tasks_collect *tasks;
    struct redrives *redrives;
    struct api *api;
    struct metrics *metrics;
    char process[320];
    bool made;      /* the index can be read */
    bool caught_up; /* it was, once */
    struct loop_timer second_timer;
    int64_t counted_ms;
    uint64_t count_ticket; /* of the question for the metrics; 0: none is open */
};

/* health.c */
/* The routes of probes and metrics, with `d` as their context. */
size_t dlq_make_routes(struct dlq *d, struct http_server_route *routes, size_t room);
MUST_CHECK struct error dlq_make_metrics(struct dlq *d);
/* Asks the index for what the metrics show, now and then. */
void dlq_count(struct dlq *d);

#endif
