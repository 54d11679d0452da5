/* Checks that the committed events hold the whole chain that a result's history names, and that it gives this result. */
#include "check_private.h"
#include "schema_shelf.h"
#include "stepmill/event_codec.h"
#include "stepmill/history.h"
#include "stepmill/wire_format.h"
#include "world.h"

enum { DEPTH_MAX = 200, TRIES_MAX = 2000 };

/* The events of one task that came before the result, and the digest that is looked for. */
struct chain {
    struct checker *checker;
    struct slice task_id;
    const struct seen_result *result;
    const struct sim_record **events;
    int32_t *seqs;
    size_t nevents;
    int tries;
    bool end_differs; /* the chain is there, but says something else than the result */
    bool undecided;   /* an event stands where `decide` would have had another */
};

/* "<task_id>/<seq>/<digest>" */
static bool read_id(struct slice id, struct slice task_id, int32_t *seq, struct slice *digest)
{
    const char *slash;
    int64_t n;

    if (id.len < task_id.len + 2 || memcmp(id.at, task_id.at, task_id.len) != 0 || id.at[task_id.len] != '/')
        return false;
    id = (struct slice){id.at + task_id.len + 1, id.len - task_id.len - 1};
    slash = memchr(id.at, '/', id.len);
    if (!slash || !slice_to_int((struct slice){id.at, (size_t)(slash - id.at)}, 0, INT32_MAX, &n))
        return false;
    *seq = (int32_t)n;
    *digest = (struct slice){slash + 1, id.len - (size_t)(slash + 1 - id.at)};
    return true;
}

static void gather(struct chain *k)
{
    const struct checker *c = k->checker;

    k->events = arena_alloc(c->arena, (c->nrecords + 1) * sizeof(struct sim_record *));
    k->seqs = arena_alloc(c->arena, (c->nrecords + 1) * sizeof *k->seqs);
    for (size_t i = 0; i < c->nrecords; i++) {
        const struct sim_record *r = &c->records[i];
        struct slice digest;

        if (r->txn > k->result->record->txn)
            continue; /* events leave with their result or before it */
        if (!strcmp(r->topic, WORLD_EVENTS) && read_id(record_header_of(r, "ce_id"), k->task_id, &k->seqs[k->nevents], &digest))
            k->events[k->nevents++] = r;
    }
}

/* As `stepmill audit verify` asks: is this what `decide` would have had next? A task may be ended from outside between two
 * groups.
 */
static bool is_decided(const struct history *h, const struct event *e)
{
    struct decision d = history_decide(h);

    switch (d.kind) {
    case DECIDE_START:
        return e->kind == EVENT_STARTED;
    case DECIDE_CALL:
        return e->kind == EVENT_MODEL_ANSWERED || e->kind == EVENT_FAILED || e->kind == EVENT_CANCELLED;
    case DECIDE_ACT:
        return e->kind == EVENT_TOOL_ANSWERED &&
               (!d.refuse || e->tool.outcome == TOOL_REFUSED || e->tool.outcome == TOOL_UNKNOWN);
    case DECIDE_END:
        if (d.end_kind == EVENT_COMPLETED)
            return e->kind == EVENT_COMPLETED && slice_equal(e->completed.error, d.completed.error);
        return e->kind == d.end_kind && slice_equal(e->failed.code, d.failed.code);
    case DECIDE_SETTLE:
        return e->kind == EVENT_REOPENED;
    case DECIDE_SLEEP:
        return false;
    }
    return false;
}

/* The history with one event more. */
static bool extend(struct chain *k, const struct history *from, struct history *to, int32_t seq, const struct sim_record *r)
{
    const struct avro_plan *plan = schema_shelf_plan(world_shelf(), SCHEMA_EVENT, &event_reader);
    struct digest digest = history_digest(from, seq, r->value);
    char hex[2 * DIGEST_SIZE + 1];
    struct slice avro, id = {NULL, 0};
    struct event event;
    uint32_t schema;
    int32_t at;

    digest_text(hex, &digest);
    if (!read_id(record_header_of(r, "ce_id"), k->task_id, &at, &id) || !slice_is(id, hex))
        return false; /* it belongs to another history */
    if (failed(wire_parse(r->value, &schema, &avro)) || failed(event_read(plan, avro, k->checker->arena, &event, NULL)))
        return false;
    k->undecided |= !is_decided(from, &event);
    *to = *from;
    to->cells = arena_alloc(k->checker->arena, (size_t)(from->ncells + 1) * sizeof *to->cells);
    to->cells_room = from->ncells + 1;
    if (from->ncells)
        memcpy(to->cells, from->cells, (size_t)from->ncells * sizeof *to->cells);
    if (from->calls && from->ncalls) { /* it marks them */
        to->calls = arena_alloc(k->checker->arena, from->ncalls * sizeof *to->calls);
        memcpy(to->calls, from->calls, from->ncalls * sizeof *to->calls);
    }
    return !failed(history_hold(to, seq, &digest, r->value)) && !failed(history_apply(to, &event));
}

static bool is_result(struct chain *k, const struct history *h)
{
    const struct task_result *r = &k->result->result;
    char hex[2 * DIGEST_SIZE + 1];
    struct task_result of;

    if (h->phase != HISTORY_ENDED)
        return false;
    of = history_result(h, hex);
    if (!slice_is(r->history, hex))
        return false;
    k->end_differs = !slice_equal(of.status, r->status) || !slice_equal(of.error, r->error) || of.redrives != r->redrives ||
                     of.steps_used != r->steps_used || of.tokens_used != r->tokens_used || !slice_equal(of.output, r->output);
    return true;
}

static bool is_repeated(const struct chain *k, size_t event)
{
    for (size_t i = 0; i < event; i++)
        if (k->seqs[i] == k->seqs[event] && slice_equal(k->events[i]->value, k->events[event]->value))
            return true;
    return false;
}

/* Each event was a cell first. */
static void check_cells(const struct chain *k, const struct history *h)
{
    for (int32_t i = 0; i < h->ncells; i++)
        if (!ledger_was_stored(k->result->of->task, &h->cells[i].digest))
            sim_violation("stored-first", "the result of %s left although its cell %d was never stored in Redis",
                          verdict_name(k->result->of), i);
}

static bool search(struct chain *k, const struct history *h, int32_t seq)
{
    if (is_result(k, h)) {
        check_cells(k, h);
        return true;
    }
    if (seq == DEPTH_MAX || ++k->tries > TRIES_MAX)
        return false;
    for (size_t i = 0; i < k->nevents; i++) {
        struct history next;

        if (k->seqs[i] != seq || is_repeated(k, i) || !history_follows(h, seq) || !extend(k, h, &next, seq, k->events[i]))
            continue;
        if (search(k, &next, seq + 1))
            return true;
    }
    return false;
}

void check_chain(struct checker *c, const struct seen_result *r)
{
    struct chain k = {.checker = c, .task_id = r->result.task_id, .result = r};
    struct history empty;

    gather(&k);
    history_init(&empty, c->arena);
    if (!search(&k, &empty, 0))
        sim_violation("chain", "the committed events do not hold the chain that the result of %s names (%.*s)",
                      verdict_name(r->of), SLICE_FMT(r->result.history));
    else if (k.end_differs)
        sim_violation("chain", "the result of %s says something else than the events it names", verdict_name(r->of));
    if (k.undecided)
        sim_violation("decided", "an event of %s stands where `decide` would have had another", verdict_name(r->of));
}
