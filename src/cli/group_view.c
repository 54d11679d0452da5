/* Reads a group and the offsets of its partitions, and counts what is not finished. */
#include "group_view.h"

#include <stdlib.h>

#include "stepmill/offsets.h"

enum { FINISHED_WINDOW = 1 << 24 }; /* offsets a finished set can span */

const char *group_name(struct cli *cli, const struct config *config)
{
    if (!config->nagents)
        cli_fail(cli, "the config has no agents, so there is no topic to look at; is it the right file (--config)?");
    else if (!config->kafka.group_id)
        cli_fail(cli, "with several agents the group has no default: set kafka.group.id to that of the workers");
    return config->nagents ? config->kafka.group_id : NULL;
}

static void count_finished(struct group_partition *p, int64_t from)
{
    const char *why = NULL;
    struct offsets *o = offsets_decode(p->committed, p->metadata.at ? p->metadata.at : "", p->metadata.len, &why);
    int64_t last = p->end - from > FINISHED_WINDOW ? from + FINISHED_WINDOW : p->end;

    if (!o) {
        p->problem = why ? "the finished set beside the committed offset is not ours or damaged: finished tasks are read again"
                         : "no memory to read the finished set beside the committed offset";
        return;
    }
    for (int64_t i = from; i < last; i++)
        p->finished += offsets_is_finished(o, i);
    offsets_free(o);
}

static void work_out(struct group_partition *p)
{
    int64_t from = p->committed == KAFKA_OFFSET_NONE || p->committed < p->beginning ? p->beginning : p->committed;

    if (p->problem)
        return;
    p->lag = p->end > from ? p->end - from : 0;
    if (p->committed != KAFKA_OFFSET_NONE && p->committed < p->beginning)
        p->problem = "records behind the committed offset are gone (retention): the worker stops here; see stepmill offsets set";
    else if (p->committed != KAFKA_OFFSET_NONE && p->committed > p->end)
        p->problem = "the committed offset lies behind the end (was the topic made anew?); see stepmill offsets set";
    else if (p->committed != KAFKA_OFFSET_NONE)
        count_finished(p, from);
    p->unfinished = p->lag - p->finished;
}

static const struct kafka_member *reader_of(const struct kafka_group *g, const struct kafka_partition *p)
{
    for (size_t i = 0; i < g->nmembers; i++)
        for (size_t k = 0; k < g->members[i].npartitions; k++)
            if (g->members[i].partitions[k].partition == p->partition && !strcmp(g->members[i].partitions[k].topic, p->topic))
                return &g->members[i];
    return NULL;
}

static bool combine(struct group_view *v)
{
    v->at = calloc(v->partitions.count + 1, sizeof *v->at);
    if (!v->at)
        return false;
    for (; v->count < v->partitions.count; v->count++) {
        struct group_partition *p = &v->at[v->count];
        const struct kafka_offset *c = &v->committed->at[v->count], *b = &v->beginnings->at[v->count],
                                  *e = &v->ends->at[v->count];

        *p = (struct group_partition){.topic = c->topic,
                                      .partition = c->partition,
                                      .committed = c->offset,
                                      .beginning = b->offset,
                                      .end = e->offset,
                                      .metadata = c->metadata,
                                      .problem = c->error   ? c->error
                                                 : b->error ? b->error
                                                            : e->error,
                                      .member = reader_of(v->members, &v->partitions.at[v->count])};
        work_out(p);
        v->lag += p->lag;
        v->finished += p->finished;
        v->unfinished += p->unfinished;
        v->problems += p->problem != NULL;
    }
    return true;
}

bool group_view_read(struct cli *cli, const struct config *config, struct kafka_admin *admin, const char *topic,
                     struct group_view *v)
{
    const char *what = "cannot read the group";
    struct error error;

    *v = (struct group_view){.group = group_name(cli, config)};
    if (!v->group || !cli_partitions(cli, config, admin, topic, &v->partitions))
        return false;
    error = kafka_admin_group(admin, v->group, &v->members);
    if (!failed(error)) {
        what = "cannot read the committed offsets"; /* before the ends, so that no lag is negative */
        error = kafka_admin_committed(admin, v->group, v->partitions.at, v->partitions.count, &v->committed);
    }
    if (!failed(error)) {
        what = "cannot read the offsets of the topics";
        error = kafka_admin_offsets(admin, v->partitions.at, v->partitions.count, KAFKA_OFFSET_BEGINNING, &v->beginnings);
    }
    if (!failed(error))
        error = kafka_admin_offsets(admin, v->partitions.at, v->partitions.count, KAFKA_OFFSET_END, &v->ends);
    if (!failed(error) && combine(v))
        return true;
    if (failed(error))
        cli_admin_fail(cli, admin, what, error);
    else
        cli_fail(cli, "no memory left");
    group_view_free(v);
    return false;
}

void group_view_free(struct group_view *v)
{
    kafka_group_free(v->members);
    kafka_offsets_free(v->committed);
    kafka_offsets_free(v->beginnings);
    kafka_offsets_free(v->ends);
    cli_partitions_free(&v->partitions);
    free(v->at);
    *v = (struct group_view){0};
}

void group_put_member(const struct kafka_member *m, struct buf *to)
{
    buf_printf(to, "%s at %s (%s)", m->client_id, m->host, m->id);
}
