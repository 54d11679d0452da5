/* stepmill produce */
#include "produce.h"

#include <sys/stat.h>
#include <unistd.h>

#include "stepmill/arena.h"
#include "stepmill/clock.h"
#include "stepmill/random.h"
#include "stepmill/task_json.h"
#include "stepmill/time_text.h"

enum { LINE_MAX_BYTES = KAFKA_MESSAGE_MAX, CHUNK = 64 * 1024 };

/* ---- One task of the flags, which are also the defaults of lines */

static const char *read_context(const struct produce *p, struct arena *arena, struct task_input *t)
{
    struct context_entry *entries = arena_alloc(arena, (p->context.count + 1) * sizeof *entries);

    if (!entries)
        return "no memory left";
    for (size_t i = 0; i < p->context.count; i++) {
        const char *item = p->context.items[i], *equals = strchr(item, '='); /* check_arguments saw that it is there */

        entries[i] = (struct context_entry){{item, (size_t)(equals - item)}, slice_of(equals + 1)};
    }
    t->context = entries;
    t->ncontext = p->context.count;
    return NULL;
}

static bool read_deadline(const struct produce *p, int64_t now_ms, int64_t *at_ms)
{
    return !p->deadline || (time_read(slice_of(p->deadline), true, now_ms, at_ms) && *at_ms >= 0);
}

/* `id` becomes the task's, and its session's, unless somebody names others. */
static const char *from_flags(const struct produce *p, struct arena *arena, char id[37], struct task_input *t)
{
    *t = (struct task_input){.source_agent = slice_of(p->source),
                             .target_agent = slice_of(p->agent),
                             .prompt = slice_of(p->prompt),
                             .created_at_ms = clock_wall_ms(),
                             .max_steps = (int32_t)p->max_steps,
                             .token_budget = (int32_t)p->token_budget,
                             .deadline_at_ms = -1};
    random_uuid7(id, t->created_at_ms);
    t->task_id = slice_of(p->task_id ? p->task_id : id);
    t->session_id = p->session ? slice_of(p->session) : t->task_id;
    if (!read_deadline(p, t->created_at_ms, &t->deadline_at_ms))
        return "--deadline does not fit the clock any more";
    return read_context(p, arena, t);
}

static const char *send_flags(struct produce *p, struct arena *arena, struct detail *detail)
{
    struct task_input t;
    char id[37];
    const char *wrong = from_flags(p, arena, id, &t);

    return wrong ? wrong : produce_task(p, &t, detail);
}

/* ---- Many tasks, one JSON object a line */

static const char *send_line(struct produce *p, struct slice line, struct arena *arena, struct detail *detail)
{
    struct task_input t;
    char id[37];
    const char *wrong = from_flags(p, arena, id, &t);
    struct error error;

    if (wrong)
        return wrong;
    error = task_json_read(line, t.created_at_ms, arena, &t, detail);
    if (failed(error))
        return error.class == CLASS_INTERNAL ? error.text : detail->text;
    if (slice_is(t.session_id, id)) /* a session of its own bears the name of the task, whoever gave that */
        t.session_id = t.task_id;
    return produce_task(p, &t, detail);
}

/* Without its end. False: no line is left. Too long a line sets line->failed. */
static bool read_line(struct buf *line)
{
    int c;

    buf_clear(line);
    while ((c = getc_unlocked(stdin)) != EOF && c != '\n')
        buf_put_byte(line, (char)c);
    return c != EOF || line->len || line->failed;
}

static bool is_blank(struct slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!strchr(" \t\r", s.at[i]) || !s.at[i])
            return false;
    return true;
}

/* For the progress bar; -1: standard input is no file. */
static int64_t count_lines(void)
{
    char chunk[CHUNK];
    struct stat what;
    int64_t n = 0;
    ssize_t got;
    off_t at = lseek(STDIN_FILENO, 0, SEEK_CUR);

    if (at < 0 || fstat(STDIN_FILENO, &what) || !S_ISREG(what.st_mode))
        return -1;
    for (; (got = pread(STDIN_FILENO, chunk, sizeof chunk, at)) > 0; at += got)
        for (ssize_t i = 0; i < got; i++)
            n += chunk[i] == '\n';
    return n;
}

static int send_lines(struct produce *p)
{
    struct buf line = BUF(LINE_MAX_BYTES);
    struct detail detail;
    const char *wrong = NULL;
    int64_t number = 0;

    while (!wrong && !p->refused && !p->output_gone && read_line(&line)) {
        struct arena *arena = arena_new(4 * (size_t)LINE_MAX_BYTES);

        number++;
        if (line.failed || !arena)
            wrong = arena ? "longer than 8 MiB" : "no memory left";
        else if (!is_blank(buf_slice(&line)))
            wrong = send_line(p, buf_slice(&line), arena, &detail);
        if (wrong)
            cli_fail(p->cli, "standard input, line %lld: %s; the %zu tasks before it were sent, none behind it",
                     (long long)number, wrong, p->sent);
        arena_free(arena);
        produce_keep_pace(p);
    }
    buf_free(&line);
    if (!wrong && p->refused)
        return cli_fail(p->cli, "stopped behind line %lld: Kafka does not take the tasks", (long long)number);
    if (!wrong && ferror(stdin))
        return cli_fail(p->cli, "standard input can't be read behind line %lld", (long long)number);
    return wrong ? CLI_FAILED : CLI_OK;
}

/* Standard input as the value of one record, unchecked: to see what the worker makes of what is no task. */
static const char *send_stdin(struct produce *p)
{
    struct buf value = BUF(KAFKA_MESSAGE_MAX);
    const char *wrong = "standard input is larger than 8 MiB";
    char *at;
    size_t n = 1;

    while (n && (at = buf_reserve(&value, CHUNK)))
        value.len += n = fread(at, 1, CHUNK, stdin);
    if (!value.failed)
        wrong = produce_raw(p, buf_slice(&value));
    buf_free(&value);
    return wrong;
}

/* ---- The command */

static int run(struct produce *p)
{
    struct arena *arena = arena_new(LINE_MAX_BYTES);
    const char *wrong = "no memory left";
    struct detail detail;
    int code = CLI_OK;

    p->progress = cli_progress_start("produced", p->from_stdin ? count_lines() : 1);
    p->progress.on = p->progress.on && !isatty(STDOUT_FILENO); /* the ids themselves show how far it is */
    if (p->from_stdin)
        code = send_lines(p);
    else if (arena && (wrong = p->raw ? send_stdin(p) : send_flags(p, arena, &detail)))
        code = cli_fail(p->cli, "%s", wrong);
    arena_free(arena);
    return produce_finish(p, code);
}

static int check_arguments(struct produce *p)
{
    int64_t at_ms;

    if (p->cli->nrest == 1 && !strcmp(p->cli->rest[0], "-"))
        p->from_stdin = true;
    else if (p->cli->nrest)
        return cli_misuse(p->cli, "unexpected \"%s\"; a prompt of several words needs quotes", p->cli->rest[0]);
    if (!p->agent)
        return cli_misuse(p->cli, "--agent is needed: whose topic shall it go to?");
    if (p->raw && p->from_stdin)
        return cli_misuse(p->cli, "--raw sends all of standard input as one record, --stdin its lines as tasks: give one");
    if (p->from_stdin && p->task_id)
        return cli_misuse(p->cli, "--task-id names one task; lines name theirs by \"task_id\"");
    if (!p->from_stdin && !p->raw && !p->prompt)
        return cli_misuse(p->cli, "--prompt is needed, or --stdin for many tasks as JSON lines");
    if (!read_deadline(p, clock_wall_ms(), &at_ms))
        return cli_misuse(p->cli, "--deadline \"%s\" is neither a duration from now (5m) nor a time (2026-11-21T05:00:00Z)",
                          p->deadline);
    for (size_t i = 0; i < p->context.count; i++)
        if (!strchr(p->context.items[i], '='))
            return cli_misuse(p->cli, "--context wants KEY=VALUE, not \"%s\"", p->context.items[i]);
    return CLI_OK;
}

static int with_config(struct produce *p)
{
    int code;

    p->config = cli_config_load(p->cli, CONFIG_NEED_KAFKA | (p->raw ? 0 : CONFIG_NEED_REGISTRY));
    if (!p->config)
        return CLI_FAILED;
    code = produce_open(p) ? run(p) : CLI_FAILED;
    produce_close(p);
    config_free(p->config);
    return code;
}

int cli_produce(struct cli *cli, int argc, char **argv)
{
    struct produce p = {.cli = cli, .source = "cli", .max_steps = -1, .token_budget = -1};
    const struct cli_argument arguments[] = {
        {"agent", 'a', CLI_TEXT, &p.agent, "AGENT", "the agent that shall do it", 0, 0},
        {"session", 's', CLI_TEXT, &p.session, "ID", "session_id and key (a session of its own)", 0, 0},
        {"prompt", 'p', CLI_TEXT, &p.prompt, "TEXT", "what to do", 0, 0},
        {"task-id", 0, CLI_TEXT, &p.task_id, "ID", "(a new UUIDv7)", 0, 0},
        {"context", 0, CLI_LIST, &p.context, "KEY=VALUE", "an entry of the context; may be repeated", 0, 0},
        {"max-steps", 0, CLI_INT, &p.max_steps, "N", "1 to 25 (the agent's)", MAX_STEPS_LEAST, MAX_STEPS_MOST},
        {"token-budget", 0, CLI_INT, &p.token_budget, "N", "512 to 32768 (the agent's)", TOKEN_BUDGET_LEAST, TOKEN_BUDGET_MOST},
        {"deadline", 0, CLI_TEXT, &p.deadline, "TIME", "5m from now, or an RFC 3339 time (none)", 0, 0},
        {"source", 0, CLI_TEXT, &p.source, "NAME", "source_agent (cli)", 0, 0},
        {"stdin", 0, CLI_FLAG, &p.from_stdin, NULL, "read tasks as JSON lines; also: produce -", 0, 0},
        {"raw", 0, CLI_FLAG, &p.raw, NULL, "send standard input as one value, unchecked: to try the dead-letter topic", 0, 0},
        {"rate", 0, CLI_INT, &p.rate, "N", "at most N tasks a second (no limit)", 1, 1000000},
    };
    const struct cli_usage usage = {
        .synopsis = "produce --agent AGENT (--prompt TEXT | --stdin)",
        .about = "Sends tasks and waits until Kafka has acknowledged each; prints task_id, topic, partition and offset.\n"
                 "A line of --stdin is an object with the field names of AgentTaskEvent; what it leaves out comes from the\n"
                 "flags. Times are Unix ms, RFC 3339 or a duration. What a worker would refuse is refused here: sending stops\n"
                 "at the first bad line. Exit codes: 0 all acknowledged, 1 not all, 2 usage.",
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
    return code == CLI_OK ? with_config(&p) : code;
}
