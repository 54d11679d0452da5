/* base without memory: arenas, buffers, JSON text, secrets, metrics. */
#include "memory_faults.h"

#include <stdio.h>

#include "stepmill/arena.h"
#include "stepmill/json.h"
#include "stepmill/metrics.h"
#include "stepmill/secret.h"
#include "stepmill/units.h"

static bool arena(void)
{
    struct arena *a = arena_new(1 << 20);
    bool done = a != NULL;

    for (size_t i = 0; done && i < 40; i++) {
        struct slice copy = arena_copy(a, SLICE("a copy of some length"));
        char *piece = arena_alloc(a, i * 97 + 1);

        if (piece)
            memset(piece, 1, i * 97 + 1);
        done = copy.at && piece;
        saw(copy);
    }
    arena_free(a);
    return done;
}

static bool buffer(void)
{
    struct buf b = BUF(1 << 16);

    for (int i = 0; i < 200; i++) {
        buf_put_text(&b, "text");
        buf_put_int(&b, i);
        buf_printf(&b, "%s-%d", "printed, and longer than what stands before it", i);
    }
    if (strlen(buf_text(&b)) != (b.failed ? 0 : b.len))
        bug("a text without an end");
    return saw_buf(&b);
}

static bool json_text(void)
{
    struct slice text = SLICE("[\"\\u00e9\\n plain \\ud83d\\ude00\", \"as it is\"]");
    struct json j = json_start(text);
    struct buf b = BUF(1 << 16);

    while (json_next(&j))
        if (j.token == JSON_TOKEN_STRING && !json_unescape(&j, &b))
            break;
    for (int i = 0; i < 50; i++)
        json_put_string(&b, SLICE("\"quoted\", \xff, \xe2\x98\x95, \x01"));
    return saw_buf(&b);
}

static bool secret(void)
{
    static char *const environment[] = {"KEY=sk-1", NULL};
    struct secret_use use;
    struct buf b = BUF(SECRET_MAX);
    bool done = fine(secret_expand(SLICE("Bearer ${KEY} ${NONE:-some text that fills the first piece of memory"
                                         "................................................................."
                                         "................................................................."
                                         "................................................................."
                                         ".................................................................}"),
                                   environment, &b, &use));

    if (!done && b.len)
        bug("half a secret");
    return saw_buf(&b) && done;
}

static bool secret_file(void)
{
    struct buf b = BUF(SECRET_MAX);
    bool done = fine(secret_read_file(STEPMILL_SOURCE_DIR "/LICENSE", &b));

    if (!done && b.len)
        bug("half a secret");
    return saw_buf(&b) && done;
}

static bool durations(void)
{
    struct buf b = BUF(1 << 10);

    duration_write(90000, &b);
    size_write(1 << 20, &b);
    return saw_buf(&b);
}

static bool metrics(void)
{
    static const double bounds[] = {1, 10};
    struct metrics *m = metrics_new();
    struct metric_family *f;
    struct buf b = BUF(1 << 20);
    char value[16];

    if (!m)
        return false;
    metric_add(metric_of(metrics_counter(m, "a_total", "A.", 0, NULL), NULL), 1);
    f = metrics_gauge(m, "b", "B.", 1, (const char *[]){"name"});
    for (int i = 0; i < 20; i++)
        metric_set(metric_of(f, (struct slice[]){{value, (size_t)snprintf(value, sizeof value, "%d", i)}}), i);
    f = metrics_histogram(m, "c", "C.", 1, (const char *[]){"name"}, 2, bounds);
    metric_observe(metric_of(f, (struct slice[]){SLICE("x")}), 5);
    metrics_write(m, &b);
    metrics_free(m);
    return saw_buf(&b);
}

int main(void)
{
    static const struct memory_operation operations[] = {
        {"arena", arena, false},    {"buffer", buffer, false},           {"json text", json_text, false},
        {"secret", secret, false},  {"secret file", secret_file, false}, {"durations and sizes", durations, false},
        {"metrics", metrics, true}, /* without memory, values go to a series that is not shown */
    };

    return memory_faults_run("base without memory", operations, sizeof operations / sizeof *operations);
}
