/* The configurations we ship: they load, show every option, and say the true defaults. */
#include "helper_config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "options.h"

#define SAMPLE STEPMILL_SOURCE_DIR "/config/stepmill.yaml"

static struct config *load_file(const char *path)
{
    static const char *const environment[] = {"OPENAI_API_KEY=k", NULL};
    struct config_source source = {
        .path = path, .environment = (char *const *)environment, .needs = CONFIG_NEED_ALL | CONFIG_NEED_DLQ_IF_THERE};
    struct config_report r;
    struct config *c = config_load(&source, &r);

    for (size_t i = 0; i < r.count; i++)
        print_error("%s\n", r.problems[i].text);
    assert_int_equal(r.count, 0);
    return c;
}

static void read_sample(struct buf *to)
{
    FILE *f = fopen(SAMPLE, "r");
    char *at = buf_reserve(to, 65536);

    assert_non_null(f);
    assert_non_null(at);
    to->len = fread(at, 1, 65536, f);
    fclose(f);
    assert_true(to->len > 1000);
}

static void they_load(void **state)
{
    struct config *c = load_file(SAMPLE);

    (void)state;
    assert_int_equal(c->nmodels, 2);
    assert_string_equal(c->kafka.bootstrap_servers, "127.0.0.1:29092");
    config_free(c);
    c = load_file(STEPMILL_SOURCE_DIR "/config/demo/stepmill.yaml");
    assert_string_equal(c->kafka.group_id, "agent-orders");
    config_free(c);
}

/* The name as a key, be it in a comment, below its section. */
static bool is_shown(const char *text, const struct option *o)
{
    size_t n = strcspn(o->path, ".");
    const char *name = strrchr(o->path, '.'), *section;
    char key[TREE_PATH_MAX];

    if (strncmp(o->path, "kafka.", 6) == 0)
        name = strchr(o->path, '.');
    snprintf(key, sizeof key, "\n%.*s:", (int)n, o->path);
    section = strstr(text, key);
    if (!section || !name)
        return section != NULL;
    for (const char *line = strchr(section + 1, '\n'); line && (line[1] == ' ' || line[1] == '\n');
         line = strchr(line + 1, '\n')) {
        const char *at = line + 1 + strspn(line + 1, " #");

        if (strncmp(at, name + 1, strlen(name + 1)) == 0 && at[strlen(name + 1)] == ':')
            return true;
    }
    return false;
}

static void the_sample_shows_every_option(void **state)
{
    struct buf text = BUF(1 << 20);

    (void)state;
    read_sample(&text);
    for (size_t i = 0; i < option_count; i++) {
        /* These stand beside others, in a comment. */
        if (option_table[i].type == OPTION_KAFKA || strcmp(option_table[i].path, "agents.*.system_prompt") == 0)
            continue;
        if (!is_shown(buf_text(&text), &option_table[i]))
            fail_msg("%s is not in config/stepmill.yaml", option_table[i].path);
    }
    buf_free(&text);
}

static void refuse_change(void *context, const char *path, bool reloadable)
{
    (void)reloadable;
    if (strcmp(path, "agents.orders.system_prompt") && strcmp(path, "tool_definitions"))
        fail_msg("%s: the sample's comment says another default%s", path, (const char *)context);
}

/* With "#name:" uncommented nothing may change. */
static void commented_values_are_the_defaults(void **state)
{
    struct config *as_is = load_file(SAMPLE), *uncommented;
    struct buf text = BUF(1 << 20), plain = BUF(1 << 20);
    int lines = 0;

    (void)state;
    read_sample(&text);
    for (size_t i = 0; i < text.len; i++) {
        bool starts = i > 0 && text.at[i - 1] == ' ' && text.at[i] == '#' && text.at[i + 1] >= 'a' && text.at[i + 1] <= 'z';

        lines += starts;
        if (!starts)
            buf_put_byte(&plain, text.at[i]);
    }
    assert_true(lines > 40);
    write_text("other.txt", buf_text(&plain));
    uncommented =
        load((struct inputs){.environment = {"STEPMILL_CONFIG=other.txt", "OPENAI_API_KEY=k", "STEPMILL_TOOL_DEFINITIONS=tools",
                                             "STEPMILL_AGENTS__ORDERS__SYSTEM_PROMPT_FILE=prompt.txt"}});
    for (size_t i = 0; i < report()->count; i++)
        print_error("%s\n", report()->problems[i].text);
    assert_non_null(uncommented);
    config_changes(as_is, uncommented, refuse_change, "");
    buf_free(&text);
    buf_free(&plain);
    config_free(as_is);
    config_free(uncommented);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(they_load),
        cmocka_unit_test(the_sample_shows_every_option),
        cmocka_unit_test(commented_values_are_the_defaults),
    };

    return cmocka_run_group_tests(tests, scratch_set_up, scratch_tear_down);
}
