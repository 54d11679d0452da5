/* What the outside sees: probes with their details, and metrics. */
#include <stdlib.h>

#include "stepmill/json.h"
#include "worker.h"

static const double duration_bounds[] = {0.5, 1, 2, 5, 10, 30, 60, 120};
static const double step_bounds[] = {1, 2, 3, 5, 8, 10, 15, 20, 25};

/* The registry keeps the names, so they must be static. */
static const char *const agent_and_status[] = {"agent_id", "status"};
static const char *const agent_only[] = {"agent_id"};
static const char *const agent_and_token[] = {"agent_id", "token_type"};
static const char *const tool_and_status[] = {"tool_name", "status"};
static const char *const agent_and_tool[] = {"agent_id", "tool_name"};
static const char *const agent_and_class[] = {"agent_id", "class"};
static const char *const model_and_outcome[] = {"model", "outcome"};
static const char *const outage_only[] = {"outage"};
static const char *const state_only[] = {"state"};

static struct metric *counter(struct metrics *m, const char *name, const char *help)
{
    return metric_of(metrics_counter(m, name, help, 0, NULL), NULL);
}

static void make_numbers(struct metrics *m, struct worker_numbers *n)
{
    n->tasks = metrics_counter(m, "agent_tasks_total", "Tasks that ended and whose result is committed.", 2, agent_and_status);
    n->task_duration = metrics_histogram(m, "agent_task_duration_seconds", "From TaskStarted to the terminal event.", 1,
                                         agent_only, 8, duration_bounds);
    n->tokens =
        metrics_counter(m, "agent_llm_tokens_total", "Tokens of model calls, as the provider counted them.", 2, agent_and_token);
    n->tool_calls = metrics_counter(m, "agent_tool_calls_total", "Tool calls answered.", 2, tool_and_status);
    n->rate_waits = metrics_counter(m, "stepmill_tool_rate_waits_total", "Times a tool call waited for its tool's rate_limit.", 2,
                                    agent_and_tool);
    n->steps = metrics_histogram(m, "agent_steps_per_task", "Model calls per task.", 1, agent_only, 9, step_bounds);
    n->dead_letters = metrics_counter(m, "stepmill_dead_letters_total", "Dead letters written.", 2, agent_and_class);
    n->model_calls = metrics_counter(m, "stepmill_model_calls_total", "Calls to models by outcome: ok, or the code of the error.",
                                     2, model_and_outcome);
    n->outages = metrics_counter(m, "stepmill_waits_total", "Times a task began to wait for an outage to end.", 1, outage_only);
    n->admitted = counter(m, "stepmill_records_admitted_total", "Records that became tasks.");
    n->duplicates = counter(m, "stepmill_duplicates_total", "Records of tasks that are known already: finished without records.");
    n->poisoned = counter(m, "stepmill_poison_total", "Records that can't be tasks.");
    n->adopted = counter(m, "stepmill_cells_adopted_total", "Events taken over from another runner of the same task.");
    n->stale = counter(m, "stepmill_cells_stale_total", "Times Redis held another history than ours.");
    n->late = counter(m, "stepmill_late_answers_total", "Answers of outside operations that nobody waited for any more.");
    n->dropped = counter(m, "stepmill_tasks_dropped_total", "Tasks given up with their partition; the next owner resumes them.");
    n->wasted = counter(m, "stepmill_calls_wasted_total", "Model and tool calls given up while under way.");
    n->tokens_unrecorded = counter(m, "stepmill_tokens_unrecorded_total", "Tokens spent on answers that became no event.");
    n->events = counter(m, "stepmill_events_total", "Events sent to agent.events, repetitions included.");
    n->batches = counter(m, "stepmill_transactions_total", "Kafka transactions tried.");
}

void worker_count(struct metric *m, double n) { metric_add(m, n); }

static void gauge(struct metrics *m, const char *name, const char *help, double v)
{
    metric_set(metric_of(metrics_gauge(m, name, help, 0, NULL), NULL), v);
}

/* Gauges are read when somebody asks. */
static void refresh(void *ctx)
{
    struct worker *w = ctx;
    struct loop_stats loop = loop_stats(w->loop);
    struct http_client_stats http = http_client_stats(w->http);
    struct metric_family *states = metrics_gauge(w->metrics, "stepmill_tasks", "Tasks by what they wait for.", 1, state_only);
    size_t waiting = 0, paused = 0;

    for (enum task_state s = 0; s < TASK_GONE; s++)
        metric_set(metric_of(states, (struct slice[]){slice_of(task_state_name(s))}), (double)w->tasks[s].count);
    for (struct list_node *n = w->owned.first; n; n = n->next) {
        const struct owned *o = list_entry(n, struct owned, node);

        waiting += o->partition.nwaiting;
        paused += o->paused;
    }
    gauge(w->metrics, "stepmill_records_waiting", "Records read that wait for their lane or a slot.", (double)waiting);
    gauge(w->metrics, "stepmill_partitions_owned", "Partitions this worker reads.", (double)w->owned.count);
    gauge(w->metrics, "stepmill_partitions_paused", "Partitions paused because they are full.", (double)paused);
    gauge(w->metrics, "stepmill_outbox_bytes", "Bytes that wait for a transaction.", (double)w->outbox_bytes);
    gauge(w->metrics, "stepmill_redis_up", "1 while Redis takes writes.", redis_is_up(w->redis));
    gauge(w->metrics, "stepmill_http_requests_running", "Requests to models and tools under way.", (double)http.running);
    gauge(w->metrics, "stepmill_http_connections", "Connections to models and tools.", (double)http.connections);
    gauge(w->metrics, "stepmill_loop_slow_turns", "Turns of the loop that took over 100 ms of CPU: each is a bug.",
          (double)loop.slow_turns);
    gauge(w->metrics, "stepmill_loop_longest_turn_seconds", "Longest turn of the loop since the last scrape, CPU time.",
          (double)loop.longest_us / 1e6);
    loop_stats_restart_longest(w->loop);
}

void worker_count_result(struct task *t, const struct task_result *r)
{
    struct worker_numbers *n = t->worker->numbers;
    const struct history *h = &t->history;
    struct slice agent = t->agent->name;

    metric_add(metric_of(n->tasks, (struct slice[]){agent, r->status}), 1);
    metric_observe(metric_of(n->task_duration, &agent), (double)r->duration_ms / 1000);
    /* Of a redriven task what this run has used: the rest was counted with the results before. */
    metric_observe(metric_of(n->steps, &agent), r->steps_used - h->before.steps);
    metric_add(metric_of(n->tokens, (struct slice[]){agent, SLICE("prompt")}),
               (double)(r->prompt_tokens - h->before.prompt_tokens));
    metric_add(metric_of(n->tokens, (struct slice[]){agent, SLICE("completion")}),
               (double)(r->completion_tokens - h->before.completion_tokens));
    log_info(t->worker->log, "agent.task.completed", LOG_SLICE("task_id", r->task_id), LOG_SLICE("agent_id", agent),
             LOG_SLICE("status", r->status), LOG_SLICE("error", r->error), LOG_INT("steps", r->steps_used),
             LOG_INT("tokens", r->tokens_used), LOG_INT("tool_calls", r->tool_calls), LOG_INT("duration_ms", r->duration_ms),
             LOG_SLICE("trace_id", t->history.trace_id));
}

void worker_log_attempt(const struct task *t, const char *event, struct slice name, struct error error,
                        const struct http_answer *a)
{
    log_info(t->worker->log, event, LOG_SLICE("task_id", t->input.task_id), LOG_SLICE("name", name), LOG_ERROR(error),
             LOG_TEXT("detail", a->detail), LOG_INT("status", a->status), LOG_BOOL("reused", a->reused),
             LOG_INT("took_ms", a->total_us / 1000));
}

static void put_dependency(struct buf *b, const char *name, bool ok, const char *code, const char *detail)
{
    if (b->at[b->len - 1] != '{')
        buf_put_byte(b, ',');
    json_put_string(b, slice_of(name));
    buf_put_text(b, ok ? ":{\"ok\":true" : ":{\"ok\":false");
    if (code) {
        buf_put_text(b, ",\"code\":");
        json_put_string(b, slice_of(code));
    }
    if (detail && *detail) {
        buf_put_text(b, ",\"detail\":");
        json_put_string(b, slice_of(detail));
    }
    buf_put_byte(b, '}');
}

static bool kafka_ok(struct worker *w, const char **trouble)
{
    struct kafka_source_status s = {.joined = false};

    *trouble = "not_started";
    if (!w->source)
        return false;
    kafka_source_status(w->source, &s);
    *trouble = s.trouble ? s.trouble : s.joined ? s.pending ? "offsets_pending" : NULL : "joining";
    for (size_t i = 0; i < w->nagents; i++)
        if (w->agents[i].topic_missing) {
            *trouble = "topic_missing";
            return false;
        }
    return s.joined && s.connected && !s.pending;
}

static bool put_models(struct worker *w, struct buf *b)
{
    bool all = true;

    buf_put_text(b, "},\"models\":{");
    for (size_t i = 0; i < w->nmodels; i++) {
        bool closed = endpoint_ready_ms(&w->models[i].health, loop_now_ms(w->loop)) > loop_now_ms(w->loop);

        all &= !closed;
        put_dependency(b, w->models[i].config->name, !closed, closed ? w->models[i].last_error.code : NULL,
                       closed ? w->models[i].last_error.text : NULL);
    }
    buf_put_text(b, "}}");
    return all;
}

bool worker_is_ready(struct worker *w, struct buf *detail)
{
    struct registry_state registry = registry_state(w->registry);
    struct error redis = redis_why_down(w->redis);
    const char *trouble;
    bool kafka = kafka_ok(w, &trouble);
    bool ready = kafka && registry.ready && !failed(redis) && w->state == WORKER_RUNNING;
    struct buf rest = BUF(64 * 1024);
    bool models;

    buf_put_text(&rest, "{");
    put_dependency(&rest, "kafka", kafka, trouble, NULL);
    put_dependency(&rest, "redis", !failed(redis), redis.code, redis.text);
    put_dependency(&rest, "schema_registry", registry.ready, registry.ready ? NULL : registry.error.code,
                   registry.ready ? NULL : registry.detail);
    models = put_models(w, &rest);
    buf_printf(detail, "{\"status\":\"%s\",\"dependencies\":", !ready ? "unready" : models ? "ready" : "degraded");
    buf_put_slice(detail, buf_slice(&rest));
    buf_free(&rest);
    return ready;
}

static void answer_ready(void *ctx, struct http_server_call *call)
{
    struct buf body = BUF(128 * 1024);
    bool ready = worker_is_ready(ctx, &body);

    buf_put_byte(&body, '\n');
    http_server_answer(call, ready ? 200 : 503, "application/json", buf_slice(&body));
    buf_free(&body);
}

static void answer_live(void *ctx, struct http_server_call *call)
{
    (void)ctx;
    http_server_answer(call, 200, "application/json", SLICE("{\"status\":\"alive\"}\n"));
}

static void answer_metrics(void *ctx, struct http_server_call *call)
{
    struct worker *w = ctx;
    struct buf body = BUF(16 * 1024 * 1024);

    metrics_write(w->metrics, &body);
    if (body.failed)
        http_server_answer(call, 500, "text/plain", SLICE("the metrics do not fit into memory\n"));
    else
        http_server_answer(call, 200, METRICS_CONTENT_TYPE, buf_slice(&body));
    buf_free(&body);
}

struct error worker_serve(struct worker *w)
{
    const struct http_server_route routes[] = {
        {"GET", "/livez", answer_live, w},  {"GET", "/health", answer_live, w},     {"GET", "/readyz", answer_ready, w},
        {"GET", "/ready", answer_ready, w}, {"GET", "/metrics", answer_metrics, w},
    };

    w->metrics = metrics_new();
    w->numbers = calloc(1, sizeof *w->numbers);
    if (!w->metrics || !w->numbers)
        return error_make(CLASS_INTERNAL, "out_of_memory", "no memory left at start");
    make_numbers(w->metrics, w->numbers);
    metrics_on_write(w->metrics, refresh, w);
    return http_server_new(w->loop, w->log,
                           &(struct http_server_options){
                               .listen = w->config->http.listen, .routes = routes, .route_count = sizeof routes / sizeof *routes},
                           &w->server);
}
