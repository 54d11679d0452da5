/* When a batch leaves, and what its fate means (DELIVERY §4.3 – 4.6). */
#include <stdlib.h>

#include "stepmill/rule.h"
#include "worker.h"

void worker_requeue(struct worker *w)
{
    struct list_node *n;

    while ((n = w->batch.last)) {
        struct outgoing *o = list_entry(n, struct outgoing, in_queue);

        list_remove(n);
        if (RULE(requeue_first))
            list_prepend(&w->outbox, n);
        else
            list_append(&w->outbox, n);
        w->outbox_settles += o->kind == OUTGOING_SETTLE;
        w->outbox_bytes += o->bytes;
        if (o->kind == OUTGOING_SETTLE)
            o->task->owned->batched--;
    }
}

static bool wants_restate(const struct worker *w)
{
    for (struct list_node *n = w->owned.first; n; n = n->next)
        if (list_entry(n, struct owned, node)->restate)
            return true;
    return false;
}

/* When the next batch may start, in ms from now; -1: nothing to send. */
static int64_t delay(struct worker *w)
{
    const struct config_worker *c = &w->config->worker;
    int64_t now = loop_now_ms(w->loop), due;

    if (w->outbox_settles >= BATCH_RESULTS || w->outbox_bytes >= BATCH_BYTES || w->proving)
        return 0;
    if (w->outbox_settles || wants_restate(w))
        due = w->batch_ended_ms + c->commit_interval_ms;
    else if (w->outbox.first)
        due = list_entry(w->outbox.first, struct outgoing, in_queue)->queued_ms + c->events_interval_ms;
    else
        return -1;
    return due > now ? due - now : 0;
}

void worker_commit(struct worker *w)
{
    int64_t wait;

    if (!w->txn || kafka_txn_busy(w->txn) || w->commits_blocked || !w->owned.count || w->state >= WORKER_STOPPING)
        return;
    wait = delay(w);
    if (wait == 0)
        worker_submit(w);
    else if (wait > 0)
        loop_timer_set(&w->commit_timer, wait);
}

void worker_commit_soon(struct worker *w)
{
    if (!loop_timer_is_set(&w->commit_timer) || w->outbox_settles == 1 || w->outbox_settles >= BATCH_RESULTS)
        loop_timer_set(&w->commit_timer, 0);
}

bool worker_has_uncommitted(const struct worker *w, const struct owned *o)
{
    (void)w;
    for (struct list_node *n = o->tasks.first; n; n = n->next)
        if (list_entry(n, struct task, in_owned)->state == TASK_SETTLING)
            return true;
    return false;
}

/* After an unknown outcome: exactly what the group holds is committed. Without memory to read that nothing may be sent again. */
static bool is_stored(struct worker *w, const struct kafka_batch *b, const struct kafka_result *r, const struct outgoing *o)
{
    const struct record *record = o->task->record;

    for (size_t i = 0; i < r->nstored; i++) {
        struct kafka_partition p;
        struct offsets *finished;
        int64_t offset;
        struct slice metadata;
        const char *why = "";
        bool stored;

        kafka_batch_offset(b, i, &p, &offset, &metadata);
        if (p.partition != record->partition || strcmp(p.topic, record->topic) != 0)
            continue;
        if (r->stored[i].offset > record->waiting.offset)
            return true;
        finished = r->stored[i].offset < 0
                       ? NULL
                       : offsets_decode(r->stored[i].offset, r->stored[i].metadata.at, r->stored[i].metadata.len, &why);
        if (!finished && !why) {
            log_error(w->log, "worker.out_of_memory",
                      LOG_TEXT("action", "the worker stops; its successor goes on from the committed offset"));
            worker_stop_now(w, true);
        }
        stored = finished && offsets_is_finished(finished, record->waiting.offset);
        offsets_free(finished);
        return stored;
    }
    return false;
}

static void resolve(struct worker *w, const struct kafka_batch *b, const struct kafka_result *r)
{
    struct list_node *n, *next;
    size_t committed = 0;

    for (n = w->batch.first; n; n = next) {
        struct outgoing *o = list_entry(n, struct outgoing, in_queue);

        next = n->next;
        if (o->kind == OUTGOING_EVENT || !(r->fate == KAFKA_COMMITTED || (RULE(reread) && is_stored(w, b, r, o))))
            continue;
        list_remove(&o->in_queue);
        list_remove(&o->in_task);
        o->task->owned->batched--;
        task_committed(o->task);
        committed++;
    }
    if (r->fate == KAFKA_COMMITTED)
        while ((n = list_take_first(&w->batch)))
            list_remove(&list_entry(n, struct outgoing, in_queue)->in_task);
    else
        log_warn(w->log, "kafka.outcome_unknown", LOG_INT("committed", committed), LOG_INT("not_committed", w->batch.count),
                 LOG_TEXT("kafka_error", r->name));
}

static void batch_done(void *context, struct kafka_batch *b, const struct kafka_result *r)
{
    struct worker *w = context;

    w->batch_ended_ms = loop_now_ms(w->loop);
    if (r->fate != KAFKA_NOT_COMMITTED) {
        resolve(w, b, r);
        if (r->fate == KAFKA_COMMITTED && w->proving && w->batch_proves)
            worker_proved(w);
    } else {
        log_warn(w->log, "kafka.batch_aborted", LOG_ERROR(r->why), LOG_TEXT("kafka_error", r->name),
                 LOG_INT("records", kafka_batch_records(b)));
        if (w->batch_served == w->served) /* else what it waits for has come already, and would not come again */
            w->commits_blocked |= RULE(wait_for_lost) && r->needs_lost;
    }
    if (r->record_refused) {
        uint64_t tag = kafka_batch_tag(b, r->refused);
        struct outgoing *o = outgoing_of(tag);

        for (struct list_node *n = w->batch.first; n; n = n->next) /* its task may be gone */
            if (list_entry(n, struct outgoing, in_queue) == o && !outgoing_shrink(o, tag & 1)) {
                log_error(
                    w->log, "kafka.record_refused", LOG_SLICE("task_id", o->task->input.task_id),
                    LOG_TEXT("kafka_error", r->name),
                    LOG_TEXT(
                        "action",
                        "raise max.message.bytes of the output topics to 8 MiB (stepmill topics create --dry-run compares)"));
                worker_stop_now(w, true);
                break;
            }
    }
    for (struct list_node *n = w->owned.first; n && RULE(restate) && r->fate != KAFKA_COMMITTED; n = n->next)
        list_entry(n, struct owned, node)->restate = true;
    worker_requeue(w);
    worker_count(w->numbers->batches, 1);
    kafka_batch_free(b);
    w->admission_due = true;
    worker_release_revoked(w);
    worker_commit(w);
}

static void txn_ready(void *context)
{
    struct worker *w = context;

    log_info(w->log, "kafka.producer.ready", LOG_TEXT("transactional_id", w->transactional_id));
    worker_commit(w);
}

static void txn_trouble(void *context, const struct kafka_trouble *t)
{
    struct worker *w = context;

    log_warn(w->log, "kafka.producer.trouble", LOG_TEXT("kind", kafka_trouble_name(t->kind)), LOG_TEXT("kafka_error", t->name),
             LOG_TEXT("detail", t->detail), LOG_TEXT("topic", t->topic));
    if (t->kind == KAFKA_TROUBLE_FATAL)
        worker_stop_now(w, true);
}

static void txn_fenced(void *context, const char *id)
{
    struct worker *w = context;

    log_error(w->log, "kafka.producer.fenced", LOG_TEXT("transactional_id", id),
              LOG_TEXT("action", "another live process uses this transactional.id: give each worker its own worker.slot"));
    worker_stop_now(w, true);
}

static void txn_stopped(void *context)
{
    struct worker *w = context;

    w->state = WORKER_STOPPED;
    loop_stop(w->loop);
}

const struct kafka_txn_events commit_events = {
    .ready = txn_ready,
    .done = batch_done,
    .trouble = txn_trouble,
    .fenced = txn_fenced,
    .stopped = txn_stopped,
};
