/* How the collector folds actions, and how those wait that cannot be read while the schema registry is away. */
#include "collect_reading.h"
#include "stepmill/clock.h"

enum { PATIENCE_MS = 1000, RETRY_MS = 2000 };

static struct error out_of_memory(void) { return error_make(CLASS_INTERNAL, "out_of_memory", "no memory left for an action"); }

static void complain(struct reading *r, const struct kafka_record *record, struct error why)
{
    r->unreadable++;
    log_warn(r->c->options.log, "dlq.action_unreadable", LOG_TEXT("topic", record->topic),
             LOG_INT("partition", record->partition), LOG_INT("offset", record->offset), LOG_ERROR(why),
             LOG_TEXT("action", "it is left out of the index"));
}

/* Letters go on meanwhile: the fold does not depend on the order of partitions. Those of a letter stay in order: a partition
 * stands still as a whole. */
static void let_wait(struct reading *r, const struct kafka_record *record, struct error why)
{
    kafka_follow_hold(r->follow);
    if (!r->waiting)
        log_warn(r->c->options.log, "dlq.actions_wait", LOG_TEXT("topic", record->topic), LOG_INT("partition", record->partition),
                 LOG_INT("offset", record->offset), LOG_ERROR(why),
                 LOG_TEXT("action", "letters are collected, actions are tried again until the schema registry answers"));
    r->waiting = true;
    if (!r->held)
        r->retry_ms = clock_mono_ms() + RETRY_MS;
    r->held = true;
}

/* None waits any more when none had to for a while after all were tried. */
void reading_retry(struct reading *r)
{
    if (!r->waiting || clock_mono_ms() < r->retry_ms)
        return;
    if (!r->held) {
        r->waiting = false;
        log_info(r->c->options.log, "dlq.actions_go_on", LOG_INT("actions", r->actions));
        return;
    }
    kafka_follow_release(r->follow);
    r->held = false;
    r->retry_ms = clock_mono_ms() + RETRY_MS;
}

static struct error read_action(struct reading *r, const struct kafka_record *record, struct arena *arena, struct effect *effect)
{
    const struct avro_plan *plan;
    struct slice avro;
    uint32_t schema_id;
    struct action action;
    struct detail detail;
    /* Those of other partitions need not wait as long again. */
    int64_t patience = r->held ? 0 : PATIENCE_MS;
    struct error error = plans_for(r->plans, record->value, &action_reader, patience, &r->c->stop, &plan, &avro, &schema_id);

    if (!failed(error))
        error = action_read(plan, avro, arena, &action, &detail);
    if (!failed(error) && !effect_of(&action, record, avro, schema_id, arena, effect))
        error = out_of_memory();
    return error;
}

struct error reading_action(struct reading *r, const struct kafka_record *record)
{
    struct arena *arena = arena_new(NEWS_MEMORY);
    struct effect effect;
    struct error error = arena ? read_action(r, record, arena, &effect) : out_of_memory();

    if (!failed(error)) {
        store_fold_action(r->store, &effect);
        r->actions++;
        if (!r->news.more_actions && !news_add(&r->news, &effect))
            r->news.more_actions = true;
    } else if (error.class == CLASS_POISON) {
        complain(r, record, error);
        error = error_none();
    } else if (error.class == CLASS_WAIT || error.class == CLASS_AGAIN) {
        let_wait(r, record, error);
        error = error_none();
    }
    arena_free(arena);
    return error;
}
