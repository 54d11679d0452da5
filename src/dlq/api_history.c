/* Routes that show what was done: actions, redrive jobs, and the letters of a job. */
#include "api_parts.h"
#include "stepmill/json.h"

enum { BODY_ARENA = 16 * 1024 * 1024 };

static struct error out_of_memory(void) { return error_make(CLASS_INTERNAL, "out_of_memory", "No memory for the answer."); }

/* ---- What an action says */

static void put_some(struct buf *b, const char *name, struct slice s)
{
    if (s.len)
        put_text(b, name, s);
}

static void put_terms(struct buf *b, const struct action *x)
{
    put_name(b, "filter");
    buf_put_byte(b, '{');
    for (size_t i = 0; i < x->nfilter; i++) {
        bool again = false; /* status occurs several times: the first lists them all */

        for (size_t k = 0; k < i; k++)
            again = again || slice_equal(x->filter[k].name, x->filter[i].name);
        if (again)
            continue;
        if (b->at[b->len - 1] != '{')
            buf_put_byte(b, ',');
        json_put_string(b, x->filter[i].name);
        buf_put_byte(b, ':');
        if (!slice_is(x->filter[i].name, "status")) {
            json_put_string(b, x->filter[i].value);
            continue;
        }
        buf_put_byte(b, '[');
        for (size_t k = i; k < x->nfilter; k++)
            if (slice_is(x->filter[k].name, "status")) {
                if (k > i)
                    buf_put_byte(b, ',');
                json_put_string(b, x->filter[k].value);
            }
        buf_put_byte(b, ']');
    }
    buf_put_byte(b, '}');
}

static void put_counts(struct buf *b, const struct action *x)
{
    put_name(b, "counts");
    buf_put_byte(b, '[');
    for (size_t i = 0; i < x->ncounts; i++) {
        put_begin(b, '{');
        put_text(b, "name", x->counts[i].name);
        put_int(b, "n", x->counts[i].n);
        buf_put_byte(b, '}');
    }
    buf_put_byte(b, ']');
}

/* Members that say something; those of every action are beside it. */
static void put_action(struct buf *b, const struct action *x)
{
    buf_put_byte(b, '{');
    put_some(b, "request", x->request);
    put_some(b, "name", x->name);
    put_some(b, "detail", x->detail);
    if (x->due_at_ms >= 0)
        put_time(b, "due_at", x->due_at_ms);
    if (x->nletters)
        put_int(b, "letters", (int64_t)x->nletters);
    if (x->last)
        put_flag(b, "last", true);
    if (x->nfilter)
        put_terms(b, x);
    if (x->ncounts)
        put_counts(b, x);
    if (x->cap)
        put_int(b, "cap", x->cap);
    if (x->rate)
        put_int(b, "rate", x->rate);
    if (x->canary)
        put_int(b, "canary", x->canary);
    if (x->from_start)
        put_flag(b, "from_start", true);
    if (x->redrives)
        put_int(b, "redrives", x->redrives);
    put_some(b, "topic", x->topic);
    put_some(b, "task_id", x->task_id);
    if (x->edited)
        put_flag(b, "edited", true);
    buf_put_byte(b, '}');
}

/* "detail": the record as JSON, or null. False: the call waits for the schema and will be asked again. */
static bool put_detail(struct api_call *c, struct buf *b, struct slice body, uint32_t schema_id)
{
    const struct avro_plan *plan = NULL;
    struct error e = body.at ? registry_plan(c->api->registry, schema_id, &action_reader, &plan, NULL) : out_of_memory();
    struct arena *arena = NULL;
    struct action action;

    if (failed(e) && e.class == CLASS_WAIT && api_wait_schema(c, schema_id))
        return false;
    put_name(b, "detail");
    if (!failed(e))
        arena = arena_new(BODY_ARENA);
    if (arena && !failed(action_read(plan, body, arena, &action, NULL)))
        put_action(b, &action);
    else
        buf_put_text(b, "null");
    arena_free(arena);
    return true;
}

/* ---- Actions */

static struct error run_actions(struct ask_place *place, void *question, struct answer *a)
{
    struct api_call *c = api_asker(question);
    struct action_page *page = arena_alloc(a->arena, sizeof *page);

    c->actions.from_ms = c->from_ms;
    c->actions.to_ms = c->to_ms;
    a->result = page;
    if (!page)
        return out_of_memory();
    return store_actions(place->store, &c->actions, c->order, c->cursor, (size_t)c->limit, a->arena, page);
}

static bool put_action_row(struct api_call *c, struct buf *b, const struct action_row *row)
{
    put_begin(b, '{');
    put_text(b, "id", row->id);
    put_text(b, "kind", row->kind);
    put_time(b, "at", row->at_ms < 0 ? 0 : row->at_ms);
    put_text(b, "actor", row->actor.at ? row->actor : SLICE(""));
    put_word(b, "actor_kind",
             slice_is(row->actor_kind, "user")    ? "user"
             : slice_is(row->actor_kind, "token") ? "token"
                                                  : "system");
    put_text(b, "reason", row->reason.len ? row->reason : (struct slice){NULL, 0});
    put_text(b, "letter", row->letter);
    put_text(b, "group", row->group);
    put_text(b, "job", row->job);
    if (!put_detail(c, b, row->body, row->schema_id))
        return false;
    buf_put_byte(b, '}');
    return true;
}

static void send_actions(struct api_call *c, struct answer *a)
{
    const struct action_page *page = a->result;
    struct buf b = BUF(API_JSON_MAX);
    bool whole = true;

    buf_put_text(&b, "{\"items\":[");
    for (size_t i = 0; i < page->n && whole; i++)
        whole = put_action_row(c, &b, &page->rows[i]);
    buf_put_byte(&b, ']');
    put_next(&b, page->next);
    buf_put_byte(&b, '}');
    if (whole && b.failed)
        api_fail(c, out_of_memory());
    else if (whole)
        api_answer_json(c, 200, buf_slice(&b));
    buf_free(&b);
}

void begin_actions(struct api_call *c, struct http_server_call *http)
{
    if (api_read_query(c, http))
        api_ask(c, ASK_INDEX, run_actions, send_actions);
}

/* ---- Jobs */

static bool put_job(struct api_call *c, struct buf *b, const struct job_row *job)
{
    put_begin(b, '{');
    put_text(b, "id", job->id);
    put_word(b, "state", job_state_name(job->state));
    put_time(b, "requested_at", job->requested_at_ms < 0 ? 0 : job->requested_at_ms);
    put_time(b, "ended_at", job->ended_at_ms);
    put_text(b, "actor", job->actor.at ? job->actor : SLICE(""));
    put_text(b, "reason", job->reason.len ? job->reason : (struct slice){NULL, 0});
    put_int(b, "selected", job->selected);
    put_flag(b, "selected_all", job->selected_all);
    put_int(b, "sent", job->sent);
    put_int(b, "completed", job->completed);
    put_int(b, "failed_again", job->failed_again);
    if (!put_detail(c, b, job->body, job->schema_id))
        return false;
    buf_put_byte(b, '}');
    return true;
}

static struct error run_jobs(struct ask_place *place, void *question, struct answer *a)
{
    struct api_call *c = api_asker(question);
    struct job_page *page = arena_alloc(a->arena, sizeof *page);

    a->result = page;
    return page ? store_jobs(place->store, c->flag, c->cursor, (size_t)c->limit, a->arena, page) : out_of_memory();
}

static void send_jobs(struct api_call *c, struct answer *a)
{
    const struct job_page *page = a->result;
    struct buf b = BUF(API_JSON_MAX);
    bool whole = true;

    buf_put_text(&b, "{\"items\":[");
    for (size_t i = 0; i < page->n && whole; i++)
        whole = put_job(c, &b, &page->rows[i]);
    buf_put_byte(&b, ']');
    put_next(&b, page->next);
    buf_put_byte(&b, '}');
    if (whole)
        api_answer_json(c, 200, buf_slice(&b));
    buf_free(&b);
}

void begin_jobs(struct api_call *c, struct http_server_call *http)
{
    if (api_read_query(c, http))
        api_ask(c, ASK_INDEX, run_jobs, send_jobs);
}

struct error api_run_job(struct ask_place *place, void *question, struct answer *a)
{
    struct job_row *job = arena_alloc(a->arena, sizeof *job);
    bool found = false;
    struct error e = job ? store_job(place->store, api_asker(question)->id, a->arena, job, &found) : out_of_memory();

    a->result = found ? job : NULL;
    return e;
}

static void send_job(struct api_call *c, struct answer *a)
{
    struct buf b = BUF(API_JSON_MAX);

    if (!a->result)
        api_problem(c, 404, "not_found", "There is no job of this id.");
    else if (put_job(c, &b, a->result))
        api_answer_json(c, 200, buf_slice(&b));
    buf_free(&b);
}

void begin_job(struct api_call *c, struct http_server_call *http)
{
    if (api_read_query(c, http) && api_read_id(c, http, "id", 64))
        api_ask(c, ASK_INDEX, api_run_job, send_job);
}

/* The answer of what changes a job: 200 with the job as the index has it, 202 without. */
static void send_changed(struct api_call *c, struct answer *a)
{
    struct buf b = BUF(API_JSON_MAX);
    bool whole = true;

    buf_put_byte(&b, '{');
    put_text(&b, "id", c->id);
    put_flag(&b, "folded", true);
    put_name(&b, "job");
    if (a->result)
        whole = put_job(c, &b, a->result);
    else
        buf_put_text(&b, "null");
    buf_put_byte(&b, '}');
    if (whole)
        api_answer_json(c, 200, buf_slice(&b));
    buf_free(&b);
}

void api_send_job(struct api_call *c, bool folded)
{
    struct buf b = BUF(1024);

    if (folded) {
        c->began_ms = 0; /* no long wait for a schema: the job stands */
        api_ask(c, ASK_INDEX, api_run_job, send_changed);
        return;
    }
    buf_put_byte(&b, '{');
    put_text(&b, "id", c->id);
    put_flag(&b, "folded", false);
    put_word(&b, "job", NULL);
    buf_put_byte(&b, '}');
    api_answer_json(c, 202, buf_slice(&b));
    buf_free(&b);
}

static struct error run_job_letters(struct ask_place *place, void *question, struct answer *a)
{
    struct api_call *c = api_asker(question);
    struct job_letters letters;
    struct error e = api_run_job(place, question, a);

    if (failed(e) || !a->result)
        return e;
    e = store_job_letters(place->store, c->id, c->flag, c->cursor, (size_t)c->limit, a->arena, &letters);
    if (failed(e))
        return e;
    buf_put_text(&a->body, "{\"items\":[");
    for (size_t i = 0; i < letters.n; i++) {
        if (i)
            buf_put_byte(&a->body, ',');
        json_put_string(&a->body, letters.ids[i]);
    }
    buf_put_byte(&a->body, ']');
    put_next(&a->body, letters.next);
    buf_put_byte(&a->body, '}');
    return e;
}

void begin_job_letters(struct api_call *c, struct http_server_call *http)
{
    if (api_read_query(c, http) && api_read_id(c, http, "id", 64))
        api_ask(c, ASK_INDEX, run_job_letters, api_send_body);
}
