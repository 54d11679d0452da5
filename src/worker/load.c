/* From record to running task: the schema, the fields, what Redis knows of it, and which row of DELIVERY §3 it is. */
#include <stdio.h>

#include "stepmill/clock.h"
#include "stepmill/event_codec.h"
#include "stepmill/input_hash.h"
#include "stepmill/random.h"
#include "stepmill/rule.h"
#include "stepmill/session_turn.h"
#include "stepmill/task_codec.h"
#include "stepmill/wire_format.h"
#include "worker.h"

enum { STARTS_SUSPECT = 5, STARTS_CRASH_LOOP = 8, DAMAGED_LOOK_MS = 60 * 1000, REDRIVE_LEAST_MS = 60 * 1000 };

static void schema_arrived(void *ctx, struct ticket ticket, uint32_t id)
{
    struct task *t = task_of(ctx, ticket);

    (void)id;
    if (!t)
        return;
    t->registry_waiter = 0;
    task_ready(t);
}

static size_t headers_size(const struct record *r)
{
    size_t size = 0;

    for (size_t i = 0; i < r->nheaders; i++)
        size += r->headers[i].name.len + r->headers[i].value.len;
    return size;
}

static struct error read_input(struct task *t, uint32_t *schema_id, struct detail *detail)
{
    const struct avro_plan *plan;
    struct slice avro;
    struct error error;
    size_t allowed = (size_t)t->worker->config->limits.record;

    if (allowed > EVENT_TEXT_MAX) /* TaskStarted holds all of it */
        allowed = EVENT_TEXT_MAX;
    if (t->record->value.len > allowed) {
        snprintf(detail->text, sizeof detail->text, "the value has %zu bytes, %s %zu", t->record->value.len,
                 allowed == EVENT_TEXT_MAX ? "an event holds at most" : "limits.record allows", allowed);
        return error_make(CLASS_POISON, "too_large", "the record is larger than limits.record");
    }
    if (headers_size(t->record) > (size_t)t->worker->config->limits.headers)
        return error_make(CLASS_POISON, "headers_too_large", "the record's headers are larger than limits.headers");
    error = wire_parse(t->record->value, schema_id, &avro);
    if (failed(error))
        return error;
    t->schema_id = *schema_id;
    error = registry_plan(t->worker->registry, *schema_id, &task_reader, &plan, detail);
    if (failed(error))
        return error;
    return task_read(plan, avro, t->agent->name, t->arena, &t->input, detail);
}

static void read_headers(struct task *t)
{
    struct slice redrives = record_header(t->record, "stepmill.redrives");
    uint8_t random[TRACE_RANDOM];
    struct trace parent;
    int64_t n;

    if (slice_to_int(redrives, 0, 1000000, &n))
        t->redrives = (int32_t)n;
    random_take(&t->worker->random, random, sizeof random);
    trace_from_headers(record_header(t->record, "traceparent"), record_header(t->record, "trace-id"), random, &parent);
    random_take(&t->worker->random, random, 8);
    t->trace = trace_child(&parent, random);
}

void task_fetch(struct task *t)
{
    struct worker *w = t->worker;
    struct detail detail = {""};
    uint32_t schema_id = 0;
    struct error error;

    if (t->decoded) {
        task_load(t);
        return;
    }
    error = read_input(t, &schema_id, &detail);
    if (error.class == CLASS_WAIT) {
        t->registry_waiter = registry_wait(w->registry, schema_id, task_ticket(t), schema_arrived, w);
        if (t->registry_waiter && t->state == TASK_FETCHING)
            return;
        task_wait(t, OUTAGE_REGISTRY, loop_now_ms(w->loop) + 1000);
    } else if (error.class == CLASS_POISON) {
        read_headers(t);
        task_poison(t, error, detail.text);
    } else if (failed(error)) {
        task_give_up(t, error);
    } else {
        t->decoded = true;
        t->input_hash = input_hash(&t->input);
        read_headers(t);
        t->deadline_at_ms = t->redrives ? -1 : t->input.deadline_at_ms; /* whoever redrives it does not care for that any more */
        task_load(t);
    }
}

void task_load(struct task *t)
{
    struct ticket ticket = task_ticket(t);

    t->redis_attempt = ticket.attempt;
    t->stops_asked = t->worker->stops;
    task_enter(t, TASK_LOADING);
    t->deadline_ms = loop_now_ms(t->worker->loop) + t->agent->config->deadline_ms;
    cells_load(t->worker->cells, ticket,
               &(struct cells_load){t->input.task_id, t->input.session_id, t->turn_began ? 0 : STARTS_SUSPECT});
}

/* How many of the newest messages TaskStarted can hold beside the record: whole turns, for a memory must not begin with an
 * answer. */
static size_t memorable(const struct task *t, const struct cells_answer *a)
{
    size_t most = a->nmessages < EVENT_TURNS_MAX ? a->nmessages : EVENT_TURNS_MAX, n = 0;
    size_t room = EVENT_TEXT_MAX - t->record->value.len;

    for (; n < most && a->messages[a->nmessages - n - 1].len <= room; n++)
        room -= a->messages[a->nmessages - n - 1].len;
    return n < most ? n - n % 2 : n;
}

static void keep_memory(struct task *t, const struct cells_answer *a)
{
    size_t n = memorable(t, a);
    struct turn *turns;

    t->memory = NULL;
    t->nmemory = 0;
    if (!t->agent->config->session_memory || n == 0)
        return;
    turns = arena_alloc(t->arena, n * sizeof *turns);
    if (!turns)
        return;
    for (size_t i = 0; i < n; i++)
        if (session_turn_read(a->messages[a->nmessages - n + i], t->arena, &turns[t->nmemory]))
            t->nmemory++;
    t->memory = turns;
}

/* Loaded for nothing else than to end it. */
static void end_if_too_large(struct task *t)
{
    struct error e = TASK_TOO_LARGE(CLASS_REJECTED);

    if (t->too_large && t->history.phase == HISTORY_OPEN)
        task_end_failed(t, e.class, e.code, e.text, "memory", false);
}

/* As new: nothing is known of it, or a redrive whose cells are gone. */
static void begin(struct task *t)
{
    t->loaded = true;
    if (!task_start(t))
        return;
    end_if_too_large(t);
    task_continue(t);
}

/* `cell`: TaskReopened, or what the run began with; NULL: no cells are stored. */
static void ask_redrive(struct task *t, const struct cells_write *cell)
{
    struct ticket ticket = task_ticket(t);

    t->redis_attempt = ticket.attempt;
    if (t->state != TASK_LOADING)
        task_enter(t, TASK_LOADING);
    cells_redrive(t->worker->cells, ticket,
                  &(struct cells_redrive){
                      .task_id = t->input.task_id, .origin = record_origin(t->record), .redrives = t->redrives, .cell = cell});
}

static void redrive(struct task *t)
{
    struct history *h = &t->history;
    struct cells_write write = {.cell = {.seq = 0}};
    struct event e = task_event(t, EVENT_REOPENED, history_next_seq(h));
    int32_t first, last;
    uint32_t id;

    if (h->phase == HISTORY_EMPTY) {
        ask_redrive(t, NULL);
        return;
    }
    e.reopened = (struct event_reopened){
        .reopen_kind = SLICE("redrive"),
        .redrives = t->redrives,
        .origin = record_origin(t->record),
        .by = record_header(t->record, "stepmill.redriven_by"),
        .reason = record_header(t->record, "stepmill.redrive_reason"),
        .deadline_at_ms = clock_wall_ms() + t->agent->config->deadline_ms,
    };
    buf_clear(&t->worker->scratch);
    if (!registry_id(t->worker->registry, t->worker->event_subject, &id))
        bug("a task is redriven before the event schema id is known");
    event_put(&t->worker->scratch, id, &e);
    history_parents(h, e.seq, &first, &last);
    write.cell.seq = e.seq;
    write.above = e.seq + 1;
    write.cell.bytes = buf_slice(&t->worker->scratch);
    write.cell.digest = history_digest(h, e.seq, write.cell.bytes);
    write.parents = &h->cells[first];
    write.nparents = (size_t)(last - first + 1);
    ask_redrive(t, &write);
}

static struct standing_cells known_cells(const struct history *h)
{
    return (struct standing_cells){
        .any = h->phase != HISTORY_EMPTY,
        .origin = h->origin,
        .input_hash = h->started.input_hash,
        .redrives = h->redrives,
        .newest_failed = h->phase == HISTORY_ENDED && h->end_kind == EVENT_FAILED,
    };
}

/* `done` of an older run, written late after Redis forgot that there is a newer one: `record` would take nothing, and each step
 * would be paid for in vain. */
static void clear_done_away(struct task *t)
{
    struct cells_write began = {.cell = t->history.cells[t->history.opened_seq]};

    log_warn(t->worker->log, "task.done_in_the_way", LOG_SLICE("task_id", t->input.task_id),
             LOG_INT("redrives", t->history.redrives),
             LOG_TEXT("action", "Redis lost data: the note of the run before this one is taken away"));
    t->loaded = false;
    ask_redrive(t, &began);
}

static void resume(struct task *t)
{
    struct history *h = &t->history;

    t->loaded = true;
    hex_decode(t->trace.trace_id, sizeof t->trace.trace_id, h->trace_id); /* one trace for the whole task, whoever runs it */
    if (h->reopened_deadline_ms >= 0) { /* a redrive has a deadline of its own; time without any worker must not use it up */
        int64_t left = h->reopened_deadline_ms - clock_wall_ms();

        t->deadline_at_ms = -1;
        t->deadline_ms = loop_now_ms(t->worker->loop) + (left > REDRIVE_LEAST_MS ? left : REDRIVE_LEAST_MS);
    }
    log_info(t->worker->log, "agent.checkpoint.restored", LOG_SLICE("task_id", t->input.task_id),
             LOG_SLICE("agent_id", t->agent->name), LOG_INT("events", h->ncells), LOG_INT("steps", h->steps_used));
    if (RULE(emit_loaded))
        task_emit_all(t);
    end_if_too_large(t);
    task_continue(t);
}

/* Cells are folded; `a` brings done. */
void task_stand(struct task *t, const struct cells_answer *a)
{
    struct standing_record record = {record_origin(t->record), t->input_hash, t->redrives};
    struct standing_cells cells = known_cells(&t->history);
    struct standing_done done = {.any = a->done_found,
                                 .origin = a->done.origin,
                                 .input_hash = a->done.input_hash,
                                 .redrives = a->done.redrives,
                                 .status_failed = a->done.status == DONE_FAILED};

    t->standing = standing_of(&record, &cells, &done);
    if (t->standing != STANDING_NEW && t->standing != STANDING_RESUME)
        log_info(t->worker->log, "task.standing", LOG_SLICE("task_id", t->input.task_id),
                 LOG_TEXT("standing", standing_name(t->standing)), LOG_INT("partition", t->record->partition),
                 LOG_INT("offset", t->record->waiting.offset));
    switch (t->standing) {
    case STANDING_NEW:
        begin(t);
        return;
    case STANDING_RESUME:
        if (RULE(done_in_the_way) && a->done_found && t->history.phase == HISTORY_OPEN)
            clear_done_away(t);
        else
            resume(t);
        return;
    case STANDING_REDRIVE:
        redrive(t);
        return;
    case STANDING_CONFLICT:
        task_stand_back(t);
        task_poison(t, error_make(CLASS_POISON, "task_id_conflict", "another task with other input has this task_id"), "");
        return;
    case STANDING_DUPLICATE:
        worker_count(t->worker->numbers->duplicates, 1);
        task_stand_back(t);
        task_settle(t);
        return;
    case STANDING_FINISHED:
        task_settle(t);
        return;
    }
}

void task_loaded(struct task *t, const struct cells_answer *a)
{
    if (failed(a->error)) {
        bool damaged = !strncmp(a->error.code, "checkpoint_", 11) || !strncmp(a->error.code, "done_", 5) ||
                       !strcmp(a->error.code, "redis_answer_too_large"); /* time won't mend it */
        int64_t pause_ms = damaged ? DAMAGED_LOOK_MS : backoff_ms(500, 2000, 2, &t->worker->seed);

        task_wait(t, damaged ? OUTAGE_VERSION : OUTAGE_REDIS, loop_now_ms(t->worker->loop) + pause_ms);
        return;
    }
    t->stops_seen = t->stops_asked;
    keep_memory(t, a);
    hex_encode(t->nonce, &(uint64_t){RULE(nonce) ? random_next(&t->worker->seed) : 0}, sizeof(uint64_t));
    t->session_tokens = a->session_tokens;
    t->recorded_ms = loop_now_ms(t->worker->loop);
    t->suspect = a->starts > STARTS_SUSPECT;
    t->counted = a->raised;
    if (!task_refold(t, a->cells, a->ncells))
        return;
    if (RULE(crash_loop) && a->starts > STARTS_CRASH_LOOP &&
        (t->history.phase == HISTORY_OPEN || t->history.phase == HISTORY_EMPTY)) {
        t->loaded = true;
        if (t->history.phase == HISTORY_EMPTY && !task_start(t))
            return;
        task_end_failed(t, CLASS_EXHAUSTED, "crash_loop",
                        "the task was begun again and again without getting further: it seems to kill its worker", "loading",
                        true);
    }
    if (a->cancel && !t->ending)
        t->cancel_asked = true;
    task_stand(t, a);
}

void task_redriven(struct task *t, const struct cells_answer *a)
{
    if (failed(a->error)) {
        t->loaded = false;
        task_wait(t, OUTAGE_REDIS, loop_now_ms(t->worker->loop) + backoff_ms(500, 2000, 2, &t->worker->seed));
        return;
    }
    if (a->status != CELLS_OK) {
        if (task_refold(t, a->cells, a->ncells))
            task_stand(t, a);
        return;
    }
    t->cancel_asked = a->cancel; /* a wish from before was about the run that has ended */
    if (a->ncells == 0) {
        begin(t);
        return;
    }
    for (size_t i = 0; i < a->ncells && history_follows(&t->history, a->cells[i].seq); i++) /* another run may have gone on */
        if (!task_adopt(t, &a->cells[i]))
            return;
    t->writing.group_first = t->history.group_first;
    if (!origin_equal(&t->history.origin,
                      &(struct origin){slice_of(t->record->topic), t->record->partition, t->record->waiting.offset}))
        task_stand(t, a);
    else
        resume(t);
}
