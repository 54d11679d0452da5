/* Single values: references to the environment, secrets from files, paths. */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "reader.h"

#define HIDDEN "********"

bool section_needed(const struct reader *r, const char *path)
{
    static const struct {
        const char *prefix;
        unsigned need;
    } sections[] = {{"kafka.", CONFIG_NEED_KAFKA},   {"schema_registry.", CONFIG_NEED_REGISTRY},
                    {"redis.", CONFIG_NEED_REDIS},   {"agents.", CONFIG_NEED_AGENTS},
                    {"models.", CONFIG_NEED_AGENTS}, {"tool_definitions", CONFIG_NEED_AGENTS},
                    {"dlq.", CONFIG_NEED_DLQ}};

    for (size_t i = 0; i < sizeof sections / sizeof *sections; i++)
        if (slice_starts_with(slice_of(path), sections[i].prefix))
            return r->needs & sections[i].need;
    return true;
}

struct slice scalar_text(struct reader *r, const struct node *n, const char *path, struct secret_use *use)
{
    struct buf text = BUF(2 * SECRET_MAX);
    struct slice copy = {NULL, 0};
    struct error e;

    *use = (struct secret_use){.literal = true};
    if (n->place.source == PLACE_ENVIRONMENT) /* a variable's value is taken as it is */
        return n->text;
    e = secret_expand(n->text, r->source->environment, &text, use);
    if (!failed(e)) {
        copy = arena_copy(r->arena, buf_slice(&text));
        if (!copy.at)
            problem_error(r->report, &n->place, "out of memory");
    } else if (use->missing[0]) {
        if (section_needed(r, path))
            problem_error(r->report, &n->place, "%s: the environment variable %s is not set", path, use->missing);
    } else {
        problem_error(r->report, &n->place, "%s: %s", path, e.text);
    }
    buf_free(&text);
    return copy;
}

const char *scalar_path(struct reader *r, const struct node *n, struct slice text)
{
    const char *folder = n->place.source == PLACE_FILE ? r->folder : r->cwd;
    struct buf path = BUF(4096);
    struct slice copy;

    if (text.at[0] != '/')
        buf_printf(&path, "%s/", folder);
    buf_put_slice(&path, text);
    copy = arena_copy(r->arena, (struct slice){path.at, path.failed ? 0 : path.len});
    if (path.failed || !copy.at)
        problem_error(r->report, &n->place, "the path is too long");
    buf_free(&path);
    return copy.at;
}

static bool read_secret_file(struct reader *r, struct node *n, const char *path, struct config_secret *secret)
{
    struct buf text = BUF(2 * SECRET_MAX);
    struct secret_use use;
    struct slice name = scalar_text(r, n, path, &use), copy = {NULL, 0};
    struct error e;

    if (!name.at || name.len == 0 || !(n->path = scalar_path(r, n, name)))
        return false;
    e = secret_read_file(n->path, &text);
    if (!failed(e))
        copy = arena_copy(r->arena, buf_slice(&text));
    else if (!section_needed(r, path))
        ;
    else if (slice_is(slice_of(e.code), "secret_unreadable"))
        problem_error(r->report, &n->place, "%s: cannot read %s: %s", path, n->path, strerror(errno));
    else
        problem_error(r->report, &n->place, "%s: %s: %s", path, n->path, e.text);
    buf_free(&text);
    secret->value = copy.at;
    secret->file = n->path;
    return copy.at != NULL;
}

/* A secret that everybody who sees the file or the process list can read. */
static void warn_plain(struct reader *r, const struct node *n, const char *path, const struct secret_use *use)
{
    const char *fallback = strstr(n->text.at, ":-"); /* ${NAME:-the secret itself} */
    bool plain = use->references ? fallback && fallback[2] != '}' : use->literal;

    if (plain && n->place.source != PLACE_ENVIRONMENT)
        problem_warning(r->report, &n->place,
                        "%s is a secret written in plain text: write ${NAME} to take it from the environment, or use %s_file",
                        path, path);
}

bool scalar_secret(struct reader *r, struct node *n, const char *path, bool file, struct config_secret *secret)
{
    struct secret_use use;
    struct slice text;

    if (file)
        return read_secret_file(r, n, path, secret);
    text = scalar_text(r, n, path, &use);
    if (!text.at || text.len == 0)
        return false;
    if (slice_is(text, HIDDEN)) {
        problem_error(r->report, &n->place, "%s: " HIDDEN " is how `config show` hides a secret: write ${NAME} or use %s_file",
                      path, path);
        return false;
    }
    warn_plain(r, n, path, &use);
    secret->value = text.at;
    secret->reference = node_is_reference(n) ? n->text.at : NULL;
    return true;
}
