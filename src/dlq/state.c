/* What becomes of a letter by its actions; pure, and the same in whatever order partitions are read (store.h). */
#include "effect.h"
#include "store_parts.h"

static void become(struct state *s, enum letter_status status, int64_t at_ms)
{
    s->base = status;
    s->base_at_ms = at_ms;
    s->due_ms = -1;
    s->ended = (struct slice){NULL, 0};
}

/* Its own actions come in their order: they lie in one partition. */
void state_apply(struct state *s, const struct effect *e)
{
    switch (e->kind) {
    case EFFECT_ACKNOWLEDGED:
        become(s, LETTER_ACKNOWLEDGED, e->at_ms);
        break;
    case EFFECT_PARKED:
        become(s, LETTER_PARKED, e->at_ms);
        break;
    case EFFECT_UNPARKED:
    case EFFECT_REOPENED:
        become(s, LETTER_OPEN, e->at_ms);
        break;
    case EFFECT_DISCARDED:
        become(s, LETTER_DISCARDED, e->at_ms);
        break;
    case EFFECT_RETRY:
        become(s, LETTER_RETRY_WAITING, e->at_ms);
        s->due_ms = e->due_ms;
        break;
    case EFFECT_REDRIVEN:
        become(s, LETTER_REDRIVEN, e->at_ms);
        s->sent++;
        s->sent_job = e->job;
        break;
    case EFFECT_RESOLVED:
        become(s, LETTER_RESOLVED, e->at_ms);
        s->ended = e->name;
        break;
    case EFFECT_ASSIGNED:
        s->assigned = e->name.len ? e->name : (struct slice){NULL, 0};
        break;
    case EFFECT_NOTED:
        s->notes++;
        break;
    default:
        break;
    }
}

/* What comes from other partitions: a job that chose the letter, a newer letter of the task. */
void state_settle(struct state *s)
{
    bool waits = s->base == LETTER_OPEN || s->base == LETTER_ACKNOWLEDGED || s->base == LETTER_RETRY_WAITING;

    s->status = s->base;
    s->status_at_ms = s->base_at_ms;
    s->job = s->pending_job.at ? s->pending_job : s->sent_job;
    if (s->newer_id.at && (waits || s->base == LETTER_REDRIVEN)) {
        s->status = LETTER_FAILED_AGAIN;
        s->status_at_ms = s->newer_at_ms;
    } else if (s->pending_job.at && waits) {
        s->status = LETTER_REDRIVING;
    }
}
