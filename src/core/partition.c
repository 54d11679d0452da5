/* Lanes and the finished set of one partition. */
#include "stepmill/partition.h"

#include <stdlib.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "stepmill/error.h"
#include "stepmill/rule.h"

/* Exists while a record of its key is waiting or running. */
struct lane {
    struct waiting *running; /* NULL: free */
    struct list queue;       /* waiting records, by offset; the first is in partition.ready when the lane is free */
    UT_hash_handle hh;       /* keyed lanes only; the key is that of any record in it */
    bool hashed;
    size_t key_len;
    char key[];
};

void partition_init(struct partition *p, const char *topic, int32_t number, uint64_t assignment, struct offsets *finished)
{
    *p = (struct partition){.topic = topic,
                            .number = number,
                            .assignment = assignment,
                            .finished = finished,
                            .next = offsets_watermark(finished),
                            .committed_end = offsets_end(finished)};
}

void partition_clear(struct partition *p)
{
    struct lane *lane, *next;

    HASH_ITER(hh, p->lanes, lane, next)
    {
        HASH_DEL(p->lanes, lane);
        free(lane);
    }
    offsets_free(p->finished);
    p->finished = NULL;
}

static struct lane *lane_of(struct partition *p, struct slice key)
{
    struct lane *lane = NULL;

    if (RULE(lanes) && key.at)
        HASH_FIND(hh, p->lanes, key.at, key.len, lane);
    if (lane)
        return lane;
    lane = calloc(1, sizeof *lane + key.len);
    if (!lane)
        return NULL;
    if (RULE(lanes) && key.at) {
        if (key.len)
            memcpy(lane->key, key.at, key.len);
        lane->key_len = key.len;
        HASH_ADD(hh, p->lanes, key, key.len, lane);
        if (!lane->hh.tbl) { /* no memory for the table */
            free(lane);
            return NULL;
        }
        lane->hashed = true;
    }
    return lane;
}

static void drop_lane(struct partition *p, struct lane *lane)
{
    if (lane->running || lane->queue.count)
        return;
    if (lane->hashed)
        HASH_DEL(p->lanes, lane);
    free(lane);
}

/* Records mostly arrive in order, so look from the end. */
static void insert_ready(struct partition *p, struct waiting *w)
{
    struct list_node *after = p->ready.last;

    while (after && list_entry(after, struct waiting, ready)->offset > w->offset)
        after = after->prev;
    list_insert_after(&p->ready, after, &w->ready);
}

enum partition_take partition_take(struct partition *p, struct waiting *w)
{
    if (w->offset < p->next)
        return PARTITION_SKIP;
    if (RULE(gaps) && !offsets_finish_gap(p->finished, p->next, w->offset))
        return PARTITION_NO_MEMORY;
    if (RULE(skip_finished) && offsets_is_finished(p->finished, w->offset)) {
        p->next = w->offset + 1;
        return PARTITION_SKIP;
    }
    w->lane = lane_of(p, w->key);
    if (!w->lane)
        return PARTITION_NO_MEMORY;
    p->next = w->offset + 1;
    list_append(&w->lane->queue, &w->queue);
    if (!w->lane->running && w->lane->queue.count == 1)
        insert_ready(p, w);
    p->nwaiting++;
    return PARTITION_TAKEN;
}

struct waiting *partition_peek(const struct partition *p)
{
    return p->ready.first ? list_entry(p->ready.first, struct waiting, ready) : NULL;
}

bool partition_will_shrink(const struct partition *p) { return p->nwaiting + p->nadmitted > 0 && p->next >= p->committed_end; }

bool partition_at_watermark(const struct partition *p, const struct waiting *w)
{
    return w->offset == offsets_watermark(p->finished);
}

void partition_admit(struct partition *p, struct waiting *w)
{
    if (w->lane->running || !w->ready.list)
        bug("record %lld was admitted while its lane was busy", (long long)w->offset);
    list_remove(&w->ready);
    list_remove(&w->queue);
    w->lane->running = w;
    p->nwaiting--;
    p->nadmitted++;
}

void partition_release(struct partition *p, struct waiting *w)
{
    struct lane *lane = w->lane;

    if (!lane || lane->running != w)
        bug("record %lld released a lane it does not hold", (long long)w->offset);
    lane->running = NULL;
    w->lane = NULL;
    if (lane->queue.first)
        insert_ready(p, list_entry(lane->queue.first, struct waiting, queue));
    else
        drop_lane(p, lane);
}

bool partition_finish(struct partition *p, struct waiting *w)
{
    p->nadmitted--;
    return offsets_finish(p->finished, w->offset);
}

struct waiting *partition_drain(struct partition *p)
{
    struct lane *lane;
    struct waiting *w = partition_peek(p);

    if (!w) { /* behind a busy lane */
        for (lane = p->lanes; lane && !lane->queue.first; lane = lane->hh.next)
            ;
        if (!lane)
            return NULL;
        w = list_entry(lane->queue.first, struct waiting, queue);
    }
    lane = w->lane;
    list_remove(&w->ready);
    list_remove(&w->queue);
    w->lane = NULL;
    p->nwaiting--;
    if (!lane->running && lane->queue.first)
        insert_ready(p, list_entry(lane->queue.first, struct waiting, queue));
    drop_lane(p, lane);
    return w;
}

bool partition_position(struct partition *p, int64_t position)
{
    if (position <= p->next)
        return true;
    if (!offsets_finish_gap(p->finished, p->next, position))
        return false;
    p->next = position;
    return true;
}
