/* stepmill offsets show | set */
#include <stdlib.h>

#include "group_view.h"
#include "stepmill/clock.h"
#include "stepmill/json.h"
#include "stepmill/time_text.h"

enum { OUTPUT_MAX = 16 * 1024 * 1024, UNIX_MS_DIGITS = 13 };

enum target { TO_LATEST, TO_BEGINNING, TO_OFFSET, TO_TIME };

struct offsets_run {
    struct cli *cli;
    struct config *config;
    struct kafka_admin *admin;
    struct group_view view;
    struct kafka_offset *wanted; /* set: the new offsets */
    size_t nwanted;
    struct kafka_offsets *at_time; /* TO_TIME: of the whole view */
    struct buf topic_of_agent;
    const char *topic, *agent, *to;
    int64_t partition; /* -1: all */
    enum target target;
    int64_t target_value; /* an offset, or ms */
    bool dry_run;
};

static bool chosen(const struct offsets_run *r, const struct group_partition *p)
{
    return r->partition < 0 || p->partition == r->partition;
}

static void put_number(const char *name, int64_t n, struct buf *to)
{
    buf_printf(to, ", \"%s\": ", name);
    if (n < 0)
        buf_put_text(to, "null");
    else
        buf_put_int(to, n);
}

static int write_out(const struct offsets_run *r, struct buf *out)
{
    bool written = !out->failed && fwrite(out->at, 1, out->len, stdout) == out->len && !fflush(stdout);

    buf_free(out);
    return written ? CLI_OK : cli_fail(r->cli, "cannot write the output");
}

/* ---- show */

static void put_shown_json(const struct group_partition *p, bool first, struct buf *to)
{
    buf_put_text(to, first ? "{\"topic\": " : ",\n {\"topic\": ");
    json_put_string(to, slice_of(p->topic));
    put_number("partition", p->partition, to);
    put_number("committed", p->committed, to);
    put_number("beginning", p->beginning, to);
    put_number("end", p->end, to);
    put_number("finished_above", p->finished, to);
    buf_put_text(to, ", \"metadata\": ");
    json_put_string(to, p->metadata.at ? p->metadata : SLICE(""));
    buf_put_text(to, ", \"problem\": ");
    if (p->problem)
        json_put_string(to, slice_of(p->problem));
    else
        buf_put_text(to, "null");
    buf_put_byte(to, '}');
}

static void put_shown(const struct group_partition *p, struct buf *to)
{
    buf_printf(to, "%-28s %4d ", p->topic, p->partition);
    if (p->committed == KAFKA_OFFSET_NONE)
        buf_put_text(to, "nothing committed");
    else
        buf_printf(to, "committed %lld", (long long)p->committed);
    buf_printf(to, ", the topic holds %lld to %lld", (long long)p->beginning, (long long)p->end);
    if (p->finished)
        buf_printf(to, ", %lld finished above", (long long)p->finished);
    if (p->problem)
        buf_printf(to, "\n%-34s%s", "", p->problem);
    buf_put_byte(to, '\n');
}

static int show(struct offsets_run *r)
{
    struct buf out = BUF(OUTPUT_MAX);
    size_t shown = 0, problems = 0;
    int code;

    if (r->cli->json)
        buf_put_byte(&out, '[');
    for (size_t i = 0; i < r->view.count; i++) {
        if (!chosen(r, &r->view.at[i]))
            continue;
        if (r->cli->json)
            put_shown_json(&r->view.at[i], shown == 0, &out);
        else
            put_shown(&r->view.at[i], &out);
        shown++;
        problems += r->view.at[i].problem != NULL;
    }
    if (r->cli->json)
        buf_put_text(&out, "]\n");
    code = write_out(r, &out);
    if (code == CLI_OK && !shown)
        return cli_fail(r->cli, "there is no partition %lld", (long long)r->partition);
    return code == CLI_OK && problems ? CLI_FOUND : code;
}

/* ---- set */

static bool read_target(struct offsets_run *r)
{
    r->target = TO_LATEST;
    if (!strcmp(r->to, "latest"))
        return true;
    r->target = TO_BEGINNING;
    if (!strcmp(r->to, "beginning"))
        return true;
    if (slice_to_int(slice_of(r->to), 0, INT64_MAX, &r->target_value)) {
        r->target = strlen(r->to) == UNIX_MS_DIGITS ? TO_TIME : TO_OFFSET;
        return true;
    }
    r->target = TO_TIME;
    return time_read(slice_of(r->to), false, clock_wall_ms(), &r->target_value);
}

static bool nobody_reads(struct offsets_run *r)
{
    struct buf members = BUF(4096);
    const struct kafka_group *g = r->view.members;

    for (size_t i = 0; i < g->nmembers; i++) {
        buf_put_text(&members, "\n  ");
        group_put_member(&g->members[i], &members);
    }
    if (g->nmembers)
        cli_fail(r->cli, "group %s is in use, so nothing was changed; stop these workers first:%s", r->view.group,
                 buf_text(&members));
    buf_free(&members);
    return !g->nmembers;
}

static bool want(struct offsets_run *r, size_t i)
{
    const struct group_partition *p = &r->view.at[i];
    int64_t to = r->target == TO_LATEST      ? p->end
                 : r->target == TO_BEGINNING ? p->beginning
                 : r->target == TO_TIME      ? r->at_time->at[i].offset
                                             : r->target_value;

    if (p->beginning < 0 || p->end < 0 || to < 0) {
        cli_fail(r->cli, "%s %d: its offsets can't be read (%s); nothing was changed", p->topic, p->partition,
                 p->problem ? p->problem : "no answer");
        return false;
    }
    if (to < p->beginning || to > p->end) {
        cli_fail(r->cli, "%s %d holds %lld to %lld, not %lld; nothing was changed", p->topic, p->partition,
                 (long long)p->beginning, (long long)p->end, (long long)to);
        return false;
    }
    r->wanted[r->nwanted++] = (struct kafka_offset){p->topic, p->partition, to, SLICE(""), NULL};
    return true;
}

static bool want_all(struct offsets_run *r)
{
    struct error error = error_none();

    r->wanted = calloc(r->view.count + 1, sizeof *r->wanted);
    if (!r->wanted) {
        cli_fail(r->cli, "no memory left");
        return false;
    }
    if (r->target == TO_OFFSET && r->partition < 0 && r->view.count > 1) {
        cli_fail(r->cli, "an offset belongs to one partition: name it by --partition");
        return false;
    }
    if (r->target == TO_TIME)
        error = kafka_admin_offsets(r->admin, r->view.partitions.at, r->view.partitions.count, r->target_value, &r->at_time);
    if (failed(error)) {
        cli_admin_fail(r->cli, r->admin, "cannot look up the time", error);
        return false;
    }
    for (size_t i = 0; i < r->view.count; i++)
        if (chosen(r, &r->view.at[i]) && !want(r, i))
            return false;
    if (!r->nwanted)
        cli_fail(r->cli, "%s has no partition %lld", r->topic, (long long)r->partition);
    return r->nwanted;
}

static const struct group_partition *find(const struct offsets_run *r, const struct kafka_offset *o)
{
    size_t i = 0;

    while (r->view.at[i].partition != o->partition || strcmp(r->view.at[i].topic, o->topic) != 0)
        i++;
    return &r->view.at[i];
}

/* What the change means for tasks. */
static void put_change(const struct offsets_run *r, const struct kafka_offset *to, bool first, struct buf *out)
{
    const struct group_partition *p = find(r, to);
    int64_t from = p->committed == KAFKA_OFFSET_NONE ? p->beginning : p->committed;
    int64_t first_read = from < p->beginning ? p->beginning : from;

    if (r->cli->json) {
        buf_put_text(out, first ? "{\"topic\": " : ",\n {\"topic\": ");
        json_put_string(out, slice_of(p->topic));
        put_number("partition", p->partition, out);
        put_number("from", p->committed, out);
        put_number("to", to->offset, out);
        put_number("skipped", to->offset > first_read ? to->offset - first_read : 0, out);
        put_number("read_again", to->offset < from ? from - to->offset : 0, out);
        put_number("finished_dropped", p->finished, out);
        buf_put_byte(out, '}');
        return;
    }
    buf_printf(out, "%-28s %4d ", p->topic, p->partition);
    if (p->committed == KAFKA_OFFSET_NONE)
        buf_put_text(out, "nothing");
    else
        buf_put_int(out, p->committed);
    buf_printf(out, " -> %lld", (long long)to->offset);
    if (to->offset > first_read)
        buf_printf(out, ", up to %lld records skipped: no results", (long long)(to->offset - first_read));
    if (to->offset < from)
        buf_printf(out, ", %lld read again", (long long)(from - to->offset));
    if (p->finished)
        buf_printf(out, ", the set of %lld finished above dropped", (long long)p->finished);
    buf_put_byte(out, '\n');
}

static int set(struct offsets_run *r)
{
    struct buf out = BUF(OUTPUT_MAX);
    struct error error = error_none();
    int code;

    if (!nobody_reads(r) || !want_all(r))
        return CLI_FAILED;
    if (!r->dry_run)
        error = kafka_admin_commit(r->admin, r->view.group, r->wanted, r->nwanted);
    if (failed(error))
        return cli_admin_fail(r->cli, r->admin, "the offsets were not set", error);
    if (r->cli->json)
        buf_put_byte(&out, '[');
    for (size_t i = 0; i < r->nwanted; i++)
        put_change(r, &r->wanted[i], i == 0, &out);
    if (r->cli->json)
        buf_put_text(&out, "]\n");
    code = write_out(r, &out);
    if (!r->cli->json)
        fprintf(stderr,
                "stepmill offsets: %s. Tasks that are read again and ended within the last 24 h are known by Redis and skipped; "
                "older ones run again.\n",
                r->dry_run ? "dry run, nothing was changed" : "set; the finished sets beside the offsets are gone");
    return code;
}

/* ---- */

static bool choose_topic(struct offsets_run *r)
{
    r->topic_of_agent = BUF(1024);
    if (r->agent && !config_agent(r->config, slice_of(r->agent))) {
        cli_fail(r->cli, "the config has no agent \"%s\"", r->agent);
        return false;
    }
    if (!r->agent)
        return true;
    config_tasks_topic(r->config, r->agent, &r->topic_of_agent);
    r->topic = buf_text(&r->topic_of_agent);
    return true;
}

static int with_config(struct offsets_run *r, bool setting)
{
    int code = CLI_FAILED;

    r->config = cli_config_load(r->cli, CONFIG_NEED_KAFKA);
    if (r->config && choose_topic(r) && (r->admin = cli_admin_open(r->cli, r->config)) != NULL &&
        group_view_read(r->cli, r->config, r->admin, r->topic, &r->view))
        code = setting ? set(r) : show(r);
    group_view_free(&r->view);
    kafka_offsets_free(r->at_time);
    free(r->wanted);
    buf_free(&r->topic_of_agent);
    kafka_admin_close(r->admin);
    config_free(r->config);
    return code;
}

static int check_arguments(struct offsets_run *r, bool setting)
{
    if (r->topic && r->agent)
        return cli_misuse(r->cli, "--topic and --agent name the same thing: give one");
    if (!setting)
        return r->to || r->dry_run ? cli_misuse(r->cli, "--to and --dry-run belong to `offsets set`") : CLI_OK;
    if (!r->topic && !r->agent)
        return cli_misuse(r->cli, "--agent or --topic is needed: whose offsets?");
    if (!r->to)
        return cli_misuse(r->cli, "--to is needed: latest, beginning, an offset or a time");
    if (!read_target(r))
        return cli_misuse(r->cli, "--to %s is none of: latest, beginning, an offset, 2026-11-21T05:00:00Z, Unix ms, 2h (ago)",
                          r->to);
    return CLI_OK;
}

int cli_offsets(struct cli *cli, int argc, char **argv)
{
    static const char *const words[] = {"show", "set", NULL};
    struct offsets_run r = {.cli = cli, .partition = -1};
    const struct cli_argument arguments[] = {
        {"agent", 'a', CLI_TEXT, &r.agent, "AGENT", "its tasks topic; show: all agents without it", 0, 0},
        {"topic", 't', CLI_TEXT, &r.topic, "TOPIC", "a topic by name", 0, 0},
        {"partition", 'p', CLI_INT, &r.partition, "N", "one partition; without it: all of the topic", 0, INT32_MAX},
        {"to", 0, CLI_TEXT, &r.to, "PLACE", "set: latest, beginning, OFFSET, an RFC 3339 time, Unix ms, 2h (ago)", 0, 0},
        {"dry-run", 'n', CLI_FLAG, &r.dry_run, NULL, "set: say what would change, change nothing", 0, 0},
    };
    const struct cli_usage usage = {
        .synopsis = "offsets show|set [--agent AGENT | --topic TOPIC] [--partition N] [--to PLACE]",
        .about =
            "show   what the group has committed, what the topics hold, how many records are finished above the offset;\n"
            "       exit code 3 when an offset lies outside of the topic or its finished set can't be read\n"
            "set    moves the group. Refused while it has members. What is skipped never gets a result. The finished set beside\n"
            "       the offset is dropped: records above it are read again, and Redis tells which tasks ended in the last 24 h.\n"
            "A time is the first record at or after it, else the end; 13 digits are Unix ms, fewer an offset.",
        .arguments = arguments,
        .narguments = sizeof arguments / sizeof *arguments,
        .words_min = 1,
        .words_max = 1,
        .examples = "stepmill offsets show --agent orders\n"
                    "stepmill offsets set --agent orders --partition 3 --to 4711 --dry-run\n",
    };
    int code, word;

    if (!cli_parse(cli, &usage, argc, argv, &code))
        return code;
    word = cli_choose(cli, words, cli->rest[0]);
    code = word < 0 ? CLI_USAGE : check_arguments(&r, word == 1);
    return code == CLI_OK ? with_config(&r, word == 1) : code;
}
