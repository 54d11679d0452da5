/* The consumer: partitions come and go, records arrive, offsets are looked up (DELIVERY §4.1, 4.9, 4.10).
 *
 * Belongs to the loop thread: every function is called there and every callback runs there; nothing blocks except
 * kafka_source_free (see there). One helper thread inside asks the brokers for committed offsets. Classic group protocol,
 * cooperative-sticky.
 *
 * A partition's life:
 *
 *     assigned → record … record → revoked → (the app finishes) kafka_source_release → gone
 *                                → lost → gone at once
 *                                → stopped (offset out of range, …): still owned; `assigned` comes again when an operator has set
 * an offset
 *
 * Between `assigned` and revoked/lost the partition is "owned". Each `assigned` carries a new assignment number, larger than all
 * before in this process; a result that belongs to another number than the partition's current one must be dropped, never sent
 * (the broker checks the member's generation only, so a member that rejoined could overwrite offsets of a partition that is no
 * longer its own).
 *
 * The app may call kafka_source_pause, _resume, _position, _membership, _release and _close from inside any callback.
 */
#ifndef STEPMILL_KAFKA_SOURCE_H
#define STEPMILL_KAFKA_SOURCE_H

#include "kafka.h"

struct kafka_source;
struct kafka_membership;

struct kafka_source_options {
    struct kafka_options kafka;
    const char *group_id;
    const char *const *topics; /* names, never patterns */
    size_t ntopics;
};

/* Views valid during the callback. */
struct kafka_assigned {
    const char *topic;
    int32_t partition;
    uint64_t assignment;
    int64_t committed;     /* KAFKA_OFFSET_NONE: nothing committed yet */
    struct slice metadata; /* committed beside it, not terminated; absent or empty: none */
};

/* Every member must be set. */
struct kafka_source_events {
    /* The partition is ours. Returns the offset to start from: an offset, or KAFKA_OFFSET_BEGINNING (also when nothing is
     * committed). `committed` is a stable offset: no transaction over it is open. Records follow after this call, never during
     * it. */
    int64_t (*assigned)(void *context, const struct kafka_assigned *p);
    /* Offsets of one assignment rise strictly; a gap (control and aborted records, compaction) shows only as a jump. Also called
     * for a paused partition, see kafka_source_pause. Not called any more for a partition after revoked, lost or stopped. */
    void (*record)(void *context, const struct kafka_record *r);
    /* Give these up in order: no new work, commit what is finished, then kafka_source_release (may be called here). The
     * partitions stay ours until then; after 5 s the source releases by itself, and calls `lost` for them first, so that drop
     * code is needed only there and after a release. */
    void (*revoked)(void *context, const struct kafka_partition *p, size_t n);
    /* Already gone: drop the state now, send nothing of it. Also comes for partitions that were revoked but not yet released. */
    void (*lost)(void *context, const struct kafka_partition *p, size_t n);
    /* The partition cannot be read. `why.code` is stable: "offset_out_of_range" (the committed offset is not in the topic) or
     * "partition_unreadable" (a wrong checksum or damaged headers: librdkafka would skip the batch, and the gap would pass for
     * offsets without records). Refusals by an ACL, lost brokers and a deleted topic are no stop: they come as trouble and heal.
     * Drop the state of the partition as by `lost`, but it stays assigned to this member. Alert: an operator must act
     * (`stepmill offsets set`, which needs the group's workers stopped). The committed offset is read again every 30 s; when it
     * has changed, or the records were unreadable, `assigned` is called again with a new number. `detail` is valid during the
     * call. */
    void (*stopped)(void *context, const struct kafka_partition *p, struct error why, const char *detail);
    void (*trouble)(void *context, const struct kafka_trouble *t);
    /* After kafka_source_close: the group has been left; no callback follows. Free it now or later, but not inside this callback.
     */
    void (*closed)(void *context);
};

/* Connects in the background and subscribes; the first `assigned` comes when the group lets us in. `events` is copied; `context`
 * and `base` outlive the source. Errors (CLASS_CONFIG "kafka_option": a wrong name or value; `detail` says which;
 * CLASS_INTERNAL): *source is NULL. */
MUST_CHECK struct error kafka_source_start(struct kafka_source **source, struct event_base *base,
                                           const struct kafka_source_options *options, const struct kafka_source_events *events,
                                           void *context, char *detail, size_t room);

/* The app has finished with all partitions of the last `revoked` and dropped their state. Does nothing when none waits. */
void kafka_source_release(struct kafka_source *s);

/* Stop and resume fetching one owned partition. Idempotent; false: not owned (or stopped). Resume undoes only our own pause.
 * A record delivered after pause is still given to the app, in order, and the app must take it: nothing is lost, repeated or
 * reordered by pausing (what librdkafka had queued for the partition it drops by itself and fetches again on resume, from the
 * offset behind the last record given to the app). In practice none comes after pause has returned. */
bool kafka_source_pause(struct kafka_source *s, const char *topic, int32_t partition);
bool kafka_source_resume(struct kafka_source *s, const char *topic, int32_t partition);

/* Offset behind everything the app was given and behind control and aborted records that were skipped: all offsets below it are
 * either delivered in this assignment or hold no record for us. KAFKA_OFFSET_NONE: not owned, or nothing known yet. For commits
 * while idle (DELIVERY §4.10). Never blocks. */
int64_t kafka_source_position(struct kafka_source *s, const char *topic, int32_t partition);

/* Proof of membership (group id, generation, member) for one transaction; take it in the same turn of the loop in which the
 * batch's offsets are read. NULL: not a member of the group now (generation < 0): nothing may be sent. Give it to a batch, or
 * free it. */
struct kafka_membership *kafka_source_membership(struct kafka_source *s);
void kafka_membership_free(struct kafka_membership *m); /* any thread; NULL is allowed */

struct kafka_source_status {
    bool joined;             /* member of the group with a generation */
    bool connected;          /* a broker answered since the last "all brokers down" */
    size_t owned;            /* partitions being read */
    size_t pending;          /* assigned to us, committed offset not read yet */
    size_t stopped;          /* see the callback */
    size_t revoking;         /* waiting for kafka_source_release */
    uint64_t rebalances;     /* assign, revoke and lost events, since start */
    uint64_t records, bytes; /* given to the app; bytes of keys and values */
    uint64_t errors;         /* trouble and partition errors */
    uint64_t late;           /* records dropped because their partition was not owned any more */
    int64_t pending_ms;      /* how long the oldest pending partition has waited; 0: none */
    const char *trouble;     /* name of the last trouble since the last record or assignment, static; NULL: none */
};
void kafka_source_status(struct kafka_source *s, struct kafka_source_status *status);

/* Leave the group: `revoked` for what is owned comes first (release as usual), then `closed`. Idempotent. */
void kafka_source_close(struct kafka_source *s);
/* After `closed`, at exit, or after a failed start-up (without a close: the group learns by session time-out). May block for up
 * to about 5 s (a read of committed offsets in flight). Every kafka_txn that was given this source must be freed before. NULL is
 * allowed. */
void kafka_source_free(struct kafka_source *s);

#endif
