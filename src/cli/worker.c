/* stepmill worker */
#include "stepmill/worker.h"
#include "cli.h"

static struct config *load_again(void *ctx, struct config_report *report) { return cli_config_try(ctx, CONFIG_NEED_ALL, report); }

int cli_worker(struct cli *cli, int argc, char **argv)
{
    static const struct cli_usage usage = {
        .synopsis = "worker",
        .about = "Consumes agent.tasks.<agent> of the configured agents, runs the tasks, and writes results, events and dead "
                 "letters.\n"
                 "SIGTERM or SIGINT: finishes or checkpoints what runs, commits, leaves the group (worker.drain_timeout); a "
                 "second signal: now.\n"
                 "Logs are JSON lines on stderr; probes and metrics are served at http.listen.",
        .examples = "stepmill worker --config stepmill.yaml\n"
                    "stepmill worker --set log.level=debug --set http.listen=127.0.0.1:8081\n",
    };
    struct config *config;
    int code;

    if (!cli_parse(cli, &usage, argc, argv, &code))
        return code;
    config = cli_config_load(cli, CONFIG_NEED_ALL);
    if (!config)
        return CLI_FAILED;
    code = worker_run(&(struct worker_options){.config = config, .log = &cli->log, .load = load_again, .ctx = cli}) ? CLI_FAILED
                                                                                                                    : CLI_OK;
    config_free(config);
    return code;
}
