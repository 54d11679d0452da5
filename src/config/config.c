/* Loading a configuration from start to end, and the small questions to it. */
#include <stdio.h>

#include "reader.h"

/* Holds every prompt, secret and node: the file itself has at most 1 MiB, a prompt file 64 KiB. */
enum { ARENA_MAX = 64 * 1024 * 1024 };

static struct config *new_config(struct arena *a)
{
    struct config *c = arena_alloc(a, sizeof *c);
    struct config_values *v = c ? arena_alloc(a, sizeof *v) : NULL;

    if (!v)
        return NULL;
    v->arena = a;
    c->values = v;
    return c;
}

struct config *config_load(const struct config_source *source, struct config_report *report)
{
    struct arena *a = arena_new(ARENA_MAX);
    struct reader r = {
        .source = source, .needs = source->needs, .report = report, .arena = a, .config = a ? new_config(a) : NULL};

    *report = (struct config_report){0};
    if (!r.config) {
        problem_error(report, NULL, "out of memory");
        arena_free(a);
        return NULL;
    }
    if (sources_read(&r) && !arena_failed(a)) {
        r.config->values->root = r.root;
        if (r.needs & CONFIG_NEED_DLQ_IF_THERE && tree_find(r.root, "dlq"))
            r.needs |= CONFIG_NEED_DLQ;
        fill(&r);
        if (!arena_failed(a))
            split_credentials(&r);
        if (!arena_failed(a))
            check(&r);
    }
    if (arena_failed(a)) /* any part of it may be missing */
        problem_error(report, NULL, arena_is_full(a) ? "the configuration is too large" : "out of memory");
    if (report->errors == 0)
        return r.config;
    arena_free(a);
    return NULL;
}

void config_free(struct config *c)
{
    if (c)
        arena_free(c->values->arena);
}

const struct config_agent *config_agent(const struct config *c, struct slice name)
{
    for (size_t i = 0; i < c->nagents; i++)
        if (slice_is(name, c->agents[i].name))
            return &c->agents[i];
    return NULL;
}

void config_tasks_topic(const struct config *c, const char *agent, struct buf *to)
{
    const struct config_agent *a = config_agent(c, slice_of(agent));

    if (a && a->topic) {
        buf_put_text(to, a->topic);
        return;
    }
    buf_put_text(to, c->topics.tasks_prefix);
    buf_put_text(to, agent);
}
