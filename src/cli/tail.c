/* stepmill tail results | events | dlq */
#include <stdlib.h>
#include <unistd.h>

#include "stepmill/clock.h"
#include "stepmill/kafka_admin.h"
#include "stepmill/time_text.h"
#include "tail.h"

enum { OPEN_MS = 15000, ARENA_MAX = 64 * 1024 * 1024, OUTPUT_MAX = 128 * 1024 * 1024, SEEN = 1 << 17 };

/* Which cells were shown: an event may lie in the topic more than once, with equal ce_id. Hashes only; emptied when half full. */
struct seen {
    uint64_t at[SEEN];
    size_t n;
};

static uint64_t hash_of(struct slice s)
{
    uint64_t h = UINT64_C(14695981039346656037);

    for (size_t i = 0; i < s.len; i++)
        h = (h ^ (uint8_t)s.at[i]) * UINT64_C(1099511628211);
    return h ? h : 1;
}

static bool seen_before(struct seen *s, struct slice id)
{
    uint64_t h = hash_of(id);
    size_t i = (size_t)(h % SEEN);

    if (!id.at)
        return false;
    if (s->n > SEEN / 2)
        *s = (struct seen){.n = 0};
    for (; s->at[i]; i = (i + 1) % SEEN)
        if (s->at[i] == h)
            return true;
    s->at[i] = h;
    s->n++;
    return false;
}

static bool wanted(const struct tail *t, const struct tail_record *r)
{
    return (!t->task || slice_is(r->task_id, t->task)) && (!t->session || slice_is(r->session_id, t->session)) &&
           (!t->agent || slice_is(r->agent, t->agent)) && (t->what != TAIL_DLQ || tail_letter_time(r->kafka) >= t->since_ms);
}

/* The exit code: something is wrong unless CLI_OK. */
static int show(struct tail *t, const struct kafka_record *k, struct seen *seen)
{
    struct tail_record r = {.kafka = k};
    struct arena *arena = arena_new(ARENA_MAX);
    struct buf out = BUF(OUTPUT_MAX);
    int code = CLI_OK;

    if (!arena)
        return cli_fail(t->cli, "no memory left");
    if (!tail_read(t, &r, arena)) {
        code = CLI_FAILED;
    } else if (wanted(t, &r) && !(t->what == TAIL_EVENTS && seen_before(seen, tail_header(k, "ce_id")))) {
        if (t->cli->json)
            tail_put_json(&r, &out);
        else
            tail_put_text(t, &r, &out);
        if (out.failed)
            code = cli_fail(t->cli, "%s/%d/%lld needs more memory than there is", k->topic, k->partition, (long long)k->offset);
        else if (fwrite(out.at, 1, out.len, stdout) != out.len || fflush(stdout))
            code = CLI_FAILED; /* who read our output went away, and knows */
        t->shown++;
    }
    buf_free(&out);
    arena_free(arena);
    return code;
}

static int read_all(struct tail *t, struct kafka_reader *reader)
{
    struct seen *seen = calloc(1, sizeof *seen);
    const struct kafka_record *record;
    int code = seen ? CLI_OK : cli_fail(t->cli, "no memory left");

    while (code == CLI_OK && (!t->limit || t->shown < t->limit)) {
        enum kafka_read got = kafka_reader_next(reader, 200, &record);

        if (got == KAFKA_READ_RECORD) {
            code = show(t, record, seen);
        } else if (got == KAFKA_READ_FAILED) {
            const char *detail = "";
            struct error error = kafka_reader_error(reader, &detail);

            code = cli_fail(t->cli, "kafka: %s: %s", error.text, detail);
        } else if (got == KAFKA_READ_END && !t->follow) {
            break;
        }
    }
    free(seen);
    return code;
}

static int run(struct tail *t)
{
    const struct config_topics *topics = &t->config->topics;
    const char *topic = t->what == TAIL_RESULTS ? topics->results : t->what == TAIL_EVENTS ? topics->events : topics->dlq;
    enum kafka_start start = t->since ? KAFKA_START_TIME : t->follow ? KAFKA_START_END : KAFKA_START_BEGINNING;
    struct kafka_options kafka = cli_kafka(t->cli, t->config);
    struct kafka_reader *reader;
    char detail[256] = "";
    struct error error;
    int code;

    if (t->since && t->what == TAIL_DLQ) /* letters bear the times of their originals, so these can't be searched */
        start = KAFKA_START_BEGINNING;
    error = kafka_reader_open(&reader, &kafka, topic, -1, start, t->since_ms, OPEN_MS, detail, sizeof detail);
    if (failed(error))
        return cli_fail(t->cli, "kafka: %s: %s: %s%s", topic, error.text, detail,
                        error.class == CLASS_AGAIN                   ? CLI_BROKER_HINT
                        : !strcmp(error.code, "kafka_topic_missing") ? "; run: stepmill topics create"
                                                                     : "");
    code = read_all(t, reader);
    kafka_reader_close(reader);
    return code;
}

int cli_tail(struct cli *cli, int argc, char **argv)
{
    static const char *const whats[] = {"results", "events", "dlq", NULL};
    struct tail t = {.cli = cli, .colour = isatty(STDOUT_FILENO)};
    const struct cli_argument arguments[] = {
        {"follow", 'f', CLI_FLAG, &t.follow, NULL, "go on with what comes; without --since begin at the end", 0, 0},
        {"since", 0, CLI_TEXT, &t.since, "TIME", "10m ago, an RFC 3339 time or Unix ms (the beginning)", 0, 0},
        {"task", 't', CLI_TEXT, &t.task, "ID", "only this task_id", 0, 0},
        {"session", 's', CLI_TEXT, &t.session, "ID", "only this session_id", 0, 0},
        {"agent", 'a', CLI_TEXT, &t.agent, "AGENT", "only this agent", 0, 0},
        {"limit", 'n', CLI_INT, &t.limit, "N", "stop after N records (no limit)", 1, INT64_MAX},
        {"verbose", 'v', CLI_FLAG, &t.verbose, NULL, "whole texts, on lines of their own, not their beginnings", 0, 0},
    };
    const struct cli_usage usage = {
        .synopsis = "tail results|events|dlq [--follow] [--since TIME] [--task ID]",
        .about = "Shows results, events or dead letters, committed ones only, in the order of each partition. Times are UTC.\n"
                 "An event that lies in the topic more than once is shown once. --json: one object a line, with topic,\n"
                 "partition, offset, timestamp, key, headers and the decoded value; what can't be decoded is given as\n"
                 "value_text, with the trouble. Exit codes: 0 ok, 1 failed, 2 usage.",
        .arguments = arguments,
        .narguments = sizeof arguments / sizeof *arguments,
        .words_min = 1,
        .words_max = 1,
        .examples = "stepmill tail events --follow --agent orders\n"
                    "stepmill tail dlq --since 1h --json | jq .value.task_id\n",
    };
    int code, what;

    if (!cli_parse(cli, &usage, argc, argv, &code))
        return code;
    what = cli_choose(cli, whats, cli->rest[0]);
    if (what < 0)
        return CLI_USAGE;
    t.what = (enum tail_what)what;
    t.since_ms = INT64_MIN;
    if (t.since && !time_read(slice_of(t.since), false, clock_wall_ms(), &t.since_ms))
        return cli_misuse(cli, "--since \"%s\" is neither a duration (10m) nor an RFC 3339 time nor Unix ms", t.since);
    t.config = cli_config_load(cli, CONFIG_NEED_KAFKA | CONFIG_NEED_REGISTRY);
    if (!t.config)
        return CLI_FAILED;
    code = cli_link_open(cli, t.config, &t.link) ? run(&t) : CLI_FAILED;
    cli_link_close(&t.link);
    config_free(t.config);
    return code;
}
