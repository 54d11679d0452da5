/* Kafka's admin client for one command, and the partitions it is about. */
#include "admin.h"

#include <stdlib.h>

enum { PROBE_MS = 10000 };

static struct kafka_admin *open_admin(struct cli *cli, const struct config *config, int timeout_ms)
{
    struct kafka_options kafka = cli_kafka(cli, config);
    struct kafka_admin *admin = NULL;
    char detail[256] = "";
    struct error error = kafka_admin_open(&admin, &kafka, timeout_ms, detail, sizeof detail);

    if (failed(error))
        cli_fail(cli, "kafka: %s: %s", error.text, detail);
    return admin;
}

/* Whether anybody is there is known long before the time that committed offsets may take. */
struct kafka_admin *cli_admin_open(struct cli *cli, const struct config *config)
{
    struct kafka_cluster *cluster = NULL;
    struct kafka_admin *admin;
    struct error error;

    if (cli->log.level < LOG_LEVEL_WARN)
        cli->log.level = LOG_LEVEL_WARN;
    admin = open_admin(cli, config, PROBE_MS);
    if (!admin)
        return NULL;
    error = kafka_admin_cluster(admin, &cluster);
    if (failed(error))
        cli_admin_fail(cli, admin, config->kafka.bootstrap_servers, error);
    kafka_cluster_free(cluster);
    kafka_admin_close(admin);
    return failed(error) ? NULL : open_admin(cli, config, CLI_ADMIN_TIMEOUT_MS);
}

int cli_admin_fail(const struct cli *cli, const struct kafka_admin *admin, const char *what, struct error error)
{
    return cli_fail(cli, "%s: %s: %s%s", what, error.text, kafka_admin_detail(admin),
                    error.class == CLASS_AGAIN ? CLI_BROKER_HINT : "");
}

static bool take_topics(struct cli *cli, struct cli_partitions *p)
{
    size_t total = 0;

    for (size_t i = 0; i < p->topics->count; i++) {
        const struct kafka_topic *t = &p->topics->at[i];

        if (!t->exists || t->error) {
            cli_fail(cli, "topic %s: %s", t->name, t->exists ? t->error : "does not exist; run: stepmill topics create");
            return false;
        }
        total += t->npartitions;
    }
    p->at = calloc(total + 1, sizeof *p->at);
    if (!p->at) {
        cli_fail(cli, "no memory left");
        return false;
    }
    for (size_t i = 0; i < p->topics->count; i++)
        for (size_t k = 0; k < p->topics->at[i].npartitions; k++)
            p->at[p->count++] = (struct kafka_partition){p->topics->at[i].name, p->topics->at[i].partitions[k].partition};
    return true;
}

bool cli_partitions(struct cli *cli, const struct config *config, struct kafka_admin *admin, const char *topic,
                    struct cli_partitions *p)
{
    struct buf names[CONFIG_AGENTS_MAX];
    const char *at[CONFIG_AGENTS_MAX];
    size_t n = topic ? 0 : config->nagents;
    struct error error;
    bool taken;

    *p = (struct cli_partitions){0};
    for (size_t i = 0; i < n; i++) {
        names[i] = BUF(1024);
        config_tasks_topic(config, config->agents[i].name, &names[i]);
        at[i] = buf_text(&names[i]);
    }
    if (topic)
        at[0] = topic;
    error = kafka_admin_topics(admin, at, topic ? 1 : n, false, &p->topics);
    if (failed(error))
        cli_admin_fail(cli, admin, "topics", error);
    taken = !failed(error) && take_topics(cli, p);
    if (!taken)
        cli_partitions_free(p);
    for (size_t i = 0; i < n; i++)
        buf_free(&names[i]);
    return taken;
}

void cli_partitions_free(struct cli_partitions *p)
{
    kafka_topics_free(p->topics);
    free(p->at);
    *p = (struct cli_partitions){0};
}
