/* stepmill lag */
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "group_view.h"
#include "stepmill/clock.h"
#include "stepmill/json.h"

enum { OUTPUT_MAX = 16 * 1024 * 1024, AGES_MS = 5000, WATCH_SECONDS = 2, NO_AGE = -1 };

struct lag {
    struct cli *cli;
    struct config *config;
    struct kafka_admin *admin;
    struct group_view view;
    int64_t *ages; /* by partition; NO_AGE: nothing unfinished, or not known */
    int64_t oldest;
    size_t unknown; /* ages that could not be read in time */
    int64_t max;    /* -1: none */
    bool watch;
};

/* The age of the first record the worker would read; at the committed offset it is the oldest that is not finished. */
static int64_t age_of(const struct lag *l, const struct group_partition *p, int64_t until)
{
    struct kafka_options kafka = cli_kafka(l->cli, l->config);
    int64_t from = p->committed > p->beginning ? p->committed : p->beginning, age = NO_AGE;
    const struct kafka_record *record = NULL;
    struct kafka_reader *reader = NULL;
    char detail[256];
    enum kafka_read read = KAFKA_READ_NOTHING;
    int64_t left = until - clock_mono_ms();

    if (left <= 0 || failed(kafka_reader_open(&reader, &kafka, p->topic, p->partition, KAFKA_START_OFFSET, from, (int)left,
                                              detail, sizeof detail)))
        return NO_AGE;
    while (read == KAFKA_READ_NOTHING && clock_mono_ms() < until)
        read = kafka_reader_next(reader, 100, &record);
    if (read == KAFKA_READ_RECORD && record->timestamp >= 0)
        age = clock_wall_ms() > record->timestamp ? clock_wall_ms() - record->timestamp : 0;
    kafka_reader_close(reader);
    return age;
}

static bool read_ages(struct lag *l)
{
    int64_t until = clock_mono_ms() + AGES_MS;

    free(l->ages);
    l->ages = calloc(l->view.count + 1, sizeof *l->ages);
    l->oldest = NO_AGE;
    l->unknown = 0;
    for (size_t i = 0; l->ages && i < l->view.count; i++) {
        l->ages[i] = l->view.at[i].unfinished > 0 ? age_of(l, &l->view.at[i], until) : NO_AGE;
        l->unknown += l->view.at[i].unfinished > 0 && l->ages[i] == NO_AGE;
        if (l->ages[i] > l->oldest)
            l->oldest = l->ages[i];
    }
    return l->ages;
}

/* For eyes: two units at most. */
static void put_age(int64_t ms, struct buf *to)
{
    long long s = ms / 1000;

    if (ms == NO_AGE)
        buf_put_byte(to, '-');
    else if (s < 60)
        buf_printf(to, "%lld.%llds", s, (long long)ms % 1000 / 100);
    else if (s < 3600)
        buf_printf(to, "%lldm%llds", s / 60, s % 60);
    else if (s < 86400)
        buf_printf(to, "%lldh%lldm", s / 3600, s % 3600 / 60);
    else
        buf_printf(to, "%lldd%lldh", s / 86400, s % 86400 / 3600);
}

static void put_offset(int64_t offset, struct buf *to)
{
    if (offset < 0)
        buf_printf(to, " %11s", "-");
    else
        buf_printf(to, " %11lld", (long long)offset);
}

static void put_row(const struct lag *l, size_t i, struct buf *to)
{
    const struct group_partition *p = &l->view.at[i];
    struct buf age = BUF(64);

    put_age(l->ages[i], &age);
    buf_printf(to, "%-28s %4d", p->topic, p->partition);
    put_offset(p->committed, to);
    put_offset(p->end, to);
    buf_printf(to, " %9lld %9lld %10lld %8s  ", (long long)p->lag, (long long)p->finished, (long long)p->unfinished,
               buf_text(&age));
    buf_free(&age);
    if (p->member)
        group_put_member(p->member, to);
    else
        buf_put_byte(to, '-');
    if (p->problem)
        buf_printf(to, "\n%-34s%s", "", p->problem);
    buf_put_byte(to, '\n');
}

static void put_text(const struct lag *l, struct buf *to)
{
    const struct group_view *v = &l->view;

    buf_printf(to, "%-28s %4s %11s %11s %9s %9s %10s %8s  %s\n", "TOPIC", "PART", "COMMITTED", "END", "LAG", "FINISHED",
               "UNFINISHED", "AGE", "MEMBER");
    for (size_t i = 0; i < v->count; i++)
        put_row(l, i, to);
    buf_printf(to, "group %s (%s, %zu member%s): %lld unfinished, oldest ", v->group,
               strcmp(v->members->state, "Dead") ? v->members->state : "does not exist yet", v->members->nmembers,
               v->members->nmembers == 1 ? "" : "s", (long long)v->unfinished);
    put_age(l->oldest, to);
    if (l->unknown)
        buf_printf(to, " (of %zu partition%s the age could not be read in time)", l->unknown, l->unknown == 1 ? "" : "s");
    buf_put_byte(to, '\n');
    if (!v->members->nmembers && v->unfinished)
        buf_put_text(to, "nobody reads: is a worker up with this group?\n");
}

static void put_number(const char *name, int64_t n, struct buf *to)
{
    buf_printf(to, ", \"%s\": ", name);
    if (n < 0)
        buf_put_text(to, "null");
    else
        buf_put_int(to, n);
}

static void put_json_row(const struct lag *l, size_t i, struct buf *to)
{
    const struct group_partition *p = &l->view.at[i];

    buf_put_text(to, i ? ", {\"topic\": " : "{\"topic\": ");
    json_put_string(to, slice_of(p->topic));
    put_number("partition", p->partition, to);
    put_number("committed", p->committed, to);
    put_number("beginning", p->beginning, to);
    put_number("end", p->end, to);
    put_number("lag", p->lag, to);
    put_number("finished", p->finished, to);
    put_number("unfinished", p->unfinished, to);
    put_number("age_ms", l->ages[i], to);
    buf_put_text(to, ", \"member\": ");
    if (p->member) {
        buf_put_text(to, "{\"id\": ");
        json_put_string(to, slice_of(p->member->id));
        buf_put_text(to, ", \"client_id\": ");
        json_put_string(to, slice_of(p->member->client_id));
        buf_put_text(to, ", \"host\": ");
        json_put_string(to, slice_of(p->member->host));
        buf_put_byte(to, '}');
    } else {
        buf_put_text(to, "null");
    }
    buf_put_text(to, ", \"problem\": ");
    if (p->problem)
        json_put_string(to, slice_of(p->problem));
    else
        buf_put_text(to, "null");
    buf_put_byte(to, '}');
}

static void put_json(const struct lag *l, struct buf *to)
{
    const struct group_view *v = &l->view;

    buf_put_text(to, "{\"group\": ");
    json_put_string(to, slice_of(v->group));
    buf_printf(to, ", \"state\": \"%s\", \"members\": %zu", v->members->state, v->members->nmembers);
    put_number("lag", v->lag, to);
    put_number("finished", v->finished, to);
    put_number("unfinished", v->unfinished, to);
    put_number("oldest_ms", l->oldest, to);
    buf_put_text(to, ", \"partitions\": [");
    for (size_t i = 0; i < v->count; i++)
        put_json_row(l, i, to);
    buf_put_text(to, "]}\n");
}

/* CLI_OK, or CLI_FOUND when there is too much, or nobody can tell: the sums lack a partition that has a problem. */
static int look(struct lag *l)
{
    bool screen = l->watch && !l->cli->json && isatty(STDOUT_FILENO);
    struct buf out = BUF(OUTPUT_MAX);
    bool written;

    if (!group_view_read(l->cli, l->config, l->admin, NULL, &l->view))
        return CLI_FAILED;
    if (!read_ages(l))
        return cli_fail(l->cli, "no memory left");
    if (screen)
        buf_put_text(&out, "\033[H\033[2J");
    if (l->cli->json)
        put_json(l, &out);
    else
        put_text(l, &out);
    written = !out.failed && fwrite(out.at, 1, out.len, stdout) == out.len && !fflush(stdout);
    buf_free(&out);
    if (!written)
        return cli_fail(l->cli, "cannot write the output");
    return l->max >= 0 && (l->view.unfinished > l->max || l->view.problems) ? CLI_FOUND : CLI_OK;
}

/* While watched, what fails now may work in two seconds. */
static int run(struct lag *l)
{
    int code = look(l);

    while (l->watch && !ferror(stdout)) {
        nanosleep(&(struct timespec){.tv_sec = WATCH_SECONDS}, NULL);
        group_view_free(&l->view);
        code = look(l);
    }
    return code;
}

int cli_lag(struct cli *cli, int argc, char **argv)
{
    struct lag l = {.cli = cli, .max = -1};
    const struct cli_argument arguments[] = {
        {"watch", 'w', CLI_FLAG, &l.watch, NULL, "look again every 2 s until interrupted", 0, 0},
        {"max", 'm', CLI_INT, &l.max, "N",
         "exit code 3 when more than N records are unfinished, or a partition has a problem; for alerts", 0, INT64_MAX},
    };
    const struct cli_usage usage = {
        .synopsis = "lag [--watch | --max N] [--json]",
        .about = "Shows per partition of the agents' topics what the group has not finished.\n"
                 "COMMITTED   the offset below which all is finished      END   the last stable offset\n"
                 "FINISHED    finished out of order, above COMMITTED      UNFINISHED   LAG - FINISHED: work that is left\n"
                 "AGE         of the oldest unfinished record (5 s are spent on reading them)\n"
                 "Markers of a producer's transactions count as records until the group has passed them.",
        .arguments = arguments,
        .narguments = sizeof arguments / sizeof *arguments,
        .examples = "stepmill lag --config stepmill.yaml --watch\nstepmill lag --max 1000 --json || alert\n",
    };
    int code;

    if (!cli_parse(cli, &usage, argc, argv, &code))
        return code;
    if (l.watch && l.max >= 0)
        return cli_misuse(cli, "--watch never ends, so --max has no use with it");
    l.config = cli_config_load(cli, CONFIG_NEED_KAFKA);
    if (!l.config)
        return CLI_FAILED;
    l.admin = cli_admin_open(cli, l.config);
    code = l.admin ? run(&l) : CLI_FAILED;
    group_view_free(&l.view);
    free(l.ages);
    kafka_admin_close(l.admin);
    config_free(l.config);
    return code;
}
