/* Reference and JSON Schema against the option table: every option is there, and right. */
#include "helper_config.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "options.h"

static json_t *parse(struct buf *text)
{
    json_error_t error;
    json_t *j = json_loads(buf_text(text), JSON_REJECT_DUPLICATES, &error);

    if (!j)
        print_error("%s in line %d\n", error.text, error.line);
    assert_non_null(j);
    return j;
}

/* One step down, by the rules of JSON Schema. */
static const json_t *below(const json_t *schema, const char *name)
{
    const json_t *found = json_object_get(json_object_get(schema, "properties"), name);

    return found ? found : json_object_get(schema, "additionalProperties");
}

static const json_t *schema_of(const json_t *schema, const char *path)
{
    char part[TREE_PATH_MAX];

    if (strncmp(path, "kafka.", strlen("kafka.")) == 0)
        return below(below(schema, "kafka"), path + strlen("kafka."));
    for (size_t n; *path; path += n + (path[n] == '.')) {
        n = strcspn(path, ".");
        snprintf(part, sizeof part, "%.*s", (int)n, path);
        schema = below(schema, part);
    }
    return schema;
}

static void the_schema_describes_every_option(void **state)
{
    struct buf text = BUF(1 << 20);
    json_t *schema;
    char file[TREE_PATH_MAX + 8];

    (void)state;
    config_schema(&text);
    schema = parse(&text);
    for (size_t i = 0; i < option_count; i++) {
        const struct option *o = &option_table[i];
        const json_t *s = schema_of(schema, o->path);

        assert_non_null(json_string_value(json_object_get(s, "description")));
        assert_string_equal(json_string_value(json_object_get(s, "description")), o->help);
        assert_true(json_object_get(s, "type") || json_object_get(s, "anyOf"));
        assert_true(!o->fallback == !json_object_get(s, "default"));
        snprintf(file, sizeof file, "%s_file", o->path);
        if (option_has_file(o))
            assert_non_null(json_object_get(schema_of(schema, file), "description"));
    }
    /* Nothing else is allowed, and an agent's name is checked. */
    assert_true(json_is_false(json_object_get(schema, "additionalProperties")));
    assert_true(json_is_false(json_object_get(schema_of(schema, "redis"), "additionalProperties")));
    assert_true(json_is_false(json_object_get(schema_of(schema, "agents.x"), "additionalProperties")));
    assert_non_null(json_object_get(json_object_get(schema_of(schema, "agents"), "propertyNames"), "pattern"));
    json_decref(schema);
    buf_free(&text);
}

static void the_reference_covers_the_table(void **state)
{
    struct buf people = BUF(1 << 20), machines = BUF(1 << 20);
    json_t *rows;

    (void)state;
    config_reference(&people);
    config_reference_json(&machines);
    rows = parse(&machines);
    assert_int_equal(json_array_size(rows), option_count);
    for (size_t i = 0; i < option_count; i++) {
        const struct option *o = &option_table[i];
        const json_t *row = json_array_get(rows, i);

        assert_string_equal(json_string_value(json_object_get(row, "path")), o->path);
        assert_non_null(strstr(buf_text(&people), o->help));
        assert_non_null(strstr(buf_text(&people), json_string_value(json_object_get(row, "environment"))));
    }
    assert_non_null(strstr(people.at, "- **`agents.<name>.max_steps`** (whole number, 1 to 25; default `10`; reloads)"));
    assert_non_null(strstr(people.at, "`STEPMILL_AGENTS__<NAME>__MAX_STEPS`"));
    json_decref(rows);
    buf_free(&people);
    buf_free(&machines);
}

/* The variable named in the reference sets that very option. */
static void every_option_has_a_variable(void **state)
{
    struct buf machines = BUF(1 << 20);
    json_t *rows;

    (void)state;
    config_reference_json(&machines);
    rows = parse(&machines);
    for (size_t i = 0; i < option_count; i++) {
        const char *variable = json_string_value(json_object_get(json_array_get(rows, i), "environment"));
        const char *open = strstr(variable, "<NAME>");
        char set[TREE_PATH_MAX * 2];
        struct config *c;

        if (option_table[i].type == OPTION_KAFKA)
            continue;
        snprintf(set, sizeof set, "%.*s%s%s=\x01", open ? (int)(open - variable) : (int)strlen(variable), variable,
                 open ? "X_Y" : "", open ? open + strlen("<NAME>") : "");
        c = load((struct inputs){.text = "kafka: { bootstrap.servers: b }\n", .needs = CONFIG_NEED_KAFKA, .environment = {set}});
        for (size_t k = 0; k < report()->count; k++)
            assert_null(strstr(report()->problems[k].text, "there is no option"));
        config_free(c);
    }
    json_decref(rows);
    buf_free(&machines);
}

static void the_table_is_sound(void **state)
{
    (void)state;
    for (size_t i = 0; i < option_count; i++) {
        const struct option *o = &option_table[i];
        bool file;

        assert_ptr_equal(option_find(o->path, &file), o);
        assert_true(o->min <= o->max);
        assert_true(o->help[strlen(o->help) - 1] == '.');
        if (o->type == OPTION_INT && !o->wide)
            assert_true(o->min >= INT32_MIN && o->max <= INT32_MAX);
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(o->path, option_table[k].path);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_schema_describes_every_option),
        cmocka_unit_test(the_reference_covers_the_table),
        cmocka_unit_test(every_option_has_a_variable),
        cmocka_unit_test(the_table_is_sound),
    };

    return cmocka_run_group_tests(tests, scratch_set_up, scratch_tear_down);
}
