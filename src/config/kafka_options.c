/* Which librdkafka properties a user may not set and why, and which are secrets. */
#include "stepmill/kafka_options.h"

#include "stepmill/bytes.h"

#define BY_TRANSACTION "offsets are committed in the transaction that carries the results"
#define BY_STEPMILL    "exactly-once delivery depends on how Stepmill sets it"

static const struct {
    const char *name, *why;
} owned[] = {
    {"enable.auto.commit", BY_TRANSACTION},
    {"auto.commit.enable", BY_TRANSACTION},
    {"auto.commit.interval.ms", BY_TRANSACTION},
    {"enable.auto.offset.store", BY_TRANSACTION},
    {"offset.store.method", BY_TRANSACTION},
    {"offset.store.path", BY_TRANSACTION},
    {"offset.store.sync.interval.ms", BY_TRANSACTION},
    {"auto.offset.reset", "a group without offsets begins at the oldest record; to skip records use `stepmill offsets set`"},
    {"isolation.level", "records of aborted transactions must never be read (read_committed)"},
    {"partition.assignment.strategy", "the rebalance protocol needs cooperative-sticky"},
    {"group.protocol", "only the classic group protocol has been proven with this librdkafka"},
    {"group.protocol.type", "only the classic group protocol has been proven with this librdkafka"},
    {"group.remote.assignor", "only the classic group protocol has been proven with this librdkafka"},
    {"group.instance.id", "static membership has not been proven with the delivery protocol"},
    {"enable.partition.eof", "how far a partition is read decides what may be committed"},
    {"check.crcs", "damaged records must be noticed"},
    {"transactional.id", "it is <group>-<role>-<slot>; set worker.slot"},
    {"transaction.timeout.ms", BY_STEPMILL},
    {"enable.idempotence", BY_STEPMILL},
    {"enable.gapless.guarantee", BY_STEPMILL},
    {"acks", BY_STEPMILL},
    {"request.required.acks", BY_STEPMILL},
    {"retries", BY_STEPMILL},
    {"message.send.max.retries", BY_STEPMILL},
    {"max.in.flight", BY_STEPMILL},
    {"max.in.flight.requests.per.connection", BY_STEPMILL},
    {"message.timeout.ms", BY_STEPMILL},
    {"delivery.timeout.ms", BY_STEPMILL},
    {"delivery.report.only.error", BY_STEPMILL},
    {"message.max.bytes", "it equals the topics' max.message.bytes (8 MiB)"},
    {"partitioner", "records of one key must lie where other clients put them (murmur2)"},
    {"queuing.strategy", BY_STEPMILL},
    {"allow.auto.create.topics", "topics are made by `stepmill topics create`, with the right settings"},
    {"metadata.broker.list", "its name here is bootstrap.servers"},
    {"plugin.library.paths", "plug-ins may change what the protocol depends on"},
    {"interceptors", "interceptors may change what the protocol depends on"},
    {"enabled_events", BY_STEPMILL},
    {"log.queue", BY_STEPMILL},
    {"log_level", "set log.level"},
    {"opaque", "it is a pointer of the program"},
    {"default_topic_conf", "it is a pointer of the program"},
    {"builtin.features", "it can only be read"},
};

const char *kafka_option_owned(const char *name)
{
    size_t n = strlen(name);

    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++)
        if (strcmp(owned[i].name, name) == 0)
            return owned[i].why;
    if (n > 3 && strcmp(name + n - 3, "_cb") == 0)
        return "callbacks belong to the program";
    if (strncmp(name, "test.", 5) == 0 || strncmp(name, "ut_", 3) == 0)
        return "it is for librdkafka's own tests";
    return NULL;
}

bool kafka_option_secret(const char *name)
{
    static const char *const parts[] = {"password", "secret", "token.value", "passphrase", "jaas", "credential"};
    static const char *const names[] = {"ssl.key.pem", "ssl_key", "sasl.oauthbearer.config",
                                        "sasl.oauthbearer.assertion.private.key.pem"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (strstr(name, parts[i]))
            return true;
    return false;
}
