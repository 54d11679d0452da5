/* Tools of a request, and made-up arguments for them. */
#include "toolbox.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum { SAMPLE_DEPTH = 8, SAMPLE_ITEMS = 16 };

static json_t *sample(const json_t *schema, int depth);

static json_t *sample_object(const json_t *schema, int depth)
{
    const json_t *properties = json_object_get(schema, "properties"), *required = json_object_get(schema, "required"), *name;
    json_t *made = json_object();
    size_t i;

    json_array_foreach(required, i, name) if (json_is_string(name)) json_object_set_new(
        made, json_string_value(name), sample(json_object_get(properties, json_string_value(name)), depth + 1));
    return made;
}

static json_t *sample_array(const json_t *schema, int depth)
{
    json_int_t n = json_integer_value(json_object_get(schema, "minItems"));
    json_t *made = json_array();

    for (json_int_t i = 0; i < n && i < SAMPLE_ITEMS; i++)
        json_array_append_new(made, sample(json_object_get(schema, "items"), depth + 1));
    return made;
}

static json_t *sample_string(const json_t *schema)
{
    json_int_t least = json_integer_value(json_object_get(schema, "minLength"));
    struct text words = {0};
    json_t *made;

    text_put(&words, "example");
    while ((json_int_t)words.len < least && words.len < 4096)
        text_put(&words, "x");
    made = json_stringn(words.at, words.len);
    text_free(&words);
    return made;
}

/* A value that a schema of the usual kind accepts; patterns and combinations are not looked at. */
static json_t *sample(const json_t *schema, int depth)
{
    const json_t *type = json_object_get(schema, "type"), *least = json_object_get(schema, "minimum"),
                 *given = json_object_get(schema, "const");
    const char *name;

    if (!given)
        given = json_object_get(schema, "default");
    if (!given)
        given = json_array_get(json_object_get(schema, "enum"), 0);
    if (given)
        return json_deep_copy(given);
    if (depth > SAMPLE_DEPTH)
        return json_null();
    name = json_string_value(json_is_array(type) ? json_array_get(type, 0) : type);
    name = name ? name : json_object_get(schema, "properties") ? "object" : "string";
    if (strcmp(name, "object") == 0)
        return sample_object(schema, depth);
    if (strcmp(name, "array") == 0)
        return sample_array(schema, depth);
    if (strcmp(name, "boolean") == 0)
        return json_true();
    if (strcmp(name, "null") == 0)
        return json_null();
    if (strcmp(name, "integer") == 0 || strcmp(name, "number") == 0)
        return json_is_number(least) ? json_deep_copy(least) : json_integer(1);
    return sample_string(schema);
}

static void fill(struct toolbox *t, size_t slot, struct span tools, struct span wanted)
{
    json_t *array = json_loadb(tools.at, tools.len, 0, NULL), *arguments;
    const json_t *tool, *function, *name;
    size_t i;

    free(t->slots[slot].name);
    free(t->slots[slot].arguments);
    t->slots[slot].name = t->slots[slot].arguments = NULL;
    json_array_foreach(array, i, tool)
    {
        function = json_object_get(tool, "function");
        name = json_object_get(function, "name");
        if (!json_is_string(name) || (wanted.len && !span_is(wanted, json_string_value(name))))
            continue;
        arguments = sample_object(json_object_get(function, "parameters"), 0);
        t->slots[slot].name = must_copy(span_of(json_string_value(name)));
        t->slots[slot].arguments = json_dumps(arguments, JSON_COMPACT);
        json_decref(arguments);
        break;
    }
    json_decref(array);
}

bool toolbox_find(struct toolbox *t, struct span tools, struct span wanted, struct span *name, struct span *arguments)
{
    uint64_t hash = hash_bytes(hash_bytes(1, wanted.at, wanted.len), tools.at, tools.len);
    size_t slot = hash % TOOLBOX_SLOTS;

    if (!tools.len)
        return false;
    if (t->slots[slot].hash != hash) {
        fill(t, slot, tools, wanted);
        t->slots[slot].hash = hash;
    }
    *name = span_of(t->slots[slot].name);
    *arguments = span_of(t->slots[slot].arguments);
    return name->len > 0;
}

void toolbox_free(struct toolbox *t)
{
    for (size_t i = 0; i < TOOLBOX_SLOTS; i++) {
        free(t->slots[i].name);
        free(t->slots[i].arguments);
    }
}
