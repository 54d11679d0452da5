/* include/stepmill/kafka_txn.h over the simulated cluster: a batch goes out whole and comes back whole with its fate. */
#include "stepmill/kafka_txn.h"

#include <stdlib.h>

#include "broker.h"
#include "kafka_batch.h"
#include "kernel.h"
#include "stepmill/error.h"
#include "world.h"

enum { REPLACED_MS = 1500, ABORTED_MS = 300 };

struct kafka_txn {
    struct kafka_txn_events events;
    void *context;
    struct kafka_batch *batch; /* in work */
    struct flight *flight;
    bool ready, stopping, stopped;
};

/* A batch on its way. In the world's memory: it outlives its process. */
struct flight {
    struct sim_process *process;
    size_t noffsets;
    int32_t *partitions;
    enum txn_end end;
};

static void become_ready(void *place)
{
    struct kafka_txn *t = ((struct txn_place *)place)->txn;

    if (!t || t->stopped)
        return;
    t->ready = true;
    t->events.ready(t->context);
}

static void tell_stopped(struct kafka_txn *t)
{
    t->stopped = true;
    t->events.stopped(t->context);
}

static void stop_now(void *place)
{
    struct kafka_txn *t = ((struct txn_place *)place)->txn;

    if (t && t->stopping && !t->stopped && !t->batch)
        tell_stopped(t);
}

struct error kafka_txn_start(struct kafka_txn **txn, struct event_base *base, struct kafka_source *source,
                             const struct kafka_txn_options *options, const struct kafka_txn_events *events, void *context,
                             char *detail, size_t room)
{
    struct kafka_txn *t = calloc(1, sizeof *t);

    (void)base, (void)source, (void)options, (void)detail, (void)room;
    *txn = t;
    if (!t)
        return error_make(CLASS_INTERNAL, "out_of_memory", "no memory for the producer");
    t->events = *events;
    t->context = context;
    broker_init(sim_self());
    process_txn(sim_self())->txn = t;
    sim_deliver(sim_self(), 20, become_ready, process_txn(sim_self()));
    return error_none();
}

static void fill_stored(const struct flight *f, struct kafka_stored *stored)
{
    for (size_t i = 0; i < f->noffsets; i++) {
        const struct broker_partition *p = broker_partition(f->partitions[i]);

        stored[i] = (struct kafka_stored){p->committed, p->metadata};
    }
}

/* The batch comes home, in a turn of its process. */
static void come_back(void *flight)
{
    struct flight *f = flight;
    struct kafka_txn *t = process_txn(f->process)->txn;
    struct kafka_stored stored[PARTITIONS];
    struct kafka_result r = {.fate = KAFKA_COMMITTED, .name = "SIMULATED"};
    struct kafka_batch *b;

    if (!t || t->flight != f)
        return;
    b = t->batch;
    t->batch = NULL;
    t->flight = NULL;
    if (f->end != TXN_COMMITTED) {
        r.fate = KAFKA_NOT_COMMITTED;
        r.why = error_make(CLASS_AGAIN, "simulated", "the transaction was not committed");
        r.needs_lost = f->end == TXN_NO_MEMBER;
    }
    if (f->end == TXN_UNKNOWN && f->noffsets) {
        r.fate = KAFKA_REREAD;
        fill_stored(f, stored);
        r.stored = stored;
        r.nstored = f->noffsets;
    }
    t->events.done(t->context, b, &r);
    if (t->stopping && !t->batch)
        tell_stopped(t);
}

static void ended(void *flight, enum txn_end end)
{
    struct flight *f = flight;

    f->end = end;
    sim_deliver(f->process,
                end == TXN_UNKNOWN     ? 100 + (int64_t)sim_below(REPLACED_MS)
                : end == TXN_COMMITTED ? 1 + (int64_t)sim_below(5)
                                       : 1 + (int64_t)sim_below(ABORTED_MS),
                come_back, f);
}

void kafka_txn_submit(struct kafka_txn *t, struct kafka_batch *b)
{
    struct flight *f = memory_take(world_memory(), sizeof *f);
    struct kafka_partition partitions[PARTITIONS];
    struct slice metadata[PARTITIONS];
    int64_t offsets[PARTITIONS];

    if (t->batch || (!b->nrecords && !b->noffsets) || (b->noffsets && !b->membership) || b->noffsets > PARTITIONS)
        bug("a batch that must not be submitted");
    *f = (struct flight){.process = sim_self(), .noffsets = b->noffsets};
    f->partitions = memory_take(world_memory(), (b->noffsets + 1) * sizeof *f->partitions);
    for (size_t i = 0; i < b->noffsets; i++) {
        partitions[i] = b->offsets[i].partition;
        offsets[i] = b->offsets[i].offset;
        metadata[i] = b->offsets[i].metadata;
        f->partitions[i] = b->offsets[i].partition.partition;
    }
    t->batch = b;
    t->flight = f;
    broker_txn(sim_self(),
               &(struct broker_batch){.records = b->records,
                                      .nrecords = b->nrecords,
                                      .partitions = partitions,
                                      .offsets = offsets,
                                      .metadata = metadata,
                                      .noffsets = b->noffsets,
                                      .membership = b->membership ? kafka_membership_belief(b->membership)
                                                                  : (struct broker_membership){NULL, -1}},
               ended, f);
}

bool kafka_txn_busy(const struct kafka_txn *t) { return t->batch != NULL; }

void kafka_txn_status(struct kafka_txn *t, struct kafka_txn_status *status)
{
    *status = (struct kafka_txn_status){.ready = t->ready};
}

void kafka_txn_stop(struct kafka_txn *t, int64_t deadline_ms)
{
    (void)deadline_ms;
    t->stopping = true;
    sim_deliver(sim_self(), 5, stop_now, process_txn(sim_self()));
}

void kafka_txn_free(struct kafka_txn *t)
{
    if (!t)
        return;
    process_txn(sim_self())->txn = NULL;
    kafka_batch_free(t->batch);
    free(t);
}

size_t kafka_output_size(const struct kafka_output *o)
{
    size_t size = o->key.len + o->value.len + 128;

    for (size_t i = 0; i < o->nheaders; i++)
        size += o->headers[i].name.len + o->headers[i].value.len + 16;
    return size;
}
