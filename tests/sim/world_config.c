/* The configuration that every simulated worker runs with, made by hand: no file is read. */
#include "world.h"

#include "model_script.h"
#include "stepmill/config.h"

enum { SECOND = 1000, MINUTE = 60 * SECOND };

static const struct kafka_option kafka_options[] = {{"bootstrap.servers", "sim:9092"}};

static const struct config_model models[] = {
    {.name = "first", .url = "http://model-0", .model = "sim-1", .timeout_ms = 30 * SECOND, .connect_timeout_ms = 5 * SECOND},
    {.name = "second", .url = "http://model-1", .model = "sim-1", .timeout_ms = 30 * SECOND, .connect_timeout_ms = 5 * SECOND},
};
static const struct config_model *const cascade[] = {&models[0], &models[1]};

#define AGENT(steps, tokens)                                                                                                     \
    {                                                                                                                            \
        .name = WORLD_AGENT, .system_prompt = "You are simulated.", .models = cascade, .nmodels = 2, .tools = script_tool_names, \
        .ntools = SCRIPT_TOOLS, .max_steps = (steps), .token_budget = (tokens), .deadline_ms = 15 * MINUTE, .max_in_flight = 4,  \
        .max_waiting = 4, .session_memory = true,                                                                                \
    }
/* Somebody edits the file: some workers have the second one. */
static const struct config_agent agents[2] = {AGENT(10, 8192), AGENT(2, 100)};

struct config world_config(void)
{
    const struct config_agent *agent = &agents[world_mood() == WORLD_CHANGING ? sim_below(2) : 0];

    return (struct config){
        .kafka = {.options = kafka_options, .noptions = 1, .bootstrap_servers = "sim:9092", .group_id = WORLD_GROUP},
        .topics = {.tasks_prefix = "agent.tasks.",
                   .results = WORLD_RESULTS,
                   .events = WORLD_EVENTS,
                   .dlq = WORLD_DLQ,
                   .dlq_actions = "agent.dlq.actions",
                   .definitions = "agent.definitions"},
        .registry = {.url = "http://registry", .timeout_ms = 5 * SECOND},
        .redis = {.url = "redis://sim:6379/0", .prefix = "", .connect_timeout_ms = 5 * SECOND, .timeout_ms = 2 * SECOND},
        .http = {.listen = "127.0.0.1:1"},
        .agents = (struct config_agent *)(uintptr_t)agent,
        .nagents = 1,
        .models = (struct config_model *)(uintptr_t)models,
        .nmodels = 2,
        .tool_definitions = "definitions",
        .retry = {.model_rounds = 3,
                  .model_backoff = {1 * SECOND, 15 * SECOND},
                  .tool_attempts = 3,
                  .tool_backoff = {1 * SECOND, 60 * SECOND}},
        .breaker = {.failures = 5, .open_ms = 30 * SECOND},
        .limits = {.record = 1 << 20,
                   .model_answer = 4 << 20,
                   .tool_answer = 256 << 10,
                   .schema = 256 << 10,
                   .headers = 64 << 10,
                   .session_memory = 256 << 10},
        .worker = {.commit_interval_ms = 20, .events_interval_ms = 200, .drain_timeout_ms = 60 * SECOND},
        .log = {.level = LOG_LEVEL_ERROR},
    };
}
