/* Where values come from: the file, over it the environment, over that the flags, all in one tree. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "document.h"
#include "reader.h"

#define VARIABLE "STEPMILL_"

static const char *keep(struct reader *r, const char *text)
{
    struct slice copy = arena_copy(r->arena, slice_of(text));

    return copy.at ? copy.at : "";
}

/* ---- The file */

static const char *find_file(const struct config_source *source)
{
    static const char *const usual[] = {"stepmill.yaml", "/etc/stepmill/stepmill.yaml"};
    const char *named = source->path ? source->path : secret_environment(source->environment, SLICE(VARIABLE "CONFIG"));

    if (named && *named)
        return named;
    for (size_t i = 0; i < sizeof usual / sizeof *usual; i++)
        if (access(usual[i], F_OK) == 0)
            return usual[i];
    return NULL;
}

static bool read_bytes(struct reader *r, const char *path, struct buf *to)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : 1;

    while (n > 0) {
        char *at = buf_reserve(to, 65536);

        if (!at)
            break; /* as large as the limit: document_parse says so */
        n = read(fd, at, 65536);
        if (n > 0)
            to->len += (size_t)n;
        else if (n < 0 && errno == EINTR)
            n = 1;
    }
    if (n < 0)
        problem_error(r->report, NULL, "%s: cannot read the configuration: %s", path, strerror(errno));
    if (fd >= 0)
        close(fd);
    return n >= 0;
}

static bool read_file(struct reader *r, const char *path)
{
    struct buf text = BUF(DOCUMENT_BYTES_MAX + 2 * 65536);
    char *whole = realpath(path, NULL);
    struct place place = {.source = PLACE_FILE, .name = keep(r, path)};

    if (whole)
        r->folder = keep(r, dirname(whole));
    else if (errno == ENOMEM) /* paths in the file are relative to it */
        problem_error(r->report, NULL, "out of memory");
    free(whole);
    r->config->path = place.name;
    r->beginning = (struct place){PLACE_FILE, place.name, 1, 1};
    if (read_bytes(r, path, &text))
        r->root = document_parse(r->arena, buf_slice(&text), place, r->report);
    buf_free(&text);
    if (r->root && node_is_null(r->root))
        r->root->kind = NODE_MAP;
    if (r->root && r->root->kind != NODE_MAP) {
        problem_error(r->report, &r->root->place, "the file must be a map of sections, such as \"kafka:\"");
        r->root = NULL;
    }
    return r->root != NULL;
}

/* ---- Values from outside the file */

/* "a, b" or "[a, b]". */
static struct node *list_node(struct reader *r, struct slice text, struct place place)
{
    struct node *list, *item;

    if (slice_starts_with(text, "["))
        return document_parse(r->arena, text, place, r->report);
    list = node_new(r->arena, NODE_LIST, place);
    for (const char *at = text.at, *end = text.at + text.len; list && at < end;) {
        const char *comma = memchr(at, ',', (size_t)(end - at)), *stop = comma ? comma : end, *last = stop;

        while (at < last && *at == ' ')
            at++;
        while (last > at && last[-1] == ' ')
            last--;
        item = node_new(r->arena, NODE_SCALAR, place);
        if (!item)
            return NULL;
        item->text = arena_copy(r->arena, (struct slice){at, (size_t)(last - at)});
        node_append(list, item);
        at = stop + 1;
    }
    return list;
}

static struct node *value_node(struct reader *r, const struct option *o, bool file, struct slice text, struct place place)
{
    struct node *n;

    if (option_is_list(o))
        return list_node(r, text, place);
    if (o->type == OPTION_JSON && !file)
        return document_parse(r->arena, text, place, r->report);
    n = node_new(r->arena, NODE_SCALAR, place);
    if (n)
        n->text = arena_copy(r->arena, text);
    return n;
}

/* A secret given here replaces its other form given below. */
static void remove_other_form(struct reader *r, const struct option *o, bool file, const char *path)
{
    char other[TREE_PATH_MAX + 8];
    size_t n = strlen(path);

    if (o->type == OPTION_KAFKA)
        file = n > strlen("_file") && !strcmp(path + n - strlen("_file"), "_file");
    else if (!option_has_file(o))
        return;
    snprintf(other, sizeof other, "%.*s%s", (int)(file ? n - strlen("_file") : n), path, file ? "" : "_file");
    tree_remove(r->root, other);
}

static void refuse_path(struct reader *r, const struct place *place, const char *path)
{
    struct buf right = BUF(TREE_PATH_MAX), variable = BUF(2 * TREE_PATH_MAX);
    bool found = option_suggest(path, &right);

    if (found && place->source == PLACE_ENVIRONMENT)
        sources_variable(buf_text(&right), &variable);
    problem_error(r->report, place, "there is no option \"%s\"%s%s%s", path, found ? ": did you mean " : "",
                  !found         ? ""
                  : variable.len ? buf_text(&variable)
                                 : buf_text(&right),
                  found ? "?" : "");
    buf_free(&right);
    buf_free(&variable);
}

static void set_value(struct reader *r, const char *path, struct slice text, struct place place)
{
    bool file;
    const struct option *o = option_find(path, &file);
    struct node *n;

    if (!o) {
        refuse_path(r, &place, path);
        return;
    }
    n = value_node(r, o, file, text, place);
    if (!n)
        return;
    remove_other_form(r, o, file, path);
    if (!tree_set(r->arena, r->root, path, n))
        problem_error(r->report, &place, "cannot be set: a part of \"%s\" is a value in the file", path);
}

/* ---- The environment: STEPMILL_REDIS__URL, STEPMILL_AGENTS__MY_AGENT__MAX_STEPS, STEPMILL_KAFKA__BOOTSTRAP_SERVERS */

void sources_variable(const char *path, struct buf *to)
{
    buf_put_text(to, VARIABLE);
    for (bool kafka = slice_starts_with(slice_of(path), "kafka."), first = true; *path; path++) {
        if (*path == '.' && (!kafka || first)) {
            buf_put_text(to, "__");
            first = false;
        } else {
            buf_put_byte(to, *path == '.' || *path == '-' ? '_' : (char)toupper((unsigned char)*path));
        }
    }
}

/* The reverse. Two underscores part the levels; a single one is a dot below kafka, "-" in the name of an agent or model, else
 * itself. */
static bool variable_path(struct slice name, char path[TREE_PATH_MAX])
{
    size_t level = 0, n = 0;
    bool kafka = slice_starts_with(name, "KAFKA__");
    bool named = slice_starts_with(name, "AGENTS__") || slice_starts_with(name, "MODELS__");

    for (size_t i = 0; i < name.len; i++) {
        char c = (char)tolower((unsigned char)name.at[i]);

        if (n + 8 > TREE_PATH_MAX)
            return false;
        if (c == '_' && i + 1 < name.len && name.at[i + 1] == '_' && !(kafka && level)) {
            c = '.';
            level++;
            i++;
        } else if (c == '_' && level == 1 && (kafka || named)) {
            c = kafka ? '.' : '-';
        }
        path[n++] = c;
    }
    path[n] = '\0';
    if (kafka && n > strlen(".file") && !strcmp(path + n - strlen(".file"), ".file")) {
        path[n - strlen(".file")] = '\0'; /* a secret's file form? */
        path[n - strlen(".file")] = kafka_option_secret(path + strlen("kafka.")) ? '_' : '.';
    }
    return true;
}

static void read_environment(struct reader *r)
{
    for (char *const *e = r->source->environment; e && *e; e++) {
        const char *equals = strchr(*e, '=');
        char variable[TREE_PATH_MAX], path[TREE_PATH_MAX];
        struct slice name;
        bool file;

        if (!equals || !slice_starts_with(slice_of(*e), VARIABLE))
            continue;
        name = (struct slice){*e + strlen(VARIABLE), (size_t)(equals - *e) - strlen(VARIABLE)};
        if (!variable_path(name, path))
            continue;
        /* Without two underscores it may be anybody's (Kubernetes sets STEPMILL_PORT for a service of our name). */
        if (!memmem(name.at, name.len, "__", 2) && !option_find(path, &file))
            continue;
        snprintf(variable, sizeof variable, "%.*s", (int)(equals - *e), *e);
        set_value(r, path, slice_of(equals + 1), (struct place){.source = PLACE_ENVIRONMENT, .name = keep(r, variable)});
    }
}

static void read_flags(struct reader *r)
{
    for (size_t i = 0; i < r->source->nsets; i++) {
        const char *set = r->source->sets[i], *equals = strchr(set, '=');
        char path[TREE_PATH_MAX], label[TREE_PATH_MAX + 8];
        size_t n = equals ? (size_t)(equals - set) : strlen(set);

        snprintf(path, sizeof path, "%.*s", (int)(n < sizeof path ? n : 0), set);
        snprintf(label, sizeof label, "--set %s", path);
        if (!equals || !*path)
            problem_error(r->report, &(struct place){.source = PLACE_FLAG, .name = label},
                          "write --set path=value, such as --set log.level=debug");
        else
            set_value(r, path, slice_of(equals + 1), (struct place){.source = PLACE_FLAG, .name = keep(r, label)});
    }
}

bool sources_read(struct reader *r)
{
    const char *path = find_file(r->source);
    char *cwd = getcwd(NULL, 0);

    if (!cwd && errno == ENOMEM)
        problem_error(r->report, NULL, "out of memory");
    r->cwd = r->folder = keep(r, cwd ? cwd : "");
    free(cwd);
    r->report->no_file = !path;
    if (path && !read_file(r, path))
        return false;
    if (!path)
        r->root = node_new(r->arena, NODE_MAP, (struct place){0});
    if (!r->root) {
        problem_error(r->report, NULL, "out of memory");
        return false;
    }
    read_environment(r);
    read_flags(r);
    return true;
}
