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

void check_counters(struct checker *c)
{
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
