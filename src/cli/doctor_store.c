/* The doctor's look at the schema registry and at Redis. */
#include "doctor.h"
#include "stepmill/cells.h"
#include "stepmill/clock.h"
#include "stepmill/registry_admin.h"
#include "store.h"

/* ---- Registry */

/* False: the registry can't be asked, so the other subjects need not be tried. */
static bool try_subject(struct doctor *d, struct registry *r, const char *topic, enum own_schema which)
{
    struct detail detail = {""};
    char subject[600], level[32] = "";
    uint32_t id;
    bool own;
    struct error error;

    snprintf(subject, sizeof subject, "%s-value", topic);
    error = registry_lookup(r, subject, own_schema_text(which), &id, &detail);
    if (failed(error) && !strcmp(error.code, "schema_not_registered")) {
        doctor_say(d, DOCTOR_PROBLEM, "registry", "%s: our %s is not registered", subject, own_schema_name(which));
        doctor_todo(d, "stepmill schemas register; workers wait for it (stepmill schemas check says what is there instead)");
        return true;
    }
    if (!failed(error))
        error = registry_compatibility(r, subject, level, &own, &detail);
    if (failed(error)) {
        doctor_say(d, DOCTOR_PROBLEM, "registry", "%s: %s (%.200s)", d->config->registry.url, error.text, detail.text);
        doctor_todo(d, !strcmp(error.code, "registry_refused")
                           ? "schema_registry.username and password, or token, are wrong or may not read"
                           : "is schema_registry.url right (with its path, such as /apis/ccompat/v7), and the registry up?");
        return false;
    }
    if (!strncmp(level, "BACKWARD", 8) || !strncmp(level, "FULL", 4)) {
        doctor_say(d, DOCTOR_FINE, "registry", "%s: %s has id %u, compatibility %s", subject, own_schema_name(which), id, level);
    } else {
        doctor_say(d, DOCTOR_WARNING, "registry", "%s: compatibility is %s, so anybody can register what breaks readers", subject,
                   level);
        doctor_todo(d, "stepmill schemas register");
    }
    return true;
}

static void try_subjects(struct doctor *d, struct registry *r)
{
    bool on = true;

    for (size_t i = 0; on && i < d->config->nagents; i++) {
        struct buf topic = BUF(1024);

        config_tasks_topic(d->config, d->config->agents[i].name, &topic);
        on = try_subject(d, r, buf_text(&topic), OWN_TASK);
        buf_free(&topic);
    }
    if (on && try_subject(d, r, d->config->topics.results, OWN_RESULT))
        (void)try_subject(d, r, d->config->topics.events, OWN_EVENT);
}

void doctor_registry(struct doctor *d)
{
    struct registry *r = NULL;
    struct error error = registry_new(
        &(struct registry_options){
            .loop = d->loop, .client = d->http, .log = &d->cli->log, .config = &d->config->registry, .limits = SCHEMA_LIMITS},
        &r);

    if (failed(error)) {
        doctor_say(d, DOCTOR_PROBLEM, "registry", "%s: %s", d->config->registry.url, error.text);
        doctor_todo(d, "mend schema_registry in the config (%s)", error.code);
        return;
    }
    try_subjects(d, r);
    registry_free(r);
}

/* ---- Redis */

static const char *redis_help(const char *code)
{
    static const struct {
        const char *code, *help;
    } helps[] = {
        {"redis_auth", "redis.username or redis.password is wrong, or an ACL forbids what we need: ~prefix*, +@read +@write "
                       "+@scripting +time +info +client"},
        {"redis_readonly", "redis.url points at a replica: name the primary"},
        {"redis_oom", "Redis is full: raise maxmemory"},
        {"redis_misconf", "Redis can't write to its disk: see its log"},
        {"redis_loading", "Redis reads its data from disk: wait, then try again"},
        {"redis_version", "Redis 6.2 or newer is needed"},
        {"redis_cluster", "Redis Cluster can't hold our keys: name a single server or its proxy"},
        {"redis_sentinel", "this is a Sentinel: name the server it watches"},
        {"redis_tls_untrusted", "the certificate is not trusted, or of another host: set redis.ca_file"},
        {"redis_unresolved", "the host's name in redis.url can't be resolved"},
    };

    for (size_t i = 0; i < sizeof helps / sizeof *helps; i++)
        if (code && !strcmp(helps[i].code, code))
            return helps[i].help;
    return "is redis.url right, Redis up, and reachable from here? For TLS it begins with rediss://";
}

static bool is_unknown(const char *text) { return !text[0] || !strcmp(text, "unknown"); }

/* What a crash of Redis may cost: promise 3, that an acknowledged step is never paid for again, holds as far as Redis keeps what
 * it acknowledged. */
static void judge_durability(struct doctor *d, const struct redis_info *i)
{
    if (is_unknown(i->appendonly)) {
        doctor_say(d, DOCTOR_WARNING, "redis", "whether it writes to disk can't be seen: an ACL forbids CONFIG GET");
        doctor_todo(d, "see for yourself: appendonly yes, and appendfsync always or everysec");
    } else if (strcmp(i->appendonly, "yes") != 0) {
        doctor_say(
            d, DOCTOR_WARNING, "redis",
            "appendonly no: a restart loses what came after the last snapshot; steps of running tasks are paid for again, and "
            "what ended in the last 24 h may run twice when its record comes twice");
        doctor_todo(d, "appendonly yes; appendfsync always if no crash may cost a step");
    } else if (!strcmp(i->appendfsync, "always")) {
        doctor_say(d, DOCTOR_FINE, "redis", "appendonly yes, appendfsync always: no acknowledged step is paid for again");
    } else if (!strcmp(i->appendfsync, "everysec")) {
        doctor_say(
            d, DOCTOR_FINE, "redis",
            "appendonly yes, appendfsync everysec: a crash of its machine (not of Redis alone) may lose the last second; its "
            "steps are then paid for again");
    } else {
        doctor_say(d, DOCTOR_WARNING, "redis", "appendfsync %s: a crash of its machine may lose half a minute of steps",
                   i->appendfsync);
        doctor_todo(d, "appendfsync everysec or always");
    }
}

static void judge(struct doctor *d, const struct redis_info *i)
{
    doctor_say(d, DOCTOR_FINE, "redis", "%s: version %s takes writes", d->config->redis.url, i->version);
    if (is_unknown(i->maxmemory_policy)) {
        doctor_say(d, DOCTOR_WARNING, "redis", "whether it drops keys when full can't be seen: an ACL forbids CONFIG GET");
        doctor_todo(d, "see for yourself: maxmemory-policy noeviction");
    } else if (strcmp(i->maxmemory_policy, "noeviction") != 0) {
        doctor_say(d, DOCTOR_PROBLEM, "redis", "maxmemory-policy %s: a full Redis throws checkpoints away, and tasks begin anew",
                   i->maxmemory_policy);
        doctor_todo(d, "maxmemory-policy noeviction");
    } else {
        doctor_say(d, DOCTOR_FINE, "redis", "maxmemory-policy noeviction");
    }
    judge_durability(d, i);
}

struct try_script {
    bool answered;
    struct error error;
};

static void on_answer(void *ctx, struct ticket ticket, enum cells_op op, const struct cells_answer *answer)
{
    struct try_script *x = ctx;

    (void)ticket;
    (void)op;
    x->answered = true;
    x->error = answer->error;
}

/* A script on the keys of a task that nobody has: it removes a counter that is not there. */
static void try_script(struct doctor *d, struct cells *cells, const struct try_script *x)
{
    const char *prefix = d->config->redis.prefix;

    cells_release(cells, (struct ticket){0}, SLICE("stepmill-doctor"));
    if (store_turn_until(d->loop, &x->answered, DOCTOR_TIMEOUT_MS) && !failed(x->error)) {
        doctor_say(d, DOCTOR_FINE, "redis", "our scripts run on keys %s*", prefix);
        return;
    }
    doctor_say(d, DOCTOR_PROBLEM, "redis", "a script on the keys %s* failed: %s", prefix,
               x->answered ? x->error.text : "no answer in time");
    doctor_todo(d, "an ACL user needs ~%s* and +@read +@write +@scripting +time", prefix);
}

static void try_redis(struct doctor *d)
{
    const struct config_redis *c = &d->config->redis;
    struct try_script x = {0};
    struct redis *redis = NULL;
    struct cells *cells = NULL;
    struct error error = store_open(d->cli, d->config, d->loop, &redis);

    if (failed(error)) {
        doctor_say(d, DOCTOR_PROBLEM, "redis", "%s: %s", c->url, error.text);
        doctor_todo(d, "mend redis in the config (%s)", error.code);
        return;
    }
    cells = cells_new(redis, &d->cli->log, &(struct cells_options){.prefix = c->prefix, .answered = on_answer, .ctx = &x});
    if (!cells) {
        doctor_say(d, DOCTOR_PROBLEM, "redis", "redis.prefix is longer than 128 bytes, or no memory is left");
    } else if (store_wait_up(d->loop, redis, c->connect_timeout_ms + c->timeout_ms)) {
        judge(d, redis_info(redis));
        try_script(d, cells, &x);
    } else {
        error = redis_why_down(redis);
        doctor_say(d, DOCTOR_PROBLEM, "redis", "%s: %s", c->url, failed(error) ? error.text : "no answer in time");
        doctor_todo(d, "%s", redis_help(error.code));
    }
    redis_free(redis);
    cells_free(cells);
}

void doctor_redis(struct doctor *d)
{
    d->cli->log.level = LOG_LEVEL_WARN; /* Redis' own words are in the log only */
    try_redis(d);
    d->cli->log.level = LOG_LEVEL_ERROR;
}
