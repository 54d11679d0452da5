/* Finds for each committed result the record it answers. */
#include "check_private.h"
#include "schema_shelf.h"
#include "stepmill/result_codec.h"
#include "stepmill/wire_format.h"
#include "world.h"

static bool read_result(struct checker *c, struct seen_result *r)
{
    struct slice avro;
    uint32_t id;

    if (failed(wire_parse(r->record->value, &id, &avro)) ||
        failed(result_read(schema_shelf_plan(world_shelf(), SCHEMA_RESULT, &result_reader), avro, c->arena, &r->result, NULL))) {
        sim_violation("result", "a committed result can't be read");
        return false;
    }
    return true;
}

/* Poison answers for itself: its result comes from no history. */
static bool is_poison(const struct seen_result *r) { return r->result.history.len == 0; }

/* Several records of one task in one transaction can be told apart only by their dead letters. */
static struct verdict *answered_by(struct checker *c, struct seen_result *r)
{
    bool failed_one = slice_is(r->result.status, "failed");
    struct verdict *found = NULL;
    size_t candidates = 0;

    for (size_t i = 0; i < c->nverdicts; i++) {
        struct verdict *v = &c->verdicts[i];
        bool conflict = v->letter && slice_is(v->letter->code, "task_id_conflict");

        if (v->txn != r->record->txn || !v->task || conflict || is_poison(r) != (v->fed->kind == FEED_REFUSED) ||
            !slice_equal(v->task->fed.script.task_id, r->result.task_id) || v->fed->redrives != r->result.redrives)
            continue;
        candidates++;
        if (!v->result && (!found || (failed_one && v->letter && !found->letter) || (!failed_one && !v->letter && found->letter)))
            found = v;
    }
    r->unsure = candidates > 1;
    return found;
}

static void check_result(struct checker *c, struct seen_result *r)
{
    struct verdict *v = answered_by(c, r);

    if (!v) {
        sim_violation("one-transaction",
                      "the result of %.*s (redrive %d) left in transaction %llu, which finished no record that it could answer",
                      SLICE_FMT(r->result.task_id), r->result.redrives, (unsigned long long)r->record->txn);
        return;
    }
    v->result = r;
    r->of = v;
    if (!slice_equal(r->result.session_id, v->task->fed.session_id) || !slice_equal(r->record->key, v->task->fed.session_id))
        sim_violation("result", "the result of %s carries another session_id or key", verdict_name(v));
    if (!is_poison(r))
        check_chain(c, r);
}

void check_results(struct checker *c)
{
    c->results = arena_alloc(c->arena, (c->nrecords + 1) * sizeof *c->results);
    for (size_t i = 0; i < c->nrecords; i++) {
        struct seen_result *r = &c->results[c->nresults];

        if (strcmp(c->records[i].topic, WORLD_RESULTS) != 0)
            continue;
        r->record = &c->records[i];
        if (!read_result(c, r))
            continue;
        c->nresults++;
        check_result(c, r);
    }
}
