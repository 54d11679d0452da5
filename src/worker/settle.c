/* A task has ended: its result, its dead letter and its offset wait for one transaction. */
#include <stdio.h>
#include <stdlib.h>

#include "stepmill/clock.h"
#include "stepmill/cloud_events.h"
#include "stepmill/dead_letter.h"
#include "stepmill/result_codec.h"
#include "stepmill/rule.h"
#include "stepmill/utf8.h"
#include "worker.h"

enum {
    /* What fits a topic with Kafka's own limit of 1 MiB: tried first when the topic takes less than it should. */
    SMALL_OUTPUT = 900 * 1024,
    SMALL_METADATA = 64 * 1024,
    RESULT_CUTS = 2, /* small; without output and metadata */
    LETTER_CUTS = 3, /* without its value; its headers too; its key too */
};
enum output_kind { OUTPUT_EVENT, OUTPUT_RESULT, OUTPUT_LETTER }; /* kafka_output.tag, until it is put into a batch */

static void out_of_memory(struct task *t)
{
    task_give_up(t, error_make(CLASS_INTERNAL, "out_of_memory", "no memory left to write the task's records"));
}

static struct outgoing *queue(struct task *t, enum outgoing_kind kind)
{
    struct worker *w = t->worker;
    struct outgoing *o = arena_alloc(t->arena, sizeof *o);

    if (!o) {
        out_of_memory(t);
        return NULL;
    }
    o->task = t;
    o->kind = kind;
    o->queued_ms = loop_now_ms(w->loop);
    list_append(&t->outgoing, &o->in_task);
    return o;
}

static void enqueue(struct worker *w, struct outgoing *o)
{
    o->bytes = 0;
    for (size_t i = 0; i < o->noutputs; i++)
        o->bytes += kafka_output_size(&o->outputs[i]);
    list_append(&w->outbox, &o->in_queue);
    w->outbox_settles += o->kind == OUTGOING_SETTLE;
    w->outbox_bytes += o->bytes;
    worker_commit_soon(w);
}

static bool add_headers(struct task *t, struct kafka_output *out, int32_t seq, const struct digest *digest, struct slice source,
                        const char *type)
{
    struct kafka_header *headers = arena_alloc(t->arena, (CLOUD_EVENT_HEADERS + 1) * sizeof *headers);
    char traceparent[TRACEPARENT_SIZE];
    struct slice text;

    if (!headers || !cloud_event_headers(headers, t->arena, t->input.task_id, seq, digest, source, type, clock_wall_ms()))
        return false;
    trace_format(&t->trace, traceparent);
    text = arena_copy(t->arena, slice_of(traceparent));
    headers[CLOUD_EVENT_HEADERS] = (struct kafka_header){SLICE("traceparent"), text};
    out->headers = headers;
    out->nheaders = CLOUD_EVENT_HEADERS + 1;
    return text.at != NULL;
}

/* The first of its outputs that no topic of ours takes; none: noutputs. */
static size_t too_large(const struct outgoing *o)
{
    size_t i = 0;

    while (i < o->noutputs && kafka_output_size(&o->outputs[i]) <= KAFKA_MESSAGE_MAX)
        i++;
    return i;
}

/* An event that the broker will never take must not stop all others: its cell stays in Redis, and the alert says that the log has
 * a gap. */
static void leave_out(struct outgoing *o)
{
    log_error(
        o->task->worker->log, "kafka.event_refused", LOG_SLICE("task_id", o->task->input.task_id),
        LOG_SLICE("ce_id", o->outputs[0].headers[1].value), LOG_INT("bytes", kafka_output_size(&o->outputs[0])),
        LOG_TEXT("action", "raise max.message.bytes of the events topic to 8 MiB (stepmill topics create --dry-run compares)"));
    o->noutputs = 0;
}

void task_emit(struct task *t, struct cell *cell)
{
    struct worker *w = t->worker;
    struct outgoing *o = queue(t, OUTGOING_EVENT);

    if (!o)
        return;
    o->outputs[0] = (struct kafka_output){.topic = w->config->topics.events, .key = t->input.session_id, .value = cell->bytes};
    if (!add_headers(t, &o->outputs[0], cell->seq, &cell->digest, t->agent->name, "AgentEvent")) {
        out_of_memory(t);
        return;
    }
    o->noutputs = 1;
    if (too_large(o) == 0)
        leave_out(o);
    cell->emitted = true;
    worker_count(w->numbers->events, 1);
    enqueue(w, o);
}

static struct slice encode_result(struct task *t, const struct task_result *r)
{
    struct worker *w = t->worker;
    uint32_t id;

    if (!registry_id(w->registry, w->result_subject, &id))
        bug("a result is written before its schema id is known");
    buf_clear(&w->scratch);
    result_put(&w->scratch, id, r);
    return w->scratch.failed ? (struct slice){NULL, 0} : arena_copy(t->arena, buf_slice(&w->scratch));
}

/* Context keys that begin with "meta." are echoed (DELIVERY §5, "Messages"), as far as there is room. */
static void add_metadata(struct task *t, struct task_result *r, size_t room)
{
    struct context_entry *entries = arena_alloc(t->arena, (t->input.ncontext + 1) * sizeof *entries);

    if (!entries)
        return;
    for (size_t i = 0; i < t->input.ncontext; i++) {
        const struct context_entry *e = &t->input.context[i];

        if (!slice_starts_with(e->key, "meta.") || e->key.len + e->value.len > room)
            continue;
        room -= e->key.len + e->value.len;
        entries[r->nmetadata++] = *e;
    }
    r->metadata = entries;
}

/* The topic takes less than it should: better a cut answer than none. */
static void cut_output(struct task_result *r, size_t room)
{
    if (r->output.len <= room)
        return;
    r->output = room ? utf8_cut(r->output, room) : (struct slice){NULL, 0};
    if (!r->error.at)
        r->error = SLICE("output_truncated");
}

static bool add_result(struct task *t, struct outgoing *o, const struct task_result *r, int32_t seq, const struct digest *digest)
{
    struct kafka_output *out = &o->outputs[o->noutputs];

    *out = (struct kafka_output){
        .topic = t->worker->config->topics.results, .key = r->session_id, .value = encode_result(t, r), .tag = OUTPUT_RESULT};
    if (!out->value.at || !add_headers(t, out, seq, digest, slice_of(t->agent->result_source), "AgentTaskResult"))
        return false;
    o->noutputs++;
    return true;
}

/* Says what of the record is not in the dead letter, and where to find it as long as its topic keeps it. */
static struct slice omitted(const struct outgoing *o, const struct origin *origin)
{
    struct arena *arena = o->task->arena;
    struct slice what = dead_letter_omitted(o->task->record->value, origin, arena);
    char room[1024];
    struct buf text = BUF_IN(room);

    if (!what.at)
        return what;
    buf_put_slice(&text, what);
    buf_put_text(&text, o->letter_cut == LETTER_CUTS ? ", without its headers and key"
                        : o->letter_cut > 1          ? ", without its headers"
                                                     : "");
    return arena_copy(arena, buf_slice(&text));
}

static bool add_dead_letter(struct task *t, struct outgoing *o, struct dead_letter letter)
{
    struct worker *w = t->worker;
    struct record *r = t->record;
    struct kafka_output *out = &o->outputs[o->noutputs];

    letter.origin = record_origin(r);
    letter.group = slice_of(w->group);
    letter.task_id = t->input.task_id;
    letter.agent = t->agent->name;
    letter.first_failed_at_ms = -1;
    letter.failed_at_ms = clock_wall_ms();
    letter.started_at_ms = t->history.ncells && !failed(t->poison) ? t->history.started_at_us / 1000 : -1;
    letter.redrives = t->redrives;
    letter.worker = slice_of(w->process);
    letter.schema_id = t->schema_id;
    *out = (struct kafka_output){.topic = w->config->topics.dlq,
                                 .key = r->waiting.key,
                                 .value = r->value,
                                 .timestamp = r->time_kind == KAFKA_TIME_NONE ? 0 : r->timestamp,
                                 .tag = OUTPUT_LETTER};
    if (o->letter_cut) {
        letter.value_omitted = omitted(o, &letter.origin);
        if (!letter.value_omitted.at)
            return false;
        out->value = (struct slice){NULL, 0};
    }
    if (o->letter_cut == LETTER_CUTS)
        out->key = (struct slice){NULL, 0};
    if (!dead_letter_headers(&letter, r->headers, o->letter_cut > 1 ? 0 : r->nheaders, t->arena, &out->headers, &out->nheaders))
        return false;
    o->noutputs++;
    if (o->result_cut || o->letter_cut)
        return true; /* it was told and counted before */
    metric_add(metric_of(w->numbers->dead_letters, (struct slice[]){t->agent->name, letter.class}), 1);
    log_warn(w->log, "agent.task.dlq", LOG_SLICE("task_id", t->input.task_id), LOG_SLICE("target_agent", t->agent->name),
             LOG_INT("attempt_count", letter.attempts), LOG_SLICE("class", letter.class), LOG_SLICE("code", letter.code),
             LOG_SLICE("original_error", letter.message), LOG_INT("partition", r->partition),
             LOG_INT("offset", r->waiting.offset));
    return true;
}

/* Stands for the cell that a poison record never gets: equal for each sending of this record's result, for no other's. */
static struct digest record_digest(const struct record *r)
{
    const struct origin o = record_origin(r);
    const struct slice parts[] = {
        o.topic, {(const char *)&o.partition, sizeof o.partition}, {(const char *)&o.offset, sizeof o.offset}};

    return digest_of(parts, sizeof parts / sizeof *parts);
}

/* A record that can't be a task: it answers for itself; without a task_id nobody could tell whom the result is for. */
static bool fill_poison(struct task *t, struct outgoing *o)
{
    bool conflict = !strcmp(t->poison.code, "task_id_conflict");
    char message[480];
    struct digest digest = record_digest(t->record);
    struct task_result r = {
        .task_id = t->input.task_id,
        .session_id = t->input.session_id,
        .agent = t->agent->name,
        .status = SLICE("failed"),
        .error = slice_of(t->poison.code),
        .finished_at_ms = clock_wall_ms(),
        .redrives = t->redrives,
        .final = true,
    };

    worker_count(t->worker->numbers->poisoned, !o->result_cut && !o->letter_cut);
    snprintf(message, sizeof message, "%s%s%.*s", t->poison.text, t->poison_detail.len ? ": " : "", SLICE_FMT(t->poison_detail));
    if (t->input.task_id.at && !conflict) {
        r.session_id = t->input.session_id.at ? t->input.session_id : (struct slice){"", 0};
        if (!add_result(t, o, &r, 0, &digest))
            return false;
    }
    return add_dead_letter(t, o,
                           (struct dead_letter){.class = SLICE("poison"),
                                                .code = slice_of(t->poison.code),
                                                .stage = SLICE("decoding"),
                                                .message = slice_of(message),
                                                .attempts = 1});
}

static bool deserves_dead_letter(const struct event_failed *f)
{
    return slice_is(f->class, "exhausted") || slice_is(f->class, "timeout") || slice_is(f->class, "rejected");
}

static bool fill_end(struct task *t, struct outgoing *o)
{
    static const size_t output_room[] = {SIZE_MAX, SMALL_OUTPUT, 0}, metadata_room[] = {EVENT_METADATA_MAX, SMALL_METADATA, 0};
    struct history *h = &t->history;
    char hex[2 * DIGEST_SIZE + 1];
    struct task_result r = history_result(h, hex);

    r.task_id = t->input.task_id;
    r.session_id = t->input.session_id;
    r.agent = t->agent->name;
    cut_output(&r, output_room[o->result_cut]);
    add_metadata(t, &r, metadata_room[o->result_cut]);
    if (!add_result(t, o, &r, h->group_first, &h->cells[h->group_first].digest))
        return false;
    if (h->end_kind != EVENT_FAILED || !deserves_dead_letter(&h->failed))
        return true;
    return add_dead_letter(t, o,
                           (struct dead_letter){.class = h->failed.class,
                                                .code = h->failed.code,
                                                .stage = h->failed.stage,
                                                .message = h->failed.message,
                                                .step = h->steps_used,
                                                .attempts = h->failed.attempts,
                                                .retryable = h->failed.retryable});
}

static bool fill(struct task *t, struct outgoing *o)
{
    o->noutputs = 0;
    if (failed(t->poison))
        return fill_poison(t, o);
    if (t->standing == STANDING_FINISHED || t->standing == STANDING_DUPLICATE)
        return true;
    return fill_end(t, o);
}

void task_settle(struct task *t)
{
    struct outgoing *o = queue(t, OUTGOING_SETTLE);

    task_cancel_model(t); /* another record has answered meanwhile: what is still out would outlive the task */
    task_cancel_tools(t);
    if (!o)
        return;
    if (!fill(t, o)) {
        out_of_memory(t);
        return;
    }
    for (size_t i; (i = too_large(o)) < o->noutputs;)
        if (!outgoing_shrink(o, i)) {
            out_of_memory(t);
            return;
        }
    task_enter(t, TASK_SETTLING);
    enqueue(t->worker, o);
    task_give_back(t);
}

bool outgoing_shrink(struct outgoing *o, size_t output)
{
    if (o->kind == OUTGOING_EVENT) {
        leave_out(o);
        return true;
    }
    if (o->outputs[output].tag == OUTPUT_LETTER ? ++o->letter_cut > LETTER_CUTS : ++o->result_cut > RESULT_CUTS)
        return false;
    return fill(o->task, o);
}

/* Poison, limits and cancelled tasks do not count: they are the caller's doing, and say nothing of whether others get through. */
static void look_for_a_systemic_cause(struct task *t)
{
    struct worker *w = t->worker;
    const struct history *h = &t->history;
    const struct event_failed *f = &h->failed;
    bool counts = h->end_kind == EVENT_FAILED && (slice_is(f->class, "exhausted") || slice_is(f->class, "rejected"));
    bool was_open = t->agent->systemic.cause != 0;

    if (h->end_kind != EVENT_COMPLETED && !counts)
        return;
    if (systemic_ended(&t->agent->systemic, counts ? systemic_cause(f->code, f->stage) : 0, loop_now_ms(w->loop)))
        log_error(
            w->log, "agent.systemic_failure", LOG_SLICE("agent_id", t->agent->name), LOG_SLICE("code", f->code),
            LOG_SLICE("stage", f->stage), LOG_SLICE("message", f->message),
            LOG_TEXT("action", "most tasks end by this one cause: tasks are admitted one at a time until one gets through"));
    if (was_open && !t->agent->systemic.cause) {
        log_info(w->log, "agent.systemic_failure_over", LOG_SLICE("agent_id", t->agent->name));
        worker_wake(w, OUTAGE_SYSTEMIC);
    }
}

/* The commit is known: say so in Redis, count, and let go. */
void task_committed(struct task *t)
{
    struct worker *w = t->worker;
    struct history *h = &t->history;
    bool ran = !failed(t->poison) && t->standing != STANDING_FINISHED && t->standing != STANDING_DUPLICATE;

    if (!partition_finish(&t->owned->partition, &t->record->waiting)) {
        log_error(w->log, "worker.out_of_memory",
                  LOG_TEXT("action", "the worker stops; its successor goes on from the committed offset"));
        worker_stop_now(w, true);
    }
    if (ran) {
        char hex[2 * DIGEST_SIZE + 1];
        struct task_result r = history_result(h, hex);
        struct cells_settle settle = {
            .task_id = t->input.task_id,
            .done = {.status = h->end_kind == EVENT_COMPLETED ? DONE_COMPLETED
                               : h->end_kind == EVENT_FAILED  ? DONE_FAILED
                                                              : DONE_CANCELLED,
                     .origin = record_origin(t->record),
                     .redrives = h->redrives,
                     .input_hash = t->input_hash},
            .last = h->cells[h->group_first].digest,
            .keep = RULE(keep_cells) && h->end_kind == EVENT_FAILED && deserves_dead_letter(&h->failed),
        };

        worker_count_result(t, &r);
        look_for_a_systemic_cause(t);
        worker_mark_done(w, &settle);
    }
    task_unqueue(t); /* its events left in the same transaction, also when only its offset proves that */
    task_enter(t, TASK_GONE);
    list_remove(&t->in_owned);
    t->owned = NULL;
}
