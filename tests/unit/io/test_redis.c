/* redis: every call is answered exactly once, whatever happens to the server; and what each trouble is called. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "helper_redis.h"
#include "stepmill/clock.h"
#include "stepmill/redis.h"

enum { CALLS = 20000 };

struct world {
    struct redis_server server;
    struct loop *loop;
    struct redis *redis;
    bool inside;          /* a call is being made: no callback may run now */
    uint8_t told[CALLS];  /* callbacks, by ticket */
    size_t answers, good; /* how many in all, and without error */
    char code[64];        /* of the last error */
    char text[256];       /* of the last answer or error */
    int64_t integer;
    uint64_t last;
    bool in_order;
    int ups, downs;
    char why[64];
};

static const struct log quiet = {.level = LOG_LEVEL_ERROR + 1, .fd = 2, .role = "test"};

static void on_answer(void *ctx, struct ticket ticket, const struct redis_answer *a)
{
    struct world *w = ctx;
    struct slice text = a->value && redis_kind(a->value) == REDIS_TEXT ? redis_text(a->value) : a->detail;

    assert_false(w->inside);
    assert_true(ticket.task < CALLS);
    w->told[ticket.task]++;
    w->answers++;
    w->good += !failed(a->error);
    w->in_order = w->in_order && (w->answers == 1 || ticket.task == w->last + 1);
    w->last = ticket.task;
    snprintf(w->code, sizeof w->code, "%s", failed(a->error) ? a->error.code : "");
    snprintf(w->text, sizeof w->text, "%.*s", text.len < 200 ? (int)text.len : 200, text.at ? text.at : "");
    w->integer = a->value ? redis_integer(a->value) : -1;
    if (failed(a->error)) {
        assert_int_equal(a->error.class, CLASS_WAIT);
        assert_null(a->value);
    }
}

static void on_state(void *ctx, bool up, struct error why)
{
    struct world *w = ctx;

    assert_int_equal(up, !failed(why));
    *(up ? &w->ups : &w->downs) += 1;
    snprintf(w->why, sizeof w->why, "%s", up ? "" : why.code);
}

static void call(struct world *w, uint64_t number, const struct slice *args, size_t n)
{
    w->inside = true;
    redis_call(w->redis, (struct ticket){number, 0}, on_answer, w, args, n);
    w->inside = false;
}

#define CALL(w, number, ...)                                                                                                     \
    call(w, number, (const struct slice[]){__VA_ARGS__}, sizeof((const struct slice[]){__VA_ARGS__}) / sizeof(struct slice))

static void forget(struct world *w)
{
    memset(w->told, 0, sizeof w->told);
    w->answers = w->good = 0;
    w->in_order = true;
}

static bool is_up(void *w) { return redis_is_up(((struct world *)w)->redis); }

struct expected {
    struct world *w;
    size_t answers;
    const char *why;
};

static bool has_answers(void *ctx) { return ((struct expected *)ctx)->w->answers >= ((struct expected *)ctx)->answers; }
static bool says_why(void *ctx) { return !strcmp(((struct expected *)ctx)->w->why, ((struct expected *)ctx)->why); }

static bool wait_answers(struct world *w, size_t n)
{
    return turn_until(w->loop, has_answers, &(struct expected){w, n, NULL}, 60);
}
static bool wait_why(struct world *w, const char *why)
{
    return turn_until(w->loop, says_why, &(struct expected){w, 0, why}, 60);
}
static bool wait_up(struct world *w) { return turn_until(w->loop, is_up, w, 60); }

/* Every one of the first n tickets was answered once. */
static void assert_each_once(const struct world *w, size_t n)
{
    assert_int_equal(w->answers, n);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(w->told[i], 1);
}

static void open_client(struct world *w, struct redis_options o)
{
    char url[64];
    struct error error;

    snprintf(url, sizeof url, "redis://127.0.0.1:%u", w->server.port);
    if (!o.url)
        o.url = url;
    o.on_state = on_state;
    o.ctx = w;
    forget(w);
    w->ups = w->downs = 0;
    w->why[0] = '\0';
    error = redis_new(w->loop, &quiet, &o, &w->redis);
    assert_false(failed(error));
}

static struct world *begin(const char *const *more)
{
    struct world *w = calloc(1, sizeof *w);

    redis_server_prepare(&w->server);
    redis_server_start(&w->server, more);
    w->loop = loop_new();
    return w;
}

static struct world *begin_up(const char *const *more, struct redis_options o)
{
    struct world *w = begin(more);

    open_client(w, o);
    assert_true(wait_up(w));
    return w;
}

static void end(struct world *w)
{
    redis_free(w->redis);
    turn_for(w->loop, 20);
    loop_free(w->loop);
    redis_server_end(&w->server);
    free(w);
}

static void ten_thousand_calls_in_order(void **state)
{
    struct world *w = begin_up(NULL, (struct redis_options){.call_timeout_ms = 20000});
    int64_t began = clock_mono_us();

    (void)state;
    for (uint64_t i = 0; i < 10000; i++)
        CALL(w, i, SLICE("INCR"), SLICE("n"));
    assert_int_equal(w->answers, 0);
    assert_true(wait_answers(w, 10000));
    printf("         10,000 pipelined calls: %.1f us each\n", (double)(clock_mono_us() - began) / 10000);
    assert_each_once(w, 10000);
    assert_true(w->in_order);
    assert_int_equal(w->good, 10000);
    assert_int_equal(w->integer, 10000);
    assert_int_equal(redis_stats(w->redis).in_flight_bytes, 0);
    assert_true(strlen(redis_info(w->redis)->version) > 2);
    assert_string_equal(redis_info(w->redis)->maxmemory_policy, "noeviction");
    assert_string_equal(redis_info(w->redis)->appendonly, "no");
    assert_string_equal(redis_info(w->redis)->appendfsync, "everysec");
    end(w);
}

static void binary_arguments_and_answers(void **state)
{
    struct world *w = begin_up(NULL, (struct redis_options){0});
    struct slice odd = {"a\0\r\n$b", 6};

    (void)state;
    CALL(w, 0, SLICE("SET"), odd, odd);
    CALL(w, 1, SLICE("STRLEN"), odd);
    assert_true(wait_answers(w, 2));
    assert_int_equal(w->integer, 6);
    CALL(w, 2, SLICE("GET"), SLICE("nothing"));
    assert_true(wait_answers(w, 3));
    assert_int_equal(w->good, 3);
    end(w);
}

static void a_lost_connection_answers_all_and_comes_back(void **state)
{
    struct world *w = begin_up(NULL, (struct redis_options){0});

    (void)state;
    kill(w->server.pid, SIGSTOP);
    for (uint64_t i = 0; i < 500; i++)
        CALL(w, i, SLICE("INCR"), SLICE("n"));
    turn_for(w->loop, 50);
    assert_int_equal(w->answers, 0);
    redis_server_kill(&w->server);
    assert_true(wait_answers(w, 500));
    assert_each_once(w, 500);
    assert_string_equal(w->code, "redis_lost");
    assert_true(wait_why(w, "redis_unreachable"));
    CALL(w, 500, SLICE("PING"));
    assert_int_equal(w->answers, 500);
    assert_true(wait_answers(w, 501));
    assert_string_equal(w->code, "redis_down");
    redis_server_start(&w->server, NULL);
    assert_true(wait_up(w));
    CALL(w, 501, SLICE("PING"));
    assert_true(wait_answers(w, 502));
    assert_string_equal(w->text, "PONG");
    assert_int_equal(w->ups, 2);
    end(w);
}

static void the_deadline_ends_a_silent_connection(void **state)
{
    struct world *w = begin_up(NULL, (struct redis_options){.call_timeout_ms = 300});
    int64_t began = clock_mono_ms();

    (void)state;
    kill(w->server.pid, SIGSTOP);
    CALL(w, 0, SLICE("PING"));
    assert_true(wait_answers(w, 1));
    assert_string_equal(w->code, "redis_timeout");
    assert_true(clock_mono_ms() - began >= 300);
    assert_true(clock_mono_ms() - began < 5000);
    assert_false(redis_is_up(w->redis));
    assert_string_equal(w->why, "redis_timeout");
    assert_int_equal(redis_stats(w->redis).timeouts, 1);
    kill(w->server.pid, SIGCONT);
    assert_true(wait_up(w));
    end(w);
}

/* We were stopped, not Redis: the answers lie in the socket. */
static void our_own_stall_is_no_timeout(void **state)
{
    struct world *w = begin_up(NULL, (struct redis_options){.call_timeout_ms = 200});

    (void)state;
    for (uint64_t i = 0; i < 100; i++)
        CALL(w, i, SLICE("INCR"), SLICE("n"));
    loop_turn(w->loop, false);
    usleep(500000);
    assert_true(wait_answers(w, 100));
    assert_int_equal(w->good, 100);
    assert_int_equal(w->downs, 0);
    end(w);
}

static void closing_answers_all(void **state)
{
    struct world *w = begin_up(NULL, (struct redis_options){.max_calls = 600});

    (void)state;
    for (uint64_t i = 0; i < 700; i++)
        CALL(w, i, SLICE("INCR"), SLICE("n"));
    redis_free(w->redis);
    w->redis = NULL;
    assert_each_once(w, 700);
    assert_int_equal(w->good, 0);
    end(w);
}

static void too_many_calls_are_refused(void **state)
{
    struct world *w = begin_up(NULL, (struct redis_options){.max_calls = 10, .max_bytes = 4096});
    char big[5000] = {0};

    (void)state;
    for (uint64_t i = 0; i < 11; i++)
        CALL(w, i, SLICE("PING"));
    CALL(w, 11, SLICE("SET"), SLICE("k"), (struct slice){big, sizeof big});
    assert_true(wait_answers(w, 12));
    assert_int_equal(w->good, 10);
    assert_each_once(w, 12);
    CALL(w, 12, SLICE("SET"), SLICE("k"), (struct slice){big, sizeof big});
    assert_true(wait_answers(w, 13));
    assert_string_equal(w->code, "redis_busy");
    assert_true(redis_is_up(w->redis));
    end(w);
}

static void a_forgotten_script_is_sent_again(void **state)
{
    struct world *w = begin(NULL);
    int script;

    (void)state;
    open_client(w, (struct redis_options){0});
    script = redis_script(w->redis, SLICE("return {KEYS[1], ARGV[2]}"));
    assert_true(wait_up(w));
    for (uint64_t i = 0; i < 3; i++) {
        if (i == 1)
            redis_server_ask(&w->server, "SCRIPT FLUSH");
        redis_eval(w->redis, script, (struct ticket){i, 0}, on_answer, w, (struct slice[]){SLICE("k")}, 1,
                   (struct slice[]){SLICE("a"), SLICE("b")}, 2);
        assert_true(wait_answers(w, i + 1));
    }
    assert_each_once(w, 3);
    assert_int_equal(w->good, 3);
    end(w);
}

static void an_answer_over_the_ceiling(void **state)
{
    struct world *w = begin_up(NULL, (struct redis_options){.max_answer = 100000});

    (void)state;
    CALL(w, 0, SLICE("SETRANGE"), SLICE("big"), SLICE("200000"), SLICE("x"));
    CALL(w, 1, SLICE("SETRANGE"), SLICE("fits"), SLICE("90000"), SLICE("x"));
    for (uint64_t i = 2; i < 12; i++) /* together far more than the ceiling, each one below it */
        CALL(w, i, SLICE("GET"), SLICE("fits"));
    assert_true(wait_answers(w, 12));
    assert_int_equal(w->good, 12);
    CALL(w, 12, SLICE("GET"), SLICE("big"));
    assert_true(wait_answers(w, 13));
    assert_string_equal(w->code, "redis_answer_too_large");
    assert_true(wait_up(w));
    end(w);
}

static void an_error_of_one_call_is_its_own(void **state)
{
    struct world *w = begin_up(NULL, (struct redis_options){0});

    (void)state;
    CALL(w, 0, SLICE("SET"), SLICE("k"), SLICE("text"));
    CALL(w, 1, SLICE("HGETALL"), SLICE("k"));
    assert_true(wait_answers(w, 2));
    assert_string_equal(w->code, "redis_error");
    assert_non_null(strstr(w->text, "WRONGTYPE"));
    assert_int_equal(w->downs, 0);
    end(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ten_thousand_calls_in_order),
        cmocka_unit_test(binary_arguments_and_answers),
        cmocka_unit_test(a_lost_connection_answers_all_and_comes_back),
        cmocka_unit_test(the_deadline_ends_a_silent_connection),
        cmocka_unit_test(our_own_stall_is_no_timeout),
        cmocka_unit_test(closing_answers_all),
        cmocka_unit_test(too_many_calls_are_refused),
        cmocka_unit_test(a_forgotten_script_is_sent_again),
        cmocka_unit_test(an_answer_over_the_ceiling),
        cmocka_unit_test(an_error_of_one_call_is_its_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
