/* Agents, models and tools as the config names them, made once at start. */
#include <stdio.h>
#include <stdlib.h>

#include "worker.h"

static struct error no_memory(void) { return error_make(CLASS_INTERNAL, "out_of_memory", "no memory left at start"); }

static struct error make_model(struct worker *w, struct model *m, const struct config_model *c)
{
    int n = 0;

    m->config = c;
    if (c->key.value)
        n = snprintf(m->authorization, sizeof m->authorization, "Bearer %s", c->key.value);
    if (n >= (int)sizeof m->authorization)
        return error_make(CLASS_CONFIG, "key_too_long", "a model's key has more than 2,000 bytes");
    return http_endpoint_new(
        w->http,
        &(struct http_endpoint_options){.url = c->url,
                                        .ca_file = c->ca_file,
                                        .connect_timeout_ms = c->connect_timeout_ms,
                                        .max_connections = c->max_connections > 0 ? (size_t)c->max_connections : 0},
        &m->endpoint);
}

static struct error make_tool(struct worker *w, struct tool *t, const struct tool_definition *d)
{
    t->definition = d;
    return http_endpoint_new(w->http, &(struct http_endpoint_options){.url = d->endpoint}, &t->endpoint);
}

static struct error add_tools(struct worker *w, struct agent *a)
{
    for (size_t i = 0; i < a->config->ntools; i++) {
        struct tool *found = NULL;

        for (size_t k = 0; k < w->ntools; k++)
            if (slice_is(w->tools[k].definition->name, a->config->tools[i]))
                found = &w->tools[k];
        if (!found) {
            log_error(
                w->log, "worker.tool_missing", LOG_SLICE("agent_id", a->name), LOG_TEXT("tool_name", a->config->tools[i]),
                LOG_TEXT("folder", w->config->tool_definitions),
                LOG_TEXT(
                    "action",
                    "put a JSON file that defines it into the folder tool_definitions names, or take it from the agent's tools"));
            return error_make(CLASS_CONFIG, "tool_missing", "an agent names a tool that no file defines");
        }
        a->tools[a->ntools] = found;
        a->frozen[a->ntools++] = (struct frozen_tool){found->definition->name, found->definition->version,
                                                      found->definition->repeatable, found->definition->fail_on_unknown};
    }
    return error_none();
}

/* The request body as far as it is the same for all tasks, per model; and the digest that ModelAnswered names. */
static struct error render(struct agent *a)
{
    struct openai_tool tools[EVENT_TOOLS_MAX];
    struct buf definition = BUF(TASK_MEMORY_MAX);
    struct digest digest;
    bool failed_any;

    for (size_t i = 0; i < a->ntools; i++)
        tools[i] = (struct openai_tool){a->tools[i]->definition->name, a->tools[i]->definition->description,
                                        a->tools[i]->definition->parameters};
    for (size_t i = 0; i < a->nmodels; i++) {
        const struct config_model *m = a->models[i]->config;

        a->heads[i] = BUF(TASK_MEMORY_MAX);
        openai_put_head(&a->heads[i], &(struct openai_request){.model = slice_of(m->model),
                                                               .tools = tools,
                                                               .ntools = a->ntools,
                                                               .has_temperature = m->has_temperature,
                                                               .has_seed = m->has_seed,
                                                               .has_max_tokens = m->has_max_tokens,
                                                               .temperature = m->temperature,
                                                               .seed = m->seed,
                                                               .max_tokens = m->max_tokens,
                                                               .extra = m->extra});
        a->before_messages[i] = a->heads[i].len;
        openai_put_system(&a->heads[i], slice_of(a->config->system_prompt));
        if (a->heads[i].failed)
            return no_memory();
        idempotency_begin(&a->hashed_heads[i], SLICE("openai"));
        digest_add(&a->hashed_heads[i], buf_slice(&a->heads[i]));
    }
    openai_put_definition(&definition, slice_of(a->config->system_prompt), tools, a->ntools);
    digest = digest_of((struct slice[]){buf_slice(&definition)}, 1);
    digest_text(a->definition, &digest);
    failed_any = definition.failed;
    buf_free(&definition);
    return failed_any ? no_memory() : error_none();
}

static struct error make_agent(struct worker *w, struct agent *a, const struct config_agent *c)
{
    struct buf topic = BUF(512);
    struct error error;

    a->worker = w;
    a->values = *c;
    a->config = &a->values;
    a->name = slice_of(c->name);
    snprintf(a->result_source, sizeof a->result_source, "%s/results", c->name);
    config_tasks_topic(w->config, c->name, &topic);
    a->topic = strdup(buf_text(&topic));
    buf_free(&topic);
    if (!a->topic)
        return no_memory();
    for (size_t i = 0; i < c->nmodels; i++)
        for (size_t k = 0; k < w->nmodels; k++)
            if (w->models[k].config == c->models[i]) {
                a->models[a->nmodels] = &w->models[k];
                a->healths[a->nmodels++] = &w->models[k].health;
            }
    error = add_tools(w, a);
    return failed(error) ? error : render(a);
}

static struct error load_tools(struct worker *w)
{
    struct tool_report report = {.count = 0};

    if (!w->config->tool_definitions)
        return error_none();
    w->tool_set = tool_set_load(w->config->tool_definitions, &report);
    for (size_t i = 0; i < report.count; i++)
        if (report.problems[i].warning)
            log_warn(w->log, "worker.tool_file", LOG_TEXT("problem", report.problems[i].text));
        else
            log_error(w->log, "worker.tool_file", LOG_TEXT("problem", report.problems[i].text));
    return w->tool_set ? error_none()
                       : error_make(CLASS_CONFIG, "tool_definitions", "the tool files can't be used; see the lines before");
}

struct error worker_make_agents(struct worker *w)
{
    const struct config *c = w->config;
    struct error error = load_tools(w);
    size_t ntools = w->tool_set ? w->tool_set->ntools : 0;

    w->models = calloc(c->nmodels + 1, sizeof *w->models);
    w->tools = calloc(ntools + 1, sizeof *w->tools);
    w->agents = calloc(c->nagents + 1, sizeof *w->agents);
    if (!failed(error) && (!w->models || !w->tools || !w->agents))
        error = no_memory();
    for (; !failed(error) && w->nmodels < c->nmodels; w->nmodels++)
        error = make_model(w, &w->models[w->nmodels], &c->models[w->nmodels]);
    for (; !failed(error) && w->ntools < ntools; w->ntools++)
        error = make_tool(w, &w->tools[w->ntools], &w->tool_set->tools[w->ntools]);
    for (; !failed(error) && w->nagents < c->nagents; w->nagents++)
        error = make_agent(w, &w->agents[w->nagents], &c->agents[w->nagents]);
    worker_bound_in_flight(w);
    return error;
}

void worker_free_agents(struct worker *w)
{
    for (size_t i = 0; w->agents && i <= w->nagents && i < w->config->nagents; i++) {
        for (size_t k = 0; k < w->agents[i].nmodels; k++)
            buf_free(&w->agents[i].heads[k]);
        free(w->agents[i].topic);
    }
    free(w->agents);
    free(w->models);
    free(w->tools);
    tool_set_free(w->tool_set);
}

struct tool *agent_tool(const struct agent *a, struct slice name)
{
    for (size_t i = 0; i < a->ntools; i++)
        if (slice_equal(a->tools[i]->definition->name, name))
            return a->tools[i];
    return NULL;
}
