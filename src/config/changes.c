/* What differs between two configurations: for a reload, which takes over only what may change while running. */
#include <stdio.h>

#include "reader.h"
#include "value.h"
#include "visit.h"

enum { VALUE_MAX = 1024 * 1024 };

struct comparison {
    const struct config *other;
    bool only_missing; /* second pass: what is not in `other` */
    void (*each)(void *context, const char *path, bool reloadable);
    void *context;
    char reported[TREE_PATH_MAX]; /* the agent or model that came or went last */
};

/* An agent that came or went is one change, whatever options it has. A worker subscribes at start, so it needs a restart; a model
 * does not. */
static void report_missing(struct comparison *m, const struct option *o, const char *path)
{
    const char *end = path;
    char name[TREE_PATH_MAX];

    if (option_scope(o) == SCOPE_ROOT) {
        m->each(m->context, path, o->reloadable);
        return;
    }
    end = strrchr(path, '.');
    snprintf(name, sizeof name, "%.*s", (int)(end - path), path);
    if (strcmp(name, m->reported) == 0)
        return;
    snprintf(m->reported, sizeof m->reported, "%s", name);
    m->each(m->context, name, option_scope(o) == SCOPE_MODEL);
}

static void compare(void *context, const struct option *o, const char *path, const void *base)
{
    struct comparison *m = context;
    const void *other = visit_find(m->other, o, path);
    struct buf a = BUF(VALUE_MAX), b = BUF(VALUE_MAX);

    if (!other)
        report_missing(m, o, path);
    else if (!m->only_missing) {
        value_write(o, base, &a);
        value_write(o, other, &b);
        if (value_is_set(o, base) != value_is_set(o, other) || !slice_equal(buf_slice(&a), buf_slice(&b)))
            m->each(m->context, path, o->reloadable);
    }
    buf_free(&a);
    buf_free(&b);
}

void config_changes(const struct config *old, const struct config *new,
                    void (*each)(void *context, const char *path, bool reloadable), void *context)
{
    struct comparison gone = {.other = new, .each = each, .context = context};
    struct comparison came = {.other = old, .only_missing = true, .each = each, .context = context};

    visit_options(old, compare, &gone);
    visit_options(new, compare, &came);
}
