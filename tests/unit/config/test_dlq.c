/* The rules of the dead-letter processor: what its options must be to each other, and who is told. */
#include "helper_config.h"

#include <string.h>

#define PROBLEMS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define NOTHING       ((const char *const[]){NULL})
#define OF_DLQ(t)     ((struct inputs){.text = "dlq:\n" t, .needs = CONFIG_NEED_DLQ})

static void only_who_needs_it_is_told(void **state)
{
    struct inputs in = {
        .text = "kafka: { bootstrap.servers: b }\ndlq: { listen: \"0.0.0.0:1\", alerts: { slack: { url: \"${NOT}\" } } }\n",
        .needs = CONFIG_NEED_KAFKA};
    static const char *const both[] = {"c.yaml:2:16: dlq.listen: \"0.0.0.0:1\" can be reached from other machines: listen on "
                                       "127.0.0.1, or set dlq.access.remote "
                                       "with tokens and TLS",
                                       "c.yaml:2:53: dlq.alerts.slack.url: the environment variable NOT is not set", NULL};

    (void)state;
    assert_problems(in, NOTHING); /* a worker lives without it */
    in.needs |= CONFIG_NEED_DLQ_IF_THERE;
    assert_problems(in, both);
    in.needs = CONFIG_NEED_DLQ;
    assert_problems(in, both);
    in.text = "kafka: { bootstrap.servers: b }\n";
    in.needs = CONFIG_NEED_KAFKA | CONFIG_NEED_DLQ_IF_THERE;
    assert_problems(in, NOTHING);
    in.environment[0] = "STEPMILL_DLQ__LISTEN=[::]:1";
    assert_problems(in, PROBLEMS("STEPMILL_DLQ__LISTEN: dlq.listen: \"[::]:1\" can be reached from other machines: listen on "
                                 "127.0.0.1, or set dlq.access.remote with tokens and TLS"));
}

static void signed_tokens_need_issuer_and_audience(void **state)
{
    (void)state;
    assert_problems(OF_DLQ("  access: { jwks_file: key.txt }\n"),
                    PROBLEMS("c.yaml:2:3: dlq.access.issuer: must be set with jwks_file",
                             "c.yaml:2:3: dlq.access.audience: must be set with jwks_file"));
    assert_problems(OF_DLQ("  access: { jwks_url: \"https://i/keys\", issuer: i, audience: \"${NOT:-}\" }\n"),
                    PROBLEMS("c.yaml:2:62: dlq.access.audience: must be set with jwks_url"));
    assert_problems(OF_DLQ("  access: { jwks_url: \"https://i/keys\", issuer: i, audience: a }\n"), NOTHING);
}

static void other_machines_bring_tokens(void **state)
{
    (void)state;
    assert_problems(OF_DLQ("  listen: \"0.0.0.0:1\"\n  access: { anonymous: redrive, remote: true }\n"
                           "  tls: { certificate_file: key.txt }\n"),
                    PROBLEMS("c.yaml:3:24: dlq.access.anonymous: with dlq.access.remote at most view: who may do more needs a "
                             "token or a JWT"));
    assert_problems(OF_DLQ("  listen: \"0.0.0.0:1\"\n  access: { anonymous: view, remote: true }\n"),
                    PROBLEMS("c.yaml:3:38: warning: dlq.access.remote: without dlq.tls.certificate_file tokens and letters cross "
                             "the network in plain text, unless a proxy before it does TLS"));
    assert_problems(OF_DLQ("  listen: \"localhost:1\"\n  access: { anonymous: admin }\n"), NOTHING);
}

static void half_a_tls_is_refused(void **state)
{
    (void)state;
    assert_problems(OF_DLQ("  tls: { key_file: key.txt, ca_file: key.txt }\n"),
                    PROBLEMS("c.yaml:2:20: dlq.tls.key_file: certificate_file must be set too",
                             "c.yaml:2:38: dlq.tls.ca_file: certificate_file must be set too: without TLS no client is asked for "
                             "its own"));
    assert_problems(OF_DLQ("  tls: { key_file: key.txt, certificate_file: \"${NOT:-}\" }\n"),
                    PROBLEMS("c.yaml:2:20: dlq.tls.key_file: certificate_file must be set too"));
    assert_problems(OF_DLQ("  tls: { certificate_file: key.txt, ca_file: key.txt }\n"), NOTHING);
}

static void no_url_holds_a_password(void **state)
{
    struct inputs in = {.text = "kafka: { bootstrap.servers: b }\ndlq:\n  public_url: \"http://u:hunter2@h\"\n"
                                "  trace_url: \"http://u@h/{trace_id}\"\n  access: { jwks_url: \"http://u:hunter2@h\" }\n"
                                "  alerts: { webhook: { url: \"https://u:hunter2@h/x\" } }\n",
                        .sets = {"dlq.alerts.pagerduty.url=http://u:p@h"},
                        .environment = {"STEPMILL_DLQ__ALERTS__SLACK__URL=http://u:p@h"},
                        .needs = CONFIG_NEED_KAFKA};

    (void)state;
    assert_problems(
        in, PROBLEMS("c.yaml:3:15: dlq.public_url: user and password do not belong in the URL",
                     "c.yaml:4:14: dlq.trace_url: user and password do not belong in the URL",
                     "c.yaml:5:23: dlq.access.jwks_url: user and password do not belong in the URL",
                     "c.yaml:6:29: dlq.alerts.webhook.url: user and password do not belong in the URL",
                     "--set dlq.alerts.pagerduty.url: dlq.alerts.pagerduty.url: user and password do not belong in the URL",
                     "STEPMILL_DLQ__ALERTS__SLACK__URL: dlq.alerts.slack.url: user and password do not belong in the URL"));
    assert_problems(((struct inputs){.text = "kafka: { bootstrap.servers: b }\n",
                                     .environment = {"STEPMILL_DLQ__ALERTS__SLACK__URL=hooks.example.com/hunter2"},
                                     .needs = CONFIG_NEED_DLQ}),
                    PROBLEMS("STEPMILL_DLQ__ALERTS__SLACK__URL: dlq.alerts.slack.url: a URL that begins with http:// or https:// "
                             "is needed"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_who_needs_it_is_told),   cmocka_unit_test(signed_tokens_need_issuer_and_audience),
        cmocka_unit_test(other_machines_bring_tokens), cmocka_unit_test(half_a_tls_is_refused),
        cmocka_unit_test(no_url_holds_a_password),
    };

    return cmocka_run_group_tests(tests, scratch_set_up, scratch_tear_down);
}
