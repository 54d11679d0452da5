/* stepmill tail results | events | dlq */
#include <stdlib.h>
#include <unistd.h>

#include "stepmill/avro_json.h"
#include "stepmill/clock.h"
#include "stepmill/event_codec.h"
#include "stepmill/json.h"
#include "stepmill/kafka_admin.h"
#include "stepmill/result_codec.h"
#include "stepmill/wire_format.h"
#include "tail.h"

enum { SCHEMA_WAIT_MS = 10000, OPEN_MS = 15000, ARENA_MAX = 64 * 1024 * 1024, SEEN = 1 << 17 };

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

static const char *schema_of(struct tail *t, const struct kafka_record *k, const struct schema **schema, struct slice *avro,
                             uint32_t *id, struct detail *detail)
{
    struct error error = wire_parse(k->value, id, avro);

    if (!failed(error))
        error = registry_fetch(t->link.registry, *id, SCHEMA_WAIT_MS, schema, detail);
    return failed(error) ? error.text : NULL;
}

/* Fills what the filters and lines need. */
static void read_value(struct tail *t, struct tail_record *r, struct arena *arena)
{
    const struct avro_record *reader = t->what == TAIL_EVENTS ? &event_reader : &result_reader;
    const struct schema *schema;
    const struct avro_plan *plan;
    struct detail detail;
    struct error error;
    struct slice avro;
    uint32_t id;

    if (t->what == TAIL_DLQ) {
        r->task_id = tail_header(r->kafka, "stepmill.task_id");
        r->agent = tail_header(r->kafka, "stepmill.agent");
        r->session_id = r->kafka->key;
        return;
    }
    r->trouble = schema_of(t, r->kafka, &schema, &avro, &id, &detail);
    if (r->trouble)
        return;
    error = registry_plan(t->link.registry, id, reader, &plan, &detail);
    if (!failed(error))
        error = t->what == TAIL_EVENTS ? event_read(plan, avro, arena, &r->event, &detail)
                                       : result_read(plan, avro, arena, &r->result, &detail);
    r->trouble = failed(error) ? error.text : NULL;
    if (r->trouble)
        return;
    r->task_id = t->what == TAIL_EVENTS ? r->event.task_id : r->result.task_id;
    r->session_id = t->what == TAIL_EVENTS ? r->event.session_id : r->result.session_id;
    r->agent = t->what == TAIL_EVENTS ? r->event.agent : r->result.agent;
}

static void put_text_or_null(struct buf *out, struct slice s)
{
    if (s.at)
        json_put_string(out, s);
    else
        buf_put_text(out, "null");
}

static void put_json(struct tail *t, const struct tail_record *r, struct buf *out)
{
    const struct kafka_record *k = r->kafka;
    const struct schema *schema;
    struct detail detail;
    struct slice avro;
    uint32_t id;
    size_t before;

    buf_printf(out, "{\"topic\": \"%s\", \"partition\": %d, \"offset\": %lld, \"timestamp\": %lld, \"key\": ", k->topic,
               k->partition, (long long)k->offset, (long long)k->timestamp);
    put_text_or_null(out, k->key);
    buf_put_text(out, ", \"headers\": [");
    for (size_t i = 0; i < k->nheaders; i++) {
        buf_put_text(out, i ? ", {\"name\": " : "{\"name\": ");
        json_put_string(out, k->headers[i].name);
        buf_put_text(out, ", \"value\": ");
        put_text_or_null(out, k->headers[i].value);
        buf_put_byte(out, '}');
    }
    buf_put_text(out, "], \"value\": ");
    before = out->len;
    if (!k->value.at || schema_of(t, k, &schema, &avro, &id, &detail) || failed(avro_json_put(schema, avro, out))) {
        out->len = before;
        buf_put_text(out, "null, \"value_text\": ");
        put_text_or_null(out, k->value);
    }
    buf_put_text(out, "}\n");
}

static bool wanted(const struct tail *t, const struct tail_record *r)
{
    return (!t->task || slice_is(r->task_id, t->task)) && (!t->session || slice_is(r->session_id, t->session)) &&
           (!t->agent || slice_is(r->agent, t->agent));
}

static bool show(struct tail *t, const struct kafka_record *k, struct seen *seen)
{
    struct tail_record r = {.kafka = k};
    struct arena *arena = arena_new(ARENA_MAX);
    struct buf out = BUF(ARENA_MAX);
    bool ok = arena != NULL;

    if (arena)
        read_value(t, &r, arena);
    if (arena && wanted(t, &r) && !(t->what == TAIL_EVENTS && seen_before(seen, tail_header(k, "ce_id")))) {
        if (t->cli->json)
            put_json(t, &r, &out);
        else
            tail_put_text(t, &r, &out);
        ok = !out.failed && fwrite(out.at, 1, out.len, stdout) == out.len && fflush(stdout) == 0;
        t->shown++;
    }
    buf_free(&out);
    arena_free(arena);
    return ok;
}

static int read_all(struct tail *t, struct kafka_reader *reader)
{
    struct seen *seen = calloc(1, sizeof *seen);
    const struct kafka_record *record;
    int code = seen ? CLI_OK : cli_fail(t->cli, "out of memory");

    while (code == CLI_OK && (!t->limit || t->shown < t->limit)) {
        enum kafka_read got = kafka_reader_next(reader, 200, &record);

        if (got == KAFKA_READ_RECORD) {
            if (!show(t, record, seen))
                code = CLI_FAILED; /* the reader of our output went away, or no memory */
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
    int64_t since = 0;
    int code;

    if (t->since && !cli_time(t->since, false, clock_wall_ms(), &since))
        return cli_misuse(t->cli, "--since \"%s\" is neither a duration (10m) nor an RFC 3339 time nor Unix ms", t->since);
    error = kafka_reader_open(&reader, &kafka, topic, -1, start, since, OPEN_MS, detail, sizeof detail);
    if (failed(error))
        return cli_fail(t->cli, "kafka: %s: %s (stepmill topics create makes missing topics)", error.text, detail);
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
        {"since", 0, CLI_TEXT, &t.since, "TIME", "10m ago, or an RFC 3339 time", 0, 0},
        {"task", 't', CLI_TEXT, &t.task, "ID", "only this task", 0, 0},
        {"session", 's', CLI_TEXT, &t.session, "ID", "only this session", 0, 0},
        {"agent", 'a', CLI_TEXT, &t.agent, "AGENT", "only this agent", 0, 0},
        {"limit", 'n', CLI_INT, &t.limit, "N", "stop after N records", 1, INT64_MAX},
        {"verbose", 'v', CLI_FLAG, &t.verbose, NULL, "whole texts, not their beginnings", 0, 0},
    };
    const struct cli_usage usage = {
        .synopsis = "tail results|events|dlq [--follow]",
        .about = "Shows results, events or dead letters, committed ones only; from the beginning, or from --since. Events that "
                 "lie in the topic\n"
                 "more than once are shown once. --json: one object a line, with key, headers and the decoded value.",
        .arguments = arguments,
        .narguments = sizeof arguments / sizeof *arguments,
        .words_min = 1,
        .words_max = 1,
        .examples = "stepmill tail events --follow --task 0193\n"
                    "stepmill tail dlq --since 1h --json\n",
    };
    int code, what;

    if (!cli_parse(cli, &usage, argc, argv, &code))
        return code;
    what = cli_choose(cli, whats, cli->rest[0]);
    if (what < 0)
        return CLI_USAGE;
    t.what = (enum tail_what)what;
    t.config = cli_config_load(cli, CONFIG_NEED_KAFKA | CONFIG_NEED_REGISTRY);
    if (!t.config)
        return CLI_FAILED;
    code = cli_link_open(cli, t.config, &t.link) ? run(&t) : CLI_FAILED;
    cli_link_close(&t.link);
    config_free(t.config);
    return code;
}
