/* The consumer group: who is a member, who owns which partition, and who believes what of it. */
#include "broker.h"
#include "kernel.h"
#include "stepmill/error.h"
#include "world.h"

enum { MEMBERS_MAX = 200, LEARNS_WITHIN_MS = 400, UNSTABLE_RETRY_MS = 100, REBALANCE_RETRY_MS = 50, BLIND_MS = 5000 };

struct broker_member {
    struct sim_process *process;
    struct kafka_source *source;
    bool in_group;
    bool blind;   /* its heartbeats do not arrive */
    int believes; /* generation; -1: it knows that it is out */
    int64_t stopped_until;
};

static struct group {
    struct broker_member *members[MEMBERS_MAX];
    size_t nmembers;
    int generation;
    uint64_t assignments;
    bool due; /* a rebalance is */
} it;

void group_begin(void) { it = (struct group){.generation = 0}; }

struct broker_member *broker_member_new(struct sim_process *p)
{
    struct broker_member *m = memory_take(world_memory(), sizeof *m);

    if (it.nmembers == MEMBERS_MAX)
        bug("more than %d members", MEMBERS_MAX);
    *m = (struct broker_member){.process = p, .believes = -1};
    return it.members[it.nmembers++] = m;
}

struct sim_process *member_process(const struct broker_member *m) { return m->process; }
struct kafka_source *member_source(const struct broker_member *m) { return m->source; }
void member_set_source(struct broker_member *m, struct kafka_source *s) { m->source = s; }
bool group_has(const struct broker_member *m) { return m->in_group; }

struct broker_membership member_belief(const struct broker_member *m)
{
    return (struct broker_membership){(struct broker_member *)(uintptr_t)m, m->believes};
}

bool group_takes(const struct broker_membership *m) { return m->member->in_group && m->generation == it.generation; }

bool group_is_quiet(void)
{
    for (int32_t i = 0; i < PARTITIONS; i++)
        if (!broker_partition(i)->owner || broker_partition(i)->revoking)
            return false;
    return !it.due;
}

static void learn(void *member)
{
    struct broker_member *m = member;

    if (m->in_group)
        m->believes = it.generation;
}

static void raise_generation(void)
{
    it.generation++;
    for (size_t i = 0; i < it.nmembers; i++)
        if (it.members[i]->in_group)
            sim_deliver(it.members[i]->process, (int64_t)sim_below(LEARNS_WITHIN_MS), learn, it.members[i]);
}

/* The new owner asks what is committed; while a transaction over it is open, nobody can say. */
static void look_up(void *assignment)
{
    struct source_assignment *a = assignment;
    struct broker_partition *p = a->partition;

    if (!p->owner || p->assignment != a->number)
        return;
    if (p->pending) {
        sim_later(UNSTABLE_RETRY_MS, look_up, a);
        return;
    }
    a->committed = p->committed;
    a->metadata = p->metadata;
    sim_deliver(p->owner->process, (int64_t)sim_below(20), source_assigned, a);
}

static void give(struct broker_partition *p, struct broker_member *to)
{
    struct source_assignment *a = memory_take(world_memory(), sizeof *a);

    p->owner = to;
    p->revoking = NULL;
    p->assignment = ++it.assignments;
    p->started = false;
    p->paused = false;
    *a = (struct source_assignment){.partition = p, .number = p->assignment};
    sim_note("partition %d goes to worker %d", p->number, process_number(to->process));
    sim_later((int64_t)sim_below(50), look_up, a);
}

static void rebalance_soon(int64_t delay_ms);

static void revoke_overdue(void *assignment)
{
    const struct source_assignment *a = assignment;
    struct broker_partition *p = a->partition;

    if (!p->revoking || p->assignment != a->number)
        return;
    sim_deliver(p->revoking->process, 0, source_lost, p);
    p->owner = p->revoking = NULL;
    rebalance_soon(1);
}

static void take_back(struct broker_partition *p)
{
    struct source_assignment *a = memory_take(world_memory(), sizeof *a);

    p->revoking = p->owner;
    p->revoke_told = false;
    *a = (struct source_assignment){.partition = p, .number = p->assignment};
    sim_note("partition %d is taken back from worker %d", p->number, process_number(p->owner->process));
    sim_later(REVOKE_MS, revoke_overdue, a);
}

/* All that a member must give up is told in one call. */
static void tell_revoked(void)
{
    for (int32_t i = 0; i < PARTITIONS; i++) {
        struct broker_member *m = broker_partition(i)->revoking;
        bool told = false;

        for (int32_t k = 0; m && k < i; k++)
            told |= broker_partition(k)->revoking == m;
        if (m && !told)
            sim_deliver(m->process, (int64_t)sim_below(50), source_revoked, NULL);
    }
}

/* The group waits for members that still give up what they had: they join the next round when they are done. */
static bool somebody_gives_up(void)
{
    for (int32_t i = 0; i < PARTITIONS; i++)
        if (broker_partition(i)->revoking)
            return true;
    return false;
}

static void rebalance(void *unused)
{
    struct broker_member *in[MEMBERS_MAX];
    size_t n = 0, first;

    (void)unused;
    if (somebody_gives_up()) {
        sim_later(REBALANCE_RETRY_MS, rebalance, NULL);
        return;
    }
    it.due = false;
    for (size_t i = 0; i < it.nmembers; i++)
        if (it.members[i]->in_group)
            in[n++] = it.members[i];
    raise_generation();
    first = n ? (size_t)sim_below(n) : 0;
    for (int32_t i = 0; n && i < PARTITIONS; i++) {
        struct broker_partition *p = broker_partition(i);
        struct broker_member *to = in[(first + (size_t)i) % n];

        if (p->owner == to)
            continue;
        if (p->owner)
            take_back(p);
        else
            give(p, to);
    }
    tell_revoked();
}

static void rebalance_soon(int64_t delay_ms)
{
    if (it.due)
        return;
    it.due = true;
    sim_later(delay_ms, rebalance, NULL);
}

void group_join(struct broker_member *m)
{
    m->in_group = true;
    m->believes = it.generation;
    rebalance_soon(10 + (int64_t)sim_below(1000));
}

static void join_again(void *member)
{
    struct broker_member *m = member;

    m->blind = false;
    if (process_is_alive(m->process) && m->source && !m->in_group)
        group_join(m);
}

/* It knows now that it is out. */
static void told_out(void *member)
{
    struct broker_member *m = member;

    if (m->in_group || !m->source)
        return;
    m->believes = -1;
    sim_later(100 + (int64_t)sim_below(1000), join_again, m);
}

static void put_out(struct broker_member *m)
{
    int64_t blind_ms = m->blind ? (int64_t)sim_below(BLIND_MS) : 0;

    sim_note("the group puts worker %d out", process_number(m->process));
    m->in_group = false;
    for (int32_t i = 0; i < PARTITIONS; i++) {
        struct broker_partition *p = broker_partition(i);

        if (p->owner != m)
            continue;
        p->owner = p->revoking = NULL;
        sim_deliver(m->process, blind_ms, source_lost, p);
    }
    sim_deliver(m->process, blind_ms, told_out, m);
    rebalance_soon(1);
}

static void session_over(void *member)
{
    struct broker_member *m = member;

    if (m->in_group && (!process_is_alive(m->process) || m->stopped_until > sim_now_ms() || m->blind))
        put_out(m);
}

void group_leave(struct broker_member *m)
{
    if (!m->in_group)
        return;
    m->in_group = false;
    m->believes = -1;
    rebalance_soon(10 + (int64_t)sim_below(500));
}

void group_released(struct broker_member *m)
{
    bool any = false;

    for (int32_t i = 0; i < PARTITIONS; i++) {
        struct broker_partition *p = broker_partition(i);

        if (p->revoking != m || !p->revoke_told)
            continue;
        p->owner = p->revoking = NULL;
        any = true;
    }
    if (any)
        rebalance_soon(1);
}

void broker_died(struct broker_member *m)
{
    m->source = NULL;
    sim_later(SESSION_MS, session_over, m);
}

void broker_ended(struct broker_member *m)
{
    m->source = NULL;
    if (m->in_group)
        sim_later(SESSION_MS, session_over, m);
}

void broker_stopped(struct broker_member *m, int64_t until_ms)
{
    m->stopped_until = until_ms;
    sim_later(SESSION_MS, session_over, m);
}

void group_disturb(void)
{
    struct broker_member *m = it.nmembers ? it.members[sim_below(it.nmembers)] : NULL;

    if (m && m->in_group && sim_below(2)) {
        sim_note("the heartbeats of worker %d do not arrive", process_number(m->process));
        m->blind = true;
        sim_later(SESSION_MS, session_over, m);
    } else {
        rebalance_soon(1);
    }
}

void group_fetch(struct broker_partition *p)
{
    if (p->owner && p->started)
        sim_deliver(p->owner->process, (int64_t)sim_below(20), source_records, p);
}
