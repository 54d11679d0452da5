/* What the outside sees of the dead-letter processor: probes with their details, and metrics. */
#include "dlq.h"
#include "stepmill/clock.h"
#include "stepmill/json.h"

enum { STUCK_MS = 10000, COUNT_MS = 10000, DETAIL_MAX = 64 * 1024, METRICS_MAX = 4 * 1024 * 1024 };

static const char *const status_only[] = {"status"};
static const char *const class_only[] = {"class"};
static const char *const agent_only[] = {"agent_id"};
static const char *const reason_only[] = {"reason"};
static const char *const kind_only[] = {"kind"};

static void gauge(struct metrics *m, const char *name, const char *help, double v)
{
    metric_set(metric_of(metrics_gauge(m, name, help, 0, NULL), NULL), v);
}

static void counter(struct metrics *m, const char *name, const char *help, double v)
{
    metric_set(metric_of(metrics_counter(m, name, help, 0, NULL), NULL), v);
}

/* ---- What the index knows, asked now and then */

struct counts {
    struct overview overview;
};

static struct error run_count(struct ask_place *place, void *question, struct answer *answer)
{
    struct counts *c = arena_alloc(answer->arena, sizeof *c);

    (void)question;
    if (!c)
        return error_make(CLASS_INTERNAL, "out_of_memory", "no memory left for the counts");
    answer->result = c;
    return store_overview(place->store, 0, 0, 60000, answer->arena, &c->overview);
}

static void set_tallies(struct metric_family *f, const struct tally *t, size_t n)
{
    for (size_t i = 0; i < n; i++)
        metric_set(metric_of(f, &t[i].name), (double)t[i].n);
}

/* What is there no more counts 0, not what it was. */
static void show_counts(struct dlq *d, const struct overview *o)
{
    struct metrics *m = d->metrics;
    struct metric_family *statuses =
        metrics_gauge(m, "stepmill_dlq_letters", "Dead letters by what has become of them.", 1, status_only);
    struct metric_family *classes =
        metrics_gauge(m, "stepmill_dlq_unfinished_by_class", "Dead letters that want something, by class.", 1, class_only);
    struct metric_family *agents =
        metrics_gauge(m, "stepmill_dlq_unfinished_by_agent", "Dead letters that want something, by agent.", 1, agent_only);
    int64_t now = clock_wall_ms();

    for (enum letter_status s = 0; s < LETTER_STATUSES; s++)
        metric_set(metric_of(statuses, (struct slice[]){slice_of(letter_status_name(s))}), (double)o->by_status[s]);
    metrics_zero(classes);
    metrics_zero(agents);
    set_tallies(classes, o->classes, o->nclasses);
    set_tallies(agents, o->agents, o->nagents);
    gauge(m, "stepmill_dlq_groups", "Groups of letters with one cause.", (double)o->groups);
    gauge(m, "stepmill_dlq_groups_unfinished", "Groups with letters that want something.", (double)o->groups_unfinished);
    gauge(m, "stepmill_dlq_oldest_unfinished_seconds", "Age of the oldest letter that wants something; 0: none.",
          o->oldest_unfinished_ms < 0 ? 0 : (double)(now - o->oldest_unfinished_ms) / 1000);
}

static void counted(void *ctx, uint64_t ticket, void *question, struct answer *answer)
{
    struct dlq *d = ctx;
    const struct counts *c = answer->result;

    (void)ticket, (void)question;
    d->count_ticket = 0;
    if (!failed(answer->error))
        show_counts(d, &c->overview);
}

void dlq_count(struct dlq *d)
{
    int64_t now = loop_now_ms(d->loop);

    if (!d->made || d->count_ticket || now - d->counted_ms < COUNT_MS)
        return;
    d->counted_ms = now;
    d->count_ticket = ask(d->asks, ASK_INDEX, run_count, counted, d, "", 0);
}

/* ---- What the parts know, read when somebody asks */

static void show_collectors(struct dlq *d)
{
    struct collect_status c = collect_status(d->collect);
    struct metric_family *folded =
        metrics_counter(d->metrics, "stepmill_dlq_folded_total", "Records folded into the index since start.", 1, kind_only);

    metric_set(metric_of(folded, (struct slice[]){SLICE("letter")}), (double)c.letters);
    metric_set(metric_of(folded, (struct slice[]){SLICE("action")}), (double)c.actions);
    counter(d->metrics, "stepmill_dlq_foreign_total", "Of the letters: those written by others.", (double)c.foreign);
    gauge(d->metrics, "stepmill_dlq_actions_held", "1: actions wait for the schema registry, letters are collected.", c.waiting);
    counter(d->metrics, "stepmill_dlq_unreadable_total", "Actions that could not be read.", (double)c.unreadable);
    gauge(d->metrics, "stepmill_dlq_lag_records", "Records that the index is behind; -1: not known.", (double)c.lag);
    if (d->tasks) {
        struct tasks_collect_status t = tasks_collect_status(d->tasks);

        metric_set(metric_of(folded, (struct slice[]){SLICE("event")}), (double)t.events);
        gauge(d->metrics, "stepmill_dlq_tasks_lag_records", "Events that the task view is behind; -1: not known.", (double)t.lag);
    }
}

static void show_engine(struct dlq *d)
{
    struct redrives_status s = redrives_status(d->redrives);
    struct metrics *m = d->metrics;

    counter(m, "stepmill_dlq_redriven_total", "Letters sent back, by jobs and by themselves.",
            (double)(s.sent + s.sent_by_itself));
    counter(m, "stepmill_dlq_redriven_by_itself_total", "Of these: those sent without a person.", (double)s.sent_by_itself);
    counter(m, "stepmill_dlq_skipped_total", "Letters that a job left out.", (double)s.skipped);
    counter(m, "stepmill_dlq_retries_scheduled_total", "Redrives planned for later.", (double)s.scheduled);
    counter(m, "stepmill_dlq_retries_held_total", "Redrives put off because the agent's tasks fail.", (double)s.held);
    counter(m, "stepmill_dlq_parked_total", "Letters parked after too many redrives.", (double)s.parked);
    counter(m, "stepmill_dlq_resolved_total", "Letters whose redrive completed.", (double)s.resolved);
    counter(m, "stepmill_dlq_restored_total", "Tasks whose lost cells were put back.", (double)s.restored);
    counter(m, "stepmill_dlq_not_restored_total", "Tasks whose lost cells were not all found.", (double)s.not_restored);
    counter(m, "stepmill_dlq_alerts_total", "Alerts sent.", (double)s.alerts);
    counter(m, "stepmill_dlq_alerts_failed_total", "Calls of alert sinks that failed.", (double)s.alerts_failed);
    gauge(m, "stepmill_dlq_jobs", "Redrive jobs that have not ended.", (double)s.jobs);
    gauge(m, "stepmill_dlq_actions_waiting", "Actions that wait to be written.", (double)s.waiting);
}

static void refresh(void *ctx)
{
    struct dlq *d = ctx;
    struct loop_stats loop = loop_stats(d->loop);
    struct asks_stats asks = asks_stats(d->asks);
    struct api_stats api = api_stats(d->api);
    struct metric_family *refused =
        metrics_counter(d->metrics, "stepmill_dlq_api_refused_total", "Requests refused, by reason.", 1, reason_only);

    show_collectors(d);
    show_engine(d);
    counter(d->metrics, "stepmill_dlq_queries_total", "Questions to the index.", (double)asks.asked);
    counter(d->metrics, "stepmill_dlq_queries_failed_total", "Questions that failed.", (double)asks.failed);
    gauge(d->metrics, "stepmill_dlq_queries_waiting", "Questions that wait for a reader.", (double)asks.waiting);
    gauge(d->metrics, "stepmill_dlq_longest_query_seconds", "Longest question since the last scrape.",
          (double)asks.longest_us / 1e6);
    asks_restart_longest(d->asks);
    counter(d->metrics, "stepmill_dlq_api_requests_total", "Requests to the API and the dashboard.", (double)api.requests);
    counter(d->metrics, "stepmill_dlq_api_failed_total", "Of these: answered with 5xx.", (double)api.failed);
    metric_set(metric_of(refused, (struct slice[]){SLICE("token")}), (double)api.refused_token);
    metric_set(metric_of(refused, (struct slice[]){SLICE("role")}), (double)api.refused_role);
    metric_set(metric_of(refused, (struct slice[]){SLICE("csrf")}), (double)api.refused_csrf);
    gauge(d->metrics, "stepmill_dlq_api_watching", "Open live streams.", (double)api.watching);
    gauge(d->metrics, "stepmill_loop_slow_turns", "Turns of the loop that took over 100 ms of CPU: each is a bug.",
          (double)loop.slow_turns);
    gauge(d->metrics, "stepmill_loop_longest_turn_seconds", "Longest turn of the loop since the last scrape, CPU time.",
          (double)loop.longest_us / 1e6);
    loop_stats_restart_longest(d->loop);
}

struct error dlq_make_metrics(struct dlq *d)
{
    d->metrics = metrics_new();
    if (!d->metrics)
        return error_make(CLASS_INTERNAL, "out_of_memory", "no memory left at start");
    metrics_on_write(d->metrics, refresh, d);
    return error_none();
}

/* ---- Probes */

static void put_part(struct buf *b, const char *name, bool ok, const char *code)
{
    if (b->len && b->at[b->len - 1] != '{')
        buf_put_byte(b, ',');
    json_put_string(b, slice_of(name));
    buf_put_text(b, ok ? ":{\"ok\":true" : ":{\"ok\":false");
    if (code) {
        buf_put_text(b, ",\"code\":");
        json_put_string(b, slice_of(code));
    }
    buf_put_byte(b, '}');
}

/* Ready: the index answers, and what people decide can be written. */
static bool is_ready(struct dlq *d, struct buf *b)
{
    struct collect_status c = collect_status(d->collect);
    struct redrives_status r = redrives_status(d->redrives);
    struct registry_state g = registry_state(d->registry);
    bool index = d->made && d->caught_up && !c.waiting, ready = index && r.ready && d->state == DLQ_RUNNING;

    buf_printf(b, "{\"status\":\"%s\",\"dependencies\":{", ready ? "ready" : "unready");
    put_part(b, "kafka", c.connected, c.trouble);
    put_part(b, "index", index, !d->made ? "not_made" : c.waiting ? "schema_pending" : d->caught_up ? NULL : "catching_up");
    put_part(b, "engine", r.ready, r.trouble);
    put_part(b, "schema_registry", g.ready, g.ready ? NULL : g.error.code);
    buf_printf(b, "},\"lag\":%lld}", (long long)c.lag);
    return ready;
}

static void answer_ready(void *ctx, struct http_server_call *call)
{
    struct buf body = BUF(DETAIL_MAX);
    bool ready = is_ready(ctx, &body);

    http_server_answer(call, ready ? 200 : 503, "application/json", buf_slice(&body));
    buf_free(&body);
}

static void answer_live(void *ctx, struct http_server_call *call)
{
    (void)ctx; /* who answers is alive: the loop turns */
    http_server_answer(call, 200, "application/json", SLICE("{\"status\":\"alive\"}"));
}

static void answer_metrics(void *ctx, struct http_server_call *call)
{
    struct dlq *d = ctx;
    struct buf body = BUF(METRICS_MAX);

    metrics_write(d->metrics, &body);
    if (body.failed)
        http_server_answer(call, 500, "text/plain", SLICE("too many series\n"));
    else
        http_server_answer(call, 200, METRICS_CONTENT_TYPE, buf_slice(&body));
    buf_free(&body);
}

size_t dlq_make_routes(struct dlq *d, struct http_server_route *routes, size_t room)
{
    const struct http_server_route all[] = {
        {"GET", "/livez", answer_live, d},  {"GET", "/health", answer_live, d},     {"GET", "/readyz", answer_ready, d},
        {"GET", "/ready", answer_ready, d}, {"GET", "/metrics", answer_metrics, d},
    };
    size_t n = sizeof all / sizeof *all;

    n = n < room ? n : room;
    memcpy(routes, all, n * sizeof *all);
    return n;
}
