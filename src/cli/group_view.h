/* A consumer group as operators see it: per partition what is committed, what lies behind it, and who reads it. */
#ifndef CLI_GROUP_VIEW_H
#define CLI_GROUP_VIEW_H

#include "admin.h"

struct group_partition {
    const char *topic;
    int32_t partition;
    int64_t committed;                 /* KAFKA_OFFSET_NONE: nothing yet; the worker then begins with the oldest record */
    int64_t beginning, end;            /* end: the last stable offset */
    struct slice metadata;             /* beside the committed offset: the finished set */
    int64_t lag;                       /* offsets from where the worker begins to the end; markers of transactions count */
    int64_t finished;                  /* of these, finished above the committed offset */
    int64_t unfinished;                /* lag - finished */
    const char *problem;               /* static: why a worker couldn't read it, or why the numbers are not known; NULL: fine */
    const struct kafka_member *member; /* who reads it; NULL: nobody */
};

/* All pointers live until group_view_free. */
struct group_view {
    const char *group;
    struct cli_partitions partitions;
    struct kafka_group *members;
    struct kafka_offsets *committed, *beginnings, *ends;
    struct group_partition *at; /* by topic, in the order of the config, then by number */
    size_t count;
    int64_t lag, finished, unfinished; /* sums */
    size_t problems;
};

/* The name of the config's group, or NULL after saying on stderr how to name one. */
const char *group_name(struct cli *cli, const struct config *config);
/* `topic` NULL: the tasks topics of all agents. False: said why on stderr; nothing is left to free. */
bool group_view_read(struct cli *cli, const struct config *config, struct kafka_admin *admin, const char *topic,
                     struct group_view *view);
void group_view_free(struct group_view *view);
/* "client stepmill at /10.0.0.7 (id)". */
void group_put_member(const struct kafka_member *m, struct buf *to);

#endif
