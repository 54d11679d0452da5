/* CloudEvents headers of results and events. */
#include "stepmill/cloud_events.h"

#include "stepmill/time_text.h"

enum { TEXT_MAX = 1024, FIXED_MAX = 128 /* all but task id, agent and type */ };

static char *put(char *at, struct slice s)
{
    if (s.len)
        memcpy(at, s.at, s.len);
    return at + s.len;
}

static char *put_number(char *at, uint32_t n)
{
    char digits[10];
    size_t i = sizeof digits;

    do {
        digits[--i] = (char)('0' + n % 10);
        n /= 10;
    } while (n);
    return put(at, (struct slice){digits + i, sizeof digits - i});
}

static char *put_id(char *at, struct slice task_id, int32_t seq, const struct digest *digest)
{
    char hex[2 * DIGEST_SIZE + 1];

    digest_text(hex, digest);
    at = put(put(at, task_id), SLICE("/"));
    at = put_number(at, (uint32_t)seq);
    return put(put(at, SLICE("/")), (struct slice){hex, 2 * DIGEST_SIZE});
}

/* Written on the stack and copied at once: six records of each task pass here. */
bool cloud_event_headers(struct kafka_header headers[CLOUD_EVENT_HEADERS], struct arena *arena, struct slice task_id, int32_t seq,
                         const struct digest *digest, struct slice agent, const char *type, int64_t at_ms)
{
    static const struct slice names[] = {{"ce_id", 5}, {"ce_source", 9}, {"ce_type", 7}, {"ce_time", 7}};
    char text[TEXT_MAX], *ends[5] = {text};
    struct slice copy;

    if (seq < 0 || task_id.len > TEXT_MAX || agent.len > TEXT_MAX || strlen(type) > TEXT_MAX ||
        task_id.len + agent.len + strlen(type) > TEXT_MAX - FIXED_MAX)
        return false;
    ends[1] = put_id(ends[0], task_id, seq, digest);
    ends[2] = put(put(ends[1], SLICE("stepmill/")), agent);
    ends[3] = put(put(ends[2], SLICE("com.myco.agents.v1.")), slice_of(type));
    ends[4] = ends[3] + TIME_STAMP_LEN;
    time_stamp(ends[3], at_ms);
    copy = arena_copy(arena, (struct slice){text, (size_t)(ends[4] - text)});
    headers[0] = (struct kafka_header){SLICE("ce_specversion"), SLICE("1.0")};
    for (size_t i = 0; copy.at && i < 4; i++)
        headers[1 + i] = (struct kafka_header){names[i], {copy.at + (ends[i] - text), (size_t)(ends[i + 1] - ends[i])}};
    headers[5] = (struct kafka_header){SLICE("content-type"), SLICE("application/avro")};
    return copy.at != NULL;
}
