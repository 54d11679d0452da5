/* Questions of API calls to the index, and the wait for a schema that an answer needs. */
#include "api_parts.h"
#include "stepmill/clock.h"

enum { SCHEMA_MS = 2800, TRIES = 4 };

static void on_answer(void *ctx, uint64_t ticket, void *question, struct answer *a)
{
    struct api_call *c = api_asker(question);

    (void)ctx, (void)ticket;
    c->asking = false;
    if (!http_server_held(c->api->server, c->http)) {
        api_end(c);
        return;
    }
    if (failed(a->error))
        api_fail(c, a->error);
    else
        c->done(c, a);
}

void api_ask(struct api_call *c, enum ask_lane lane, ask_run *run, void (*done)(struct api_call *c, struct answer *a))
{
    c->asking = true;
    c->lane = lane;
    c->run = run;
    c->done = done;
    (void)ask(c->api->asks, lane, run, on_answer, c->api, &c, sizeof c);
}

void api_send_body(struct api_call *c, struct answer *a)
{
    if (a->body.failed)
        api_problem(c, 503, "answer_too_large", "The answer is too large: ask for fewer rows (limit).");
    else if (!a->body.len)
        api_problem(c, 404, "not_found", "There is none of this name.");
    else
        api_answer_json(c, 200, buf_slice(&a->body));
}

static void ask_again(struct api_call *c)
{
    if (c->waiter)
        registry_cancel(c->api->registry, c->waiter);
    c->waiter = 0;
    loop_timer_cancel(&c->patience);
    api_ask(c, c->lane, c->run, c->done);
}

static void on_schema(void *ctx, struct ticket ticket, uint32_t id)
{
    struct api *api = ctx;

    (void)id;
    for (struct list_node *n = api->calls.first; n; n = n->next) {
        struct api_call *c = list_entry(n, struct api_call, node);

        if (c->number != ticket.task || !c->waiter)
            continue;
        c->waiter = 0;
        ask_again(c);
        return;
    }
}

static void on_patience(void *ctx) { ask_again(ctx); }

bool api_wait_schema(struct api_call *c, uint32_t schema_id)
{
    int64_t left = c->began_ms + SCHEMA_MS - clock_mono_ms();

    if (left <= 0 || ++c->tries >= TRIES)
        return false;
    c->waiter = registry_wait(c->api->registry, schema_id, (struct ticket){.task = c->number}, on_schema, c->api);
    if (!c->waiter)
        return false;
    loop_timer_init(&c->patience, c->api->loop, on_patience, c);
    loop_timer_set(&c->patience, left);
    return true;
}
