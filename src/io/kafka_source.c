/* The consumer: its life, its queue, its records. Partitions: kafka_rebalance.c. */
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "kafka_membership.h"
#include "kafka_source_parts.h"
#include "stepmill/clock.h"
#include "stepmill/log.h"
#include "stepmill/rule.h"

/* What one wake-up may serve before the rest of the loop gets its turn. */
enum { EVENTS_MAX = 500, CPU_MAX_US = 10000, LOOK_EVERY = 16, DESTROY_MS = 5000 };

struct part *source_part(struct kafka_source *s, const char *topic, int32_t partition)
{
    for (size_t k = 0; k < s->ntopics; k++) {
        size_t i = (s->last + k) % s->ntopics;
        struct topic *t = &s->topics[i];

        if (strcmp(t->name, topic) != 0)
            continue;
        s->last = i;
        return partition >= 0 && (size_t)partition < t->nparts ? &t->parts[partition] : NULL;
    }
    return NULL;
}

/* The only writer of a partition's state. */
void source_part_enter(struct kafka_source *s, struct part *p, enum part_state state)
{
    size_t *const counts[] = {
        [PART_NONE] = NULL,
        [PART_PENDING] = &s->counts.pending,
        [PART_OWNED] = &s->counts.owned,
        [PART_REVOKING] = &s->counts.revoking,
        [PART_STOPPED] = &s->counts.stopped,
    };

    if (counts[p->state])
        --*counts[p->state];
    if (counts[state])
        ++*counts[state];
    p->state = state;
    p->since_ms = clock_mono_ms();
    if (state == PART_PENDING)
        p->pending_ms = p->since_ms;
    p->asked = false; /* whatever was asked for the state before is stale */
    if (state == PART_OWNED)
        s->counts.trouble = NULL;
}

/* librdkafka names a missing topic only inside its sentence. */
static const char *topic_in(const struct kafka_source *s, const char *detail)
{
    const char *found = NULL;

    for (size_t i = 0; i < s->ntopics; i++)
        if (strstr(detail, s->topics[i].name) && (!found || strlen(found) < strlen(s->topics[i].name)))
            found = s->topics[i].name;
    return found;
}

void source_trouble(struct kafka_source *s, rd_kafka_resp_err_t code, bool fatal, const char *detail, const char *topic)
{
    struct kafka_trouble t = {kafka_trouble_of(code, fatal), rd_kafka_err2name(code), detail, topic};

    if (!topic && (t.kind == KAFKA_TROUBLE_TOPIC_MISSING || t.kind == KAFKA_TROUBLE_AUTH))
        t.topic = topic_in(s, detail);
    s->counts.errors++;
    s->counts.trouble = t.name;
    if (t.kind == KAFKA_TROUBLE_ALL_DOWN) {
        s->disconnected = true;
        source_hurry(s);
    }
    s->events.trouble(s->context, &t);
}

void source_hurry(struct kafka_source *s)
{
    struct timeval soon = {0, BUSY_TICK_MS * 1000};

    event_add(s->tick, &soon);
}

/* ---- What comes out of the queue */

static void on_record(struct kafka_source *s, const rd_kafka_message_t *m)
{
    struct part *p = source_part(s, rd_kafka_topic_name(m->rkt), m->partition);
    struct kafka_record r;

    s->disconnected = false;
    if (!p || (RULE(owned_records) && p->state != PART_OWNED) || m->offset < p->next) {
        s->counts.late++;
        return;
    }
    if (!kafka_record_view(&r, m, &s->headers)) {
        rebalance_stop(s, s->topics[s->last].name, p, RD_KAFKA_RESP_ERR__BAD_MSG,
                       "the headers of a record are damaged, or too many for the memory");
        return;
    }
    r.assignment = p->assignment;
    p->next = m->offset + 1;
    s->counts.records++;
    s->counts.bytes += r.key.len + r.value.len;
    s->counts.trouble = NULL;
    s->events.record(s->context, &r);
}

/* Errors that heal by themselves and lose nothing. All others stop the partition: librdkafka skips a batch whose checksum is
 * wrong and goes on, and the app would take the gap for offsets without records. */
static bool heals(rd_kafka_resp_err_t code)
{
    enum kafka_trouble_kind kind = kafka_trouble_of(code, false);

    return kind != KAFKA_TROUBLE_OTHER || code == RD_KAFKA_RESP_ERR__MAX_POLL_EXCEEDED;
}

static void on_error(struct kafka_source *s, rd_kafka_event_t *e)
{
    rd_kafka_resp_err_t code = rd_kafka_event_error(e);
    rd_kafka_topic_partition_t *x;
    struct part *p;

    if (code == RD_KAFKA_RESP_ERR__PARTITION_EOF) { /* only wanted because it moves the position over control records */
        s->disconnected = false;
        return;
    }
    x = rd_kafka_event_topic_partition(e);
    p = x ? source_part(s, x->topic, x->partition) : NULL;
    if (p && p->state == PART_OWNED && !rd_kafka_event_error_is_fatal(e) && !heals(code)) {
        s->counts.errors++;
        rebalance_stop(s, s->topics[s->last].name, p, code, rd_kafka_event_error_string(e));
    } else if (!x || p) {
        source_trouble(s, code, rd_kafka_event_error_is_fatal(e), rd_kafka_event_error_string(e),
                       p ? s->topics[s->last].name : NULL);
    }
    if (x)
        rd_kafka_topic_partition_destroy(x);
}

static void on_event(struct kafka_source *s, rd_kafka_event_t *e)
{
    const rd_kafka_message_t *m;

    switch (rd_kafka_event_type(e)) {
    case RD_KAFKA_EVENT_FETCH:
        while ((m = rd_kafka_event_message_next(e)) != NULL)
            on_record(s, m);
        break;
    case RD_KAFKA_EVENT_REBALANCE:
        rebalance_event(s, e);
        break;
    case RD_KAFKA_EVENT_ERROR:
        on_error(s, e);
        break;
    default:
        break;
    }
}

static void serve(void *source)
{
    struct kafka_source *s = source;
    int64_t until = clock_thread_us() + CPU_MAX_US;
    rd_kafka_event_t *e;
    int n = 0;

    while (s->phase != SOURCE_CLOSED && (e = rd_kafka_queue_poll(s->queue, 0)) != NULL) {
        on_event(s, e);
        rd_kafka_event_destroy(e);
        if (++n == EVENTS_MAX || (n % LOOK_EVERY == 0 && clock_thread_us() > until)) {
            event_add(s->again, &(struct timeval){0, 0}); /* the next turn: others are served in between */
            return;
        }
    }
}

static void on_again(evutil_socket_t fd, short what, void *source)
{
    (void)fd;
    (void)what;
    serve(source);
}

static void on_tick(evutil_socket_t fd, short what, void *source)
{
    struct kafka_source *s = source;
    bool busy;
    struct timeval next = {TICK_MS / 1000, 0};

    (void)fd;
    (void)what;
    serve(s); /* librdkafka leaves the group unless it is polled, wake-ups or not */
    rebalance_tick(s);
    if (s->disconnected && !s->pinging && s->phase == SOURCE_OPEN)
        s->pinging = kafka_lookup_ping(s->lookup);
    if (s->phase == SOURCE_CLOSING && (s->gave_up || rd_kafka_consumer_closed(s->rk))) {
        s->phase = SOURCE_CLOSED;
        rebalance_lose_all(s);
        s->events.closed(s->context);
        return;
    }
    busy = s->phase == SOURCE_CLOSING || s->counts.pending || s->releasing;
    if (busy)
        next = (struct timeval){0, BUSY_TICK_MS * 1000};
    if (!evtimer_pending(s->tick, NULL) || !busy)
        event_add(s->tick, &next);
}

/* ---- Life */

static rd_kafka_t *make_consumer(struct kafka_source *s, const struct kafka_source_options *o, struct error *error, char *detail,
                                 size_t room)
{
    const struct kafka_option extra[] = {{"group.id", o->group_id}};
    rd_kafka_conf_t *conf = kafka_conf_new(KAFKA_ROLE_SOURCE, &o->kafka, extra, 1, &s->opaque, error, detail, room);

    if (!conf)
        return NULL;
    rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_REBALANCE | RD_KAFKA_EVENT_ERROR);
    return kafka_client_new(RD_KAFKA_CONSUMER, conf, error, detail, room);
}

static bool copy_names(struct kafka_source *s, const struct kafka_source_options *o)
{
    s->group_id = strdup(o->group_id);
    s->topics = calloc(o->ntopics, sizeof *s->topics);
    if (!s->group_id || !s->topics)
        return false;
    for (; s->ntopics < o->ntopics; s->ntopics++) {
        s->topics[s->ntopics].name = strdup(o->topics[s->ntopics]);
        if (!s->topics[s->ntopics].name)
            return false;
    }
    return true;
}

static bool connect_loop(struct kafka_source *s, struct event_base *base)
{
    static const uint64_t one = 1;

    s->tick = evtimer_new(base, on_tick, s);
    s->again = evtimer_new(base, on_again, s);
    s->queue = rd_kafka_queue_get_consumer(s->rk);
    s->lookup = kafka_lookup_new(base, s->rk, s->opaque.log, rebalance_answer, s);
    if (!s->tick || !s->again || !s->queue || !s->lookup || !kafka_wake_open(&s->wake, base, serve, s))
        return false;
    rd_kafka_queue_io_event_enable(s->queue, s->wake.fd, &one, sizeof one);
    source_hurry(s);
    return true;
}

static rd_kafka_resp_err_t subscribe(struct kafka_source *s)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)s->ntopics);
    rd_kafka_resp_err_t e;

    for (size_t i = 0; i < s->ntopics; i++)
        rd_kafka_topic_partition_list_add(list, s->topics[i].name, RD_KAFKA_PARTITION_UA);
    e = rd_kafka_subscribe(s->rk, list);
    rd_kafka_topic_partition_list_destroy(list);
    return e;
}

struct error kafka_source_start(struct kafka_source **source, struct event_base *base, const struct kafka_source_options *options,
                                const struct kafka_source_events *events, void *context, char *detail, size_t room)
{
    struct kafka_source *s = calloc(1, sizeof *s);
    struct error error = error_make(CLASS_INTERNAL, "no_memory", "no memory, descriptor or thread left for the Kafka consumer");
    rd_kafka_resp_err_t e;

    *source = NULL;
    if (!s)
        return error;
    s->opaque = (struct kafka_opaque){options->kafka.log, s};
    s->events = *events;
    s->context = context;
    s->wake.fd = -1;
    if (!copy_names(s, options)) {
        kafka_source_free(s);
        return error;
    }
    s->rk = make_consumer(s, options, &error, detail, room);
    if (!s->rk) {
        kafka_source_free(s);
        return error;
    }
    if (!connect_loop(s, base)) {
        kafka_source_free(s);
        return error_make(CLASS_INTERNAL, "no_memory", "no memory, descriptor or thread left for the Kafka consumer");
    }
    e = subscribe(s);
    if (e) {
        kafka_copy_text(detail, room, rd_kafka_err2str(e));
        kafka_source_free(s);
        return error_make(CLASS_CONFIG, "kafka_subscribe", "the consumer cannot subscribe to these topics");
    }
    *source = s;
    return error_none();
}

void kafka_source_close(struct kafka_source *s)
{
    rd_kafka_error_t *e;

    if (s->phase != SOURCE_OPEN)
        return;
    s->phase = SOURCE_CLOSING;
    for (size_t t = 0; t < s->ntopics; t++)
        for (size_t i = 0; i < s->topics[t].nparts; i++)
            if (s->topics[t].parts[i].state == PART_PENDING || s->topics[t].parts[i].state == PART_STOPPED)
                source_part_enter(s, &s->topics[t].parts[i], PART_NONE);
    e = rd_kafka_consumer_close_queue(s->rk, s->queue);
    if (e) {
        /* A fatal error closed it already: no group is left to leave. The tick says `closed`. */
        source_trouble(s, rd_kafka_error_code(e), false, rd_kafka_error_string(e), NULL);
        rd_kafka_error_destroy(e);
        s->gave_up = true;
    }
    source_hurry(s);
}

void kafka_source_free(struct kafka_source *s)
{
    if (!s)
        return;
    kafka_lookup_free(s->lookup);
    if (s->tick)
        event_free(s->tick);
    if (s->again)
        event_free(s->again);
    if (s->queue) {
        rd_kafka_queue_io_event_enable(s->queue, -1, NULL, 0);
        rd_kafka_queue_destroy(s->queue);
    }
    if (s->rk && !kafka_consumer_destroy(s->rk, DESTROY_MS, s->opaque.log))
        return; /* its threads may still log */
    kafka_wake_close(&s->wake);
    for (size_t i = 0; s->topics && i < s->ntopics; i++) {
        free(s->topics[i].name);
        free(s->topics[i].parts);
    }
    free(s->topics);
    free(s->group_id);
    free(s->scratch);
    kafka_headers_free(&s->headers);
    free(s);
}
