/* The admin client: groups and their members. Offsets of groups are read by rd_kafka_committed (kafka_admin_offsets.c), never by
 * ListConsumerGroupOffsets, which sticks to a dead coordinator and has aborted the process. */
#include <stdlib.h>

#include "kafka_admin_parts.h"

struct group_answer {
    struct kafka_group group;
    struct arena *arena;
};

static bool fill_member(struct arena *arena, struct kafka_member *to, const rd_kafka_MemberDescription_t *from)
{
    const rd_kafka_MemberAssignment_t *assignment = rd_kafka_MemberDescription_assignment(from);
    const rd_kafka_topic_partition_list_t *list = assignment ? rd_kafka_MemberAssignment_partitions(assignment) : NULL;
    size_t n = list ? (size_t)list->cnt : 0;
    struct kafka_partition *p = arena_alloc(arena, (n + 1) * sizeof *p);

    for (size_t i = 0; p && i < n; i++) {
        p[i] = (struct kafka_partition){admin_text(arena, list->elems[i].topic), list->elems[i].partition};
        if (!p[i].topic)
            return false;
    }
    *to = (struct kafka_member){admin_text(arena, rd_kafka_MemberDescription_consumer_id(from)),
                                admin_text(arena, rd_kafka_MemberDescription_client_id(from)),
                                admin_text(arena, rd_kafka_MemberDescription_host(from)), p, n};
    return p && to->id && to->client_id && to->host;
}

static bool fill_group(struct group_answer *g, const rd_kafka_ConsumerGroupDescription_t *d)
{
    size_t n = rd_kafka_ConsumerGroupDescription_member_count(d);
    struct kafka_member *members = arena_alloc(g->arena, (n + 1) * sizeof *members);

    for (size_t i = 0; members && i < n; i++)
        if (!fill_member(g->arena, &members[i], rd_kafka_ConsumerGroupDescription_member(d, i)))
            return false;
    g->group = (struct kafka_group){rd_kafka_consumer_group_state_name(rd_kafka_ConsumerGroupDescription_state(d)), members, n};
    return members;
}

static struct error take_group(struct kafka_admin *a, rd_kafka_event_t *e, struct kafka_group **answer)
{
    size_t n;
    const rd_kafka_ConsumerGroupDescription_t **d =
        rd_kafka_DescribeConsumerGroups_result_groups(rd_kafka_event_DescribeConsumerGroups_result(e), &n);
    const rd_kafka_error_t *bad = n ? rd_kafka_ConsumerGroupDescription_error(d[0]) : NULL;
    struct group_answer *g;

    if (!n)
        return admin_fail(a, RD_KAFKA_RESP_ERR__BAD_MSG, "the answer does not hold the group");
    if (bad && rd_kafka_error_code(bad) && rd_kafka_error_code(bad) != RD_KAFKA_RESP_ERR_GROUP_ID_NOT_FOUND)
        return admin_fail(a, rd_kafka_error_code(bad), rd_kafka_error_string(bad));
    g = calloc(1, sizeof *g);
    if (!g)
        return admin_no_memory(a);
    g->arena = arena_new(ANSWER_MAX);
    if (bad && rd_kafka_error_code(bad)) { /* a group nobody has used is no error to us */
        g->group.state = "Dead";
    } else if (!g->arena || !fill_group(g, d[0])) {
        kafka_group_free(&g->group);
        return admin_no_memory(a);
    }
    *answer = &g->group;
    return error_none();
}

struct error kafka_admin_group(struct kafka_admin *a, const char *group, struct kafka_group **answer)
{
    rd_kafka_AdminOptions_t *o = admin_options(a, RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS);
    struct error error = error_none();
    rd_kafka_event_t *e;

    *answer = NULL;
    rd_kafka_DescribeConsumerGroups(a->rk, &group, 1, o, a->queue);
    rd_kafka_AdminOptions_destroy(o);
    e = admin_answer(a, RD_KAFKA_EVENT_DESCRIBECONSUMERGROUPS_RESULT, &error);
    if (!e)
        return error;
    error = take_group(a, e, answer);
    rd_kafka_event_destroy(e);
    return error;
}

void kafka_group_free(struct kafka_group *group)
{
    struct group_answer *g = (struct group_answer *)(void *)group; /* its first member */

    if (!g)
        return;
    arena_free(g->arena);
    free(g);
}

/* ---- All groups */

struct names_answer {
    struct kafka_names names;
    struct arena *arena;
};

static bool fill_names(struct names_answer *answer, const rd_kafka_ConsumerGroupListing_t **groups, size_t n)
{
    const char **at = arena_alloc(answer->arena, (n + 1) * sizeof *at);

    for (size_t i = 0; at && i < n; i++) {
        at[i] = admin_text(answer->arena, rd_kafka_ConsumerGroupListing_group_id(groups[i]));
        if (!at[i])
            return false;
    }
    answer->names = (struct kafka_names){at, n};
    return at;
}

struct error kafka_admin_groups(struct kafka_admin *a, struct kafka_names **names)
{
    rd_kafka_AdminOptions_t *o = admin_options(a, RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPS);
    struct error error = error_none();
    const rd_kafka_ConsumerGroupListing_t **groups;
    struct names_answer *answer;
    rd_kafka_event_t *e;
    size_t n;
    bool ok;

    *names = NULL;
    rd_kafka_ListConsumerGroups(a->rk, o, a->queue);
    rd_kafka_AdminOptions_destroy(o);
    e = admin_answer(a, RD_KAFKA_EVENT_LISTCONSUMERGROUPS_RESULT, &error);
    if (!e)
        return error;
    groups = rd_kafka_ListConsumerGroups_result_valid(rd_kafka_event_ListConsumerGroups_result(e), &n);
    answer = calloc(1, sizeof *answer);
    if (answer)
        answer->arena = arena_new(ANSWER_MAX);
    ok = answer && answer->arena && fill_names(answer, groups, n);
    rd_kafka_event_destroy(e);
    if (ok) {
        *names = &answer->names;
        return error_none();
    }
    kafka_names_free(answer ? &answer->names : NULL);
    return admin_no_memory(a);
}

void kafka_names_free(struct kafka_names *names)
{
    struct names_answer *answer = (struct names_answer *)(void *)names; /* its first member */

    if (!answer)
        return;
    arena_free(answer->arena);
    free(answer);
}
