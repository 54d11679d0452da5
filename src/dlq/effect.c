/* From an action to what it does to the index. */
#include "effect.h"

static enum effect_kind kind_of(enum action_kind kind)
{
    static const enum effect_kind kinds[] = {
        [ACTION_ACKNOWLEDGED] = EFFECT_ACKNOWLEDGED,
        [ACTION_ASSIGNED] = EFFECT_ASSIGNED,
        [ACTION_NOTED] = EFFECT_NOTED,
        [ACTION_PARKED] = EFFECT_PARKED,
        [ACTION_UNPARKED] = EFFECT_UNPARKED,
        [ACTION_DISCARDED] = EFFECT_DISCARDED,
        [ACTION_REOPENED] = EFFECT_REOPENED,
        [ACTION_RETRY_SCHEDULED] = EFFECT_RETRY,
        [ACTION_REDRIVEN] = EFFECT_REDRIVEN,
        [ACTION_SKIPPED] = EFFECT_SKIPPED,
        [ACTION_RESOLVED] = EFFECT_RESOLVED,
        [ACTION_GROUP_RESOLVED] = EFFECT_GROUP_RESOLVED,
        [ACTION_GROUP_REOPENED] = EFFECT_GROUP_REOPENED,
        [ACTION_GROUP_ASSIGNED] = EFFECT_ASSIGNED,
        [ACTION_ALERTED] = EFFECT_ALERTED,
        [ACTION_JOB_REQUESTED] = EFFECT_JOB_REQUESTED,
        [ACTION_JOB_SELECTED] = EFFECT_JOB_SELECTED,
        [ACTION_JOB_PAUSED] = EFFECT_JOB_PAUSED,
        [ACTION_JOB_RESUMED] = EFFECT_JOB_RESUMED,
        [ACTION_JOB_CANCELLED] = EFFECT_JOB_CANCELLED,
        [ACTION_JOB_FINISHED] = EFFECT_JOB_FINISHED,
        [ACTION_ACCESS_REFUSED] = EFFECT_NONE,
        [ACTION_EXPORTED] = EFFECT_NONE,
        [ACTION_KINDS] = EFFECT_NONE,
    };

    return kinds[kind];
}

static struct slice text(struct slice s) { return s.len ? s : (struct slice){NULL, 0}; }

/* One that was made for the request itself is asked for by nobody. */
static struct slice keyed(struct slice request)
{
    return request.len && memchr(request.at, '/', request.len) ? request : (struct slice){NULL, 0};
}

/* An index entry needs what its kind is about; an action without it is history only. */
static enum effect_kind checked(const struct effect *e)
{
    bool of_job = e->kind >= EFFECT_JOB_REQUESTED, of_letter = e->kind < EFFECT_GROUP_RESOLVED;

    if (of_job)
        return e->job.at ? e->kind : EFFECT_NONE;
    if (of_letter)
        return e->letter.at || (e->kind == EFFECT_ASSIGNED && e->group.at) ? e->kind : EFFECT_NONE;
    return e->group.at ? e->kind : EFFECT_NONE;
}

bool effect_of(const struct action *a, const struct kafka_record *record, struct slice body, uint32_t schema_id,
               struct arena *arena, struct effect *effect)
{
    struct slice *letters = a->nletters ? arena_alloc(arena, a->nletters * sizeof *letters) : NULL;

    if (a->nletters && !letters)
        return false;
    for (size_t i = 0; i < a->nletters; i++)
        letters[i] = a->letters[i].id;
    *effect = (struct effect){
        .kind = kind_of(action_kind_of(a->kind)),
        .kind_name = a->kind,
        .id = a->id,
        .at_ms = a->at_ms,
        .actor = text(a->actor),
        .actor_kind = text(a->actor_kind),
        .reason = text(a->reason),
        .letter = text(a->letter),
        .group = text(a->group),
        .job = text(a->job),
        .name = text(a->name),
        .detail = text(a->detail),
        .request = keyed(a->request),
        .due_ms = a->due_at_ms,
        .letters = letters,
        .nletters = a->nletters,
        .last = a->last,
        .body = body,
        .schema_id = schema_id,
        .partition = record->partition,
        .offset = record->offset,
    };
    effect->kind = checked(effect);
    return true;
}
