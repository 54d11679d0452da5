/* The registry of metrics: families, their series found by a hash of the label values. */
#include "stepmill/metrics.h"

#include <stdlib.h>

#include "metrics_private.h"
#include "stepmill/error.h"
#include "stepmill/utf8.h"

struct metrics *metrics_new(void)
{
    struct metrics *m = calloc(1, sizeof *m);

    if (!m)
        return NULL;
    m->last = &m->first;
    m->nowhere.kind = KIND_GAUGE;
    m->nowhere.metrics = m;
    m->lost.bounds = NULL;
    m->lost.buckets = m->lost_buckets;
    return m;
}

static void series_free(struct series *s)
{
    free(s->metric.buckets);
    free(s);
}

void metrics_free(struct metrics *m)
{
    struct metric_family *f, *next_family;

    if (!m)
        return;
    for (f = m->first; f; f = next_family) {
        next_family = f->next;
        for (struct series *s = f->first, *next; s; s = next) {
            next = s->next;
            series_free(s);
        }
        free(f->table);
        free(f);
    }
    free(m);
}

static bool is_name(const char *name, bool colon)
{
    if (!*name || (*name >= '0' && *name <= '9'))
        return false;
    for (; *name; name++)
        if (!((*name >= 'a' && *name <= 'z') || (*name >= 'A' && *name <= 'Z') || (*name >= '0' && *name <= '9') ||
              *name == '_' || (colon && *name == ':')))
            return false;
    return true;
}

static void check(const struct metric_family *f)
{
    if (!is_name(f->name, true) || f->label_count > METRIC_LABELS_MAX || f->bound_count > METRIC_BUCKETS_MAX)
        bug("metric %s: bad name, or too many labels or buckets", f->name);
    for (size_t i = 0; i < f->label_count; i++)
        if (!is_name(f->labels[i], false) || !strncmp(f->labels[i], "__", 2) || !strcmp(f->labels[i], "le"))
            bug("metric %s: bad label name %s", f->name, f->labels[i]);
    for (size_t i = 1; i < f->bound_count; i++)
        if (!(f->bounds[i - 1] < f->bounds[i]))
            bug("metric %s: bounds do not rise", f->name);
}

static bool is_same(const struct metric_family *a, const struct metric_family *b)
{
    bool same = a->kind == b->kind && a->label_count == b->label_count && a->bound_count == b->bound_count;

    for (size_t i = 0; same && i < a->label_count; i++)
        same = !strcmp(a->labels[i], b->labels[i]);
    for (size_t i = 0; same && i < a->bound_count; i++)
        same = !(a->bounds[i] < b->bounds[i]) && !(b->bounds[i] < a->bounds[i]);
    return same;
}

static struct metric_family *add_family(struct metrics *m, const struct metric_family *wanted)
{
    struct metric_family *f;

    check(wanted);
    for (f = m->first; f; f = f->next) {
        if (strcmp(f->name, wanted->name) != 0)
            continue;
        if (!is_same(f, wanted))
            bug("metric %s is registered twice, differently", f->name);
        return f;
    }
    f = calloc(1, sizeof *f);
    if (!f)
        return &m->nowhere;
    *f = *wanted;
    f->metrics = m;
    f->last = &f->first;
    *m->last = f;
    m->last = &f->next;
    if (!f->label_count)
        metric_of(f, NULL); /* shown from the start, as 0 */
    return f;
}

struct metric_family *metrics_counter(struct metrics *m, const char *name, const char *help, size_t label_count,
                                      const char *const *labels)
{
    return add_family(m, &(struct metric_family){
                             .kind = KIND_COUNTER, .name = name, .help = help, .label_count = label_count, .labels = labels});
}

struct metric_family *metrics_gauge(struct metrics *m, const char *name, const char *help, size_t label_count,
                                    const char *const *labels)
{
    return add_family(
        m, &(struct metric_family){.kind = KIND_GAUGE, .name = name, .help = help, .label_count = label_count, .labels = labels});
}

struct metric_family *metrics_histogram(struct metrics *m, const char *name, const char *help, size_t label_count,
                                        const char *const *labels, size_t bound_count, const double *bounds)
{
    return add_family(m, &(struct metric_family){.kind = KIND_HISTOGRAM,
                                                 .name = name,
                                                 .help = help,
                                                 .label_count = label_count,
                                                 .labels = labels,
                                                 .bound_count = bound_count,
                                                 .bounds = bounds});
}

/* The label values as they will be kept: cut, UTF-8, one behind another with a terminator each. Returns their size. */
static size_t join(const struct metric_family *f, const struct slice *values, char text[LABEL_TEXT_MAX])
{
    size_t n = 0;

    for (size_t i = 0; i < f->label_count; i++) {
        struct slice v = values[i];
        size_t at = 0;

        while (at < v.len) {
            size_t len = (uint8_t)v.at[at] < 0x80 ? 1 : utf8_char(v.at + at, v.at + v.len);
            size_t taken = len ? len : 1;

            if (at + taken > METRIC_VALUE_MAX)
                break;
            if (len > 1)
                memcpy(text + n, v.at + at, len);
            else
                text[n] = len && v.at[at] ? v.at[at] : '?';
            n += taken;
            at += taken;
        }
        text[n++] = '\0';
    }
    return n;
}

/* FNV-1a; a caller who makes values collide finds at most METRIC_SERIES_MAX of them. */
static uint32_t hash(const char *text, size_t n)
{
    uint32_t h = 2166136261u;

    for (size_t i = 0; i < n; i++)
        h = (h ^ (uint8_t)text[i]) * 16777619u;
    return h;
}

static struct series *find(const struct metric_family *f, const char *text, size_t n, uint32_t h)
{
    struct series *s = f->table ? f->table[h % SERIES_TABLE] : f->first;

    while (s && (s->labels_size != n || memcmp(s->labels, text, n) != 0))
        s = s->collision;
    return s;
}

static struct series *add_series(struct metric_family *f, const char *text, size_t n, uint32_t h)
{
    struct series *s = calloc(1, sizeof *s + n);

    if (s && f->label_count && !f->table)
        f->table = calloc(SERIES_TABLE, sizeof(struct series *));
    if (s && f->kind == KIND_HISTOGRAM)
        s->metric.buckets = calloc(f->bound_count + 1, sizeof *s->metric.buckets);
    if (!s || (f->label_count && !f->table) || (f->kind == KIND_HISTOGRAM && !s->metric.buckets)) {
        if (s)
            series_free(s);
        return NULL;
    }
    s->metric.bounds = f->bounds;
    s->metric.bound_count = f->bound_count;
    s->labels_size = n;
    if (n)
        memcpy(s->labels, text, n);
    if (f->table) {
        s->collision = f->table[h % SERIES_TABLE];
        f->table[h % SERIES_TABLE] = s;
    }
    *f->last = s;
    f->last = &s->next;
    f->count++;
    return s;
}

struct metric *metric_of(struct metric_family *f, const struct slice *values)
{
    static const struct slice other[METRIC_LABELS_MAX] = {{"other", 5}, {"other", 5}, {"other", 5},
                                                          {"other", 5}, {"other", 5}, {"other", 5}};
    char text[LABEL_TEXT_MAX];
    struct series *s;
    uint32_t h;
    size_t n;

    if (f == &f->metrics->nowhere)
        return &f->metrics->lost;
    n = join(f, values, text);
    h = hash(text, n);
    s = find(f, text, n, h);
    if (!s && f->count >= METRIC_SERIES_MAX - 1 && f->label_count) { /* the last place is kept for the rest */
        n = join(f, other, text);
        h = hash(text, n);
        s = find(f, text, n, h);
    }
    if (!s)
        s = add_series(f, text, n, h);
    return s ? &s->metric : &f->metrics->lost;
}

void metrics_zero(struct metric_family *f)
{
    for (struct series *s = f->first; s; s = s->next)
        s->metric.value = 0;
}

void metric_observe(struct metric *s, double v)
{
    size_t i = 0;

    while (i < s->bound_count && v > s->bounds[i])
        i++;
    s->buckets[i]++;
    s->value += v;
}

void metrics_on_write(struct metrics *m, void (*refresh)(void *ctx), void *ctx)
{
    if (m->refresher_count == REFRESHERS_MAX)
        bug("more than %d functions refresh the metrics", REFRESHERS_MAX);
    m->refreshers[m->refresher_count++] = (struct refresher){refresh, ctx};
}
