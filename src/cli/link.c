/* Links to the registry and Kafka for one command. */
#include "link.h"

bool cli_link_open(struct cli *cli, const struct config *config, struct cli_link *link)
{
    struct error error;

    *link = (struct cli_link){.loop = loop_new()};
    if (cli->log.level < LOG_LEVEL_WARN) /* a command's own words say what goes well */
        cli->log.level = LOG_LEVEL_WARN;
    if (!link->loop) {
        cli_fail(cli, "no event loop: out of memory or file descriptors");
        return false;
    }
    error = http_client_new(link->loop, &cli->log, &(struct http_client_options){0}, &link->client);
    if (!failed(error))
        error = registry_new(&(struct registry_options){.loop = link->loop,
                                                        .client = link->client,
                                                        .log = &cli->log,
                                                        .config = &config->registry,
                                                        .limits = {.bytes = (size_t)config->limits.schema, .fields = 2000}},
                             &link->registry);
    if (!failed(error))
        return true;
    cli_fail(cli, "schema_registry: %s (%s)", error.text, error.code);
    cli_link_close(link);
    return false;
}

void cli_link_close(struct cli_link *link)
{
    registry_free(link->registry);
    http_client_free(link->client);
    loop_free(link->loop);
    *link = (struct cli_link){0};
}

static void tick(void *ctx) { (void)ctx; }

bool cli_link_ready(struct cli *cli, struct cli_link *link, int64_t timeout_ms)
{
    int64_t until = loop_now_ms(link->loop) + timeout_ms;
    struct registry_state state;
    struct loop_timer timer;

    loop_timer_init(&timer, link->loop, tick, NULL);
    for (state = registry_state(link->registry); !state.ready; state = registry_state(link->registry)) {
        if (loop_now_ms(link->loop) >= until || state.error.class == CLASS_CONFIG)
            break;
        loop_timer_set(&timer, 100);
        loop_turn(link->loop, true);
    }
    loop_timer_cancel(&timer);
    if (!state.ready)
        cli_fail(cli, "schema_registry: %s (%s)", state.error.text ? state.error.text : "no answer in time", state.detail);
    return state.ready;
}

struct kafka_options cli_kafka(const struct cli *cli, const struct config *config)
{
    return (struct kafka_options){
        .at = config->kafka.options, .count = config->kafka.noptions, .client_id = "stepmill-cli", .log = &cli->log};
}
