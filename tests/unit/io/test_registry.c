/* The schema registry: one request per id, waiters, outages, refusals, ids of our own, and what a wrong server says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "stepmill/event_codec.h"
#include "stepmill/http_server.h"
#include "stepmill/json.h"
#include "stepmill/registry_admin.h"
#include "stepmill/task_codec.h"

/* A registry of a few lines: counts what is asked, answers by id. */
struct world {
    struct loop *loop;
    struct http_client *client;
    struct http_server *server;
    struct registry *registry;
    struct log log;
    int asked, told; /* requests, and waiters that were told, so far */
    int broken;      /* that many answers are 500 first */
    bool registered; /* our own schemas */
    uint32_t told_id;
    char authorization[128];
};

enum { ID_TASK = 7, ID_REFERENCES, ID_PROTOBUF, ID_NO_SCHEMA, ID_PROXY, ID_LARGE, ID_UNKNOWN = 404, ID_MANY = 10000 };

static void answer(struct http_server_call *call, int status, const char *json)
{
    http_server_answer(call, status, "application/vnd.schemaregistry.v1+json", slice_of(json));
}

static void answer_schema(struct http_server_call *call, struct slice text, const char *more)
{
    struct buf body = BUF(16 << 20);

    buf_put_text(&body, "{\"schema\":");
    json_put_string(&body, text);
    buf_printf(&body, "%s%*s}", more, text.len ? 0 : 10 << 20, ""); /* with no text it is 10 MB of blanks */
    answer(call, 200, buf_text(&body));
    buf_free(&body);
}

static void by_id(void *ctx, struct http_server_call *call)
{
    struct world *w = ctx;
    struct slice path = http_server_path(call),
                 number = {path.at + sizeof "/base/schemas/ids", path.len - sizeof "/base/schemas/ids"};
    int64_t id = 0;

    w->asked++;
    snprintf(w->authorization, sizeof w->authorization, "%.*s", SLICE_FMT(http_server_header(call, "Authorization")));
    assert_true(slice_to_int(number, 0, UINT32_MAX, &id));
    if (w->broken-- > 0)
        answer(call, 500, "{\"error_code\":50001,\"message\":\"Error in the backend\"}");
    else if (id == ID_TASK || id >= ID_MANY)
        answer_schema(call, own_schema_text(OWN_TASK), "");
    else if (id == ID_REFERENCES)
        answer_schema(call, own_schema_text(OWN_TASK), ",\"references\":[{\"name\":\"x\",\"subject\":\"y\",\"version\":1}]");
    else if (id == ID_PROTOBUF)
        answer_schema(call, SLICE("syntax = proto3"), ",\"schemaType\":\"PROTOBUF\"");
    else if (id == ID_NO_SCHEMA)
        answer_schema(call, SLICE("{\"type\":\"record\"}"), "");
    else if (id == ID_LARGE)
        answer_schema(call, SLICE(""), "");
    else if (id == ID_PROXY)
        answer(call, 404, "{\"title\":\"Could not find resource\",\"status\":404}");
    else
        answer(call, 404, "{\"error_code\":40403,\"message\":\"Schema not found\"}");
}

static void by_subject(void *ctx, struct http_server_call *call)
{
    struct world *w = ctx;

    w->asked++;
    if (!w->registered)
        answer(call, 404, "{\"error_code\":40401,\"message\":\"Subject not found\"}");
    else
        answer(call, 200, "{\"subject\":\"agent.results-value\",\"id\":42,\"version\":1}");
}

static struct world *world_new(const struct config_registry *config)
{
    struct world *w = calloc(1, sizeof *w);
    struct config_registry c = config ? *config : (struct config_registry){0};
    const struct http_server_route routes[] = {{"GET", "/base/schemas/ids/*", by_id, w},
                                               {"POST", "/base/subjects/*", by_subject, w}};
    const struct http_server_options options = {.listen = "127.0.0.1:0", .routes = routes, .route_count = 2};
    char url[64];

    assert_non_null(w);
    w->log = (struct log){.level = LOG_LEVEL_ERROR, .fd = 2};
    w->loop = loop_new();
    assert_non_null(w->loop);
    assert_false(failed(http_server_new(w->loop, &w->log, &options, &w->server)));
    assert_false(failed(http_client_new(w->loop, &w->log, &(struct http_client_options){0}, &w->client)));
    snprintf(url, sizeof url, "http://127.0.0.1:%u/base", http_server_port(w->server));
    c.url = url;
    if (!c.timeout_ms)
        c.timeout_ms = 2000;
    assert_false(failed(registry_new(&(struct registry_options){w->loop, w->client, &w->log, &c, SCHEMA_LIMITS}, &w->registry)));
    return w;
}

static void world_free(struct world *w)
{
    registry_free(w->registry);
    http_client_free(w->client);
    http_server_free(w->server);
    loop_free(w->loop);
    free(w);
}

static void on_schema(void *ctx, struct ticket ticket, uint32_t id)
{
    struct world *w = ctx;

    assert_int_equal(ticket.task, 5);
    w->told++;
    w->told_id = id;
}

static uint64_t wait_for(struct world *w, uint32_t id)
{
    return registry_wait(w->registry, id, (struct ticket){5, 1}, on_schema, w);
}

/* Turns until so many waiters were told; fails after 60 s. */
static void turn_until_told(struct world *w, int told)
{
    int64_t until = loop_now_ms(w->loop) + 60000;

    while (w->told < told && loop_now_ms(w->loop) < until)
        loop_turn(w->loop, true);
    assert_int_equal(w->told, told);
}

static void turn_for(struct world *w, int64_t ms)
{
    int64_t until = loop_now_ms(w->loop) + ms;

    while (loop_now_ms(w->loop) < until)
        loop_turn(w->loop, false);
}

static struct error plan(struct world *w, uint32_t id, const struct avro_record *reader)
{
    const struct avro_plan *p;
    struct detail detail;
    struct error error = registry_plan(w->registry, id, reader, &p, &detail);

    assert_int_equal(failed(error), p == NULL);
    assert_true(!failed(error) || error.class == CLASS_WAIT || detail.text[0]);
    return error;
}

static void assert_error(struct error e, enum error_class class, const char *code)
{
    assert_int_equal(e.class, class);
    assert_string_equal(e.code, code);
}

static void many_wait_for_one_request(void **state)
{
    struct world *w = world_new(NULL);

    (void)state;
    assert_error(plan(w, ID_TASK, &task_reader), CLASS_WAIT, "schema_pending");
    for (int i = 0; i < 100; i++)
        assert_true(wait_for(w, ID_TASK) != 0);
    assert_int_equal(w->told, 0);
    assert_int_equal(registry_state(w->registry).waiting, 100);
    turn_until_told(w, 100);
    assert_int_equal(w->told_id, ID_TASK);
    assert_int_equal(w->asked, 1);
    assert_int_equal(registry_state(w->registry).waiting, 0);
    assert_false(failed(plan(w, ID_TASK, &task_reader)));
    assert_false(failed(plan(w, ID_TASK, &event_reader)));
    wait_for(w, ID_TASK); /* for what is there: told too, but from the loop */
    assert_int_equal(w->told, 100);
    turn_until_told(w, 101);
    assert_int_equal(w->asked, 1);
    world_free(w);
}

static void who_cancels_is_not_told(void **state)
{
    struct world *w = world_new(NULL);
    uint64_t first = wait_for(w, ID_TASK);

    (void)state;
    wait_for(w, ID_TASK);
    registry_cancel(w->registry, first);
    registry_cancel(w->registry, first);
    turn_until_told(w, 1);
    turn_for(w, 20);
    assert_int_equal(w->told, 1);
    world_free(w);
}

static void what_can_never_be_read_is_poison(void **state)
{
    struct world *w = world_new(NULL);
    static const struct {
        uint32_t id;
        const char *code;
    } cases[] = {{ID_UNKNOWN, "unknown_schema"},
                 {ID_REFERENCES, "hostile_schema"},
                 {ID_PROTOBUF, "hostile_schema"},
                 {ID_LARGE, "hostile_schema"},
                 {ID_NO_SCHEMA, "hostile_schema"}};

    (void)state;
    for (int i = 0; i < 5; i++) {
        wait_for(w, cases[i].id);
        turn_until_told(w, i + 1);
        assert_error(plan(w, cases[i].id, &task_reader), CLASS_POISON, cases[i].code);
        assert_error(plan(w, cases[i].id, &event_reader), CLASS_POISON, cases[i].code);
    }
    assert_int_equal(w->asked, 5); /* a refusal is remembered for a while */
    world_free(w);
}

/* Turns until the registry's trouble has this code; fails after 60 s. */
static void turn_until_trouble(struct world *w, const char *code)
{
    int64_t until = loop_now_ms(w->loop) + 60000;

    while (!slice_is(slice_of(registry_state(w->registry).error.code), code) && loop_now_ms(w->loop) < until)
        loop_turn(w->loop, true);
    assert_error(registry_state(w->registry).error, CLASS_WAIT, code);
}

/* A 404 that is not the registry's own word (wrong url, proxy) must never empty a topic into the dead letters. */
static void a_404_of_somebody_else_is_an_outage(void **state)
{
    struct world *w = world_new(NULL);

    (void)state;
    wait_for(w, ID_PROXY);
    turn_until_trouble(w, "registry_failed");
    assert_int_equal(w->told, 0);
    assert_error(plan(w, ID_PROXY, &task_reader), CLASS_WAIT, "schema_pending");
    world_free(w);
}

static void an_outage_is_waited_out(void **state)
{
    struct world *w = world_new(NULL);

    (void)state;
    w->broken = 1;
    wait_for(w, ID_TASK);
    turn_until_trouble(w, "registry_failed");
    assert_non_null(strstr(registry_state(w->registry).detail, "Error in the backend"));
    turn_until_told(w, 1);
    assert_int_equal(w->asked, 2);
    assert_false(failed(plan(w, ID_TASK, &task_reader)));
    assert_false(failed(registry_state(w->registry).error));
    world_free(w);
}

static void our_own_ids_are_asked_until_they_are_known(void **state)
{
    struct world *w = world_new(NULL);
    uint32_t id = 0;

    (void)state;
    assert_false(failed(registry_want(w->registry, "agent.results-value", OWN_RESULT)));
    assert_false(failed(registry_want(w->registry, "agent.results-value", OWN_RESULT)));
    turn_for(w, 100);
    assert_false(registry_id(w->registry, "agent.results-value", &id));
    assert_false(registry_state(w->registry).ready);
    assert_error(registry_state(w->registry).error, CLASS_CONFIG, "schema_not_registered");
    w->registered = true;
    turn_for(w, 2500);
    assert_true(registry_id(w->registry, "agent.results-value", &id));
    assert_int_equal(id, 42);
    assert_true(registry_state(w->registry).ready);
    world_free(w);
}

static void credentials_are_sent(void **state)
{
    struct config_registry basic = {.username = "Aladdin", .password = {.value = "open sesame"}};
    struct config_registry both = {
        .username = "a", .password = {.value = "b"}, .token = {.value = "c"}, .url = "http://127.0.0.1:1"};
    struct config_registry bearer = {.token = {.value = "abc.def"}};
    struct world *w = world_new(&basic);
    struct registry *none;

    (void)state;
    wait_for(w, ID_TASK);
    turn_until_told(w, 1);
    assert_string_equal(w->authorization, "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="); /* RFC 7617 §2 */
    assert_error(registry_new(&(struct registry_options){w->loop, w->client, &w->log, &both, SCHEMA_LIMITS}, &none), CLASS_CONFIG,
                 "registry_credentials");
    world_free(w);
    w = world_new(&bearer);
    wait_for(w, ID_TASK);
    turn_until_told(w, 1);
    assert_string_equal(w->authorization, "Bearer abc.def");
    world_free(w);
}

/* While a waiter is told, it asks for so many others that old schemas must go: not the one it is told about. */
static void ask_many(void *ctx, struct ticket ticket, uint32_t id)
{
    struct world *w = ctx;

    (void)ticket;
    w->told++;
    assert_false(failed(plan(w, id, &task_reader)));
    if (id != ID_TASK)
        return;
    for (uint32_t i = 0; i < REGISTRY_SCHEMAS_MAX + 50; i++)
        registry_wait(w->registry, ID_MANY + i, (struct ticket){5, 1}, ask_many, w);
}

static void schemas_held_are_bounded(void **state)
{
    struct world *w = world_new(NULL);

    (void)state;
    registry_wait(w->registry, ID_TASK, (struct ticket){5, 1}, ask_many, w);
    turn_until_told(w, REGISTRY_SCHEMAS_MAX + 51);
    for (uint32_t i = 0; i < 100; i++)
        wait_for(w, ID_MANY + 5000 + i);
    turn_until_told(w, REGISTRY_SCHEMAS_MAX + 151);
    assert_in_range(registry_state(w->registry).schemas, 900, REGISTRY_SCHEMAS_MAX + 51);
    assert_false(failed(plan(w, ID_MANY + 5099, &task_reader)));
    world_free(w);
}

static void commands_do_not_wait_for_ever(void **state)
{
    struct world *w = world_new(NULL);
    const struct schema *schema;
    struct detail detail;
    uint32_t id;

    (void)state;
    assert_false(failed(registry_fetch(w->registry, ID_TASK, 5000, &schema, &detail)));
    assert_non_null(schema);
    assert_error(registry_fetch(w->registry, ID_UNKNOWN, 5000, &schema, &detail), CLASS_POISON, "unknown_schema");
    assert_error(registry_fetch(w->registry, ID_PROXY, 300, &schema, &detail), CLASS_AGAIN, "timeout");
    assert_error(registry_lookup(w->registry, "agent.results-value", own_schema_text(OWN_RESULT), &id, &detail), CLASS_CONFIG,
                 "schema_not_registered");
    w->registered = true;
    assert_false(failed(registry_lookup(w->registry, "agent.results-value", own_schema_text(OWN_RESULT), &id, &detail)));
    assert_int_equal(id, 42);
    world_free(w);
}

static void turned(void *ctx) { fail_msg("the loop turned: %p", ctx); }

/* Nobody is called while it goes: of its owner's parts some are gone already. */
static void it_can_go_while_requests_are_under_way(void **state)
{
    struct world *w = world_new(NULL);
    struct loop_timer timer;

    (void)state;
    assert_false(failed(registry_want(w->registry, "x-value", OWN_EVENT)));
    wait_for(w, ID_PROXY);
    loop_turn(w->loop, false);
    loop_timer_init(&timer, w->loop, turned, w);
    loop_timer_set(&timer, 0);
    registry_free(w->registry);
    w->registry = NULL;
    loop_timer_cancel(&timer);
    while (http_client_stats(w->client).running)
        loop_turn(w->loop, true);
    assert_int_equal(w->told, 0);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_wait_for_one_request),
        cmocka_unit_test(who_cancels_is_not_told),
        cmocka_unit_test(what_can_never_be_read_is_poison),
        cmocka_unit_test(a_404_of_somebody_else_is_an_outage),
        cmocka_unit_test(an_outage_is_waited_out),
        cmocka_unit_test(our_own_ids_are_asked_until_they_are_known),
        cmocka_unit_test(credentials_are_sent),
        cmocka_unit_test(schemas_held_are_bounded),
        cmocka_unit_test(commands_do_not_wait_for_ever),
        cmocka_unit_test(it_can_go_while_requests_are_under_way),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
