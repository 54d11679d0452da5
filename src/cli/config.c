/* stepmill config check | show | options | schema */
#include <errno.h>

#include "cli.h"
#include "stepmill/json.h"
#include "stepmill/kafka.h"
#include "stepmill/nearest.h"
#include "stepmill/tool.h"

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
static void check_kafka(const struct config *c, struct config_report *report)
{
    const struct kafka_options options = {.at = c->kafka.options, .count = c->kafka.noptions, .client_id = "stepmill"};
    char detail[400];

    if (failed(kafka_options_check(&options, detail, sizeof detail)))
        config_report_add(report, false, "kafka: %s", detail);
}

static void check_agent_tools(const struct config *c, const struct tool_set *set, struct config_report *report)
{
    for (size_t i = 0; i < c->nagents; i++)
        for (size_t k = 0; k < c->agents[i].ntools; k++) {
            struct slice name = slice_of(c->agents[i].tools[k]);
            struct nearest near = nearest_to(name);

            if (tool_set_find(set, name))
                continue;
            for (size_t t = 0; t < set->ntools; t++)
                nearest_offer(&near, set->tools[t].name.at);
            config_report_add(report, false, "agents.%s.tools: no tool \"%.*s\" in %s%s%s%s", c->agents[i].name, SLICE_FMT(name),
                              c->tool_definitions, near.name ? ": did you mean \"" : "", near.name ? near.name : "",
                              near.name ? "\"?" : "");
        }
}

static void check_tools(const struct config *c, struct config_report *report)
{
    struct tool_report tools = {0};
    size_t kept = 0;
    struct tool_set *set = c->tool_definitions ? tool_set_load(c->tool_definitions, &tools) : NULL;

    for (size_t i = 0; i < tools.count; i++) {
        config_report_add(report, tools.problems[i].warning, "%s", tools.problems[i].text);
        kept += !tools.problems[i].warning;
    }
    report->errors += tools.errors - kept;
    if (set)
        check_agent_tools(c, set, report);
    tool_set_free(set);
}

static void put_problem(struct buf *to, bool first, const struct config_problem *p)
{
    buf_printf(to, "%s\n  {\"severity\": \"%s\", \"line\": %d, \"column\": %d, \"text\": ", first ? "" : ",",
               p->warning ? "warning" : "error", p->line, p->column);
    json_put_string(to, slice_of(p->text));
    buf_put_byte(to, '}');
}

static void put_report(const struct cli *cli, const struct config_report *r, const char *path, struct buf *to)
{
    if (cli->json)
        buf_printf(to, "{\"errors\": %zu, \"warnings\": %zu, \"problems\": [", r->errors, r->warnings);
    for (size_t i = 0; i < r->count; i++) {
        if (cli->json)
            put_problem(to, i == 0, &r->problems[i]);
        else
            buf_printf(to, "%s\n", r->problems[i].text);
    }
    if (cli->json) {
        buf_put_text(to, "]}\n");
        return;
    }
    if (r->errors + r->warnings > r->count)
        buf_printf(to, "and %zu more\n", r->errors + r->warnings - r->count);
    if (r->errors && r->no_file)
        buf_put_text(to, CLI_NO_FILE "\n");
    buf_printf(to, "%s: %zu error%s, %zu warning%s\n", path ? path : "configuration", r->errors, r->errors == 1 ? "" : "s",
               r->warnings, r->warnings == 1 ? "" : "s");
}

static int check(struct cli *cli)
{
    struct config_report report;
    struct config *c = cli_config_try(cli, CONFIG_NEED_ALL | CONFIG_NEED_DLQ_IF_THERE, &report);
    struct buf out = BUF(OUTPUT_MAX);
    int code;

    if (c) {
        check_kafka(c, &report);
        check_tools(c, &report);
    }
    put_report(cli, &report, c && c->path ? c->path : cli->config_path, &out);
    config_free(c);
    code = print(cli, &out);
    return code == CLI_OK && report.errors + report.warnings ? CLI_FOUND : code;
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
        return check(cli);
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
