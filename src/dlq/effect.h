/* What an action does to the index: the fold's view of a DeadLetterAction, whatever its Avro form (effect.c makes it). */
#ifndef DLQ_EFFECT_H
#define DLQ_EFFECT_H

#include "stepmill/action.h"
#include "stepmill/kafka.h"

enum effect_kind {
    EFFECT_NONE, /* history only: exported, access refused, … */
    /* of one letter */
    EFFECT_ACKNOWLEDGED,
    EFFECT_ASSIGNED, /* `name`: to whom; empty: to nobody. Without a letter: of the group */
    EFFECT_NOTED,
    EFFECT_PARKED,
    EFFECT_UNPARKED,
    EFFECT_DISCARDED,
    EFFECT_REOPENED, /* open again, whatever it was */
    EFFECT_RETRY,    /* it goes by itself at `due_ms` */
    EFFECT_REDRIVEN, /* by `job`, or "auto" */
    EFFECT_SKIPPED,  /* `job` leaves it out after all */
    EFFECT_RESOLVED, /* its redrive ended; `name`: completed, failed, cancelled */
    /* of a group */
    EFFECT_GROUP_RESOLVED,
    EFFECT_GROUP_REOPENED,
    EFFECT_ALERTED, /* `name`: the sink; `detail`: the kind of alert */
    /* of a job */
    EFFECT_JOB_REQUESTED,
    EFFECT_JOB_SELECTED, /* `letters`; `last`: there are no more */
    EFFECT_JOB_PAUSED,
    EFFECT_JOB_RESUMED,
    EFFECT_JOB_CANCELLED,
    EFFECT_JOB_FINISHED,
};

/* Absent texts are {NULL, 0}. Views into whatever it was made from. */
struct effect {
    enum effect_kind kind;
    struct slice kind_name; /* of the action: for lists and filters */
    struct slice id;
    int64_t at_ms;
    struct slice actor, actor_kind, reason;
    struct slice letter, group, job;
    struct slice name, detail;
    struct slice request; /* that came with an Idempotency-Key; else absent */
    int64_t due_ms;
    const struct slice *letters;
    size_t nletters;
    bool last;
    struct slice body; /* as in the topic, without the wire header */
    uint32_t schema_id;
    /* where it lies: actions of one letter, group or job lie in one partition, in the order in which they count */
    int32_t partition;
    int64_t offset;
};

/* `action` as read from `record`, `body` its Avro bytes. The letters are copied to the arena, all else points into the action.
 * False: no room. */
bool effect_of(const struct action *action, const struct kafka_record *record, struct slice body, uint32_t schema_id,
               struct arena *arena, struct effect *effect);

struct action; /* stepmill/action.h */

/* Views into the action and `record`; arrays lie in the arena. `body`: its bytes without the wire header. False: no room. */
bool effect_of(const struct action *a, const struct kafka_record *record, struct slice body, uint32_t schema_id,
               struct arena *arena, struct effect *e);

#endif
