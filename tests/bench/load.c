/* Feeds a worker with tasks, reads their results as they are committed, and says what the worker's process used meanwhile.
 *
 * usage: bench-load BROKERS TASKS_TOPIC RESULTS_TOPIC SCHEMA_ID AGENT PID rate PER_SECOND WARM_S SECONDS IDEAL_MS
 *        bench-load BROKERS TASKS_TOPIC RESULTS_TOPIC SCHEMA_ID AGENT PID burst COUNT
 *        bench-load BROKERS TASKS_TOPIC RESULTS_TOPIC SCHEMA_ID AGENT PID hold COUNT PER_SECOND LATENCY_MS
 *
 * rate   a steady stream; CPU of the worker per task, and what it adds to the time of the model and the tool. Each task has a
 *        session of its own, so none waits for another
 * burst  all at once: tasks per second between a fifth and nine tenths of them
 * hold   the model takes LATENCY_MS, so that all are in flight at once: the largest resident size meanwhile
 * One line of key=value on stdout.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "stepmill/clock.h"
#include "stepmill/kafka_admin.h"
#include "stepmill/log.h"
#include "stepmill/random.h"
#include "stepmill/task_codec.h"

#define PROMPT                                                                                                                   \
    "A customer writes: \"My parcel was due on Monday and the tracking page has not changed since then. I ordered two further "  \
    "items last week, and I would like them to be sent together if that is still possible. Please check where the first parcel " \
    "is, whether the other two can be held back, and tell me what it would cost to have all three delivered to my office "       \
    "instead of my home.\" Look up the state of the orders with the tool you have, then write a short and friendly answer with " \
    "the facts, the next step, and the date by which we expect to deliver. Keep to the tone of the house style."

struct load {
    const char *topic;
    struct slice agent;
    uint32_t schema_id;
    int pid;
    char run[20];
    char prompt[1024];
    struct kafka_producer *producer;
    struct kafka_reader *reader;
    int64_t *sent_us, *done_us; /* wall clock, by number; 0: not yet */
    size_t room, sent, done, duplicates, refused;
};

struct usage {
    int64_t at_us;
    double cpu_us, idle, all; /* of the worker; of the machine, in ticks */
    size_t done;
};

static void die(const char *what, const char *detail)
{
    fprintf(stderr, "bench-load: %s: %s\n", what, detail);
    exit(1);
}

static struct usage usage_now(const struct load *l)
{
    struct usage u = {.at_us = clock_mono_us(), .done = l->done};
    unsigned long user = 0, system = 0;
    char path[64];
    FILE *f;

    snprintf(path, sizeof path, "/proc/%d/stat", l->pid);
    f = fopen(path, "r");
    if (!f || fscanf(f, "%*d %*s %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system) != 2)
        die("the worker is gone", path);
    fclose(f);
    u.cpu_us = (double)(user + system) * 1e6 / (double)sysconf(_SC_CLK_TCK);
    f = fopen("/proc/stat", "r");
    for (int i = 0; f && i < 8; i++) {
        double ticks = 0;

        if (fscanf(f, i ? "%lf" : "cpu %lf", &ticks) != 1)
            die("not readable", "/proc/stat");
        u.all += ticks;
        u.idle += i == 3 || i == 4 ? ticks : 0;
    }
    if (f)
        fclose(f);
    return u;
}

static long resident_kb(const struct load *l)
{
    long pages = 0;
    char path[64];
    FILE *f;

    snprintf(path, sizeof path, "/proc/%d/statm", l->pid);
    f = fopen(path, "r");
    if (!f || fscanf(f, "%*d %ld", &pages) != 1)
        die("the worker is gone", path);
    fclose(f);
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static void on_delivered(void *ctx, const struct kafka_delivery *d)
{
    struct load *l = ctx;

    if (failed(d->error) && !l->refused++)
        fprintf(stderr, "bench-load: a task was not taken: %s\n", d->error.text);
}

static void send_one(struct load *l)
{
    static const struct context_entry context[] = {{{"channel", 7}, {"email", 5}}, {{"locale", 6}, {"en-GB", 5}}};
    char id[48], session[48];
    struct buf value = BUF(4096);
    struct task_input task = {.context = context, .ncontext = 2, .max_steps = -1, .token_budget = -1, .deadline_at_ms = -1};

    if (l->sent == l->room)
        die("too many tasks", "a bug of the driver");
    snprintf(id, sizeof id, "%s-%zu", l->run, l->sent);
    snprintf(session, sizeof session, "session-%s-%zu", l->run, l->sent);
    task.task_id = slice_of(id);
    task.session_id = slice_of(session);
    task.source_agent = SLICE("bench");
    task.target_agent = l->agent;
    task.prompt = slice_of(l->prompt);
    task.created_at_ms = clock_wall_ms();
    task_put(&value, l->schema_id, &task);
    l->sent_us[l->sent++] = clock_mono_us();
    if (failed(kafka_producer_send(
            l->producer, &(struct kafka_output){.topic = l->topic, .key = task.session_id, .value = buf_slice(&value)})))
        die("not sent", kafka_producer_detail(l->producer));
    buf_free(&value);
}

/* The number of our task in a result, whose first field is the task_id; -1: another's. */
static int64_t number_of(const struct load *l, struct slice value)
{
    size_t prefix = strlen(l->run);
    struct slice digits;
    int64_t n;

    if (value.len < 7 + prefix || value.at[5] & 1 || value.at[5] < 0) /* a one-byte length: ids are short */
        return -1;
    digits = (struct slice){value.at + 6, (size_t)value.at[5] / 2};
    if (digits.len <= prefix + 1 || 6 + digits.len > value.len || memcmp(digits.at, l->run, prefix) != 0)
        return -1;
    digits = (struct slice){digits.at + prefix + 1, digits.len - prefix - 1};
    return slice_to_int(digits, 0, (int64_t)l->sent - 1, &n) ? n : -1;
}

static void read_for(struct load *l, int timeout_ms)
{
    const struct kafka_record *r;

    for (;;) {
        enum kafka_read read = kafka_reader_next(l->reader, timeout_ms, &r);
        int64_t n;

        if (read == KAFKA_READ_NOTHING)
            break;
        if (read == KAFKA_READ_FAILED)
            die("results can't be read", "see the broker's log");
        timeout_ms = 0;
        n = read == KAFKA_READ_RECORD ? number_of(l, r->value) : -1;
        if (n < 0)
            continue;
        l->duplicates += l->done_us[n] != 0;
        l->done += l->done_us[n] == 0;
        l->done_us[n] = clock_mono_us();
    }
    kafka_producer_poll(l->producer, 0);
}

static void feed(struct load *l, double per_second, size_t count)
{
    int64_t began = clock_mono_us();
    size_t first = l->sent;

    while (l->sent - first < count) {
        double due = (double)(clock_mono_us() - began) * per_second / 1e6;

        while (l->sent - first < count && (double)(l->sent - first) < due)
            send_one(l);
        read_for(l, 1);
    }
}

/* Waits for the results up to `until`, at most `seconds`. */
static void wait_for(struct load *l, size_t until, int64_t seconds)
{
    int64_t end = clock_mono_us() + seconds * 1000000;

    while (l->done < until && clock_mono_us() < end)
        read_for(l, 5);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

static void run_rate(struct load *l, char **args)
{
    double rate = strtod(args[0], NULL), ideal_ms = strtod(args[3], NULL), *added;
    size_t warm = (size_t)(rate * strtod(args[1], NULL)), count = (size_t)(rate * strtod(args[2], NULL)), n = 0, first;
    struct usage a, b;

    feed(l, rate, warm);
    first = l->sent;
    a = usage_now(l);
    feed(l, rate, count);
    b = usage_now(l);
    wait_for(l, l->sent, 60);
    added = calloc(count + 1, sizeof *added);
    for (size_t i = first; added && i < l->sent; i++)
        if (l->done_us[i])
            added[n++] = (double)(l->done_us[i] - l->sent_us[i]) / 1e3 - ideal_ms;
    if (!n)
        die("no results", "look at the worker's log");
    qsort(added, n, sizeof *added, by_value);
    printf("cpu_us=%.0f rate=%.0f added_p50_ms=%.1f added_p99_ms=%.1f idle=%.0f%%",
           (b.cpu_us - a.cpu_us) / (double)(b.done - a.done), (double)(b.done - a.done) * 1e6 / (double)(b.at_us - a.at_us),
           added[n / 2], added[n * 99 / 100], 100 * (b.idle - a.idle) / (b.all - a.all));
    free(added);
}

static void run_burst(struct load *l, char **args)
{
    size_t count = strtoul(args[0], NULL, 10), base;
    struct usage start, a, b, end;

    feed(l, 300, 1500); /* connections stand, memory is warm */
    wait_for(l, l->sent, 60);
    base = l->done;
    start = usage_now(l);
    feed(l, 1e9, count);
    wait_for(l, base + count / 5, 120);
    a = usage_now(l);
    wait_for(l, base + count * 9 / 10, 120);
    b = usage_now(l);
    wait_for(l, l->sent, 120);
    end = usage_now(l);
    printf("tasks_per_s=%.0f cpu_us=%.0f idle=%.0f%%", (double)(b.done - a.done) * 1e6 / (double)(b.at_us - a.at_us),
           (end.cpu_us - start.cpu_us) / (double)(end.done - start.done), 100 * (b.idle - a.idle) / (b.all - a.all));
}

static void run_hold(struct load *l, char **args)
{
    size_t count = strtoul(args[0], NULL, 10);
    double rate = strtod(args[1], NULL);
    int64_t latency_ms = strtol(args[2], NULL, 10), end;
    long before_kb, peak_kb = 0, now_kb;

    feed(l, 100, 100);
    wait_for(l, l->sent, 60);
    before_kb = resident_kb(l);
    snprintf(l->prompt, sizeof l->prompt, "[[fake: latency=%lldms]] %s", (long long)latency_ms, PROMPT);
    feed(l, rate, count);
    /* Until the first leaves: by then all have made their second call, which is when a task is largest. */
    end = clock_mono_us() + (2 * latency_ms + 60000) * 1000;
    while (l->done < 100 + count / 100 && clock_mono_us() < end) {
        read_for(l, 100);
        now_kb = resident_kb(l);
        peak_kb = now_kb > peak_kb ? now_kb : peak_kb;
    }
    printf("in_flight=%zu kb_each=%.1f resident_mb=%.0f idle_mb=%.0f", count, (double)(peak_kb - before_kb) / (double)count,
           (double)peak_kb / 1024, (double)before_kb / 1024);
    wait_for(l, l->sent, 60 + latency_ms / 1000);
}

static void open_all(struct load *l, const struct kafka_options *options, const char *results, size_t room)
{
    char detail[256] = "";

    l->room = room;
    l->sent_us = calloc(room, sizeof *l->sent_us);
    l->done_us = calloc(room, sizeof *l->done_us);
    snprintf(l->run, sizeof l->run, "b%llx", (unsigned long long)clock_wall_ms());
    snprintf(l->prompt, sizeof l->prompt, "%s", PROMPT);
    if (!l->sent_us || !l->done_us)
        die("out of memory", "");
    if (failed(kafka_producer_open(&l->producer, options, on_delivered, l, detail, sizeof detail)) ||
        failed(kafka_reader_open(&l->reader, options, results, -1, KAFKA_START_END, 0, 10000, detail, sizeof detail)))
        die("no connection to Kafka", detail);
    for (int i = 0; i < 100; i++) /* the reader stands at the end before the first task is sent */
        read_for(l, 10);
}

int main(int argc, char **argv)
{
    struct kafka_option broker = {.name = "bootstrap.servers"};
    struct load l = {0};
    int given = argc - 8;

    if (argc < 9 || !((!strcmp(argv[7], "rate") && given == 4) || (!strcmp(argv[7], "burst") && given == 1) ||
                      (!strcmp(argv[7], "hold") && given == 3)))
        die("usage", "see the first comment of tests/bench/load.c");
    broker.value = argv[1];
    l.topic = argv[2];
    l.schema_id = (uint32_t)strtoul(argv[4], NULL, 10);
    l.agent = slice_of(argv[5]);
    l.pid = (int)strtol(argv[6], NULL, 10);
    open_all(&l, &(struct kafka_options){.at = &broker, .count = 1, .client_id = "bench-load"}, argv[3], 1 << 20);
    if (!strcmp(argv[7], "rate"))
        run_rate(&l, argv + 8);
    else if (!strcmp(argv[7], "burst"))
        run_burst(&l, argv + 8);
    else
        run_hold(&l, argv + 8);
    printf(" sent=%zu done=%zu duplicates=%zu\n", l.sent, l.done, l.duplicates);
    kafka_reader_close(l.reader);
    kafka_producer_close(l.producer);
    free(l.sent_us);
    free(l.done_us);
    return l.done != l.sent || l.duplicates || l.refused;
}
