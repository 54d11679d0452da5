/* The transactions' coordinator: producer ids and epochs, what a transaction touches, its end, and its markers. */
#include <string.h>

#include "cluster.h"
#include "stepmill/error.h"
#include "world.h"

enum { IDS_MAX = 16, SWEEP_MS = 10 * 1000, MARK_MS = 6, MARK_LATE_MS = 3000 };

enum txn_state { TXN_EMPTY, TXN_ONGOING, TXN_ENDING };

struct txn_id {
    const char *id;
    int64_t pid;
    int32_t epoch;
    enum txn_state state;
    bool commit, ended_by_commit; /* ENDING: which way; else: how the last one ended */
    bool ended_any;
    uint64_t number, began; /* numbers of commits; which transaction this is */
    int64_t timeout_ms;
    struct log_of *logs[OFFSETS_MAX];
    size_t nlogs;
    bool offsets;
    size_t marks; /* still to be written */
};

static struct {
    struct txn_id ids[IDS_MAX];
    size_t n;
    int64_t last_pid;
    uint64_t commits, transactions;
} all;

void txns_begin(void) { memset(&all, 0, sizeof all); }

static struct txn_id *find(const char *id)
{
    for (size_t i = 0; i < all.n; i++)
        if (!strcmp(all.ids[i].id, id))
            return &all.ids[i];
    return NULL;
}

bool txns_any_open(void)
{
    for (size_t i = 0; i < all.n; i++)
        if (all.ids[i].state != TXN_EMPTY)
            return true;
    return false;
}

/* ---- The end: markers into every log, and into the log of the group's offsets */

struct mark {
    struct txn_id *t;
    struct log_of *log; /* NULL: the group */
};

static void write_mark(void *mark)
{
    struct mark *m = mark;
    struct txn_id *t = m->t;

    if (m->log)
        logs_mark(m->log, t->pid, t->epoch, t->commit, t->number);
    else
        group_mark(t->pid, t->commit, t->number);
    if (--t->marks)
        return;
    t->state = TXN_EMPTY;
    t->ended_any = true;
    t->ended_by_commit = t->commit;
    t->nlogs = 0;
    t->offsets = false;
}

static void send_mark(struct txn_id *t, struct log_of *l)
{
    struct mark *m = memory_take(world_memory(), sizeof *m);

    *m = (struct mark){t, l};
    t->marks++;
    sim_later(sim_fault(SIM_FAULT_KAFKA_MARK) ? (int64_t)sim_below(MARK_LATE_MS) : (int64_t)sim_below(MARK_MS), write_mark, m);
}

static void end(struct txn_id *t, bool commit)
{
    t->state = TXN_ENDING;
    t->commit = commit;
    t->number = ++all.commits;
    t->marks = 1; /* until all are sent */
    for (size_t i = 0; i < t->nlogs; i++)
        send_mark(t, t->logs[i]);
    send_mark(t, NULL);
    t->marks--;
    sim_note("Kafka: transaction %llu of %s %s", (unsigned long long)t->number, t->id, commit ? "commits" : "aborts");
}

struct timeout {
    struct txn_id *t;
    uint64_t began;
};

/* Its producer has been silent for too long: fenced, so that it can't go on with half of it. */
static void time_out(void *timeout)
{
    struct timeout *o = timeout;

    if (o->t->state != TXN_ONGOING || o->t->began != o->began)
        return;
    sim_note("Kafka: the transaction of %s has timed out", o->t->id);
    o->t->epoch++;
    end(o->t, false);
}

static void begin(struct txn_id *t)
{
    struct timeout *o;

    if (t->state == TXN_ONGOING)
        return;
    t->state = TXN_ONGOING;
    t->began = ++all.transactions;
    t->nlogs = 0;
    t->offsets = false;
    o = memory_take(world_memory(), sizeof *o);
    *o = (struct timeout){t, t->began};
    sim_later(t->timeout_ms + (int64_t)sim_below(SWEEP_MS), time_out, o);
}

/* ---- Requests */

rd_kafka_resp_err_t txns_init(const char *id, int64_t timeout_ms, int64_t *pid, int32_t *epoch)
{
    struct txn_id *t = find(id);

    if (!t) {
        if (all.n == IDS_MAX)
            bug("more than %d transactional ids", IDS_MAX);
        t = &all.ids[all.n++];
        *t = (struct txn_id){.id = memory_copy(world_memory(), slice_of(id)).at, .pid = 1000 + ++all.last_pid, .epoch = -1};
    }
    if (*pid >= 0 && (*pid != t->pid || *epoch != t->epoch))
        return RD_KAFKA_RESP_ERR_PRODUCER_FENCED;
    if (t->state == TXN_ONGOING) {
        t->epoch++; /* nobody goes on with it */
        end(t, false);
        return RD_KAFKA_RESP_ERR_CONCURRENT_TRANSACTIONS;
    }
    if (t->state == TXN_ENDING)
        return RD_KAFKA_RESP_ERR_CONCURRENT_TRANSACTIONS;
    t->timeout_ms = timeout_ms;
    t->epoch++;
    t->ended_any = false;
    *pid = t->pid;
    *epoch = t->epoch;
    sim_note("Kafka: %s is epoch %d of producer %lld", id, *epoch, (long long)*pid);
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

static rd_kafka_resp_err_t look_at(struct txn_id *t, int64_t pid, int32_t epoch)
{
    if (!t || t->pid != pid)
        return RD_KAFKA_RESP_ERR_INVALID_PRODUCER_ID_MAPPING;
    if (t->epoch != epoch)
        return RD_KAFKA_RESP_ERR_PRODUCER_FENCED;
    return t->state == TXN_ENDING ? RD_KAFKA_RESP_ERR_CONCURRENT_TRANSACTIONS : RD_KAFKA_RESP_ERR_NO_ERROR;
}

rd_kafka_resp_err_t txns_add_partitions(const char *id, int64_t pid, int32_t epoch, struct log_of *const *logs, size_t n)
{
    struct txn_id *t = find(id);
    rd_kafka_resp_err_t error = look_at(t, pid, epoch);

    if (error)
        return error;
    begin(t);
    for (size_t i = 0; i < n; i++) {
        size_t k = 0;

        while (k < t->nlogs && t->logs[k] != logs[i])
            k++;
        if (k == t->nlogs)
            t->logs[t->nlogs++] = logs[i];
    }
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

rd_kafka_resp_err_t txns_add_offsets(const char *id, int64_t pid, int32_t epoch)
{
    struct txn_id *t = find(id);
    rd_kafka_resp_err_t error = look_at(t, pid, epoch);

    if (error)
        return error;
    begin(t);
    t->offsets = true;
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

rd_kafka_resp_err_t txns_verify(int64_t pid, int32_t epoch, const struct log_of *log)
{
    for (size_t i = 0; i < all.n; i++) {
        const struct txn_id *t = &all.ids[i];

        if (t->pid != pid)
            continue;
        if (t->epoch != epoch)
            return RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH;
        if (t->state != TXN_ONGOING)
            return RD_KAFKA_RESP_ERR_INVALID_TXN_STATE;
        if (!log)
            return t->offsets ? RD_KAFKA_RESP_ERR_NO_ERROR : RD_KAFKA_RESP_ERR_INVALID_TXN_STATE;
        for (size_t k = 0; k < t->nlogs; k++)
            if (t->logs[k] == log)
                return RD_KAFKA_RESP_ERR_NO_ERROR;
    }
    return RD_KAFKA_RESP_ERR_INVALID_TXN_STATE;
}

rd_kafka_resp_err_t txns_end(const char *id, int64_t pid, int32_t epoch, bool commit)
{
    struct txn_id *t = find(id);
    rd_kafka_resp_err_t error = look_at(t, pid, epoch);

    if (error == RD_KAFKA_RESP_ERR_CONCURRENT_TRANSACTIONS && t->commit != commit)
        return RD_KAFKA_RESP_ERR_INVALID_TXN_STATE;
    if (error)
        return error;
    if (t->state == TXN_ONGOING) {
        end(t, commit);
        return RD_KAFKA_RESP_ERR_NO_ERROR;
    }
    /* Asked again after its answer was lost. */
    return t->ended_any && t->ended_by_commit == commit ? RD_KAFKA_RESP_ERR_NO_ERROR : RD_KAFKA_RESP_ERR_INVALID_TXN_STATE;
}
