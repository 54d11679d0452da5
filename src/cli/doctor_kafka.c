/* The doctor's look at Kafka: brokers, topics, the group, transactions. */
#include <stdlib.h>

#include "doctor.h"
#include "group_view.h"
#include "stepmill/kafka_txn.h"
#include "store.h"

static void say_error(struct doctor *d, const struct kafka_admin *admin, const char *area, const char *what, struct error error)
{
    doctor_say(d, DOCTOR_PROBLEM, area, "%s: %s: %.300s", what, error.text, kafka_admin_detail(admin));
    doctor_todo(d, error.class == CLASS_AGAIN
                       ? "is a broker up at kafka.bootstrap.servers, and reachable from here? A TLS or SASL port wants "
                         "kafka.security.protocol"
                       : "an ACL, a login (kafka.sasl.*) or an option under kafka: is wrong; Kafka's words stand above");
}

/* ---- Brokers and topics */

static bool try_brokers(struct doctor *d, struct kafka_admin *admin)
{
    struct kafka_cluster *cluster = NULL;
    struct error error = kafka_admin_cluster(admin, &cluster);

    if (failed(error)) {
        say_error(d, admin, "kafka", d->config->kafka.bootstrap_servers, error);
        return false;
    }
    doctor_say(d, DOCTOR_FINE, "kafka", "%s: cluster %s, %zu broker%s; librdkafka %s", d->config->kafka.bootstrap_servers,
               cluster->id, cluster->nbrokers, cluster->nbrokers == 1 ? "" : "s", kafka_version());
    if ((int)cluster->nbrokers < d->config->topics.replication) {
        doctor_say(d, DOCTOR_WARNING, "kafka", "%zu broker%s up, topics.replication is %d", cluster->nbrokers,
                   cluster->nbrokers == 1 ? "" : "s", (int)d->config->topics.replication);
        doctor_todo(d, "start the others; for a trial on one broker set topics.replication: 1");
    }
    kafka_cluster_free(cluster);
    return true;
}

static size_t without_leader(const struct kafka_topic *t)
{
    size_t n = 0;

    for (size_t i = 0; i < t->npartitions; i++)
        n += t->partitions[i].leader < 0;
    return n;
}

static void look_at_topic(struct doctor *d, const struct topic_want *w, const struct kafka_topic *t)
{
    struct buf what = BUF(2000), fix = BUF(2000);
    const char *policy = t && t->exists ? kafka_topic_config(t, "cleanup.policy") : NULL;
    bool loses = policy && strstr(policy, "compact") && w->retention[0];

    if (!t || !t->exists) {
        doctor_say(d, DOCTOR_PROBLEM, "topics", "%s (%s) does not exist", w->name, w->use);
        doctor_todo(d, "stepmill topics create");
    } else if (t->error) {
        doctor_say(d, DOCTOR_PROBLEM, "topics", "%s (%s): %s", w->name, w->use, t->error);
        doctor_todo(d, "this user needs Describe and DescribeConfigs, and Read or Write, on it");
    } else if (without_leader(t)) {
        doctor_say(d, DOCTOR_PROBLEM, "topics", "%s: %zu of %zu partitions have no leader", w->name, without_leader(t),
                   t->npartitions);
        doctor_todo(d, "brokers that hold them are down: start them");
    } else if (!topic_as_wanted(w, t, &what, &fix)) {
        doctor_say(d, loses ? DOCTOR_PROBLEM : DOCTOR_WARNING, "topics", "%s: %s%s", w->name,
                   loses ? "compaction drops records of the same key; " : "", buf_text(&what));
        doctor_todo(d, "%s", buf_text(&fix));
    } else {
        doctor_say(d, DOCTOR_FINE, "topics", "%s: %zu partitions, settings as wanted", w->name, t->npartitions);
    }
    buf_free(&what);
    buf_free(&fix);
}

/* True: the tasks topics can be read on. */
static bool try_topics(struct doctor *d, struct kafka_admin *admin)
{
    struct topic_plan *plan = malloc(sizeof *plan);
    struct kafka_topics *topics = NULL;
    bool there = true;
    struct error error;

    if (!plan || !topic_plan_make(d->config, d->config->topics.partitions, d->config->topics.replication, plan)) {
        d->no_memory = true;
        free(plan);
        return false;
    }
    error = kafka_admin_topics(admin, plan->names, plan->count, true, &topics);
    if (failed(error))
        say_error(d, admin, "topics", "cannot be described", error);
    for (size_t i = 0; !failed(error) && i < plan->count; i++) {
        const struct kafka_topic *t = kafka_topics_find(topics, plan->at[i].name);

        look_at_topic(d, &plan->at[i], t);
        there = there && (i >= d->config->nagents || (t && t->exists && !t->error));
    }
    kafka_topics_free(topics);
    topic_plan_free(plan);
    free(plan);
    return !failed(error) && there;
}

/* ---- The group */

static void look_at_partitions(struct doctor *d, const struct group_view *v)
{
    for (size_t i = 0; i < v->count; i++)
        if (v->at[i].problem) {
            doctor_say(d, DOCTOR_PROBLEM, "group", "%s %d: %s", v->at[i].topic, v->at[i].partition, v->at[i].problem);
            doctor_todo(d, "stepmill offsets show, then stepmill offsets set while the group's workers are stopped");
        }
}

static void try_group(struct doctor *d, struct kafka_admin *admin)
{
    struct kafka_group *group = NULL;
    struct group_view view;
    struct error error = kafka_admin_group(admin, d->config->kafka.group_id, &group);
    bool read;

    if (failed(error)) {
        say_error(d, admin, "group", d->config->kafka.group_id, error);
        return;
    }
    kafka_group_free(group);
    read = group_view_read(d->cli, d->config, admin, NULL, &view);
    if (!read) {
        doctor_say(d, DOCTOR_PROBLEM, "group", "%s: its offsets can't be read: %.300s", d->config->kafka.group_id,
                   kafka_admin_detail(admin));
        doctor_todo(d, "this user needs Read on the group and on the topics");
        return;
    }
    doctor_say(d, !view.members->nmembers && view.unfinished ? DOCTOR_WARNING : DOCTOR_FINE, "group",
               "%s: %s, %zu member%s, %lld records unfinished", view.group,
               strcmp(view.members->state, "Dead") ? view.members->state : "not used yet", view.members->nmembers,
               view.members->nmembers == 1 ? "" : "s", (long long)view.unfinished);
    if (!view.members->nmembers && view.unfinished)
        doctor_todo(d, "nobody reads: start a worker");
    if (view.members->nmembers > view.count) {
        doctor_say(d, DOCTOR_WARNING, "group", "%zu members share %zu partitions: some have nothing to do",
                   view.members->nmembers, view.count);
        doctor_todo(d, "run fewer workers, or add partitions while no tasks are open");
    }
    look_at_partitions(d, &view);
    group_view_free(&view);
}

void doctor_kafka(struct doctor *d)
{
    struct kafka_options kafka = cli_kafka(d->cli, d->config);
    struct kafka_admin *admin = NULL;
    char detail[256] = "";
    struct error error = kafka_admin_open(&admin, &kafka, DOCTOR_TIMEOUT_MS, detail, sizeof detail);

    if (failed(error)) {
        doctor_say(d, DOCTOR_PROBLEM, "kafka", "%s: %s", error.text, detail);
        doctor_todo(d, "mend the option under kafka: in the config");
        return;
    }
    if (try_brokers(d, admin) && try_topics(d, admin))
        try_group(d, admin);
    kafka_admin_close(admin);
}

/* ---- Transactions: the id is registered, nothing is sent */

struct try_txn {
    bool ready;
    char trouble[300];
};

static void on_ready(void *context) { ((struct try_txn *)context)->ready = true; }
static void on_done(void *context, struct kafka_batch *b, const struct kafka_result *result)
{
    (void)context;
    (void)result;
    kafka_batch_free(b);
}
static void on_trouble(void *context, const struct kafka_trouble *t)
{
    struct try_txn *x = context;

    snprintf(x->trouble, sizeof x->trouble, "%s: %s", t->name, t->detail ? t->detail : "");
}
static void on_fenced(void *context, const char *id)
{
    (void)id;
    on_ready(context); /* another doctor runs: transactions work */
}
static void on_stopped(void *context) { (void)context; }

void doctor_transactions(struct doctor *d)
{
    static const struct kafka_txn_events events = {on_ready, on_done, on_trouble, on_fenced, on_stopped};
    const char *topics[] = {d->config->topics.results, d->config->topics.events, d->config->topics.dlq};
    struct try_txn x = {0};
    struct kafka_txn *txn = NULL;
    char id[300], detail[256] = "";
    struct error error;

    for (size_t i = 0; i < d->count; i++)
        if (d->findings[i].verdict == DOCTOR_PROBLEM)
            return; /* without brokers or topics there is nothing to learn */
    snprintf(id, sizeof id, "%s-worker-stepmill.doctor", d->config->kafka.group_id); /* what a prefixed ACL must allow */
    error = kafka_txn_start(&txn, loop_base(d->loop), NULL,
                            &(struct kafka_txn_options){
                                .kafka = cli_kafka(d->cli, d->config), .transactional_id = id, .topics = topics, .ntopics = 3},
                            &events, &x, detail, sizeof detail);
    if (failed(error)) {
        doctor_say(d, DOCTOR_PROBLEM, "kafka", "transactions: %s: %s", error.text, detail);
    } else if (store_turn_until(d->loop, &x.ready, DOCTOR_TIMEOUT_MS)) {
        doctor_say(d, DOCTOR_FINE, "kafka", "transactions: id %s was accepted", id);
    } else {
        doctor_say(d, DOCTOR_PROBLEM, "kafka", "transactions: id %s was not accepted within %d s; %s", id,
                   DOCTOR_TIMEOUT_MS / 1000, x.trouble);
        doctor_todo(d,
                    "this user needs Write and Describe on transactional ids %s-worker-*; a small cluster needs "
                    "transaction.state.log.replication.factor not above its brokers",
                    d->config->kafka.group_id);
    }
    kafka_txn_free(txn);
}
