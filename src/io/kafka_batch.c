/* A batch: records and offsets with their own memory, on the way between the loop and the helper thread. */
#include "kafka_batch.h"

#include <stdlib.h>
#include <string.h>

#include "stepmill/kafka_source.h"

enum { BATCH_MAX = 64 * 1024 * 1024 };

struct kafka_batch *kafka_batch_new(void)
{
    struct kafka_batch *b = calloc(1, sizeof *b);

    if (b)
        b->arena = arena_new(BATCH_MAX);
    if (b && b->arena)
        return b;
    free(b);
    return NULL;
}

void kafka_batch_free(struct kafka_batch *b)
{
    if (!b)
        return;
    kafka_membership_free(b->membership);
    arena_free(b->arena);
    free(b->records);
    free(b->offsets);
    free(b->stored);
    free(b);
}

/* Room for one more element of `size`. */
static bool grow(void **at, size_t n, size_t *room, size_t size)
{
    size_t more = *room ? *room * 2 : 16;
    void *grown;

    if (n < *room)
        return true;
    grown = realloc(*at, more * size);
    if (!grown)
        return false;
    *at = grown;
    *room = more;
    return true;
}

static bool copy(struct kafka_batch *b, struct slice *to, struct slice from)
{
    *to = from.at ? arena_copy(b->arena, from) : from;
    return to->at || !from.at;
}

/* The name of a topic: few differ, so an earlier copy mostly serves. */
static const char *copy_topic(struct kafka_batch *b, const char *topic)
{
    for (size_t i = b->nrecords; i > 0 && b->nrecords - i < 8; i--)
        if (!strcmp(b->records[i - 1].topic, topic))
            return b->records[i - 1].topic;
    return arena_copy(b->arena, slice_of(topic)).at;
}

static size_t text_bytes(const struct kafka_output *o)
{
    size_t bytes = o->key.len + o->value.len;

    for (size_t i = 0; i < o->nheaders; i++)
        bytes += o->headers[i].name.len + o->headers[i].value.len;
    return bytes;
}

static struct slice take(char **at, struct slice from)
{
    struct slice copy = {from.at ? *at : NULL, from.len};

    if (from.len)
        memcpy(*at, from.at, from.len);
    *at += from.len;
    return copy;
}

bool kafka_batch_add_record(struct kafka_batch *b, const struct kafka_output *record)
{
    struct kafka_output to = {.nheaders = record->nheaders, .timestamp = record->timestamp, .tag = record->tag};
    size_t bytes = text_bytes(record);
    struct kafka_header *headers;
    char *at;

    if (!grow((void **)&b->records, b->nrecords, &b->records_room, sizeof *b->records))
        return false;
    to.topic = copy_topic(b, record->topic);
    headers = arena_alloc(b->arena, to.nheaders * sizeof *headers + bytes); /* one piece: six records of each task pass here */
    if (!to.topic || !headers)
        return false;
    at = (char *)(headers + to.nheaders);
    to.headers = headers;
    to.key = take(&at, record->key);
    to.value = take(&at, record->value);
    for (size_t i = 0; i < to.nheaders; i++)
        headers[i] = (struct kafka_header){take(&at, record->headers[i].name), take(&at, record->headers[i].value)};
    b->records[b->nrecords++] = to;
    b->bytes += bytes;
    return true;
}

bool kafka_batch_add_offset(struct kafka_batch *b, const struct kafka_partition *p, int64_t offset, struct slice metadata)
{
    struct batch_offset to = {.partition = {.partition = p->partition}, .offset = offset};

    for (size_t i = 0; i < b->noffsets; i++)
        if (b->offsets[i].partition.partition == p->partition && !strcmp(b->offsets[i].partition.topic, p->topic))
            bug("two offsets of %s %d in one batch", p->topic, (int)p->partition);
    if (offset < 0)
        bug("offset %lld of %s %d in a batch", (long long)offset, p->topic, (int)p->partition);
    if (!grow((void **)&b->offsets, b->noffsets, &b->offsets_room, sizeof *b->offsets))
        return false;
    to.partition.topic = arena_copy(b->arena, slice_of(p->topic)).at;
    if (!to.partition.topic || !copy(b, &to.metadata, metadata))
        return false;
    b->offsets[b->noffsets++] = to;
    return true;
}

void kafka_batch_set_membership(struct kafka_batch *b, struct kafka_membership *m)
{
    if (!m)
        bug("a batch without membership");
    kafka_membership_free(b->membership);
    b->membership = m;
}

void kafka_batch_set_producer(struct kafka_batch *b, uint64_t replaced)
{
    b->one_producer = true;
    b->producer = replaced;
}

size_t kafka_batch_records(const struct kafka_batch *b) { return b->nrecords; }

size_t kafka_batch_offsets(const struct kafka_batch *b) { return b->noffsets; }

size_t kafka_batch_bytes(const struct kafka_batch *b) { return b->bytes; }

uint64_t kafka_batch_tag(const struct kafka_batch *b, size_t record) { return b->records[record].tag; }

void kafka_batch_offset(const struct kafka_batch *b, size_t i, struct kafka_partition *p, int64_t *offset, struct slice *metadata)
{
    *p = b->offsets[i].partition;
    *offset = b->offsets[i].offset;
    *metadata = b->offsets[i].metadata;
}
