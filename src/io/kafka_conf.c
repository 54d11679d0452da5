/* Settings of our Kafka clients: which we set for which role, and how the user's come in between (DELIVERY §4, Settings). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kafka_client.h"
#include "stepmill/log.h"

enum {
    S = 1 << KAFKA_ROLE_SOURCE,
    T = 1 << KAFKA_ROLE_TXN,
    P = 1 << KAFKA_ROLE_PRODUCER,
    R = 1 << KAFKA_ROLE_READER,
    A = 1 << KAFKA_ROLE_ADMIN,
    ALL = S | T | P | R | A,
};

struct setting {
    const char *name, *value;
    unsigned roles;
};

/* The user may set these otherwise. */
static const struct setting defaults[] = {
    {"topic.metadata.refresh.interval.ms", "10000", ALL},
    {"reconnect.backoff.ms", "50", ALL},
    {"reconnect.backoff.max.ms", "1000", ALL},
    {"socket.keepalive.enable", "true", ALL},
    {"session.timeout.ms", "10000", S},
    {"heartbeat.interval.ms", "2500", S},
    {"queued.min.messages", "2000", S | R},
    {"queued.max.messages.kbytes", "32768", S | R},
    {"fetch.queue.backoff.ms", "100", S | R},
    {"fetch.wait.max.ms", "100", S | R},
    {"retry.backoff.ms", "20", T | P}, /* the default of 100 makes every transaction take 100 ms */
    {"linger.ms", "5", T | P},
    {"compression.type", "lz4", T | P},
};

/* The protocol stands on these; kafka_option_owned refuses them in the config. */
static const struct setting owned[] = {
    {"allow.auto.create.topics", "false", ALL},
    {"enable.auto.commit", "false", S | R | A},
    {"enable.auto.offset.store", "false", S | R | A},
    {"isolation.level", "read_committed", S | R | A}, /* also makes rd_kafka_committed wait for open transactions */
    {"auto.offset.reset", "error", S | A},
    {"auto.offset.reset", "earliest", R}, /* a reader that retention overtakes goes on with what is left */
    {"partition.assignment.strategy", "cooperative-sticky", S},
    {"max.poll.interval.ms", "300000", S},
    {"check.crcs", "true", S | R},
    {"enable.partition.eof", "true", S | R},
    {"socket.timeout.ms", "10000", S | R | A},
    {"socket.timeout.ms", "5000", T | P},
    {"message.timeout.ms", "15000", T | P},
    {"transaction.timeout.ms", "20000", T},
    {"enable.idempotence", "true", T | P},
    {"partitioner", "murmur2_random", T | P}, /* the Java client's placement */
};

/* Lines of librdkafka that say the obvious: "is a producer property and will be ignored by this consumer". */
static void on_log(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
    const struct kafka_opaque *opaque = rd_kafka_opaque(rk);
    enum log_level to = level <= 3 ? LOG_LEVEL_WARN : level <= 6 ? LOG_LEVEL_INFO : LOG_LEVEL_DEBUG;

    /* Even its errors are only warnings here: what matters comes as trouble, with the app's judgement. */
    if (opaque && opaque->log && strcmp(facility, "CONFWARN") != 0)
        LOG_AT(opaque->log, to, "kafka.client", LOG_TEXT("client", rd_kafka_name(rk)), LOG_TEXT("facility", facility),
               LOG_TEXT("message", text));
}

static bool set(rd_kafka_conf_t *conf, const char *name, const char *value, struct error *error, char *detail, size_t room)
{
    char why[512] = "";

    if (rd_kafka_conf_set(conf, name, value, why, sizeof why) == RD_KAFKA_CONF_OK)
        return true;
    *error = error_make(CLASS_CONFIG, "kafka_option", "librdkafka refuses an option under kafka:");
    /* librdkafka puts the refused value into its sentence: never for a secret. */
    if (kafka_option_secret(name))
        snprintf(detail, room, "option %s: value refused", name);
    else
        snprintf(detail, room, "option %s: %s", name, why);
    return false;
}

static bool set_ours(rd_kafka_conf_t *conf, enum kafka_role role, const struct setting *settings, size_t n, struct error *error,
                     char *detail, size_t room)
{
    for (size_t i = 0; i < n; i++)
        if (settings[i].roles & 1U << role && !set(conf, settings[i].name, settings[i].value, error, detail, room))
            return false;
    return true;
}

static bool set_pairs(rd_kafka_conf_t *conf, const struct kafka_option *pairs, size_t n, bool users, struct error *error,
                      char *detail, size_t room)
{
    for (size_t i = 0; i < n; i++) {
        /* The group is the source's affair, and comes as an extra pair. */
        if (users && (kafka_option_owned(pairs[i].name) || !strcmp(pairs[i].name, "group.id")))
            continue;
        if (!set(conf, pairs[i].name, pairs[i].value, error, detail, room))
            return false;
    }
    return true;
}

rd_kafka_conf_t *kafka_conf_new(enum kafka_role role, const struct kafka_options *options, const struct kafka_option *extra,
                                size_t n, struct kafka_opaque *opaque, struct error *error, char *detail, size_t room)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();

    *error = error_none();
    if (room)
        *detail = '\0';
    rd_kafka_conf_set_opaque(conf, opaque);
    rd_kafka_conf_set_log_cb(conf, on_log);
    rd_kafka_conf_enable_sasl_queue(conf, 1); /* tokens are refreshed by librdkafka's own thread, whoever polls or not */
    if (set_ours(conf, role, defaults, sizeof defaults / sizeof *defaults, error, detail, room) &&
        (!options->client_id || set(conf, "client.id", options->client_id, error, detail, room)) &&
        set_pairs(conf, options->at, options->count, true, error, detail, room) &&
        set_ours(conf, role, owned, sizeof owned / sizeof *owned, error, detail, room) &&
        set_pairs(conf, extra, n, false, error, detail, room))
        return conf;
    rd_kafka_conf_destroy(conf);
    return NULL;
}

rd_kafka_t *kafka_client_new(rd_kafka_type_t type, rd_kafka_conf_t *conf, struct error *error, char *detail, size_t room)
{
    char why[512] = "";
    rd_kafka_t *rk = rd_kafka_new(type, conf, why, sizeof why);
    rd_kafka_error_t *e;

    if (!rk) {
        rd_kafka_conf_destroy(conf);
        *error = error_make(CLASS_CONFIG, "kafka_option", "librdkafka cannot make a client from the options under kafka:");
        kafka_copy_text(detail, room, why);
        return NULL;
    }
    e = rd_kafka_sasl_background_callbacks_enable(rk);
    if (e)
        rd_kafka_error_destroy(e); /* only if the thread is missing, and then tokens come with the polls */
    return rk;
}

struct error kafka_options_check(const struct kafka_options *options, char *detail, size_t room)
{
    static const enum kafka_role roles[] = {KAFKA_ROLE_SOURCE, KAFKA_ROLE_TXN};
    struct error error = error_none();

    for (size_t i = 0; i < sizeof roles / sizeof *roles; i++) {
        rd_kafka_conf_t *conf = kafka_conf_new(roles[i], options, NULL, 0, NULL, &error, detail, room);

        if (!conf)
            return error;
        rd_kafka_conf_destroy(conf);
    }
    return error;
}

const char *kafka_version(void) { return rd_kafka_version_str(); }

void kafka_copy_text(char *to, size_t room, const char *text)
{
    if (room)
        snprintf(to, room, "%s", text ? text : "");
}
