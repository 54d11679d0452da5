/* A filter of letters as terms of an action, and back; the names are those of the API's query. */
#include <stddef.h>

#include "redrive.h"

static const struct {
    const char *name;
    size_t at;
} texts[] = {
    {"topic", offsetof(struct letter_filter, topic)},
    {"dlq_topic", offsetof(struct letter_filter, dlq_topic)},
    {"agent", offsetof(struct letter_filter, agent)},
    {"class", offsetof(struct letter_filter, class)},
    {"code", offsetof(struct letter_filter, code)},
    {"stage", offsetof(struct letter_filter, stage)},
    {"group", offsetof(struct letter_filter, group)},
    {"task_id", offsetof(struct letter_filter, task_id)},
    {"session_id", offsetof(struct letter_filter, session_id)},
    {"assigned", offsetof(struct letter_filter, assigned)},
    {"job", offsetof(struct letter_filter, job)},
    {"text", offsetof(struct letter_filter, text)},
};
enum { TEXTS = sizeof texts / sizeof *texts };

static const struct slice *text_at(const struct letter_filter *f, size_t i)
{
    return (const struct slice *)(const void *)((const char *)f + texts[i].at);
}

static void add(struct action_term *terms, size_t *n, const char *name, struct slice value)
{
    terms[(*n)++] = (struct action_term){slice_of(name), value};
}

static struct slice number(struct arena *arena, int64_t v)
{
    char room[24];
    struct buf b = BUF_IN(room);

    buf_put_int(&b, v);
    return arena_copy(arena, buf_slice(&b));
}

bool filter_to_terms(const struct letter_filter *f, struct arena *arena, const struct action_term **terms, size_t *n)
{
    struct action_term *to = arena_alloc(arena, (TEXTS + LETTER_STATUSES + 3) * sizeof *to);

    *n = 0;
    if (!to)
        return false;
    for (size_t i = 0; i < TEXTS; i++)
        if (text_at(f, i)->len)
            add(to, n, texts[i].name, *text_at(f, i));
    for (enum letter_status s = 0; s < LETTER_STATUSES; s++)
        if (f->statuses & 1U << s)
            add(to, n, "status", slice_of(letter_status_name(s)));
    if (f->family)
        add(to, n, "family", slice_of(letter_family_name((enum letter_family)(f->family - 1))));
    if (f->from_ms)
        add(to, n, "from", number(arena, f->from_ms));
    if (f->to_ms)
        add(to, n, "to", number(arena, f->to_ms));
    *terms = to;
    return !arena_failed(arena);
}

static bool family_of(struct slice name, int *family)
{
    for (int i = LETTER_FAMILY_STEPMILL; i <= LETTER_FAMILY_PLAIN; i++)
        if (slice_is(name, letter_family_name((enum letter_family)i))) {
            *family = i + 1;
            return true;
        }
    return false;
}

static bool set(struct letter_filter *f, const struct action_term *t)
{
    enum letter_status status;

    for (size_t i = 0; i < TEXTS; i++)
        if (slice_is(t->name, texts[i].name)) {
            *(struct slice *)(void *)((char *)f + texts[i].at) = t->value;
            return true;
        }
    if (slice_is(t->name, "status") && letter_status_read(t->value, &status)) {
        f->statuses |= 1U << status;
        return true;
    }
    if (slice_is(t->name, "family"))
        return family_of(t->value, &f->family);
    if (slice_is(t->name, "from"))
        return slice_to_int(t->value, 0, INT64_MAX, &f->from_ms);
    return slice_is(t->name, "to") && slice_to_int(t->value, 0, INT64_MAX, &f->to_ms);
}

bool filter_from_terms(const struct action_term *terms, size_t n, struct letter_filter *f)
{
    *f = (struct letter_filter){.statuses = 0};
    for (size_t i = 0; i < n; i++)
        if (!set(f, &terms[i]))
            return false;
    return true;
}
