/* What surrounds the worker of live_kafka: topics, input, and the check that nothing is lost or doubled. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "live_kafka.h"
#include "stepmill/kafka_admin.h"
#include "stepmill/kafka_txn.h"
#include "stepmill/offsets.h"

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return x < y ? -1 : x > y;
}

void live_sort(int64_t *at, int n) { qsort(at, (size_t)n, sizeof *at, compare); }

bool live_is_stored(const struct kafka_batch *b, const struct kafka_result *r, int partition, int64_t record)
{
    for (size_t i = 0; i < r->nstored; i++) {
        struct kafka_partition p;
        int64_t offset;
        struct slice metadata;
        const char *why;
        struct offsets *stored;
        bool in;

        kafka_batch_offset(b, i, &p, &offset, &metadata);
        if (p.partition != partition || r->stored[i].offset < 0)
            continue;
        stored = offsets_decode(r->stored[i].offset, r->stored[i].metadata.at, r->stored[i].metadata.len, &why);
        in = stored && offsets_is_finished(stored, record);
        offsets_free(stored);
        return in;
    }
    return false;
}

enum { PARTS = 64, OFFSETS = 2000000, TIMEOUT_MS = 30000 };

static const struct kafka_options *options_of(const char *bootstrap)
{
    static struct kafka_option pair;
    static struct kafka_options options = {&pair, 1, "live-tools", NULL};

    pair = (struct kafka_option){"bootstrap.servers", bootstrap};
    return &options;
}

static struct kafka_admin *open_admin(const char *bootstrap)
{
    struct kafka_admin *a;
    char detail[256];
    struct error e = kafka_admin_open(&a, options_of(bootstrap), TIMEOUT_MS, detail, sizeof detail);

    if (failed(e))
        fprintf(stderr, "admin: %s\n", detail);
    return a;
}

int live_setup(const char *bootstrap, const char *in, const char *out, int partitions)
{
    static const struct kafka_option configs[] = {{"max.message.bytes", "8388608"}};
    const struct kafka_topic_spec specs[] = {{in, partitions, -1, configs, 1}, {out, partitions, -1, configs, 1}};
    struct kafka_topic_result results[2];
    struct kafka_admin *a = open_admin(bootstrap);
    struct error e;

    if (!a)
        return 1;
    e = kafka_admin_create_topics(a, specs, 2, false, results);
    if (failed(e))
        fprintf(stderr, "create: %s: %s\n", e.text, kafka_admin_detail(a));
    for (int i = 0; !failed(e) && i < 2; i++)
        printf("%s: outcome %d, %d partitions %s\n", specs[i].name, results[i].outcome, results[i].partitions, results[i].detail);
    kafka_admin_close(a);
    return failed(e);
}

static void delivered(void *context, const struct kafka_delivery *d)
{
    long *counts = context;

    counts[failed(d->error)]++;
}

int live_feed(const char *bootstrap, const char *in, int records, int size)
{
    struct kafka_producer *p;
    char detail[256], key[32];
    char *value = calloc(1, (size_t)size + 1);
    long counts[2] = {0, 0};
    struct error e = kafka_producer_open(&p, options_of(bootstrap), delivered, counts, detail, sizeof detail);

    if (failed(e)) {
        fprintf(stderr, "feed: %s\n", detail);
        free(value);
        return 1;
    }
    memset(value, 'x', (size_t)size);
    for (int i = 0; i < records && !failed(e); i++) {
        int n = snprintf(key, sizeof key, "key-%d", i);

        e = kafka_producer_send(p, &(struct kafka_output){.topic = in, .key = {key, (size_t)n}, .value = {value, (size_t)size}});
        kafka_producer_poll(p, 0);
    }
    if (!failed(e))
        e = kafka_producer_flush(p, TIMEOUT_MS);
    printf("fed %ld, failed %ld%s\n", counts[0], counts[1], failed(e) ? kafka_producer_detail(p) : "");
    kafka_producer_close(p);
    free(value);
    return failed(e) || counts[1];
}

/* ---- Check */

struct check {
    uint8_t *in[PARTS], *out[PARTS]; /* by offset of `in` */
    int64_t end[PARTS];
    long nin, nout, doubled, foreign, missing, uncovered, behind;
};

static void see_in(struct check *c, const struct kafka_record *r)
{
    c->in[r->partition][r->offset] = 1;
    c->nin++;
}

static void see_out(struct check *c, const struct kafka_record *r)
{
    char text[80];
    int p;
    long long o;

    snprintf(text, sizeof text, "%.*s", SLICE_FMT(r->value));
    c->nout++;
    if (sscanf(text, "%d %lld", &p, &o) != 2 || p < 0 || p >= PARTS || o < 0 || o >= OFFSETS || !c->in[p][o])
        c->foreign++;
    else if (c->out[p][o]++)
        c->doubled++;
}

static int read_all(const char *bootstrap, const char *topic, void (*see)(struct check *c, const struct kafka_record *r),
                    struct check *c)
{
    struct kafka_reader *reader;
    const struct kafka_record *r;
    const char *text;
    char detail[256];
    enum kafka_read got;
    struct error e =
        kafka_reader_open(&reader, options_of(bootstrap), topic, -1, KAFKA_START_BEGINNING, 0, TIMEOUT_MS, detail, sizeof detail);

    if (failed(e)) {
        fprintf(stderr, "%s: %s\n", topic, detail);
        return 1;
    }
    while ((got = kafka_reader_next(reader, TIMEOUT_MS, &r)) == KAFKA_READ_RECORD)
        see(c, r);
    if (got != KAFKA_READ_END)
        printf("VIOLATION %s: the end was not reached: %s\n", topic,
               got == KAFKA_READ_FAILED ? kafka_reader_error(reader, &text).text : "time-out");
    kafka_reader_close(reader);
    return got != KAFKA_READ_END;
}

/* What the group holds covers every input, and its watermark is the end. */
static int check_group(struct kafka_admin *a, const char *group, const char *in, struct check *c)
{
    struct kafka_partition p[PARTS];
    struct kafka_offsets *ends = NULL, *committed = NULL;
    struct kafka_topics *topics;
    struct error e = kafka_admin_topics(a, &in, 1, false, &topics);
    size_t n = failed(e) ? 0 : topics->at[0].npartitions;

    for (size_t i = 0; i < n; i++)
        p[i] = (struct kafka_partition){in, (int32_t)i};
    kafka_topics_free(failed(e) ? NULL : topics);
    if (!failed(e))
        e = kafka_admin_offsets(a, p, n, KAFKA_OFFSET_END, &ends);
    if (!failed(e))
        e = kafka_admin_committed(a, group, p, n, &committed);
    if (failed(e))
        printf("VIOLATION cannot read the group: %s\n", kafka_admin_detail(a));
    for (size_t i = 0; !failed(e) && i < n; i++) {
        const char *why = NULL;
        int64_t at = committed->at[i].offset >= 0 ? committed->at[i].offset : 0;
        struct offsets *o = offsets_decode(at, committed->at[i].metadata.at, committed->at[i].metadata.len, &why);

        for (int64_t k = 0; o && k < ends->at[i].offset && k < OFFSETS; k++)
            c->uncovered += c->in[i][k] && !offsets_is_finished(o, k);
        c->behind += !o || at < ends->at[i].offset;
        if (!o || at < ends->at[i].offset)
            printf("partition %zu: committed %lld of %lld %s\n", i, (long long)at, (long long)ends->at[i].offset, why ? why : "");
        offsets_free(o);
    }
    kafka_offsets_free(ends);
    kafka_offsets_free(committed);
    return failed(e);
}

int live_check(const char *bootstrap, const char *group, const char *in, const char *out)
{
    static struct check c;
    struct kafka_admin *a = open_admin(bootstrap);
    int bad = !a;

    for (int i = 0; i < PARTS; i++) {
        c.in[i] = calloc(OFFSETS, 1);
        c.out[i] = calloc(OFFSETS, 1);
    }
    bad = bad || read_all(bootstrap, in, see_in, &c) || read_all(bootstrap, out, see_out, &c) || check_group(a, group, in, &c);
    for (int i = 0; i < PARTS; i++) {
        for (int64_t k = 0; k < OFFSETS; k++)
            c.missing += c.in[i][k] && !c.out[i][k];
        free(c.in[i]);
        free(c.out[i]);
    }
    kafka_admin_close(a);
    bad = bad || c.missing || c.doubled || c.foreign || c.uncovered || c.behind;
    printf("%s: in %ld, out %ld, missing %ld, doubled %ld, foreign %ld, uncovered %ld, partitions behind %ld\n",
           bad ? "FAIL" : "PASS", c.nin, c.nout, c.missing, c.doubled, c.foreign, c.uncovered, c.behind);
    return bad;
}

int main(int argc, char **argv)
{
    if (argc >= 7 && !strcmp(argv[1], "work"))
        return live_work(argv[2], argv[3], argv[4], argv[5], argv[6], argc > 7 ? (int)strtol(argv[7], NULL, 10) : 0);
    if (argc == 6 && !strcmp(argv[1], "setup"))
        return live_setup(argv[2], argv[3], argv[4], (int)strtol(argv[5], NULL, 10));
    if (argc == 6 && !strcmp(argv[1], "feed"))
        return live_feed(argv[2], argv[3], (int)strtol(argv[4], NULL, 10), (int)strtol(argv[5], NULL, 10));
    if (argc == 6 && !strcmp(argv[1], "check"))
        return live_check(argv[2], argv[3], argv[4], argv[5]);
    fprintf(stderr,
            "live_kafka setup BOOTSTRAP IN OUT PARTITIONS | feed BOOTSTRAP IN RECORDS BYTES | check BOOTSTRAP GROUP IN OUT |\n"
            "           work BOOTSTRAP GROUP SLOT IN OUT [IDLE_SECONDS]\n");
    return 2;
}
