/* What `done:<task_id>` says: how a task ended, and by which record. Kept 24 h after the commit (DELIVERY §2, §3).
 *
 * Pure. The text is versioned: "1 failed 0 3 12345 <32 hex> agent.tasks.search" = version, status, redrives, partition, offset,
 * input hash, topic. settle.lua reads the first and third word of it, redrive.lua the first three.
 */
#ifndef STEPMILL_DONE_H
#define STEPMILL_DONE_H

#include "error.h"
#include "event.h"

enum done_status { DONE_COMPLETED, DONE_FAILED, DONE_CANCELLED };

enum { DONE_TEXT_MAX = 384 };

struct done {
    enum done_status status; /* of the result that left */
    struct origin origin;    /* of the record that was settled; the topic points into the text that was read */
    int32_t redrives;
    struct digest input_hash;
};

/* Appends the text. `out->failed` when the topic is no topic name ([A-Za-z0-9._-]{1,249}). */
void done_encode(const struct done *d, struct buf *out);
/* Errors: wait "done_newer" (made by a newer stepmill), wait "done_unreadable" (damaged: the operator must look; it dies by
 * itself in 24 h). */
struct error done_decode(struct slice text, struct done *d) MUST_CHECK;

#endif
