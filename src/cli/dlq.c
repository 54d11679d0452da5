/* stepmill dlq …: the table of its subcommands. */
#include "dlq_client.h"

#include <string.h>

static const struct {
    const char *name;
    int (*run)(struct cli *cli, int argc, char **argv);
} subcommands[] = {
    {"serve", cli_dlq_serve},     {"list", cli_dlq_list},       {"groups", cli_dlq_groups}, {"show", cli_dlq_show},
    {"redrive", cli_dlq_redrive}, {"edit", cli_dlq_edit},       {"jobs", cli_dlq_jobs},     {"pause", cli_dlq_jobs},
    {"resume", cli_dlq_jobs},     {"cancel", cli_dlq_jobs},     {"discard", cli_dlq_act},   {"park", cli_dlq_act},
    {"unpark", cli_dlq_act},      {"acknowledge", cli_dlq_act}, {"assign", cli_dlq_act},    {"note", cli_dlq_act},
    {"reopen", cli_dlq_act},      {"export", cli_dlq_export},
};

enum { SUBCOMMANDS = sizeof subcommands / sizeof *subcommands };

static int help(struct cli *cli, int argc, char **argv)
{
    static const struct cli_usage usage = {
        .synopsis = "dlq SUBCOMMAND",
        .about = "Dead letters. Each subcommand has a --help of its own.\n\n"
                 "  serve    the processor: index, alerts, delayed retry, review API and dashboard\n"
                 "The others are clients of its API (--url, --ca-file; STEPMILL_DLQ_TOKEN says who you are):\n"
                 "  list, groups, show, export                  look\n"
                 "  redrive, edit                               send letters back, as they are or changed\n"
                 "  jobs, pause, resume, cancel                 redrive jobs\n"
                 "  discard, park, unpark, acknowledge, assign, note, reopen",
        .words_max = 1,
    };
    int code;

    return cli_parse(cli, &usage, argc, argv, &code) ? cli_misuse(cli, "which subcommand? Try: stepmill dlq --help") : code;
}

int cli_dlq(struct cli *cli, int argc, char **argv)
{
    const char *names[SUBCOMMANDS + 1] = {NULL};
    char command[64];
    int at, code;

    if (argc < 2 || argv[1][0] == '-')
        return help(cli, argc, argv);
    for (int i = 0; i < SUBCOMMANDS; i++)
        names[i] = subcommands[i].name;
    at = cli_choose(cli, names, argv[1]);
    if (at < 0)
        return CLI_USAGE;
    snprintf(command, sizeof command, "dlq %s", names[at]);
    cli->command = command; /* each has a --help of its own to point to */
    code = subcommands[at].run(cli, argc - 1, argv + 1);
    cli->command = "dlq";
    return code;
}
