/* The JSON Schema of the configuration file, for editors, made from the table. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "options.h"
#include "value.h"

#define REFERENCE "\\$\\{"

/* The object at `name` of `map`, made if it is not there. Borrowed; NULL: out of memory. */
static json_t *child(json_t *map, const char *name)
{
    json_t *found = json_object_get(map, name);

    if (!found && json_object_set_new(map, name, json_object()) == 0)
        found = json_object_get(map, name);
    return found;
}

static void set_text(json_t *map, const char *name, const char *text) { json_object_set_new(map, name, json_string(text)); }

/* The schema of the section that the option lies in; `*name`: what is left of its path. */
static json_t *section_of(json_t *root, const char *path, const char **name)
{
    json_t *at = root;
    bool kafka = !strncmp(path, "kafka.", strlen("kafka."));

    for (const char *dot; at && (dot = strchr(path, '.')) && !(kafka && at != root); path = dot + 1) {
        char part[TREE_PATH_MAX];

        snprintf(part, sizeof part, "%.*s", (int)(dot - path), path);
        if (strcmp(part, "*") == 0) {
            json_object_set_new(child(at, "propertyNames"), "pattern", json_string("^[a-z0-9-]{1,64}$"));
            if (!json_is_object(json_object_get(at, "additionalProperties")))
                json_object_del(at, "additionalProperties"); /* said to be false when the section was made */
            at = child(at, "additionalProperties");
        } else {
            at = child(child(at, "properties"), part);
        }
        /* A section whose options are all commented out is null. */
        json_object_set_new(at, "type", json_pack("[ss]", "object", "null"));
        if (!json_object_get(at, "additionalProperties"))
            json_object_set_new(at, "additionalProperties", json_false());
    }
    *name = path;
    return at;
}

/* A number may be written as text too: as "${NAME}". */
static void set_number(json_t *s, const struct option *o, const char *type)
{
    json_object_set_new(s, "type", json_pack("[ss]", type, "string"));
    set_text(s, "pattern", REFERENCE);
    if (o->min != INT64_MIN) {
        json_object_set_new(s, "minimum", json_integer(o->min));
        json_object_set_new(s, "maximum", json_integer(o->max));
    }
    if (o->fallback)
        json_object_set_new(s, "default", json_integer(strtoll(o->fallback, NULL, 10)));
}

static void set_enum(json_t *s, const struct option *o)
{
    json_t *words = json_array();

    for (size_t i = 0; o->values[i]; i++)
        json_array_append_new(words, json_string(o->values[i]));
    json_object_set_new(s, "anyOf", json_pack("[{so},{ssss}]", "enum", words, "type", "string", "pattern", REFERENCE));
    set_text(s, "default", o->fallback);
}

static void set_text_type(json_t *s, const struct option *o)
{
    static const char *const patterns[] = {
        [OPTION_DURATION] = "^[0-9]+(ms|s|m|h|d)$|^0$|" REFERENCE,
        [OPTION_SIZE] = "^[0-9]+(B|KiB|MiB|GiB)$|^0$|" REFERENCE,
        [OPTION_ADDRESS] = ":[0-9]+$|" REFERENCE,
        [OPTION_TOPIC] = "^[A-Za-z0-9._-]+$|" REFERENCE,
        [OPTION_KAFKA] = NULL,
    };

    if (o->type == OPTION_KAFKA)
        json_object_set_new(s, "type", json_pack("[ssss]", "string", "integer", "number", "boolean"));
    else
        set_text(s, "type", "string");
    if (o->type == OPTION_URL)
        json_object_set_new(s, "pattern", json_sprintf("^(%s|%s)://|" REFERENCE, o->values[0], o->values[1]));
    else if (patterns[o->type])
        set_text(s, "pattern", patterns[o->type]);
    if (o->fallback)
        set_text(s, "default", o->fallback);
}

static void describe(json_t *s, const struct option *o)
{
    set_text(s, "description", o->help);
    switch (o->type) {
    case OPTION_INT:
        set_number(s, o, "integer");
        break;
    case OPTION_DOUBLE:
        set_number(s, o, "number");
        break;
    case OPTION_BOOL:
        json_object_set_new(s, "type", json_pack("[ss]", "boolean", "string"));
        set_text(s, "pattern", "^(true|false)$|" REFERENCE);
        json_object_set_new(s, "default", json_boolean(!strcmp(o->fallback, "true")));
        break;
    case OPTION_ENUM:
        set_enum(s, o);
        break;
    case OPTION_TOPICS:
    case OPTION_TOOLS:
    case OPTION_MODELS:
        json_object_set_new(s, "type", json_string("array"));
        json_object_set_new(s, "items", json_pack("{ss}", "type", "string"));
        json_object_set_new(s, "uniqueItems", json_true());
        break;
    case OPTION_JSON:
        set_text(s, "type", "object");
        break;
    default:
        set_text_type(s, o);
        break;
    }
}

static void add_option(json_t *root, const struct option *o)
{
    const char *name;
    json_t *section = section_of(root, o->path, &name);
    char file[TREE_PATH_MAX];
    json_t *s;

    if (o->type == OPTION_KAFKA) {
        json_object_set_new(section, "additionalProperties", json_object());
        describe(json_object_get(section, "additionalProperties"), o);
        return;
    }
    describe(child(child(section, "properties"), name), o);
    if (!option_has_file(o))
        return;
    snprintf(file, sizeof file, "%s_file", name);
    s = child(child(section, "properties"), file);
    set_text(s, "type", "string");
    json_object_set_new(s, "description", json_sprintf("File that holds the value of %s.", name));
}

void config_schema(struct buf *to)
{
    json_t *root = json_pack("{ssssss}", "$schema", "https://json-schema.org/draft/2020-12/schema", "title",
                             "Stepmill configuration", "type", "object");
    char *text;

    json_object_set_new(root, "additionalProperties", json_false());
    for (size_t i = 0; root && i < option_count; i++)
        add_option(root, &option_table[i]);
    text = root ? json_dumps(root, JSON_INDENT(2)) : NULL;
    if (text)
        buf_put_text(to, text);
    else
        to->failed = true;
    buf_put_byte(to, '\n');
    free(text);
    json_decref(root);
}
