/* What one HTTP request costs: N in flight against a server that takes its time, CPU per request and memory per request in
 * flight.
 *
 * usage: bench-http-client URL IN_FLIGHT SECONDS [BODY_BYTES [BODY_PARTS]]
 */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "stepmill/clock.h"
#include "stepmill/http_client.h"

struct bench {
    struct loop *loop;
    struct http_client *client;
    struct http_endpoint *endpoint;
    struct loop_timer phase;
    struct slice body[HTTP_BODY_PARTS_MAX];
    size_t body_parts;
    int64_t wait_ms;
    int64_t cpu_us, began_us;
    uint64_t done, failed_count;
    bool measuring, stopping;
};

static void send_one(struct bench *b);

static void on_answer(void *ctx, const struct http_answer *a)
{
    struct bench *b = ctx;

    b->done++;
    if (failed(a->error) || a->status != 200) {
        if (!b->failed_count++)
            fprintf(stderr, "first failure: %s %s, status %d\n", failed(a->error) ? a->error.code : "", a->detail, a->status);
    }
    if (!b->stopping)
        send_one(b);
}

static void send_one(struct bench *b)
{
    static const struct http_header headers[] = {
        {{"Content-Type", 12}, {"application/json", 16}},
        {{"Authorization", 13}, {"Bearer 0123456789abcdef0123456789abcdef", 39}},
        {{"traceparent", 11}, {"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", 55}},
        {{"Idempotency-Key", 15}, {"0123456789/3/0a0b0c0d", 21}},
    };
    const struct http_request r = {.method = "POST",
                                   .headers = headers,
                                   .header_count = 4,
                                   .body = b->body,
                                   .body_parts = b->body_parts,
                                   .timeout_ms = 30000,
                                   .done = on_answer,
                                   .ctx = b};

    http_send(b->endpoint, &r);
}

static long resident_kb(void)
{
    long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");

    if (!f || fscanf(f, "%*d %ld", &pages) != 1)
        pages = 0;
    if (f)
        fclose(f);
    return pages * 4;
}

static int64_t process_cpu_us(void)
{
    struct rusage u;

    getrusage(RUSAGE_SELF, &u);
    return (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * INT64_C(1000000) + u.ru_utime.tv_usec + u.ru_stime.tv_usec;
}

static void on_phase(void *ctx)
{
    struct bench *b = ctx;

    if (!b->measuring) { /* warm: all connections stand */
        b->measuring = true;
        b->done = 0;
        b->cpu_us = process_cpu_us();
        b->began_us = clock_mono_us();
        loop_timer_set(&b->phase, b->wait_ms);
        return;
    }
    b->cpu_us = process_cpu_us() - b->cpu_us;
    b->began_us = clock_mono_us() - b->began_us;
    b->stopping = true;
    loop_stop(b->loop);
}

int main(int argc, char **argv)
{
    struct bench b = {0};
    size_t in_flight = argc > 2 ? strtoul(argv[2], NULL, 10) : 0, size = argc > 4 ? strtoul(argv[4], NULL, 10) : 2048;
    long before_kb, after_kb;
    char *bytes = malloc(size + 1);
    struct http_client_stats stats;
    struct loop_stats turns;

    if (argc < 4 || !in_flight || !bytes) {
        fprintf(stderr, "usage: %s URL IN_FLIGHT SECONDS [BODY_BYTES [BODY_PARTS]]\n", argv[0]);
        return 2;
    }
    memset(bytes, 'x', size);
    b.body_parts = argc > 5 ? strtoul(argv[5], NULL, 10) : 1;
    for (size_t i = 0; i < b.body_parts; i++)
        b.body[i] = (struct slice){bytes + i * (size / b.body_parts), size / b.body_parts};
    b.wait_ms = strtol(argv[3], NULL, 10) * 1000;
    b.loop = loop_new();
    if (failed(http_client_new(b.loop, NULL, NULL, &b.client)) ||
        failed(http_endpoint_new(b.client, &(struct http_endpoint_options){.url = argv[1], .ca_file = getenv("CA_FILE")},
                                 &b.endpoint)))
        return 1;
    before_kb = resident_kb();
    for (size_t i = 0; i < in_flight; i++)
        send_one(&b);
    loop_timer_init(&b.phase, b.loop, on_phase, &b);
    loop_timer_set(&b.phase, 3000);
    loop_run(b.loop);
    after_kb = resident_kb();
    stats = http_client_stats(b.client);
    turns = loop_stats(b.loop);
    printf("in flight %zu: %.1f us CPU/request, %.0f requests/s, core used %.0f %%, %.1f KB/request in flight, failed %llu, "
           "connections %zu, "
           "opened %llu, longest turn %lld us, requests/turn %.1f\n",
           in_flight, (double)b.cpu_us / (double)b.done, (double)b.done * 1e6 / (double)b.began_us,
           100.0 * (double)b.cpu_us / (double)b.began_us, (double)(after_kb - before_kb) / (double)in_flight,
           (unsigned long long)b.failed_count, stats.connections, (unsigned long long)stats.connected,
           (long long)turns.longest_us, (double)stats.requests / (double)turns.turns);
    http_client_free(b.client);
    loop_free(b.loop);
    free(bytes);
    return b.failed_count > 0;
}
