/* Routes of the task view: running and finished tasks, and one task's steps. */
#include "api_parts.h"

enum { LETTERS_MAX = 100 };

static bool no_tasks(const struct ask_place *place, struct error *e)
{
    *e = error_make(CLASS_WAIT, "no_task_view", "The task view is off (dlq.tasks.keep is 0), or is being made.");
    return !place->tasks;
}

static void put_task(struct buf *b, const struct task_row *t, bool masked)
{
    put_begin(b, '{');
    put_text(b, "task_id", t->task_id);
    put_text(b, "session_id", t->session_id);
    put_text(b, "agent", t->agent);
    put_text(b, "parent_task_id", t->parent_task_id);
    put_text(b, "trace_id", t->trace_id);
    put_word(b, "status", task_status_name(t->status));
    put_text(b, "error", t->error);
    put_int(b, "steps", t->steps);
    put_int(b, "tool_calls", t->tool_calls);
    put_int(b, "redrives", t->redrives);
    put_int(b, "prompt_tokens", t->prompt_tokens);
    put_int(b, "completion_tokens", t->completion_tokens);
    put_time(b, "first_at", t->first_ms < 0 ? 0 : t->first_ms);
    put_time(b, "last_at", t->last_ms < 0 ? 0 : t->last_ms);
    put_int(b, "last_seq", t->last_seq);
    put_text(b, "last_kind", t->last_kind);
    put_text(b, "prompt", masked ? (struct slice){NULL, 0} : t->prompt);
    buf_put_byte(b, '}');
}

/* In US dollars, at the prices that the configuration names now; below 0: it names none. */
static double cost_of(const struct config *config, const struct task_step *s)
{
    for (size_t i = 0; s->entry.at && i < config->nmodels; i++) {
        const struct config_model *m = &config->models[i];

        if (m->price.known && slice_is(s->entry, m->name))
            return ((double)s->prompt_tokens * m->price.prompt + (double)s->completion_tokens * m->price.completion) / 1e6;
    }
    return -1;
}

static void put_cost(struct buf *b, double cost)
{
    put_name(b, "cost_usd");
    if (cost < 0)
        buf_put_text(b, "null");
    else
        buf_printf(b, "%.9g", cost);
}

static void put_step(struct buf *b, const struct task_step *s, double cost, bool masked)
{
    put_begin(b, '{');
    put_int(b, "seq", s->seq);
    put_word(b, "kind", event_kind_name(s->kind));
    put_time(b, "at", s->at_ms < 0 ? 0 : s->at_ms);
    put_text(b, "name", s->name);
    put_text(b, "outcome", s->outcome);
    put_text(b, "text", masked ? (struct slice){NULL, 0} : s->text);
    put_flag(b, "text_cut", s->text_cut);
    put_int(b, "prompt_tokens", s->prompt_tokens);
    put_int(b, "completion_tokens", s->completion_tokens);
    put_cost(b, cost);
    put_int(b, "duration_ms", s->duration_ms);
    put_int(b, "attempts", s->attempts);
    put_int(b, "calls", s->calls);
    put_text(b, "span_id", s->span_id);
    put_text(b, "topic", s->topic);
    put_int(b, "partition", s->partition);
    put_int(b, "offset", s->offset);
    buf_put_byte(b, '}');
}

static struct error run_tasks(struct ask_place *place, void *question, struct answer *a)
{
    struct api_call *c = api_asker(question);
    struct task_page page;
    struct error e;

    if (no_tasks(place, &e))
        return e;
    c->tasks.from_ms = c->from_ms;
    c->tasks.to_ms = c->to_ms;
    e = tasks_list(place->tasks, &c->tasks, c->cursor, (size_t)c->limit, a->arena, &page);
    if (failed(e))
        return e;
    buf_put_text(&a->body, "{\"items\":[");
    for (size_t i = 0; i < page.n; i++)
        put_task(&a->body, &page.rows[i], c->masked);
    buf_put_byte(&a->body, ']');
    put_next(&a->body, page.next);
    buf_put_byte(&a->body, '}');
    return e;
}

void begin_tasks(struct api_call *c, struct http_server_call *http)
{
    if (api_read_query(c, http))
        api_ask(c, ASK_INDEX, run_tasks, api_send_body);
}

static void put_steps(struct buf *b, const struct api_call *c, const struct task_steps *steps)
{
    double sum = -1;

    put_name(b, "steps");
    buf_put_byte(b, '[');
    for (size_t i = 0; i < steps->n; i++) {
        double cost = cost_of(c->api->config, &steps->at[i]);

        put_step(b, &steps->at[i], cost, c->masked);
        if (cost >= 0)
            sum = (sum < 0 ? 0 : sum) + cost;
    }
    buf_put_byte(b, ']');
    put_cost(b, sum);
}

static struct error run_task(struct ask_place *place, void *question, struct answer *a)
{
    struct api_call *c = api_asker(question);
    struct letter_filter filter = {.task_id = c->id};
    struct letter_page letters;
    struct task_steps steps;
    struct task_row task;
    struct error e;
    bool found = false;

    if (no_tasks(place, &e))
        return e;
    e = tasks_task(place->tasks, c->id, a->arena, &task, &found);
    if (failed(e) || !found)
        return e;
    e = tasks_steps(place->tasks, c->id, a->arena, &steps);
    if (!failed(e))
        e = store_letters(place->store, &filter, STORE_NEWEST_FIRST, 0, LETTERS_MAX, a->arena, &letters);
    if (failed(e))
        return e;
    buf_put_text(&a->body, "{\"task\":");
    put_task(&a->body, &task, c->masked);
    put_steps(&a->body, c, &steps);
    put_name(&a->body, "letters");
    buf_put_byte(&a->body, '[');
    for (size_t i = 0; i < letters.n; i++)
        put_letter(&a->body, &letters.rows[i]);
    buf_put_byte(&a->body, ']');
    put_trace_url(&a->body, c->api, task.trace_id);
    buf_put_byte(&a->body, '}');
    return e;
}

void begin_task(struct api_call *c, struct http_server_call *http)
{
    if (api_read_query(c, http) && api_read_id(c, http, "task_id", 128))
        api_ask(c, ASK_INDEX, run_task, api_send_body);
}
