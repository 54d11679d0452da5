/* Which record is which task: the table of DELIVERY §3, as one pure function; its row b is asked before row a (standing.c says
 * why).
 *
 * A record is one offset; a task is one task_id. Several records may name one task: duplicates, redrives, the same record read
 * twice. Asked at LOADING, and again whenever `record` answers GONE or hands over a cell 0 or TaskReopened of another origin.
 */
#ifndef STEPMILL_STANDING_H
#define STEPMILL_STANDING_H

#include "event.h"

enum standing {
    STANDING_RESUME,    /* a: run on from the cells (settle, if they have ended) */
    STANDING_FINISHED,  /* b: finish the offset, no records: its result has left already */
    STANDING_CONFLICT,  /* c: another task under this id: dead letter task_id_conflict, no result */
    STANDING_REDRIVE,   /* d: open the task again, or run it as new with its redrive number */
    STANDING_DUPLICATE, /* e: finish the offset, no records, count it */
    STANDING_NEW,       /* f */
};

const char *standing_name(enum standing s);

/* The record at hand. */
struct standing_record {
    struct origin origin;
    struct digest input_hash;
    int32_t redrives; /* header stepmill.redrives, 0 without it */
};

/* What Redis holds under its task_id. */
struct standing_cells {
    bool any;
    struct origin origin; /* of the newest TaskStarted or TaskReopened */
    struct digest input_hash;
    int32_t redrives;
    bool newest_failed; /* the newest cell is TaskFailed */
};
struct standing_done {
    bool any;
    struct origin origin;
    struct digest input_hash;
    int32_t redrives;
    bool status_failed;
};

enum standing standing_of(const struct standing_record *record, const struct standing_cells *cells,
                          const struct standing_done *done);

bool origin_equal(const struct origin *a, const struct origin *b);

#endif
