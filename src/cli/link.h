/* What commands that talk to Kafka and the registry share: the links themselves. */
#ifndef CLI_LINK_H
#define CLI_LINK_H

#include "cli.h"
#include "stepmill/kafka.h"
#include "stepmill/registry.h"

/* The registry and what it stands on. */
struct cli_link {
    struct loop *loop;
    struct http_client *client;
    struct registry *registry;
};

/* False: said why on stderr; nothing is left open. */
bool cli_link_open(struct cli *cli, const struct config *config, struct cli_link *link);
void cli_link_close(struct cli_link *link);
/* Turns the loop until the ids wanted (registry_want) are known; false after `timeout_ms`, with what is wrong said on stderr. */
bool cli_link_ready(struct cli *cli, struct cli_link *link, int64_t timeout_ms);

/* The config's `kafka:` part for a client of this process. */
struct kafka_options cli_kafka(const struct cli *cli, const struct config *config);

/* What to do where no broker answers: the end of the error's line. */
#define CLI_BROKER_HINT "; is kafka.bootstrap.servers right, and a broker up? `stepmill doctor` tries"

#endif
