/* The option table. */
#include "options.h"

#define ROOT(member)  offsetof(struct config, member)
#define AGENT(member) offsetof(struct config_agent, member)
#define MODEL(member) offsetof(struct config_model, member)

#define SECOND_MS     INT64_C(1000)
#define MINUTE_MS     (60 * SECOND_MS)
#define DAY_MS        (24 * 60 * MINUTE_MS)
#define RETENTION_MAX (3650 * DAY_MS)
#define KIB           INT64_C(1024)
#define MIB           (1024 * KIB)

static const char *const registry_schemes[] = {"http", "https", NULL};
static const char *const redis_schemes[] = {"redis", "rediss", NULL};
static const char *const apis[] = {[CONFIG_API_OPENAI] = "openai", NULL};
static const char *const log_levels[] = {
    [LOG_LEVEL_DEBUG] = "debug", [LOG_LEVEL_INFO] = "info", [LOG_LEVEL_WARN] = "warn", [LOG_LEVEL_ERROR] = "error", NULL};

/* The rest of a row, behind path, type, offset and help. */
#define RANGE(text, low, high) .fallback = text, .min = (low), .max = (high)
#define DEFAULT(text)          .fallback = text
#define VALUES(names)          .values = names
#define SECOND(member)         .second = member
#define NEED(who)              .need = who
#define WIDE                   .wide = true
#define LIVE                   .reloadable = true
#define UNSET                  .fallback = NULL

const struct option option_table[] = {
    {"kafka.bootstrap.servers", OPTION_STRING, ROOT(kafka.bootstrap_servers),
     "Brokers to start from: host:port, comma separated.", NEED(CONFIG_NEED_KAFKA)},
    {"kafka.group.id", OPTION_STRING, ROOT(kafka.group_id),
     "Consumer group. Default: agent-<agent>, where there is exactly one agent. Two groups over the same topics must differ in "
     "redis.prefix.",
     UNSET},
    {"kafka.*", OPTION_KAFKA, offsetof(struct kafka_option, value),
     "Any other librdkafka property under its own name, passed on as written; those that exactly-once depends on are refused. "
     "Passwords also as <name>_file.",
     UNSET},

    {"schema_registry.url", OPTION_URL, ROOT(registry.url),
     "Base URL of the Confluent API of the schema registry. A user and password in it are moved to username and password.",
     VALUES(registry_schemes), NEED(CONFIG_NEED_REGISTRY)},
    {"schema_registry.username", OPTION_STRING, ROOT(registry.username), "User for basic authentication.", UNSET},
    {"schema_registry.password", OPTION_SECRET, ROOT(registry.password), "Password for basic authentication.", UNSET},
    {"schema_registry.token", OPTION_SECRET, ROOT(registry.token), "Bearer token, instead of user and password.", UNSET},
    {"schema_registry.ca_file", OPTION_FILE, ROOT(registry.tls.ca_file), "Certificate authorities (PEM). Default: the system's.",
     UNSET},
    {"schema_registry.certificate_file", OPTION_FILE, ROOT(registry.tls.certificate_file), "Client certificate (PEM).", UNSET},
    {"schema_registry.key_file", OPTION_FILE, ROOT(registry.tls.key_file), "Key of the client certificate (PEM).", UNSET},
    {"schema_registry.timeout", OPTION_DURATION, ROOT(registry.timeout_ms), "Time for one request.",
     RANGE("5s", 100, 5 * MINUTE_MS)},

    {"redis.url", OPTION_URL, ROOT(redis.url),
     "redis://host:port/database, rediss:// for TLS. A user and password in it are moved to username and password.",
     VALUES(redis_schemes), NEED(CONFIG_NEED_REDIS)},
    {"redis.username", OPTION_STRING, ROOT(redis.username), "ACL user.", UNSET},
    {"redis.password", OPTION_SECRET, ROOT(redis.password), "Password.", UNSET},
    {"redis.prefix", OPTION_STRING, ROOT(redis.prefix),
     "Put before every key. Must differ between groups that read the same topics.", DEFAULT("")},
    {"redis.ca_file", OPTION_FILE, ROOT(redis.tls.ca_file), "Certificate authorities (PEM). Default: the system's.", UNSET},
    {"redis.certificate_file", OPTION_FILE, ROOT(redis.tls.certificate_file), "Client certificate (PEM).", UNSET},
    {"redis.key_file", OPTION_FILE, ROOT(redis.tls.key_file), "Key of the client certificate (PEM).", UNSET},
    {"redis.connect_timeout", OPTION_DURATION, ROOT(redis.connect_timeout_ms), "Time to connect, TLS included.",
     RANGE("2s", 50, MINUTE_MS)},
    {"redis.timeout", OPTION_DURATION, ROOT(redis.timeout_ms),
     "Time for one call; then the connection is given up and made anew.", RANGE("5s", 50, MINUTE_MS)},

    {"http.listen", OPTION_ADDRESS, ROOT(http.listen), "Address of /livez, /readyz and /metrics; 0.0.0.0:8080 in a container.",
     DEFAULT("127.0.0.1:8080")},

    {"agents.*.topic", OPTION_TOPIC, AGENT(topic), "Topic of its tasks. Default: topics.tasks_prefix and the agent's name.",
     UNSET},
    {"agents.*.system_prompt", OPTION_TEXT, AGENT(system_prompt), "What the model is told before each task.",
     NEED(CONFIG_NEED_AGENTS)},
    {"agents.*.models", OPTION_MODELS, AGENT(models), "Names of models, tried in this order.", SECOND(AGENT(nmodels)),
     NEED(CONFIG_NEED_AGENTS)},
    {"agents.*.tools", OPTION_TOOLS, AGENT(tools), "Names of the tools this agent may call; any other is refused.",
     SECOND(AGENT(ntools))},
    {"agents.*.max_steps", OPTION_INT, AGENT(max_steps), "Model calls of one task, where the task does not say.",
     RANGE("10", 1, 25), LIVE},
    {"agents.*.token_budget", OPTION_INT, AGENT(token_budget), "Tokens of one task, where the task does not say.",
     RANGE("8192", 512, 32768), LIVE},
    {"agents.*.deadline", OPTION_DURATION, AGENT(deadline_ms),
     "Time for one task, from when it is loaded; it stands still during an outage.", RANGE("15m", SECOND_MS, 30 * DAY_MS), LIVE},
    {"agents.*.max_in_flight", OPTION_INT, AGENT(max_in_flight),
     "Tasks that run at once; lowered at start if the limit of open files is too small.", RANGE("4000", 1, 100000), LIVE},
    {"agents.*.max_waiting", OPTION_INT, AGENT(max_waiting),
     "Records held back behind earlier ones of their key, shared out over the partitions; a full partition is paused.",
     RANGE("4000", 0, 1000000), LIVE},
    {"agents.*.session_memory", OPTION_BOOL, AGENT(session_memory), "Show the model the last 20 messages of the session.",
     DEFAULT("true"), LIVE},
    {"agents.*.session_token_budget", OPTION_INT, AGENT(session_token_budget),
     "Tokens that all tasks of one session may use together; 0: no cap.", RANGE("50000", 0, INT64_C(1000000000000)), WIDE, LIVE},

    {"models.*.api", OPTION_ENUM, MODEL(api), "Protocol: openai is chat completions, as OpenAI, vLLM and Ollama speak it.",
     DEFAULT("openai"), VALUES(apis)},
    {"models.*.url", OPTION_URL, MODEL(url), "Base URL, e.g. https://api.openai.com/v1.", VALUES(registry_schemes),
     NEED(CONFIG_NEED_AGENTS)},
    {"models.*.model", OPTION_STRING, MODEL(model), "The model's id as the provider calls it; pin a version.",
     NEED(CONFIG_NEED_AGENTS)},
    {"models.*.key", OPTION_SECRET, MODEL(key), "API key, sent as a bearer token.", UNSET},
    {"models.*.timeout", OPTION_DURATION, MODEL(timeout_ms), "Time for one call.", RANGE("30s", 100, 60 * MINUTE_MS)},
    {"models.*.connect_timeout", OPTION_DURATION, MODEL(connect_timeout_ms), "Time to connect, TLS included.",
     RANGE("5s", 50, MINUTE_MS)},
    {"models.*.temperature", OPTION_DOUBLE, MODEL(temperature), "Sampling temperature. Not set: not sent.", RANGE(NULL, 0, 2),
     SECOND(MODEL(has_temperature))},
    {"models.*.seed", OPTION_INT, MODEL(seed), "Sampling seed. Not set: not sent.", RANGE(NULL, INT64_MIN, INT64_MAX),
     SECOND(MODEL(has_seed)), WIDE},
    {"models.*.max_tokens", OPTION_INT, MODEL(max_tokens), "Longest answer in tokens. Not set: not sent.",
     RANGE(NULL, 1, 1000000), SECOND(MODEL(has_max_tokens))},
    {"models.*.extra", OPTION_JSON, MODEL(extra), "Further members of the request's body, as a map, e.g. { top_p: 0.9 }.", UNSET},
    {"models.*.ca_file", OPTION_FILE, MODEL(ca_file), "Certificate authorities (PEM). Default: the system's.", UNSET},
    {"models.*.max_connections", OPTION_INT, MODEL(max_connections), "Connections to this endpoint; further calls wait for one.",
     RANGE("4096", 1, 65536)},

    {"tool_definitions", OPTION_FOLDER, ROOT(tool_definitions), "Folder with one JSON file per tool.", UNSET},

    {"topics.tasks_prefix", OPTION_TOPIC, ROOT(topics.tasks_prefix), "Task topics are this and the agent's name.",
     DEFAULT("agent.tasks.")},
    {"topics.results", OPTION_TOPIC, ROOT(topics.results), "Topic of results.", DEFAULT("agent.results")},
    {"topics.events", OPTION_TOPIC, ROOT(topics.events), "Topic of events, the audit log.", DEFAULT("agent.events")},
    {"topics.dlq", OPTION_TOPIC, ROOT(topics.dlq), "Topic of dead letters.", DEFAULT("agent.dlq")},
    {"topics.dlq_actions", OPTION_TOPIC, ROOT(topics.dlq_actions), "Topic of what was decided about dead letters.",
     DEFAULT("agent.dlq.actions")},
    {"topics.definitions", OPTION_TOPIC, ROOT(topics.definitions), "Topic of agent definitions, compacted.",
     DEFAULT("agent.definitions")},
    {"topics.partitions", OPTION_INT, ROOT(topics.partitions),
     "Partitions that `topics create` gives a topic; as many workers can share it.", RANGE("12", 1, 10000)},
    {"topics.replication", OPTION_INT, ROOT(topics.replication),
     "Copies that `topics create` asks for; at 3 and more, two must acknowledge. 1 on a single broker.", RANGE("3", 1, 15)},
    {"topics.retention.tasks", OPTION_DURATION, ROOT(topics.retention.tasks_ms), "How long `topics create` keeps tasks.",
     RANGE("7d", MINUTE_MS, RETENTION_MAX)},
    {"topics.retention.results", OPTION_DURATION, ROOT(topics.retention.results_ms), "How long results are kept.",
     RANGE("7d", MINUTE_MS, RETENTION_MAX)},
    {"topics.retention.events", OPTION_DURATION, ROOT(topics.retention.events_ms), "How long events are kept.",
     RANGE("30d", MINUTE_MS, RETENTION_MAX)},
    {"topics.retention.dlq", OPTION_DURATION, ROOT(topics.retention.dlq_ms),
     "How long dead letters and the actions on them are kept.", RANGE("90d", MINUTE_MS, RETENTION_MAX)},

    {"retry.model.rounds", OPTION_INT, ROOT(retry.model_rounds), "Rounds through an agent's models before a task is given up.",
     RANGE("3", 1, 100), LIVE},
    {"retry.model.backoff_min", OPTION_DURATION, ROOT(retry.model_backoff.min_ms), "Shortest wait between rounds.",
     RANGE("1s", 1, 10 * MINUTE_MS), LIVE},
    {"retry.model.backoff_max", OPTION_DURATION, ROOT(retry.model_backoff.max_ms), "Longest wait between rounds.",
     RANGE("15s", 1, 60 * MINUTE_MS), LIVE},
    {"retry.tool.attempts", OPTION_INT, ROOT(retry.tool_attempts),
     "Attempts of one tool call before the model is told that it failed.", RANGE("3", 1, 100), LIVE},
    {"retry.tool.backoff_min", OPTION_DURATION, ROOT(retry.tool_backoff.min_ms), "Shortest wait between attempts.",
     RANGE("1s", 1, 10 * MINUTE_MS), LIVE},
    {"retry.tool.backoff_max", OPTION_DURATION, ROOT(retry.tool_backoff.max_ms), "Longest wait between attempts.",
     RANGE("60s", 1, 60 * MINUTE_MS), LIVE},

    {"breaker.failures", OPTION_INT, ROOT(breaker.failures), "Failures in a row that close an endpoint.", RANGE("5", 1, 1000),
     LIVE},
    {"breaker.open", OPTION_DURATION, ROOT(breaker.open_ms), "How long it stays closed before one call tries it.",
     RANGE("30s", 10, 60 * MINUTE_MS), LIVE},

    {"dlq.auto_redrives", OPTION_INT, ROOT(dlq.auto_redrives),
     "Redrives that the DLQ processor makes by itself; until then a failed result is not final. 0 where none runs.",
     RANGE("0", 0, 100), LIVE},

    {"limits.record", OPTION_SIZE, ROOT(limits.record), "Largest task record.", RANGE("1MiB", KIB, 8 * MIB), LIVE},
    {"limits.model_answer", OPTION_SIZE, ROOT(limits.model_answer), "Largest answer of a model.",
     RANGE("4MiB", 4 * KIB, 64 * MIB), LIVE},
    {"limits.tool_answer", OPTION_SIZE, ROOT(limits.tool_answer), "Largest answer of a tool; what is beyond is cut, and marked.",
     RANGE("256KiB", KIB, 4 * MIB), LIVE},
    {"limits.schema", OPTION_SIZE, ROOT(limits.schema), "Largest Avro schema that is accepted from the registry.",
     RANGE("256KiB", KIB, 4 * MIB)},
    {"limits.headers", OPTION_SIZE, ROOT(limits.headers), "Largest headers of a record, and of an HTTP answer.",
     RANGE("64KiB", KIB, MIB)},
    {"limits.session_memory", OPTION_SIZE, ROOT(limits.session_memory),
     "Largest memory of a session; the oldest messages go first.", RANGE("256KiB", KIB, 4 * MIB)},

    {"worker.slot", OPTION_STRING, ROOT(worker.slot),
     "Names this worker in its transactional id, <group>-worker-<slot>; never the same for two that live. Default: host name and "
     "lowest free number.",
     UNSET},
    {"worker.commit_interval", OPTION_DURATION, ROOT(worker.commit_interval_ms), "Shortest time between two transactions.",
     RANGE("20ms", 1, 10 * SECOND_MS), LIVE},
    {"worker.events_interval", OPTION_DURATION, ROOT(worker.events_interval_ms),
     "How long step events alone wait for a transaction.", RANGE("200ms", 1, 60 * SECOND_MS), LIVE},
    {"worker.drain_timeout", OPTION_DURATION, ROOT(worker.drain_timeout_ms),
     "Time to finish after SIGTERM; what is not done then goes on elsewhere. Keep it below the platform's grace period.",
     RANGE("25s", 0, 60 * MINUTE_MS), LIVE},

    {"log.level", OPTION_ENUM, ROOT(log.level), "Least serious log line that is written.", DEFAULT("info"), VALUES(log_levels),
     LIVE},
};

const size_t option_count = sizeof option_table / sizeof *option_table;
