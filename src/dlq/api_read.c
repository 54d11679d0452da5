/* Routes that show what the index holds: overview, lists, groups, jobs' letters, and who the caller is. */
#include <stddef.h>

#include "api_parts.h"
#include "stepmill/clock.h"
#include "stepmill/embedded.h"

enum { OVERVIEW_MS = 24 * 3600 * 1000, OVERVIEW_POINTS = 100, OVERVIEW_POINTS_MAX = 2000 };

extern const struct embedded_file dashboard_files[];
extern const size_t dashboard_files_count;

static struct error out_of_memory(void) { return error_make(CLASS_INTERNAL, "out_of_memory", "No memory for the answer."); }

/* ---- Letters */

static struct error run_letters(struct ask_place *place, void *question, struct answer *a)
{
    struct api_call *c = api_asker(question);
    struct letter_page page;
    int64_t total = -1;
    struct error e = store_letters(place->store, &c->filter, c->order, c->cursor, (size_t)c->limit, a->arena, &page);

    if (!failed(e) && c->count)
        e = store_count(place->store, &c->filter, c->count + 1, &total);
    if (failed(e))
        return e;
    put_begin(&a->body, '{');
    put_name(&a->body, "items");
    buf_put_byte(&a->body, '[');
    for (size_t i = 0; i < page.n; i++)
        put_letter(&a->body, &page.rows[i]);
    buf_put_byte(&a->body, ']');
    put_next(&a->body, page.next);
    put_known(&a->body, "total", total > c->count ? c->count : total);
    put_flag(&a->body, "total_is_more", total > c->count);
    buf_put_byte(&a->body, '}');
    return error_none();
}

void begin_letters(struct api_call *c, struct http_server_call *http)
{
    if (api_read_query(c, http))
        api_ask(c, ASK_INDEX, run_letters, api_send_body);
}

/* ---- Groups */

static struct error run_groups(struct ask_place *place, void *question, struct answer *a)
{
    struct api_call *c = api_asker(question);
    struct group_page page;
    struct error e;

    c->groups.unfinished_only = c->flag;
    e = store_groups(place->store, &c->groups, c->cursor, (size_t)c->limit, a->arena, &page);
    if (failed(e))
        return e;
    put_begin(&a->body, '{');
    put_name(&a->body, "items");
    buf_put_byte(&a->body, '[');
    for (size_t i = 0; i < page.n; i++)
        put_group(&a->body, &page.rows[i]);
    buf_put_byte(&a->body, ']');
    put_next(&a->body, page.next);
    buf_put_byte(&a->body, '}');
    return error_none();
}

void begin_groups(struct api_call *c, struct http_server_call *http)
{
    if (!api_read_query(c, http))
        return;
    if (c->cursor < 0)
        api_problem(c, 400, "bad_parameter", "Parameter cursor must be `next` of the page before.");
    else
        api_ask(c, ASK_INDEX, run_groups, api_send_body);
}

static struct error run_group(struct ask_place *place, void *question, struct answer *a)
{
    struct group_row group;
    bool found = false;
    struct error e = store_group(place->store, api_asker(question)->id, a->arena, &group, &found);

    if (!failed(e) && found)
        put_group(&a->body, &group);
    return e;
}

void begin_group(struct api_call *c, struct http_server_call *http)
{
    if (api_read_query(c, http) && api_read_id(c, http, "fingerprint", 64))
        api_ask(c, ASK_INDEX, run_group, api_send_body);
}

/* ---- Overview */

static void put_points(struct buf *b, const struct overview *o)
{
    put_name(b, "points");
    buf_put_byte(b, '[');
    for (size_t i = 0; i < o->npoints; i++) {
        put_begin(b, '{');
        put_time(b, "at", o->points[i].at_ms);
        put_int(b, "came", o->points[i].came);
        put_int(b, "finished", o->points[i].finished);
        put_int(b, "unfinished", o->points[i].unfinished);
        buf_put_byte(b, '}');
    }
    buf_put_byte(b, ']');
}

static struct error run_overview(struct ask_place *place, void *question, struct answer *a)
{
    struct api_call *c = api_asker(question);
    struct overview o;
    struct error e = store_overview(place->store, c->from_ms, c->to_ms, c->step * 1000, a->arena, &o);
    struct buf *b = &a->body;

    if (failed(e))
        return e;
    put_int(b, "step_seconds", c->step);
    put_int(b, "letters", o.letters);
    put_int(b, "unfinished", o.unfinished);
    put_int(b, "groups", o.groups);
    put_int(b, "groups_unfinished", o.groups_unfinished);
    put_time(b, "oldest_unfinished_at", o.oldest_unfinished_ms);
    put_by_status(b, "by_status", o.by_status);
    put_tallies(b, "classes", o.classes, o.nclasses);
    put_tallies(b, "agents", o.agents, o.nagents);
    put_tallies(b, "topics", o.topics, o.ntopics);
    put_tallies(b, "families", o.families, o.nfamilies);
    put_points(b, &o);
    return error_none();
}

/* The collector is asked here: it belongs to the loop. */
static void send_overview(struct api_call *c, struct answer *a)
{
    struct collect_status s = collect_status(c->api->collect);
    struct buf b = BUF(API_JSON_MAX);

    put_begin(&b, '{');
    put_time(&b, "from", c->from_ms);
    put_time(&b, "to", c->to_ms);
    put_flag(&b, "caught_up", s.caught_up);
    put_known(&b, "lag", s.lag);
    buf_put_byte(&b, ',');
    buf_put_slice(&b, buf_slice(&a->body));
    buf_put_byte(&b, '}');
    if (b.failed)
        api_fail(c, out_of_memory());
    else
        api_answer_json(c, 200, buf_slice(&b));
    buf_free(&b);
}

void begin_overview(struct api_call *c, struct http_server_call *http)
{
    int64_t now = clock_wall_ms();

    c->from_ms = -1;
    c->to_ms = now;
    if (!api_read_query(c, http))
        return;
    c->from_ms = c->from_ms < 0 ? c->to_ms - OVERVIEW_MS : c->from_ms;
    c->from_ms = c->from_ms < 1 ? 1 : c->from_ms;
    if (c->from_ms >= c->to_ms) {
        api_problem(c, 422, "bad_range", "Parameter from must be before to.");
        return;
    }
    if (!c->step)
        c->step = (c->to_ms - c->from_ms) / OVERVIEW_POINTS / 1000;
    c->step = (c->step + 59) / 60 * 60;
    c->step = c->step < 60 ? 60 : c->step;
    if ((c->to_ms - c->from_ms) / (c->step * 1000) >= OVERVIEW_POINTS_MAX)
        api_problem(c, 422, "bad_range", "These are more than 2,000 points: take a larger step or a shorter time.");
    else
        api_ask(c, ASK_INDEX, run_overview, send_overview);
}

/* ---- What needs no index */

void begin_me(struct api_call *c, struct http_server_call *http)
{
    const struct config_dlq *d = &c->api->config->dlq;
    struct buf b = BUF(8192);

    if (!api_read_query(c, http))
        return;
    put_begin(&b, '{');
    put_word(&b, "name", c->who.name);
    put_word(&b, "kind", who_kind_name(&c->who));
    put_word(&b, "role", role_name(c->who.role));
    put_flag(&b, "masked", c->masked);
    put_flag(&b, "read_only", d->access.read_only);
    put_word(&b, "instance", d->name);
    put_word(&b, "version", STEPMILL_VERSION);
    put_int(&b, "redrive_rate_max", d->redrive.rate);
    put_int(&b, "redrive_cap_max", d->redrive.cap);
    put_int(&b, "park_after", d->redrive.park_after);
    buf_put_byte(&b, '}');
    api_answer_json(c, 200, buf_slice(&b));
    buf_free(&b);
}

void begin_openapi(struct api_call *c, struct http_server_call *http)
{
    if (api_read_query(c, http))
        api_answer_json(c, 200, embedded_find(dashboard_files, dashboard_files_count, "openapi.json"));
}
