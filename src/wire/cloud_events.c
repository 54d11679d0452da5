/* CloudEvents headers of results and events. */
#include "stepmill/cloud_events.h"

#include <time.h>

static struct slice keep(struct buf *b, struct arena *arena)
{
    struct slice s = b->failed ? (struct slice){NULL, 0} : arena_copy(arena, buf_slice(b));

    buf_free(b);
    return s;
}

static struct slice id_of(struct arena *arena, struct slice task_id, int32_t seq, const struct digest *digest)
{
    char hex[2 * DIGEST_SIZE + 1];
    struct buf b = BUF(512);

    digest_text(hex, digest);
    buf_put_slice(&b, task_id);
    buf_printf(&b, "/%d/%s", seq, hex);
    return keep(&b, arena);
}

static struct slice joined(struct arena *arena, const char *prefix, struct slice rest)
{
    struct buf b = BUF(512);

    buf_put_text(&b, prefix);
    buf_put_slice(&b, rest);
    return keep(&b, arena);
}

static struct slice time_of(struct arena *arena, int64_t at_ms)
{
    time_t seconds = (time_t)(at_ms / 1000);
    struct buf b = BUF(64);
    struct tm utc;

    gmtime_r(&seconds, &utc);
    buf_printf(&b, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday, utc.tm_hour,
               utc.tm_min, utc.tm_sec, (int)(at_ms % 1000));
    return keep(&b, arena);
}

bool cloud_event_headers(struct kafka_header headers[CLOUD_EVENT_HEADERS], struct arena *arena, struct slice task_id, int32_t seq,
                         const struct digest *digest, struct slice agent, const char *type, int64_t at_ms)
{
    headers[0] = (struct kafka_header){SLICE("ce_specversion"), SLICE("1.0")};
    headers[1] = (struct kafka_header){SLICE("ce_id"), id_of(arena, task_id, seq, digest)};
    headers[2] = (struct kafka_header){SLICE("ce_source"), joined(arena, "stepmill/", agent)};
    headers[3] = (struct kafka_header){SLICE("ce_type"), joined(arena, "com.myco.agents.v1.", slice_of(type))};
    headers[4] = (struct kafka_header){SLICE("ce_time"), time_of(arena, at_ms)};
    headers[5] = (struct kafka_header){SLICE("content-type"), SLICE("application/avro")};
    for (size_t i = 0; i < CLOUD_EVENT_HEADERS; i++)
        if (!headers[i].value.at)
            return false;
    return true;
}
