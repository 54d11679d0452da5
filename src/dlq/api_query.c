/* What a query or a JSON filter asks for: each parameter by its kind, nothing else accepted. */
#include <stddef.h>
#include <stdio.h>

#include "api_parts.h"
#include "stepmill/clock.h"
#include "stepmill/time_text.h"
#include "stepmill/utf8.h"

enum { NAME_ROOM = 64, VALUE_ROOM = 2048, TIME_MAX = 40 };

#define TEXT(name, member, most)                                                                                                 \
    {                                                                                                                            \
        name, API_TEXT, offsetof(struct api_call, member), 1, most                                                               \
    }
#define FILTER_PARAMS                                                                                                            \
    TEXT("topic", filter.topic, API_TEXT_MAX), TEXT("dlq_topic", filter.dlq_topic, API_TEXT_MAX),                                \
        TEXT("agent", filter.agent, API_TEXT_MAX), TEXT("class", filter.class, API_TEXT_MAX),                                    \
        TEXT("code", filter.code, API_TEXT_MAX), TEXT("stage", filter.stage, API_TEXT_MAX), TEXT("group", filter.group, 64),     \
        TEXT("task_id", filter.task_id, API_TEXT_MAX), TEXT("session_id", filter.session_id, API_TEXT_MAX),                      \
        TEXT("assigned", filter.assigned, API_TEXT_MAX), TEXT("job", filter.job, 64), TEXT("text", filter.text, API_TEXT_MAX),   \
        {"family", API_FAMILY, offsetof(struct api_call, filter.family), 0, 0},                                                  \
        {"from", API_TIME, offsetof(struct api_call, filter.from_ms), 0, 0},                                                     \
        {"to", API_TIME, offsetof(struct api_call, filter.to_ms), 0, 0},                                                         \
    {                                                                                                                            \
        "status", API_STATUS, offsetof(struct api_call, filter.statuses), 0, 0                                                   \
    }

const struct api_param api_filter_params[] = {FILTER_PARAMS, {0}};
const struct api_param api_letter_params[] = {FILTER_PARAMS,
                                              {"order", API_ORDER, offsetof(struct api_call, order), 0, 0},
                                              {"cursor", API_CURSOR, offsetof(struct api_call, cursor), 0, 0},
                                              {"limit", API_INT, offsetof(struct api_call, limit), 1, API_LIMIT_MAX},
                                              {"count", API_INT, offsetof(struct api_call, count), 0, 100000},
                                              {0}};

static void *place_of(struct api_call *c, const struct api_param *p) { return (char *)c + p->at; }

static const char *read_text(struct api_call *c, const struct api_param *p, struct slice value)
{
    struct slice *to = place_of(c, p);

    if (!value.len)
        return "must not be empty";
    if ((int64_t)value.len > p->max)
        return "is too long";
    if (!utf8_valid(value) || memchr(value.at, '\0', value.len))
        return "must be UTF-8 text";
    *to = arena_copy(c->arena, value);
    return to->at ? NULL : "is too long";
}

static const char *read_order(struct api_call *c, const struct api_param *p, struct slice value)
{
    enum store_order *to = place_of(c, p);

    if (!slice_is(value, "newest") && !slice_is(value, "oldest"))
        return "must be newest or oldest";
    *to = slice_is(value, "newest") ? STORE_NEWEST_FIRST : STORE_OLDEST_FIRST;
    return NULL;
}

static const char *read_group_order(struct api_call *c, const struct api_param *p, struct slice value)
{
    static const char *const names[] = {"count", "last", "first"};
    enum group_order *to = place_of(c, p);

    for (size_t i = 0; i < 3; i++)
        if (slice_is(value, names[i])) {
            *to = (enum group_order)i;
            return NULL;
        }
    return "must be count, last or first";
}

static const char *read_family(struct api_call *c, const struct api_param *p, struct slice value)
{
    int *to = place_of(c, p);

    for (enum letter_family f = LETTER_FAMILY_STEPMILL; f <= LETTER_FAMILY_PLAIN; f++)
        if (slice_is(value, letter_family_name(f))) {
            *to = (int)f + 1;
            return NULL;
        }
    return "must be stepmill, kafka, connect, spring, streams or plain";
}

static const char *read_status(struct api_call *c, const struct api_param *p, struct slice value)
{
    unsigned *to = place_of(c, p);
    enum letter_status status;

    if (!letter_status_read(value, &status))
        return "must be one of the statuses of letters";
    *to |= 1U << status;
    return NULL;
}

static const char *read_task_status(struct api_call *c, const struct api_param *p, struct slice value)
{
    unsigned *to = place_of(c, p);

    for (enum task_status s = 0; s < TASK_STATUSES; s++)
        if (slice_is(value, task_status_name(s))) {
            *to |= 1U << s;
            return NULL;
        }
    return "must be one of the statuses of tasks";
}

static const char *read_flag(struct api_call *c, const struct api_param *p, struct slice value)
{
    bool *to = place_of(c, p);

    if (!slice_is(value, "true") && !slice_is(value, "false"))
        return "must be true or false";
    *to = slice_is(value, "true");
    return NULL;
}

const char *api_read_value(struct api_call *c, const struct api_param *p, struct slice value)
{
    int64_t *number = place_of(c, p);

    switch (p->kind) {
    case API_TEXT:
        return read_text(c, p, value);
    case API_TIME:
        if (value.len > TIME_MAX)
            return "is too long";
        if (!time_read(value, false, clock_wall_ms(), number))
            return "must be an RFC 3339 time, 13 digits of Unix milliseconds, or a duration such as 10m";
        *number = *number < 1 ? 1 : *number; /* 0 would be no bound */
        return NULL;
    case API_INT:
        return slice_to_int(value, p->min, p->max, number) ? NULL : "is no number, or out of range";
    case API_CURSOR:
        return slice_to_int(value, INT64_MIN / 10 + 1, INT64_MAX, number) ? NULL : "must be `next` of the page before";
    case API_FLAG:
        return read_flag(c, p, value);
    case API_ORDER:
        return read_order(c, p, value);
    case API_GROUP_ORDER:
        return read_group_order(c, p, value);
    case API_FAMILY:
        return read_family(c, p, value);
    case API_STATUS:
        return read_status(c, p, value);
    case API_TASK_STATUS:
        return read_task_status(c, p, value);
    }
    return "cannot be read";
}

static const struct api_param *find(const struct api_param *params, struct slice name)
{
    for (const struct api_param *p = params; p && p->name; p++)
        if (slice_is(name, p->name))
            return p;
    return NULL;
}

static bool refuse(struct api_call *c, struct slice name, const char *why)
{
    char text[256];

    snprintf(text, sizeof text, "Parameter %.*s %s.", (int)(name.len < 60 ? name.len : 60), name.at ? name.at : "", why);
    api_problem(c, 400, "bad_parameter", text);
    return false;
}

bool api_read_query(struct api_call *c, struct http_server_call *http)
{
    struct buf name = BUF(NAME_ROOM), value = BUF(VALUE_ROOM);
    const struct api_param *p;
    uint64_t seen = 0;
    size_t at = 0;
    const char *why = NULL;
    bool bad = false, fine = true;

    while (!why && http_server_query_next(http, &at, &name, &value, &bad)) {
        p = find(c->route->params, buf_slice(&name));
        if (!p) {
            why = "is not known here";
            break;
        }
        if (seen >> (p - c->route->params) & 1 && p->kind != API_STATUS && p->kind != API_TASK_STATUS)
            why = "is given twice";
        else
            why = api_read_value(c, p, buf_slice(&value));
        seen |= 1ULL << (p - c->route->params);
    }
    if (bad)
        fine = refuse(c, SLICE("(one)"), "is too long, or its percent-encoding is broken");
    else if (why)
        fine = refuse(c, buf_slice(&name), why);
    buf_free(&name);
    buf_free(&value);
    return fine;
}

bool api_read_id(struct api_call *c, struct http_server_call *http, const char *name, size_t max)
{
    struct slice id = http_server_param(http, name);

    if (id.len > max || !utf8_valid(id) || memchr(id.at, '\0', id.len)) {
        api_problem(c, 404, "not_found", "There is none of this name.");
        return false;
    }
    c->id = arena_copy(c->arena, id);
    return true;
}
