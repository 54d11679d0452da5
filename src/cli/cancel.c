/* stepmill cancel */
#include "stepmill/cells.h"
#include "stepmill/json.h"
#include "stepmill/task_codec.h"
#include "store.h"

struct cancel {
    struct cli *cli;
    struct config *config;
    struct loop *loop;
    struct redis *redis;
    struct cells *cells;
    struct slice task_id;
    bool answered;
    struct error error;
    enum cells_status status;
};

static void on_answer(void *ctx, struct ticket ticket, enum cells_op op, const struct cells_answer *answer)
{
    struct cancel *c = ctx;

    (void)ticket;
    (void)op;
    c->answered = true;
    c->error = answer->error;
    c->status = answer->status;
}

static int tell(const struct cancel *c)
{
    struct buf out = BUF(4096);
    bool ended = c->status == CELLS_GONE, written;

    if (c->cli->json) {
        buf_put_text(&out, "{\"task_id\": ");
        json_put_string(&out, c->task_id);
        buf_printf(&out, ", \"cancelled\": %s, \"ended\": %s}\n", ended ? "false" : "true", ended ? "true" : "false");
    } else if (ended) {
        buf_printf(&out, "%.*s has ended already; nothing was changed\n", SLICE_FMT(c->task_id));
    } else {
        buf_printf(&out,
                   "%.*s is asked to stop: its worker sees it with the next step and sends a result \"cancelled\".\n"
                   "A task that has not begun is cancelled when it is read, within 24 h.\n",
                   SLICE_FMT(c->task_id));
    }
    written = fwrite(out.at, 1, out.len, stdout) == out.len && !fflush(stdout);
    buf_free(&out);
    if (!written)
        return cli_fail(c->cli, "cannot write the output");
    return ended ? CLI_FOUND : CLI_OK;
}

/* Asked again after an error costs nothing: the flag is the same. */
static int ask(struct cancel *c)
{
    const struct config_redis *r = &c->config->redis;

    if (!store_wait_up(c->loop, c->redis, r->connect_timeout_ms + r->timeout_ms))
        return cli_fail(c->cli, "redis: %s (%s); `stepmill doctor` tries it",
                        failed(redis_why_down(c->redis)) ? redis_why_down(c->redis).text : "no answer in time", r->url);
    cells_cancel(c->cells, (struct ticket){0}, c->task_id);
    if (!store_turn_until(c->loop, &c->answered, r->timeout_ms * 2))
        return cli_fail(c->cli, "redis: no answer in time; it is not known whether the task is asked to stop: try again");
    if (failed(c->error))
        return cli_fail(c->cli, "redis: %s (%s)", c->error.text, c->error.code);
    return tell(c);
}

static int run(struct cancel *c)
{
    struct error error;

    c->loop = loop_new();
    if (!c->loop)
        return cli_fail(c->cli, "no event loop: out of memory or file descriptors");
    error = store_open(c->cli, c->config, c->loop, &c->redis);
    if (failed(error))
        return cli_fail(c->cli, "redis: %s (%s)", error.text, error.code);
    c->cells = cells_new(c->redis, &c->cli->log,
                         &(struct cells_options){.prefix = c->config->redis.prefix, .answered = on_answer, .ctx = c});
    return c->cells ? ask(c) : cli_fail(c->cli, "redis.prefix is too long, or no memory is left");
}

int cli_cancel(struct cli *cli, int argc, char **argv)
{
    struct cancel c = {.cli = cli};
    const struct cli_usage usage = {
        .synopsis = "cancel TASK_ID",
        .about =
            "Asks whoever runs the task to stop it. The task then ends as \"cancelled\", with one result like any other. Calls\n"
            "of tools that are under way are not undone. Exit code 3 when the task has ended already.",
        .words_min = 1,
        .words_max = 1,
        .examples = "stepmill cancel 01935f2e-7a1c-7c3e-9f61-0f2a4d5e6f70 --config stepmill.yaml\n"
                    "stepmill tail results --task 01935f2e-7a1c-7c3e-9f61-0f2a4d5e6f70   # its result\n",
    };
    int code;

    if (!cli_parse(cli, &usage, argc, argv, &code))
        return code;
    c.task_id = slice_of(cli->rest[0]);
    if (!task_id_valid(c.task_id))
        return cli_misuse(cli, "a task_id is 1 to 128 printable ASCII characters without '\"' and '/'");
    c.config = cli_config_load(cli, CONFIG_NEED_REDIS);
    if (!c.config)
        return CLI_FAILED;
    code = run(&c);
    redis_free(c.redis);
    cells_free(c.cells);
    loop_free(c.loop);
    config_free(c.config);
    return code;
}
