/* JSON of the review API: members, and the things that several answers show. */
#include <openssl/evp.h>

#include "api_parts.h"
#include "stepmill/json.h"
#include "stepmill/time_text.h"

void put_begin(struct buf *b, char bracket)
{
    char last = b->len ? b->at[b->len - 1] : '[';

    if (last != '{' && last != '[' && last != ':')
        buf_put_byte(b, ',');
    buf_put_byte(b, bracket);
}

void put_name(struct buf *b, const char *name)
{
    if (b->len && b->at[b->len - 1] != '{')
        buf_put_byte(b, ',');
    buf_put_byte(b, '"');
    buf_put_text(b, name); /* ours: nothing to escape */
    buf_put(b, "\":", 2);
}

void put_text(struct buf *b, const char *name, struct slice s)
{
    put_name(b, name);
    if (s.at)
        json_put_string(b, s);
    else
        buf_put_text(b, "null");
}

void put_word(struct buf *b, const char *name, const char *word) { put_text(b, name, slice_of(word)); }

void put_int(struct buf *b, const char *name, int64_t v)
{
    put_name(b, name);
    buf_put_int(b, v);
}

void put_known(struct buf *b, const char *name, int64_t v)
{
    if (v < 0)
        put_word(b, name, NULL);
    else
        put_int(b, name, v);
}

void put_flag(struct buf *b, const char *name, bool v)
{
    put_name(b, name);
    buf_put_text(b, v ? "true" : "false");
}

void put_time(struct buf *b, const char *name, int64_t ms)
{
    char text[TIME_STAMP_LEN];

    if (ms < 0) {
        put_word(b, name, NULL);
        return;
    }
    time_stamp(text, ms);
    put_text(b, name, (struct slice){text, sizeof text});
}

void put_next(struct buf *b, int64_t cursor)
{
    char room[24];
    struct buf text = BUF_IN(room);

    buf_put_int(&text, cursor);
    put_text(b, "next", cursor ? buf_slice(&text) : (struct slice){NULL, 0});
}

void put_base64(struct buf *b, const char *name, struct slice bytes)
{
    char *at;

    put_name(b, name);
    buf_put_byte(b, '"');
    at = bytes.len < INT32_MAX / 2 ? buf_reserve(b, bytes.len / 3 * 4 + 8) : NULL;
    if (at)
        b->len += (size_t)EVP_EncodeBlock((unsigned char *)at, (const unsigned char *)bytes.at, (int)bytes.len);
    buf_put_byte(b, '"');
}

void put_by_status(struct buf *b, const char *name, const int64_t by_status[LETTER_STATUSES])
{
    put_name(b, name);
    buf_put_byte(b, '{');
    for (enum letter_status s = 0; s < LETTER_STATUSES; s++)
        put_int(b, letter_status_name(s), by_status[s]);
    buf_put_byte(b, '}');
}

void put_tallies(struct buf *b, const char *name, const struct tally *t, size_t n)
{
    put_name(b, name);
    buf_put_byte(b, '[');
    for (size_t i = 0; i < n; i++) {
        put_begin(b, '{');
        put_text(b, "name", t[i].name.at ? t[i].name : SLICE(""));
        put_int(b, "n", t[i].n);
        buf_put_byte(b, '}');
    }
    buf_put_byte(b, ']');
}

static void put_origin(struct buf *b, const struct letter *l)
{
    put_text(b, "topic", l->topic);
    put_known(b, "partition", l->partition);
    put_known(b, "offset", l->offset);
    put_text(b, "consumer_group", l->group);
    put_text(b, "task_id", l->task_id);
    put_text(b, "session_id", l->session_id);
    put_text(b, "agent", l->agent);
    put_text(b, "class", l->class);
    put_text(b, "code", l->code);
    put_text(b, "stage", l->stage);
    put_text(b, "message", l->message);
    put_known(b, "step", l->step);
    put_known(b, "attempts", l->attempts);
    put_int(b, "redrives", l->redrives);
    put_flag(b, "retryable", l->retryable);
    put_time(b, "first_failed_at", l->first_failed_at_ms);
    put_time(b, "failed_at", l->failed_at_ms < 0 ? 0 : l->failed_at_ms);
    put_time(b, "started_at", l->started_at_ms);
    put_text(b, "worker", l->worker);
    put_known(b, "schema_id", l->schema_id);
}

void put_letter(struct buf *b, const struct letter_row *row)
{
    const struct letter *l = &row->letter;

    put_begin(b, '{');
    put_text(b, "id", l->id);
    put_word(b, "status", letter_status_name(row->status));
    put_time(b, "status_at", row->status_at_ms < 0 ? 0 : row->status_at_ms);
    put_time(b, "due_at", row->due_at_ms);
    put_word(b, "family", letter_family_name(l->family));
    put_text(b, "dlq_topic", l->dlq_topic);
    put_int(b, "dlq_partition", l->dlq_partition);
    put_int(b, "dlq_offset", l->dlq_offset);
    put_origin(b, l);
    put_known(b, "value_size", row->value_size);
    put_text(b, "value_omitted", l->value_omitted);
    put_text(b, "trace_id", l->trace_id);
    put_word(b, "group", l->fingerprint);
    put_int(b, "occurrences", row->occurrences);
    put_int(b, "sent", row->sent);
    put_text(b, "job", row->job);
    put_text(b, "assigned", row->assigned);
    put_text(b, "newer_id", row->newer_id);
    put_int(b, "notes", row->notes);
    buf_put_byte(b, '}');
}

void put_group(struct buf *b, const struct group_row *g)
{
    put_begin(b, '{');
    put_text(b, "fingerprint", g->fingerprint);
    put_text(b, "class", g->class);
    put_text(b, "code", g->code);
    put_text(b, "stage", g->stage);
    put_text(b, "pattern", g->pattern);
    put_int(b, "letters", g->letters);
    put_int(b, "unfinished", g->unfinished);
    put_by_status(b, "by_status", g->by_status);
    put_time(b, "first_at", g->first_ms < 0 ? 0 : g->first_ms);
    put_time(b, "last_at", g->last_ms < 0 ? 0 : g->last_ms);
    put_text(b, "example", g->example);
    put_text(b, "example_message", g->example_message);
    put_tallies(b, "agents", g->agents, g->nagents);
    put_tallies(b, "topics", g->topics, g->ntopics);
    put_tallies(b, "workers", g->workers, g->nworkers);
    put_flag(b, "resolved", g->resolved);
    put_time(b, "resolved_at", g->resolved_at_ms);
    put_time(b, "returned_at", g->returned_at_ms);
    put_time(b, "alerted_at", g->alerted_at_ms);
    put_text(b, "assigned", g->assigned);
    buf_put_byte(b, '}');
}

/* dlq.trace_url with the id in the place of {trace_id}; the id is hex, so nothing in it needs escaping. */
void put_trace_url(struct buf *b, const struct api *api, struct slice trace_id)
{
    const char *url = api->config->dlq.trace_url, *gap = url ? strstr(url, "{trace_id}") : NULL;
    struct buf text = BUF(4096);

    if (gap && trace_id.len && strspn(trace_id.at, "0123456789abcdef") >= trace_id.len) {
        buf_put(&text, url, (size_t)(gap - url));
        buf_put_slice(&text, trace_id);
        buf_put_text(&text, gap + strlen("{trace_id}"));
    }
    put_text(b, "trace_url", text.len ? buf_slice(&text) : (struct slice){NULL, 0});
    buf_free(&text);
}
