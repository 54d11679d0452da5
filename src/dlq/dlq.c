/* The dead-letter processor: its parts, how they start, and how they end. */
#include "dlq.h"

#include <signal.h>
#include <stdio.h>
#include <unistd.h>

enum {
    STOP_MS = 8000, /* for the transaction under way */
    ROUTES_MAX = 8,
    SECOND_MS = 1000,
    WRITER_CACHE = 128 * 1024 * 1024,
    READER_CACHE = 32 * 1024 * 1024,
    TASKS_CACHE = 32 * 1024 * 1024,
    FIELDS_MAX = 2000,
};

static void stop_now(struct dlq *d, bool failure)
{
    d->failed = d->failed || failure;
    d->state = DLQ_STOPPED;
    loop_stop(d->loop);
}

/* ---- What the parts say */

static void on_made(void *ctx)
{
    struct dlq *d = ctx;

    d->made = true;
    asks_ready(d->asks);
}

static void on_folded(void *ctx, const struct collect_news *news)
{
    struct dlq *d = ctx;

    if (d->redrives)
        redrives_folded(d->redrives, news);
    if (d->api)
        api_folded(d->api, news);
}

static void on_trouble(void *ctx, struct error why, const char *detail)
{
    struct dlq *d = ctx;

    (void)detail; /* the collector has logged it */
    if (why.class != CLASS_WAIT && why.class != CLASS_AGAIN)
        stop_now(d, true);
}

static void on_tasks_folded(void *ctx)
{
    struct dlq *d = ctx;

    if (d->api)
        api_tasks_changed(d->api);
}

static void on_fenced(void *ctx, const char *transactional_id)
{
    struct dlq *d = ctx;

    log_error(d->log, "dlq.fenced", LOG_TEXT("transactional_id", transactional_id),
              LOG_TEXT("reason", "another dead-letter processor of this dlq.name has started"),
              LOG_TEXT("action", "run one per dlq.name"));
    stop_now(d, true);
}

static void on_stopped(void *ctx) { stop_now(ctx, false); }

static void on_term(void *ctx, int signo)
{
    struct dlq *d = ctx;

    log_info(d->log, d->state == DLQ_RUNNING ? "dlq.stopping" : "dlq.stopped_now", LOG_INT("signal", signo));
    if (d->state != DLQ_RUNNING) {
        stop_now(d, false);
        return;
    }
    d->state = DLQ_STOPPING;
    redrives_stop(d->redrives, STOP_MS);
}

/* ---- Reload */

static void tell_change(void *ctx, const char *path, bool reloadable)
{
    struct dlq *d = ctx;

    if (strncmp(path, "dlq.", 4) != 0 && strncmp(path, "log.", 4) != 0 && !strstr(path, ".price."))
        return;
    if (reloadable)
        log_info(d->log, "config.changed", LOG_TEXT("option", path));
    else
        log_warn(d->log, "config.needs_restart", LOG_TEXT("option", path));
}

/* Only what reloads is taken over; the rest stays as it was at the start. */
static void take_over(struct dlq *d, const struct config *new)
{
    d->live.dlq.retry = new->dlq.retry;
    d->live.dlq.redrive = new->dlq.redrive;
    d->live.dlq.auto_redrives = new->dlq.auto_redrives;
    d->live.dlq.alerts.interval_ms = new->dlq.alerts.interval_ms;
    d->live.dlq.alerts.new_after_ms = new->dlq.alerts.new_after_ms;
    d->live.dlq.alerts.spike_factor = new->dlq.alerts.spike_factor;
    d->live.dlq.alerts.spike_min = new->dlq.alerts.spike_min;
    d->live.dlq.access.mask = new->dlq.access.mask;
    d->live.dlq.access.read_only = new->dlq.access.read_only;
    d->options->log->level = new->log.level;
}

static void on_hup(void *ctx, int signo)
{
    struct dlq *d = ctx;
    struct config_report report = {.count = 0};
    struct config *new = d->options->load ? d->options->load(d->options->ctx, &report) : NULL;

    (void)signo;
    for (size_t i = 0; i < report.count; i++)
        log_warn(d->log, "config.problem", LOG_TEXT("problem", report.problems[i].text));
    if (!new) {
        log_warn(d->log, "config.not_reloaded",
                 LOG_TEXT("action", "the running configuration stays; repair the file, send SIGHUP"));
        return;
    }
    config_changes(d->latest ? d->latest : d->options->config, new, tell_change, d);
    take_over(d, new);
    redrives_reload(d->redrives, d->config);
    api_reload(d->api, d->config);
    config_free(d->latest);
    d->latest = new;
}

/* ---- Beginning */

static struct error make_clients(struct dlq *d)
{
    const struct config *c = d->config;
    struct error error = http_client_new(d->loop, d->log, &(struct http_client_options){0}, &d->http);

    if (!failed(error))
        error = registry_new(&(struct registry_options){.loop = d->loop,
                                                        .client = d->http,
                                                        .log = d->log,
                                                        .config = &c->registry,
                                                        .limits = {.bytes = (size_t)c->limits.schema, .fields = FIELDS_MAX}},
                             &d->registry);
    return error;
}

static struct error make_index(struct dlq *d)
{
    const struct config_dlq *c = &d->config->dlq;
    struct store_options store = {.folder = c->folder, .value_max = c->value_max, .cache_bytes = READER_CACHE};
    struct tasks_options tasks = {.folder = c->tasks.keep_ms ? c->folder : NULL,
                                  .keep_ms = c->tasks.keep_ms,
                                  .rows_max = c->tasks.rows,
                                  .cache_bytes = READER_CACHE};
    struct error error =
        asks_start(&(struct asks_options){.loop = d->loop, .log = d->log, .store = store, .tasks = tasks}, &d->asks);

    store.cache_bytes = WRITER_CACHE;
    if (!failed(error))
        error = collect_start(&(struct collect_options){.loop = d->loop,
                                                        .config = d->config,
                                                        .log = d->log,
                                                        .store = store,
                                                        .events = {.folded = on_folded, .made = on_made, .trouble = on_trouble},
                                                        .ctx = d},
                              &d->collect);
    tasks.cache_bytes = TASKS_CACHE;
    if (!failed(error) && tasks.folder)
        error = tasks_collect_start(
            &(struct tasks_collect_options){
                .loop = d->loop, .config = d->config, .log = d->log, .tasks = tasks, .folded = on_tasks_folded, .ctx = d},
            &d->tasks);
    return error;
}

static struct error make_engine_and_api(struct dlq *d)
{
    struct http_server_route routes[ROUTES_MAX];
    size_t nroutes = dlq_make_routes(d, routes, ROUTES_MAX);
    char detail[512] = "";
    struct error error = redrives_new(&(struct redrives_options){.loop = d->loop,
                                                                 .config = d->config,
                                                                 .log = d->log,
                                                                 .asks = d->asks,
                                                                 .collect = d->collect,
                                                                 .registry = d->registry,
                                                                 .http = d->http,
                                                                 .process = d->process,
                                                                 .fenced = on_fenced,
                                                                 .stopped = on_stopped,
                                                                 .ctx = d},
                                      &d->redrives, detail, sizeof detail);

    if (failed(error)) {
        log_error(d->log, "dlq.engine", LOG_ERROR(error), LOG_TEXT("detail", detail));
        return error;
    }
    return api_new(&(struct api_options){.loop = d->loop,
                                         .config = d->config,
                                         .log = d->log,
                                         .asks = d->asks,
                                         .collect = d->collect,
                                         .registry = d->registry,
                                         .redrives = d->redrives,
                                         .http = d->http,
                                         .routes = routes,
                                         .nroutes = nroutes},
                   &d->api);
}

static struct error take_signals(struct dlq *d)
{
    struct error error = loop_on_signal(d->loop, SIGTERM, on_term, d);

    if (!failed(error))
        error = loop_on_signal(d->loop, SIGINT, on_term, d);
    if (!failed(error))
        error = loop_on_signal(d->loop, SIGHUP, on_hup, d);
    return error;
}

static void every_second(void *ctx)
{
    struct dlq *d = ctx;
    struct collect_status s = collect_status(d->collect);

    loop_timer_set(&d->second_timer, SECOND_MS);
    if (s.caught_up && !d->caught_up) {
        d->caught_up = true;
        log_info(d->log, "dlq.caught_up", LOG_INT("letters", s.letters), LOG_INT("actions", s.actions));
    }
    dlq_count(d);
}

static void dlq_free(struct dlq *d)
{
    loop_timer_cancel(&d->second_timer);
    collect_free(d->collect);
    tasks_collect_free(d->tasks);
    asks_free(d->asks);
    api_free(d->api); /* its calls wait for their questions */
    d->api = NULL;
    redrives_free(d->redrives);
    registry_free(d->registry);
    http_client_free(d->http);
    metrics_free(d->metrics);
    config_free(d->latest);
    loop_free(d->loop);
}

static struct error make(struct dlq *d)
{
    struct error error = make_clients(d);

    if (!failed(error))
        error = dlq_make_metrics(d);
    if (!failed(error))
        error = make_index(d);
    if (!failed(error))
        error = make_engine_and_api(d);
    if (!failed(error))
        error = take_signals(d);
    return error;
}

int dlq_run(const struct dlq_options *options)
{
    struct dlq d = {.options = options, .live = *options->config, .log = options->log, .loop = loop_new()};
    char host[256] = "";
    struct error error;

    d.config = &d.live;
    if (!d.loop) {
        log_error(d.log, "dlq.start", LOG_TEXT("reason", "no event loop: out of memory or descriptors"));
        return 1;
    }
    gethostname(host, sizeof host - 1);
    snprintf(d.process, sizeof d.process, "%s:%ld", host, (long)getpid());
    loop_timer_init(&d.second_timer, d.loop, every_second, &d);
    error = make(&d);
    if (failed(error)) {
        log_error(d.log, "dlq.start", LOG_ERROR(error));
        d.failed = true;
    } else {
        log_info(d.log, "dlq.start", LOG_TEXT("version", STEPMILL_VERSION), LOG_TEXT("name", d.config->dlq.name),
                 LOG_TEXT("folder", d.config->dlq.folder), LOG_INT("http_port", api_port(d.api)),
                 LOG_INT("auto_redrives", d.config->dlq.auto_redrives)); /* 0: nothing is sent back by itself */
        loop_timer_set(&d.second_timer, 10);
        loop_run(d.loop);
        log_info(d.log, "dlq.stop", LOG_BOOL("failed", d.failed));
    }
    dlq_free(&d);
    return d.failed ? 1 : 0;
}
