/* The table of DELIVERY §3: the first row that matches counts. */
#include "stepmill/standing.h"

#include "stepmill/rule.h"

const char *standing_name(enum standing s)
{
    static const char *const names[] = {
        [STANDING_RESUME] = "resume",   [STANDING_FINISHED] = "finished",   [STANDING_CONFLICT] = "conflict",
        [STANDING_REDRIVE] = "redrive", [STANDING_DUPLICATE] = "duplicate", [STANDING_NEW] = "new",
    };

    return names[s];
}

bool origin_equal(const struct origin *a, const struct origin *b)
{
    return a->offset == b->offset && a->partition == b->partition && slice_equal(a->topic, b->topic);
}

enum standing standing_of(const struct standing_record *r, const struct standing_cells *cells, const struct standing_done *done)
{
    int32_t last = 0;
    bool answered;

    if (cells->any)
        last = cells->redrives;
    if (RULE(last_of_done) && done->any && done->redrives > last) /* Redis may have lost the newest cells */
        last = done->redrives;
    /* b before a: `done` of this very record was written after its commit, so its result has left, whatever cells are kept (those
     * of a dead letter are, for 30 days). */
    if (RULE(finished) && done->any && origin_equal(&done->origin, &r->origin))
        return STANDING_FINISHED;
    /* Not when another record's run has answered since: Redis lost that run's cells, ours took their place, and `done` came late.
     * `record` takes nothing any more, so to resume would be to pay for one step again and again. */
    answered = RULE(answered_meanwhile) && done->any && done->redrives >= cells->redrives;
    if (RULE(resume) && cells->any && origin_equal(&cells->origin, &r->origin) && !answered)
        return STANDING_RESUME;
    if ((RULE(conflict) && cells->any && !digest_equal(&cells->input_hash, &r->input_hash)) ||
        (RULE(conflict) && done->any && !digest_equal(&done->input_hash, &r->input_hash)))
        return STANDING_CONFLICT;
    if (r->redrives > (RULE(redrive_newer) ? last : 0) &&
        (!RULE(redrive_of_failed) || (cells->any ? cells->newest_failed : !done->any || done->status_failed)))
        return STANDING_REDRIVE;
    if (RULE(duplicate) && (cells->any || done->any))
        return STANDING_DUPLICATE;
    return STANDING_NEW;
}
