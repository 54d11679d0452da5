/* Records as lines for people. */
#include "stepmill/avro_json.h"
#include "stepmill/clock.h"
#include "stepmill/time_text.h"
#include "stepmill/utf8.h"
#include "tail.h"

enum { BRIEF = 100, NAME_MAX_BYTES = 200, VALUE_MAX = 16 * 1024 * 1024 };

/* The line, and what --verbose puts below it. */
struct page {
    const struct tail *tail;
    struct buf *line;
    struct buf more;
};

/* No record may play with the terminal: control characters (C1 too) become blanks, what is not UTF-8 becomes U+FFFD. With
 * `indent` a line feed stays one. */
static void put_clean(struct slice s, const char *indent, struct buf *out)
{
    const char *at = s.at, *end = s.len ? s.at + s.len : at;

    while (at < end) {
        size_t n = utf8_char(at, end);

        if (!n) {
            n = utf8_bad(at, end);
            utf8_put_char(out, 0xfffd);
        } else if (*at == '\n' && indent) {
            buf_put_byte(out, '\n');
            buf_put_text(out, indent);
        } else if ((n == 1 && ((unsigned char)*at < 0x20 || *at == 0x7f)) ||
                   (n == 2 && (unsigned char)at[0] == 0xc2 && (unsigned char)at[1] < 0xa0)) {
            buf_put_byte(out, ' ');
        } else {
            buf_put(out, at, n);
        }
        at += n;
    }
}

static void put_name(struct slice s, struct buf *out) { put_clean(utf8_cut(s, NAME_MAX_BYTES), NULL, out); }

static void put_brief(struct slice s, struct buf *out)
{
    struct slice cut = utf8_cut(s, BRIEF);

    put_clean(cut, NULL, out);
    if (cut.len < s.len)
        buf_put_text(out, "…");
}

/* One more line of --verbose. */
static void put_more(struct page *p, const char *label, struct slice s)
{
    if (!p->tail->verbose || !s.at)
        return;
    buf_printf(&p->more, "    %s: ", label);
    put_clean(s, "      ", &p->more);
    buf_put_byte(&p->more, '\n');
}

static void put_pair(struct page *p, struct slice key, struct slice value)
{
    if (!p->tail->verbose)
        return;
    buf_put_text(&p->more, "    ");
    put_name(key, &p->more);
    buf_put_text(&p->more, " = ");
    put_clean(value, "      ", &p->more);
    buf_put_byte(&p->more, '\n');
}

/* A text of any length: its beginning, quoted; with --verbose all of it, below. */
static void put_text(struct page *p, const char *label, struct slice s)
{
    put_more(p, label, s);
    if (p->tail->verbose || !s.at)
        return;
    buf_put_text(p->line, "  \"");
    put_brief(s, p->line);
    buf_put_byte(p->line, '"');
}

static void put_colour(const struct page *p, const char *code, const char *text)
{
    buf_printf(p->line, p->tail->colour ? "\033[%sm%s\033[0m" : "%.0s%s", code, text);
}

static void put_spaced(struct page *p, struct slice s)
{
    if (!s.len)
        return;
    buf_put_text(p->line, "  ");
    put_name(s, p->line);
}

/* "05:12:01.123  0193…  ", the id padded. */
static void put_head(struct page *p, int64_t ms, struct slice task_id)
{
    char text[TIME_TEXT_SIZE];
    size_t before;

    time_write(text, ms, clock_wall_ms());
    buf_printf(p->line, "%s  ", text);
    before = p->line->len;
    put_name(task_id.len ? task_id : SLICE("(no task_id)"), p->line);
    while (p->line->len - before < 20 && !p->line->failed)
        buf_put_byte(p->line, ' ');
}

static void put_place(struct page *p, const struct kafka_record *k)
{
    struct buf place = BUF(1024);

    buf_printf(&place, "%s/%d/%lld", k->topic, k->partition, (long long)k->offset);
    put_more(p, "record", buf_slice(&place));
    buf_free(&place);
}

/* ---- Events */

static void put_attempts(struct page *p, const struct attempt *attempts, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        buf_put_text(p->line, "  (");
        put_name(attempts[i].target, p->line);
        buf_put_text(p->line, ": ");
        put_name(attempts[i].error, p->line);
        buf_put_byte(p->line, ')');
    }
}

static void put_model(struct page *p, const struct event_model_answered *m)
{
    put_spaced(p, m->model);
    buf_printf(p->line, "  %lld+%lld tokens  %lld ms", (long long)m->prompt_tokens, (long long)m->completion_tokens,
               (long long)m->duration_ms);
    put_attempts(p, m->attempts, m->nattempts);
    if (m->content.len)
        put_text(p, "content", m->content);
    for (size_t i = 0; i < m->ncalls; i++) {
        buf_put_text(p->line, "  → ");
        put_name(m->calls[i].name, p->line);
        put_more(p, "arguments", m->calls[i].arguments);
        if (p->tail->verbose)
            continue;
        buf_put_byte(p->line, '(');
        put_brief(m->calls[i].arguments, p->line);
        buf_put_byte(p->line, ')');
    }
}

static void put_failed(struct page *p, const struct event_failed *f)
{
    put_spaced(p, f->class);
    buf_put_byte(p->line, '/');
    put_name(f->code, p->line);
    buf_put_text(p->line, " at ");
    put_name(f->stage, p->line);
    buf_printf(p->line, " after %d attempts", f->attempts);
    put_text(p, "message", f->message);
}

static void put_reopened(struct page *p, const struct event_reopened *r)
{
    put_spaced(p, r->reopen_kind);
    buf_printf(p->line, " %d", r->redrives);
    if (r->by.len) {
        buf_put_text(p->line, " by ");
        put_name(r->by, p->line);
    }
    if (r->reason.len)
        put_text(p, "reason", r->reason);
}

static void put_parked(struct page *p, const struct event_parked *parked)
{
    char text[TIME_TEXT_SIZE];

    time_write(text, parked->until_ms, clock_wall_ms());
    if (parked->until_ms >= 0)
        buf_printf(p->line, "  until %s", text);
    put_spaced(p, parked->approval);
}

static void put_body(struct page *p, const struct event *e)
{
    switch (e->kind) {
    case EVENT_STARTED:
        buf_put_text(p->line, "  from ");
        put_name(e->started.origin.topic, p->line);
        buf_printf(p->line, "/%d/%lld", e->started.origin.partition, (long long)e->started.origin.offset);
        put_text(p, "prompt", e->started.input.prompt);
        return;
    case EVENT_MODEL_ANSWERED:
        put_model(p, &e->model);
        return;
    case EVENT_TOOL_ANSWERED:
        put_spaced(p, e->tool.name);
        buf_printf(p->line, " %s  %lld ms", tool_outcome_name(e->tool.outcome), (long long)e->tool.duration_ms);
        put_attempts(p, e->tool.attempts, e->tool.nattempts);
        put_text(p, "content", e->tool.content);
        return;
    case EVENT_COMPLETED:
        put_spaced(p, e->completed.error);
        put_text(p, "output", e->completed.output);
        return;
    case EVENT_FAILED:
        put_failed(p, &e->failed);
        return;
    case EVENT_CANCELLED:
        put_spaced(p, e->cancelled.reason);
        return;
    case EVENT_PARKED:
        put_parked(p, &e->parked);
        return;
    case EVENT_REOPENED:
        put_reopened(p, &e->reopened);
        return;
    }
}

static void put_event(struct page *p, const struct tail_record *r)
{
    static const char *const colours[] = {"36", "33", "34", "32", "31", "35", "35", "36"};
    char kind[24];

    snprintf(kind, sizeof kind, "%-13s", event_kind_name(r->event.kind));
    put_head(p, r->event.at_us / 1000, r->task_id);
    buf_printf(p->line, " %3d  ", r->event.seq);
    put_colour(p, colours[r->event.kind], kind);
    put_more(p, "session", r->session_id);
    put_more(p, "trace", r->event.trace_id);
    put_body(p, &r->event);
    put_place(p, r->kafka);
}

/* ---- Results */

static void put_result(struct page *p, const struct tail_record *r)
{
    const struct task_result *v = &r->result;
    const char *colour = slice_is(v->status, "completed") ? "32" : slice_is(v->status, "cancelled") ? "35" : "31";
    char status[32];

    snprintf(status, sizeof status, "%-9.*s", SLICE_FMT(utf8_cut(v->status, 20)));
    put_head(p, v->finished_at_ms, r->task_id);
    buf_put_byte(p->line, ' ');
    put_colour(p, colour, status);
    buf_printf(p->line, " %2d steps  %6lld tokens  %7.1f s", v->steps_used, (long long)v->tokens_used,
               (double)v->duration_ms / 1000);
    put_spaced(p, v->model);
    put_spaced(p, v->error);
    if (!v->final)
        buf_put_text(p->line, "  not final: it is tried again");
    put_more(p, "session", r->session_id);
    put_text(p, "output", v->output);
    for (size_t i = 0; i < v->nmetadata; i++)
        put_pair(p, v->metadata[i].key, v->metadata[i].value);
    put_more(p, "history", v->history);
    put_place(p, r->kafka);
}

/* ---- Dead letters */

static void put_value(struct page *p, const struct tail_record *r)
{
    struct buf json = BUF(VALUE_MAX);
    struct slice value = r->kafka->value;

    if (!p->tail->verbose)
        return;
    if (r->schema && !failed(avro_json_put(r->schema, r->avro, &json)))
        put_more(p, "value", buf_slice(&json));
    else if (!value.at)
        put_more(p, "value", SLICE("none"));
    else
        put_more(p, "value, as it is", value);
    if (r->trouble)
        put_more(p, "value can't be read", slice_of(r->trouble));
    buf_free(&json);
}

static void put_letter(struct page *p, const struct tail_record *r)
{
    const struct kafka_record *k = r->kafka;
    int64_t ms = tail_letter_time(k);

    put_head(p, ms, r->task_id);
    buf_put_byte(p->line, ' ');
    put_colour(p, "31", "dead letter");
    put_spaced(p, tail_header(k, "stepmill.class"));
    buf_put_byte(p->line, '/');
    put_name(tail_header(k, "stepmill.code"), p->line);
    buf_put_text(p->line, "  from ");
    put_name(tail_header(k, "stepmill.id"), p->line);
    buf_put_text(p->line, "  attempts ");
    put_name(tail_header(k, "stepmill.attempts"), p->line);
    put_text(p, "message", tail_header(k, "__dlq.errors.message"));
    put_more(p, "key", k->key);
    for (size_t i = 0; i < k->nheaders; i++)
        put_pair(p, k->headers[i].name, k->headers[i].value);
    put_value(p, r);
    put_place(p, k);
}

void tail_put_text(const struct tail *t, const struct tail_record *r, struct buf *out)
{
    struct page p = {t, out, BUF(VALUE_MAX * 2)};

    if (r->trouble && t->what != TAIL_DLQ) {
        buf_printf(out, "%s/%d/%lld  can't be read: %s (", r->kafka->topic, r->kafka->partition, (long long)r->kafka->offset,
                   r->trouble);
        put_name(slice_of(r->detail.text), out);
        buf_put_byte(out, ')');
    } else if (t->what == TAIL_EVENTS) {
        put_event(&p, r);
    } else if (t->what == TAIL_RESULTS) {
        put_result(&p, r);
    } else {
        put_letter(&p, r);
    }
    buf_put_byte(out, '\n');
    buf_put_slice(out, buf_slice(&p.more));
    buf_free(&p.more);
}
