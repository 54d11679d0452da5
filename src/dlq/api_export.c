/* Letters by filter as a file, page by page as the client takes it: JSON lines or CSV. The export is recorded before it begins.
 */
#include "api_parts.h"
#include "stepmill/json.h"

enum { PAGE = 100, CAP_DEFAULT = 100000, CAP_MAX = 1000000 };

struct export
{
    bool csv;
    int64_t left;
    int64_t cursor;
    bool begun, last;
};

/* ---- A page */

/* A spreadsheet runs what begins like a formula: such a text gets a quote before it (OWASP, CSV injection). */
static void put_cell(struct buf *b, struct slice s, bool last)
{
    bool formula = s.len && memchr("=+-@\t\r", s.at[0], 6);

    buf_put_byte(b, '"');
    if (formula)
        buf_put_byte(b, '\'');
    for (size_t i = 0; i < s.len; i++) {
        if (s.at[i] == '"')
            buf_put_byte(b, '"');
        buf_put_byte(b, s.at[i]);
    }
    buf_put_text(b, last ? "\"\r\n" : "\",");
}

static void put_number_cell(struct buf *b, int64_t v)
{
    if (v >= 0)
        buf_put_int(b, v);
    buf_put_byte(b, ',');
}

static void put_time_cell(struct buf *b, int64_t ms)
{
    struct buf t = BUF(64);

    buf_put_byte(&t, '{');
    put_time(&t, "t", ms);
    if (ms >= 0 && !t.failed && t.len > 6)
        buf_put(b, t.at + 5, t.len - 5); /* behind {"t": */
    buf_put_byte(b, ',');
    buf_free(&t);
}

static void put_line(struct buf *b, const struct letter_row *row)
{
    const struct letter *l = &row->letter;

    put_cell(b, l->id, false);
    put_cell(b, slice_of(letter_status_name(row->status)), false);
    put_time_cell(b, l->failed_at_ms);
    put_cell(b, l->topic, false);
    put_number_cell(b, l->partition);
    put_number_cell(b, l->offset);
    put_cell(b, l->task_id, false);
    put_cell(b, l->session_id, false);
    put_cell(b, l->agent, false);
    put_cell(b, l->class, false);
    put_cell(b, l->code, false);
    put_cell(b, l->stage, false);
    put_cell(b, l->message, false);
    put_number_cell(b, l->attempts);
    put_number_cell(b, l->redrives);
    put_cell(b, slice_of(l->fingerprint), false);
    put_cell(b, l->trace_id, true);
}

/* The letter as in a list, and behind it its value's bytes. */
static struct error put_json_line(struct ask_place *place, struct api_call *c, const struct letter_row *row, struct answer *a)
{
    struct letter_full full = {.nheaders = 0};
    bool found = false;
    struct error e = error_none();

    if (!c->masked && row->value_kept)
        e = store_letter(place->store, row->letter.id, a->arena, &full, &found);
    put_letter(&a->body, row);
    if (a->body.failed || failed(e))
        return e;
    a->body.len--; /* the bracket */
    if (found && full.value.at)
        put_base64(&a->body, "value_base64", full.value);
    else
        put_word(&a->body, "value_base64", NULL);
    buf_put_text(&a->body, "}\n");
    return e;
}

static struct error run_page(struct ask_place *place, void *question, struct answer *a)
{
    struct api_call *c = api_asker(question);
    struct export *x = c->more;
    size_t limit = x->left < PAGE ? (size_t)x->left : PAGE;
    struct letter_page page;
    struct error e = store_letters(place->store, &c->filter, STORE_NEWEST_FIRST, x->cursor, limit, a->arena, &page);

    if (!failed(e) && !x->begun && x->csv)
        buf_put_text(&a->body, "id,status,failed_at,topic,partition,offset,task_id,session_id,agent,class,code,stage,message,"
                               "attempts,redrives,group,trace_id\r\n");
    for (size_t i = 0; !failed(e) && i < page.n; i++) {
        struct buf *b = &a->body;
        size_t end = b->len;

        if (x->csv) {
            put_line(b, &page.rows[i]);
            continue;
        }
        if (end)
            b->at[end - 1] = '['; /* so that no comma comes between two lines */
        e = put_json_line(place, c, &page.rows[i], a);
        if (end)
            b->at[end - 1] = '\n';
    }
    if (failed(e))
        return e;
    x->left -= (int64_t)page.n;
    x->cursor = page.next;
    x->last = !page.next || x->left <= 0;
    return a->body.failed ? error_make(CLASS_INTERNAL, "out_of_memory", "No memory for the export.") : error_none();
}

static void send_page(struct api_call *c, struct answer *a);

static void on_drained(struct api_call *c, struct http_server_call *http)
{
    const struct export *x = c->more;

    if (c->asking)
        return;
    if (!x->last) {
        api_ask(c, ASK_INDEX, run_page, send_page);
        return;
    }
    http_server_end(http);
    api_end(c);
}

static void send_page(struct api_call *c, struct answer *a)
{
    struct http_server_call *http = http_server_held(c->api->server, c->http);
    struct export *x = c->more;

    if (!x->begun) {
        x->begun = c->streaming = true;
        c->drained = on_drained;
        c->api->stats.requests++;
        api_safe_headers(c->api, http);
        http_server_set_header(http, "Content-Disposition",
                               x->csv ? "attachment; filename=\"letters.csv\"" : "attachment; filename=\"letters.jsonl\"");
        http_server_stream(http, 200, x->csv ? "text/csv" : "application/x-ndjson");
    }
    if (!a->body.len) {
        http_server_end(http);
        api_end(c);
    } else if (!http_server_send(http, buf_slice(&a->body))) {
        api_problem(c, 503, "slow", "The client takes nothing."); /* cuts the stream */
    }
}

/* ---- The request */

static void on_recorded(void *ctx, uint64_t ticket, struct error e)
{
    struct api_call *c = ctx;

    (void)ticket;
    c->acting = 0;
    if (!redrives_written(e))
        api_fail(c, e);
    else
        api_ask(c, ASK_INDEX, run_page, send_page);
}

static bool read_export(struct api_call *c, const json_t *body, struct export *x, struct slice *reason)
{
    const json_t *filter = json_object_get(body, "filter");
    struct slice format = {NULL, 0};

    x->left = CAP_DEFAULT;
    if (!api_body_text(c, body, "format", 10, true, &format) || !api_body_text(c, body, "reason", 500, false, reason) ||
        !api_body_int(c, body, "cap", 1, CAP_MAX, &x->left) || (filter && !api_body_filter(c, filter)))
        return false;
    x->csv = slice_is(format, "csv");
    if (x->csv || slice_is(format, "jsonl"))
        return true;
    api_problem(c, 400, "bad_body", "Member format must be jsonl or csv.");
    return false;
}

void begin_export(struct api_call *c, struct http_server_call *http)
{
    static const char *const names[] = {"filter", "format", "cap", "reason", NULL};
    struct export *x = arena_alloc(c->arena, sizeof *x);
    struct slice reason = {NULL, 0};
    struct action action;
    json_t *body;
    bool fine;

    if (!x || !api_read_query(c, http) || !(body = api_read_body(c, http, names)))
        return;
    c->more = x;
    fine = read_export(c, body, x, &reason);
    json_decref(body);
    if (!fine)
        return;
    action = api_action(c, ACTION_EXPORTED, SLICE("export"));
    action.name = x->csv ? SLICE("csv") : SLICE("jsonl");
    action.reason = reason;
    action.cap = (int32_t)x->left;
    if (!filter_to_terms(&c->filter, c->arena, &action.filter, &action.nfilter))
        api_fail(c, error_make(CLASS_INTERNAL, "out_of_memory", "No memory for the export."));
    else
        c->acting = redrives_act(c->api->redrives, &action, 1, on_recorded, c);
}
