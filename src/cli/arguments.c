/* Arguments and help of all commands, from one table each. */
#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>

#include "cli.h"
#include "stepmill/nearest.h"
#include "stepmill/units.h"

enum { ARGUMENTS_MAX = 40, COMMON = 4, HELP_COLUMN = 26 };

/* What all commands take. --help has no place to store to. */
static void common_arguments(struct cli *cli, struct cli_argument to[COMMON])
{
    to[0] =
        (struct cli_argument){.name = "config",
                              .letter = 'c',
                              .kind = CLI_TEXT,
                              .to = &cli->config_path,
                              .value = "FILE",
                              .help = "the configuration; else STEPMILL_CONFIG, ./stepmill.yaml, /etc/stepmill/stepmill.yaml"};
    to[1] = (struct cli_argument){
        .name = "set", .kind = CLI_LIST, .value = "PATH=VALUE", .help = "overrides one option, such as log.level=debug"};
    to[2] = (struct cli_argument){.name = "json", .kind = CLI_FLAG, .to = &cli->json, .help = "output for machines"};
    to[3] = (struct cli_argument){.name = "help", .letter = 'h', .kind = CLI_FLAG, .help = "this text"};
}

static void print_argument(FILE *out, const struct cli_argument *a)
{
    char left[80];
    int n;

    if (a->letter)
        n = snprintf(left, sizeof left, "  -%c, --%s%s%s", a->letter, a->name, a->value ? " " : "", a->value ? a->value : "");
    else
        n = snprintf(left, sizeof left, "      --%s%s%s", a->name, a->value ? " " : "", a->value ? a->value : "");
    if (n > HELP_COLUMN)
        fprintf(out, "%s\n%*s  %s\n", left, HELP_COLUMN, "", a->help);
    else
        fprintf(out, "%-*s  %s\n", HELP_COLUMN, left, a->help);
}

static void print_help(const struct cli_usage *u, const struct cli_argument *all, size_t n)
{
    printf("usage: stepmill %s\n\n%s\n", u->synopsis, u->about);
    printf("\noptions:\n");
    for (size_t i = 0; i < n; i++)
        print_argument(stdout, &all[i]);
    if (u->examples)
        printf("\nexamples:\n");
    for (const char *at = u->examples; at && *at; at += strcspn(at, "\n") + (at[strcspn(at, "\n")] != '\0'))
        printf("  %.*s\n", (int)strcspn(at, "\n"), at);
}

int cli_misuse(const struct cli *cli, const char *format, ...)
{
    va_list args;

    fprintf(stderr, "stepmill %s: ", cli->command);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fprintf(stderr, "\nTry: stepmill %s --help\n", cli->command);
    return CLI_USAGE;
}

int cli_fail(const struct cli *cli, const char *format, ...)
{
    va_list args;

    fprintf(stderr, "stepmill %s: ", cli->command);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    return CLI_FAILED;
}

int cli_choose(const struct cli *cli, const char *const *words, const char *word)
{
    struct nearest near = nearest_to(slice_of(word));

    for (int i = 0; words[i]; i++) {
        if (strcmp(words[i], word) == 0)
            return i;
        nearest_offer(&near, words[i]);
    }
    cli_misuse(cli, "there is no \"%s\"%s%s%s", word, near.name ? ": did you mean \"" : "", near.name ? near.name : "",
               near.name ? "\"?" : "");
    return -1;
}

static bool store_number(const struct cli *cli, const struct cli_argument *a, const char *text)
{
    const char *wrong = NULL;
    int64_t v = 0, max = a->min || a->max ? a->max : INT64_MAX;

    if (a->kind == CLI_DURATION)
        wrong = duration_read(slice_of(text), &v);
    else if (a->kind == CLI_SIZE)
        wrong = size_read(slice_of(text), &v);
    else if (!slice_to_int(slice_of(text), INT64_MIN, INT64_MAX, &v))
        wrong = "is not a whole number";
    if (!wrong && (v < a->min || v > max))
        wrong = "is out of range";
    if (wrong) {
        cli_misuse(cli, "--%s: \"%s\" %s", a->name, text, wrong);
        return false;
    }
    *(int64_t *)a->to = v;
    return true;
}

static bool store_list(const struct cli *cli, const struct cli_argument *a, const char *text)
{
    struct cli_list *list = a->to;

    if (list->count == CLI_LIST_MAX) {
        cli_misuse(cli, "--%s: more than %d", a->name, CLI_LIST_MAX);
        return false;
    }
    list->items[list->count++] = text;
    return true;
}

static bool store(struct cli *cli, const struct cli_argument *a, const char *text)
{
    if (strcmp(a->name, "set") == 0 && !a->to) {
        if (cli->nsets == CLI_SETS_MAX) {
            cli_misuse(cli, "--set: more than %d", CLI_SETS_MAX);
            return false;
        }
        cli->sets[cli->nsets++] = text;
        return true;
    }
    switch (a->kind) {
    case CLI_FLAG:
        *(bool *)a->to = true;
        return true;
    case CLI_TEXT:
        *(const char **)a->to = text;
        return true;
    case CLI_LIST:
        return store_list(cli, a, text);
    default:
        return store_number(cli, a, text);
    }
}

/* getopt tells the letter of "-xyz" that it stumbled over, for the word is the next one only behind its last letter. */
static int refuse_argument(const struct cli *cli, const struct cli_argument *all, size_t n, const char *word, bool missing)
{
    const char letter[] = {'-', (char)optopt, '\0'}, *typed = optopt > ' ' && optopt < 0x7f ? letter : word;
    struct nearest near = nearest_to((struct slice){typed, strcspn(typed, "=")});
    char name[64];

    if (missing)
        return cli_misuse(cli, "%s needs a value", typed);
    for (size_t i = 0; i < n; i++) {
        snprintf(name, sizeof name, "--%s", all[i].name);
        nearest_offer(&near, name);
        if (near.name == name) /* the room is used again: keep the table's own name */
            near.name = all[i].name;
    }
    return cli_misuse(cli, "unknown option %s%s%s%s", typed, near.name ? ": did you mean --" : "", near.name ? near.name : "",
                      near.name ? "?" : "");
}

/* The argument that getopt_long returned: its code is the index + 256. */
static const struct cli_argument *find_argument(const struct cli_argument *all, size_t n, int code)
{
    for (size_t i = 0; i < n; i++)
        if (code == (int)i + 256 || (all[i].letter && code == all[i].letter))
            return &all[i];
    return NULL;
}

static size_t prepare(struct cli *cli, const struct cli_usage *u, struct cli_argument *all, struct option *longs, char *letters)
{
    size_t n = u->narguments;

    if (n > ARGUMENTS_MAX - COMMON)
        bug("too many arguments in %s", u->synopsis);
    if (n)
        memcpy(all, u->arguments, n * sizeof *all);
    common_arguments(cli, all + n);
    n += COMMON;
    *letters++ = ':'; /* tell a missing value from an unknown option */
    for (size_t i = 0; i < n; i++) {
        bool value = all[i].kind != CLI_FLAG;

        longs[i] = (struct option){all[i].name, value ? required_argument : no_argument, NULL, (int)i + 256};
        if (all[i].letter) {
            *letters++ = all[i].letter;
            if (value)
                *letters++ = ':';
        }
    }
    *letters = '\0';
    longs[n] = (struct option){0};
    return n;
}

bool cli_parse(struct cli *cli, const struct cli_usage *u, int argc, char **argv, int *exit_code)
{
    struct cli_argument all[ARGUMENTS_MAX];
    struct option longs[ARGUMENTS_MAX + 1];
    char letters[2 * ARGUMENTS_MAX + 2];
    size_t n = prepare(cli, u, all, longs, letters);

    optind = 0; /* GNU: start afresh, main has parsed before */
    opterr = 0;
    *exit_code = CLI_USAGE;
    for (int code; (code = getopt_long(argc, argv, letters, longs, NULL)) != -1;) {
        const struct cli_argument *a = find_argument(all, n, code);

        if (!a) {
            refuse_argument(cli, all, n, argv[optind - 1], code == ':');
            return false;
        }
        if (strcmp(a->name, "help") == 0) {
            print_help(u, all, n);
            *exit_code = CLI_OK;
            return false;
        }
        if (!store(cli, a, optarg))
            return false;
    }
    cli->rest = argv + optind;
    cli->nrest = argc - optind;
    if (cli->nrest < u->words_min || (u->words_max >= 0 && cli->nrest > u->words_max)) {
        if (cli->nrest < u->words_min)
            cli_misuse(cli, "something is missing; usage: stepmill %s", u->synopsis);
        else
            cli_misuse(cli, "\"%s\" is too much; usage: stepmill %s", cli->rest[u->words_max], u->synopsis);
        return false;
    }
    return true;
}
