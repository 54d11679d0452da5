/* One owned partition: which offsets are finished, and which waiting record may run next (DELIVERY §4.2, 4.10, 4.14).
 *
 * Records of one key form a lane: they run one after another, in offset order, and a record without a key has a lane of its own.
 * Across lanes any number runs at once. A record is taken (waiting) → admitted (its lane is busy) → released (the lane goes on
 * with the next) → finished (its commit is known).
 *
 * Pure; loop thread. Nothing here allocates except lanes and the finished set.
 */
#ifndef STEPMILL_PARTITION_H
#define STEPMILL_PARTITION_H

#include "bytes.h"
#include "list.h"
#include "offsets.h"

struct lane;

/* Embedded in the owner's copy of the record; `key` must live as long as this does. */
struct waiting {
    int64_t offset;
    struct slice key; /* absent: a lane of its own */
    struct lane *lane;
    struct list_node queue; /* behind others of its lane */
    struct list_node ready; /* among those whose lane is free, by offset */
};

struct partition {
    const char *topic;
    int32_t number;
    uint64_t assignment;      /* raised at each assign: results of another number are dropped, never sent */
    struct offsets *finished; /* known to be committed; changes only when a commit is known */
    int64_t next;             /* one above the highest offset seen */
    int64_t committed_end;    /* one above the highest offset that was finished when the partition came */
    struct list ready;
    struct lane *lanes;
    size_t nwaiting, nadmitted; /* records taken and not admitted; admitted and not finished */
};

/* Takes ownership of `finished`. `topic` must outlive it. */
void partition_init(struct partition *p, const char *topic, int32_t number, uint64_t assignment, struct offsets *finished);
/* Frees lanes and the finished set; records that still wait are the owner's to free (partition_drain first). */
void partition_clear(struct partition *p);

enum partition_take { PARTITION_TAKEN, PARTITION_SKIP, PARTITION_NO_MEMORY };

/* A record arrived: `w->offset` and `w->key` are set. SKIP: finished already, or seen already in this assignment. Offsets between
 * the last one and this one hold no record and count as finished. */
enum partition_take partition_take(struct partition *p, struct waiting *w) __attribute__((warn_unused_result));

/* The waiting record with the lowest offset whose lane is free, or NULL. */
struct waiting *partition_peek(const struct partition *p);
/* Whether the finished set will become shorter without reading on. Not while there are records that nobody holds yet below its
 * end, left by an earlier owner, nor when nothing is held at all: who waits for it then waits for ever. */
bool partition_will_shrink(const struct partition *p);
/* Whether it is the one at the watermark: always admitted, limits or not, else a full house waits for itself. */
bool partition_at_watermark(const struct partition *p, const struct waiting *w);
/* Its lane is busy from now on. */
void partition_admit(struct partition *p, struct waiting *w);
/* The lane goes on with its next record. Once per admitted record. */
void partition_release(struct partition *p, struct waiting *w);
/* Its offset's commit is known. False: out of memory (the offset stays unfinished here; the commit stands). */
bool partition_finish(struct partition *p, struct waiting *w) __attribute__((warn_unused_result));
/* Takes the next waiting record out, in no order, or NULL: when the partition goes away. */
struct waiting *partition_drain(struct partition *p);

/* Everything below `position` that was never delivered holds no record (control records, aborted ones). False: out of memory. */
bool partition_position(struct partition *p, int64_t position) __attribute__((warn_unused_result));

#endif
