/* Values that may change while the worker runs: taken over on SIGHUP, and bounded by what the machine allows. */
#include <sys/resource.h>

#include "worker.h"

enum { FILES_RESERVED = 128 }; /* logs, Kafka, Redis, probes */

/* Every task in flight may hold a connection. */
static int64_t connections_allowed(void)
{
    struct rlimit files;

    if (getrlimit(RLIMIT_NOFILE, &files))
        return INT32_MAX;
    if (files.rlim_cur < files.rlim_max) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
        (void)getrlimit(RLIMIT_NOFILE, &files);
    }
    if (files.rlim_cur == RLIM_INFINITY || files.rlim_cur > INT32_MAX)
        return INT32_MAX;
    return files.rlim_cur > 2 * FILES_RESERVED ? (int64_t)(files.rlim_cur - FILES_RESERVED) * 3 / 4 : FILES_RESERVED;
}

void worker_bound_in_flight(struct worker *w)
{
    int64_t each = connections_allowed() / (w->nagents ? (int64_t)w->nagents : 1);

    for (size_t i = 0; i < w->nagents; i++) {
        struct config_agent *values = &w->agents[i].values;

        if (values->max_in_flight <= each)
            continue;
        log_warn(w->log, "worker.max_in_flight_lowered", LOG_SLICE("agent_id", w->agents[i].name),
                 LOG_INT("from", values->max_in_flight), LOG_INT("to", each),
                 LOG_TEXT("action", "raise the limit of open files (ulimit -n, LimitNOFILE=) if more is wanted"));
        values->max_in_flight = (int32_t)each;
    }
}

static void take_agent(struct config_agent *to, const struct config_agent *from)
{
    to->max_steps = from->max_steps;
    to->token_budget = from->token_budget;
    to->deadline_ms = from->deadline_ms;
    to->max_in_flight = from->max_in_flight;
    to->max_waiting = from->max_waiting;
    to->session_memory = from->session_memory;
    to->session_token_budget = from->session_token_budget;
}

static void take(struct worker *w, const struct config *from)
{
    w->live.retry = from->retry;
    w->live.breaker = from->breaker;
    w->live.dlq = from->dlq;
    w->live.limits.record = from->limits.record;
    w->live.limits.model_answer = from->limits.model_answer;
    w->live.limits.tool_answer = from->limits.tool_answer;
    w->live.worker.commit_interval_ms = from->worker.commit_interval_ms;
    w->live.worker.events_interval_ms = from->worker.events_interval_ms;
    w->live.worker.drain_timeout_ms = from->worker.drain_timeout_ms;
    w->log_to_set->level = from->log.level;
    for (size_t i = 0; i < w->nagents; i++) {
        const struct config_agent *agent = config_agent(from, w->agents[i].name);

        if (agent)
            take_agent(&w->agents[i].values, agent);
    }
    worker_bound_in_flight(w);
}

static void tell(void *context, const char *path, bool reloadable)
{
    struct worker *w = context;

    if (reloadable)
        log_info(w->log, "config.changed", LOG_TEXT("option", path));
    else
        log_warn(w->log, "config.needs_restart", LOG_TEXT("option", path),
                 LOG_TEXT("action", "restart the worker to take this over"));
}

void worker_reload(struct worker *w)
{
    struct config_report report = {.count = 0};
    struct config *fresh = w->options->load(w->options->ctx, &report);

    for (size_t i = 0; i < report.count; i++)
        log_warn(w->log, report.problems[i].warning ? "config.warning" : "config.error",
                 LOG_TEXT("problem", report.problems[i].text));
    if (!fresh) {
        log_error(w->log, "config.reload_failed", LOG_INT("errors", report.errors),
                  LOG_TEXT("action", "mend the file; the worker goes on with what it has"));
        return;
    }
    config_changes(w->latest ? w->latest : w->options->config, fresh, tell, w);
    take(w, fresh);
    config_free(w->latest);
    w->latest = fresh;
    log_info(w->log, "config.reloaded", LOG_TEXT("file", fresh->path));
    w->admission_due = true;
}
