/* The doctor's look at models and tools: one harmless request each, all at once. */
#include <stdlib.h>

#include "doctor.h"
#include "stepmill/json.h"
#include "stepmill/nearest.h"
#include "stepmill/tool.h"
#include "store.h"

enum { MODELS_BODY_MAX = 4 * 1024 * 1024 };

enum asked { ASKED_MODELS, ASKED_HEALTH, ASKED_SERVER };

/* One request. */
struct probe {
    struct doctor *d;
    size_t *open; /* probes not answered */
    bool *done;   /* none is open */
    enum asked asked;
    const struct config_model *model;
    const struct tool_definition *tool;
    struct http_endpoint *endpoint;
    char url[600]; /* that is asked, for people */
};

struct probes {
    struct probe *at;
    size_t count, open;
    bool done;
};

static const char *area_of(const struct probe *p) { return p->model ? "models" : "tools"; }
static const char *name_of(const struct probe *p) { return p->model ? p->model->name : p->tool->name.at; }

/* ---- What an answer means */

static void say_no_answer(const struct probe *p, struct error error, const char *detail)
{
    const char *where = p->model                   ? "url of the model"
                        : p->asked == ASKED_HEALTH ? "health_url of the tool"
                                                   : "endpoint of the tool";
    const char *code = error.code;

    doctor_say(p->d, DOCTOR_PROBLEM, area_of(p), "%s: %s: %s (%.200s)", name_of(p), p->url, error.text, detail);
    if (!strcmp(code, "tls_not_trusted"))
        doctor_todo(p->d, p->model ? "set ca_file of the model to the authority that signed the server's certificate"
                                   : "add the authority that signed the server's certificate to the system's");
    else if (!strcmp(code, "name_not_found"))
        doctor_todo(p->d, "is the host's name in the %s right?", where);
    else if (!strcmp(code, "proxy_failed"))
        doctor_todo(p->d, "see HTTPS_PROXY and NO_PROXY in the environment");
    else
        doctor_todo(p->d, "is the server up, the %s right, and no firewall or proxy in between?", where);
}

/* Whether a member "id" of the list is this model. -1: not a list we know. */
static int lists(struct slice body, const char *model)
{
    struct json j = json_start(body);
    bool any = false;

    while (json_next(&j))
        if (json_key_is(&j, "id") && json_next(&j) && j.token == JSON_TOKEN_STRING) {
            any = true;
            if (slice_is(j.raw, model))
                return 1;
        }
    return j.error || !any ? -1 : 0;
}

static void judge_model(const struct probe *p, const struct http_answer *a)
{
    const struct config_model *m = p->model;
    int listed = a->status == 200 ? lists(a->body, m->model) : -1;

    if (a->status == 401 || a->status == 403) {
        doctor_say(p->d, DOCTOR_PROBLEM, "models", "%s: %s answers %d: %s", m->name, p->url, a->status,
                   m->key.value ? "it refuses our key" : "it wants a key, and none is set");
        doctor_todo(p->d, "models.%s.key or key_file: is it this server's, and does it still count?", m->name);
    } else if (a->status == 200 && listed == 0) {
        doctor_say(p->d, DOCTOR_WARNING, "models", "%s: %s answers, but does not list \"%s\"", m->name, p->url, m->model);
        doctor_todo(p->d, "is models.%s.model spelt as the server spells it?", m->name);
    } else if (a->status == 200 && listed > 0) {
        doctor_say(p->d, DOCTOR_FINE, "models", "%s: %s lists %s", m->name, p->url, m->model);
    } else if (a->status / 100 == 5) {
        doctor_say(p->d, DOCTOR_PROBLEM, "models", "%s: %s answers %d", m->name, p->url, a->status);
        doctor_todo(p->d, "the server is in trouble: see its log");
    } else {
        doctor_say(p->d, DOCTOR_WARNING, "models", "%s: %s answers %d%s; it is up, more can't be told", m->name, p->url,
                   a->status, a->status == 200 ? " with something else than a list of models" : "");
        doctor_todo(p->d, "many servers have no such path; if calls fail too, see whether models.%s.url lacks a /v1", m->name);
    }
}

static void judge_tool(const struct probe *p, const struct http_answer *a)
{
    if (p->asked == ASKED_SERVER) {
        doctor_say(p->d, DOCTOR_FINE, "tools", "%s: its server %s answers (the tool itself was not called)", name_of(p), p->url);
    } else if (a->status / 100 == 2) {
        doctor_say(p->d, DOCTOR_FINE, "tools", "%s: %s answers %d", name_of(p), p->url, a->status);
    } else {
        doctor_say(p->d, a->status / 100 == 5 ? DOCTOR_PROBLEM : DOCTOR_WARNING, "tools", "%s: %s answers %d", name_of(p), p->url,
                   a->status);
        doctor_todo(p->d, a->status / 100 == 5 ? "the tool says that it is not well: see its log" : "is health_url right in %s?",
                    p->tool->file);
    }
}

static void on_answer(void *ctx, const struct http_answer *a)
{
    struct probe *p = ctx;

    if (failed(a->error))
        say_no_answer(p, a->error, a->detail);
    else if (p->model)
        judge_model(p, a);
    else
        judge_tool(p, a);
    *p->done = --*p->open == 0;
}

/* ---- Asking */

static void ask(struct probe *p, struct http_request request, const struct http_endpoint_options *options, const char *suffix)
{
    struct error error = http_endpoint_new(p->d->http, options, &p->endpoint);

    snprintf(p->url, sizeof p->url, "%s%s", options->url, suffix);
    if (failed(error)) {
        say_no_answer(p, error, error.code);
        return;
    }
    request.path = slice_of(suffix);
    request.timeout_ms = DOCTOR_TIMEOUT_MS;
    request.done = on_answer;
    request.ctx = p;
    ++*p->open;
    http_send(p->endpoint, &request);
}

static void ask_model(struct probe *p)
{
    const struct config_model *m = p->model;
    char authorization[4096];
    int n = m->key.value ? snprintf(authorization, sizeof authorization, "Bearer %s", m->key.value) : 0;
    struct http_header header = {SLICE("Authorization"), {authorization, (size_t)n}};

    if (n >= (int)sizeof authorization) {
        doctor_say(p->d, DOCTOR_PROBLEM, "models", "%s: its key is longer than 4 KiB", m->name);
        return;
    }
    ask(p,
        (struct http_request){
            .method = "GET", .headers = &header, .header_count = n > 0, .max_body = MODELS_BODY_MAX, .gzip = true},
        &(struct http_endpoint_options){.url = m->url, .ca_file = m->ca_file, .connect_timeout_ms = m->connect_timeout_ms},
        "/models");
}

/* "https://host:port" of a url. */
static void server_of(const char *url, char *to, size_t room)
{
    const char *host = strstr(url, "://");
    size_t n = host ? (size_t)(host + 3 - url) + strcspn(host + 3, "/?#") : strlen(url);

    snprintf(to, room, "%.*s", (int)n, url);
}

/* A tool is not called, since a call may do something: its health_url is asked, or its server what it can. */
static void ask_tool(struct probe *p)
{
    char server[600];

    p->asked = p->tool->health_url ? ASKED_HEALTH : ASKED_SERVER;
    server_of(p->tool->endpoint, server, sizeof server);
    if (p->tool->health_url)
        ask(p, (struct http_request){.method = "GET"}, &(struct http_endpoint_options){.url = p->tool->health_url}, "");
    else
        ask(p, (struct http_request){.method = "OPTIONS"}, &(struct http_endpoint_options){.url = server}, "/");
}

/* ---- Tool files */

static struct tool_set *load_tools(struct doctor *d)
{
    const char *folder = d->config->tool_definitions;
    struct tool_report *report = calloc(1, sizeof *report);
    struct tool_set *set = folder && report ? tool_set_load(folder, report) : NULL;

    for (size_t i = 0; report && i < report->count; i++)
        doctor_say(d, report->problems[i].warning ? DOCTOR_WARNING : DOCTOR_PROBLEM, "tools", "%s", report->problems[i].text);
    if (set)
        doctor_say(d, DOCTOR_FINE, "tools", "%zu tool%s in %s", set->ntools, set->ntools == 1 ? "" : "s", folder);
    d->no_memory = d->no_memory || !report;
    free(report);
    return set;
}

static void check_access(struct doctor *d, const struct tool_set *set)
{
    for (size_t i = 0; i < d->config->nagents; i++) {
        const struct config_agent *a = &d->config->agents[i];

        for (size_t k = 0; k < a->ntools; k++) {
            struct nearest near = nearest_to(slice_of(a->tools[k]));

            if (set && tool_set_find(set, slice_of(a->tools[k])))
                continue;
            for (size_t t = 0; set && t < set->ntools; t++)
                nearest_offer(&near, set->tools[t].name.at);
            doctor_say(d, DOCTOR_PROBLEM, "tools", "agent %s may call \"%s\", which no file defines", a->name, a->tools[k]);
            if (near.name)
                doctor_todo(d, "did you mean \"%s\"? Else add its file to %s", near.name, d->config->tool_definitions);
            else
                doctor_todo(d, "add its JSON file to the folder that tool_definitions names");
        }
    }
}

static bool start_all(struct doctor *d, struct probes *all, const struct tool_set *set)
{
    all->at = calloc(d->config->nmodels + (set ? set->ntools : 0) + 1, sizeof *all->at);
    if (!all->at)
        return false;
    for (size_t i = 0; i < d->config->nmodels; i++)
        all->at[all->count++] = (struct probe){.d = d, .open = &all->open, .done = &all->done, .model = &d->config->models[i]};
    for (size_t i = 0; set && i < set->ntools; i++)
        all->at[all->count++] = (struct probe){.d = d, .open = &all->open, .done = &all->done, .tool = &set->tools[i]};
    for (size_t i = 0; i < all->count; i++)
        if (all->at[i].model)
            ask_model(&all->at[i]);
        else
            ask_tool(&all->at[i]);
    all->done = all->open == 0;
    return true;
}

void doctor_http(struct doctor *d)
{
    struct tool_set *set = load_tools(d);
    struct probes all = {0};

    check_access(d, set);
    if (!start_all(d, &all, set))
        d->no_memory = true;
    else if (!store_turn_until(d->loop, &all.done, 2 * DOCTOR_TIMEOUT_MS)) /* each has its own time-out */
        doctor_say(d, DOCTOR_PROBLEM, "models", "%zu requests to models and tools did not end in time", all.open);
    http_client_free(d->http); /* what is open ends here, while its probe is alive */
    d->http = NULL;
    free(all.at);
    tool_set_free(set);
}
