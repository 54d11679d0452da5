/* redis: the server that is there but does not serve, and the one that must not be trusted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "helper_redis.h"
#include "stepmill/clock.h"
#include "stepmill/redis.h"

struct world {
    struct redis_server server;
    struct loop *loop;
    struct redis *redis;
    size_t answers;
    char code[64], text[256], why[64];
    enum error_class class;
    int ups;
};

static const struct log quiet = {.level = LOG_LEVEL_ERROR + 1, .fd = 2, .role = "test"};

static void on_answer(void *ctx, struct ticket ticket, const struct redis_answer *a)
{
    struct world *w = ctx;
    struct slice text = a->value && redis_kind(a->value) == REDIS_TEXT ? redis_text(a->value) : a->detail;

    (void)ticket;
    w->answers++;
    snprintf(w->code, sizeof w->code, "%s", failed(a->error) ? a->error.code : "");
    snprintf(w->text, sizeof w->text, "%.*s", text.len < 200 ? (int)text.len : 200, text.at ? text.at : "");
}

static void on_state(void *ctx, bool up, struct error why)
{
    struct world *w = ctx;

    w->ups += up;
    w->class = why.class;
    snprintf(w->why, sizeof w->why, "%s", up ? "up" : why.code);
}

static struct error open_client(struct world *w, struct redis_options o)
{
    static char url[64];

    snprintf(url, sizeof url, "redis://127.0.0.1:%u", w->server.port);
    if (!o.url)
        o.url = url;
    o.on_state = on_state;
    o.ctx = w;
    w->why[0] = '\0';
    return redis_new(w->loop, &quiet, &o, &w->redis);
}

static void close_client(struct world *w)
{
    redis_free(w->redis);
    w->redis = NULL;
    turn_for(w->loop, 10);
}

struct expected {
    struct world *w;
    size_t answers;
    const char *why;
};
static bool has_answers(void *ctx) { return ((struct expected *)ctx)->w->answers >= ((struct expected *)ctx)->answers; }
static bool says_why(void *ctx) { return !strcmp(((struct expected *)ctx)->w->why, ((struct expected *)ctx)->why); }
static bool wait_why(struct world *w, const char *why)
{
    return turn_until(w->loop, says_why, &(struct expected){w, 0, why}, 60);
}

static void call(struct world *w, const struct slice *args, size_t n)
{
    size_t before = w->answers;

    redis_call(w->redis, (struct ticket){1, 1}, on_answer, w, args, n);
    assert_true(turn_until(w->loop, has_answers, &(struct expected){w, before + 1, NULL}, 60));
    assert_int_equal(w->answers, before + 1);
}

#define CALL(w, ...)                                                                                                             \
    call(w, (const struct slice[]){__VA_ARGS__}, sizeof((const struct slice[]){__VA_ARGS__}) / sizeof(struct slice))

static struct world *begin(const char *const *more)
{
    struct world *w = calloc(1, sizeof *w);

    redis_server_prepare(&w->server);
    redis_server_start(&w->server, more);
    w->loop = loop_new();
    return w;
}

static void end(struct world *w)
{
    close_client(w);
    loop_free(w->loop);
    redis_server_end(&w->server);
    free(w);
}

/* Opens a client and expects it to say `why` ("up" included), then closes it. */
static void expect(struct world *w, struct redis_options o, const char *why)
{
    assert_false(failed(open_client(w, o)));
    if (!wait_why(w, why))
        fail_msg("expected %s, got %s", why, w->why);
    close_client(w);
}

static void url(struct world *w, char *to, size_t room, const char *format)
{
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(to, room, format, w->server.port);
#pragma GCC diagnostic pop
}

static void out_of_memory_is_an_outage_that_ends(void **state)
{
    struct world *w = begin(NULL);
    int script;

    (void)state;
    assert_false(failed(open_client(w, (struct redis_options){0})));
    script = redis_script(w->redis, SLICE("return redis.call('SET', KEYS[1], 'x')"));
    assert_true(wait_why(w, "up"));
    redis_server_ask(&w->server, "CONFIG SET maxmemory 1");
    redis_eval(w->redis, script, (struct ticket){1, 1}, on_answer, w, (struct slice[]){SLICE("k")}, 1, NULL, 0);
    assert_true(turn_until(w->loop, has_answers, &(struct expected){w, 1, NULL}, 60));
    assert_string_equal(w->code, "redis_oom");
    assert_string_equal(w->why, "redis_oom");
    turn_for(w->loop, 300); /* it tries, and sees each time that no write works */
    assert_int_equal(w->ups, 1);
    CALL(w, SLICE("PING"));
    assert_string_equal(w->code, "redis_down");
    redis_server_ask(&w->server, "CONFIG SET maxmemory 0");
    assert_true(wait_why(w, "up"));
    end(w);
}

static void a_replica_is_an_outage_that_ends(void **state)
{
    struct world *w = begin(NULL);

    (void)state;
    assert_false(failed(open_client(w, (struct redis_options){0})));
    assert_true(wait_why(w, "up"));
    redis_server_ask(&w->server, "REPLICAOF 127.0.0.1 1");
    CALL(w, SLICE("SET"), SLICE("k"), SLICE("v"));
    assert_string_equal(w->code, "redis_readonly");
    turn_for(w->loop, 300);
    assert_string_equal(w->why, "redis_readonly");
    redis_server_ask(&w->server, "REPLICAOF NO ONE");
    assert_true(wait_why(w, "up"));
    CALL(w, SLICE("SET"), SLICE("k"), SLICE("v"));
    assert_string_equal(w->code, "");
    end(w);
}

static void loading_is_an_outage_that_ends(void **state)
{
    struct world *w = begin(NULL);

    (void)state;
    redis_server_ask(&w->server, "DEBUG POPULATE 20000");
    assert_non_null(strstr(redis_server_ask(&w->server, "SAVE"), "OK"));
    redis_server_kill(&w->server);
    redis_server_start(&w->server,
                       (const char *const[]){"--key-load-delay", "100", "--loading-process-events-interval-bytes", "1024", NULL});
    assert_false(failed(open_client(w, (struct redis_options){0})));
    assert_true(wait_why(w, "redis_loading"));
    assert_int_equal(w->class, CLASS_WAIT);
    redis_server_ask(&w->server, "CONFIG SET key-load-delay 0");
    assert_true(wait_why(w, "up"));
    end(w);
}

static void passwords_and_users(void **state)
{
    struct world *w = begin((const char *const[]){"--requirepass", "p@ss:/1", NULL});
    char at[128];

    (void)state;
    expect(w, (struct redis_options){0}, "redis_auth");
    expect(w, (struct redis_options){.password = "wrong"}, "redis_auth");
    expect(w, (struct redis_options){.password = "p@ss:/1"}, "up");
    expect(w, (struct redis_options){.user = "nobody", .password = "p@ss:/1"}, "redis_auth");
    url(w, at, sizeof at, "redis://:p%%40ss%%3A%%2F1@127.0.0.1:%u/3");
    expect(w, (struct redis_options){.url = at}, "up");
    end(w);
}

/* What an operator gives: the prefix and the commands we need, and no questions about the server. */
static void a_narrow_acl_is_enough(void **state)
{
    struct world *w = begin(NULL);
    const char *user = "ACL SETUSER mill on >secret ~stepmill:* +@read +@write +@scripting +@connection +time -info -config";

    (void)state;
    assert_non_null(strstr(redis_server_ask(&w->server, user), "OK"));
    assert_false(failed(open_client(w, (struct redis_options){.user = "mill", .password = "secret"})));
    assert_true(wait_why(w, "up"));
    assert_string_equal(redis_info(w->redis)->maxmemory_policy, "unknown");
    close_client(w);
    expect(w, (struct redis_options){.user = "mill", .password = "secret", .probe_key = "other:probe"}, "redis_auth");
    end(w);
}

static void a_cluster_is_refused(void **state)
{
    struct world *w = begin((const char *const[]){"--cluster-enabled", "yes", NULL});

    (void)state;
    assert_false(failed(open_client(w, (struct redis_options){0})));
    assert_true(wait_why(w, "redis_cluster"));
    assert_int_equal(w->class, CLASS_CONFIG);
    assert_false(redis_is_up(w->redis));
    end(w);
}

static void names_are_resolved(void **state)
{
    struct world *w = begin(NULL);
    char at[128];

    (void)state;
    url(w, at, sizeof at, "redis://localhost:%u");
    expect(w, (struct redis_options){.url = at}, "up");
    url(w, at, sizeof at, "redis://no-such-host.invalid:%u");
    assert_false(failed(open_client(w, (struct redis_options){.url = at, .connect_timeout_ms = 500})));
    assert_true(turn_until(w->loop, says_why, &(struct expected){w, 0, "redis_unresolved"}, 2) ||
                wait_why(w, "redis_unreachable"));
    end(w); /* in the middle of another try */
}

static void bad_urls_are_refused(void **state)
{
    static const char *const bad[] = {
        "",    "http://x",     "redis://",      "redis://h:0",   "redis://h:65536", "redis://h:1x", "redis://h/one",
        "h:1", "redis://[::1", "redis://:6379", "redis://%zz@h", "redis://%00@h",   "redis://h/-1", "redis://[::1]6379",
    };
    struct world w = {.loop = loop_new()};

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct error error = redis_new(w.loop, &quiet, &(struct redis_options){.url = bad[i]}, &w.redis);

        if (!failed(error))
            fail_msg("accepted %s", bad[i]);
        assert_int_equal(error.class, CLASS_CONFIG);
        assert_null(w.redis);
    }
    loop_free(w.loop);
}

/* Two authorities, a server certificate of the first for the name "redis.test" and 127.0.0.1, and a client's. */
static void make_certificates(const struct redis_server *s)
{
    char command[1024];

    snprintf(command, sizeof command,
             "( set -e; cd '%s'; for ca in ca other; do"
             " openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=$ca -keyout $ca.key -out $ca.pem; done;"
             " printf 'subjectAltName=DNS:redis.test,IP:127.0.0.1' > san; for n in server client; do"
             " openssl req -newkey rsa:2048 -nodes -subj /CN=$n -keyout $n.key -out $n.csr;"
             " openssl x509 -req -in $n.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile san -out $n.pem; done"
             " ) >/dev/null 2>&1",
             s->folder);
    if (system(command))
        fail_msg("openssl made no certificates");
}

static void file_in(const struct redis_server *s, char *to, size_t room, const char *name)
{
    snprintf(to, room, "%s/%s", s->folder, name);
}

static void tls_is_verified(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    char ca[128], other[128], cert[128], key[128], server_cert[128], server_key[128], port[16], at[64];

    (void)state;
    redis_server_prepare(&w->server);
    make_certificates(&w->server);
    file_in(&w->server, ca, sizeof ca, "ca.pem");
    file_in(&w->server, other, sizeof other, "other.pem");
    file_in(&w->server, cert, sizeof cert, "client.pem");
    file_in(&w->server, key, sizeof key, "client.key");
    file_in(&w->server, server_cert, sizeof server_cert, "server.pem");
    file_in(&w->server, server_key, sizeof server_key, "server.key");
    snprintf(port, sizeof port, "%u", w->server.port);
    redis_server_start(&w->server, (const char *const[]){"--port", "0", "--tls-port", port, "--tls-cert-file", server_cert,
                                                         "--tls-key-file", server_key, "--tls-ca-cert-file", ca, NULL});
    w->loop = loop_new();
    url(w, at, sizeof at, "rediss://127.0.0.1:%u");
    expect(w, (struct redis_options){.url = at, .ca_file = other, .cert_file = cert, .key_file = key}, "redis_tls_untrusted");
    assert_int_equal(w->class, CLASS_CONFIG);
    expect(w, (struct redis_options){.url = at, .cert_file = cert, .key_file = key}, "redis_tls_untrusted");
    expect(w, (struct redis_options){.url = at, .ca_file = ca, .cert_file = cert, .key_file = key, .server_name = "another.test"},
           "redis_tls_untrusted");
    expect(w, (struct redis_options){.url = at, .ca_file = ca, .cert_file = cert, .key_file = key, .server_name = "redis.test"},
           "up");
    expect(w, (struct redis_options){.url = at, .ca_file = ca},
           "redis_unreachable"); /* the server wants a client's certificate */
    assert_true(failed(open_client(w, (struct redis_options){.url = at, .ca_file = "/nowhere/ca.pem"})));
    assert_false(failed(open_client(w, (struct redis_options){.url = at, .ca_file = ca, .cert_file = cert, .key_file = key})));
    assert_true(wait_why(w, "up"));
    CALL(w, SLICE("SETRANGE"), SLICE("big"), SLICE("3000000"), SLICE("x")); /* many TLS records */
    CALL(w, SLICE("GET"), SLICE("big"));
    assert_string_equal(w->code, "");
    end(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(out_of_memory_is_an_outage_that_ends),
        cmocka_unit_test(a_replica_is_an_outage_that_ends),
        cmocka_unit_test(loading_is_an_outage_that_ends),
        cmocka_unit_test(passwords_and_users),
        cmocka_unit_test(a_narrow_acl_is_enough),
        cmocka_unit_test(a_cluster_is_refused),
        cmocka_unit_test(names_are_resolved),
        cmocka_unit_test(bad_urls_are_refused),
        cmocka_unit_test(tls_is_verified),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
