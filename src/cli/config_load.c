/* The configuration for a command, with what is wrong printed to stderr. */
#include "cli.h"

extern char **environ;

struct config *cli_config_try(struct cli *cli, unsigned needs, struct config_report *report)
{
    struct config_source source = {
        .path = cli->config_path, .sets = cli->sets, .nsets = cli->nsets, .environment = environ, .needs = needs};
    struct config *c = config_load(&source, report);

    if (c)
        cli->log.level = c->log.level;
    return c;
}

struct config *cli_config_load(struct cli *cli, unsigned needs)
{
    struct config_report report;
    struct config *c = cli_config_try(cli, needs, &report);

    for (size_t i = 0; i < report.count; i++)
        fprintf(stderr, "%s\n", report.problems[i].text);
    if (report.errors + report.warnings > report.count)
        fprintf(stderr, "and %zu more\n", report.errors + report.warnings - report.count);
    if (!c && report.no_file)
        cli_fail(cli, CLI_NO_FILE);
    if (!c)
        cli_fail(cli, "the configuration has %zu error%s; `stepmill config options` lists all options", report.errors,
                 report.errors == 1 ? "" : "s");
    return c;
}
