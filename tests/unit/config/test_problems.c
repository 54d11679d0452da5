/* Every kind of mistake in a configuration: its exact text and place. */
#include "helper_config.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PROBLEMS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define FILE_ONLY(t)  ((struct inputs){.text = (t), .needs = CONFIG_NEED_KAFKA})
#define KAFKA         "kafka: { bootstrap.servers: b }\n"

static void a_whole_config_is_fine(void **state)
{
    (void)state;
    assert_problems((struct inputs){.text = whole_config}, (const char *const[]){NULL});
}

static void what_is_not_yaml_is_placed(void **state)
{
    (void)state;
    assert_problems(FILE_ONLY("kafka:\n  a: [1\n  b: 2\n"),
                    PROBLEMS("c.yaml:3:4: not YAML: did not find expected ',' or ']', while parsing a flow sequence"));
    assert_problems(
        FILE_ONLY("kafka:\n\ta: 1\n"),
        PROBLEMS("c.yaml:2:1: not YAML: found character that cannot start any token, while scanning for the next token"));
    assert_problems(FILE_ONLY("kafka: \"\xff\"\n"),
                    PROBLEMS("c.yaml:1:1: not readable as UTF-8 text: invalid leading UTF-8 octet at byte 8"));
    assert_problems(FILE_ONLY("- a\n"), PROBLEMS("c.yaml:1:1: the file must be a map of sections, such as \"kafka:\""));
    assert_problems(FILE_ONLY(KAFKA "---\n" KAFKA), PROBLEMS("c.yaml:2:1: a second document begins here: only one is allowed"));
}

static void anchors_aliases_tags_and_duplicates_are_refused(void **state)
{
    (void)state;
    assert_problems(FILE_ONLY("kafka:\n  bootstrap.servers: &b x\n"),
                    PROBLEMS("c.yaml:2:22: anchor \"&b\": anchors and aliases are not allowed, write the value out"));
    assert_problems(FILE_ONLY("kafka:\n  bootstrap.servers: *b\n"),
                    PROBLEMS("c.yaml:2:22: alias \"*b\": anchors and aliases are not allowed, write the value out"));
    assert_problems(FILE_ONLY("kafka:\n  bootstrap.servers: !!str x\n"),
                    PROBLEMS("c.yaml:2:22: tag \"tag:yaml.org,2002:str\": tags are not allowed, the option decides the type"));
    assert_problems(FILE_ONLY(KAFKA "redis:\n  timeout: 1s\n  prefix: a\n  timeout: 2s\n"),
                    PROBLEMS("c.yaml:5:3: duplicate key \"timeout\": it is already set in line 3"));
    assert_problems(FILE_ONLY(KAFKA "? [a]\n: b\n"), PROBLEMS("c.yaml:2:3: a key must be a text, not a list"));
    assert_problems(FILE_ONLY("kafka:\n  bootstrap.servers: \"a\\0b\"\n"), PROBLEMS("c.yaml:2:22: the value holds a NUL byte"));
}

static void depth_and_size_are_bounded(void **state)
{
    struct buf text = BUF(2 << 20);

    (void)state;
    assert_problems(FILE_ONLY("a: [[[[[[[[[[[[[[[["), PROBLEMS("c.yaml:1:19: nested deeper than 16 levels"));
    buf_put_text(&text, "a: [");
    for (int i = 0; i < 10000; i++)
        buf_put_text(&text, "1,");
    assert_problems(FILE_ONLY(buf_text(&text)), PROBLEMS("c.yaml:1:19999: more than 10000 values"));
    buf_clear(&text);
    while (text.len <= 1 << 20)
        buf_put_text(&text, "# as large as that\n");
    assert_problems(FILE_ONLY(buf_text(&text)), PROBLEMS("c.yaml:1:1: larger than 1048576 bytes"));
    buf_free(&text);
}

static void unknown_keys_name_the_nearest(void **state)
{
    (void)state;
    assert_problems(FILE_ONLY(KAFKA "redis:\n  tymeout: 1s\n  pasword_file: x\n  quux: 1\n"),
                    PROBLEMS("c.yaml:3:3: unknown key \"redis.tymeout\": did you mean \"redis.timeout\"?",
                             "c.yaml:4:3: unknown key \"redis.pasword_file\": did you mean \"redis.password_file\"?",
                             "c.yaml:5:3: unknown key \"redis.quux\""));
    assert_problems(
        FILE_ONLY(KAFKA "redsi: { url: x }\nmax_steps: 3\nredis.url: x\n"),
        PROBLEMS("c.yaml:2:1: unknown key \"redsi\": did you mean \"redis\"?",
                 "c.yaml:3:1: unknown key \"max_steps\": did you mean \"agents.<name>.max_steps\"?",
                 "c.yaml:4:1: unknown key \"redis.url\": only names below kafka hold dots; write the section, and the option "
                 "below it"));
    assert_problems(FILE_ONLY(KAFKA "agents: { a: { max_stesp: 3 } }\n"),
                    PROBLEMS("c.yaml:2:16: unknown key \"agents.a.max_stesp\": did you mean \"agents.a.max_steps\"?"));
}

static void values_of_the_wrong_form_are_placed(void **state)
{
    (void)state;
    assert_problems(
        FILE_ONLY(KAFKA "redis:\n  timeout: 3\n  connect_timeout: 90ms0\n  url: http://x\nlog: { level: loud }\n"),
        PROBLEMS("c.yaml:3:12: redis.timeout: \"3\" is not a duration: write a whole number and ms, s, m, h or d, such as 30s",
                 "c.yaml:4:20: redis.connect_timeout: \"90ms0\" is not a duration: write a whole number and ms, s, m, h or d, "
                 "such as 30s",
                 "c.yaml:5:8: redis.url: a URL that begins with redis:// or rediss:// is needed",
                 "c.yaml:6:15: log.level: \"loud\" is not one of debug, info, warn, error"));
    assert_problems(
        FILE_ONLY(KAFKA "redis: 5\nlimits: { record: 1MB }\nhttp: { listen: \"8080\" }\ntopics: { dlq: a/b }\n"),
        PROBLEMS("c.yaml:2:8: redis is a section: its options stand below it, one per line",
                 "c.yaml:3:19: limits.record: \"1MB\" is not a size: write a whole number and B, KiB, MiB or GiB, such as "
                 "64KiB",
                 "c.yaml:4:17: http.listen: an address is written host:port, such as 127.0.0.1:8080 or [::1]:8080",
                 "c.yaml:5:16: topics.dlq: a topic's name is made of letters, digits, \".\", \"_\" and \"-\""));
    assert_problems(
        FILE_ONLY(KAFKA
                  "agents: { a: { session_memory: yes, max_steps: [1], tools: x, max_waiting: 1.5 } }\nredis:\n  prefix:\n"),
        PROBLEMS("c.yaml:2:32: agents.a.session_memory: \"yes\" is neither true nor false",
                 "c.yaml:2:48: agents.a.max_steps must be a single value",
                 "c.yaml:2:60: agents.a.tools must be a list, such as [first, second]",
                 "c.yaml:2:76: agents.a.max_waiting: \"1.5\" is not a whole number",
                 "c.yaml:4:3: redis.prefix has no value: write one, or remove the line"));
}

static void ranges_are_named(void **state)
{
    (void)state;
    assert_problems(
        FILE_ONLY(KAFKA "agents: { a: { max_steps: 26, token_budget: 511, deadline: 999ms } }\nlimits: { record: 9MiB }\n"),
        PROBLEMS("c.yaml:2:27: agents.a.max_steps: 26 is out of range: 1 to 25",
                 "c.yaml:2:45: agents.a.token_budget: 511 is out of range: 512 to 32768",
                 "c.yaml:2:60: agents.a.deadline: 999ms is out of range: 1s to 30d",
                 "c.yaml:3:19: limits.record: 9MiB is out of range: 1KiB to 8MiB"));
    assert_problems(
        FILE_ONLY(KAFKA "models: { m: { temperature: 2.1, seed: 9223372036854775808, timeout: 99999999999999999999d } }\n"),
        PROBLEMS("c.yaml:2:29: models.m.temperature: 2.1 is out of range: 0 to 2",
                 "c.yaml:2:40: models.m.seed: \"9223372036854775808\" is not a whole number",
                 "c.yaml:2:70: models.m.timeout: \"99999999999999999999d\" is not a duration: write a whole number and ms, "
                 "s, m, h or d, such as 30s"));
}

static void owned_kafka_keys_are_refused_with_the_reason(void **state)
{
    (void)state;
    assert_problems(
        FILE_ONLY("kafka:\n  bootstrap.servers: b\n  enable.auto.commit: true\n  transactional.id: x\n  rebalance_cb: x\n"),
        PROBLEMS(
            "c.yaml:3:3: kafka.enable.auto.commit is refused: offsets are committed in the transaction that carries the results",
            "c.yaml:4:3: kafka.transactional.id is refused: it is <group>-<role>-<slot>; set worker.slot",
            "c.yaml:5:3: kafka.rebalance_cb is refused: callbacks belong to the program"));
    assert_problems(FILE_ONLY("kafka:\n  bootstrap_servers: b\n  ssl: { ca.location: x }\n"),
                    PROBLEMS("c.yaml:1:1: kafka.bootstrap.servers is missing: write it in the file, or set "
                             "STEPMILL_KAFKA__BOOTSTRAP_SERVERS",
                             "c.yaml:2:3: unknown key \"kafka.bootstrap_servers\": did you mean \"kafka.bootstrap.servers\"?",
                             "c.yaml:3:3: kafka.ssl must be a single value; names below kafka are written with dots, such as "
                             "bootstrap.servers"));
}

static void missing_secrets_are_placed(void **state)
{
    struct inputs in = {
        .text =
            KAFKA "redis:\n  url: redis://h\n  password: ${R_PASS}\nschema_registry:\n  url: http://h\n  token_file: no.txt\n",
        .needs = CONFIG_NEED_KAFKA | CONFIG_NEED_REDIS | CONFIG_NEED_REGISTRY};
    char wanted[512], cwd[256];

    (void)state;
    assert_non_null(getcwd(cwd, sizeof cwd));
    snprintf(wanted, sizeof wanted, "c.yaml:7:15: schema_registry.token_file: cannot read %s/no.txt: No such file or directory",
             cwd);
    assert_problems(in, PROBLEMS("c.yaml:4:13: redis.password: the environment variable R_PASS is not set", wanted));
    in.needs = CONFIG_NEED_KAFKA; /* who needs neither is not stopped by their secrets */
    assert_problems(in, (const char *const[]){NULL});
    assert_problems(
        FILE_ONLY(KAFKA "redis: { password: \"${R-PASS}\" }\n"),
        PROBLEMS("c.yaml:2:20: redis.password: a reference is written ${NAME} or ${NAME:-default}, a plain \"${\" as \"$${\""));
}

static void secrets_in_plain_text_get_a_warning(void **state)
{
    (void)state;
    assert_problems(
        (struct inputs){
            .text =
                "kafka: { bootstrap.servers: b, sasl.password: hunter2 }\nredis: { url: \"redis://u:hunter3@h\", prefix: p }\n"
                "models: { m: { key: hunter4 } }\n",
            .needs = CONFIG_NEED_KAFKA},
        PROBLEMS(
            "c.yaml:1:47: warning: kafka.sasl.password is a secret written in plain text: write ${NAME} to take it from the "
            "environment, or use kafka.sasl.password_file",
            "c.yaml:2:15: warning: redis.url holds a password in plain text: write ${NAME} to take the URL from the environment",
            "c.yaml:3:21: warning: models.m.key is a secret written in plain text: write ${NAME} to take it from the "
            "environment, "
            "or use models.m.key_file"));
    assert_problems(
        FILE_ONLY(KAFKA "redis: { password: \"${NO:-}\" }\nmodels: { m: { key: \"${NO:-hunter5}\" } }\n"),
        PROBLEMS("c.yaml:3:21: warning: models.m.key is a secret written in plain text: write ${NAME} to take it from the "
                 "environment, or use models.m.key_file"));
    assert_problems(FILE_ONLY(KAFKA "redis: { password: \"********\" }\n"),
                    PROBLEMS("c.yaml:2:20: redis.password: ******** is how `config show` hides a secret: write ${NAME} or use "
                             "redis.password_file"));
}

static void names_and_references_are_checked(void **state)
{
    (void)state;
    assert_problems(
        FILE_ONLY(
            KAFKA
            "agents:\n  Big: { models: [primry, other, other], tools: [\"a b\", t, t] }\nmodels:\n  primary: {}\n  other: {}\n"),
        PROBLEMS("c.yaml:3:3: agents: \"Big\" is not a name: use 1 to 64 of a-z, 0-9 and \"-\"",
                 "c.yaml:3:19: no model \"primry\" under models: did you mean \"primary\"?",
                 "c.yaml:3:34: agents.Big.models: \"other\" is there twice",
                 "c.yaml:3:50: agents.Big.tools: a tool's name is 1 to 64 letters, digits, \"_\" and \"-\"",
                 "c.yaml:3:60: agents.Big.tools: \"t\" is there twice",
                 "c.yaml:5:3: warning: models.primary is used by no agent"));
    assert_problems(FILE_ONLY(KAFKA "models: { m: { extra: { model: x, stop: [a] } } }\n"),
                    PROBLEMS("c.yaml:2:25: models.m.extra: \"model\" is set by Stepmill itself"));
}

static void what_a_worker_needs_is_named(void **state)
{
    (void)state;
    assert_problems(
        (struct inputs){.text = "http: { listen: \"[::1]:80\" }\n"},
        PROBLEMS("c.yaml:1:1: kafka.bootstrap.servers is missing: write it in the file, or set "
                 "STEPMILL_KAFKA__BOOTSTRAP_SERVERS",
                 "c.yaml:1:1: schema_registry.url is missing: write it in the file, or set STEPMILL_SCHEMA_REGISTRY__URL",
                 "c.yaml:1:1: redis.url is missing: write it in the file, or set STEPMILL_REDIS__URL",
                 "c.yaml:1:1: agents: no agent is configured: write agents: { my-agent: { system_prompt: …, models: […] } }"));
    assert_problems(
        (struct inputs){
            .text = "kafka: { bootstrap.servers: b }\nschema_registry: { url: \"http://r\" }\nredis: { url: \"redis://h\" }\n"
                    "agents:\n  a: { tools: [t], models: [] }\n  b: { system_prompt: x, models: [m] }\n"
                    "models:\n  m: { url: \"http://m\" }\n"},
        PROBLEMS("c.yaml:1:1: kafka.group.id: must be set where there are several agents",
                 "c.yaml:5:3: agents.a.system_prompt is missing: write it in the file, or set "
                 "STEPMILL_AGENTS__A__SYSTEM_PROMPT",
                 "c.yaml:5:15: agents.a.tools: tool_definitions must name the folder with the tool files",
                 "c.yaml:5:28: agents.a.models is empty",
                 "c.yaml:8:3: models.m.model is missing: write it in the file, or set STEPMILL_MODELS__M__MODEL"));
}

static void what_excludes_each_other_is_refused(void **state)
{
    (void)state;
    assert_problems(
        FILE_ONLY(
            KAFKA
            "redis: { password_file: key.txt, password: \"${HOMEX:-}\", username: u, url: \"redis://a:b@h\" }\n"
            "schema_registry: { token_file: key.txt, username: u, password_file: key.txt, url: \"http://r\", ca_file: key.txt }\n"
            "retry: { model: { backoff_min: 20s } }\ntopics: { dlq: agent.results }\nworker: { slot: \"a/b\" }\n"),
        PROBLEMS(
            "c.yaml:2:10: redis.password_file: redis.password is set too, only one of them is allowed",
            "c.yaml:2:76: warning: redis.url holds a password in plain text: write ${NAME} to take the URL from the environment",
            "c.yaml:2:76: redis.url: the URL holds user or password, and they are set on their own too: only one is allowed",
            "c.yaml:3:32: schema_registry.token: either a token, or username and password",
            "c.yaml:3:104: schema_registry.ca_file: has no effect unless the URL begins with https://",
            "c.yaml:4:32: retry.model.backoff_min: is larger than backoff_max",
            "c.yaml:5:16: topics.dlq: \"agent.results\" is the topic of topics.results already",
            "c.yaml:6:17: worker.slot: is 1 to 64 letters, digits, \".\", \"_\" and \"-\""));
}

static void flags_and_variables_are_named_as_places(void **state)
{
    (void)state;
    assert_problems(
        (struct inputs){.text = KAFKA,
                        .needs = CONFIG_NEED_KAFKA,
                        .sets = {"log.level=loud", "nonsense", "redis.urll=x"},
                        .environment = {"STEPMILL_REDIS__TIMEOUT=5", "STEPMILL_REDIS__URI=x", "STEPMILL_PORT=tcp://10.0.0.1",
                                        "STEPMILL_KAFKA__ENABLE_AUTO_COMMIT=true"}},
        PROBLEMS("STEPMILL_REDIS__URI: there is no option \"redis.uri\": did you mean STEPMILL_REDIS__URL?",
                 "--set nonsense: write --set path=value, such as --set log.level=debug",
                 "--set redis.urll: there is no option \"redis.urll\": did you mean redis.url?",
                 "STEPMILL_REDIS__TIMEOUT: redis.timeout: \"5\" is not a duration: write a whole number and ms, s, m, h or "
                 "d, such as 30s",
                 "--set log.level: log.level: \"loud\" is not one of debug, info, warn, error",
                 "STEPMILL_KAFKA__ENABLE_AUTO_COMMIT: kafka.enable.auto.commit is refused: offsets are committed in the "
                 "transaction that carries the results"));
}

static void only_the_first_twenty_are_kept(void **state)
{
    struct buf text = BUF(4096);

    (void)state;
    buf_put_text(&text, KAFKA);
    for (int i = 0; i < 30; i++)
        buf_printf(&text, "zzzzzzzz%02d: 1\n", i);
    assert_null(load(FILE_ONLY(buf_text(&text))));
    assert_int_equal(report()->errors, 30);
    assert_int_equal(report()->count, CONFIG_PROBLEMS_MAX);
    assert_string_equal(report()->problems[19].text, "c.yaml:21:1: unknown key \"zzzzzzzz19\"");
    assert_int_equal(report()->problems[19].line, 21);
    assert_int_equal(report()->problems[19].column, 1);
    buf_free(&text);
}

static void warnings_hide_no_error(void **state)
{
    struct buf text = BUF(8192);

    (void)state;
    for (const char *line = whole_config; *line; line++) { /* thirty models that nobody uses, and behind them one error */
        buf_put_byte(&text, *line);
        for (int i = 0; *line == '\n' && !strncmp(line + 1, "  primary:", 10) && i < 30; i++)
            buf_printf(&text, "  m%d: { url: \"https://m.example/v1/\", model: m, key_file: key.txt }\n", i);
    }
    buf_put_text(&text, "worker: { commit_interval: 20 }\n");
    assert_null(load(FILE_ONLY(buf_text(&text))));
    assert_int_equal(report()->errors, 1);
    assert_int_equal(report()->warnings, 30);
    assert_int_equal(report()->count, CONFIG_PROBLEMS_MAX);
    assert_non_null(strstr(report()->problems[CONFIG_PROBLEMS_MAX - 1].text, "commit_interval"));
    buf_free(&text);
}

static void a_file_that_must_be_named_is(void **state)
{
    struct buf text = BUF(4096);

    (void)state;
    for (const char *at = whole_config; *at; at++) {
        if (!strncmp(at, "prompt.txt", 10)) {
            buf_put_text(&text, "\"${ABSENT_PROMPT:-}\"");
            at += 9;
        } else {
            buf_put_byte(&text, *at);
        }
    }
    assert_null(load((struct inputs){.text = buf_text(&text)}));
    assert_int_equal(report()->errors, 1);
    assert_non_null(strstr(report()->problems[0].text, "agents.search.system_prompt_file is empty"));
    buf_free(&text);
}

static void no_value_of_a_variable_is_cited(void **state)
{
    (void)state;
    assert_problems((struct inputs){.text = KAFKA "redis: { timeout: \"${TOKEN}\" }\nhttp: { listen: \"${TOKEN}\" }\n",
                                    .environment = {"TOKEN=hunter2"},
                                    .needs = CONFIG_NEED_KAFKA},
                    PROBLEMS("c.yaml:2:19: redis.timeout: what \"${TOKEN}\" stands for is not valid here",
                             "c.yaml:3:17: http.listen: what \"${TOKEN}\" stands for is not valid here"));
}

static void a_missing_file_is_said(void **state)
{
    struct config_report r;
    struct config_source source = {.path = "no.yaml", .needs = CONFIG_NEED_KAFKA};

    (void)state;
    assert_null(config_load(&source, &r));
    assert_int_equal(r.count, 1);
    assert_string_equal(r.problems[0].text, "no.yaml: cannot read the configuration: No such file or directory");
    assert_false(r.no_file);
    source.path = NULL;
    assert_null(config_load(&source, &r));
    assert_true(r.no_file);
}

static void queries_of_base_urls_are_refused_and_not_shown(void **state)
{
    (void)state;
    assert_problems(
        FILE_ONLY(KAFKA "schema_registry: { url: \"http://r/?token=hunter4\" }\n"
                        "models:\n  m: { url: \"https://h/v1?key=hunter5\" }\n  n: { url: \"https://h/v1/#x\" }\n"),
        PROBLEMS(
            "c.yaml:2:25: schema_registry.url: a base URL ends before \"?\" and \"#\", for paths are put behind it; a token or "
            "password has an option of its own",
            "c.yaml:4:13: models.m.url: a base URL ends before \"?\" and \"#\", for paths are put behind it; a key goes to the "
            "model's key, other parameters to its extra",
            "c.yaml:5:13: models.n.url: a base URL ends before \"?\" and \"#\", for paths are put behind it; a key goes to the "
            "model's key, other parameters to its extra"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_config_is_fine),
        cmocka_unit_test(what_is_not_yaml_is_placed),
        cmocka_unit_test(anchors_aliases_tags_and_duplicates_are_refused),
        cmocka_unit_test(depth_and_size_are_bounded),
        cmocka_unit_test(unknown_keys_name_the_nearest),
        cmocka_unit_test(values_of_the_wrong_form_are_placed),
        cmocka_unit_test(ranges_are_named),
        cmocka_unit_test(owned_kafka_keys_are_refused_with_the_reason),
        cmocka_unit_test(missing_secrets_are_placed),
        cmocka_unit_test(secrets_in_plain_text_get_a_warning),
        cmocka_unit_test(names_and_references_are_checked),
        cmocka_unit_test(what_a_worker_needs_is_named),
        cmocka_unit_test(what_excludes_each_other_is_refused),
        cmocka_unit_test(queries_of_base_urls_are_refused_and_not_shown),
        cmocka_unit_test(flags_and_variables_are_named_as_places),
        cmocka_unit_test(warnings_hide_no_error),
        cmocka_unit_test(a_file_that_must_be_named_is),
        cmocka_unit_test(only_the_first_twenty_are_kept),
        cmocka_unit_test(no_value_of_a_variable_is_cited),
        cmocka_unit_test(a_missing_file_is_said),
    };

    return cmocka_run_group_tests(tests, scratch_set_up, scratch_tear_down);
}
