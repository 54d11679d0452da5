/* The turn of the loop, from the first to the last: start, run, drain. */
#include <signal.h>

#include "stepmill/clock.h"
#include "stepmill/random.h"
#include "stepmill/rule.h"
#include "worker.h"

enum {
    ADVANCE_PER_TURN = 2000,
    POSITION_EVERY_MS = 2000,
    CLOSE_MARGIN_MS = 6000, /* of drain_timeout, for the last commits and leaving the group */
};

void worker_stop_now(struct worker *w, bool failure)
{
    w->failed |= failure;
    w->state = WORKER_STOPPED;
    loop_stop(w->loop);
}

void worker_wake(struct worker *w, enum outage outage)
{
    for (struct list_node *n = w->tasks[TASK_WAITING].first; n; n = n->next) {
        struct task *t = list_entry(n, struct task, in_state);

        if (t->outage != outage)
            continue;
        t->wake_ms = loop_now_ms(w->loop);
        task_ready(t);
    }
}

/* The process was stopped for so long that its membership may have ended: somebody else may own its partitions by now. */
static void check_gap(struct worker *w)
{
    int64_t now = clock_boot_ms(), gap = now - w->boot_ms;

    w->boot_ms = now;
    if (gap <= w->gap_max_ms)
        return;
    w->stops++;
    if (!w->source || !w->owned.count)
        return;
    log_warn(w->log, "worker.was_stopped", LOG_INT("gap_ms", gap),
             LOG_TEXT("action", "no call is made until a transaction proves that the partitions are still ours"));
    w->proving = true;
    w->proving_ms = now;
    w->batch_proves = false;
    worker_commit_soon(w);
}

void worker_proved(struct worker *w)
{
    w->proving = false;
    worker_wake(w, OUTAGE_FENCE);
}

/* Where not even an offset can be sent, because what lies above it has grown too long, no transaction will ever prove anything,
 * and the one call that would make it shorter waits for the proof. Who was expelled is told so within a session. */
static void prove_by_patience(struct worker *w)
{
    if (!w->proving || !w->txn || kafka_txn_busy(w->txn) || clock_boot_ms() - w->proving_ms <= 2 * w->gap_max_ms)
        return;
    for (const struct list_node *n = w->owned.first; n; n = n->next)
        if (!list_entry(n, const struct owned, node)->held_back)
            return;
    worker_proved(w);
}

bool worker_may_send(void *worker)
{
    const struct worker *w = worker;

    return !RULE(prove_after_stop) || (!w->proving && clock_boot_ms() - w->boot_ms <= w->gap_max_ms);
}

bool worker_may_call(struct worker *w, const struct task *t)
{
    return (w->state == WORKER_RUNNING || w->state == WORKER_DRAINING) &&
           (!RULE(revoking_admits_none) || t->owned->state == OWNED_RUNNING) && (!w->suspect || w->suspect == t) &&
           worker_may_send(w);
}

bool task_missed_a_stop(const struct task *t) { return RULE(look_after_stop) && t->stops_seen != t->worker->stops; }

void worker_reap(struct worker *w)
{
    struct list_node *n;

    while ((n = list_take_first(&w->tasks[TASK_GONE])))
        task_free(list_entry(n, struct task, in_state));
}

static size_t running(const struct worker *w)
{
    size_t n = 0;

    for (enum task_state s = 0; s < TASK_GONE; s++)
        n += w->tasks[s].count;
    return n;
}

/* Tasks that a drain waits for: those that only wait for an outage to end have lost nothing when they are given up. */
static size_t worth_waiting_for(const struct worker *w)
{
    size_t n = running(w) - w->tasks[TASK_FETCHING].count - w->tasks[TASK_WAITING].count;

    for (const struct list_node *node = w->tasks[TASK_WAITING].first; node; node = node->next) {
        const struct task *t = list_entry(node, const struct task, in_state);

        n += task_has_unsaved(t);
    }
    return n;
}

static void close_down(struct worker *w)
{
    if (w->state >= WORKER_CLOSING)
        return;
    log_info(w->log, "worker.closing", LOG_INT("tasks", running(w)));
    w->state = WORKER_CLOSING;
    loop_timer_set(&w->drain_timer, CLOSE_MARGIN_MS);
    if (w->source)
        kafka_source_close(w->source);
    else
        worker_stop_now(w, false);
}

/* After each turn: the ready list, then the dead. */
static bool after_turn(void *ctx)
{
    struct worker *w = ctx;
    struct list_node *n;

    if (w->state == WORKER_STOPPED)
        return false;
    check_gap(w);
    if (w->admission_due && w->source)
        worker_admit(w);
    for (int i = 0; i < ADVANCE_PER_TURN && w->state != WORKER_STOPPED && (n = list_take_first(&w->ready)); i++)
        task_advance(list_entry(n, struct task, in_ready));
    worker_release_revoked(w);
    worker_reap(w);
    if (w->state == WORKER_DRAINING && (!RULE(drain_waits) || worth_waiting_for(w) == 0))
        close_down(w);
    return w->ready.first || (w->admission_due && w->source); /* before there is a source nobody could admit anything */
}

static void commit_due(void *ctx) { worker_commit(ctx); }

static void drain_due(void *ctx)
{
    struct worker *w = ctx;

    if (w->state < WORKER_CLOSING) {
        close_down(w);
        return;
    }
    log_warn(w->log, "worker.drain_timeout", LOG_INT("tasks", running(w)),
             LOG_TEXT("action", "stopped without the last commit; the next owner resumes"));
    worker_stop_now(w, false);
}

static void on_term(void *ctx, int signo)
{
    struct worker *w = ctx;
    int64_t patience = w->config->worker.drain_timeout_ms - CLOSE_MARGIN_MS;

    if (w->state >= WORKER_DRAINING) {
        log_warn(w->log, "worker.stopped_now", LOG_INT("signal", signo), LOG_INT("tasks", running(w)));
        worker_stop_now(w, false);
        return;
    }
    log_info(w->log, "worker.draining", LOG_INT("signal", signo), LOG_INT("tasks", running(w)),
             LOG_INT("timeout_ms", w->config->worker.drain_timeout_ms));
    if (w->state == WORKER_STARTING || !w->source) {
        worker_stop_now(w, false);
        return;
    }
    w->state = WORKER_DRAINING;
    w->admission_due = true;
    loop_timer_set(&w->drain_timer, patience > 0 ? patience : 0);
}

static void on_hup(void *ctx, int signo)
{
    (void)signo;
    worker_reload(ctx);
}

/* Work begins when registry and Redis are there; the clients themselves try again and again. */
static void look_at_start(struct worker *w)
{
    if (w->source || w->state != WORKER_STARTING || !registry_state(w->registry).ready || !redis_is_up(w->redis))
        return;
    w->state = WORKER_RUNNING;
    if (failed(worker_start_kafka(w)))
        worker_stop_now(w, true);
}

/* Idle partitions: what lies below the position and was never delivered holds no record; lag reaches 0 (DELIVERY §4.10). */
static void commit_positions(struct worker *w)
{
    int64_t now = loop_now_ms(w->loop);

    if (now - w->position_ms < POSITION_EVERY_MS)
        return;
    w->position_ms = now;
    for (struct list_node *n = w->owned.first; n; n = n->next) {
        struct owned *o = list_entry(n, struct owned, node);
        int64_t position;

        if ((RULE(position_owned) && o->state != OWNED_RUNNING) ||
            (RULE(position_idle) && (o->partition.nwaiting || o->partition.nadmitted)))
            continue; /* what comes after REVOKE is not taken, but the position would pass it */
        position = kafka_source_position(w->source, o->partition.topic, o->partition.number);
        if (position <= offsets_watermark(o->partition.finished))
            continue;
        if (RULE(position) && partition_position(&o->partition, position))
            o->restate = true;
    }
    worker_commit(w);
}

static void every_second(void *ctx)
{
    struct worker *w = ctx;

    loop_timer_set(&w->second_timer, w->source ? 1000 : 100);
    look_at_start(w);
    worker_complain(w);
    worker_done_retry(w);
    if (w->source && w->state < WORKER_STOPPING) {
        prove_by_patience(w);
        commit_positions(w);
    }
}

static struct error take_signals(struct worker *w)
{
    struct error error = loop_on_signal(w->loop, SIGTERM, on_term, w);

    if (!failed(error))
        error = loop_on_signal(w->loop, SIGINT, on_term, w);
    if (!failed(error))
        error = loop_on_signal(w->loop, SIGHUP, on_hup, w);
    return error;
}

int worker_run(const struct worker_options *options)
{
    const struct log *log = options->log;
    struct worker w = {.options = options,
                       .live = *options->config,
                       .log = log,
                       .log_to_set = options->log,
                       .loop = loop_new(),
                       .scratch = BUF(TASK_MEMORY_MAX),
                       .slot_lock = -1,
                       .boot_ms = clock_boot_ms()};
    struct error error;

    w.config = &w.live;
    if (!w.loop) {
        log_error(log, "worker.start", LOG_TEXT("reason", "no event loop: out of memory or descriptors"));
        return 1;
    }
    random_bytes(&w.seed, sizeof w.seed);
    loop_timer_init(&w.commit_timer, w.loop, commit_due, &w);
    loop_timer_init(&w.second_timer, w.loop, every_second, &w);
    loop_timer_init(&w.drain_timer, w.loop, drain_due, &w);
    error = take_signals(&w); /* they are told when the loop turns */
    if (!failed(error))
        error = worker_make(&w);
    if (failed(error)) {
        log_error(log, "worker.start", LOG_ERROR(error));
        w.failed = true;
    } else {
        log_info(log, "worker.start", LOG_TEXT("version", STEPMILL_VERSION), LOG_TEXT("group", w.group),
                 LOG_TEXT("transactional_id", w.transactional_id), LOG_INT("agents", w.nagents),
                 LOG_INT("http_port", http_server_port(w.server)));
        loop_after_events(w.loop, after_turn, &w);
        w.complained_ms = loop_now_ms(w.loop); /* what is slow to come is said after a while, not at once */
        loop_timer_set(&w.second_timer, 10);
        loop_run(w.loop);
        log_info(log, "worker.stop", LOG_BOOL("failed", w.failed));
    }
    worker_free(&w);
    return w.failed ? 1 : 0;
}
