/* The reference of all options, for people and for machines, made from the table. */
#include <stdio.h>

#include "reader.h"
#include "stepmill/json.h"
#include "value.h"

static const char *type_name(const struct option *o)
{
    static const char *const names[] = {
        [OPTION_STRING] = "text",
        [OPTION_TEXT] = "text",
        [OPTION_SECRET] = "secret",
        [OPTION_INT] = "whole number",
        [OPTION_BOOL] = "true or false",
        [OPTION_DOUBLE] = "number",
        [OPTION_DURATION] = "duration",
        [OPTION_SIZE] = "size",
        [OPTION_ENUM] = "word",
        [OPTION_TOPICS] = "list of topic names",
        [OPTION_TOOLS] = "list of names",
        [OPTION_MODELS] = "list of names",
        [OPTION_FILE] = "file",
        [OPTION_FOLDER] = "folder",
        [OPTION_STATE] = "folder",
        [OPTION_URL] = "URL",
        [OPTION_ADDRESS] = "host:port",
        [OPTION_TOPIC] = "topic name",
        [OPTION_JSON] = "map",
        [OPTION_KAFKA] = "text",
    };

    return names[o->type];
}

static bool has_range(const struct option *o)
{
    return (o->type == OPTION_INT || o->type == OPTION_DOUBLE || o->type == OPTION_DURATION || o->type == OPTION_SIZE) &&
           o->min != INT64_MIN;
}

/* "agents.*.tools" → "agents.<name>.tools". */
static void put_path(const struct option *o, struct buf *to)
{
    for (const char *at = o->path; *at; at++) {
        if (*at == '*')
            buf_put_text(to, "<name>");
        else
            buf_put_byte(to, *at);
    }
}

static void put_variable(const struct option *o, struct buf *to)
{
    char room[2 * TREE_PATH_MAX];
    struct buf variable = BUF_IN(room);
    const char *text, *star;

    sources_variable(o->path, &variable);
    text = buf_text(&variable);
    star = strchr(text, '*');
    buf_put(to, text, star ? (size_t)(star - text) : strlen(text));
    if (star)
        buf_printf(to, "<NAME>%s", star + 1);
}

static void put_section(const struct option *o, struct buf *to)
{
    size_t n = strcspn(o->path, ".");

    buf_printf(to, "\n## %.*s\n\n", (int)n, o->path);
    if (slice_is((struct slice){o->path, n}, "kafka"))
        buf_put_text(to, "Names below `kafka` are librdkafka's own and hold dots. As a variable each dot is one underscore.\n\n");
    else if (option_scope(o) != SCOPE_ROOT)
        buf_put_text(to, "Names are made of a-z, 0-9 and `-`. In a variable `-` is `_`.\n\n");
}

static void put_values(const struct option *o, struct buf *to)
{
    for (size_t i = 0; o->type == OPTION_ENUM && o->values[i]; i++)
        buf_printf(to, "%s`%s`", i ? ", " : "", o->values[i]);
    if (has_range(o)) {
        value_write_number(o, o->min, to);
        buf_put_text(to, " to ");
        value_write_number(o, o->max, to);
    }
}

static void put_option(const struct option *o, struct buf *to)
{
    buf_put_text(to, "- **`");
    put_path(o, to);
    buf_printf(to, "`** (%s", type_name(o));
    if (o->type == OPTION_ENUM || has_range(o))
        buf_put_text(to, ", ");
    put_values(o, to);
    if (o->fallback)
        buf_printf(to, "; default `%s`", *o->fallback ? o->fallback : "\"\"");
    else if (o->need)
        buf_put_text(to, "; required");
    if (o->reloadable)
        buf_put_text(to, "; reloads");
    buf_printf(to, ")  \n  %s", o->help);
    if (option_has_file(o)) {
        buf_put_text(to, " Or `");
        put_path(o, to);
        buf_put_text(to, "_file`: the file that holds it.");
    }
    buf_put_text(to, "  \n  `");
    put_variable(o, to);
    buf_put_text(to, "`\n");
}

void config_reference(struct buf *to)
{
    static const char head[] =
        "# Options\n\n"
        "Made by `stepmill config options` from the table that the program itself reads by.\n\n"
        "One YAML file: `--config FILE`, else `STEPMILL_CONFIG`, else `./stepmill.yaml`, else `/etc/stepmill/stepmill.yaml`. An "
        "option's\n"
        "value is taken from `--set path=value`, else from the environment (the variable named below it), else from the file, "
        "else the\n"
        "default. Lists in a variable or flag are separated by commas.\n\n"
        "- In the file and in `--set`, `${NAME}` stands for an environment variable, `${NAME:-text}` for `text` where that is "
        "not set;\n"
        "  `$${` is a plain `${`. Secrets are never shown.\n"
        "- Durations have a unit: `20ms`, `30s`, `15m`, `24h`, `7d`. Sizes too: `512B`, `64KiB`, `1MiB`, `1GiB`.\n"
        "- Relative paths in the file start from the file's folder.\n"
        "- What \"reloads\" is taken over on SIGHUP; the rest needs a restart.\n";
    size_t section = 0;

    buf_put_text(to, head);
    for (size_t i = 0; i < option_count; i++) {
        const char *path = option_table[i].path;
        size_t n = strcspn(path, ".");

        if (i == 0 || n != section || strncmp(path, option_table[i - 1].path, n + 1) != 0)
            put_section(&option_table[i], to);
        section = n;
        put_option(&option_table[i], to);
    }
}

static void put_member(struct buf *to, const char *name, struct slice text)
{
    buf_printf(to, ", \"%s\": ", name);
    if (text.at)
        json_put_string(to, text);
    else
        buf_put_text(to, "null");
}

static void put_limits(const struct option *o, struct buf *to)
{
    char low_room[64], high_room[64];
    struct buf low = BUF_IN(low_room), high = BUF_IN(high_room);

    if (has_range(o)) {
        value_write_number(o, o->min, &low);
        value_write_number(o, o->max, &high);
    }
    put_member(to, "minimum", has_range(o) ? buf_slice(&low) : (struct slice){NULL, 0});
    put_member(to, "maximum", has_range(o) ? buf_slice(&high) : (struct slice){NULL, 0});
}

void config_reference_json(struct buf *to)
{
    for (size_t i = 0; i < option_count; i++) {
        const struct option *o = &option_table[i];
        char room[2 * TREE_PATH_MAX];
        struct buf variable = BUF_IN(room);

        put_variable(o, &variable);
        buf_put_text(to, i ? ",\n  {\"path\": " : "[\n  {\"path\": ");
        json_put_string(to, slice_of(o->path));
        put_member(to, "type", slice_of(type_name(o)));
        put_member(to, "default", slice_of(o->fallback));
        put_limits(o, to);
        buf_put_text(to, ", \"values\": ");
        buf_put_text(to, o->type == OPTION_ENUM ? "[" : "null");
        for (size_t k = 0; o->type == OPTION_ENUM && o->values[k]; k++) {
            buf_put_text(to, k ? ", " : "");
            json_put_string(to, slice_of(o->values[k]));
        }
        buf_put_text(to, o->type == OPTION_ENUM ? "]" : "");
        put_member(to, "environment", buf_slice(&variable));
        buf_printf(to, ", \"file\": %s, \"reloadable\": %s, \"required\": %s", option_has_file(o) ? "true" : "false",
                   o->reloadable ? "true" : "false", o->need ? "true" : "false");
        put_member(to, "help", slice_of(o->help));
        buf_put_byte(to, '}');
    }
    buf_put_text(to, "\n]\n");
}
