/* stepmill dlq serve */
#include "cli.h"
#include "stepmill/dlq.h"

enum { NEEDS = CONFIG_NEED_KAFKA | CONFIG_NEED_REGISTRY | CONFIG_NEED_DLQ };

static struct config *load_again(void *ctx, struct config_report *report) { return cli_config_try(ctx, NEEDS, report); }

int cli_dlq_serve(struct cli *cli, int argc, char **argv)
{
    static const struct cli_usage usage = {
        .synopsis = "dlq serve",
        .about = "The dead-letter processor: reads dead letters (ours, and those of Kafka Connect, Spring and Kafka Streams in "
                 "dlq.topics), groups them by cause, alerts, tries again later, and serves the review API and its dashboard at "
                 "dlq.listen.\n"
                 "Its index in dlq.folder is made of the topics alone: delete it, and it comes back. SIGHUP takes over what the "
                 "configuration says reloads.\n"
                 "Of two processors with one dlq.name the older one is stopped.",
        .examples =
            "stepmill dlq serve --config stepmill.yaml\n"
            "stepmill dlq serve --set dlq.folder=dlq-index --set dlq.access.anonymous=view   # to look, from this machine\n",
    };
    struct config *config;
    int code;

    if (!cli_parse(cli, &usage, argc, argv, &code))
        return code;
    config = cli_config_load(cli, NEEDS);
    if (!config)
        return CLI_FAILED;
    code =
        dlq_run(&(struct dlq_options){.config = config, .log = &cli->log, .load = load_again, .ctx = cli}) ? CLI_FAILED : CLI_OK;
    config_free(config);
    return code;
}
