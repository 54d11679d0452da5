/* Records as lines for people. */
#include "stepmill/utf8.h"
#include "tail.h"

enum { BRIEF = 100 };

struct slice tail_header(const struct kafka_record *r, const char *name)
{
    for (size_t i = r->nheaders; i-- > 0;)
        if (slice_is(r->headers[i].name, name))
            return r->headers[i].value;
    return (struct slice){NULL, 0};
}

/* On one line, cut when brief; control characters become blanks, so no record can play with the terminal. */
static void put_words(const struct tail *t, struct slice s, struct buf *out)
{
    struct slice cut = t->verbose ? s : utf8_cut(s, BRIEF);
    char *at = buf_reserve(out, cut.len);

    for (size_t i = 0; at && i < cut.len; i++)
        at[i] = (unsigned char)cut.at[i] < 0x20 || cut.at[i] == 0x7f ? ' ' : cut.at[i];
    if (at)
        out->len += cut.len;
    if (cut.len < s.len)
        buf_put_text(out, "…");
}

static void put_colour(const struct tail *t, const char *code, const char *text, struct buf *out)
{
    buf_printf(out, t->colour ? "\033[%sm%s\033[0m" : "%.0s%s", code, text);
}

static void put_error(const struct tail *t, struct slice error, struct buf *out)
{
    if (!error.at)
        return;
    buf_put_text(out, "  ");
    put_words(t, error, out);
}

static void put_model(const struct tail *t, const struct event_model_answered *m, struct buf *out)
{
    buf_printf(out, "  %.*s  %lld+%lld tokens  %lld ms", SLICE_FMT(m->model), (long long)m->prompt_tokens,
               (long long)m->completion_tokens, (long long)m->duration_ms);
    for (size_t i = 0; i < m->nattempts; i++)
        buf_printf(out, "  (%.*s: %.*s)", SLICE_FMT(m->attempts[i].target), SLICE_FMT(m->attempts[i].error));
    if (m->content.len) {
        buf_put_text(out, "  \"");
        put_words(t, m->content, out);
        buf_put_byte(out, '"');
    }
    for (size_t i = 0; i < m->ncalls; i++) {
        buf_printf(out, "  → %.*s(", SLICE_FMT(m->calls[i].name));
        put_words(t, m->calls[i].arguments, out);
        buf_put_byte(out, ')');
    }
}

static void put_body(const struct tail *t, const struct event *e, struct buf *out)
{
    switch (e->kind) {
    case EVENT_STARTED:
        buf_printf(out, "  from %.*s/%d/%lld  \"", SLICE_FMT(e->started.origin.topic), e->started.origin.partition,
                   (long long)e->started.origin.offset);
        put_words(t, e->started.input.prompt, out);
        buf_put_byte(out, '"');
        return;
    case EVENT_MODEL_ANSWERED:
        put_model(t, &e->model, out);
        return;
    case EVENT_TOOL_ANSWERED:
        buf_printf(out, "  %.*s %s  %lld ms  ", SLICE_FMT(e->tool.name), tool_outcome_name(e->tool.outcome),
                   (long long)e->tool.duration_ms);
        put_words(t, e->tool.content, out);
        return;
    case EVENT_COMPLETED:
        put_error(t, e->completed.error, out);
        buf_put_text(out, "  \"");
        put_words(t, e->completed.output, out);
        buf_put_byte(out, '"');
        return;
    case EVENT_FAILED:
        buf_printf(out, "  %.*s/%.*s at %.*s after %d attempts: ", SLICE_FMT(e->failed.class), SLICE_FMT(e->failed.code),
                   SLICE_FMT(e->failed.stage), e->failed.attempts);
        put_words(t, e->failed.message, out);
        return;
    case EVENT_CANCELLED:
        put_error(t, e->cancelled.reason, out);
        return;
    case EVENT_PARKED:
        buf_printf(out, "  until %lld", (long long)e->parked.until_ms);
        return;
    case EVENT_REOPENED:
        buf_printf(out, "  %.*s %d by %.*s: ", SLICE_FMT(e->reopened.reopen_kind), e->reopened.redrives,
                   SLICE_FMT(e->reopened.by));
        put_words(t, e->reopened.reason, out);
        return;
    }
}

static void put_event(const struct tail *t, const struct tail_record *r, struct buf *out)
{
    static const char *const colours[] = {"36", "33", "34", "32", "31", "35", "35", "36"};
    char clock[16], kind[24];

    cli_clock(clock, r->event.at_us / 1000);
    snprintf(kind, sizeof kind, "%-13s", event_kind_name(r->event.kind));
    buf_printf(out, "%s  %-20.*s %3d  ", clock, SLICE_FMT(r->task_id), r->event.seq);
    put_colour(t, colours[r->event.kind], kind, out);
    put_body(t, &r->event, out);
}

static void put_result(const struct tail *t, const struct tail_record *r, struct buf *out)
{
    const struct task_result *v = &r->result;
    bool fine = slice_is(v->status, "completed");
    char clock[16], status[32];

    cli_clock(clock, v->finished_at_ms);
    snprintf(status, sizeof status, "%-9.*s", SLICE_FMT(v->status));
    buf_printf(out, "%s  %-20.*s ", clock, SLICE_FMT(r->task_id));
    put_colour(t, fine ? "32" : "31", status, out);
    buf_printf(out, " %2d steps  %6lld tokens  %7.1f s", v->steps_used, (long long)v->tokens_used, (double)v->duration_ms / 1000);
    put_error(t, v->error, out);
    buf_put_text(out, "  \"");
    put_words(t, v->output, out);
    buf_put_byte(out, '"');
}

static void put_letter(const struct tail *t, const struct tail_record *r, struct buf *out)
{
    const struct kafka_record *k = r->kafka;
    struct slice class = tail_header(k, "stepmill.class"), code = tail_header(k, "stepmill.code");
    char clock[16];

    cli_clock(clock, k->timestamp);
    buf_printf(out, "%s  %-20.*s ", clock, SLICE_FMT(r->task_id.at ? r->task_id : SLICE("(no task_id)")));
    put_colour(t, "31", "dead letter", out);
    buf_printf(out, "  %.*s/%.*s  from %.*s  attempts %.*s  ", SLICE_FMT(class), SLICE_FMT(code),
               SLICE_FMT(tail_header(k, "stepmill.id")), SLICE_FMT(tail_header(k, "stepmill.attempts")));
    put_words(t, tail_header(k, "__dlq.errors.message"), out);
    buf_printf(out, "  [%s/%d/%lld]", k->topic, k->partition, (long long)k->offset);
}

void tail_put_text(const struct tail *t, const struct tail_record *r, struct buf *out)
{
    if (r->trouble && t->what != TAIL_DLQ)
        buf_printf(out, "%s/%d/%lld  can't be read: %s", r->kafka->topic, r->kafka->partition, (long long)r->kafka->offset,
                   r->trouble);
    else if (t->what == TAIL_EVENTS)
        put_event(t, r, out);
    else if (t->what == TAIL_RESULTS)
        put_result(t, r, out);
    else
        put_letter(t, r, out);
    buf_put_byte(out, '\n');
}
