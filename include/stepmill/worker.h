/* The worker role: consumes agent.tasks.<agent>, runs the tasks, and settles each offset exactly once (DELIVERY §1). */
#ifndef STEPMILL_WORKER_PUBLIC_H
#define STEPMILL_WORKER_PUBLIC_H

#include "config.h"
#include "error.h"
#include "log.h"

struct worker_options {
    const struct config *config; /* CONFIG_NEED_ALL; outlives the call */
    struct log *log;             /* outlives the call; its level follows a reload */
    /* SIGHUP: loads the configuration again. NULL: it has errors, all in `report`. The worker frees it. */
    struct config *(*load)(void *ctx, struct config_report *report);
    void *ctx;
};

/* Runs until SIGTERM or SIGINT (drains: finish or checkpoint, commit, leave the group; a second signal = now) or until it can't
 * go on. Blocks; the loop runs on the calling thread. Returns the exit status: 0 drained, 1 failed (the log says why). What is
 * missing at start (broker, topic, registry, Redis, model) is said every few seconds and waited for. SIGHUP takes over what the
 * option table says reloads, and names what needs a restart. */
int worker_run(const struct worker_options *options);

#endif
