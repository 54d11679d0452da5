/* stepmill config check | show | options | schema */
#include <errno.h>

#include "cli.h"
#include "stepmill/json.h"
#include "stepmill/kafka.h"

enum { OUTPUT_MAX = 16 * 1024 * 1024 };

static int print(const struct cli *cli, struct buf *text)
{
    int code = CLI_OK;

    if (text->failed)
        code = cli_fail(cli, "the output is too large");
    else if (fwrite(text->at, 1, text->len, stdout) != text->len || fflush(stdout) != 0)
        code = cli_fail(cli, "cannot write: %s", strerror(errno));
    buf_free(text);
    return code;
}

/* Only librdkafka knows whether its names exist and take these values. */
static bool check_kafka(const struct config *c, char detail[512])
{
    const struct kafka_options options = {.at = c->kafka.options, .count = c->kafka.noptions, .client_id = "stepmill"};

    return !failed(kafka_options_check(&options, detail, 512));
}

static void put_problem(struct buf *to, bool first, const struct config_problem *p)
{
    buf_printf(to, "%s\n  {\"severity\": \"%s\", \"line\": %d, \"column\": %d, \"text\": ", first ? "" : ",",
               p->warning ? "warning" : "error", p->line, p->column);
    json_put_string(to, slice_of(p->text));
    buf_put_byte(to, '}');
}

static int check(struct cli *cli, unsigned needs)
{
    struct config_report report;
    struct config *c = cli_config_try(cli, needs, &report);
    struct buf out = BUF(OUTPUT_MAX);
    char detail[512] = "";
    bool kafka = !c || check_kafka(c, detail);
    size_t errors = report.errors + !kafka;
    const char *path = c && c->path ? c->path : cli->config_path;
    int code;

    if (cli->json) {
        struct config_problem wrong = {0};

        buf_printf(&out, "{\"errors\": %zu, \"warnings\": %zu, \"problems\": [", errors, report.warnings);
        for (size_t i = 0; i < report.count; i++)
            put_problem(&out, i == 0, &report.problems[i]);
        snprintf(wrong.text, sizeof wrong.text, "kafka: %.480s", detail);
        if (!kafka)
            put_problem(&out, report.count == 0, &wrong);
        buf_put_text(&out, "]}\n");
    } else {
        for (size_t i = 0; i < report.count; i++)
            buf_printf(&out, "%s\n", report.problems[i].text);
        if (report.errors + report.warnings > report.count)
            buf_printf(&out, "and %zu more\n", report.errors + report.warnings - report.count);
        if (!kafka)
            buf_printf(&out, "kafka: %s\n", detail);
        buf_printf(&out, "%s: %zu error%s, %zu warning%s\n", path ? path : "configuration", errors, errors == 1 ? "" : "s",
                   report.warnings, report.warnings == 1 ? "" : "s");
    }
    config_free(c);
    code = print(cli, &out);
    return code == CLI_OK && errors + report.warnings ? CLI_FOUND : code;
}

static int show(struct cli *cli, bool sources)
{
    struct config *c = cli_config_load(cli, 0);
    struct buf out = BUF(OUTPUT_MAX);

    if (!c)
        return CLI_FAILED;
    if (cli->json)
        config_show_json(c, &out);
    else
        config_show(c, sources, &out);
    config_free(c);
    return print(cli, &out);
}

static int write_options(struct cli *cli)
{
    struct buf out = BUF(OUTPUT_MAX);

    if (cli->json)
        config_reference_json(&out);
    else
        config_reference(&out);
    return print(cli, &out);
}

static int write_schema(struct cli *cli)
{
    struct buf out = BUF(OUTPUT_MAX);

    config_schema(&out);
    return print(cli, &out);
}

int cli_config(struct cli *cli, int argc, char **argv)
{
    static const char *const words[] = {"check", "show", "options", "schema", NULL};
    bool sources = false;
    const struct cli_argument arguments[] = {
        {.name = "sources", .kind = CLI_FLAG, .to = &sources, .help = "show: say behind each value where it comes from"},
    };
    const struct cli_usage usage = {
        .synopsis = "config check|show|options|schema [--config FILE] [--json]",
        .about =
            "check     says what is wrong with the configuration, each with file, line and column; exit 3 if there is anything\n"
            "show      prints the effective values, secrets hidden\n"
            "options   prints the reference of all options (Markdown, with --json for machines)\n"
            "schema    prints the JSON Schema of the file, for editors",
        .arguments = arguments,
        .narguments = 1,
        .words_min = 1,
        .words_max = 1,
        .examples =
            "stepmill config check --config stepmill.yaml\n"
            "stepmill config show --sources\n"
            "stepmill config schema > stepmill.schema.json   # first line of the file: # yaml-language-server: $schema=…\n",
    };
    int code;

    if (!cli_parse(cli, &usage, argc, argv, &code))
        return code;
    switch (cli_choose(cli, words, cli->rest[0])) {
    case 0:
        return check(cli, CONFIG_NEED_ALL);
    case 1:
        return show(cli, sources);
    case 2:
        return write_options(cli);
    case 3:
        return write_schema(cli);
    default:
        return CLI_USAGE;
    }
}
