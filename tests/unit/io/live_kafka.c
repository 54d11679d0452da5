/* A small exactly-once worker on kafka_source and kafka_txn: a subject for kill -9, broker stops and measurements. */
#include "live_kafka.h"

#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "stepmill/clock.h"
#include "stepmill/kafka_source.h"
#include "stepmill/kafka_txn.h"
#include "stepmill/log.h"
#include "stepmill/offsets.h"

enum { PARTS = 64, SLOTS = 128, SLOT_MS = 10, WORK_MS = 1000, BATCH = 500, COMMIT_MS = 20, PAUSE_AT = 3000 };

struct work {
    struct work *next;
    int partition;
    uint64_t assignment;
    int64_t offset;
};

struct part {
    uint64_t assignment; /* 0: not ours */
    struct offsets *finished;
    int64_t next, told; /* told: the offset that is committed */
    int open;           /* records taken and not committed */
    bool paused, revoking;
};

struct live {
    struct event_base *base;
    struct kafka_source *source;
    struct kafka_txn *txn;
    struct event *tick;
    struct log log;
    const char *in, *out, *slot;
    struct part parts[PARTS];
    struct work *wheel[SLOTS], *done, **done_end, *batch;
    int64_t wheel_at, idle_at_ms, position_ms;
    int running, ndone, idle_s;
    bool needs_lost, revoking, closing, closed, failed;
    int64_t committed, aborted, reread_in, reread_out, dropped;
    int64_t us[20000];
    int nus;
};

static volatile sig_atomic_t stop;
static void on_signal(int signo) { stop = signo; }

static void done_put(struct live *l, struct work *w)
{
    w->next = NULL;
    *l->done_end = w;
    l->done_end = &w->next;
    l->ndone++;
}

static bool ours(const struct live *l, const struct work *w) { return l->parts[w->partition].assignment == w->assignment; }

/* ---- The source's callbacks */

static int64_t assigned(void *context, const struct kafka_assigned *a)
{
    struct live *l = context;
    struct part *p = &l->parts[a->partition];
    const char *why = NULL;
    int64_t from = a->committed >= 0 ? a->committed : 0;

    l->needs_lost = false;
    if (p->assignment) {
        fprintf(stderr, "VIOLATION assigned twice: %d\n", a->partition);
        l->failed = true;
    }
    offsets_free(p->finished);
    p->finished = offsets_decode(from, a->metadata.at, a->metadata.len, &why);
    if (!p->finished) {
        fprintf(stderr, "VIOLATION metadata of %d: %s\n", a->partition, why);
        exit(1);
    }
    p->assignment = a->assignment;
    p->next = from;
    p->told = a->committed;
    p->open = 0;
    p->paused = false;
    return a->committed >= 0 ? a->committed : KAFKA_OFFSET_BEGINNING;
}

static void gap(struct part *p, int64_t to)
{
    if (to > p->next && !offsets_finish_gap(p->finished, p->next, to))
        exit(1);
    if (to > p->next)
        p->next = to;
}

static void record(void *context, const struct kafka_record *r)
{
    struct live *l = context;
    struct part *p = &l->parts[r->partition];
    struct work *w;
    size_t slot = (size_t)((clock_mono_ms() + random() % WORK_MS) / SLOT_MS) % SLOTS;

    if (p->assignment != r->assignment || r->offset < p->next) {
        fprintf(stderr, "VIOLATION record %d/%lld of assignment %llu, have %llu next %lld\n", r->partition, (long long)r->offset,
                (unsigned long long)r->assignment, (unsigned long long)p->assignment, (long long)p->next);
        l->failed = true;
        return;
    }
    l->idle_at_ms = clock_mono_ms();
    gap(p, r->offset);
    p->next = r->offset + 1;
    if (offsets_is_finished(p->finished, r->offset))
        return;
    w = calloc(1, sizeof *w);
    *w = (struct work){l->wheel[slot], r->partition, r->assignment, r->offset};
    l->wheel[slot] = w;
    l->running++;
    if (++p->open >= PAUSE_AT && !p->paused)
        p->paused = kafka_source_pause(l->source, l->in, r->partition);
}

static void drop(struct live *l, int32_t partition)
{
    l->parts[partition].assignment = 0; /* records in work and in the batch no longer match */
    l->parts[partition].revoking = false;
}

static void lost(void *context, const struct kafka_partition *p, size_t n)
{
    struct live *l = context;

    l->needs_lost = l->revoking = false;
    for (size_t i = 0; i < n; i++)
        drop(l, p[i].partition);
}

static void revoked(void *context, const struct kafka_partition *p, size_t n)
{
    struct live *l = context;

    for (size_t i = 0; i < n; i++)
        l->parts[p[i].partition].revoking = true;
    l->revoking = true;
}

static void release(struct live *l)
{
    kafka_source_release(l->source);
    l->revoking = false;
    for (int i = 0; i < PARTS; i++)
        if (l->parts[i].revoking)
            drop(l, i);
}

static void stopped_partition(void *context, const struct kafka_partition *p, struct error why, const char *detail)
{
    fprintf(stderr, "STOPPED %d: %s (%s)\n", p->partition, why.code, detail);
    drop(context, p->partition);
}

static void trouble(void *context, const struct kafka_trouble *t)
{
    struct live *l = context;

    fprintf(stderr, "%s trouble %s %s %s\n", l->slot, kafka_trouble_name(t->kind), t->name, t->detail);
}

static void closed(void *context)
{
    struct live *l = context;

    l->closed = true;
    kafka_txn_stop(l->txn, 2000);
}

/* ---- Batches */

static int add_offset(struct live *l, struct kafka_batch *b, int i, int64_t position)
{
    struct part *p = &l->parts[i];
    struct offsets *copy = offsets_copy(p->finished);
    char text[OFFSETS_TEXT_MAX];
    size_t len;
    bool ok;

    for (struct work *w = l->batch; w; w = w->next)
        if (w->partition == i && !offsets_finish(copy, w->offset))
            exit(1);
    if (position > p->next && !offsets_finish_gap(copy, p->next, position))
        exit(1);
    ok = offsets_encode(copy, text, sizeof text, &len);
    if (!ok ||
        !kafka_batch_add_offset(b, &(struct kafka_partition){l->in, i}, offsets_watermark(copy), (struct slice){text, len})) {
        fprintf(stderr, "VIOLATION the finished set does not fit\n");
        exit(1);
    }
    offsets_free(copy);
    return 1;
}

static void add_record(struct live *l, struct kafka_batch *b, const struct work *w)
{
    char value[64], key[32];
    int n = snprintf(value, sizeof value, "%d %lld %s %d", w->partition, (long long)w->offset, l->slot, (int)getpid());
    int k = snprintf(key, sizeof key, "%d", w->partition);

    if (!kafka_batch_add_record(b, &(struct kafka_output){.topic = l->out, .key = {key, (size_t)k}, .value = {value, (size_t)n}}))
        exit(1);
}

/* Takes finished work into a batch, or the position of idle partitions. */
static void submit(struct live *l)
{
    struct kafka_membership *m;
    struct kafka_batch *b;
    bool used[PARTS] = {false};
    int n = 0, noffsets = 0;

    if (kafka_txn_busy(l->txn) || l->needs_lost || l->closed || !(m = kafka_source_membership(l->source)))
        return;
    b = kafka_batch_new();
    kafka_batch_set_membership(b, m);
    while (l->done && n < BATCH) {
        struct work *w = l->done;

        l->done = w->next;
        if (!l->done)
            l->done_end = &l->done;
        l->ndone--;
        if (!ours(l, w)) {
            l->dropped++;
            free(w);
            continue;
        }
        w->next = l->batch;
        l->batch = w;
        used[w->partition] = true;
        add_record(l, b, w);
        n++;
    }
    for (int i = 0; i < PARTS; i++) {
        struct part *p = &l->parts[i];
        int64_t position = -1;

        if (!used[i] && p->assignment && !p->open && !n && clock_mono_ms() - l->position_ms > 2000)
            position = kafka_source_position(l->source, l->in, i);
        if (used[i] || position > p->told)
            noffsets += add_offset(l, b, i, position);
    }
    if (!n && clock_mono_ms() - l->position_ms > 2000)
        l->position_ms = clock_mono_ms();
    if (noffsets)
        kafka_txn_submit(l->txn, b);
    else
        kafka_batch_free(b);
}

static void done(void *context, struct kafka_batch *b, const struct kafka_result *r)
{
    struct live *l = context;
    struct work *w;

    if (r->fate != KAFKA_COMMITTED)
        fprintf(stderr, "%s batch of %zu: fate %d, %s\n", l->slot, kafka_batch_records(b), r->fate, r->name ? r->name : "");
    if (r->needs_lost)
        l->needs_lost = true;
    if (r->fate == KAFKA_COMMITTED && l->nus < 20000)
        l->us[l->nus++] = r->duration_us;
    while ((w = l->batch) != NULL) {
        struct part *p = &l->parts[w->partition];
        bool in = r->fate == KAFKA_COMMITTED || (r->fate == KAFKA_REREAD && live_is_stored(b, r, w->partition, w->offset));

        l->batch = w->next;
        if (r->fate == KAFKA_REREAD)
            ++*(in ? &l->reread_in : &l->reread_out);
        if (ours(l, w) && !in) {
            l->aborted++;
            done_put(l, w);
            continue;
        }
        if (ours(l, w)) {
            if (!offsets_finish(p->finished, w->offset))
                exit(1);
            l->committed++;
            p->open--;
            if (p->paused && p->open < PAUSE_AT / 2)
                p->paused = !kafka_source_resume(l->source, l->in, w->partition);
        }
        l->running--;
        free(w);
    }
    for (size_t i = 0; r->fate == KAFKA_COMMITTED && i < kafka_batch_offsets(b); i++) {
        struct kafka_partition p;
        struct slice metadata;
        int64_t offset;

        kafka_batch_offset(b, i, &p, &offset, &metadata);
        l->parts[p.partition].told = offset;
    }
    kafka_batch_free(b);
}

static void txn_ready(void *context) { (void)context; }

static void txn_fenced(void *context, const char *id)
{
    (void)context;
    fprintf(stderr, "FENCED %s\n", id);
    exit(1);
}

static void txn_stopped(void *context) { event_base_loopbreak(((struct live *)context)->base); }

/* ---- Turning */

static void on_tick(evutil_socket_t fd, short what, void *context)
{
    struct live *l = context;
    int64_t now = clock_mono_ms() / SLOT_MS;

    (void)fd;
    (void)what;
    for (; l->wheel_at < now; l->wheel_at++) {
        struct work *w, *next;

        for (w = l->wheel[l->wheel_at % SLOTS], l->wheel[l->wheel_at % SLOTS] = NULL; w; w = next) {
            next = w->next;
            done_put(l, w);
        }
    }
    submit(l);
    if (l->revoking && !kafka_txn_busy(l->txn) && !l->ndone)
        release(l);
    if (!l->closing && (stop || (l->idle_s && clock_mono_ms() - l->idle_at_ms > l->idle_s * 1000L && !kafka_txn_busy(l->txn)))) {
        l->closing = true;
        kafka_source_close(l->source);
    }
}

static void report(struct live *l)
{
    struct kafka_txn_status t;
    struct kafka_source_status s;

    kafka_txn_status(l->txn, &t);
    kafka_source_status(l->source, &s);
    live_sort(l->us, l->nus);
    fprintf(stderr,
            "%s END committed=%lld requeued=%lld reread in=%lld out=%lld dropped=%lld batches=%llu aborted=%llu unknown=%llu "
            "replaced=%llu "
            "rebalances=%llu late=%llu p50=%.1f ms p99=%.1f ms\n",
            l->slot, (long long)l->committed, (long long)l->aborted, (long long)l->reread_in, (long long)l->reread_out,
            (long long)l->dropped, (unsigned long long)t.committed, (unsigned long long)t.aborted, (unsigned long long)t.unknown,
            (unsigned long long)t.replaced, (unsigned long long)s.rebalances, (unsigned long long)s.late,
            l->nus ? (double)l->us[l->nus / 2] / 1e3 : 0, l->nus ? (double)l->us[l->nus * 99 / 100] / 1e3 : 0);
}

int live_work(const char *bootstrap, const char *group, const char *slot, const char *in, const char *out, int idle_s)
{
    static struct live l;
    const char *session = getenv("LIVE_SESSION_MS"); /* shorter than the default 10 s, so that kills meet work more often */
    const struct kafka_option pairs[] = {{"bootstrap.servers", bootstrap}, {"session.timeout.ms", session ? session : "10000"}};
    const struct kafka_options kafka = {pairs, 2, "live", &l.log};
    const struct kafka_source_options so = {kafka, group, &in, 1};
    const struct kafka_source_events se = {assigned, record, revoked, lost, stopped_partition, trouble, closed};
    const struct kafka_txn_events te = {txn_ready, done, trouble, txn_fenced, txn_stopped};
    char id[128], detail[256];
    struct error e;

    l = (struct live){.base = event_base_new(), .in = in, .out = out, .slot = slot, .idle_s = idle_s, .done_end = &l.done};
    l.log = (struct log){LOG_LEVEL_INFO, 2, slot};
    snprintf(id, sizeof id, "%s-live-%s", group, slot);
    l.idle_at_ms = clock_mono_ms() + 5000;
    l.wheel_at = clock_mono_ms() / SLOT_MS;
    srandom((unsigned)(clock_mono_us() ^ getpid()));
    signal(SIGTERM, on_signal);
    e = kafka_source_start(&l.source, l.base, &so, &se, &l, detail, sizeof detail);
    if (!failed(e))
        e = kafka_txn_start(&l.txn, l.base, l.source, &(struct kafka_txn_options){kafka, id, &out, 1, 0}, &te, &l, detail,
                            sizeof detail);
    if (failed(e)) {
        fprintf(stderr, "start: %s: %s\n", e.text, detail);
        return 1;
    }
    l.tick = event_new(l.base, -1, EV_PERSIST, on_tick, &l);
    event_add(l.tick, &(struct timeval){0, COMMIT_MS * 1000});
    event_base_dispatch(l.base);
    report(&l);
    kafka_txn_free(l.txn);
    kafka_source_free(l.source);
    event_free(l.tick);
    event_base_free(l.base);
    for (int i = 0; i < PARTS; i++)
        offsets_free(l.parts[i].finished);
    return l.failed;
}
