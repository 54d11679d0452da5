/* Answers of Redis without hiredis' types, and what its error answers mean. */
#include <string.h>

#include "redis_private.h"

static const redisReply *reply_of(const struct redis_value *v) { return (const redisReply *)(const void *)v; }

enum redis_kind redis_kind(const struct redis_value *v)
{
    switch (reply_of(v)->type) {
    case REDIS_REPLY_INTEGER:
        return REDIS_INTEGER;
    case REDIS_REPLY_STRING:
    case REDIS_REPLY_STATUS:
    case REDIS_REPLY_ERROR:
        return REDIS_TEXT;
    case REDIS_REPLY_ARRAY:
        return REDIS_ARRAY;
    default:
        return REDIS_NIL;
    }
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
    if (redis_kind(v) != REDIS_TEXT)
        return (struct slice){NULL, 0};
    return (struct slice){reply_of(v)->str, reply_of(v)->len};
}

size_t redis_count(const struct redis_value *v) { return redis_kind(v) == REDIS_ARRAY ? reply_of(v)->elements : 0; }

const struct redis_value *redis_at(const struct redis_value *v, size_t i)
{
    if (i >= redis_count(v))
        bug("element %zu of a Redis answer with %zu", i, redis_count(v));
    return (const struct redis_value *)(const void *)reply_of(v)->element[i];
}

static const struct {
    const char *word; /* the answer's first */
    struct error error;
} outages[] = {
    {"LOADING", {CLASS_WAIT, "redis_loading", "Redis is loading its data"}},
    {"READONLY", {CLASS_WAIT, "redis_readonly", "Redis is a replica and takes no writes: redis.url must lead to the master"}},
    {"OOM", {CLASS_WAIT, "redis_oom", "Redis has used up maxmemory: give it more"}},
    {"MISCONF", {CLASS_WAIT, "redis_misconf", "Redis can't save to its disk and refuses writes"}},
    {"NOAUTH", {CLASS_WAIT, "redis_auth", "Redis wants a password: set redis.password"}},
    {"WRONGPASS", {CLASS_WAIT, "redis_auth", "Redis refused user or password"}},
    {"NOPERM", {CLASS_WAIT, "redis_auth", "the ACL of the Redis user forbids a command or key that stepmill needs"}},
    {"BUSY", {CLASS_WAIT, "redis_script_busy", "Redis runs a script that does not end"}},
    {"MASTERDOWN", {CLASS_WAIT, "redis_unavailable", "Redis is a replica whose master is down"}},
    {"NOREPLICAS", {CLASS_WAIT, "redis_unavailable", "Redis has too few replicas to take writes"}},
    {"CLUSTERDOWN", {CLASS_WAIT, "redis_unavailable", "the Redis cluster is down"}},
    {"ERR max number of clients",
     {CLASS_WAIT, "redis_unavailable", "Redis has no room for another client: raise its maxclients"}},
};

/* Up to Redis 6.2 an error inside a script is named in the middle of the text, behind a '-'. */
static bool says(const char *text, const char *word)
{
    size_t n = strlen(word);

    if (!strncmp(text, word, n) && (text[n] == ' ' || text[n] == '\0'))
        return true;
    if (strncmp(text, "ERR Error running script", 24) != 0)
        return false;
    for (const char *at = strstr(text, word); at; at = strstr(at + 1, word))
        if (at[-1] == '-' && at[n] == ' ')
            return true;
    return false;
}

struct error redis_error_of(const char *text, bool *outage)
{
    *outage = true;
    for (size_t i = 0; i < sizeof outages / sizeof *outages; i++)
        if (says(text, outages[i].word))
            return outages[i].error;
    *outage = false;
    return error_make(CLASS_WAIT, "redis_error", "Redis refused the command; its words are in the log");
}
