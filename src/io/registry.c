/* The schema registry: which ids our schemas have. */
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

#include "registry_private.h"
#include "registry_schemas.h"
#include "stepmill/cascade.h"
#include "stepmill/random.h"

enum {
    RETRY_MIN_MS = 1000,
    RETRY_MAX_MS = 15000,
    ESCAPED = 3, /* how much longer a schema may be in an answer: \uXXXX for two bytes */
    ANSWER_ROOM = 64 * 1024,
};

static struct error no_memory(void)
{
    return error_make(CLASS_INTERNAL, "out_of_memory", "no memory left for the schema registry");
}

static char *basic(const char *user, const char *password)
{
    struct buf plain = BUF(4096), text = BUF(8192);
    char *out;

    buf_printf(&plain, "%s:%s", user, password ? password : "");
    out = buf_reserve(&text, 4 * (plain.len / 3 + 2));
    if (out && !plain.failed)
        text.len = (size_t)EVP_EncodeBlock((unsigned char *)out, (const unsigned char *)plain.at, (int)plain.len);
    out = NULL;
    if (!plain.failed && !text.failed && asprintf(&out, "Basic %.*s", SLICE_FMT(buf_slice(&text))) < 0)
        out = NULL;
    buf_free(&plain);
    buf_free(&text);
    return out;
}

static struct error set_credentials(struct registry *r, const struct config_registry *c)
{
    if (c->token.value && c->username)
        return error_make(CLASS_CONFIG, "registry_credentials",
                          "schema_registry: set a token, or username and password, not both");
    if (c->token.value && asprintf(&r->authorization, "Bearer %s", c->token.value) < 0)
        r->authorization = NULL;
    else if (c->username)
        r->authorization = basic(c->username, c->password.value);
    return (c->token.value || c->username) && !r->authorization ? no_memory() : error_none();
}

struct error registry_new(const struct registry_options *options, struct registry **out)
{
    const struct config_registry *c = options->config;
    struct registry *r = calloc(1, sizeof *r);
    struct error error;

    *out = NULL;
    if (!r)
        return no_memory();
    r->loop = options->loop;
    r->client = options->client;
    r->log = options->log;
    r->limits = options->limits;
    r->longest_answer = ESCAPED * options->limits.bytes + ANSWER_ROOM;
    r->timeout_ms = c->timeout_ms;
    random_bytes(&r->seed, sizeof r->seed);
    error = set_credentials(r, c);
    if (!failed(error))
        error = http_endpoint_new(r->client,
                                  &(struct http_endpoint_options){.url = c->url,
                                                                  .ca_file = c->tls.ca_file,
                                                                  .cert_file = c->tls.certificate_file,
                                                                  .key_file = c->tls.key_file,
                                                                  .max_connections = 8},
                                  &r->endpoint);
    if (failed(error)) {
        free(r->authorization);
        free(r);
        return error;
    }
    *out = r;
    return error_none();
}

void registry_free(struct registry *r)
{
    if (!r)
        return;
    registry_forget_requests(r);
    http_endpoint_free(r->endpoint);
    for (size_t i = 0; i < r->nsubjects; i++) {
        loop_timer_cancel(&r->subjects[i]->timer);
        free(r->subjects[i]->name);
        free(r->subjects[i]);
    }
    registry_free_schemas(r);
    free(r->authorization);
    free(r);
}

int64_t registry_pause_ms(struct registry *r, int32_t attempts)
{
    return backoff_ms(RETRY_MIN_MS, RETRY_MAX_MS, attempts, &r->seed);
}

void registry_note(struct registry *r, const struct registry_reply *reply)
{
    r->error = reply->error;
    snprintf(r->detail, sizeof r->detail, "%s", reply->text);
}

static void looked_up(void *ctx, const struct registry_reply *reply)
{
    struct subject *s = ctx;
    struct registry *r = s->registry;
    json_t *id = json_object_get(reply->body, "id");

    if (!failed(reply->error) && json_is_integer(id) && json_integer_value(id) > 0 && json_integer_value(id) <= UINT32_MAX) {
        s->id = (uint32_t)json_integer_value(id);
        s->known = true;
        r->error = error_none();
        log_info(r->log, "schema_registry.id", LOG_TEXT("subject", s->name), LOG_INT("id", s->id));
        return;
    }
    registry_note(r, reply);
    if (reply->error.class == CLASS_POISON)
        r->error =
            error_make(CLASS_CONFIG, "schema_not_registered", "our schema is not registered; run: stepmill schemas register");
    else if (!failed(r->error))
        r->error = error_make(CLASS_WAIT, "registry_failed", "the schema registry gave an answer that is none");
    loop_timer_set(&s->timer, registry_pause_ms(r, s->attempts++));
}

static void look_up(void *ctx)
{
    struct subject *s = ctx;
    struct buf path = BUF(1024), body = BUF(1024 * 1024);

    registry_put_subject(&path, s->name, "");
    registry_put_schema(&body, own_schema_text(s->which));
    registry_ask(s->registry, "POST", &path, &body, looked_up, s);
}

struct error registry_want(struct registry *r, const char *subject, enum own_schema which)
{
    struct subject *s;

    for (size_t i = 0; i < r->nsubjects; i++)
        if (!strcmp(r->subjects[i]->name, subject))
            return error_none();
    if (r->nsubjects == REGISTRY_SUBJECTS_MAX)
        return error_make(CLASS_INTERNAL, "too_many_subjects", "too many subjects are wanted of the schema registry");
    s = calloc(1, sizeof *s);
    if (!s || !(s->name = strdup(subject))) {
        free(s);
        return no_memory();
    }
    s->registry = r;
    s->which = which;
    loop_timer_init(&s->timer, r->loop, look_up, s);
    loop_timer_set(&s->timer, 0);
    r->subjects[r->nsubjects++] = s;
    return error_none();
}

bool registry_id(const struct registry *r, const char *subject, uint32_t *id)
{
    for (size_t i = 0; i < r->nsubjects; i++)
        if (r->subjects[i]->known && !strcmp(r->subjects[i]->name, subject)) {
            *id = r->subjects[i]->id;
            return true;
        }
    return false;
}

struct registry_state registry_state(const struct registry *r)
{
    struct registry_state s = {
        .ready = true, .error = r->error, .detail = r->detail, .schemas = HASH_COUNT(r->entries), .waiting = r->waiting};

    for (size_t i = 0; i < r->nsubjects; i++)
        s.ready &= r->subjects[i]->known;
    return s;
}
