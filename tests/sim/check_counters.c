/* Checks the counters of tokens in Redis against what the results say (DELIVERY §2: only cells newly written count). */
#include <stdio.h>

#include "check_private.h"
#include "redis_server.h"
#include "world.h"

/* The last result of a task speaks for all its runs. */
static bool is_last(const struct checker *c, const struct seen_result *r)
{
    for (size_t i = 0; i < c->nresults; i++)
        if (c->results[i].of && c->results[i].of->task == r->of->task && c->results[i].result.redrives > r->result.redrives)
            return false;
    return true;
}

static int64_t tokens_of(const struct checker *c, struct slice session_id)
{
    int64_t tokens = 0;

    for (size_t i = 0; i < c->nresults; i++)
        if (c->results[i].of && slice_equal(c->results[i].result.session_id, session_id) && is_last(c, &c->results[i]))
            tokens += c->results[i].result.tokens_used;
    return tokens;
}

/* DELIVERY §2: `done` is written again until Redis took it, and takes the cells away: only the end of the worker, or the loss of
 * a partition with its commit under way, may leave some: they say the same. */
static void check_left_behind(const struct checker *c)
{
    for (size_t i = 0; i < c->nresults; i++) {
        const struct verdict *v = c->results[i].of;
        char key[256];

        if (!v || v->letter || v->fed->kind == FEED_REFUSED || v->task->fed.lost || !is_last(c, &c->results[i]))
            continue;
        snprintf(key, sizeof key, "checkpoint:%.*s", SLICE_FMT(v->task->fed.script.task_id));
        if (store_peek(redis_server_store(world_redis()), sim_wall_ms(), slice_of(key), SLICE("0")).at)
            sim_violation("left-behind", "%s has its result, its worker lives, and its cells are still in Redis",
                          verdict_name(v));
    }
}

void check_counters(struct checker *c)
{
    if (!sim_ended() && !c->ledger->late_handovers && !sim_faults(SIM_FAULT_PROCESS) && !sim_faults(SIM_FAULT_GROUP) &&
        !sim_faults(SIM_FAULT_DEATH) && !sim_faults(SIM_FAULT_KAFKA_CALL) && !sim_faults(SIM_FAULT_KAFKA_SERVER) &&
        !sim_faults(SIM_FAULT_KAFKA_CUT) && !sim_faults(SIM_FAULT_KAFKA_MARK))
        check_left_behind(c);
    for (size_t i = 0; i < c->nresults && !c->ledger->redis_losses; i++) {
        struct slice session_id = c->results[i].result.session_id, value;
        char key[256];
        int64_t counted = 0;

        snprintf(key, sizeof key, "tokens:session:%.*s", SLICE_FMT(session_id));
        value = store_peek(redis_server_store(world_redis()), sim_wall_ms(), slice_of(key), (struct slice){NULL, 0});
        if (value.at)
            (void)slice_to_int(value, INT64_MIN, INT64_MAX, &counted);
        if (counted != tokens_of(c, session_id)) {
            sim_violation("counters", "session %.*s has %lld tokens counted, its results say %lld", SLICE_FMT(session_id),
                          (long long)counted, (long long)tokens_of(c, session_id));
            return;
        }
    }
}
