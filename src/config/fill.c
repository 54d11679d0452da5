/* From the tree into the structs: defaults first, then each value where the option table says. */
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "reader.h"
#include "stepmill/json.h"
#include "stepmill/nearest.h"
#include "value.h"

enum { EXTRA_MAX = 64 * 1024, REQUEST_ITEM_MAX = 64 };

static void fill_defaults(struct reader *r, enum option_scope scope, void *base)
{
    struct buf why = BUF(256);

    for (size_t i = 0; i < option_count; i++)
        if (option_table[i].fallback && option_scope(&option_table[i]) == scope &&
            !value_read(&option_table[i], slice_of(option_table[i].fallback), base, r->arena, &why) && !arena_failed(r->arena))
            bug("default of %s: %.*s", option_table[i].path, SLICE_FMT(buf_slice(&why)));
    buf_free(&why);
}

static bool wrong_kind(struct reader *r, const struct option *o, const struct node *n, const char *path)
{
    bool list = option_is_list(o);
    enum node_kind wanted = list ? NODE_LIST : o->type == OPTION_JSON ? NODE_MAP : NODE_SCALAR;
    static const char *const names[] = {[NODE_SCALAR] = "a single value", [NODE_LIST] = "a list", [NODE_MAP] = "a map"};

    if (node_is_null(n) && n->place.source == PLACE_FILE)
        problem_error(r->report, &n->named, "%s has no value: write one, or remove the line", path);
    else if (n->kind != wanted)
        problem_error(r->report, &n->place, "%s must be %s%s", path, names[wanted], list ? ", such as [first, second]" : "");
    else
        return false;
    return true;
}

static const struct config_model *find_model(const struct reader *r, struct slice name)
{
    for (size_t i = 0; i < r->config->nmodels; i++)
        if (slice_is(name, r->config->models[i].name))
            return &r->config->models[i];
    return NULL;
}

static void unknown_model(struct reader *r, const struct node *n, struct slice name)
{
    struct nearest near = nearest_to(name);

    for (size_t i = 0; i < r->config->nmodels; i++)
        nearest_offer(&near, r->config->models[i].name);
    problem_error(r->report, &n->place, "no model \"%.*s\" under models%s%s%s", SLICE_FMT(name),
                  near.name ? ": did you mean \"" : "", near.name ? near.name : "", near.name ? "\"?" : "");
}

static bool tool_name_valid(struct slice name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.at[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-'))
            return false;
    }
    return name.len > 0 && name.len <= REQUEST_ITEM_MAX;
}

/* One item of a list: the pointer that the array holds, or NULL after a problem. */
static const void *read_item(struct reader *r, const struct option *o, const struct node *n, const char *path,
                             const void *const *items, size_t count)
{
    struct secret_use use;
    struct slice text = {NULL, 0};
    const void *item = NULL;

    if (n->kind != NODE_SCALAR)
        problem_error(r->report, &n->place, "%s: each item must be a name", path);
    else
        text = scalar_text(r, n, path, &use);
    if (!text.at)
        return NULL;
    if (o->type == OPTION_MODELS && !(item = find_model(r, text)))
        unknown_model(r, n, text);
    else if (o->type == OPTION_TOOLS && !tool_name_valid(text))
        problem_error(r->report, &n->place, "%s: a tool's name is 1 to 64 letters, digits, \"_\" and \"-\"", path);
    else if (o->type == OPTION_TOPICS && value_wrong_topic(text, false))
        problem_error(r->report, &n->place, "%s: %s", path, value_wrong_topic(text, false));
    else if (o->type == OPTION_TOOLS || o->type == OPTION_TOPICS)
        item = text.at;
    for (size_t i = 0; item && i < count; i++)
        if (o->type == OPTION_MODELS ? items[i] == item : !strcmp(items[i], item)) {
            problem_error(r->report, &n->place, "%s: \"%.*s\" is there twice", path, SLICE_FMT(text));
            return NULL;
        }
    return item;
}

static void read_list(struct reader *r, const struct option *o, const struct node *list, const char *path, void *base)
{
    size_t max = o->type == OPTION_MODELS ? CONFIG_CASCADE_MAX : CONFIG_TOOLS_MAX, count = 0;
    const void **items;

    if (list->count > max) {
        problem_error(r->report, &list->place, "%s: more than %zu items", path, max);
        return;
    }
    if (list->count == 0 && o->need & r->needs)
        problem_error(r->report, &list->place, "%s is empty", path);
    items = arena_alloc(r->arena, (list->count + 1) * sizeof *items);
    if (!items) {
        problem_error(r->report, &list->place, "out of memory");
        return;
    }
    for (const struct node *n = list->first; n; n = n->next) {
        const void *item = read_item(r, o, n, path, items, count);

        if (item)
            items[count++] = item;
    }
    memcpy(option_at(o, base), &items, sizeof items);
    memcpy((char *)base + o->second, &count, sizeof count);
}

static void read_extra(struct reader *r, const struct option *o, const struct node *map, const char *path, void *base)
{
    static const char *const ours[] = {"model", "messages", "tools", "stream", "n", "temperature", "seed", "max_tokens"};
    struct buf text = BUF(EXTRA_MAX);
    struct slice copy = {NULL, 0};

    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++) {
        const struct node *n = node_member(map, slice_of(ours[i]));

        if (n)
            problem_error(r->report, &n->named, "%s: \"%s\" is set by Stepmill itself", path, ours[i]);
    }
    if (node_to_json(r, map, path, &text)) {
        copy = arena_copy(r->arena, buf_slice(&text));
        if (text.failed || !json_valid(copy))
            problem_error(r->report, &map->place, "%s is larger than %d bytes, or nested too deeply", path, EXTRA_MAX);
    }
    buf_free(&text);
    if (map->count)
        memcpy(option_at(o, base), &copy, sizeof copy);
}

/* A file that must be readable, or a folder that must be there. */
static void read_path(struct reader *r, const struct option *o, struct node *n, const char *path, struct slice text, void *base)
{
    struct stat st;
    const char *full = scalar_path(r, n, text);

    if (!full)
        return;
    memcpy(option_at(o, base), &full, sizeof full);
    if (!section_needed(r, path) || o->type == OPTION_STATE)
        return;
    if (access(full, R_OK) < 0)
        problem_error(r->report, &n->place, "%s: cannot read %s: %s", path, full, strerror(errno));
    else if (stat(full, &st) == 0 && (o->type == OPTION_FOLDER) != S_ISDIR(st.st_mode))
        problem_error(r->report, &n->place, "%s: %s is %s folder", path, full, o->type == OPTION_FOLDER ? "not a" : "a");
}

static void read_scalar(struct reader *r, const struct option *o, struct node *n, const char *path, void *base)
{
    struct secret_use use;
    struct slice text = scalar_text(r, n, path, &use);
    struct buf why = BUF(512);
    bool may_be_empty = o->fallback || o->type == OPTION_TEXT;

    if (text.at && text.len == 0 && !may_be_empty) { /* "${NAME:-}" with nothing in it: not set */
        if (o->need & r->needs)
            problem_error(r->report, &n->place, "%s is empty", path);
        return;
    }
    if (!text.at)
        return;
    if (o->type == OPTION_FILE || o->type == OPTION_FOLDER || o->type == OPTION_STATE)
        read_path(r, o, n, path, text, base);
    else if (value_read(o, text, base, r->arena, &why))
        ;
    else if (use.references) /* what it stands for may be a secret */
        problem_error(r->report, &n->place, "%s: what \"%.*s\" stands for is not valid here", path, SLICE_FMT(n->text));
    else
        problem_error(r->report, &n->place, "%s: %s", path, why.failed ? "the value is too long" : buf_text(&why));
    buf_free(&why);
}

static void read_option(struct reader *r, const struct option *o, bool file, struct node *n, const char *path, void *base)
{
    struct config_secret secret = {0};
    size_t errors = r->report->errors;
    char plain[TREE_PATH_MAX];

    if (wrong_kind(r, o, n, path))
        return;
    snprintf(plain, sizeof plain, "%.*s", (int)(strlen(path) - (file ? strlen("_file") : 0)), path);
    if (file && tree_find(r->root, plain))
        problem_error(r->report, &n->named, "%s: %s is set too, only one of them is allowed", path, plain);
    else if (option_is_list(o))
        read_list(r, o, n, path, base);
    else if (o->type == OPTION_JSON)
        read_extra(r, o, n, path, base);
    else if (o->type == OPTION_SECRET)
        (void)scalar_secret(r, n, file ? path : plain, file, option_at(o, base));
    else if (o->type == OPTION_TEXT && file && scalar_secret(r, n, path, true, &secret))
        memcpy(option_at(o, base), &secret.value, sizeof secret.value);
    else if (!file)
        read_scalar(r, o, n, path, base);
    if (file && (o->need & r->needs) && !value_is_set(o, base) && r->report->errors == errors)
        problem_error(r->report, &n->place, "%s is empty", path);
}

static void unknown_key(struct reader *r, const struct node *n, const char *path)
{
    struct buf right = BUF(TREE_PATH_MAX);
    bool found = option_suggest(path, &right);

    if (memchr(n->name.at, '.', n->name.len))
        problem_error(r->report, &n->named,
                      "unknown key \"%.*s\": only names below kafka hold dots; write the section, and the option below it",
                      SLICE_FMT(n->name));
    else
        problem_error(r->report, &n->named, "unknown key \"%s\"%s%s%s", path, found ? ": did you mean \"" : "",
                      found ? buf_text(&right) : "", found ? "\"?" : "");
    buf_free(&right);
}

static void walk(struct reader *r, const struct node *map, const char *path, void *base)
{
    for (struct node *n = map->first; n; n = n->next) {
        char full[TREE_PATH_MAX];
        bool file, fits = snprintf(full, sizeof full, "%s%s%.*s", path, *path ? "." : "", SLICE_FMT(n->name)) < (int)sizeof full;
        /* A dot within a key would name the option of another section. */
        const struct option *o = fits && !memchr(n->name.at, '.', n->name.len) ? option_find(full, &file) : NULL;

        if (!*path && (slice_is(n->name, "kafka") || slice_is(n->name, "agents") || slice_is(n->name, "models")))
            continue;
        if (o)
            read_option(r, o, file, n, full, base);
        else if (!fits || memchr(n->name.at, '.', n->name.len) || !option_is_section(full))
            unknown_key(r, n, full);
        else if (n->kind == NODE_MAP)
            walk(r, n, full, base);
        else if (!node_is_null(n))
            problem_error(r->report, &n->place, "%s is a section: its options stand below it, one per line", full);
    }
}

/* The members of `agents` or `models`, checked; NULL: there are none. */
static struct node *named_section(struct reader *r, const char *name, size_t max)
{
    struct node *section = node_member(r->root, slice_of(name));

    if (!section || node_is_null(section))
        return NULL;
    if (section->kind != NODE_MAP)
        problem_error(r->report, &section->place, "%s must be a map: a name, and its options below it", name);
    else if (section->count > max)
        problem_error(r->report, &section->place, "%s: more than %zu", name, max);
    else
        return section;
    return NULL;
}

/* One agent or model. False: not a map. */
static bool fill_named(struct reader *r, struct node *n, const char *section, enum option_scope scope, void *base)
{
    char path[TREE_PATH_MAX];

    snprintf(path, sizeof path, "%s.%.*s", section, 160, n->name.at);
    if (!option_name_valid(n->name))
        problem_error(r->report, &n->named, "%s: \"%.*s\" is not a name: use 1 to %d of a-z, 0-9 and \"-\"", section,
                      SLICE_FMT(n->name), CONFIG_NAME_MAX);
    fill_defaults(r, scope, base);
    if (node_is_null(n))
        return true;
    if (n->kind != NODE_MAP) {
        problem_error(r->report, &n->place, "%s must be a map of options", path);
        return false;
    }
    walk(r, n, path, base);
    return true;
}

static void fill_models(struct reader *r)
{
    struct node *section = named_section(r, "models", CONFIG_MODELS_MAX);
    struct config *c = r->config;

    c->models = section ? arena_alloc(r->arena, section->count * sizeof *c->models + 1) : NULL;
    if (section && !c->models)
        problem_error(r->report, &section->place, "out of memory");
    for (struct node *n = c->models ? section->first : NULL; n; n = n->next) {
        struct config_model *m = &c->models[c->nmodels];

        m->name = n->name.at;
        c->nmodels += fill_named(r, n, "models", SCOPE_MODEL, m);
    }
}

static void fill_agents(struct reader *r)
{
    struct node *section = named_section(r, "agents", CONFIG_AGENTS_MAX);
    struct config *c = r->config;

    c->agents = section ? arena_alloc(r->arena, section->count * sizeof *c->agents + 1) : NULL;
    if (section && !c->agents)
        problem_error(r->report, &section->place, "out of memory");
    for (struct node *n = c->agents ? section->first : NULL; n; n = n->next) {
        struct config_agent *a = &c->agents[c->nagents];

        a->name = n->name.at;
        c->nagents += fill_named(r, n, "agents", SCOPE_AGENT, a);
    }
}

void fill(struct reader *r)
{
    fill_defaults(r, SCOPE_ROOT, r->config);
    walk(r, r->root, "", r->config);
    fill_kafka(r);
    fill_models(r); /* before the agents, which name them */
    fill_agents(r);
}
