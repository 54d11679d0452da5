/* The configuration: what config/stepmill.yaml, STEPMILL_* variables and --set flags come to (DESIGN §9).
 *
 * Order: flag > environment > file > default. One option table (src/config/options.c) serves reading, checking, showing, the
 * reference and the JSON Schema; an option that is not in the table does not exist.
 *
 * A `struct config` never changes after config_load, may be read by any thread, and owns all it points to until config_free.
 * Strings are terminated; NULL means "not set". Times are milliseconds (`_ms`), sizes bytes. Paths are absolute: relative ones
 * were taken from the file's folder (from the working folder where a flag or a variable gave them). Secrets are resolved: never
 * print or log the value of a `struct config_secret`.
 *
 * SIGHUP: load again; config_changes tells which changes need a restart.
 */
#ifndef STEPMILL_CONFIG_H
#define STEPMILL_CONFIG_H

#include "bytes.h"
#include "error.h"
#include "kafka_options.h"
#include "log.h"

enum {
    CONFIG_PROBLEMS_MAX = 20, /* that are kept; the rest is counted */
    CONFIG_NAME_MAX = 64,     /* of an agent or model: [a-z0-9-], it becomes part of topic and group names */
    CONFIG_AGENTS_MAX = 64,
    CONFIG_MODELS_MAX = 64,
    CONFIG_CASCADE_MAX = 16, /* models of one agent */
    CONFIG_TOOLS_MAX = 64,   /* tools of one agent (EVENT_TOOLS_MAX) */
};

/* A secret. The value may be NULL: not set. `file` is where it can be read again (secret_read_file), NULL when it came from
 * elsewhere. */
struct config_secret {
    const char *value;
    const char *file;
    const char *reference; /* "${NAME}", safe to print; NULL: the value was written in plain text or came from a file */
};

/* Empty members: the system's certificate authorities, no client certificate. */
struct config_tls {
    const char *ca_file, *certificate_file, *key_file;
};

struct config_kafka {
    const struct kafka_option
        *options; /* for all clients alike, as written; bootstrap.servers among them, group.id not; none that we own */
    size_t noptions;
    const char *bootstrap_servers;
    const char *group_id; /* as written, or agent-<agent> where there is exactly one agent; NULL: neither (refused with
                             CONFIG_NEED_AGENTS) */
};

struct config_topics {
    const char *tasks_prefix; /* + agent name */
    const char *results, *events, *dlq, *dlq_actions, *definitions;
    int32_t partitions, replication; /* used by `topics create` only */
    struct {
        int64_t tasks_ms, results_ms, events_ms, dlq_ms;
    } retention; /* dlq_ms: also of dlq_actions */
};

struct config_registry {
    const char *url;
    const char *username;
    struct config_secret password, token; /* basic or bearer, not both */
    struct config_tls tls;
    int64_t timeout_ms; /* of one request */
};

struct config_redis {
    const char *url; /* redis:// or rediss://, without user and password: these were moved to the members below */
    const char *username;
    struct config_secret password;
    const char *prefix; /* before every key, never NULL */
    struct config_tls tls;
    int64_t connect_timeout_ms, timeout_ms;
};

struct config_http {
    const char *listen; /* "host:port" or "[v6]:port" */
};

enum config_api { CONFIG_API_OPENAI };

/* US dollars for a million tokens. */
struct config_price {
    bool known;
    double prompt, completion;
};

struct config_model {
    const char *name;
    enum config_api api;
    const char *url; /* base, without a trailing slash, a query or a user: "https://api.openai.com/v1" */
    const char *model;
    struct config_secret key;
    int64_t timeout_ms, connect_timeout_ms;
    bool has_temperature, has_seed, has_max_tokens; /* what is not set is not sent */
    double temperature;
    int64_t seed;
    int32_t max_tokens;
    struct slice extra; /* members of the request body, e.g. {"top_p":0.9}: one JSON object, validated; absent = none */
    struct config_price price;
    const char *ca_file;
    int32_t max_connections;
};

struct config_agent {
    const char *name;
    const char *topic;                        /* of its tasks; NULL: config_tasks_topic makes it of the prefix and the name */
    const char *system_prompt;                /* the text, from system_prompt or system_prompt_file; never NULL */
    const struct config_model *const *models; /* the cascade, in order; at least one */
    size_t nmodels;
    const char *const *tools; /* access list, each once; whether a tool exists is known only after the tool files are read */
    size_t ntools;
    int32_t max_steps;    /* 1–25 */
    int32_t token_budget; /* 512–32768 */
    int64_t deadline_ms;
    int32_t max_in_flight, max_waiting;
    bool session_memory;
    int64_t session_token_budget; /* 0: none */
};

struct config_backoff {
    int64_t min_ms, max_ms;
};

struct config_retry {
    int32_t model_rounds;
    struct config_backoff model_backoff;
    int32_t tool_attempts;
    struct config_backoff tool_backoff;
};

struct config_breaker {
    int32_t failures; /* in a row */
    int64_t open_ms;
};

/* What somebody may do in the review API; each may also do what those before it may. */
enum config_role {
    CONFIG_ROLE_NONE,
    CONFIG_ROLE_VIEW,
    CONFIG_ROLE_REDRIVE,
    CONFIG_ROLE_EDIT,
    CONFIG_ROLE_DISCARD,
    CONFIG_ROLE_ADMIN,
};

/* Of the dead-letter processor; only auto_redrives concerns the worker. */
struct config_dlq {
    int32_t auto_redrives; /* a failed result is final when so many redrives were made; 0 where no DLQ processor runs */
    const char *name;      /* transactional.id is stepmill-dlq-<name>: of two that live, the older is fenced */
    const char *listen;    /* "host:port" */
    const char *folder;    /* of the index; need not exist */
    const char *public_url, *trace_url; /* NULL: none. In trace_url "{trace_id}" stands for the id */
    const char *const *topics;          /* of others: Connect's, Spring's, Streams' */
    size_t ntopics;
    int64_t value_max;
    struct {
        int64_t after_ms, jitter_ms;
        int32_t failure_percent;
    } retry;
    struct {
        int32_t rate, cap, park_after;
    } redrive;
    struct {
        int64_t keep_ms, rows;
    } tasks;
    struct {
        const char *pagerduty_url, *webhook_url;
        struct config_secret pagerduty_key, slack_url, webhook_secret;
        int64_t interval_ms, new_after_ms;
        int32_t spike_factor, spike_min;
    } alerts;
    struct {
        const char *tokens_file; /* JSON */
        const char *jwks_url, *jwks_file, *issuer, *audience, *roles_claim;
        enum config_role anonymous;
        bool mask, read_only, remote;
    } access;
    struct config_tls tls; /* ca_file: of client certificates, which are then required */
};

struct config_limits {
    int64_t record, model_answer, tool_answer, schema, headers, session_memory;
};

struct config_worker {
    const char *slot; /* of the transactional.id; NULL: host name + lowest free number, found at start */
    int64_t commit_interval_ms, events_interval_ms;
    int64_t drain_timeout_ms;
};

struct config_log {
    enum log_level level;
};

struct config {
    const char *path; /* of the file; NULL: none was read */
    struct config_kafka kafka;
    struct config_topics topics;
    struct config_registry registry;
    struct config_redis redis;
    struct config_http http;
    struct config_agent *agents; /* in the file's order */
    size_t nagents;
    struct config_model *models;
    size_t nmodels;
    const char *tool_definitions; /* folder of *.json; NULL: none */
    struct config_retry retry;
    struct config_breaker breaker;
    struct config_dlq dlq;
    struct config_limits limits;
    struct config_worker worker;
    struct config_log log;
    struct config_values *values; /* private: what show and changes print from */
};

/* What the caller cannot do without. A file may leave out what nobody needs: `topics create` runs without Redis. */
enum config_need {
    CONFIG_NEED_KAFKA = 1,         /* kafka.bootstrap.servers */
    CONFIG_NEED_REGISTRY = 2,      /* schema_registry.url */
    CONFIG_NEED_REDIS = 4,         /* redis.url */
    CONFIG_NEED_AGENTS = 8,        /* at least one agent, with prompt and models, and a group */
    CONFIG_NEED_ALL = 15,          /* a worker */
    CONFIG_NEED_DLQ = 16,          /* what the dead-letter processor is told by files and secrets; with KAFKA and REGISTRY */
    CONFIG_NEED_DLQ_IF_THERE = 32, /* the same, where the configuration says anything below dlq: for who only checks it */
};

struct config_source {
    const char *path; /* NULL: STEPMILL_CONFIG, else ./stepmill.yaml, else /etc/stepmill/stepmill.yaml, else no file at all */
    const char *const *sets; /* "path=value" of each --set, the last of equal paths counts */
    size_t nsets;
    char *const *environment; /* as `environ`: NAME=value, NULL at the end */
    unsigned needs;           /* of enum config_need */
};

struct config_problem {
    bool warning;
    int line, column; /* in the file, from 1; 0: not in the file */
    char text[512];   /* "stepmill.yaml:12:5: …", "STEPMILL_REDIS__URL: …" or "--set redis.url: …"; no secrets */
};

/* What is wrong, in the order of the file. Zero-initialise. */
struct config_report {
    struct config_problem problems[CONFIG_PROBLEMS_MAX];
    size_t count;            /* of problems[] */
    size_t errors, warnings; /* seen, kept or not */
    bool no_file;            /* none was named, and none lay where it is looked for */
};

/* Reads, merges and checks everything. NULL when report->errors > 0; warnings (a secret in plain text) do not stop it.
 * Reads the file, prompt files and secret files: at start and on SIGHUP only. */
struct config *config_load(const struct config_source *source, struct config_report *report);
/* One more, of the configuration as a whole, found by who knows more than this loader. Errors are kept before warnings. */
__attribute__((format(printf, 3, 4))) void config_report_add(struct config_report *r, bool warning, const char *format, ...);
void config_free(struct config *c);

/* NULL: no such agent. */
const struct config_agent *config_agent(const struct config *c, struct slice name);
/* The topic of that agent's tasks: its own one, or tasks_prefix + name. Appended. */
void config_tasks_topic(const struct config *c, const char *agent, struct buf *to);

/* Calls `each` for every option that differs, with its full path ("agents.search.max_steps"); `reloadable`: it may be taken over
 * while running. Secrets count by value. An agent or model that came or went is reported once, as "agents.search". */
void config_changes(const struct config *old, const struct config *new,
                    void (*each)(void *context, const char *path, bool reloadable), void *context);

/* The effective values as YAML that config_load reads again; secrets as "${NAME}" or as their *_file, else "********". With
 * `sources` a comment behind each value says where it comes from: file:line, STEPMILL_…, --set, default. */
void config_show(const struct config *c, bool sources, struct buf *to);
/* The same as one JSON object, durations and sizes as written in YAML. */
void config_show_json(const struct config *c, struct buf *to);
/* The reference, made from the option table: one heading per section, for people (Markdown). */
void config_reference(struct buf *to);
/* The reference for machines: a JSON array of {path, type, default, minimum, maximum, values, environment, reloadable, required,
 * help}. */
void config_reference_json(struct buf *to);
/* JSON Schema (2020-12) of the file, for editors. */
void config_schema(struct buf *to);

#endif
