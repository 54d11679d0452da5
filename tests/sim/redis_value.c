/* Answers of the simulated Redis as redis.h shows them, and what its error answers mean. */
#include "redis_server.h"
#include "stepmill/redis.h"

struct redis_value *redis_value_of(struct reply *r) { return (struct redis_value *)(void *)r; }
static const struct reply *reply_of(const struct redis_value *v) { return (const struct reply *)(const void *)v; }

enum redis_kind redis_kind(const struct redis_value *v)
{
    switch (reply_of(v)->kind) {
    case REPLY_INTEGER:
        return REDIS_INTEGER;
    case REPLY_TEXT:
    case REPLY_STATUS:
    case REPLY_ERROR:
        return REDIS_TEXT;
    case REPLY_ARRAY:
        return REDIS_ARRAY;
    case REPLY_NIL:
        return REDIS_NIL;
    }
    return REDIS_NIL;
}

int64_t redis_integer(const struct redis_value *v)
{
    int64_t number = 0;

    if (redis_kind(v) == REDIS_INTEGER)
        return reply_of(v)->integer;
    return slice_to_int(redis_text(v), INT64_MIN, INT64_MAX, &number) ? number : 0;
}

struct slice redis_text(const struct redis_value *v)
{
    return redis_kind(v) == REDIS_TEXT ? reply_of(v)->text : (struct slice){NULL, 0};
}

size_t redis_count(const struct redis_value *v) { return redis_kind(v) == REDIS_ARRAY ? reply_of(v)->count : 0; }

const struct redis_value *redis_at(const struct redis_value *v, size_t i)
{
    if (i >= redis_count(v))
        bug("element %zu of a Redis answer with %zu", i, redis_count(v));
    return redis_value_of(&reply_of(v)->items[i]);
}

struct error redis_error_of(struct slice text, bool *outage)
{
    static const struct {
        const char *word;
        struct error error;
    } outages[] = {
        {"LOADING", {CLASS_WAIT, "redis_loading", "Redis is loading its data"}},
        {"READONLY", {CLASS_WAIT, "redis_readonly", "Redis is a replica and takes no writes"}},
        {"OOM", {CLASS_WAIT, "redis_oom", "Redis has used up maxmemory"}},
    };

    *outage = true;
    for (size_t i = 0; i < sizeof outages / sizeof *outages; i++)
        if (slice_starts_with(text, outages[i].word))
            return outages[i].error;
    *outage = false;
    return error_make(CLASS_WAIT, "redis_error", "Redis refused the command");
}
