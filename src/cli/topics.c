/* stepmill topics create | list */
#include <stdlib.h>

#include "admin.h"
#include "stepmill/json.h"
#include "stepmill/units.h"

enum { TEXT_MAX = 2000, OUTPUT_MAX = 1024 * 1024 };

/* What came of one topic, or what it is like. */
struct row {
    const char *outcome; /* "created", "exists", "differs", "refused", "missing" */
    struct buf what, fix;
    const struct kafka_topic *have; /* NULL: it was not there */
};

struct run {
    struct cli *cli;
    struct config *config;
    struct kafka_admin *admin;
    struct kafka_topics *topics;
    struct topic_plan plan;
    struct row rows[TOPICS_MAX];
    int64_t partitions, replication;
    bool dry_run;
};

static void look(struct run *r, size_t i)
{
    struct row *row = &r->rows[i];
    const struct kafka_topic *t = kafka_topics_find(r->topics, r->plan.at[i].name);

    row->what = row->fix = BUF(TEXT_MAX);
    row->outcome = "missing";
    if (!t || !t->exists)
        return;
    row->have = t;
    if (t->error) {
        row->outcome = "refused";
        buf_printf(&row->what, "cannot be described: %s", t->error);
        buf_put_text(&row->fix, "this user needs Describe and DescribeConfigs on it");
        return;
    }
    row->outcome = topic_as_wanted(&r->plan.at[i], t, &row->what, &row->fix) ? "exists" : "differs";
}

static bool look_at_all(struct run *r)
{
    struct error error = kafka_admin_topics(r->admin, r->plan.names, r->plan.count, true, &r->topics);

    if (failed(error)) {
        cli_admin_fail(r->cli, r->admin, "cannot read the topics", error);
        return false;
    }
    for (size_t i = 0; i < r->plan.count; i++)
        look(r, i);
    return true;
}

/* ---- create */

static void refuse(struct row *row, const char *what, const char *fix)
{
    row->outcome = "refused";
    buf_put_text(&row->what, what);
    buf_put_text(&row->fix, fix);
}

/* The brokers' own refusal doesn't say what to do about it. */
static bool enough_brokers(struct run *r)
{
    struct kafka_cluster *cluster = NULL;
    struct error error = kafka_admin_cluster(r->admin, &cluster);
    bool enough = failed(error) || (int64_t)cluster->nbrokers >= r->replication;
    char what[160];

    if (failed(error)) /* then the brokers decide */
        return true;
    snprintf(what, sizeof what, "replication %lld is wanted, and the cluster has %zu broker%s", (long long)r->replication,
             cluster->nbrokers, cluster->nbrokers == 1 ? "" : "s");
    kafka_cluster_free(cluster);
    for (size_t i = 0; !enough && i < r->plan.count; i++)
        if (!r->rows[i].have)
            refuse(&r->rows[i], what, "start the other brokers; for a trial: --replication 1, or topics.replication: 1");
    return enough;
}

static void take_result(struct run *r, struct row *row, const struct kafka_topic_result *result)
{
    if (result->outcome == KAFKA_TOPIC_REFUSED)
        refuse(row, result->detail, "");
    else
        row->outcome = result->outcome == KAFKA_TOPIC_CREATED ? r->dry_run ? "would be created" : "created" : "exists";
}

static bool create_missing(struct run *r)
{
    struct kafka_topic_spec specs[TOPICS_MAX];
    struct kafka_topic_result results[TOPICS_MAX];
    struct row *rows[TOPICS_MAX];
    struct error error;
    size_t n = 0;

    for (size_t i = 0; i < r->plan.count; i++) {
        const struct topic_want *w = &r->plan.at[i];

        if (r->rows[i].have || strcmp(r->rows[i].outcome, "missing") != 0)
            continue;
        rows[n] = &r->rows[i];
        specs[n++] = (struct kafka_topic_spec){w->name, w->partitions, w->replication, w->settings, w->nsettings};
    }
    if (!n || !enough_brokers(r))
        return true;
    error = kafka_admin_create_topics(r->admin, specs, n, r->dry_run, results);
    if (failed(error)) {
        cli_admin_fail(r->cli, r->admin, "cannot create the topics (run it again: those that exist stay as they are)", error);
        return false;
    }
    for (size_t i = 0; i < n; i++)
        take_result(r, rows[i], &results[i]);
    return true;
}

/* ---- Output */

static size_t without_leader(const struct kafka_topic *t)
{
    size_t n = 0;

    for (size_t i = 0; i < t->npartitions; i++)
        n += t->partitions[i].leader < 0;
    return n;
}

static size_t behind(const struct kafka_topic *t)
{
    size_t n = 0;

    for (size_t i = 0; i < t->npartitions; i++)
        n += t->partitions[i].in_sync < t->partitions[i].replicas;
    return n;
}

static void put_json(const struct run *r, size_t i, struct buf *out)
{
    const struct row *row = &r->rows[i];
    const struct topic_want *w = &r->plan.at[i];
    const struct kafka_topic *t = row->have && !row->have->error ? row->have : NULL;
    const char *retention = t ? kafka_topic_config(t, "retention.ms") : NULL;
    const char *policy = t ? kafka_topic_config(t, "cleanup.policy") : NULL;

    buf_printf(out, "%s{\"topic\": ", i ? ",\n " : "");
    json_put_string(out, slice_of(w->name));
    buf_printf(out, ", \"use\": \"%s\", \"state\": \"%s\", \"wanted\": {\"partitions\": %d, \"replication\": %d", w->use,
               row->outcome, w->partitions, w->replication);
    for (size_t k = 0; k < w->nsettings; k++)
        buf_printf(out, ", \"%s\": \"%s\"", w->settings[k].name, w->settings[k].value);
    buf_put_byte(out, '}');
    if (t) {
        buf_printf(out,
                   ", \"partitions\": %zu, \"replication\": %d, \"without_leader\": %zu, \"with_replicas_behind\": %zu, "
                   "\"retention_ms\": %s, \"cleanup_policy\": ",
                   t->npartitions, t->npartitions ? t->partitions[0].replicas : 0, without_leader(t), behind(t),
                   retention ? retention : "null");
        json_put_string(out, slice_of(policy ? policy : ""));
    }
    buf_put_text(out, ", \"what\": ");
    json_put_string(out, buf_slice(&row->what));
    buf_put_text(out, ", \"fix\": ");
    json_put_string(out, buf_slice(&row->fix));
    buf_put_byte(out, '}');
}

static void put_have(const struct kafka_topic *t, struct buf *out)
{
    const char *retention = kafka_topic_config(t, "retention.ms"), *policy = kafka_topic_config(t, "cleanup.policy");
    size_t lost = without_leader(t), late = behind(t);
    int64_t ms;

    buf_printf(out, " %3zu partitions, replication %d", t->npartitions, t->npartitions ? t->partitions[0].replicas : 0);
    if (policy && !strcmp(policy, "compact")) {
        buf_put_text(out, ", compacted");
    } else if (retention && slice_to_int(slice_of(retention), 0, INT64_MAX, &ms)) {
        buf_put_text(out, ", kept ");
        duration_write(ms, out);
    } else if (retention) {
        buf_put_text(out, ", kept for ever");
    }
    if (lost)
        buf_printf(out, ", %zu WITHOUT LEADER", lost);
    if (late)
        buf_printf(out, ", %zu with replicas behind", late);
}

static void put_line(struct run *r, size_t i, struct buf *out)
{
    struct row *row = &r->rows[i];
    const struct topic_want *w = &r->plan.at[i];

    buf_printf(out, "%-32s %-8s", w->name, row->outcome);
    if (row->have && !row->have->error)
        put_have(row->have, out);
    else if (!row->what.len && strcmp(row->outcome, "missing") != 0)
        buf_printf(out, " %3d partitions, replication %d", w->partitions, w->replication);
    if (row->what.len)
        buf_printf(out, "  %s", buf_text(&row->what));
    if (row->fix.len)
        buf_printf(out, "\n%-32s to do:   %s", "", buf_text(&row->fix));
    buf_put_byte(out, '\n');
}

static bool is(const struct row *row, const char *outcome) { return !strcmp(row->outcome, outcome); }

static int finish(struct run *r)
{
    struct buf out = BUF(OUTPUT_MAX);
    int code = CLI_OK;
    bool written;

    if (r->cli->json)
        buf_put_byte(&out, '[');
    for (size_t i = 0; i < r->plan.count; i++) {
        const struct row *row = &r->rows[i];

        if (r->cli->json)
            put_json(r, i, &out);
        else
            put_line(r, i, &out);
        if (is(row, "refused"))
            code = CLI_FAILED;
        else if (code == CLI_OK &&
                 (is(row, "differs") || is(row, "missing") || (is(row, "exists") && row->have && without_leader(row->have))))
            code = CLI_FOUND;
    }
    if (r->cli->json)
        buf_put_text(&out, "]\n");
    written = !out.failed && fwrite(out.at, 1, out.len, stdout) == out.len && !fflush(stdout);
    buf_free(&out);
    if (!written)
        return cli_fail(r->cli, "cannot write the output");
    if (!r->config->nagents)
        fprintf(stderr, "stepmill topics: the config has no agents, so no tasks topic is among them\n");
    return code;
}

static int run(struct run *r, bool create)
{
    int partitions = r->partitions ? (int)r->partitions : r->config->topics.partitions;

    if (!r->replication)
        r->replication = r->config->topics.replication;
    if (!topic_plan_make(r->config, partitions, (int)r->replication, &r->plan))
        return cli_fail(r->cli, "no memory left");
    r->admin = cli_admin_open(r->cli, r->config);
    if (!r->admin || !look_at_all(r) || (create && !create_missing(r)))
        return CLI_FAILED;
    return finish(r);
}

static int with_config(struct run *r, bool create)
{
    int code = CLI_FAILED;

    r->config = cli_config_load(r->cli, CONFIG_NEED_KAFKA);
    if (r->config)
        code = run(r, create);
    for (size_t i = 0; i < TOPICS_MAX; i++) {
        buf_free(&r->rows[i].what);
        buf_free(&r->rows[i].fix);
    }
    kafka_topics_free(r->topics);
    kafka_admin_close(r->admin);
    topic_plan_free(&r->plan);
    config_free(r->config);
    return code;
}

int cli_topics(struct cli *cli, int argc, char **argv)
{
    static const char *const words[] = {"create", "list", NULL};
    struct run *r = calloc(1, sizeof *r);
    const struct cli_argument arguments[] = {
        {"dry-run", 'n', CLI_FLAG, r ? &r->dry_run : NULL, NULL, "create: ask the brokers, change nothing", 0, 0},
        {"partitions", 0, CLI_INT, r ? &r->partitions : NULL, "N", "in place of topics.partitions (12)", 1, 100000},
        {"replication", 0, CLI_INT, r ? &r->replication : NULL, "N", "in place of topics.replication (3)", 1, 100},
    };
    const struct cli_usage usage = {
        .synopsis = "topics create|list [--dry-run] [--partitions N] [--replication N]",
        .about = "create   makes the topics of this config that are missing: tasks of each agent, results, events, dead letters\n"
                 "         and their actions, definitions; with partitions, replication, sizes and retention as configured.\n"
                 "         One line each: created, exists, differs (what, and how to mend it), refused (why). What exists is\n"
                 "         never changed. Exit code 3 when something differs, 1 when something was refused.\n"
                 "list     shows them as they are. Exit code 3 when one is missing, differs, or has no leader.",
        .arguments = arguments,
        .narguments = sizeof arguments / sizeof *arguments,
        .words_min = 1,
        .words_max = 1,
        .examples = "stepmill topics create --config stepmill.yaml --dry-run\n"
                    "stepmill topics create --replication 1   # on a single broker\n",
    };
    int code, word;

    if (!r)
        return cli_fail(cli, "no memory left");
    r->cli = cli;
    if (cli_parse(cli, &usage, argc, argv, &code)) {
        word = cli_choose(cli, words, cli->rest[0]);
        code = word < 0 ? CLI_USAGE : with_config(r, word == 0);
    }
    free(r);
    return code;
}
