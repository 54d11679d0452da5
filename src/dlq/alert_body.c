/* When a group of letters is worth an alert, and the words of it for each kind of receiver. */
#include "alert.h"
#include "stepmill/digest.h"
#include "stepmill/json.h"
#include "stepmill/time_text.h"

const char *alert_kind_name(enum alert_kind kind)
{
    static const char *const names[] = {[ALERT_NONE] = "none",
                                        [ALERT_NEW] = "new",
                                        [ALERT_RETURNED] = "returned",
                                        [ALERT_SPIKE] = "spike",
                                        [ALERT_RESOLVED] = "resolved"};

    return names[kind];
}

const char *alert_sink_name(enum alert_sink sink)
{
    static const char *const names[] = {[SINK_PAGERDUTY] = "pagerduty", [SINK_SLACK] = "slack", [SINK_WEBHOOK] = "webhook"};

    return names[sink];
}

/* ---- When */

enum alert_kind alert_decide(const struct alert_facts *f, const struct config *config, int64_t now_ms)
{
    const struct group_row *g = f->group;
    bool told = f->last != ALERT_NONE;

    if (told && f->last != ALERT_RESOLVED && g->unfinished == 0)
        return ALERT_RESOLVED;
    if (told && now_ms - f->last_ms < config->dlq.alerts.interval_ms)
        return ALERT_NONE;
    if (g->unfinished == 0 || g->last_ms < now_ms - ALERT_FRESH_MS)
        return ALERT_NONE;
    if (!told || (f->was_silent && g->last_ms > f->last_ms))
        return ALERT_NEW;
    if (g->returned_at_ms > f->last_ms)
        return ALERT_RETURNED;
    if (f->last == ALERT_RESOLVED && g->last_ms > f->last_ms)
        return ALERT_RETURNED;
    if (f->lately >= config->dlq.alerts.spike_min && f->lately * 100 >= f->per_five_minutes * config->dlq.alerts.spike_factor)
        return ALERT_SPIKE;
    return ALERT_NONE;
}

/* ---- What */

static void put_title(const struct alert_text *t, struct buf *to)
{
    const struct group_row *g = t->group;

    switch (t->kind) {
    case ALERT_RESOLVED:
        buf_put_text(to, "Dead letters resolved: ");
        break;
    case ALERT_RETURNED:
        buf_put_text(to, "Dead letters are back: ");
        break;
    case ALERT_SPIKE:
        buf_printf(to, "%lld dead letters in 5 minutes: ", (long long)t->lately);
        break;
    default:
        buf_put_text(to, "New kind of dead letter: ");
        break;
    }
    buf_put_slice(to, g->class);
    if (g->code.len) {
        buf_put_text(to, " ");
        buf_put_slice(to, g->code);
    }
    if (g->nagents) {
        buf_put_text(to, " (");
        buf_put_slice(to, g->agents[0].name);
        buf_put_text(to, ")");
    }
}

static void put_name(struct buf *to, const char *name, struct slice value)
{
    buf_printf(to, ",\"%s\":", name);
    json_put_string(to, value.at ? value : SLICE(""));
}

static void put_time(struct buf *to, const char *name, int64_t ms)
{
    char text[TIME_STAMP_LEN];

    time_stamp(text, ms);
    put_name(to, name, (struct slice){text, sizeof text});
}

static void put_link(struct buf *to, const struct alert_text *t)
{
    size_t n = strlen(t->public_url);

    buf_put(to, t->public_url, n && t->public_url[n - 1] == '/' ? n - 1 : n);
    buf_printf(to, "/#/groups/%.*s", SLICE_FMT(t->group->fingerprint));
}

/* `,"kind":…` and so on. */
static void put_facts(struct buf *to, const struct alert_text *t)
{
    const struct group_row *g = t->group;

    put_name(to, "kind", slice_of(alert_kind_name(t->kind)));
    put_name(to, "group", g->fingerprint);
    put_name(to, "class", g->class);
    put_name(to, "code", g->code);
    put_name(to, "stage", g->stage);
    put_name(to, "message", g->example_message);
    put_name(to, "example", g->example);
    buf_printf(to, ",\"letters\":%lld,\"unfinished\":%lld,\"last_five_minutes\":%lld", (long long)g->letters,
               (long long)g->unfinished, (long long)t->lately);
    put_time(to, "first_at", g->first_ms);
    put_time(to, "last_at", g->last_ms);
    buf_put_text(to, ",\"agents\":[");
    for (size_t i = 0; i < g->nagents; i++) {
        buf_put_text(to, i ? "," : "");
        json_put_string(to, g->agents[i].name);
    }
    buf_put_text(to, "]");
}

/* ---- For whom */

/* Events API v2; summary: at most 1,024 characters. */
static void put_pagerduty(struct buf *to, const struct alert_text *t, struct slice title, struct slice link, const char *key)
{
    char time[TIME_STAMP_LEN];

    buf_printf(to, "{\"event_action\":\"%s\"", t->kind == ALERT_RESOLVED ? "resolve" : "trigger");
    put_name(to, "routing_key", slice_of(key));
    buf_printf(to, ",\"dedup_key\":\"stepmill-dlq-%.*s\",\"client\":\"stepmill\"", SLICE_FMT(t->group->fingerprint));
    if (link.len) {
        put_name(to, "client_url", link);
        buf_put_text(to, ",\"links\":[{\"text\":\"Letters of this group\"");
        put_name(to, "href", link);
        buf_put_text(to, "}]");
    }
    time_stamp(time, t->at_ms);
    buf_put_text(to, ",\"payload\":{\"severity\":\"error\"");
    put_name(to, "summary", (struct slice){title.at, title.len < 1000 ? title.len : 1000});
    put_name(to, "source", slice_of(t->instance));
    put_name(to, "component", t->group->stage);
    put_name(to, "class", t->group->class);
    put_name(to, "timestamp", (struct slice){time, sizeof time});
    buf_put_text(to, ",\"custom_details\":{\"version\":1");
    put_facts(to, t);
    buf_put_text(to, "}}}");
}

/* Slack takes &, < and > as its own signs; so do those who copy its form. */
static void put_slack_text(struct buf *to, struct slice s)
{
    for (size_t i = 0; i < s.len; i++)
        switch (s.at[i]) {
        case '&':
            buf_put_text(to, "&amp;");
            break;
        case '<':
            buf_put_text(to, "&lt;");
            break;
        case '>':
            buf_put_text(to, "&gt;");
            break;
        default:
            buf_put_byte(to, s.at[i]);
        }
}

static void put_slack(struct buf *to, const struct alert_text *t, struct slice title, struct slice link)
{
    struct buf text = BUF(64 * 1024);

    put_slack_text(&text, title);
    buf_put_text(&text, "\n");
    put_slack_text(&text, t->group->example_message);
    buf_printf(&text, "\n%lld letters, %lld unfinished", (long long)t->group->letters, (long long)t->group->unfinished);
    if (link.len)
        buf_printf(&text, " <%.*s|Open the group>", SLICE_FMT(link));
    buf_put_text(to, "{\"text\":");
    json_put_string(to, buf_slice(&text));
    buf_put_text(to, "}");
    to->failed = to->failed || text.failed;
    buf_free(&text);
}

static void put_webhook(struct buf *to, const struct alert_text *t, struct slice title, struct slice link)
{
    buf_put_text(to, "{\"version\":1");
    put_name(to, "title", title);
    put_name(to, "source", slice_of(t->instance));
    put_time(to, "at", t->at_ms);
    put_facts(to, t);
    if (link.len)
        put_name(to, "url", link);
    buf_put_text(to, "}");
}

void alert_body(enum alert_sink sink, const struct alert_text *t, const char *key, struct buf *to)
{
    struct buf title = BUF(16 * 1024), link = BUF(8 * 1024);

    put_title(t, &title);
    if (t->public_url)
        put_link(&link, t);
    if (sink == SINK_PAGERDUTY)
        put_pagerduty(to, t, buf_slice(&title), buf_slice(&link), key ? key : "");
    else if (sink == SINK_SLACK)
        put_slack(to, t, buf_slice(&title), buf_slice(&link));
    else
        put_webhook(to, t, buf_slice(&title), buf_slice(&link));
    to->failed = to->failed || title.failed || link.failed;
    buf_free(&title);
    buf_free(&link);
}

void alert_signature(char room[ALERT_SIGNATURE_SIZE], const char *secret, const char *timestamp, struct slice body)
{
    struct buf text = BUF(1024 * 1024);

    buf_put_text(&text, timestamp);
    buf_put_text(&text, ".");
    buf_put_slice(&text, body);
    memcpy(room, "sha256=", 7);
    hmac_sha256_text(room + 7, slice_of(secret), buf_slice(&text));
    buf_free(&text);
}
