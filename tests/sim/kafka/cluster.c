/* The cluster as a whole: its beginning, its outages, and what must be true of it when all is at rest. */
#include "cluster.h"
#include "world.h"

enum { OUTPUT_PARTITIONS = 2 };

void cluster_begin(void)
{
    net_begin();
    logs_begin();
    group_begin();
    txns_begin();
    fetch_begin();
    logs_add_topic(WORLD_TASKS, 1 + (int32_t)sim_below(PARTITIONS_MAX), true);
    logs_add_topic(WORLD_RESULTS, OUTPUT_PARTITIONS, false);
    logs_add_topic(WORLD_EVENTS, OUTPUT_PARTITIONS, false);
    logs_add_topic(WORLD_DLQ, OUTPUT_PARTITIONS, false);
}

void cluster_disturb(void)
{
    enum server s = (enum server)sim_below(SERVERS);

    net_outage(s, sim_below(2), sim_below(4) ? (int64_t)sim_below(4000) : (int64_t)sim_below(45 * 1000));
}

/* The lag is 0 also where the last offsets hold no record. */
static bool is_read(const struct log_of *l)
{
    struct stored_offset stored;

    return !logs_topic(l->topic)->input || !logs_end(l) || (group_stored(l, &stored) && stored.offset == logs_end(l));
}

bool cluster_is_at_rest(void)
{
    struct log_of *logs[OFFSETS_MAX];
    size_t n = logs_all(logs, OFFSETS_MAX);

    if (txns_any_open() || group_has_pending())
        return false;
    for (size_t i = 0; i < n; i++)
        if (!is_read(logs[i]) || logs_stable_end(logs[i]) != logs_end(logs[i]))
            return false;
    return true;
}

void cluster_tell_unrest(void)
{
    struct log_of *logs[OFFSETS_MAX];
    size_t n = logs_all(logs, OFFSETS_MAX);

    if (txns_any_open() || group_has_pending())
        sim_note("a transaction is open");
    for (size_t i = 0; i < n; i++) {
        struct stored_offset stored;

        if (!is_read(logs[i])) {
            (void)group_stored(logs[i], &stored);
            sim_note("%s/%d is committed up to %lld of %lld", logs[i]->topic, logs[i]->partition, (long long)stored.offset,
                     (long long)logs_end(logs[i]));
        } else if (logs_stable_end(logs[i]) != logs_end(logs[i])) {
            sim_note("%s/%d is stable up to %lld of %lld", logs[i]->topic, logs[i]->partition,
                     (long long)logs_stable_end(logs[i]), (long long)logs_end(logs[i]));
        }
    }
}
