/* Steps: pieces of work that look into the index, prepare a transaction, and hand it to the writer. */
#include "redrive_parts.h"
#include "stepmill/clock.h"

/* ---- Actions of its own */

struct action redrives_action(struct redrives *r, char id[37], enum action_kind kind)
{
    int64_t now = clock_wall_ms();

    action_new_id(id, now);
    return (struct action){.id = {id, 36},
                           .at_ms = now,
                           .kind = slice_of(action_kind_name(kind)),
                           .actor = slice_of(r->process),
                           .actor_kind = SLICE("system"),
                           .due_at_ms = -1};
}

bool redrives_encode(struct redrives *r, const struct action *a)
{
    uint32_t id;

    buf_clear(&r->scratch);
    if (!registry_id(r->o.registry, r->subject, &id))
        return false;
    action_put(&r->scratch, id, a);
    return !r->scratch.failed;
}

bool step_add(struct redrives *r, const struct action *a)
{
    if (!r->step.batch)
        r->step.batch = kafka_batch_new();
    return r->step.batch && redrives_encode(r, a) &&
           kafka_batch_add_record(r->step.batch, &(struct kafka_output){.topic = r->config->topics.dlq_actions,
                                                                        .key = action_key(a),
                                                                        .value = buf_slice(&r->scratch)});
}

/* ---- Steps */

void redrives_wake(struct redrives *r)
{
    if (!r->turning)
        loop_timer_set(&r->timer, 0);
}

void work_due(struct redrives *r, enum work_kind kind, int64_t ms)
{
    int64_t at = loop_now_ms(r->o.loop) + ms;

    if (at < r->due_ms[kind])
        r->due_ms[kind] = at;
    redrives_wake(r);
}

bool step_begin(struct redrives *r, enum work_kind kind)
{
    r->step = (struct step){.kind = kind, .generation = r->generation, .arena = arena_new(STEP_ARENA_MAX)};
    r->due_ms[kind] = INT64_MAX;
    if (!r->step.arena)
        work_due(r, kind, AGAIN_MS);
    return r->step.arena != NULL;
}

void step_end(struct redrives *r, int64_t again_ms)
{
    struct step *s = &r->step;
    enum work_kind kind = s->kind;

    restore_cancel(r->restore);
    ask_forget(r->o.asks, s->ask);
    kafka_batch_free(s->batch);
    arena_free(s->arena);
    *s = (struct step){.arena = NULL};
    if (again_ms >= 0)
        work_due(r, kind, again_ms);
    redrives_wake(r);
}

void step_fail(struct redrives *r, struct error why, const char *detail)
{
    r->status.trouble = why.code;
    if (strcmp(why.code, "index_not_ready") != 0)
        log_warn(r->o.log, "dlq.step_failed", LOG_ERROR(why), LOG_TEXT("detail", detail ? detail : ""));
    step_end(r, AGAIN_MS);
}

void step_ready(struct redrives *r)
{
    if (!r->step.batch || !kafka_batch_records(r->step.batch)) {
        step_end(r, -1);
        return;
    }
    r->step.ready = true;
    redrives_wake(r);
}

bool step_is_old(const struct redrives *r) { return r->step.generation != r->generation; }
