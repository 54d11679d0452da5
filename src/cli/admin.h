/* What the commands on topics, groups and offsets share. */
#ifndef CLI_ADMIN_H
#define CLI_ADMIN_H

#include "link.h"
#include "stepmill/kafka_admin.h"

enum { CLI_ADMIN_TIMEOUT_MS = 30000 }; /* above the 25 s that committed offsets may wait for an open transaction */

/* NULL: said why on stderr, within 10 s when no broker answers. Logs below "warn" are silenced: the command's own words say what
 * goes well. */
struct kafka_admin *cli_admin_open(struct cli *cli, const struct config *config);
/* "stepmill lag: <what>: <why>; <what to do>" to stderr; returns CLI_FAILED. */
int cli_admin_fail(const struct cli *cli, const struct kafka_admin *admin, const char *what, struct error error);

/* Partitions by name; the names belong to `topics`. */
struct cli_partitions {
    struct kafka_topics *topics;
    struct kafka_partition *at;
    size_t count;
};
/* All partitions of one topic, or of the tasks topics of all agents (`topic` NULL). False: said why on stderr (a topic is
 * missing, too); nothing is left to free. */
bool cli_partitions(struct cli *cli, const struct config *config, struct kafka_admin *admin, const char *topic,
                    struct cli_partitions *p);
void cli_partitions_free(struct cli_partitions *p);

/* ---- The topics as this config wants them */

enum { TOPIC_SETTINGS_MAX = 6 };
struct topic_want {
    char *name;
    const char *use; /* "tasks", "results", … */
    int partitions, replication;
    struct kafka_option settings[TOPIC_SETTINGS_MAX];
    size_t nsettings;
    char retention[24]; /* what retention.ms points to */
};
enum { TOPICS_MAX = CONFIG_AGENTS_MAX + 5 };
struct topic_plan {
    struct topic_want at[TOPICS_MAX];
    size_t count;
    const char *names[TOPICS_MAX]; /* the same order: for kafka_admin_topics */
};

/* False: no memory. The plan points into itself: don't copy it. */
bool topic_plan_make(const struct config *config, int partitions, int replication, struct topic_plan *plan);
void topic_plan_free(struct topic_plan *plan);
/* Appends to `what` how an existing topic differs ("retention.ms is 1, should be 2; …") and to `fix` what mends it. True: as
 * wanted. */
bool topic_as_wanted(const struct topic_want *want, const struct kafka_topic *have, struct buf *what, struct buf *fix);

#endif
