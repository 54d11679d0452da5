/* A Kafka for the unit tests: librdkafka's mock cluster and apps that write down what they are told. */
#include "helper_kafka.h"

#include <event2/event.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "stepmill/clock.h"

struct kafka_world *kafka_world_new(void)
{
    struct kafka_world *w = calloc(1, sizeof *w);
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    char why[256];

    assert_non_null(w);
    rd_kafka_conf_set(conf, "log_level", "2", why, sizeof why);
    w->base = event_base_new();
    w->mock_client = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
    w->mock = rd_kafka_mock_cluster_new(w->mock_client, 1);
    rd_kafka_mock_group_initial_rebalance_delay_ms(w->mock, 0);
    assert_int_equal(rd_kafka_mock_topic_create(w->mock, "in", 2, 1), 0);
    assert_int_equal(rd_kafka_mock_topic_create(w->mock, "out", 2, 1), 0);
    w->pairs[0] = (struct kafka_option){"bootstrap.servers", rd_kafka_mock_cluster_bootstraps(w->mock)};
    w->pairs[1] = (struct kafka_option){"session.timeout.ms", "6000"};
    w->pairs[2] = (struct kafka_option){"heartbeat.interval.ms", "200"};
    w->log = (struct log){getenv("TEST_LOG") ? LOG_LEVEL_DEBUG : LOG_LEVEL_ERROR, 2, "test"};
    w->options = (struct kafka_options){w->pairs, 3, "test", &w->log};
    return w;
}

void kafka_world_free(struct kafka_world *w)
{
    rd_kafka_mock_cluster_destroy(w->mock);
    rd_kafka_destroy(w->mock_client);
    event_base_free(w->base);
    free(w);
}

static void turn(struct kafka_world *w)
{
    event_base_loopexit(w->base, &(struct timeval){0, 10000});
    event_base_dispatch(w->base);
}

void kafka_world_turn(struct kafka_world *w, int ms)
{
    for (int64_t until = clock_mono_ms() + ms; clock_mono_ms() < until;)
        turn(w);
}

void kafka_world_wait(struct kafka_world *w, const int *value, int want)
{
    int64_t until = clock_mono_ms() + 60000;

    while (*value < want && clock_mono_ms() < until)
        turn(w);
    assert_true(*value >= want);
}

/* ---- Input */

static void delivered(void *context, const struct kafka_delivery *d)
{
    assert_false(failed(d->error));
    ++*(int *)context;
}

void kafka_world_feed(struct kafka_world *w, int32_t p, int from, int n)
{
    struct kafka_producer *producer;
    struct kafka_header headers[] = {{SLICE("a"), SLICE("1")}, {SLICE("null"), {NULL, 0}}};
    char detail[256], value[32];
    int count = 0;

    assert_false(failed(kafka_producer_open(&producer, &w->options, delivered, &count, detail, sizeof detail)));
    for (int i = 0; i < n; i++) {
        struct kafka_output o = {.topic = "in", .headers = headers, .nheaders = 2};

        snprintf(value, sizeof value, "%d", from + i);
        o.value = slice_of(value);
        assert_false(failed(kafka_producer_send_to(producer, &o, p)));
    }
    assert_false(failed(kafka_producer_flush(producer, 10000)));
    assert_int_equal(count, n);
    kafka_producer_close(producer);
}

void kafka_world_commit(struct kafka_world *w, int32_t p, int64_t offset, const char *metadata)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    char why[256];
    rd_kafka_t *rk;

    rd_kafka_conf_set(conf, "bootstrap.servers", w->pairs[0].value, why, sizeof why);
    rd_kafka_conf_set(conf, "group.id", "g", why, sizeof why);
    rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof why);
    rd_kafka_topic_partition_list_add(list, "in", p)->offset = offset;
    list->elems[0].metadata = strdup(metadata);
    list->elems[0].metadata_size = strlen(metadata);
    assert_int_equal(rd_kafka_commit(rk, list, 0), 0);
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_destroy(rk);
}

/* ---- An app on a source */

static int64_t on_assigned(void *context, const struct kafka_assigned *p)
{
    struct app *a = context;

    assert_true(p->assignment > a->assignment[0] && p->assignment > a->assignment[1]);
    a->assigned++;
    a->assignment[p->partition] = p->assignment;
    a->committed[p->partition] = p->committed;
    snprintf(a->metadata[p->partition], sizeof a->metadata[0], "%.*s", SLICE_FMT(p->metadata));
    return p->committed >= 0 ? p->committed : KAFKA_OFFSET_BEGINNING;
}

static void on_record(void *context, const struct kafka_record *r)
{
    struct app *a = context;

    assert_true(a->nseen < SEEN_MAX);
    assert_true(r->assignment == a->assignment[r->partition]);
    a->seen[a->nseen].partition = r->partition;
    a->seen[a->nseen].offset = r->offset;
    a->seen[a->nseen].assignment = r->assignment;
    a->seen[a->nseen].has_key = r->key.at;
    a->seen[a->nseen].has_value = r->value.at;
    a->seen[a->nseen].nheaders = r->nheaders;
    a->seen[a->nseen].null_header = r->nheaders == 2 && !r->headers[1].value.at && slice_is(r->headers[0].value, "1");
    snprintf(a->seen[a->nseen++].value, sizeof a->seen[0].value, "%.*s", SLICE_FMT(r->value));
    if (a->pause_after && a->nseen == a->pause_after)
        assert_true(kafka_source_pause(a->source, "in", r->partition));
}

static void on_revoked(void *context, const struct kafka_partition *p, size_t n)
{
    struct app *a = context;

    (void)p;
    a->revoked += (int)n;
    if (a->release_at_once)
        kafka_source_release(a->source);
}

static void on_lost(void *context, const struct kafka_partition *p, size_t n)
{
    (void)p;
    ((struct app *)context)->lost += (int)n;
}

static void on_stopped(void *context, const struct kafka_partition *p, struct error why, const char *detail)
{
    struct app *a = context;

    (void)p;
    assert_non_null(detail);
    a->stopped++;
    a->stopped_code = why.code;
}

static void on_source_trouble(void *context, const struct kafka_trouble *t)
{
    assert_non_null(t->detail);
    ((struct app *)context)->troubles++;
}

static void on_closed(void *context) { ((struct app *)context)->closed++; }

void app_start(struct app *a, struct kafka_world *w)
{
    static const char *const topics[] = {"in"};
    const struct kafka_source_options o = {w->options, "g", topics, 1};
    const struct kafka_source_events events = {on_assigned, on_record,         on_revoked, on_lost,
                                               on_stopped,  on_source_trouble, on_closed};
    char detail[256];

    a->world = w;
    assert_false(failed(kafka_source_start(&a->source, w->base, &o, &events, a, detail, sizeof detail)));
}

void app_end(struct app *a)
{
    a->release_at_once = true;
    kafka_source_close(a->source);
    kafka_source_release(a->source);
    kafka_world_wait(a->world, &a->closed, 1);
    kafka_source_free(a->source);
}

/* ---- Transactions */

static void on_ready(void *context) { ((struct kafka_world *)context)->ready++; }

static void on_done(void *context, struct kafka_batch *b, const struct kafka_result *r)
{
    struct kafka_world *w = context;

    w->result = *r;
    for (size_t i = 0; i < r->nstored && i < 2; i++) {
        w->stored[i] = r->stored[i].offset;
        snprintf(w->stored_metadata, sizeof w->stored_metadata, "%.*s", SLICE_FMT(r->stored[i].metadata));
    }
    kafka_batch_free(b);
    w->done++;
    w->ready_before_done = w->ready;
}

static void on_txn_trouble(void *context, const struct kafka_trouble *t)
{
    (void)context;
    assert_non_null(t->name);
}

static void on_fenced(void *context, const char *id)
{
    assert_string_equal(id, "g-test-0");
    ((struct kafka_world *)context)->fenced++;
}

static void on_ended(void *context) { ((struct kafka_world *)context)->ended++; }

void world_start_txn(struct kafka_world *w, struct kafka_source *s)
{
    static const char *const topics[] = {"out"};
    const struct kafka_txn_options o = {w->options, "g-test-0", topics, 1, 0};
    const struct kafka_txn_events events = {on_ready, on_done, on_txn_trouble, on_fenced, on_ended};
    char detail[256];

    assert_false(failed(kafka_txn_start(&w->txn, w->base, s, &o, &events, w, detail, sizeof detail)));
    kafka_world_wait(w, &w->ready, 1);
}

void world_run_batch(struct kafka_world *w, struct kafka_source *s, int n, int64_t offset)
{
    struct kafka_batch *b = kafka_batch_new();
    int before = w->done;

    for (int i = 0; i < n; i++) /* the second one is the largest */
        assert_true(kafka_batch_add_record(
            b, &(struct kafka_output){
                   .topic = "out", .key = SLICE("k"), .value = i == 1 ? SLICE("longer value") : SLICE("v"), .tag = (uint64_t)i}));
    if (s) {
        struct kafka_membership *m = kafka_source_membership(s);

        assert_non_null(m);
        kafka_batch_set_membership(b, m);
        assert_true(kafka_batch_add_offset(b, &(struct kafka_partition){"in", 0}, offset, SLICE("m")));
    }
    kafka_txn_submit(w->txn, b);
    assert_true(kafka_txn_busy(w->txn));
    kafka_world_wait(w, &w->done, before + 1);
    assert_false(kafka_txn_busy(w->txn));
}

void world_end_txn(struct kafka_world *w)
{
    kafka_txn_stop(w->txn, 0);
    kafka_world_wait(w, &w->ended, 1);
    kafka_txn_free(w->txn);
}
