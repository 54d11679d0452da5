/* What no single option can say: what is missing, what excludes what, what must differ. */
#include <stdarg.h>
#include <stdio.h>

#include "reader.h"
#include "stepmill/address.h"
#include "value.h"

struct place place_of(const struct reader *r, const char *path)
{
    char part[TREE_PATH_MAX];
    const struct node *n = tree_find(r->root, path);

    snprintf(part, sizeof part, "%.*s_file", TREE_PATH_MAX - 8, path);
    if (n || (n = tree_find(r->root, part)))
        return n->place;
    snprintf(part, sizeof part, "%s", path);
    for (char *dot = strrchr(part, '.'); dot; dot = strrchr(part, '.')) {
        *dot = '\0';
        n = tree_find(r->root, part);
        if (n)
            return n->named;
    }
    return r->beginning;
}

__attribute__((format(printf, 3, 4))) static void refuse(struct reader *r, const char *path, const char *format, ...)
{
    struct place place = place_of(r, path);
    char text[400];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    problem_error(r->report, &place, "%s: %s", path, text);
}

/* ---- Missing */

/* Whether something stands there, be it wrong: then that was said already. */
static bool is_written(const struct reader *r, const char *path)
{
    char file[TREE_PATH_MAX + 8];

    snprintf(file, sizeof file, "%s_file", path);
    return tree_find(r->root, path) || tree_find(r->root, file);
}

static void check_set(struct reader *r, const struct option *o, const char *path, const void *base)
{
    struct place place = place_of(r, path);
    struct buf variable = BUF(2 * TREE_PATH_MAX);

    if (!(o->need & r->needs) || value_is_set(o, base) || is_written(r, path))
        return;
    sources_variable(path, &variable);
    problem_error(r->report, &place, "%s is missing: write it in the file, or set %s", path, buf_text(&variable));
    buf_free(&variable);
}

static void check_needs(struct reader *r)
{
    const struct config *c = r->config;
    char path[TREE_PATH_MAX];

    for (size_t i = 0; i < option_count; i++) {
        const struct option *o = &option_table[i];
        enum option_scope scope = option_scope(o);
        size_t n = scope == SCOPE_ROOT ? 1 : scope == SCOPE_AGENT ? c->nagents : c->nmodels;

        for (size_t k = 0; o->need && k < n; k++) {
            if (scope == SCOPE_ROOT)
                check_set(r, o, o->path, c);
            else if (scope == SCOPE_AGENT && snprintf(path, sizeof path, "agents.%s.%s", c->agents[k].name, option_name(o)) > 0)
                check_set(r, o, path, &c->agents[k]);
            else if (snprintf(path, sizeof path, "models.%s.%s", c->models[k].name, option_name(o)) > 0)
                check_set(r, o, path, &c->models[k]);
        }
    }
}

static void check_agents(struct reader *r)
{
    struct config *c = r->config;
    char room[256];
    struct buf group = BUF_IN(room);
    char path[TREE_PATH_MAX];

    if (r->needs & CONFIG_NEED_AGENTS && !c->nagents)
        refuse(r, "agents", "no agent is configured: write agents: { my-agent: { system_prompt: …, models: […] } }");
    for (size_t i = 0; i < c->nagents; i++) {
        snprintf(path, sizeof path, "agents.%s.tools", c->agents[i].name);
        if (r->needs & CONFIG_NEED_AGENTS && c->agents[i].ntools && !c->tool_definitions)
            refuse(r, path, "tool_definitions must name the folder with the tool files");
    }
    if (!c->kafka.group_id && c->nagents == 1) {
        buf_printf(&group, "agent-%s", c->agents[0].name);
        c->kafka.group_id = arena_copy(r->arena, buf_slice(&group)).at;
    }
    if (!c->kafka.group_id && c->nagents > 1 && r->needs & CONFIG_NEED_AGENTS)
        refuse(r, "kafka.group.id", "must be set where there are several agents");
}

static void check_models_used(struct reader *r)
{
    const struct config *c = r->config;
    char path[TREE_PATH_MAX];

    for (size_t m = 0; m < c->nmodels; m++) {
        bool used = !c->nagents;

        for (size_t a = 0; a < c->nagents; a++)
            for (size_t i = 0; i < c->agents[a].nmodels; i++)
                used = used || c->agents[a].models[i] == &c->models[m];
        if (!used) {
            const struct node *n;

            snprintf(path, sizeof path, "models.%s", c->models[m].name);
            n = tree_find(r->root, path);
            problem_warning(r->report, n ? &n->named : &r->beginning, "%s is used by no agent", path);
        }
    }
}

/* ---- Together */

static void check_tls(struct reader *r, const char *section, const char *secure, const char *url, const struct config_tls *tls)
{
    char path[TREE_PATH_MAX];

    snprintf(path, sizeof path, "%s.%s", section, tls->ca_file ? "ca_file" : "certificate_file");
    if (url && (tls->ca_file || tls->certificate_file) && strncmp(url, secure, strlen(secure)) != 0)
        refuse(r, path, "has no effect unless the URL begins with %s", secure);
    snprintf(path, sizeof path, "%s.key_file", section);
    if (tls->key_file && !tls->certificate_file)
        refuse(r, path, "certificate_file must be set too");
}

static void check_credentials(struct reader *r)
{
    const struct config_registry *g = &r->config->registry;
    const struct config_redis *d = &r->config->redis;

    if (g->token.value && (g->username || g->password.value))
        refuse(r, "schema_registry.token", "either a token, or username and password");
    else if (g->username && !g->password.value && !is_written(r, "schema_registry.password"))
        refuse(r, "schema_registry.username", "password is missing");
    else if (!g->username && g->password.value)
        refuse(r, "schema_registry.password", "username is missing");
    if (d->username && !d->password.value && !is_written(r, "redis.password"))
        refuse(r, "redis.username", "password is missing");
    check_tls(r, "schema_registry", "https://", g->url, &g->tls);
    check_tls(r, "redis", "rediss://", d->url, &d->tls);
}

/* Whether two agents, or an agent and what we write, would share a topic. */
static bool is_tasks_topic(const struct config *c, const char *agent, const char *name)
{
    char room[1024];
    struct buf topic = BUF_IN(room);

    config_tasks_topic(c, agent, &topic);
    return !strcmp(buf_text(&topic), name);
}

static void check_agents_topics(struct reader *r)
{
    const struct config *c = r->config;
    char path[CONFIG_NAME_MAX + 16];

    for (size_t i = 0; i < c->nagents; i++)
        for (size_t k = 0; k < c->nagents && c->agents[i].topic; k++)
            if (k != i && is_tasks_topic(c, c->agents[k].name, c->agents[i].topic)) {
                snprintf(path, sizeof path, "agents.%s.topic", c->agents[i].name);
                refuse(r, path, "\"%s\" is the task topic of agent %s already", c->agents[i].topic, c->agents[k].name);
            }
}

static void check_topics(struct reader *r)
{
    const struct config_topics *t = &r->config->topics;
    const char *const names[] = {t->results, t->events, t->dlq, t->dlq_actions, t->definitions};
    static const char *const paths[] = {"topics.results", "topics.events", "topics.dlq", "topics.dlq_actions",
                                        "topics.definitions"};

    check_agents_topics(r);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        for (size_t k = 0; k < i; k++)
            if (!strcmp(names[i], names[k]))
                refuse(r, paths[i], "\"%s\" is the topic of %s already", names[i], paths[k]);
        for (size_t k = 0; k < r->config->nagents; k++)
            if (is_tasks_topic(r->config, r->config->agents[k].name, names[i]))
                refuse(r, paths[i], "\"%s\" is the task topic of agent %s already", names[i], r->config->agents[k].name);
    }
}

/* ---- The dead-letter processor */

/* Here "written" is no excuse: "${NAME:-}" with nothing in it would have any JWT pass, or open the API without TLS. */
static void check_dlq_jwt(struct reader *r)
{
    const struct config_dlq *d = &r->config->dlq;

    if (!d->access.jwks_url && !d->access.jwks_file)
        return;
    if (!d->access.issuer)
        refuse(r, "dlq.access.issuer", "must be set with %s", d->access.jwks_url ? "jwks_url" : "jwks_file");
    if (!d->access.audience)
        refuse(r, "dlq.access.audience", "must be set with %s", d->access.jwks_url ? "jwks_url" : "jwks_file");
}

/* Whom other machines may be: whoever is on the network is no admin, and a token is worth nothing to who can read it. */
static void check_dlq_remote(struct reader *r)
{
    const struct config_dlq *d = &r->config->dlq;
    struct place place = place_of(r, "dlq.access.remote");

    if (!d->access.remote) {
        if (!address_is_loopback(slice_of(d->listen)))
            refuse(r, "dlq.listen",
                   "\"%s\" can be reached from other machines: listen on 127.0.0.1, or set dlq.access.remote with tokens and TLS",
                   d->listen);
        return;
    }
    if (d->access.anonymous > CONFIG_ROLE_VIEW)
        refuse(r, "dlq.access.anonymous", "with dlq.access.remote at most view: who may do more needs a token or a JWT");
    if (!d->tls.certificate_file)
        problem_warning(r->report, &place,
                        "dlq.access.remote: without dlq.tls.certificate_file tokens and letters cross the network in plain text, "
                        "unless a proxy before it does TLS");
}

/* Never cites it: it is a secret. */
static void check_dlq_slack(struct reader *r)
{
    struct slice url = slice_of(r->config->dlq.alerts.slack_url.value);

    if (url.at && !slice_starts_with(url, "https://") && !slice_starts_with(url, "http://"))
        refuse(r, "dlq.alerts.slack.url", "a URL that begins with http:// or https:// is needed");
}

static void check_dlq(struct reader *r)
{
    const struct config_tls *tls = &r->config->dlq.tls;

    if (!(r->needs & CONFIG_NEED_DLQ))
        return;
    check_dlq_slack(r);
    check_dlq_jwt(r);
    check_dlq_remote(r);
    if (tls->key_file && !tls->certificate_file)
        refuse(r, "dlq.tls.key_file", "certificate_file must be set too");
    if (tls->ca_file && !tls->certificate_file)
        refuse(r, "dlq.tls.ca_file", "certificate_file must be set too: without TLS no client is asked for its own");
}

static void check_slot(struct reader *r)
{
    const char *slot = r->config->worker.slot;
    size_t n = slot ? strlen(slot) : 1;

    if (n == 0 || n > 64 || (slot && strspn(slot, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") != n))
        refuse(r, "worker.slot", "is 1 to 64 letters, digits, \".\", \"_\" and \"-\"");
}

void check(struct reader *r)
{
    const struct config_retry *retry = &r->config->retry;

    check_needs(r);
    check_agents(r);
    check_models_used(r);
    check_credentials(r);
    check_topics(r);
    check_dlq(r);
    check_slot(r);
    if (retry->model_backoff.min_ms > retry->model_backoff.max_ms)
        refuse(r, "retry.model.backoff_min", "is larger than backoff_max");
    if (retry->tool_backoff.min_ms > retry->tool_backoff.max_ms)
        refuse(r, "retry.tool.backoff_min", "is larger than backoff_max");
}
