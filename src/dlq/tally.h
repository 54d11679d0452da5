/* Counts of letters by what they have in common, summed up in memory for a batch and then written at once. */
#ifndef DLQ_TALLY_H
#define DLQ_TALLY_H

#include "stepmill/arena.h"
#include "stepmill/database.h"

/* What is counted. Written into the file: append only. */
enum tally_kind {
    TALLY_ALL,
    TALLY_CLASS,
    TALLY_CODE,
    TALLY_STAGE,
    TALLY_AGENT,
    TALLY_TOPIC,
    TALLY_FAMILY,
    TALLY_GROUP,
    TALLY_GROUP_AGENT, /* name: fingerprint, of: agent */
    TALLY_GROUP_TOPIC,
    TALLY_GROUP_WORKER,
    TALLY_JOB,      /* of: empty, or TALLY_IN_VAIN */
    TALLY_CAME,     /* number: minute of failed_at; status 0 */
    TALLY_FINISHED, /* number: minute in which it was done with */
    TALLY_WORD,     /* not counted: only that there is such a word */
};

/* Resolved letters whose task failed or was cancelled; they count under the empty text too. */
#define TALLY_IN_VAIN SLICE("in vain")

struct tally_entry {
    enum tally_kind kind;
    int status;
    int64_t number;
    struct slice name, of;
    int64_t n;
};

struct tallies {
    struct tally_entry **slots; /* open addressing, in the batch's arena */
    size_t room, count;
};

/* Texts must live as long as the arena. Without room the arena has failed, and the batch is given up. */
void tally_add(struct tallies *t, struct arena *arena, struct tally_entry entry);
/* Adds them to the tables tallies and minutes. The arena's end is theirs. */
void tally_flush(struct tallies *t, struct database *db);

#endif
