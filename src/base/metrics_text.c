/* The metrics as Prometheus text, exposition format 0.0.4. */
#include <math.h>
#include <stdio.h>

#include "metrics_private.h"

static void put_escaped(struct buf *out, const char *text, bool quotes)
{
    for (; *text; text++) {
        if (*text == '\\')
            buf_put_text(out, "\\\\");
        else if (*text == '\n')
            buf_put_text(out, "\\n");
        else if (*text == '"' && quotes)
            buf_put_text(out, "\\\"");
        else
            buf_put_byte(out, *text);
    }
}

/* The shortest text that reads back as the same number. */
static void put_number(struct buf *out, double v)
{
    char text[32];

    if (isnan(v)) {
        buf_put_text(out, "NaN");
        return;
    }
    if (isinf(v)) {
        buf_put_text(out, v > 0 ? "+Inf" : "-Inf");
        return;
    }
    if (v >= -9007199254740992.0 && v <= 9007199254740992.0 && !(v < trunc(v)) && !(v > trunc(v))) {
        buf_put_int(out, (int64_t)v);
        return;
    }
    for (int digits = 15; digits <= 17; digits++) {
        double back = 0;

        snprintf(text, sizeof text, "%.*g", digits, v);
        if (sscanf(text, "%lf", &back) == 1 && !(back < v) && !(back > v))
            break;
    }
    buf_put_text(out, text);
}

/* {label="value",…}; `bound`: of the histogram's bucket, NULL when the line has none. */
static void put_labels(struct buf *out, const struct metric_family *f, const struct series *s, const double *bound)
{
    const char *value = s->labels;

    if (!f->label_count && !bound)
        return;
    buf_put_byte(out, '{');
    for (size_t i = 0; i < f->label_count; i++, value += strlen(value) + 1) {
        buf_put_text(out, i ? "," : "");
        buf_put_text(out, f->labels[i]);
        buf_put_text(out, "=\"");
        put_escaped(out, value, true);
        buf_put_byte(out, '"');
    }
    if (bound) {
        buf_put_text(out, f->label_count ? ",le=\"" : "le=\"");
        put_number(out, *bound);
        buf_put_byte(out, '"');
    }
    buf_put_byte(out, '}');
}

static void put_line(struct buf *out, const struct metric_family *f, const struct series *s, const char *suffix,
                     const double *bound, double v)
{
    buf_put_text(out, f->name);
    buf_put_text(out, suffix);
    put_labels(out, f, s, bound);
    buf_put_byte(out, ' ');
    put_number(out, v);
    buf_put_byte(out, '\n');
}

static void put_histogram(struct buf *out, const struct metric_family *f, const struct series *s)
{
    const double infinite = INFINITY;
    uint64_t count = 0;

    for (size_t i = 0; i <= f->bound_count; i++) {
        count += s->metric.buckets[i];
        put_line(out, f, s, "_bucket", i < f->bound_count ? &f->bounds[i] : &infinite, (double)count);
    }
    put_line(out, f, s, "_sum", NULL, s->metric.value);
    put_line(out, f, s, "_count", NULL, (double)count);
}

static void put_family(struct buf *out, const struct metric_family *f)
{
    static const char *const kinds[] = {"counter", "gauge", "histogram"};

    buf_put_text(out, "# HELP ");
    buf_put_text(out, f->name);
    buf_put_byte(out, ' ');
    put_escaped(out, f->help, false);
    buf_printf(out, "\n# TYPE %s %s\n", f->name, kinds[f->kind]);
    for (const struct series *s = f->first; s; s = s->next) {
        if (f->kind == KIND_HISTOGRAM)
            put_histogram(out, f, s);
        else
            put_line(out, f, s, "", NULL, s->metric.value);
    }
}

void metrics_write(struct metrics *m, struct buf *out)
{
    for (size_t i = 0; i < m->refresher_count; i++)
        m->refreshers[i].call(m->refreshers[i].ctx);
    for (const struct metric_family *f = m->first; f; f = f->next)
        if (f->first)
            put_family(out, f);
}
