/* metrics: the text they make, escaping, buckets, and the ceiling on series. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>

#include "stepmill/metrics.h"

static const char *const agent_status[] = {"agent_id", "status"};

static void assert_text(struct metrics *m, const char *expected)
{
    struct buf out = BUF(1 << 20);

    metrics_write(m, &out);
    assert_string_equal(buf_text(&out), expected);
    buf_free(&out);
}

static void counters_and_gauges_are_written(void **state)
{
    struct metrics *m = metrics_new();
    struct metric_family *tasks = metrics_counter(m, "agent_tasks_total", "Tasks that ended.", 2, agent_status);
    struct metric_family *depth = metrics_gauge(m, "queue_depth", "Records that wait.", 0, NULL);
    struct metric *done;

    (void)state;
    assert_text(m, "# HELP queue_depth Records that wait.\n# TYPE queue_depth gauge\nqueue_depth 0\n");
    done = metric_of(tasks, (struct slice[]){SLICE("search"), SLICE("completed")});
    metric_add(done, 1);
    metric_add(done, 2);
    assert_ptr_equal(metric_of(tasks, (struct slice[]){SLICE("search"), SLICE("completed")}), done);
    metric_add(metric_of(tasks, (struct slice[]){SLICE("search"), SLICE("failed")}), 0.5);
    metric_set(metric_of(depth, NULL), -12);
    assert_text(m, "# HELP agent_tasks_total Tasks that ended.\n# TYPE agent_tasks_total counter\n"
                   "agent_tasks_total{agent_id=\"search\",status=\"completed\"} 3\n"
                   "agent_tasks_total{agent_id=\"search\",status=\"failed\"} 0.5\n"
                   "# HELP queue_depth Records that wait.\n# TYPE queue_depth gauge\nqueue_depth -12\n");
    assert_ptr_equal(metrics_counter(m, "agent_tasks_total", "Tasks that ended.", 2, agent_status), tasks);
    metrics_free(m);
}

static void histograms_are_cumulative(void **state)
{
    static const double bounds[] = {0.5, 1, 2.5};
    struct metrics *m = metrics_new();
    struct metric_family *f = metrics_histogram(m, "took_seconds", "Time.", 1, (const char *const[]){"kind"}, 3, bounds);
    struct metric *a = metric_of(f, (struct slice[]){SLICE("a")});

    (void)state;
    metric_observe(a, 0.5); /* on the bound: in the bucket */
    metric_observe(a, 0.75);
    metric_observe(a, 2.5);
    metric_observe(a, 100);
    assert_text(m, "# HELP took_seconds Time.\n# TYPE took_seconds histogram\n"
                   "took_seconds_bucket{kind=\"a\",le=\"0.5\"} 1\ntook_seconds_bucket{kind=\"a\",le=\"1\"} 2\n"
                   "took_seconds_bucket{kind=\"a\",le=\"2.5\"} 3\ntook_seconds_bucket{kind=\"a\",le=\"+Inf\"} 4\n"
                   "took_seconds_sum{kind=\"a\"} 103.75\ntook_seconds_count{kind=\"a\"} 4\n");
    metrics_free(m);
}

static void values_are_escaped_and_cut(void **state)
{
    struct metrics *m = metrics_new();
    struct metric_family *f = metrics_gauge(m, "g", "Two\nlines \\ \"q\".", 1, (const char *const[]){"v"});
    char lengthy[400], expected[1200];

    (void)state;
    metric_set(metric_of(f, (struct slice[]){SLICE("a\"b\\c\nd\0e\xff\xc3\xa9")}), 1);
    for (size_t i = 0; i < sizeof lengthy; i += 2)
        memcpy(lengthy + i, "\xc3\xa9", 2); /* two bytes each: the cut falls between characters */
    metric_set(metric_of(f, (struct slice[]){{lengthy + 1, sizeof lengthy - 1}}), 2);
    snprintf(expected, sizeof expected,
             "# HELP g Two\\nlines \\\\ \"q\".\n# TYPE g gauge\ng{v=\"a\\\"b\\\\c\\nd?e?\xc3\xa9\"} 1\ng{v=\"?%.126s\"} 2\n",
             lengthy);
    assert_text(m, expected);
    metrics_free(m);
}

static void numbers_read_back_the_same(void **state)
{
    static const struct {
        double value;
        const char *text;
    } cases[] = {
        {0.1, "0.1"},       {1.0 / 3, "0.3333333333333333"},
        {1e300, "1e+300"},  {9007199254740992.0, "9007199254740992"},
        {INFINITY, "+Inf"}, {-INFINITY, "-Inf"},
        {NAN, "NaN"},       {-0.25, "-0.25"},
    };
    struct metrics *m = metrics_new();
    struct metric *g = metric_of(metrics_gauge(m, "g", "G.", 0, NULL), NULL);

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char expected[100];

        metric_set(g, cases[i].value);
        snprintf(expected, sizeof expected, "# HELP g G.\n# TYPE g gauge\ng %s\n", cases[i].text);
        assert_text(m, expected);
    }
    metrics_free(m);
}

/* 5,000 different values: METRIC_SERIES_MAX series, the last of them holds all the rest. */
static void series_have_a_ceiling(void **state)
{
    struct metrics *m = metrics_new();
    struct metric_family *f = metrics_counter(m, "c_total", "C.", 2, agent_status);
    struct buf out = BUF(1 << 20);
    size_t lines = 0;

    (void)state;
    for (int i = 0; i < 5000; i++) {
        char name[20];

        snprintf(name, sizeof name, "agent-%d", i);
        metric_add(metric_of(f, (struct slice[]){slice_of(name), SLICE("x")}), 1);
        metric_add(metric_of(f, (struct slice[]){slice_of(name), SLICE("x")}), 1);
    }
    metrics_write(m, &out);
    for (size_t i = 0; i < out.len; i++)
        lines += out.at[i] == '\n';
    assert_int_equal(lines, METRIC_SERIES_MAX + 2);
    assert_non_null(strstr(buf_text(&out), "\nc_total{agent_id=\"agent-998\",status=\"x\"} 2\n"));
    assert_null(strstr(buf_text(&out), "agent-999"));
    assert_non_null(strstr(buf_text(&out), "\nc_total{agent_id=\"other\",status=\"other\"} 8002\n"));
    buf_free(&out);
    metrics_free(m);
}

static void count_call(void *ctx) { metric_add(ctx, 1); }

static void gauges_are_refreshed_before_each_writing(void **state)
{
    struct metrics *m = metrics_new();
    struct metric *g = metric_of(metrics_gauge(m, "g", "G.", 0, NULL), NULL);
    struct buf little = BUF(8);

    (void)state;
    metrics_on_write(m, count_call, g);
    assert_text(m, "# HELP g G.\n# TYPE g gauge\ng 1\n");
    assert_text(m, "# HELP g G.\n# TYPE g gauge\ng 2\n");
    metrics_write(m, &little);
    assert_true(little.failed);
    buf_free(&little);
    metrics_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counters_and_gauges_are_written), cmocka_unit_test(histograms_are_cumulative),
        cmocka_unit_test(values_are_escaped_and_cut),      cmocka_unit_test(numbers_read_back_the_same),
        cmocka_unit_test(series_have_a_ceiling),           cmocka_unit_test(gauges_are_refreshed_before_each_writing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
