/* The table of subcommands, and the way to them. */
#include <signal.h>
#include <unistd.h>

#include "cli.h"
#include "stepmill/database.h"
#include "stepmill/kafka.h"
#include "stepmill/nearest.h"
#include "stepmill/versions.h"

/* One line per command; the order is that of the help. */
static const struct {
    const char *name, *about;
    int (*run)(struct cli *cli, int argc, char **argv);
} commands[] = {
    {"worker", "run agent tasks", cli_worker},
    {"dlq", "dead letters: the processor, and its commands", cli_dlq},
    {"produce", "send tasks", cli_produce},
    {"tail", "show results, events or dead letters", cli_tail},
    {"cancel", "stop a task", cli_cancel},
    {"lag", "show what is not finished yet", cli_lag},
    {"offsets", "show and move the group's offsets", cli_offsets},
    {"topics", "create and list our topics", cli_topics},
    {"schemas", "put our schemas into the registry, check them there", cli_schemas},
    {"doctor", "try everything a worker needs, say what to do", cli_doctor},
    {"config", "check and show the configuration, its options, its schema", cli_config},
};

enum { COMMANDS = sizeof commands / sizeof *commands };

static void print_help(FILE *out)
{
    fprintf(out, "usage: stepmill COMMAND [options]\n\nRuns AI-agent tasks as a Kafka stream.\n\ncommands:\n");
    for (int i = 0; i < COMMANDS; i++)
        fprintf(out, "  %-12s %s\n", commands[i].name, commands[i].about);
    fprintf(
        out,
        "\nEvery command: --help, --config FILE, --set PATH=VALUE, --json. Exit codes: 0 ok, 1 failed, 2 usage, 3 ran well and "
        "found something.\n`stepmill --version` tells the versions of the libraries too.\n");
}

static void print_version(void)
{
    printf("stepmill %s\n", STEPMILL_VERSION);
    printf("librdkafka %s\nlibcurl %s\nhiredis %s\nlibevent %s\nOpenSSL %s\njansson %s\nlibyaml %s\nSQLite %s\n", kafka_version(),
           version_curl(), version_hiredis(), version_libevent(), version_openssl(), version_jansson(), version_yaml(),
           database_version());
    if (memory_version())
        printf("jemalloc %s\n", memory_version());
}

static int refuse_command(const char *typed)
{
    struct nearest near = nearest_to(slice_of(typed));

    for (int i = 0; i < COMMANDS; i++)
        nearest_offer(&near, commands[i].name);
    fprintf(stderr, "stepmill: there is no command \"%s\"%s%s%s\n", typed, near.name ? ": did you mean \"" : "",
            near.name ? near.name : "", near.name ? "\"?" : "");
    fprintf(stderr, "Try: stepmill --help\n");
    return CLI_USAGE;
}

/* The value of the option at argv[*i], "--name VALUE" or "--name=VALUE" ("-cVALUE" for a letter); NULL: it is another one. `*i`
 * then is where the value ends. A value that is missing is "". */
static const char *value_of(const char *name, int argc, char **argv, int *i)
{
    const char *typed = argv[*i];
    size_t n = strlen(name);
    bool letter = n == 2;

    if (strncmp(typed, name, n) != 0 || (!letter && typed[n] && typed[n] != '='))
        return NULL;
    if (typed[n])
        return typed + n + !letter;
    return *i + 1 < argc ? argv[++*i] : "";
}

/* Options before the command, as behind it: --config, --set, --json. Returns the index of the command, argc where there is none,
 * -1 after saying what is wrong. */
static int leading_options(struct cli *cli, int argc, char **argv)
{
    int i = 1;

    for (; i < argc && argv[i][0] == '-'; i++) {
        const char *typed = argv[i], *value, *wrong = NULL;

        if ((value = value_of("--config", argc, argv, &i)) || (value = value_of("-c", argc, argv, &i)))
            cli->config_path = value;
        else if ((value = value_of("--set", argc, argv, &i)) && cli->nsets == CLI_SETS_MAX)
            wrong = "is given too often";
        else if (value)
            cli->sets[cli->nsets++] = value;
        else if (!strcmp(typed, "--json"))
            cli->json = true;
        else
            wrong = "is no option that goes before a command; put it behind the command";
        if (value && !*value)
            wrong = "needs a value";
        if (wrong) {
            fprintf(stderr, "stepmill: %s %s\nTry: stepmill --help\n", typed, wrong);
            return -1;
        }
    }
    return i;
}

static bool is_one_of(const char *word, const char *a, const char *b, const char *c)
{
    return !strcmp(word, a) || !strcmp(word, b) || !strcmp(word, c);
}

int main(int argc, char **argv)
{
    struct cli cli = {.command = "", .log = {.level = LOG_LEVEL_INFO, .fd = STDERR_FILENO}};
    int at;

    signal(SIGPIPE, SIG_IGN); /* a reader that went away is a write error */
    if (argc > 1 && is_one_of(argv[1], "--help", "-h", "help")) {
        print_help(stdout);
        return CLI_OK;
    }
    if (argc > 1 && is_one_of(argv[1], "--version", "-V", "version")) {
        print_version();
        return CLI_OK;
    }
    at = leading_options(&cli, argc, argv);
    if (at == argc)
        print_help(stderr);
    if (at < 0 || at == argc)
        return CLI_USAGE;
    for (int i = 0; i < COMMANDS; i++)
        if (strcmp(commands[i].name, argv[at]) == 0) {
            cli.command = cli.log.role = commands[i].name;
            return commands[i].run(&cli, argc - at, argv + at);
        }
    return refuse_command(argv[at]);
}
