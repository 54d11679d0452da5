/* The next batch: one snapshot of records, offsets and membership, taken on the loop thread (DELIVERY §4.3, 4.11). */
#include <stdlib.h>

#include "worker.h"

enum { METADATA_FULL = 3072 }; /* characters of a commit's metadata: above it the partition takes no new records */

/* A partition's part of the batch being made. */
struct share {
    struct owned *owned;
    struct offsets *finished; /* as it will be when the batch is committed */
    struct outgoing **settles;
    size_t nsettles, room;
};

struct draft {
    struct share *shares;
    size_t nshares;
    struct kafka_batch *batch;
    size_t bytes, results;
    bool failed;
};

static struct share *share_of(struct draft *d, struct owned *o)
{
    for (size_t i = 0; i < d->nshares; i++)
        if (d->shares[i].owned == o)
            return &d->shares[i];
    d->shares[d->nshares] = (struct share){.owned = o};
    return &d->shares[d->nshares++];
}

static bool add_settle(struct share *s, struct outgoing *o)
{
    if (s->nsettles == s->room) {
        size_t room = s->room ? s->room * 2 : 32;
        struct outgoing **settles = realloc(s->settles, room * sizeof(struct outgoing *));

        if (!settles)
            return false;
        s->settles = settles;
        s->room = room;
    }
    s->settles[s->nsettles++] = o;
    return true;
}

static int by_offset(const void *a, const void *b)
{
    int64_t x = (*(struct outgoing *const *)a)->task->record->waiting.offset;
    int64_t y = (*(struct outgoing *const *)b)->task->record->waiting.offset;

    return (x > y) - (x < y);
}

/* How many of the share's results fit: their bits must fit into the commit's metadata; what does not fit waits, in offset order.
 */
static bool fit(struct share *s, char *text, size_t *len)
{
    if (s->nsettles)
        qsort(s->settles, s->nsettles, sizeof *s->settles, by_offset);
    for (;; s->nsettles /= 2) {
        offsets_free(s->finished);
        s->finished = offsets_copy(s->owned->partition.finished);
        if (!s->finished)
            return false;
        for (size_t i = 0; i < s->nsettles; i++)
            if (!offsets_finish(s->finished, s->settles[i]->task->record->waiting.offset))
                return false;
        if (offsets_encode(s->finished, text, OFFSETS_TEXT_MAX, len))
            break;
        s->owned->held_back = s->nsettles == 0; /* gaps alone made it too long: the record at the watermark will shorten it */
        if (s->owned->held_back)
            break;
    }
    for (size_t i = 0; i < s->nsettles; i++)
        s->settles[i]->chosen = true;
    s->owned->full = s->owned->held_back || *len > METADATA_FULL;
    return true;
}

static bool add_records(struct kafka_batch *batch, const struct outgoing *o)
{
    for (size_t i = 0; i < o->noutputs; i++) {
        struct kafka_output out = o->outputs[i];

        out.tag = (uint64_t)(uintptr_t)o;
        if (!kafka_batch_add_record(batch, &out))
            return false;
    }
    return true;
}

/* First pass: which partitions take part, and which results are candidates. */
static void gather(struct worker *w, struct draft *d)
{
    struct list_node *n;

    for (n = w->outbox.first; n && d->results < BATCH_RESULTS && d->bytes < BATCH_BYTES; n = n->next) {
        struct outgoing *o = list_entry(n, struct outgoing, in_queue);
        struct share *s = share_of(d, o->task->owned);

        d->bytes += o->bytes;
        if (o->kind != OUTGOING_SETTLE)
            continue;
        d->results++;
        o->chosen = false;
        d->failed |= !add_settle(s, o);
    }
    for (n = w->owned.first; n; n = n->next) {
        struct owned *o = list_entry(n, struct owned, node);

        if (o->restate || w->proving)
            share_of(d, o);
    }
}

/* Second pass: the chosen ones move to the batch, in the order of the queue, so that an event never leaves after its result. A
 * task's events go with it or before it. */
static void move(struct worker *w, struct draft *d, const struct list_node *end)
{
    struct list_node *n = w->outbox.first, *next;

    for (; n && n != end; n = next) {
        struct outgoing *o = list_entry(n, struct outgoing, in_queue);

        next = n->next;
        if (o->task->owned->held_back || (o->kind == OUTGOING_SETTLE && !o->chosen))
            continue;
        if (!add_records(d->batch, o)) {
            d->failed = true;
            return;
        }
        list_remove(&o->in_queue);
        list_append(&w->batch, &o->in_queue);
        w->outbox_settles -= o->kind == OUTGOING_SETTLE;
        w->outbox_bytes -= o->bytes;
        if (o->kind == OUTGOING_SETTLE)
            o->task->owned->batched++;
    }
}

static const struct list_node *end_of_gathered(const struct worker *w, size_t bytes_limit)
{
    const struct list_node *n;
    size_t bytes = 0, results = 0;

    for (n = w->outbox.first; n && results < BATCH_RESULTS && bytes < bytes_limit; n = n->next) {
        const struct outgoing *o = list_entry(n, const struct outgoing, in_queue);

        bytes += o->bytes;
        results += o->kind == OUTGOING_SETTLE;
    }
    return n;
}

static bool add_offsets(struct draft *d)
{
    char text[OFFSETS_TEXT_MAX];
    size_t len;

    for (size_t i = 0; i < d->nshares; i++) {
        struct share *s = &d->shares[i];
        struct kafka_partition p = {s->owned->partition.topic, s->owned->partition.number};

        s->owned->held_back = false;
        if (!fit(s, text, &len))
            return false;
        if (!s->owned->held_back &&
            !kafka_batch_add_offset(d->batch, &p, offsets_watermark(s->finished), (struct slice){text, len}))
            return false;
        s->owned->restate &= s->owned->held_back;
    }
    return true;
}

void worker_submit(struct worker *w)
{
    struct draft d = {.shares = calloc(w->owned.count + 1, sizeof(struct share)), .batch = kafka_batch_new()};
    struct kafka_membership *membership = kafka_source_membership(w->source);
    bool sent = false;

    if (!membership || !d.shares || !d.batch) { /* not a member now: nothing may be sent */
        kafka_membership_free(membership);
        kafka_batch_free(d.batch);
        free(d.shares);
        return;
    }
    gather(w, &d);
    if (!d.failed && d.nshares && add_offsets(&d) && kafka_batch_offsets(d.batch)) {
        move(w, &d, end_of_gathered(w, BATCH_BYTES));
        sent = !d.failed;
    }
    if (sent) {
        kafka_batch_set_membership(d.batch, membership);
        w->batch_began_ms = loop_now_ms(w->loop);
        w->batch_served = w->served;
        w->batch_proves = w->proving;
        kafka_txn_submit(w->txn, d.batch);
    } else { /* its offsets must not leave without every one of its records */
        worker_requeue(w);
        kafka_membership_free(membership);
        kafka_batch_free(d.batch);
    }
    for (size_t i = 0; i < d.nshares; i++) {
        offsets_free(d.shares[i].finished);
        free(d.shares[i].settles);
    }
    free(d.shares);
}
