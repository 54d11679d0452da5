/* Topics as logs: records, markers, what a reader of committed records may see; and what the checker reads of them. */
#include <string.h>

#include "cluster.h"
#include "stepmill/error.h"
#include "world.h"

static struct {
    struct cluster_topic topics[TOPICS_MAX];
    size_t ntopics;
    struct sim_record *records; /* of outputs, committed, as they became visible */
    size_t nrecords, records_room;
} all;

void logs_begin(void) { memset(&all, 0, sizeof all); }

void logs_add_topic(const char *name, int32_t npartitions, bool input)
{
    struct cluster_topic *t = &all.topics[all.ntopics++];

    *t = (struct cluster_topic){.name = name, .npartitions = npartitions, .input = input};
    for (int32_t i = 0; i < npartitions; i++)
        t->logs[i] = (struct log_of){.topic = name, .partition = i};
}

struct cluster_topic *logs_topic(const char *name)
{
    for (size_t i = 0; i < all.ntopics; i++)
        if (!strcmp(all.topics[i].name, name))
            return &all.topics[i];
    return NULL;
}

struct log_of *logs_find(const char *topic, int32_t partition)
{
    struct cluster_topic *t = logs_topic(topic);

    return t && partition >= 0 && partition < t->npartitions ? &t->logs[partition] : NULL;
}

size_t logs_all(struct log_of **logs, size_t room)
{
    size_t n = 0;

    for (size_t i = 0; i < all.ntopics; i++)
        for (int32_t p = 0; p < all.topics[i].npartitions && n < room; p++)
            logs[n++] = &all.topics[i].logs[p];
    return n;
}

int64_t logs_end(const struct log_of *l) { return (int64_t)l->n; }

int64_t logs_stable_end(const struct log_of *l)
{
    int64_t end = logs_end(l);

    for (size_t i = 0; i < l->nsequences; i++)
        if (l->sequences[i].open_since >= 0 && l->sequences[i].open_since < end)
            end = l->sequences[i].open_since;
    return end;
}

int32_t logs_partition_of(const struct cluster_topic *t, struct slice key)
{
    uint32_t hash = 2166136261;

    if (!key.at)
        return (int32_t)sim_below((uint64_t)t->npartitions);
    for (size_t i = 0; i < key.len; i++)
        hash = (hash ^ (unsigned char)key.at[i]) * 16777619;
    return (int32_t)((hash >> 8) % (uint32_t)t->npartitions);
}

static void append(struct log_of *l, const struct entry *e)
{
    if (l->n == l->room) {
        l->room = l->room ? l->room * 2 : 32;
        l->entries = memory_grow(world_memory(), l->entries, l->n, l->room, sizeof *l->entries);
    }
    l->entries[l->n++] = *e;
}

static struct sequence *sequence_of(struct log_of *l, int64_t pid)
{
    for (size_t i = 0; i < l->nsequences; i++)
        if (l->sequences[i].pid == pid)
            return &l->sequences[i];
    if (l->nsequences == l->sequences_room) {
        l->sequences_room = l->sequences_room ? l->sequences_room * 2 : 4;
        l->sequences = memory_grow(world_memory(), l->sequences, l->nsequences, l->sequences_room, sizeof *l->sequences);
    }
    l->sequences[l->nsequences] = (struct sequence){.pid = pid, .epoch = -1, .open_since = -1};
    return &l->sequences[l->nsequences++];
}

rd_kafka_resp_err_t logs_produce(struct log_of *l, int64_t pid, int32_t epoch, int64_t sequence, const struct entry *entries,
                                 size_t n)
{
    struct sequence *s = sequence_of(l, pid);
    rd_kafka_resp_err_t error = txns_verify(pid, epoch, l);

    if (epoch < s->epoch)
        return RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH;
    if (epoch == s->epoch && sequence + (int64_t)n <= s->next)
        return RD_KAFKA_RESP_ERR_NO_ERROR; /* written already */
    if (error)
        return error;
    if (epoch > s->epoch)
        *s = (struct sequence){.pid = pid, .epoch = epoch, .next = 0, .open_since = s->open_since};
    if (sequence != s->next)
        return RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER;
    s->next += (int64_t)n;
    if (s->open_since < 0)
        s->open_since = logs_end(l);
    for (size_t i = 0; i < n; i++) {
        struct entry e = entries[i];

        e.kind = ENTRY_DATA;
        e.fate = FATE_OPEN;
        e.pid = pid;
        append(l, &e);
    }
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

/* What a reader of committed records can see now and could not before. */
static void show(struct log_of *l)
{
    for (int64_t end = logs_stable_end(l); l->shown < end; l->shown++) {
        const struct entry *e = &l->entries[l->shown];

        if (e->kind != ENTRY_DATA || e->fate != FATE_COMMITTED || logs_topic(l->topic)->input)
            continue;
        if (all.nrecords == all.records_room) {
            all.records_room = all.records_room ? all.records_room * 2 : 64;
            all.records = memory_grow(world_memory(), all.records, all.nrecords, all.records_room, sizeof *all.records);
        }
        all.records[all.nrecords++] =
            (struct sim_record){l->topic, e->key, e->value, e->headers, e->nheaders, e->timestamp, e->txn};
    }
}

void logs_mark(struct log_of *l, int64_t pid, int32_t epoch, bool commit, uint64_t txn)
{
    struct sequence *s = sequence_of(l, pid);

    for (int64_t i = s->open_since < 0 ? logs_end(l) : s->open_since; i < logs_end(l); i++)
        if (l->entries[i].pid == pid && l->entries[i].kind == ENTRY_DATA && l->entries[i].fate == FATE_OPEN) {
            l->entries[i].fate = commit ? FATE_COMMITTED : FATE_ABORTED;
            l->entries[i].txn = txn;
        }
    s->open_since = -1;
    if (epoch > s->epoch)
        *s = (struct sequence){.pid = pid, .epoch = epoch, .open_since = -1};
    append(l, &(struct entry){.kind = commit ? ENTRY_COMMIT : ENTRY_ABORT, .pid = pid});
    show(l);
    fetch_wake_all();
}

/* ---- For the feeder and the checker */

/* Whoever feeds uses transactions too, and some of them are aborted: offsets without records for us. */
static void append_gap(struct log_of *l)
{
    switch (sim_below(6)) {
    case 0:
        append(l, &(struct entry){.kind = ENTRY_COMMIT, .pid = -1});
        return;
    case 1:
        append(l, &(struct entry){.kind = ENTRY_DATA, .fate = FATE_ABORTED, .pid = -1, .value = SLICE("aborted")});
        append(l, &(struct entry){.kind = ENTRY_ABORT, .pid = -1});
        return;
    default:
        return;
    }
}

static struct kafka_header *copy_headers(const struct kafka_header *headers, size_t n)
{
    struct kafka_header *copy = memory_take(world_memory(), (n + 1) * sizeof *copy);

    for (size_t i = 0; i < n; i++)
        copy[i] =
            (struct kafka_header){memory_copy(world_memory(), headers[i].name), memory_copy(world_memory(), headers[i].value)};
    return copy;
}

void sim_kafka_append(const char *topic, struct slice key, struct slice value, const struct kafka_header *headers,
                      size_t nheaders, int64_t timestamp, int32_t *partition, int64_t *offset)
{
    struct cluster_topic *t = logs_topic(topic);
    struct log_of *l = &t->logs[logs_partition_of(t, key)];

    append_gap(l);
    *partition = l->partition;
    *offset = logs_end(l);
    append(l, &(struct entry){.fate = FATE_COMMITTED,
                              .pid = -1,
                              .key = memory_copy(world_memory(), key),
                              .value = memory_copy(world_memory(), value),
                              .headers = copy_headers(headers, nheaders),
                              .nheaders = nheaders,
                              .timestamp = timestamp});
    append_gap(l);
    fetch_wake_all();
}

const struct sim_record *sim_kafka_records(size_t *n)
{
    *n = all.nrecords;
    return all.records;
}
