/* The bench, and the Kafka that it stands on. */
#include "helper_bench.h"

#include <unistd.h>

#include "helper_unit.h"

/* ---- Kafka: what the worker calls. The handles it keeps are the bench itself. */

static struct bench *bench_of(const void *handle) { return (struct bench *)(uintptr_t)handle; }

struct error kafka_source_start(struct kafka_source **source, struct event_base *base, const struct kafka_source_options *options,
                                const struct kafka_source_events *events, void *context, char *detail, size_t room)
{
    (void)base, (void)options, (void)events, (void)detail, (void)room;
    *source = context;
    return error_none();
}

struct kafka_membership *kafka_source_membership(struct kafka_source *s)
{
    return bench_of(s)->member ? (struct kafka_membership *)s : NULL;
}

void kafka_membership_free(struct kafka_membership *m) { (void)m; }

bool kafka_source_pause(struct kafka_source *s, const char *topic, int32_t partition)
{
    (void)s, (void)topic, (void)partition;
    return true;
}

bool kafka_source_resume(struct kafka_source *s, const char *topic, int32_t partition)
{
    return kafka_source_pause(s, topic, partition);
}

int64_t kafka_source_position(struct kafka_source *s, const char *topic, int32_t partition)
{
    (void)s, (void)topic, (void)partition;
    return KAFKA_OFFSET_NONE;
}

void kafka_source_status(struct kafka_source *s, struct kafka_source_status *status)
{
    *status = (struct kafka_source_status){.joined = bench_of(s)->member};
}

void kafka_source_release(struct kafka_source *s) { (void)s; }
void kafka_source_close(struct kafka_source *s) { (void)s; }
void kafka_source_free(struct kafka_source *s) { (void)s; }

struct error kafka_txn_start(struct kafka_txn **txn, struct event_base *base, struct kafka_source *source,
                             const struct kafka_txn_options *options, const struct kafka_txn_events *events, void *context,
                             char *detail, size_t room)
{
    (void)base, (void)source, (void)options, (void)events, (void)detail, (void)room;
    *txn = context;
    return error_none();
}

void kafka_txn_submit(struct kafka_txn *t, struct kafka_batch *batch)
{
    assert_null(bench_of(t)->submitted);
    bench_of(t)->submitted = batch;
    bench_of(t)->submits++;
}

bool kafka_txn_busy(const struct kafka_txn *t) { return bench_of(t)->submitted != NULL; }

void kafka_txn_stop(struct kafka_txn *t, int64_t deadline_ms) { (void)t, (void)deadline_ms; }
void kafka_txn_free(struct kafka_txn *t) { (void)t; }

/* ---- The worker */

static void nothing(void *context) { (void)context; }

void bench_init(struct bench *b)
{
    struct worker *w = &b->w;

    *b = (struct bench){.member = true, .log = {.level = LOG_LEVEL_ERROR, .fd = STDERR_FILENO, .role = "test"}};
    b->config = (struct config){.http = {"127.0.0.1:0"},
                                .topics = {.results = "results", .events = "events", .dlq = "dlq"},
                                .worker = {.commit_interval_ms = 20, .events_interval_ms = 200}};
    b->options = (struct worker_options){.config = &b->config, .log = &b->log};
    *w = (struct worker){.options = &b->options, .live = b->config, .log = &b->log, .slot_lock = -1, .state = WORKER_RUNNING};
    w->config = &w->live;
    w->loop = loop_new();
    w->scratch = BUF(TASK_MEMORY_MAX);
    w->source = (struct kafka_source *)b;
    w->txn = (struct kafka_txn *)b;
    loop_timer_init(&w->commit_timer, w->loop, nothing, w);
    assert_false(failed(worker_serve(w)));
    b->agent = (struct agent){.worker = w,
                              .name = SLICE("search"),
                              .result_source = "search/results",
                              .topic = (char *)(uintptr_t) "tasks",
                              .values = {.name = "search", .max_in_flight = 100000, .max_waiting = 100000}};
    b->agent.config = &b->agent.values;
    w->agents = &b->agent;
    w->nagents = 1;
}

void bench_free(struct bench *b)
{
    struct worker *w = &b->w;

    while (w->owned.first)
        worker_drop_owned(w, list_entry(w->owned.first, struct owned, node), false);
    worker_reap(w);
    kafka_batch_free(b->submitted);
    http_server_free(w->server);
    metrics_free(w->metrics);
    loop_timer_cancel(&w->commit_timer);
    free(w->numbers);
    free(w->slots);
    free(w->free_slots);
    buf_free(&w->scratch);
    loop_free(w->loop);
}

struct owned *bench_assign(struct bench *b, int32_t partition, int64_t committed, struct slice metadata)
{
    struct kafka_assigned p = {
        .topic = "tasks", .partition = partition, .assignment = ++b->assignment, .committed = committed, .metadata = metadata};

    assert_int_equal(intake_events.assigned(&b->w, &p), committed);
    return worker_owned(&b->w, "tasks", partition);
}

void bench_lost(struct bench *b, int32_t partition)
{
    intake_events.lost(&b->w, &(struct kafka_partition){"tasks", partition}, 1);
    worker_reap(&b->w);
}

struct task *bench_task(struct bench *b, int32_t partition, int64_t offset)
{
    struct owned *o = worker_owned(&b->w, "tasks", partition);
    struct kafka_record r = {
        .topic = "tasks", .partition = partition, .offset = offset, .assignment = o->partition.assignment, .value = SLICE("x")};

    intake_events.record(&b->w, &r);
    worker_admit(&b->w);
    for (struct list_node *n = o->tasks.last; n; n = n->prev) {
        struct task *t = list_entry(n, struct task, in_owned);

        if (t->record->waiting.offset == offset)
            return t;
    }
    return NULL;
}

void bench_emit(struct task *t, struct cell *cell)
{
    t->input.task_id = SLICE("task");
    t->input.session_id = SLICE("session");
    cell->bytes = SLICE("an event's bytes");
    task_emit(t, cell);
}

void bench_settle(struct task *t)
{
    t->standing = STANDING_DUPLICATE;
    task_settle(t);
}

void bench_done(struct bench *b, const struct kafka_result *result)
{
    struct kafka_batch *batch = b->submitted;

    assert_non_null(batch);
    b->submitted = NULL;
    commit_events.done(&b->w, batch, result);
    worker_reap(&b->w);
}

void bench_committed(struct bench *b) { bench_done(b, &(struct kafka_result){.fate = KAFKA_COMMITTED}); }

int64_t bench_offset(const struct bench *b, int32_t partition, struct slice *metadata)
{
    for (size_t i = 0; b->submitted && i < kafka_batch_offsets(b->submitted); i++) {
        struct kafka_partition p;
        int64_t offset;

        kafka_batch_offset(b->submitted, i, &p, &offset, metadata);
        if (p.partition == partition)
            return offset;
    }
    return KAFKA_OFFSET_NONE;
}

bool bench_finishes(const struct bench *b, int32_t partition, int64_t offset)
{
    struct slice metadata;
    int64_t watermark = bench_offset(b, partition, &metadata);
    struct offsets *finished;
    const char *why = "";
    bool answer;

    if (watermark < 0)
        return false;
    finished = offsets_decode(watermark, metadata.at, metadata.len, &why);
    assert_non_null(finished);
    answer = offsets_is_finished(finished, offset);
    offsets_free(finished);
    return answer;
}
