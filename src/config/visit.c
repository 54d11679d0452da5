/* Walking over all options of a loaded configuration. */
#include "visit.h"

#include <stdio.h>

typedef void visit(void *context, const struct option *o, const char *path, const void *base);

static void visit_kafka(const struct config *c, const struct option *o, visit *each, void *context)
{
    char path[TREE_PATH_MAX];

    for (size_t i = 0; i < c->kafka.noptions; i++) {
        if (!strcmp(c->kafka.options[i].name, "bootstrap.servers")) /* has its own row */
            continue;
        snprintf(path, sizeof path, "kafka.%s", c->kafka.options[i].name);
        each(context, o, path, &c->kafka.options[i]);
    }
}

/* One agent or model: the rows of its scope, which stand together in the table. */
static void visit_named(size_t first, const char *section, const char *name, const void *base, visit *each, void *context)
{
    enum option_scope scope = option_scope(&option_table[first]);
    char path[TREE_PATH_MAX];

    for (size_t i = first; i < option_count && option_scope(&option_table[i]) == scope; i++) {
        snprintf(path, sizeof path, "%s.%s.%s", section, name, option_name(&option_table[i]));
        each(context, &option_table[i], path, base);
    }
}

void visit_options(const struct config *c, visit *each, void *context)
{
    enum option_scope last = SCOPE_ROOT;

    for (size_t i = 0; i < option_count; i++) {
        const struct option *o = &option_table[i];
        enum option_scope scope = option_scope(o);

        if (o->type == OPTION_KAFKA)
            visit_kafka(c, o, each, context);
        else if (scope == SCOPE_ROOT)
            each(context, o, o->path, c);
        else if (scope == SCOPE_AGENT && last != SCOPE_AGENT)
            for (size_t k = 0; k < c->nagents; k++)
                visit_named(i, "agents", c->agents[k].name, &c->agents[k], each, context);
        else if (scope == SCOPE_MODEL && last != SCOPE_MODEL)
            for (size_t k = 0; k < c->nmodels; k++)
                visit_named(i, "models", c->models[k].name, &c->models[k], each, context);
        last = scope;
    }
}

const void *visit_find(const struct config *c, const struct option *o, const char *path)
{
    const char *name;
    struct slice named;

    if (option_scope(o) == SCOPE_ROOT && o->type != OPTION_KAFKA)
        return c;
    name = strchr(path, '.') + 1;
    named = (struct slice){name, strcspn(name, ".")};
    if (o->type == OPTION_KAFKA) {
        for (size_t i = 0; i < c->kafka.noptions; i++)
            if (!strcmp(c->kafka.options[i].name, name))
                return &c->kafka.options[i];
        return NULL;
    }
    if (option_scope(o) == SCOPE_AGENT)
        return config_agent(c, named);
    for (size_t i = 0; i < c->nmodels; i++)
        if (slice_is(named, c->models[i].name))
            return &c->models[i];
    return NULL;
}
