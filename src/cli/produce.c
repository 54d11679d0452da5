/* stepmill produce */
#include <jansson.h>
#include <stdlib.h>

#include "link.h"
#include "stepmill/clock.h"
#include "stepmill/kafka_admin.h"
#include "stepmill/random.h"
#include "stepmill/task_codec.h"
#include "stepmill/trace.h"

enum { REGISTRY_WAIT_MS = 10000, FLUSH_MS = 60000, LINE_MAX_BYTES = 4 * 1024 * 1024 };

/* One run. */
struct produce {
    struct cli *cli;
    struct config *config;
    struct cli_link link;
    struct kafka_producer *producer;
    struct cli_progress progress;
    struct buf topic;
    const char *agent, *session, *prompt, *task_id, *source, *deadline;
    struct cli_list context;
    int64_t max_steps, token_budget, rate;
    bool from_stdin, raw;
    uint32_t schema_id;
    char (*ids)[ID_MAX + 1]; /* by tag, until delivered */
    size_t nids, ids_room;
    size_t sent, delivered, refused;
};

static void delivered(void *context, const struct kafka_delivery *d)
{
    struct produce *p = context;
    const char *id = p->ids[d->tag];

    p->delivered++;
    if (failed(d->error)) {
        p->refused++;
        cli_fail(p->cli, "%s was not acknowledged: %s (%s)", id, d->error.text, d->name ? d->name : d->error.code);
    } else if (p->cli->json) {
        printf("{\"task_id\": \"%s\", \"topic\": \"%s\", \"partition\": %d, \"offset\": %lld}\n", id, d->topic, d->partition,
               (long long)d->offset);
    } else {
        printf("%s %s %d %lld\n", id, d->topic, d->partition, (long long)d->offset);
    }
    cli_progress_show(&p->progress, (int64_t)p->delivered);
}

static bool keep_id(struct produce *p, struct slice id)
{
    if (p->nids == p->ids_room) {
        size_t room = p->ids_room ? p->ids_room * 2 : 64;
        char(*ids)[ID_MAX + 1] = realloc(p->ids, room * sizeof *ids);

        if (!ids)
            return false;
        p->ids = ids;
        p->ids_room = room;
    }
    memcpy(p->ids[p->nids], id.at, id.len);
    p->ids[p->nids++][id.len] = '\0';
    return true;
}

/* The limits of the worker, checked before anything is sent. NULL: fine. */
static const char *what_is_wrong(const struct task_input *t)
{
    if (!task_id_valid(t->task_id))
        return "task_id must be 1 to 128 printable ASCII characters without '\"' and '/'";
    if (!task_id_valid(t->session_id))
        return "session_id is missing, or not 1 to 128 printable ASCII characters without '\"' and '/'";
    if (!t->prompt.at || !t->prompt.len)
        return "prompt is missing";
    if (t->max_steps != -1 && (t->max_steps < MAX_STEPS_LEAST || t->max_steps > MAX_STEPS_MOST))
        return "max_steps must be between 1 and 25";
    if (t->token_budget != -1 && (t->token_budget < TOKEN_BUDGET_LEAST || t->token_budget > TOKEN_BUDGET_MOST))
        return "token_budget must be between 512 and 32768";
    return NULL;
}

static const char *send(struct produce *p, const struct task_input *t)
{
    struct buf value = BUF(KAFKA_MESSAGE_MAX);
    const char *wrong = what_is_wrong(t);
    uint8_t random[TRACE_RANDOM];
    char parent[TRACEPARENT_SIZE];
    struct kafka_header header = {SLICE("traceparent"), {parent, TRACEPARENT_SIZE - 1}};
    struct trace trace;
    struct error error;

    if (wrong)
        return wrong;
    random_bytes(random, sizeof random);
    trace_from_headers((struct slice){NULL, 0}, (struct slice){NULL, 0}, random, &trace);
    trace_format(&trace, parent);
    task_put(&value, p->schema_id, t);
    if (value.failed || !keep_id(p, t->task_id)) {
        buf_free(&value);
        return "the task is larger than 8 MiB, or there is no memory";
    }
    error = kafka_producer_send(p->producer, &(struct kafka_output){.topic = buf_text(&p->topic),
                                                                    .key = t->session_id,
                                                                    .value = buf_slice(&value),
                                                                    .headers = &header,
                                                                    .nheaders = 1,
                                                                    .tag = p->nids - 1});
    buf_free(&value);
    if (failed(error))
        return kafka_producer_detail(p->producer);
    p->sent++;
    kafka_producer_poll(p->producer, 0);
    return NULL;
}

static struct task_input blank(const struct produce *p)
{
    return (struct task_input){.source_agent = slice_of(p->source),
                               .target_agent = slice_of(p->agent),
                               .created_at_ms = clock_wall_ms(),
                               .max_steps = (int32_t)p->max_steps,
                               .token_budget = (int32_t)p->token_budget,
                               .deadline_at_ms = -1};
}

static const char *send_flags(struct produce *p)
{
    struct context_entry entries[CLI_LIST_MAX];
    struct task_input t = blank(p);
    char id[37];

    random_uuid7(id, t.created_at_ms);
    t.task_id = slice_of(p->task_id ? p->task_id : id);
    t.session_id = slice_of(p->session ? p->session : id);
    t.prompt = slice_of(p->prompt);
    if (p->deadline && !cli_time(p->deadline, true, t.created_at_ms, &t.deadline_at_ms))
        return "--deadline is neither a duration from now (5m) nor a time (2026-11-21T05:00:00Z)";
    for (size_t i = 0; i < p->context.count; i++) {
        const char *equals = strchr(p->context.items[i], '=');

        if (!equals)
            return "--context wants KEY=VALUE";
        entries[i].key = (struct slice){p->context.items[i], (size_t)(equals - p->context.items[i])};
        entries[i].value = slice_of(equals + 1);
    }
    t.context = entries;
    t.ncontext = p->context.count;
    return send(p, &t);
}

static struct slice text_of(const json_t *object, const char *name)
{
    const json_t *v = json_object_get(object, name);

    return json_is_string(v) ? (struct slice){json_string_value(v), json_string_length(v)} : (struct slice){NULL, 0};
}

static bool number_of(const json_t *object, const char *name, int64_t *number)
{
    const json_t *v = json_object_get(object, name);

    if (!v || json_is_null(v))
        return true;
    *number = json_integer_value(v);
    return json_is_integer(v);
}

static const char *read_context(const json_t *object, struct task_input *t, struct context_entry entries[EVENT_CONTEXT_MAX])
{
    json_t *context = json_object_get(object, "context"), *value;
    const char *key;

    t->context = entries;
    if (context && !json_is_object(context))
        return "context must be an object of strings";
    json_object_foreach(context, key, value)
    {
        if (!json_is_string(value) || t->ncontext == EVENT_CONTEXT_MAX)
            return "context must hold at most 256 strings";
        entries[t->ncontext++] = (struct context_entry){slice_of(key), {json_string_value(value), json_string_length(value)}};
    }
    return NULL;
}

static const char *send_object(struct produce *p, const json_t *object)
{
    static const char *const known[] = {"task_id",    "source_agent", "target_agent", "session_id",  "prompt",        "context",
                                        "created_at", "max_steps",    "token_budget", "deadline_at", "parent_task_id"};
    struct context_entry entries[EVENT_CONTEXT_MAX];
    struct task_input t = blank(p);
    int64_t steps = p->max_steps, budget = p->token_budget;
    const char *wrong, *name;
    json_t *ignored;
    char id[37];

    json_object_foreach((json_t *)(uintptr_t)object, name, ignored)
    {
        size_t i = 0;

        while (i < sizeof known / sizeof *known && strcmp(known[i], name) != 0)
            i++;
        if (i == sizeof known / sizeof *known)
            return "a member is unknown; the names are those of AgentTaskEvent: task_id, session_id, prompt, context, …";
    }
    random_uuid7(id, t.created_at_ms);
    t.task_id = text_of(object, "task_id").at ? text_of(object, "task_id") : slice_of(id);
    t.session_id = text_of(object, "session_id").at ? text_of(object, "session_id") : slice_of(p->session ? p->session : id);
    t.prompt = text_of(object, "prompt");
    t.parent_task_id = text_of(object, "parent_task_id");
    if (text_of(object, "source_agent").at)
        t.source_agent = text_of(object, "source_agent");
    if (text_of(object, "target_agent").at && !slice_is(text_of(object, "target_agent"), p->agent))
        return "target_agent is not the --agent whose topic this goes to";
    if (!number_of(object, "created_at", &t.created_at_ms) || !number_of(object, "deadline_at", &t.deadline_at_ms) ||
        !number_of(object, "max_steps", &steps) || !number_of(object, "token_budget", &budget))
        return "created_at, deadline_at (Unix ms), max_steps and token_budget must be whole numbers";
    t.max_steps = steps < INT32_MIN || steps > INT32_MAX ? 0 : (int32_t)steps;
    t.token_budget = budget < INT32_MIN || budget > INT32_MAX ? 0 : (int32_t)budget;
    wrong = read_context(object, &t, entries);
    return wrong ? wrong : send(p, &t);
}

static const char *send_line(struct produce *p, const char *line, size_t len, char room[200])
{
    json_error_t problem;
    json_t *object = json_loadb(line, len, JSON_REJECT_DUPLICATES, &problem);
    const char *wrong;

    if (!json_is_object(object)) {
        snprintf(room, 200, "not one JSON object: %.150s", object ? "another kind of value" : problem.text);
        json_decref(object);
        return room;
    }
    wrong = send_object(p, object);
    if (wrong && wrong != room)
        snprintf(room, 200, "%.199s", wrong);
    json_decref(object);
    return wrong ? room : NULL;
}

static void keep_pace(const struct produce *p, int64_t began_us)
{
    int64_t due = p->rate ? began_us + (int64_t)p->sent * 1000000 / p->rate : 0;

    while (p->rate && clock_mono_us() < due)
        kafka_producer_poll(p->producer, (int)((due - clock_mono_us()) / 1000 + 1));
}

static int send_lines(struct produce *p)
{
    int64_t began_us = clock_mono_us(), number = 0;
    char *line = NULL, room[200];
    const char *wrong = NULL;
    size_t size = 0;
    ssize_t len;

    while (!wrong && (len = getline(&line, &size, stdin)) > 0) {
        number++;
        if (strspn(line, " \t\r\n") == (size_t)len)
            continue;
        wrong = len > LINE_MAX_BYTES ? "longer than 4 MiB" : send_line(p, line, (size_t)len, room);
        keep_pace(p, began_us);
    }
    free(line);
    if (wrong)
        return cli_fail(p->cli, "standard input, line %lld: %s; the %zu tasks before it were sent", (long long)number, wrong,
                        p->sent);
    return CLI_OK;
}

/* Standard input as the value of one record, unchecked: to see what the worker makes of what is no task. */
static int send_raw(struct produce *p)
{
    struct buf value = BUF(KAFKA_MESSAGE_MAX);
    struct error error = error_none();
    char *at;
    size_t n = 1;

    while (n && (at = buf_reserve(&value, 4096)))
        value.len += n = fread(at, 1, 4096, stdin);
    if (value.failed || !keep_id(p, SLICE("raw")))
        error = error_make(CLASS_CONFIG, "too_large", "standard input is larger than 8 MiB");
    else
        error = kafka_producer_send(p->producer, &(struct kafka_output){.topic = buf_text(&p->topic),
                                                                        .key = slice_of(p->session),
                                                                        .value = {value.at, value.len},
                                                                        .tag = p->nids - 1});
    p->sent += !failed(error);
    buf_free(&value);
    return failed(error) ? cli_fail(p->cli, "%s", error.text) : CLI_OK;
}

static bool open_all(struct produce *p)
{
    struct kafka_options kafka = cli_kafka(p->cli, p->config);
    char subject[600], detail[256] = "";
    struct error error;

    p->topic = BUF(512);
    config_tasks_topic(p->config, p->agent, &p->topic);
    snprintf(subject, sizeof subject, "%s-value", buf_text(&p->topic));
    if (!cli_link_open(p->cli, p->config, &p->link))
        return false;
    error = registry_want(p->link.registry, subject, OWN_TASK);
    if (failed(error) || !cli_link_ready(p->cli, &p->link, REGISTRY_WAIT_MS) ||
        !registry_id(p->link.registry, subject, &p->schema_id))
        return false;
    error = kafka_producer_open(&p->producer, &kafka, delivered, p, detail, sizeof detail);
    if (failed(error))
        cli_fail(p->cli, "kafka: %s: %s", error.text, detail);
    return !failed(error);
}

static int run(struct produce *p)
{
    const char *wrong = NULL;
    int code = CLI_OK;

    p->progress = cli_progress_start("produced", p->from_stdin ? -1 : 1);
    if (p->raw)
        code = send_raw(p);
    else if (p->from_stdin)
        code = send_lines(p);
    else if ((wrong = send_flags(p)))
        code = cli_fail(p->cli, "%s", wrong);
    if (failed(kafka_producer_flush(p->producer, FLUSH_MS)))
        code = cli_fail(
            p->cli, "%zu of %zu tasks were not acknowledged in time: is the broker up, does %s exist (stepmill topics create)?",
            p->sent - p->delivered, p->sent, buf_text(&p->topic));
    cli_progress_end(&p->progress, (int64_t)p->delivered);
    return p->refused ? CLI_FAILED : code;
}

static int check_arguments(struct produce *p)
{
    if (p->cli->nrest == 1 && !strcmp(p->cli->rest[0], "-"))
        p->from_stdin = true;
    else if (p->cli->nrest)
        return cli_misuse(p->cli, "unexpected \"%s\"", p->cli->rest[0]);
    if (!p->agent)
        return cli_misuse(p->cli, "--agent is needed: whose topic shall it go to?");
    if (!p->from_stdin && !p->raw && !p->prompt)
        return cli_misuse(p->cli, "--prompt is needed, or --stdin for many tasks as JSON lines");
    return CLI_OK;
}

int cli_produce(struct cli *cli, int argc, char **argv)
{
    struct produce p = {.cli = cli, .source = "cli", .max_steps = -1, .token_budget = -1};
    const struct cli_argument arguments[] = {
        {"agent", 'a', CLI_TEXT, &p.agent, "AGENT", "the agent that shall do it", 0, 0},
        {"session", 's', CLI_TEXT, &p.session, "ID", "session_id and key; without it: a session of its own", 0, 0},
        {"prompt", 'p', CLI_TEXT, &p.prompt, "TEXT", "what to do", 0, 0},
        {"task-id", 0, CLI_TEXT, &p.task_id, "ID", "without it: a new UUIDv7", 0, 0},
        {"context", 0, CLI_LIST, &p.context, "KEY=VALUE", "an entry of the context; may be repeated", 0, 0},
        {"max-steps", 0, CLI_INT, &p.max_steps, "N", "1 to 25; without it: the agent's", 1, 25},
        {"token-budget", 0, CLI_INT, &p.token_budget, "N", "512 to 32768; without it: the agent's", 512, 32768},
        {"deadline", 0, CLI_TEXT, &p.deadline, "TIME", "5m from now, or an RFC 3339 time", 0, 0},
        {"source", 0, CLI_TEXT, &p.source, "NAME", "source_agent (cli)", 0, 0},
        {"stdin", 0, CLI_FLAG, &p.from_stdin, NULL, "read JSON lines with the field names of AgentTaskEvent", 0, 0},
        {"raw", 0, CLI_FLAG, &p.raw, NULL, "send standard input as one value, unchecked: to try the dead-letter topic", 0, 0},
        {"rate", 0, CLI_INT, &p.rate, "N", "at most N tasks a second", 1, 1000000},
    };
    const struct cli_usage usage = {
        .synopsis = "produce --agent AGENT (--prompt TEXT | --stdin)",
        .about = "Sends tasks and waits until Kafka has acknowledged each; prints task_id, topic, partition and offset.",
        .arguments = arguments,
        .narguments = sizeof arguments / sizeof *arguments,
        .words_max = 1,
        .examples = "stepmill produce --agent orders --session me --prompt \"Order o-9001: 1 x SKU-7 to 1 Elm Street\"\n"
                    "stepmill produce --agent orders --stdin --rate 100 < tasks.jsonl\n",
    };
    int code;

    if (!cli_parse(cli, &usage, argc, argv, &code))
        return code;
    code = check_arguments(&p);
    if (code != CLI_OK)
        return code;
    p.config = cli_config_load(cli, CONFIG_NEED_KAFKA | CONFIG_NEED_REGISTRY);
    if (!p.config)
        return CLI_FAILED;
    code = open_all(&p) ? run(&p) : CLI_FAILED;
    kafka_producer_close(p.producer);
    cli_link_close(&p.link);
    buf_free(&p.topic);
    free(p.ids);
    config_free(p.config);
    return code;
}
