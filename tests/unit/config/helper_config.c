/* Loading configurations from texts, for the tests. */
#include "helper_config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const char whole_config[] = "kafka: { bootstrap.servers: \"127.0.0.1:9092\" }\n"
                            "schema_registry: { url: \"http://127.0.0.1:8081/\" }\n"
                            "redis: { url: \"redis://127.0.0.1:6379/0\" }\n"
                            "agents:\n"
                            "  search:\n"
                            "    system_prompt_file: prompt.txt\n"
                            "    models: [primary]\n"
                            "    tools: [web_search]\n"
                            "models:\n"
                            "  primary: { url: \"https://m.example/v1/\", model: m-1, key_file: key.txt }\n"
                            "tool_definitions: tools\n";

static struct config_report last;
static char folder[] = "/tmp/stepmill-config-XXXXXX";

void write_text(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

int scratch_set_up(void **state)
{
    (void)state;
    if (!mkdtemp(folder) || chdir(folder) < 0 || mkdir("tools", 0700) < 0)
        return -1;
    write_text("prompt.txt", "You search.\n");
    write_text("key.txt", "sk-from-file\n");
    return 0;
}

int scratch_tear_down(void **state)
{
    static const char *const files[] = {"c.yaml",     "prompt.txt", "key.txt",      "other.txt",
                                        "binary.txt", "empty.txt",  "stepmill.yaml"};

    (void)state;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        unlink(files[i]);
    rmdir("tools");
    return chdir("/") < 0 || rmdir(folder) < 0 ? -1 : 0;
}

struct config *load(struct inputs in)
{
    struct config_source source = {.path = in.text ? "c.yaml" : NULL,
                                   .sets = in.sets,
                                   .environment = (char *const *)in.environment,
                                   .needs = in.needs ? in.needs : CONFIG_NEED_ALL};

    if (in.text)
        write_text("c.yaml", in.text);
    while (source.nsets < 8 && in.sets[source.nsets])
        source.nsets++;
    return config_load(&source, &last);
}

const struct config_report *report(void) { return &last; }

void assert_problems(struct inputs in, const char *const *texts)
{
    size_t n = 0;
    struct config *c = load(in);

    config_free(c);
    while (texts[n])
        n++;
    for (size_t i = 0; i < n && i < last.count; i++)
        assert_string_equal(last.problems[i].text, texts[i]);
    for (size_t i = n; i < last.count; i++)
        print_error("not expected: %s\n", last.problems[i].text);
    assert_int_equal(last.count, n);
    assert_true(!c == (last.errors > 0));
}
