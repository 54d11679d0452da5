/* The coordinator of the one group: members, rounds, who owns what (cooperative-sticky), and the committed offsets. */
#include <string.h>

#include "cluster.h"
#include "stepmill/error.h"
#include "stepmill/offsets.h"
#include "world.h"

enum { MEMBERS_MAX = 250, SESSION_MS = 10 * 1000, METADATA_MAX = OFFSETS_TEXT_MAX - 1, PENDING_MAX = 256 };

struct group_member {
    uint64_t id;
    bool in;           /* else: an id that was given out, or one that has left */
    struct join *join; /* waits for the end of the round */
    struct part_list claimed, given;
    int64_t seen_ms;
};

struct pending {
    int64_t pid;
    struct stored_offset stored;
    int32_t generation;
};

static struct {
    struct group_member members[MEMBERS_MAX];
    size_t n;
    bool rebalancing;
    int32_t generation;
    struct stored_offset stored[OFFSETS_MAX];
    size_t nstored;
    struct pending pending[PENDING_MAX];
    size_t npending;
    struct sim_commit *commits;
    size_t ncommits, commits_room;
} group;

void group_begin(void) { memset(&group, 0, sizeof group); }

bool part_list_has(const struct part_list *l, const struct log_of *log)
{
    for (size_t i = 0; i < l->n; i++)
        if (l->at[i] == log)
            return true;
    return false;
}

void part_list_remove(struct part_list *l, const struct log_of *log)
{
    size_t n = 0;

    for (size_t i = 0; i < l->n; i++)
        if (l->at[i] != log)
            l->at[n++] = l->at[i];
    l->n = n;
}

static struct group_member *find(uint64_t id)
{
    for (size_t i = 0; i < group.n; i++)
        if (group.members[i].id == id)
            return &group.members[i];
    return NULL;
}

/* ---- Who owns what */

static size_t inputs(struct log_of **logs)
{
    struct log_of *all[OFFSETS_MAX];
    size_t n = 0, m = logs_all(all, OFFSETS_MAX);

    for (size_t i = 0; i < m; i++)
        if (logs_topic(all[i]->topic)->input)
            logs[n++] = all[i];
    return n;
}

static size_t members_in(struct group_member **members)
{
    size_t n = 0;

    for (size_t i = 0; i < group.n; i++)
        if (group.members[i].in)
            members[n++] = &group.members[i];
    return n;
}

static struct group_member *owner_of(struct group_member **members, size_t n, const struct log_of *log)
{
    struct group_member *owner = NULL;

    for (size_t i = 0; i < n; i++)
        if (part_list_has(&members[i]->claimed, log) && (!owner || part_list_has(&members[i]->given, log)))
            owner = members[i];
    return owner;
}

/* Each keeps what it owns up to its share; what is moved is first taken, and given in the next round. */
static void assign(struct group_member **members, size_t n)
{
    struct log_of *logs[OFFSETS_MAX];
    struct group_member *owners[OFFSETS_MAX];
    size_t nlogs = inputs(logs), share = nlogs / n, larger = nlogs % n;

    for (size_t i = 0; i < nlogs; i++)
        owners[i] = owner_of(members, n, logs[i]);
    for (size_t i = 0; i < n; i++)
        members[i]->given.n = 0;
    for (size_t i = 0; i < nlogs; i++) {
        struct group_member *o = owners[i];

        if (!o || o->given.n > share || (o->given.n == share && !larger))
            continue;
        larger -= o->given.n == share;
        o->given.at[o->given.n++] = logs[i];
    }
    for (size_t i = 0; i < nlogs; i++) {
        struct group_member *least = members[0];

        for (size_t k = 1; k < n; k++)
            if (members[k]->given.n < least->given.n)
                least = members[k];
        if (!owners[i])
            least->given.at[least->given.n++] = logs[i];
    }
}

/* ---- Rounds */

static void expire(void *member);

static void seen(struct group_member *m) { m->seen_ms = sim_now_ms(); }

static void end_round(void)
{
    struct group_member *members[MEMBERS_MAX];
    size_t n = members_in(members);

    group.rebalancing = false;
    group.generation++;
    if (n)
        assign(members, n);
    sim_note("Kafka: the group is in generation %d with %zu members", group.generation, n);
    for (size_t i = 0; i < n; i++) {
        struct join *j = members[i]->join;

        members[i]->join = NULL;
        seen(members[i]);
        j->member.generation = group.generation;
        j->parts = members[i]->given;
        net_answer(&j->request, RD_KAFKA_RESP_ERR_NO_ERROR);
    }
}

static void look_at_round(void)
{
    struct group_member *members[MEMBERS_MAX];
    size_t n = members_in(members);

    if (!group.rebalancing)
        return;
    for (size_t i = 0; i < n; i++)
        if (!members[i]->join)
            return;
    end_round();
}

void group_rebalance(const char *why)
{
    if (!group.rebalancing)
        sim_note("Kafka: the group rebalances: %s", why);
    group.rebalancing = true;
    look_at_round();
}

static void remove_member(struct group_member *m, const char *why)
{
    m->in = false;
    m->join = NULL;
    group_rebalance(why);
}

static void expire(void *member)
{
    struct group_member *m = member;
    int64_t silent = sim_now_ms() - m->seen_ms;

    if (!m->in)
        return;
    if (m->join || net_is_out(SERVER_GROUP)) { /* another coordinator gives everybody a new session */
        seen(m);
        silent = 0;
    }
    if (silent >= SESSION_MS)
        remove_member(m, "a member was silent for too long");
    else
        sim_later(SESSION_MS - silent, expire, m);
}

void group_join(struct request *request)
{
    struct join *j = (struct join *)request;
    struct group_member *m = find(j->member.id);

    if (j->member.id == 0) {
        if (group.n == MEMBERS_MAX)
            bug("more than %d members of the group", MEMBERS_MAX);
        m = &group.members[group.n++];
        *m = (struct group_member){.id = world_next_number()};
        j->member.id = m->id;
        request->error = RD_KAFKA_RESP_ERR_MEMBER_ID_REQUIRED;
        return;
    }
    if (!m || (!m->in && m->seen_ms)) {
        request->error = RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID;
        return;
    }
    if (!m->in)
        sim_later(SESSION_MS, expire, m);
    m->in = true;
    seen(m);
    m->claimed = j->parts;
    m->join = j; /* the answer to an earlier one nobody waits for */
    request->deferred = true;
    group_rebalance("a member joins");
}

static rd_kafka_resp_err_t look_at(struct member who)
{
    const struct group_member *m = find(who.id);

    if (!who.id || !m || !m->in)
        return RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID;
    return who.generation == group.generation ? RD_KAFKA_RESP_ERR_NO_ERROR : RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION;
}

rd_kafka_resp_err_t group_heartbeat(struct member who)
{
    rd_kafka_resp_err_t error = look_at(who);

    if (error)
        return error;
    seen(find(who.id));
    return group.rebalancing ? RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS : RD_KAFKA_RESP_ERR_NO_ERROR;
}

void group_leave(uint64_t id)
{
    struct group_member *m = find(id);

    if (m && m->in)
        remove_member(m, "a member leaves");
}

/* ---- Offsets */

rd_kafka_resp_err_t group_commit_pending(int64_t pid, struct member who, const struct stored_offset *offsets, size_t n)
{
    /* Whoever names neither member nor generation is taken for a lone consumer, even beside a live group. */
    rd_kafka_resp_err_t error = who.generation < 0 && !who.id ? RD_KAFKA_RESP_ERR_NO_ERROR : look_at(who);

    if (error)
        return error;
    for (size_t i = 0; i < n; i++) {
        size_t k = 0;

        if (offsets[i].metadata.len > METADATA_MAX)
            return RD_KAFKA_RESP_ERR_OFFSET_METADATA_TOO_LARGE;
        while (k < group.npending && (group.pending[k].pid != pid || group.pending[k].stored.log != offsets[i].log))
            k++;
        if (k == PENDING_MAX)
            bug("more than %d offsets wait for a transaction's end", PENDING_MAX);
        group.npending += k == group.npending;
        group.pending[k] = (struct pending){pid, offsets[i], who.generation};
    }
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

static void store(const struct pending *p, uint64_t txn)
{
    size_t k = 0;

    while (k < group.nstored && group.stored[k].log != p->stored.log)
        k++;
    group.nstored += k == group.nstored;
    group.stored[k] = p->stored;
    if (group.ncommits == group.commits_room) {
        group.commits_room = group.commits_room ? group.commits_room * 2 : 64;
        group.commits = memory_grow(world_memory(), group.commits, group.ncommits, group.commits_room, sizeof *group.commits);
    }
    group.commits[group.ncommits++] = (struct sim_commit){.topic = p->stored.log->topic,
                                                          .partition = p->stored.log->partition,
                                                          .offset = p->stored.offset,
                                                          .metadata = p->stored.metadata,
                                                          .generation = p->generation,
                                                          .txn = txn};
}

void group_mark(int64_t pid, bool commit, uint64_t txn)
{
    size_t n = 0;

    for (size_t i = 0; i < group.npending; i++)
        if (group.pending[i].pid != pid)
            group.pending[n++] = group.pending[i];
        else if (commit)
            store(&group.pending[i], txn);
    group.npending = n;
}

bool group_has_pending(void) { return group.npending > 0; }

bool group_stored(const struct log_of *l, struct stored_offset *stored)
{
    *stored = (struct stored_offset){.offset = -1};
    for (size_t i = 0; i < group.nstored; i++)
        if (group.stored[i].log == l)
            *stored = group.stored[i];
    for (size_t i = 0; i < group.npending; i++)
        if (group.pending[i].stored.log == l)
            return false;
    return true;
}

const struct sim_commit *sim_kafka_commits(size_t *n)
{
    *n = group.ncommits;
    return group.commits;
}
