/* Logs, committed offsets and transactions of the simulated cluster. */
#include "broker.h"

#include <stdio.h>

#include "kernel.h"
#include "stepmill/error.h"
#include "world.h"

enum { COMMITTED_MAX = 1 << 12, IDS_MAX = 16, TRANSACTION_TIMEOUT_MS = 20000, LATE_MS = 15000 };

/* An open transaction. */
struct broker_txn {
    struct sim_process *process;
    uint64_t epoch;
    struct sim_record *records;
    size_t nrecords;
    struct sim_commit *commits;
    size_t ncommits;
    struct broker_membership membership;
    broker_ended_fn *ended;
    void *ctx;
    bool open, loses_answer, late;
};

struct transactional_id {
    const char *slot;
    uint64_t epoch;
    struct broker_txn *open; /* has offsets or records that wait for its end */
};

static struct broker {
    struct broker_partition *partitions;
    struct sim_record *records;
    size_t nrecords;
    struct sim_commit *commits;
    size_t ncommits;
    uint64_t txns;
    struct transactional_id ids[IDS_MAX];
    size_t nids;
} it;

void broker_begin(void)
{
    struct memory *m = world_memory();

    it = (struct broker){.partitions = memory_take(m, PARTITIONS * sizeof *it.partitions),
                         .records = memory_take(m, COMMITTED_MAX * sizeof *it.records),
                         .commits = memory_take(m, COMMITTED_MAX * sizeof *it.commits)};
    for (int32_t i = 0; i < PARTITIONS; i++) {
        it.partitions[i].number = i;
        it.partitions[i].committed = KAFKA_OFFSET_NONE;
    }
    group_begin();
}

struct broker_partition *broker_partition(int32_t number) { return &it.partitions[number]; }

const struct sim_record *sim_kafka_records(size_t *n)
{
    *n = it.nrecords;
    return it.records;
}

const struct sim_commit *sim_kafka_commits(size_t *n)
{
    *n = it.ncommits;
    return it.commits;
}

bool broker_is_at_rest(void)
{
    for (int32_t i = 0; i < PARTITIONS; i++)
        if (it.partitions[i].pending || (it.partitions[i].nrecords && it.partitions[i].committed < it.partitions[i].end))
            return false;
    return true;
}

static const struct kafka_header *copy_headers(const struct kafka_header *from, size_t n)
{
    struct kafka_header *to = memory_take(world_memory(), (n + 1) * sizeof *to);

    for (size_t i = 0; i < n; i++)
        to[i] = (struct kafka_header){memory_copy(world_memory(), from[i].name), memory_copy(world_memory(), from[i].value)};
    return to;
}

static int32_t partition_of(struct slice key)
{
    uint32_t hash = 7;

    if (!key.at)
        return (int32_t)sim_below(PARTITIONS);
    for (size_t i = 0; i < key.len; i++)
        hash = hash * 31 + (unsigned char)key.at[i];
    return (int32_t)(hash % PARTITIONS);
}

void sim_kafka_append(const char *topic, struct slice key, struct slice value, const struct kafka_header *headers,
                      size_t nheaders, int64_t timestamp, int32_t *partition, int64_t *offset)
{
    struct broker_partition *p = &it.partitions[partition_of(key)];

    (void)topic;
    if (p->nrecords == RECORDS_MAX)
        bug("more than %d records in one partition", RECORDS_MAX);
    if (sim_below(4) == 0)
        p->end++; /* the mark of somebody's transaction: no record */
    p->records[p->nrecords++] = (struct input_record){.offset = p->end,
                                                      .key = memory_copy(world_memory(), key),
                                                      .value = memory_copy(world_memory(), value),
                                                      .headers = copy_headers(headers, nheaders),
                                                      .nheaders = nheaders,
                                                      .timestamp = timestamp};
    *partition = p->number;
    *offset = p->end++;
    if (sim_below(4) == 0)
        p->end++;
    group_fetch(p);
}

static struct transactional_id *id_of(const struct sim_process *p)
{
    for (size_t i = 0; i < it.nids; i++)
        if (!strcmp(it.ids[i].slot, process_slot(p)))
            return &it.ids[i];
    if (it.nids == IDS_MAX)
        bug("more than %d transactional ids", IDS_MAX);
    it.ids[it.nids] = (struct transactional_id){.slot = process_slot(p)};
    return &it.ids[it.nids++];
}

static void close_txn(struct broker_txn *t)
{
    struct transactional_id *id = id_of(t->process);

    if (!t->open)
        return;
    t->open = false;
    if (id->open == t)
        id->open = NULL;
    for (size_t i = 0; i < t->ncommits; i++)
        it.partitions[t->commits[i].partition].pending--;
}

static void tell(struct broker_txn *t, enum txn_end end) { t->ended(t->ctx, end); }

static void make_visible(struct broker_txn *t)
{
    uint64_t number = ++it.txns;

    if (it.nrecords + t->nrecords > COMMITTED_MAX || it.ncommits + t->ncommits > COMMITTED_MAX)
        bug("more than %d records or offsets in one history", COMMITTED_MAX);
    sim_note("transaction %llu of worker %d commits %zu records, %zu offsets", (unsigned long long)number,
             process_number(t->process), t->nrecords, t->ncommits);
    for (size_t i = 0; i < t->nrecords; i++) {
        t->records[i].txn = number;
        it.records[it.nrecords++] = t->records[i];
    }
    for (size_t i = 0; i < t->ncommits; i++) {
        struct broker_partition *p = &it.partitions[t->commits[i].partition];

        t->commits[i].txn = number;
        it.commits[it.ncommits++] = t->commits[i];
        p->committed = t->commits[i].offset;
        p->metadata = t->commits[i].metadata;
    }
}

static void expire(void *txn)
{
    struct broker_txn *t = txn;

    if (t->open)
        sim_note("the transaction of worker %d times out", process_number(t->process));
    close_txn(t);
}

/* EndTxn. A late one is on its way although its process has died. */
static void end(void *txn)
{
    struct broker_txn *t = txn;

    if (!t->open)
        return; /* aborted by whoever took the id over */
    if (!process_is_alive(t->process) && !t->late) {
        sim_later(TRANSACTION_TIMEOUT_MS, expire, t);
        return;
    }
    close_txn(t);
    make_visible(t);
    tell(t, t->loses_answer ? TXN_UNKNOWN : TXN_COMMITTED);
}

/* What may go wrong with it. True: it has ended here. */
static bool spoil(struct broker_txn *t, int64_t *end_ms)
{
    if (!sim_fault(SIM_FAULT_TXN))
        return false;
    switch (sim_below(4)) {
    case 0:
        sim_note("the transaction of worker %d is aborted", process_number(t->process));
        tell(t, TXN_ABORTED);
        return true;
    case 1:
        sim_note("the transaction of worker %d is lost, and its producer does not know", process_number(t->process));
        tell(t, TXN_UNKNOWN);
        return true;
    case 2:
        sim_note("the answer to the commit of worker %d will be lost", process_number(t->process));
        t->loses_answer = true;
        return false;
    default:
        t->late = true;
        *end_ms = (int64_t)sim_below(LATE_MS);
        sim_note("the end of the transaction of worker %d takes %lld ms", process_number(t->process), (long long)*end_ms);
        return false;
    }
}

/* Records and offsets have come; the group looks at the offsets. */
static void begin(void *txn)
{
    struct broker_txn *t = txn;
    struct transactional_id *id = id_of(t->process);
    int64_t end_ms = 2 + (int64_t)sim_below(10);

    if (!process_is_alive(t->process) || t->epoch != id->epoch)
        return;
    if (t->ncommits && !group_takes(&t->membership)) {
        sim_note("the group refuses the offsets of worker %d, generation %d", process_number(t->process),
                 t->membership.generation);
        tell(t, group_has(t->membership.member) ? TXN_ABORTED : TXN_NO_MEMBER);
        return;
    }
    if (spoil(t, &end_ms))
        return;
    t->open = true;
    id->open = t;
    for (size_t i = 0; i < t->ncommits; i++)
        it.partitions[t->commits[i].partition].pending++;
    sim_later(end_ms, end, t);
}

static void copy_batch(struct broker_txn *t, const struct broker_batch *b)
{
    struct memory *m = world_memory();

    t->records = memory_take(m, (b->nrecords + 1) * sizeof *t->records);
    t->commits = memory_take(m, (b->noffsets + 1) * sizeof *t->commits);
    for (size_t i = 0; i < b->nrecords; i++) {
        const struct kafka_output *o = &b->records[i];

        t->records[t->nrecords++] = (struct sim_record){.topic = memory_copy(m, slice_of(o->topic)).at,
                                                        .key = memory_copy(m, o->key),
                                                        .value = memory_copy(m, o->value),
                                                        .headers = copy_headers(o->headers, o->nheaders),
                                                        .nheaders = o->nheaders,
                                                        .timestamp = o->timestamp ? o->timestamp : sim_wall_ms()};
    }
    for (size_t i = 0; i < b->noffsets; i++)
        t->commits[t->ncommits++] = (struct sim_commit){.topic = memory_copy(m, slice_of(b->partitions[i].topic)).at,
                                                        .partition = b->partitions[i].partition,
                                                        .offset = b->offsets[i],
                                                        .metadata = memory_copy(m, b->metadata[i]),
                                                        .generation = b->membership.generation};
}

void broker_txn(struct sim_process *p, const struct broker_batch *b, broker_ended_fn *ended, void *ctx)
{
    struct broker_txn *t = memory_take(world_memory(), sizeof *t);

    *t = (struct broker_txn){.process = p, .epoch = id_of(p)->epoch, .membership = b->membership, .ended = ended, .ctx = ctx};
    copy_batch(t, b);
    sim_later(1 + (int64_t)sim_below(10), begin, t);
}

void broker_init(struct sim_process *p)
{
    struct transactional_id *id = id_of(p);

    id->epoch++;
    if (!id->open)
        return;
    sim_note("worker %d aborts the open transaction of worker %d", process_number(p), process_number(id->open->process));
    close_txn(id->open);
}
