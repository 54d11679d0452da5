/* The action: what was decided about a dead letter, a group of them or a redrive job; one record on agent.dlq.actions.
 *
 *     index of the dead-letter processor = fold(dead letters, actions)
 *
 * One struct for reading and writing, flat as its Avro form (schemas/DeadLetterAction.avsc, which says what each kind uses): a
 * kind that this version does not know can be listed all the same. Absent and empty texts mean the same. Slices belong to
 * whoever filled the struct. Pure; any thread.
 */
#ifndef STEPMILL_ACTION_H
#define STEPMILL_ACTION_H

#include "avro_plan.h"

enum {
    ACTION_LETTERS_MAX = 5000,        /* of a job_requested */
    ACTION_SELECTED_MAX = 500,        /* of one job_selected */
    ACTION_TERMS_MAX = 64,            /* of a filter; counts too */
    ACTION_TEXT_MAX = 4000,           /* reason, note: bytes that an API should take */
    ACTION_SIZE_MAX = 4 * 1024 * 1024 /* bytes of an encoded action */
};

enum action_kind {
    ACTION_ACKNOWLEDGED,
    ACTION_ASSIGNED,
    ACTION_NOTED,
    ACTION_PARKED,
    ACTION_UNPARKED,
    ACTION_DISCARDED,
    ACTION_REOPENED,
    ACTION_RETRY_SCHEDULED,
    ACTION_REDRIVEN,
    ACTION_SKIPPED,
    ACTION_RESOLVED,
    ACTION_GROUP_RESOLVED,
    ACTION_GROUP_REOPENED,
    ACTION_GROUP_ASSIGNED,
    ACTION_ALERTED,
    ACTION_JOB_REQUESTED,
    ACTION_JOB_SELECTED,
    ACTION_JOB_PAUSED,
    ACTION_JOB_RESUMED,
    ACTION_JOB_CANCELLED,
    ACTION_JOB_FINISHED,
    ACTION_ACCESS_REFUSED,
    ACTION_EXPORTED,
    ACTION_KINDS, /* also: a kind of a newer version */
};
const char *action_kind_name(enum action_kind kind); /* "acknowledged", …; ACTION_KINDS: "unknown" */
enum action_kind action_kind_of(struct slice name);

struct action_letter {
    struct slice id;
};
struct action_term {
    struct slice name, value;
};
struct action_count {
    struct slice name;
    int64_t n;
};

struct action {
    struct slice id; /* UUID: action_new_id, or made from an Idempotency-Key (action_id_of) */
    int64_t at_ms;   /* Unix */
    struct slice kind;
    struct slice actor, actor_kind; /* kind: user, token or system */
    struct slice reason, request;
    struct slice letter, group, job;
    struct slice name, detail;
    int64_t due_at_ms; /* -1: none */
    const struct action_letter *letters;
    size_t nletters;
    bool last;
    const struct action_term *filter;
    size_t nfilter;
    const struct action_count *counts;
    size_t ncounts;
    int32_t cap, rate, canary;
    bool from_start;
    int32_t redrives;
    struct slice topic, task_id;
    bool edited;
};

/* What decides the partition: job actions by their job, but redriven and skipped by their letter; else letter, group, id. Never
 * absent. */
struct slice action_key(const struct action *a);

/* Random, in the order of time (UUIDv7). */
void action_new_id(char text[37], int64_t wall_ms);
/* Always the same for the same parts (UUIDv8 of a SHA-256): who asks twice with one Idempotency-Key writes one action. */
void action_id_of(char text[37], struct slice who, struct slice key, struct slice what);

extern const struct avro_record action_reader;

/* Appends the wire header and the record. Texts must be UTF-8. The same action gives the same bytes. */
void action_put(struct buf *to, uint32_t schema_id, const struct action *a);
/* `avro` without the wire header; slices point into it, arrays lie in the arena. Errors: those of avro_plan_decode, class
 * poison. */
MUST_CHECK struct error action_read(const struct avro_plan *plan, struct slice avro, struct arena *arena, struct action *a,
                                    struct detail *detail);

#endif
