/* The frame of all subcommands: context, arguments, exit codes, help.
 *
 * A new command: a file src/cli/<name>.c with `int cli_<name>(struct cli *cli, int argc, char **argv)`, its line below and its
 * line in the table of main.c. It calls cli_parse first, writes data to stdout and talk to stderr, and returns one of the exit
 * codes.
 */
#ifndef CLI_H
#define CLI_H

#include <stdio.h>

#include "stepmill/config.h"

enum {
    CLI_OK = 0,
    CLI_FAILED = 1,
    CLI_USAGE = 2,
    CLI_FOUND = 3, /* ran well and found something: verify, check, `lag --max` */
};

enum { CLI_SETS_MAX = 64 };

/* One run. Lives in main. */
struct cli {
    const char *command;            /* "topics" */
    const char *config_path;        /* --config, or NULL */
    const char *sets[CLI_SETS_MAX]; /* --set, in order */
    size_t nsets;
    bool json;      /* --json */
    struct log log; /* to stderr; its level becomes the config's by cli_config */
    char **rest;    /* what cli_parse left over: the plain words */
    int nrest;
};

int cli_config(struct cli *cli, int argc, char **argv);
/* The version of jemalloc, NULL when it is not linked (memory.c). */
const char *memory_version(void);
int cli_schemas(struct cli *cli, int argc, char **argv);
int cli_worker(struct cli *cli, int argc, char **argv);
int cli_produce(struct cli *cli, int argc, char **argv);
int cli_tail(struct cli *cli, int argc, char **argv);
int cli_topics(struct cli *cli, int argc, char **argv);
int cli_lag(struct cli *cli, int argc, char **argv);
int cli_offsets(struct cli *cli, int argc, char **argv);
int cli_dlq(struct cli *cli, int argc, char **argv);
int cli_dlq_serve(struct cli *cli, int argc, char **argv);
int cli_cancel(struct cli *cli, int argc, char **argv);
int cli_doctor(struct cli *cli, int argc, char **argv);

/* ---- Arguments */

enum cli_kind {
    CLI_FLAG,     /* bool: --dry-run */
    CLI_TEXT,     /* const char * */
    CLI_LIST,     /* struct cli_list: may be given several times */
    CLI_INT,      /* int64_t, within min and max */
    CLI_DURATION, /* int64_t, milliseconds, within min and max: --timeout 30s */
    CLI_SIZE,     /* int64_t, bytes */
};

enum { CLI_LIST_MAX = 64 };
struct cli_list {
    const char *items[CLI_LIST_MAX];
    size_t count;
};

struct cli_argument {
    const char *name; /* "dry-run" */
    char letter;      /* 'n' for -n; 0: none */
    enum cli_kind kind;
    void *to;          /* holds the default beforehand */
    const char *value; /* how the help calls the value: "TOPIC"; NULL for a flag */
    const char *help;  /* one line */
    int64_t min, max;  /* of numbers; both 0: any that is not negative */
};

struct cli_usage {
    const char *synopsis; /* behind "stepmill ": "offsets show|set [--topic TOPIC]" */
    const char *about;    /* what it does; several lines */
    const struct cli_argument *arguments;
    size_t narguments;
    int words_min, words_max; /* plain words allowed; max -1: any number */
    const char *examples;     /* whole lines, not indented, or NULL */
};

/* Reads the command's arguments and those common to all (--config, --set, --json, --help). argv[0] is the command's name. True:
 * go on, the plain words are in cli->rest. False: return *exit_code (help was asked for, or the usage is wrong and was
 * explained). */
bool cli_parse(struct cli *cli, const struct cli_usage *usage, int argc, char **argv, int *exit_code);

/* "stepmill topics: …" to stderr; returns CLI_USAGE. */
__attribute__((format(printf, 2, 3))) int cli_misuse(const struct cli *cli, const char *format, ...);
/* "stepmill topics: …" to stderr; returns CLI_FAILED. */
__attribute__((format(printf, 2, 3))) int cli_fail(const struct cli *cli, const char *format, ...);

/* The index of `word` in the NULL-ended list of subcommands, or -1 after an explanation with the nearest right one. */
int cli_choose(const struct cli *cli, const char *const *words, const char *word);

/* ---- Configuration */

/* Loads it, prints warnings and errors to stderr, sets the log level. NULL: return CLI_FAILED. `needs`: enum config_need. */
struct config *cli_config_load(struct cli *cli, unsigned needs);
/* What to say with errors where report.no_file. */
#define CLI_NO_FILE                                                                                                              \
    "no configuration file was found: neither --config nor STEPMILL_CONFIG names one, and there is no ./stepmill.yaml and no "   \
    "/etc/stepmill/stepmill.yaml"
/* Without printing: for `config check`. */
struct config *cli_config_try(struct cli *cli, unsigned needs, struct config_report *report);

/* ---- Progress: one line on stderr, redrawn, on a terminal only */

struct cli_progress {
    const char *what; /* "produced" */
    int64_t total;    /* -1: not known */
    int64_t started_ms, drawn_ms;
    bool on;
};

struct cli_progress cli_progress_start(const char *what, int64_t total);
/* Cheap: draws ten times a second. */
void cli_progress_show(struct cli_progress *p, int64_t done);
/* Draws the last state and ends the line. */
void cli_progress_end(struct cli_progress *p, int64_t done);

#endif
