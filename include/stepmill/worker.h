/* The worker role: consumes agent.tasks.<agent>, runs the tasks, and settles each offset exactly once (DELIVERY §1). */
#ifndef STEPMILL_WORKER_PUBLIC_H
#define STEPMILL_WORKER_PUBLIC_H

#include "config.h"
#include "error.h"
#include "log.h"

/* Runs until SIGTERM or SIGINT (drains: finish or checkpoint, commit, leave the group; a second signal = now) or until it can't
 * go on. Blocks; the loop runs on the calling thread. `config` and `log` outlive the call. Returns the exit status: 0 drained, 1
 * failed (the log says why). What is missing at start (broker, topic, registry, Redis, model) is said every few seconds and
 * waited for. */
int worker_run(const struct config *config, const struct log *log);

#endif
