/* Copies of consumed records. */
#include "record.h"

#include <stdlib.h>

static struct slice take(char **at, struct slice from)
{
    struct slice copy = {from.at ? *at : NULL, from.len};

    if (from.len)
        memcpy(*at, from.at, from.len);
    *at += from.len;
    return copy;
}

struct record *record_copy(const struct kafka_record *from, const char *topic)
{
    size_t size = sizeof(struct record) + from->nheaders * sizeof(struct kafka_header) + from->key.len + from->value.len;
    struct record *r;
    char *at;

    for (size_t i = 0; i < from->nheaders; i++)
        size += from->headers[i].name.len + from->headers[i].value.len;
    r = calloc(1, size);
    if (!r)
        return NULL;
    r->topic = topic;
    r->partition = from->partition;
    r->timestamp = from->timestamp;
    r->time_kind = from->time_kind;
    r->size = size;
    r->headers = (struct kafka_header *)(void *)(r + 1);
    r->nheaders = from->nheaders;
    at = (char *)(r->headers + r->nheaders);
    r->waiting.offset = from->offset;
    r->waiting.key = take(&at, from->key);
    r->value = take(&at, from->value);
    for (size_t i = 0; i < r->nheaders; i++) {
        r->headers[i].name = take(&at, from->headers[i].name);
        r->headers[i].value = take(&at, from->headers[i].value);
    }
    return r;
}

void record_free(struct record *r) { free(r); }

struct slice record_header(const struct record *r, const char *name)
{
    for (size_t i = r->nheaders; i-- > 0;)
        if (slice_is(r->headers[i].name, name))
            return r->headers[i].value;
    return (struct slice){NULL, 0};
}

struct origin record_origin(const struct record *r)
{
    return (struct origin){slice_of(r->topic), r->partition, r->waiting.offset};
}
