/* Names of options: by path, by scope, and the right one for a wrong one. */
#include "options.h"

#include <stdio.h>

#include "stepmill/nearest.h"

enum option_scope option_scope(const struct option *o)
{
    if (slice_starts_with(slice_of(o->path), "agents.*."))
        return SCOPE_AGENT;
    return slice_starts_with(slice_of(o->path), "models.*.") ? SCOPE_MODEL : SCOPE_ROOT;
}

const char *option_name(const struct option *o)
{
    return option_scope(o) == SCOPE_ROOT ? o->path : o->path + strlen("agents.*.");
}

bool option_has_file(const struct option *o) { return o->type == OPTION_TEXT || o->type == OPTION_SECRET; }

bool option_name_valid(struct slice name)
{
    for (size_t i = 0; i < name.len; i++)
        if (!((name.at[i] >= 'a' && name.at[i] <= 'z') || (name.at[i] >= '0' && name.at[i] <= '9') || name.at[i] == '-'))
            return false;
    return name.len > 0 && name.len <= CONFIG_NAME_MAX;
}

/* How far `path` goes along the pattern: the rest of the pattern when all of `path` was matched, NULL when they part ways. A "*"
 * stands for one name, at the end of a pattern (kafka.*) for the rest. */
static const char *match(const char *pattern, struct slice path)
{
    size_t i = 0;

    while (i < path.len) {
        if (*pattern == '*') {
            pattern++;
            while (i < path.len && (*pattern == '\0' || path.at[i] != '.'))
                i++;
        } else if (*pattern == path.at[i]) {
            pattern++;
            i++;
        } else {
            return NULL;
        }
    }
    return pattern;
}

const struct option *option_find(const char *path, bool *file)
{
    struct slice whole = slice_of(path), base = whole;
    const char *rest;

    *file = false;
    for (size_t i = 0; i < option_count; i++)
        if ((rest = match(option_table[i].path, whole)) && *rest == '\0')
            return &option_table[i];
    if (whole.len <= strlen("_file") || strcmp(path + whole.len - strlen("_file"), "_file") != 0)
        return NULL;
    base.len -= strlen("_file");
    for (size_t i = 0; i < option_count; i++)
        if (option_has_file(&option_table[i]) && (rest = match(option_table[i].path, base)) && *rest == '\0') {
            *file = true;
            return &option_table[i];
        }
    return NULL;
}

bool option_is_section(const char *path)
{
    const char *rest;

    if (slice_starts_with(slice_of(path), "kafka."))
        return false;
    for (size_t i = 0; i < option_count; i++)
        if ((rest = match(option_table[i].path, slice_of(path))) && *rest == '.')
            return true;
    return false;
}

/* The next name of the option's path behind `parent` ("" = top), with _file where `file`: a candidate for what was typed. */
static const char *candidate(const struct option *o, struct slice parent, bool file, char room[TREE_PATH_MAX])
{
    const char *rest = parent.len ? match(o->path, parent) : o->path;
    size_t n;

    if (!rest || (parent.len && *rest++ != '.') || *rest == '*')
        return NULL;
    n = slice_starts_with(parent, "kafka") ? strlen(rest) : strcspn(rest, ".");
    if (file && (rest[n] != '\0' || !option_has_file(o)))
        return NULL;
    snprintf(room, TREE_PATH_MAX, "%.*s%s", (int)n, rest, file ? "_file" : "");
    return room;
}

/* The option elsewhere whose last name is exactly what was typed. */
static bool suggest_section(struct slice typed, struct buf *to)
{
    for (size_t i = 0; i < option_count; i++) {
        const char *path = option_table[i].path, *dot = strrchr(path, '.');

        for (int file = 0; dot && file <= option_has_file(&option_table[i]); file++) {
            char name[TREE_PATH_MAX];

            snprintf(name, sizeof name, "%s%s", dot + 1, file ? "_file" : "");
            if (slice_is(typed, name)) {
                for (const char *at = path; at <= dot; at++)
                    *at == '*' ? buf_put_text(to, "<name>") : buf_put_byte(to, *at);
                buf_put_text(to, name);
                return true;
            }
        }
    }
    return false;
}

bool option_suggest(const char *path, struct buf *to)
{
    struct slice whole = slice_of(path);
    bool kafka = slice_starts_with(whole, "kafka.");
    const char *dot = kafka ? path + strlen("kafka") : strrchr(path, '.');
    struct slice parent = {path, dot ? (size_t)(dot - path) : 0};
    struct slice typed = slice_of(dot ? dot + 1 : path);
    struct nearest n = nearest_to(typed);
    char rooms[2][TREE_PATH_MAX], *room = rooms[0];

    for (size_t i = 0; i < option_count; i++)
        for (int file = 0; file < 2; file++) {
            const char *name = candidate(&option_table[i], parent, file, room);

            if (name)
                nearest_offer(&n, name);
            if (n.name == room) /* keep the best one's room, write the next candidate into the other */
                room = room == rooms[0] ? rooms[1] : rooms[0];
        }
    if (!n.name)
        return !kafka && suggest_section(typed, to);
    buf_put_slice(to, parent);
    if (parent.len)
        buf_put_byte(to, '.');
    buf_put_text(to, n.name);
    return true;
}
