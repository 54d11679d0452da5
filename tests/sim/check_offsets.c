/* Checks every commit of offsets: by a member, within the limit, readable, and never taking back what was finished. */
#include "check_private.h"
#include "stepmill/error.h"

enum { PARTITIONS_MAX = 32, METADATA_MAX = OFFSETS_TEXT_MAX - 1 };

struct partition_seen {
    const char *topic;
    int32_t partition;
    struct offsets *finished;
    int64_t at; /* newest commit, offset */
};

static struct partition_seen *seen_of(struct partition_seen *seen, size_t *n, const struct sim_commit *c)
{
    for (size_t i = 0; i < *n; i++)
        if (seen[i].partition == c->partition && !strcmp(seen[i].topic, c->topic))
            return &seen[i];
    if (*n == PARTITIONS_MAX)
        bug("more than %d partitions", PARTITIONS_MAX);
    seen[*n] = (struct partition_seen){.topic = c->topic, .partition = c->partition, .at = 0};
    return &seen[(*n)++];
}

static void check_limits(const struct sim_commit *c)
{
    if (c->generation < 0)
        sim_violation("generation", "%s/%d: committed %lld with generation %d", c->topic, c->partition, (long long)c->offset,
                      c->generation);
    if (c->metadata.len > METADATA_MAX)
        sim_violation("metadata", "%s/%d: %zu characters of metadata were committed, %d are allowed", c->topic, c->partition,
                      c->metadata.len, METADATA_MAX);
}

/* Which records this commit finished, and whether it forgot any. */
static void compare(struct checker *c, const struct sim_commit *commit, const struct partition_seen *before,
                    const struct offsets *now)
{
    for (size_t i = 0; i < c->nverdicts; i++) {
        struct verdict *v = &c->verdicts[i];
        bool finished;

        if (v->fed->offset < 0 || v->fed->partition != commit->partition || strcmp(v->fed->topic, commit->topic) != 0)
            continue;
        finished = offsets_is_finished(now, v->fed->offset);
        if (finished && !v->txn)
            v->txn = commit->txn;
        else if (!finished && v->txn)
            sim_violation("finished-shrinks", "%s was finished by transaction %llu and is not any more after %llu",
                          verdict_name(v), (unsigned long long)v->txn, (unsigned long long)commit->txn);
    }
    if (commit->offset < before->at)
        sim_violation("watermark-shrinks", "%s/%d: the watermark went back from %lld to %lld", commit->topic, commit->partition,
                      (long long)before->at, (long long)commit->offset);
}

static void check_commit(struct checker *c, const struct sim_commit *commit, struct partition_seen *p)
{
    const char *why = "";
    struct offsets *now =
        offsets_decode(commit->offset, commit->metadata.at ? commit->metadata.at : "", commit->metadata.len, &why);

    check_limits(commit);
    if (!now) {
        sim_violation("metadata", "%s/%d: what was committed beside %lld can't be read: %s", commit->topic, commit->partition,
                      (long long)commit->offset, why);
        return;
    }
    compare(c, commit, p, now);
    offsets_free(now);
    p->at = commit->offset;
}

void check_offsets(struct checker *c)
{
    struct partition_seen seen[PARTITIONS_MAX];
    size_t n = 0, ncommits;
    const struct sim_commit *commits = sim_kafka_commits(&ncommits);

    for (size_t i = 0; i < ncommits; i++)
        check_commit(c, &commits[i], seen_of(seen, &n, &commits[i]));
    for (size_t i = 0; i < c->nverdicts; i++)
        if (c->verdicts[i].fed->offset >= 0 && !c->verdicts[i].txn)
            sim_violation("lost", "%s was never finished", verdict_name(&c->verdicts[i]));
}
