/* The simulated Kafka cluster: logs, the group's coordinator, the transactions' coordinator, and the network in front of them.
 *
 * It speaks the protocol that librdkafka 2.8 speaks with Kafka 4.1 (transactions without KIP-890's epoch per transaction): one
 * request acts once when it arrives, whatever its sender has come to think of it meanwhile.
 */
#ifndef SIM_CLUSTER_H
#define SIM_CLUSTER_H

#include <librdkafka/rdkafka.h>

#include "kernel.h"
#include "memory.h"

enum { TOPICS_MAX = 6, PARTITIONS_MAX = 3, OFFSETS_MAX = TOPICS_MAX * PARTITIONS_MAX };

/* ---- Network (net.c) */

enum server { SERVER_LOGS, SERVER_TXN, SERVER_GROUP, SERVERS };

/* The connection of one client: goes when it is destroyed or its process dies; what was sent by then still arrives. */
struct client {
    struct sim_process *process;
    const char *name;
    bool closed;
    bool producer;
    /* One of its requests failed by itself: a connection lost, no answer in time. */
    void (*trouble)(void *owner, rd_kafka_resp_err_t code);
    void *owner;
};

struct request {
    struct client *client;
    enum server server;
    const char *name; /* for the timeline */
    int64_t timeout_ms;
    void (*act)(struct request *r);      /* in the broker: sets `error` and what is answered */
    void (*answered)(struct request *r); /* in the client, once: `error` may also be _TRANSPORT or _TIMED_OUT */
    void *ctx;                           /* the client's */
    rd_kafka_resp_err_t error;
    bool deferred; /* set by `act`: net_answer comes later */
    /* net.c's */
    rd_kafka_resp_err_t verdict; /* what the broker said */
    int64_t sent_ms;
    bool told;
};

void net_begin(void);
void net_send(struct request *r);
/* The broker answers a request that it had deferred. */
void net_answer(struct request *r, rd_kafka_resp_err_t error);
bool net_is_out(enum server server);
/* Outages of one server: connections are refused (killed), or nothing moves (stopped). */
void net_outage(enum server server, bool frozen, int64_t ms);
void net_heal(void);

/* ---- Logs (logs.c) */

enum entry_kind { ENTRY_DATA, ENTRY_COMMIT, ENTRY_ABORT };
enum entry_fate { FATE_OPEN, FATE_COMMITTED, FATE_ABORTED };

struct entry {
    enum entry_kind kind;
    enum entry_fate fate;
    int64_t pid;
    uint64_t txn; /* number of the transaction that committed it */
    struct slice key, value;
    struct kafka_header *headers;
    size_t nheaders;
    int64_t timestamp;
};

struct sequence {
    int64_t pid;
    int32_t epoch;
    int64_t next;
    int64_t open_since; /* offset of the first record of the open transaction; -1: none */
};

struct log_of {
    const char *topic;
    int32_t partition;
    struct entry *entries; /* by offset */
    size_t n, room;
    int64_t shown; /* logs.c's */
    struct sequence *sequences;
    size_t nsequences, sequences_room;
};

struct cluster_topic {
    const char *name;
    int32_t npartitions;
    bool input;
    struct log_of logs[PARTITIONS_MAX];
};

void logs_begin(void);
void logs_add_topic(const char *name, int32_t npartitions, bool input);
struct cluster_topic *logs_topic(const char *name); /* NULL: there is none */
struct log_of *logs_find(const char *topic, int32_t partition);
size_t logs_all(struct log_of **logs, size_t room);
int64_t logs_stable_end(const struct log_of *l); /* LSO: a reader of committed records sees what is below */
int64_t logs_end(const struct log_of *l);
int32_t logs_partition_of(const struct cluster_topic *t, struct slice key);

/* Appends a transaction's records; `sequence` numbers the first one. */
rd_kafka_resp_err_t logs_produce(struct log_of *l, int64_t pid, int32_t epoch, int64_t sequence, const struct entry *entries,
                                 size_t n);
/* The marker that ends a transaction in this log. */
void logs_mark(struct log_of *l, int64_t pid, int32_t epoch, bool commit, uint64_t txn);

/* ---- Group (group.c) */

/* What a client knows of its membership. */
struct member {
    uint64_t id;        /* 0: none yet */
    int32_t generation; /* -1: none yet */
};

struct part_list {
    struct log_of *at[OFFSETS_MAX];
    size_t n;
};
bool part_list_has(const struct part_list *l, const struct log_of *log);
void part_list_remove(struct part_list *l, const struct log_of *log);

struct stored_offset {
    struct log_of *log;
    int64_t offset; /* -1: none */
    struct slice metadata;
};

/* JoinGroup and SyncGroup in one: the answer comes when the round is over. */
struct join {
    struct request request; /* first */
    struct member member;   /* in: who asks; out: who it is now */
    struct part_list parts; /* in: what it owns; out: what it is given */
};

void group_begin(void);
void group_join(struct request *join);
rd_kafka_resp_err_t group_heartbeat(struct member m);
void group_leave(uint64_t member);
/* Of a transaction: the offsets wait for its end. */
rd_kafka_resp_err_t group_commit_pending(int64_t pid, struct member m, const struct stored_offset *offsets, size_t n);
void group_mark(int64_t pid, bool commit, uint64_t txn);
/* False: a transaction over it is open. */
bool group_stored(const struct log_of *l, struct stored_offset *stored);
void group_rebalance(const char *why);
/* Something of a transaction waits for its end. */
bool group_has_pending(void);

/* ---- Transactions (txns.c) */

struct txn_id;

void txns_begin(void);
/* InitProducerId: pid < 0: a new producer; else one that wants the next epoch. */
rd_kafka_resp_err_t txns_init(const char *id, int64_t timeout_ms, int64_t *pid, int32_t *epoch);
rd_kafka_resp_err_t txns_add_partitions(const char *id, int64_t pid, int32_t epoch, struct log_of *const *logs, size_t n);
rd_kafka_resp_err_t txns_add_offsets(const char *id, int64_t pid, int32_t epoch);
/* Whether this producer may write to it now. */
rd_kafka_resp_err_t txns_verify(int64_t pid, int32_t epoch, const struct log_of *log);
rd_kafka_resp_err_t txns_end(const char *id, int64_t pid, int32_t epoch, bool commit);
bool txns_any_open(void);

/* ---- What happens in the clients when logs move (rdkafka_fetch.c). */
void fetch_wake_all(void);
void fetch_begin(void);

/* ---- The whole (cluster.c) */

void cluster_begin(void);
/* An outage, of any server. */
void cluster_disturb(void);
/* Everything is committed up to the logs' ends, no transaction is open. */
bool cluster_is_at_rest(void);
/* Notes of what is not. */
void cluster_tell_unrest(void);

#endif
