/* The next batch: one snapshot of records, offsets and membership, taken on the loop thread (DELIVERY §4.3, 4.11). */
#include <stdlib.h>

#include "stepmill/rule.h"
#include "worker.h"

enum {
    METADATA_FULL = LIMIT(3072, 21), /* characters of a commit's metadata: above it the partition takes no new records */
    CRAMPED_BYTES = 4 * BATCH_BYTES, /* of a batch, when partitions whose results did not fit are among it */
};

/* A partition's part of the batch being made. */
struct share {
    struct owned *owned;
    struct offsets *finished; /* as it will be when the batch is committed */
    struct outgoing **settles;
    size_t nsettles, room;
    bool told; /* its offset leaves even if none of its results does */
};

struct draft {
    struct share *shares;
    size_t nshares;
    struct kafka_batch *batch;
    size_t bytes, results;
    const struct list_node *end; /* of the outbox's part that is looked at as a whole; NULL: all of it */
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

/* How many of them, from the lowest, finish the watermark and what follows it without a gap: these hardly lengthen the text. */
static size_t at_watermark(const struct share *s)
{
    int64_t next = offsets_watermark(s->owned->partition.finished);
    size_t n = 0;

    for (; n < s->nsettles && s->settles[n]->task->record->waiting.offset == next; n++)
        for (next++; offsets_is_finished(s->owned->partition.finished, next);)
            next++;
    return n;
}

/* The results of a cramped partition were not counted when they were gathered. */
static size_t affordable(struct draft *d, const struct share *s)
{
    size_t n = 0;

    if (!s->owned->cramped)
        return s->nsettles;
    while (n < s->nsettles && n < BATCH_RESULTS && d->bytes < (n ? BATCH_BYTES : CRAMPED_BYTES))
        d->bytes += s->settles[n++]->bytes;
    return n;
}

/* As the finished set will be with the first `n` results; false: out of memory. */
static bool finish(struct share *s, size_t n)
{
    offsets_free(s->finished);
    s->finished = offsets_copy(s->owned->partition.finished);
    for (size_t i = 0; s->finished && i < n; i++)
        if (!offsets_finish(s->finished, s->settles[i]->task->record->waiting.offset))
            return false;
    return s->finished != NULL;
}

/* How many of the share's results fit: their bits must fit into the commit's metadata; what does not fit waits, in offset order,
 * so that the one at the watermark goes first: it alone makes room. */
static bool fit(struct draft *d, struct share *s, char *text, size_t *len)
{
    struct owned *o = s->owned;
    size_t n, least;

    if (s->nsettles)
        qsort(s->settles, s->nsettles, sizeof *s->settles, by_offset);
    n = affordable(d, s);
    least = at_watermark(s);
    least = least < n ? least : n;
    for (;; n = n / 2 > least ? n / 2 : least) {
        if (!finish(s, n))
            return false;
        if (offsets_encode(s->finished, text, OFFSETS_TEXT_MAX, len))
            break;
        if (!RULE(bits_fit)) {
            *len = 0; /* the watermark alone */
            break;
        }
        o->held_back = n <= least; /* too long by itself, and nothing that would shorten it has ended */
        if (o->held_back)
            break;
    }
    if (o->held_back)
        n = 0;
    for (size_t i = 0; i < n; i++)
        s->settles[i]->chosen = true;
    s->told |= n > 0;
    o->cramped = n < s->nsettles;
    o->full = RULE(pause_cramped) && (o->held_back || *len > METADATA_FULL);
    return true;
}

static bool add_records(struct kafka_batch *batch, const struct outgoing *o)
{
    for (size_t i = 0; i < o->noutputs; i++) {
        struct kafka_output out = o->outputs[i];

        out.tag = outgoing_tag(o, i);
        if (!kafka_batch_add_record(batch, &out))
            return false;
    }
    return true;
}

static bool any_cramped(const struct worker *w)
{
    for (const struct list_node *n = w->owned.first; n; n = n->next)
        if (list_entry(n, const struct owned, node)->cramped)
            return true;
    return false;
}

/* First pass: which partitions take part, and which results are candidates. Of a partition whose results did not fit all are, and
 * they don't count: hundreds that must wait must not hide the one they wait for, nor the results of others. */
static void gather(struct worker *w, struct draft *d)
{
    bool cramped = any_cramped(w);
    struct list_node *n;

    for (n = w->outbox.first; n; n = n->next) {
        struct outgoing *o = list_entry(n, struct outgoing, in_queue);
        bool settles = o->kind == OUTGOING_SETTLE, counts = !settles || !o->task->owned->cramped;
        struct share *s;

        if (!d->end && (d->results >= BATCH_RESULTS || d->bytes >= BATCH_BYTES))
            d->end = n;
        if (d->end && !cramped)
            break;
        if (d->end && counts)
            continue;
        s = share_of(d, o->task->owned);
        d->bytes += counts ? o->bytes : 0;
        d->results += settles && counts;
        o->chosen = false;
        s->told |= RULE(events_with_offsets) && !settles;
        if (settles)
            d->failed |= !add_settle(s, o);
    }
    for (n = w->owned.first; n; n = n->next) {
        struct owned *o = list_entry(n, struct owned, node);

        if (o->restate || w->proving)
            share_of(d, o)->told = true;
    }
}

/* Behind the end only chosen results leave, and their tasks' events before them. A task's result is the last of its records. */
static bool leaves(const struct outgoing *o, bool behind_end)
{
    const struct outgoing *last;

    if (o->task->owned->held_back)
        return false;
    if (o->kind == OUTGOING_SETTLE)
        return o->chosen;
    last = list_entry(o->task->outgoing.last, const struct outgoing, in_task);
    return !behind_end || (last->kind == OUTGOING_SETTLE && last->chosen);
}

/* Second pass: the chosen ones move to the batch, in the order of the queue, so that an event never leaves after its result. A
 * task's events go with it or before it. */
static void move(struct worker *w, struct draft *d, bool cramped)
{
    struct list_node *n = w->outbox.first, *next;
    bool behind_end = false;

    for (; n; n = next) {
        struct outgoing *o = list_entry(n, struct outgoing, in_queue);

        next = n->next;
        behind_end |= n == d->end;
        if (behind_end && !cramped)
            return;
        if (!leaves(o, behind_end))
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

static bool add_offsets(struct draft *d)
{
    char text[OFFSETS_TEXT_MAX];
    size_t len;

    for (size_t i = 0; i < d->nshares; i++) {
        struct share *s = &d->shares[i];
        struct kafka_partition p = {s->owned->partition.topic, s->owned->partition.number};

        s->owned->held_back = false;
        if (!fit(d, s, text, &len))
            return false;
        if (!s->owned->held_back && s->told &&
            !kafka_batch_add_offset(d->batch, &p, offsets_watermark(s->finished), (struct slice){text, len}))
            return false;
        s->owned->restate &= s->owned->held_back;
    }
    return true;
}

static void draft_free(struct draft *d)
{
    for (size_t i = 0; i < d->nshares; i++) {
        for (size_t k = 0; k < d->shares[i].nsettles; k++)
            d->shares[i].settles[k]->chosen = false; /* of this draft only */
        offsets_free(d->shares[i].finished);
        free(d->shares[i].settles);
    }
    free(d->shares);
}

/* Nothing fitted, but now it is known which partitions are cramped: their results are looked at as a whole. */
static bool worth_another_look(const struct worker *w, const struct draft *d, bool was_cramped)
{
    return !d->failed && !was_cramped && any_cramped(w);
}

static bool submit(struct worker *w, bool *again)
{
    struct draft d = {.shares = calloc(w->owned.count + 1, sizeof(struct share)), .batch = kafka_batch_new()};
    struct kafka_membership *membership = kafka_source_membership(w->source);
    bool cramped = any_cramped(w), sent = false;

    *again = false;
    if (w->batch.first) /* its results would be committed a second time with the next */
        bug("a batch is made while records of the one before have no outcome");
    if (!membership || !d.shares || !d.batch) { /* not a member now: nothing may be sent */
        kafka_membership_free(membership);
        kafka_batch_free(d.batch);
        free(d.shares);
        return false;
    }
    gather(w, &d);
    if (!d.failed && d.nshares && add_offsets(&d) && kafka_batch_offsets(d.batch)) {
        move(w, &d, cramped);
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
        *again = worth_another_look(w, &d, cramped);
    }
    draft_free(&d);
    return sent;
}

void worker_submit(struct worker *w)
{
    bool again;

    if (!submit(w, &again) && again)
        (void)submit(w, &again);
}
