/* What a good configuration comes to: values, precedence, secrets, show, changes. */
#include "helper_config.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "stepmill/secret.h"

static const char rich_config[] =
    "kafka:\n  bootstrap.servers: b:1\n  sasl.password: ${K_PASS}\n  ssl.key.password_file: key.txt\n  linger.ms: 5\n  group.id: "
    "g\n"
    "schema_registry: { url: \"http://r/api/\", username: \"${NOBODY:-reader}\", password_file: key.txt, timeout: 1500ms }\n"
    "redis: { url: \"${REDIS_URL}\", prefix: \"a:$${b}\" }\n"
    "agents:\n  search:\n    system_prompt: |\n      Say \"hi\".\n      And \\ bye.\n    models: [cheap, primary]\n    tools: "
    "[t_1, t-2]\n"
    "    deadline: 90s\n    session_memory: false\n    session_token_budget: 0\n  mail: { system_prompt_file: prompt.txt, "
    "models: [cheap] }\n"
    "models:\n  primary: { url: \"https://m/v1\", model: m, key: \"${KEY}\", temperature: 0.15, seed: -7, max_tokens: 99, "
    "ca_file: key.txt,\n"
    "    extra: { top_p: 0.9, stop: [\"1\", yes, null, \"${KEY}\"], deep: { a: true } }, price: { completion: 10.5 } }\n"
    "  cheap: { url: \"http://n\", model: \"no:1\" }\n"
    "tool_definitions: tools/\nlimits: { record: 2MiB, headers: 1536B }\nworker: { slot: w.1, drain_timeout: 0 }\nlog: { level: "
    "warn }\n";

#define RICH_ENVIRONMENT                                                                                                         \
    {                                                                                                                            \
        "K_PASS=kp", "REDIS_URL=rediss://us%40er:p%2Fw@r:1/2", "KEY=sk-\"1\""                                                    \
    }

static struct config *rich(void)
{
    struct config *c = load((struct inputs){.text = rich_config, .environment = RICH_ENVIRONMENT});

    for (size_t i = 0; i < report()->count; i++)
        print_error("%s\n", report()->problems[i].text);
    assert_non_null(c);
    assert_int_equal(report()->count, 0);
    return c;
}

static void defaults_fill_what_is_left_out(void **state)
{
    struct config *c = load((struct inputs){.text = whole_config});
    struct buf topic = BUF(256);

    (void)state;
    assert_non_null(c);
    assert_string_equal(c->kafka.group_id, "agent-search");
    assert_int_equal(c->kafka.noptions, 1);
    assert_string_equal(c->registry.url, "http://127.0.0.1:8081");
    assert_string_equal(c->redis.prefix, "");
    assert_string_equal(c->http.listen, "127.0.0.1:8080");
    assert_int_equal(c->agents[0].deadline_ms, 15 * 60 * 1000);
    assert_int_equal(c->agents[0].max_steps, 10);
    assert_int_equal(c->agents[0].token_budget, 8192);
    assert_true(c->agents[0].session_memory);
    assert_string_equal(c->agents[0].system_prompt, "You search.");
    assert_string_equal(c->models[0].url, "https://m.example/v1");
    assert_string_equal(c->models[0].key.value, "sk-from-file");
    assert_null(c->models[0].key.reference);
    assert_false(c->models[0].has_temperature || c->models[0].has_seed || c->models[0].has_max_tokens);
    assert_null(c->models[0].extra.at);
    assert_int_equal(c->worker.commit_interval_ms, 20);
    assert_int_equal(c->limits.record, 1 << 20);
    assert_int_equal(c->retry.tool_backoff.max_ms, 60000);
    assert_int_equal(c->log.level, LOG_LEVEL_INFO);
    assert_null(c->worker.slot);
    assert_ptr_equal(config_agent(c, SLICE("search")), &c->agents[0]);
    assert_null(config_agent(c, SLICE("sear")));
    config_tasks_topic(c, "search", &topic);
    assert_string_equal(buf_text(&topic), "agent.tasks.search");
    buf_free(&topic);
    config_free(c);
}

static void an_agent_may_have_a_topic_of_its_own(void **state)
{
    struct config *c = load((struct inputs){.text = whole_config, .sets = {"agents.search.topic=shop.questions"}});
    struct buf topic = BUF(512);

    (void)state;
    config_tasks_topic(c, "search", &topic);
    assert_string_equal(buf_text(&topic), "shop.questions");
    buf_free(&topic);
    config_free(c);
    assert_problems(
        (struct inputs){.text = whole_config, .sets = {"agents.search.topic=agent.results", "kafka.group.id=g"}},
        (const char *const[]){"c.yaml:1:1: topics.results: \"agent.results\" is the task topic of agent search already", NULL});
}

static void every_type_is_read(void **state)
{
    struct config *c = rich();
    const struct config_model *m = &c->models[0];

    (void)state;
    assert_int_equal(c->kafka.noptions, 4);
    assert_string_equal(c->kafka.options[1].name, "sasl.password");
    assert_string_equal(c->kafka.options[1].value, "kp");
    assert_string_equal(c->kafka.options[2].name, "ssl.key.password");
    assert_string_equal(c->kafka.options[2].value, "sk-from-file");
    assert_string_equal(c->kafka.group_id, "g");
    assert_string_equal(c->registry.username, "reader");
    assert_int_equal(c->registry.timeout_ms, 1500);
    assert_string_equal(c->redis.url, "rediss://r:1/2");
    assert_string_equal(c->redis.username, "us@er");
    assert_string_equal(c->redis.password.value, "p/w");
    assert_string_equal(c->redis.prefix, "a:${b}");
    assert_int_equal(c->nagents, 2);
    assert_string_equal(c->agents[0].system_prompt, "Say \"hi\".\nAnd \\ bye.\n");
    assert_int_equal(c->agents[0].nmodels, 2);
    assert_ptr_equal(c->agents[0].models[1], m);
    assert_string_equal(c->agents[0].tools[1], "t-2");
    assert_int_equal(c->agents[0].session_token_budget, 0);
    assert_string_equal(m->key.reference, "${KEY}");
    assert_true(m->has_temperature && m->temperature == 0.15);
    assert_true(m->has_seed && m->seed == -7 && m->has_max_tokens && m->max_tokens == 99);
    assert_true(slice_is(m->extra, "{\"top_p\":0.9,\"stop\":[\"1\",\"yes\",null,\"sk-\\\"1\\\"\"],\"deep\":{\"a\":true}}"));
    assert_true(m->price.known && m->price.prompt == 0 && m->price.completion == 10.5 && !c->models[1].price.known);
    assert_int_equal(c->limits.headers, 1536);
    assert_int_equal(c->worker.drain_timeout_ms, 0);
    assert_true(c->tool_definitions[0] == '/');
    config_free(c);
}

static void flags_beat_variables_beat_the_file(void **state)
{
    struct config *c =
        load((struct inputs){.text = whole_config,
                             .sets = {"redis.timeout=3s", "agents.search.tools=a, b", "kafka.debug=all",
                                      "models.primary.extra={\"top_k\": 5}", "redis.timeout=4s"},
                             .environment = {"STEPMILL_REDIS__TIMEOUT=2s", "STEPMILL_REDIS__CONNECT_TIMEOUT=1s",
                                             "STEPMILL_KAFKA__BOOTSTRAP_SERVERS=x:1", "STEPMILL_MODELS__PRIMARY__KEY=$${k",
                                             "STEPMILL_AGENTS__SEARCH__MAX_STEPS=7", "STEPMILL_REDIS__URL=redis://e",
                                             "STEPMILL_AGENTS__SEARCH__TOOLS=[c]"}});

    (void)state;
    assert_non_null(c);
    assert_int_equal(c->redis.timeout_ms, 4000);
    assert_int_equal(c->redis.connect_timeout_ms, 1000);
    assert_string_equal(c->redis.url, "redis://e");
    assert_string_equal(c->kafka.bootstrap_servers, "x:1");
    assert_int_equal(c->kafka.noptions, 2);
    assert_int_equal(c->agents[0].max_steps, 7);
    assert_int_equal(c->agents[0].ntools, 2);
    assert_string_equal(c->agents[0].tools[1], "b");
    assert_string_equal(c->models[0].key.value, "$${k"); /* in place of the file's key_file, and as it is */
    assert_null(c->models[0].key.file);
    assert_true(slice_is(c->models[0].extra, "{\"top_k\":5}"));
    config_free(c);
}

static void the_environment_alone_is_enough(void **state)
{
    struct config *c =
        load((struct inputs){.environment = {"STEPMILL_KAFKA__BOOTSTRAP_SERVERS=b", "STEPMILL_SCHEMA_REGISTRY__URL=http://r",
                                             "STEPMILL_REDIS__URL=redis://h", "STEPMILL_AGENTS__MY_AGENT__SYSTEM_PROMPT=hi",
                                             "STEPMILL_AGENTS__MY_AGENT__MODELS=m", "STEPMILL_MODELS__M__URL=http://m",
                                             "STEPMILL_MODELS__M__MODEL=m"}});

    (void)state;
    assert_non_null(c);
    assert_null(c->path);
    assert_string_equal(c->kafka.group_id, "agent-my-agent");
    config_free(c);
}

static void the_file_is_found(void **state)
{
    struct config *c;

    (void)state;
    write_text("stepmill.yaml", "kafka: { bootstrap.servers: found }\n");
    c = load((struct inputs){.needs = CONFIG_NEED_KAFKA});
    assert_non_null(c);
    assert_string_equal(c->path, "stepmill.yaml");
    config_free(c);
    write_text("other.txt", "kafka: { bootstrap.servers: other }\n");
    c = load((struct inputs){.needs = CONFIG_NEED_KAFKA, .environment = {"STEPMILL_CONFIG=other.txt"}});
    assert_non_null(c);
    assert_string_equal(c->kafka.bootstrap_servers, "other");
    config_free(c);
    unlink("stepmill.yaml");
}

static void secrets_are_not_shown(void **state)
{
    static const char *const secrets[] = {"kp", "sk-", "p/w", "p%2Fw"};
    struct config *c = rich();
    struct buf yaml = BUF(1 << 20), json = BUF(1 << 20);
    json_t *parsed;
    json_error_t error;

    (void)state;
    config_show(c, true, &yaml);
    config_show_json(c, &json);
    assert_non_null(strstr(buf_text(&yaml), "sasl.password: \"${K_PASS}\"  # c.yaml:3\n"));
    assert_non_null(strstr(buf_text(&yaml), "url: \"${REDIS_URL}\"  # c.yaml:8\n"));
    assert_non_null(strstr(buf_text(&yaml), "connect_timeout: 2s  # default\n"));
    parsed = json_loads(buf_text(&json), JSON_REJECT_DUPLICATES, &error);
    assert_non_null(parsed);
    json_decref(parsed);
    /* `extra` is sent to the model as it is and shown as it is: it is no place for secrets. The rest must not hold any. */
    *strstr(yaml.at, "extra: ") = '\0';
    for (size_t i = 0; i < sizeof secrets / sizeof *secrets; i++)
        assert_null(strstr(yaml.at, secrets[i]));
    buf_free(&yaml);
    buf_free(&json);
    config_free(c);
}

/* Commands that need no Redis load without its password; the password is configured all the same. */
static void a_secret_whose_variable_is_not_set_is_shown_hidden(void **state)
{
    struct config *c =
        load((struct inputs){.needs = CONFIG_NEED_KAFKA,
                             .text = "kafka: { bootstrap.servers: b }\nredis: { username: u, password: \"${NOPE}x\" }\n"
                                     "schema_registry: { username: u, password: \"${NOPE}\" }\n"});
    struct buf yaml = BUF(1 << 20);

    (void)state;
    assert_non_null(c);
    config_show(c, false, &yaml);
    assert_non_null(strstr(buf_text(&yaml), "  username: \"u\"\n  password: \"********\"\n"));
    assert_non_null(strstr(buf_text(&yaml), "  username: \"u\"\n  password: \"${NOPE}\"\n"));
    buf_free(&yaml);
    config_free(c);
}

static void what_is_shown_reads_back(void **state)
{
    struct config *c = rich(), *again;
    struct buf shown = BUF(1 << 20), twice = BUF(1 << 20);

    (void)state;
    config_show(c, false, &shown);
    again = load((struct inputs){.text = buf_text(&shown), .environment = RICH_ENVIRONMENT});
    for (size_t i = 0; i < report()->count; i++)
        print_error("%s\n", report()->problems[i].text);
    assert_non_null(again);
    assert_int_equal(report()->count, 0);
    config_show(again, false, &twice);
    assert_string_equal(buf_text(&shown), buf_text(&twice));
    assert_string_equal(again->agents[0].system_prompt, c->agents[0].system_prompt);
    assert_string_equal(again->redis.password.value, c->redis.password.value);
    assert_string_equal(again->models[0].key.value, c->models[0].key.value);
    buf_free(&shown);
    buf_free(&twice);
    config_free(c);
    config_free(again);
}

static void note_change(void *context, const char *path, bool reloadable)
{
    buf_printf(context, "%s%s\n", path, reloadable ? " live" : "");
}

static void changes_are_told_with_what_may_reload(void **state)
{
    struct config *old = load((struct inputs){.text = whole_config}), *new;
    struct buf seen = BUF(4096);

    (void)state;
    new = load((struct inputs){.text = whole_config,
                               .sets = {"agents.search.max_steps=11", "redis.timeout=9s", "models.primary.key=other",
                                        "kafka.debug=all", "agents.mail.system_prompt=x", "agents.mail.models=primary",
                                        "kafka.group.id=agent-search", "models.primary.seed=0"}});
    assert_non_null(old);
    assert_non_null(new);
    config_changes(old, old, note_change, &seen);
    assert_int_equal(seen.len, 0);
    config_changes(old, new, note_change, &seen);
    assert_string_equal(buf_text(&seen), "redis.timeout\nagents.search.max_steps live\nmodels.primary.key\nmodels.primary.seed\n"
                                         "kafka.debug\nagents.mail\n");
    buf_clear(&seen);
    config_changes(new, old, note_change, &seen);
    assert_non_null(strstr(buf_text(&seen), "agents.mail\n"));
    buf_free(&seen);
    config_free(old);
    config_free(new);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_fill_what_is_left_out),
        cmocka_unit_test(an_agent_may_have_a_topic_of_its_own),
        cmocka_unit_test(every_type_is_read),
        cmocka_unit_test(flags_beat_variables_beat_the_file),
        cmocka_unit_test(the_environment_alone_is_enough),
        cmocka_unit_test(the_file_is_found),
        cmocka_unit_test(secrets_are_not_shown),
        cmocka_unit_test(a_secret_whose_variable_is_not_set_is_shown_hidden),
        cmocka_unit_test(what_is_shown_reads_back),
        cmocka_unit_test(changes_are_told_with_what_may_reload),
    };

    return cmocka_run_group_tests(tests, scratch_set_up, scratch_tear_down);
}
