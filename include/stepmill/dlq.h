/* The dead-letter processor: `stepmill dlq serve` (DESIGN §2). Index, alerts, delayed retry, redrive, review API and dashboard.
 */
#ifndef STEPMILL_DLQ_PUBLIC_H
#define STEPMILL_DLQ_PUBLIC_H

#include "config.h"
#include "error.h"
#include "log.h"

struct dlq_options {
    const struct config *config; /* CONFIG_NEED_DLQ; outlives the call */
    struct log *log;             /* outlives the call; its level follows a reload */
    /* SIGHUP: loads the configuration again. NULL: it has errors, all in `report`. dlq_run frees it. */
    struct config *(*load)(void *ctx, struct config_report *report);
    void *ctx;
};

/* Runs until SIGTERM or SIGINT (answers what it can, ends the transaction, closes the index; a second signal: now) or until it
 * can't go on. Blocks; the loop runs on the calling thread. Returns the exit status: 0 stopped, 1 failed (the log says why:
 * another processor of the same dlq.name took over, the index folder can't be written, …). Outages of brokers and registry are
 * waited for. */
int dlq_run(const struct dlq_options *options);

#endif
