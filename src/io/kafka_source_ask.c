/* What the app asks the source: pause, resume, position, membership, status. */
#include <stdlib.h>
#include <string.h>

#include "kafka_membership.h"
#include "kafka_source_parts.h"
#include "stepmill/clock.h"
#include "stepmill/rule.h"

rd_kafka_t *kafka_source_client(struct kafka_source *s) { return s->rk; }

static bool set_paused(struct kafka_source *s, const char *topic, int32_t partition, bool pause)
{
    struct part *p = source_part(s, topic, partition);
    rd_kafka_topic_partition_list_t *list;
    rd_kafka_resp_err_t e;

    if (!p || p->state != PART_OWNED)
        return false;
    if (p->paused == pause)
        return true;
    list = kafka_list_of(&(struct kafka_partition){topic, partition}, 1);
    e = pause ? rd_kafka_pause_partitions(s->rk, list) : rd_kafka_resume_partitions(s->rk, list);
    if (!e)
        e = list->elems[0].err;
    rd_kafka_topic_partition_list_destroy(list);
    if (e)
        source_trouble(s, e, false, pause ? "a partition could not be paused" : "a partition could not be resumed", topic);
    else
        p->paused = pause;
    return !e;
}

bool kafka_source_pause(struct kafka_source *s, const char *topic, int32_t partition)
{
    return set_paused(s, topic, partition, true);
}

bool kafka_source_resume(struct kafka_source *s, const char *topic, int32_t partition)
{
    return set_paused(s, topic, partition, false);
}

int64_t kafka_source_position(struct kafka_source *s, const char *topic, int32_t partition)
{
    const struct part *p = source_part(s, topic, partition);
    rd_kafka_topic_partition_list_t *list;
    int64_t position = KAFKA_OFFSET_NONE;

    /* Not while REVOKING: records that we drop then move librdkafka's position too. */
    if (!p || (RULE(position_owned) && p->state != PART_OWNED))
        return KAFKA_OFFSET_NONE;
    list = kafka_list_of(&(struct kafka_partition){topic, partition}, 1);
    if (!rd_kafka_position(s->rk, list) && !list->elems[0].err && list->elems[0].offset >= p->next)
        position = list->elems[0].offset;
    rd_kafka_topic_partition_list_destroy(list);
    return position;
}

struct kafka_membership *kafka_source_membership(struct kafka_source *s)
{
    struct kafka_membership *m = calloc(1, sizeof *m);

    if (m)
        m->group = rd_kafka_consumer_group_metadata(s->rk);
    /* Without a generation the broker would take the offsets over a live group without a word. */
    if (m && m->group && (!RULE(generation) || rd_kafka_consumer_group_metadata_generation_id(m->group) >= 0))
        return m;
    kafka_membership_free(m);
    return NULL;
}

void kafka_membership_free(struct kafka_membership *m)
{
    if (!m)
        return;
    if (m->group)
        rd_kafka_consumer_group_metadata_destroy(m->group);
    free(m);
}

void kafka_source_status(struct kafka_source *s, struct kafka_source_status *status)
{
    /* Not while leaving: librdkafka may drop the question unanswered when it is through with the group, and wait for ever. */
    struct kafka_membership *m = s->phase == SOURCE_OPEN ? kafka_source_membership(s) : NULL;
    int64_t now = clock_mono_ms();

    *status = s->counts;
    status->joined = m != NULL;
    status->connected = !s->disconnected;
    for (size_t t = 0; t < s->ntopics; t++)
        for (size_t i = 0; i < s->topics[t].nparts; i++) {
            const struct part *p = &s->topics[t].parts[i];

            if (p->state == PART_PENDING && now - p->pending_ms > status->pending_ms)
                status->pending_ms = now - p->pending_ms;
        }
    kafka_membership_free(m);
}
