/* The Redis client: made, closed, and its one timer. */
#include "stepmill/redis.h"

#include <stdlib.h>
#include <string.h>

#include "redis_private.h"
#include "stepmill/random.h"

/* Copies the text, or the default when it is not given. */
static bool keep(const char **text, const char *otherwise)
{
    const char *from = *text ? *text : otherwise;

    *text = from ? strdup(from) : NULL;
    return *text || !from;
}

static bool keep_texts(struct redis_options *o)
{
    bool kept = keep(&o->url, NULL);

    kept &= keep(&o->user, NULL);
    kept &= keep(&o->password, NULL);
    kept &= keep(&o->ca_file, NULL);
    kept &= keep(&o->cert_file, NULL);
    kept &= keep(&o->key_file, NULL);
    kept &= keep(&o->server_name, NULL);
    kept &= keep(&o->client_name, "stepmill");
    kept &= keep(&o->probe_key, "stepmill:probe");
    return kept;
}

static void drop_texts(struct redis_options *o)
{
    const char *const texts[] = {o->url,      o->user,        o->password,    o->ca_file,  o->cert_file,
                                 o->key_file, o->server_name, o->client_name, o->probe_key};

    if (o->password)
        explicit_bzero((char *)(uintptr_t)o->password, strlen(o->password));
    if (o->url)
        explicit_bzero((char *)(uintptr_t)o->url, strlen(o->url)); /* may hold a password too */
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        free((char *)(uintptr_t)texts[i]);
}

static void fill_numbers(struct redis_options *o)
{
    if (!o->connect_timeout_ms)
        o->connect_timeout_ms = 5000;
    if (!o->call_timeout_ms)
        o->call_timeout_ms = 2000;
    if (!o->max_calls)
        o->max_calls = 100000;
    if (!o->max_bytes)
        o->max_bytes = (size_t)256 << 20;
    if (!o->max_answer)
        o->max_answer = (size_t)8 << 20;
}

/* What is given beside the URL counts before what stands in it. */
static struct error take_address(struct redis *r)
{
    struct redis_address *a = &r->address;
    struct redis_options *o = &r->options;
    struct error error = redis_url_parse(o->url, a);

    if (failed(error))
        return error;
    if ((o->user && strlen(o->user) >= sizeof a->user) || (o->password && strlen(o->password) >= sizeof a->password))
        return error_make(CLASS_CONFIG, "redis_url", "user or password of Redis is too long");
    if (o->user)
        memcpy(a->user, o->user, strlen(o->user) + 1);
    if (o->password)
        memcpy(a->password, o->password, strlen(o->password) + 1);
    return r->address.tls ? redis_tls_check(r) : error_none();
}

static void on_timer(void *redis)
{
    struct redis *r = redis;
    struct error late = error_make(CLASS_WAIT, "redis_unreachable", "Redis could not be reached in time");

    switch (r->state) {
    case STATE_APART:
        redis_link_open(r);
        break;
    case STATE_RESOLVING:
        redis_resolve_cancel(r);
        redis_link_failed(r, late, "no answer about its name from DNS");
        break;
    case STATE_CONNECTING:
        redis_link_drop(r, late, error_none(), "no connection, no TLS, or no answer to the greeting");
        break;
    case STATE_UP:
    case STATE_DRAINING:
        redis_look_at_oldest(r);
        break;
    case STATE_CLOSING:
        break;
    }
}

struct error redis_new(struct loop *l, const struct log *log, const struct redis_options *options, struct redis **out)
{
    struct redis *r = calloc(1, sizeof *r);
    struct error error;

    *out = NULL;
    if (!r)
        return error_make(CLASS_INTERNAL, "out_of_memory", "no memory for the client of Redis");
    r->loop = l;
    r->log = log;
    r->options = *options;
    error = keep_texts(&r->options) ? take_address(r)
                                    : error_make(CLASS_INTERNAL, "out_of_memory", "no memory for the client of Redis");
    if (failed(error)) {
        drop_texts(&r->options);
        free(r);
        return error;
    }
    fill_numbers(&r->options);
    random_bytes(&r->jitter, sizeof r->jitter);
    r->why = error_make(CLASS_WAIT, "redis_connecting", "the first connection to Redis is being made");
    loop_timer_init(&r->timer, l, on_timer, r);
    loop_timer_init(&r->refuse_timer, l, redis_on_refused, r);
    loop_timer_set(&r->timer, 0);
    *out = r;
    return error_none();
}

void redis_free(struct redis *r)
{
    if (!r)
        return;
    if (r->in_callback)
        bug("redis_free from a callback of the client");
    r->state = STATE_CLOSING;
    loop_timer_cancel(&r->timer);
    redis_resolve_cancel(r);
    if (r->link)
        redis_link_drop(r, error_none(), error_none(), "");
    while (r->refused.count)
        redis_on_refused(r);
    loop_timer_cancel(&r->refuse_timer);
    redis_resolve_free(r);
    drop_texts(&r->options);
    explicit_bzero(&r->address, sizeof r->address);
    free(r);
}

int redis_script(struct redis *r, struct slice source)
{
    if (r->nscripts == SCRIPTS_MAX || r->link)
        bug("a Redis script too many, or too late");
    r->scripts[r->nscripts].source = source;
    memset(r->scripts[r->nscripts].sha, '0', SHA_LEN); /* until the server has named it */
    return r->nscripts++;
}
