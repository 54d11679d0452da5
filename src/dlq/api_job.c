/* Redrives: jobs that are asked for, tried, paused, resumed and cancelled, and letters that are edited first. */
#include "api_parts.h"
#include "stepmill/json.h"

struct job_request {
    struct api_selection selection;
    struct slice reason;
    int64_t cap, rate, canary;
    bool from_start;
    enum action_kind change; /* job_paused, … */
};

static struct error out_of_memory(void) { return error_make(CLASS_INTERNAL, "out_of_memory", "No memory for the redrive."); }

static void on_job(void *ctx, uint64_t ticket, struct error e)
{
    struct api_call *c = ctx;

    (void)ticket;
    c->acting = 0;
    if (!redrives_written(e))
        api_fail(c, e);
    else
        api_send_job(c, !failed(e));
}

static bool read_request(struct api_call *c, const json_t *body, struct job_request *q, bool reason)
{
    const struct config_dlq *d = &c->api->config->dlq;

    if (!api_body_text(c, body, "reason", 500, reason, &q->reason) || !api_body_int(c, body, "cap", 1, 10000000, &q->cap) ||
        !api_body_int(c, body, "rate", 1, 100000, &q->rate) || !api_body_int(c, body, "canary", 0, 1000, &q->canary) ||
        !api_body_flag(c, body, "from_start", &q->from_start) ||
        !api_body_selection(c, body, API_LETTERS | API_GROUP | API_FILTER, &q->selection))
        return false;
    q->cap = q->cap > d->redrive.cap || !q->cap ? d->redrive.cap : q->cap;
    q->rate = q->rate > d->redrive.rate || !q->rate ? d->redrive.rate : q->rate;
    return true;
}

/* ---- A new job */

static bool put_letters(struct api_call *c, const struct job_request *q, struct action *a)
{
    struct action_letter *letters = arena_alloc(c->arena, (q->selection.nletters + 1) * sizeof *letters);

    for (size_t i = 0; letters && i < q->selection.nletters; i++)
        letters[i].id = q->selection.letters[i];
    a->letters = letters;
    a->nletters = q->selection.nletters;
    return letters != NULL;
}

/* An empty filter asks for all that is unfinished: what was discarded or has completed is named to be redriven. */
void begin_redrive(struct api_call *c, struct http_server_call *http)
{
    static const char *const names[] = {"letters", "group", "filter", "reason", "cap", "rate", "canary", "from_start", NULL};
    struct job_request q = {.cap = 0};
    struct action action;
    json_t *body;
    bool fine;

    if (!api_read_query(c, http) || !(body = api_read_body(c, http, names)))
        return;
    fine = read_request(c, body, &q, true);
    json_decref(body);
    if (!fine)
        return;
    action = api_action(c, ACTION_JOB_REQUESTED, SLICE("job"));
    action.job = c->id = action.id;
    action.reason = q.reason;
    action.cap = (int32_t)q.cap;
    action.rate = (int32_t)q.rate;
    action.canary = (int32_t)q.canary;
    action.from_start = q.from_start;
    if (q.selection.kind == API_FILTER && !c->filter.statuses)
        c->filter.statuses = LETTER_UNFINISHED;
    if (q.selection.kind == API_LETTERS ? !put_letters(c, &q, &action)
                                        : !filter_to_terms(&c->filter, c->arena, &action.filter, &action.nfilter)) {
        api_fail(c, out_of_memory());
        return;
    }
    c->acting = redrives_act(c->api->redrives, &action, 1, on_job, c);
}

/* ---- Dry run */

static void on_tried(void *ctx, uint64_t ticket, struct error e, const struct dry_run *found)
{
    struct api_call *c = ctx;
    struct buf b = BUF(64 * 1024);

    (void)ticket;
    c->acting = 0;
    if (failed(e)) {
        api_fail(c, e);
        return;
    }
    put_begin(&b, '{');
    put_int(&b, "selected", found->selected);
    put_flag(&b, "more", found->more);
    put_int(&b, "eligible", found->n[REDRIVE_FINE]);
    put_name(&b, "ineligible");
    buf_put_byte(&b, '[');
    for (enum redrive_verdict v = REDRIVE_FINE + 1; v < REDRIVE_VERDICTS; v++) {
        if (!found->n[v])
            continue;
        put_begin(&b, '{');
        put_word(&b, "reason", redrive_verdict_name(v));
        put_word(&b, "text", redrive_verdict_text(v));
        put_int(&b, "n", found->n[v]);
        put_text(&b, "example", found->example[v].len ? found->example[v] : (struct slice){NULL, 0});
        buf_put_byte(&b, '}');
    }
    buf_put_text(&b, "]}");
    api_answer_json(c, 200, buf_slice(&b));
    buf_free(&b);
}

void begin_dry_run(struct api_call *c, struct http_server_call *http)
{
    static const char *const names[] = {"letters", "group", "filter", "cap", "from_start", NULL};
    struct job_request q = {.cap = 0};
    struct selection s;
    json_t *body;
    bool fine;

    if (!api_read_query(c, http) || !(body = api_read_body(c, http, names)))
        return;
    fine = read_request(c, body, &q, false);
    json_decref(body);
    if (!fine)
        return;
    if (q.selection.kind == API_FILTER && !c->filter.statuses)
        c->filter.statuses = LETTER_UNFINISHED;
    s = (struct selection){q.selection.kind == API_LETTERS ? q.selection.letters : NULL, q.selection.nletters, c->filter, q.cap};
    c->acting = redrives_dry_run(c->api->redrives, &s, on_tried, c);
}

/* ---- Pause, resume, cancel */

static bool may_change(enum action_kind kind, enum job_state state)
{
    switch (kind) {
    case ACTION_JOB_PAUSED:
        return state == JOB_REQUESTED || state == JOB_RUNNING || state == JOB_PAUSED;
    case ACTION_JOB_RESUMED:
        return state == JOB_PAUSED || state == JOB_RUNNING;
    default:
        return state != JOB_FINISHED;
    }
}

static void change_job(struct api_call *c, struct answer *a)
{
    const struct job_row *job = a->result;
    const struct job_request *q = c->more;
    struct action action;

    if (!job) {
        api_problem(c, 404, "not_found", "There is no job of this id.");
        return;
    }
    if (!c->again && !may_change(q->change, job->state)) {
        api_problem(c, 409, "wrong_state", "The job's state does not allow this.");
        return;
    }
    action = api_action(c, q->change, c->id);
    action.job = c->id;
    action.reason = q->reason;
    c->acting = redrives_act(c->api->redrives, &action, 1, on_job, c);
}

static void begin_change(struct api_call *c, struct http_server_call *http, enum action_kind kind)
{
    static const char *const names[] = {"reason", NULL};
    struct job_request *q = arena_alloc(c->arena, sizeof *q);
    json_t *body;
    bool fine;

    if (!q || !api_read_query(c, http) || !api_read_id(c, http, "id", 64) || !(body = api_read_body(c, http, names)))
        return;
    c->more = q;
    q->change = kind;
    fine = api_body_text(c, body, "reason", 500, false, &q->reason);
    json_decref(body);
    if (fine)
        api_ask(c, ASK_INDEX, api_run_job, change_job);
}

void begin_pause(struct api_call *c, struct http_server_call *http) { begin_change(c, http, ACTION_JOB_PAUSED); }
void begin_resume(struct api_call *c, struct http_server_call *http) { begin_change(c, http, ACTION_JOB_RESUMED); }
void begin_cancel(struct api_call *c, struct http_server_call *http) { begin_change(c, http, ACTION_JOB_CANCELLED); }

/* ---- Edit */

static void on_edited(void *ctx, uint64_t ticket, struct error e, const char *detail, struct slice task_id)
{
    struct api_call *c = ctx;
    bool folded = !failed(e);
    struct buf b = BUF(8192);

    (void)ticket;
    c->acting = 0;
    if (failed(e) && !strcmp(e.code, "unknown_letter")) {
        api_problem(c, 404, e.code, e.text);
        return;
    }
    if (!redrives_written(e)) {
        if ((e.class == CLASS_REJECTED || e.class == CLASS_POISON) && detail && *detail)
            api_problem(c, 422, e.code, detail);
        else
            api_fail(c, e);
        return;
    }
    put_begin(&b, '{');
    put_text(&b, "id", c->key);
    put_text(&b, "task_id", task_id.at ? task_id : SLICE(""));
    put_flag(&b, "folded", folded);
    buf_put_byte(&b, '}');
    api_answer_json(c, folded ? 200 : 202, buf_slice(&b));
    buf_free(&b);
}

/* The value as it was written: numbers and texts are not printed anew. */
static struct slice raw_value(struct slice body)
{
    struct json j = json_start(body);
    struct slice text = {NULL, 0};

    if (!json_next(&j) || j.token != JSON_TOKEN_OBJECT)
        return text;
    while (json_next(&j) && j.token == JSON_TOKEN_KEY) {
        if (!json_key_is(&j, "value")) {
            json_skip(&j);
            continue;
        }
        return json_value_text(&j, &text) ? text : (struct slice){NULL, 0};
    }
    return text;
}

void begin_edit(struct api_call *c, struct http_server_call *http)
{
    static const char *const names[] = {"value", "reason", NULL};
    struct slice reason = {NULL, 0}, value = {NULL, 0};
    struct action action;
    json_t *body;
    bool fine;

    if (!api_read_query(c, http) || !api_read_id(c, http, "id", LETTER_ID_MAX) || !(body = api_read_body(c, http, names)))
        return;
    fine = api_body_text(c, body, "reason", 500, true, &reason);
    if (fine && json_is_object(json_object_get(body, "value")))
        value = raw_value(http_server_body(http));
    json_decref(body);
    if (!fine)
        return;
    if (!value.at) {
        api_problem(c, 400, "bad_body", "Member value must be a JSON object: the whole task.");
        return;
    }
    action = api_action(c, ACTION_REDRIVEN, c->id);
    action.letter = c->id;
    action.reason = reason;
    c->acting = redrives_edit(c->api->redrives, &action, value, on_edited, c);
}
