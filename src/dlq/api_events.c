/* What happens, live: server-sent events to all who watch. */
#include "api_parts.h"
#include "stepmill/clock.h"
#include "stepmill/json.h"

/* A stream ends after ten minutes: who comes again shows a token that still holds. */
enum { BEAT_MS = 1000, QUIET_MS = 15000, LIFE_MS = 600000, LISTED_MAX = 200, EVENT_MAX = 256 * 1024 };

static void end(struct api_call *c)
{
    struct http_server_call *http = http_server_held(c->api->server, c->http);

    if (http)
        http_server_end(http);
    api_end(c);
}

/* Who takes nothing is let go: it will ask anew. */
static void send_all(struct api *api, struct slice text)
{
    int64_t now = clock_mono_ms();
    struct list_node *next;

    for (struct list_node *n = api->watchers.first; n; n = next) {
        struct api_call *c = list_entry(n, struct api_call, watcher);
        struct http_server_call *http = http_server_held(api->server, c->http);

        next = n->next;
        c->cursor = now; /* when it was last told something */
        if (!http || !http_server_send(http, text))
            end(c);
    }
}

void api_beat(void *ctx)
{
    struct api *api = ctx;
    int64_t now = clock_mono_ms();
    struct list_node *next;

    for (struct list_node *n = api->watchers.first; n; n = next) {
        struct api_call *c = list_entry(n, struct api_call, watcher);
        struct http_server_call *http = http_server_held(api->server, c->http);

        next = n->next;
        if (now - c->began_ms > LIFE_MS) {
            end(c);
        } else if (now - c->cursor > QUIET_MS) {
            c->cursor = now;
            if (!http || !http_server_send(http, SLICE(": still here\n\n")))
                end(c);
        }
    }
    loop_timer_set(&api->beat, BEAT_MS);
}

static void tell_letters(struct api *api, const struct collect_news *news)
{
    struct buf b = BUF(EVENT_MAX);

    buf_put_text(&b, "event: letters\ndata: {");
    put_int(&b, "n", (int64_t)news->letters);
    put_text(&b, "newest", news->newest_letter);
    buf_put_text(&b, "}\n\n");
    if (!b.failed)
        send_all(api, buf_slice(&b));
    buf_free(&b);
}

static void tell_actions(struct api *api, const struct collect_news *news)
{
    size_t n = news->nactions < LISTED_MAX ? news->nactions : LISTED_MAX;
    struct buf b = BUF(EVENT_MAX);

    buf_put_text(&b, "event: actions\ndata: {");
    put_flag(&b, "more", news->more_actions || n < news->nactions);
    put_name(&b, "actions");
    buf_put_byte(&b, '[');
    for (size_t i = 0; i < n; i++) {
        put_begin(&b, '{');
        put_text(&b, "id", news->actions[i].id);
        put_text(&b, "letter", news->actions[i].letter);
        put_text(&b, "group", news->actions[i].group);
        put_text(&b, "job", news->actions[i].job);
        buf_put_byte(&b, '}');
    }
    buf_put_text(&b, "]}\n\n");
    if (b.failed)
        send_all(api, SLICE("event: actions\ndata: {\"more\":true,\"actions\":[]}\n\n"));
    else
        send_all(api, buf_slice(&b));
    buf_free(&b);
}

void api_folded(struct api *api, const struct collect_news *news)
{
    if (!api->watchers.count)
        return;
    if (news->letters)
        tell_letters(api, news);
    if (news->nactions || news->more_actions)
        tell_actions(api, news);
}

void api_tasks_changed(struct api *api)
{
    if (api->watchers.count)
        send_all(api, SLICE("event: tasks\ndata: {}\n\n"));
}

void begin_events(struct api_call *c, struct http_server_call *http)
{
    if (!api_read_query(c, http))
        return;
    c->api->stats.requests++;
    c->cursor = clock_mono_ms();
    c->streaming = true;
    api_safe_headers(c->api, http);
    http_server_set_header(http, "X-Accel-Buffering", "no");
    http_server_stream(http, 200, "text/event-stream");
    if (http_server_is_head(http)) {
        end(c);
        return;
    }
    list_append(&c->api->watchers, &c->watcher);
    if (!http_server_send(http, SLICE("retry: 2000\nevent: hello\ndata: {}\n\n")))
        end(c);
}
