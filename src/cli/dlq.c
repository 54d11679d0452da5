/* stepmill dlq …: the table of its subcommands. */
#include "cli.h"

#include <string.h>

static const struct {
    const char *name;
    int (*run)(struct cli *cli, int argc, char **argv);
} subcommands[] = {
    {"serve", cli_dlq_serve},
};

enum { SUBCOMMANDS = sizeof subcommands / sizeof *subcommands };

static int help(struct cli *cli, int argc, char **argv)
{
    static const struct cli_usage usage = {
        .synopsis = "dlq serve",
        .about = "Dead letters. Each subcommand has a --help of its own.\n\n"
                 "  serve    the processor: index, alerts, delayed retry, review API and dashboard",
        .words_max = 1,
    };
    int code;

    return cli_parse(cli, &usage, argc, argv, &code) ? cli_misuse(cli, "which subcommand? Try: stepmill dlq --help") : code;
}

int cli_dlq(struct cli *cli, int argc, char **argv)
{
    const char *names[SUBCOMMANDS + 1] = {NULL};
    int at;

    if (argc < 2 || argv[1][0] == '-')
        return help(cli, argc, argv);
    for (int i = 0; i < SUBCOMMANDS; i++)
        names[i] = subcommands[i].name;
    at = cli_choose(cli, names, argv[1]);
    return at < 0 ? CLI_USAGE : subcommands[at].run(cli, argc - 1, argv + 1);
}
