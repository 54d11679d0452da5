/* Who calls: static tokens by their digest, JWTs by the issuer's keys, and how both are kept fresh. */
#include "access.h"

#include <jansson.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/stat.h>

#include "stepmill/clock.h"
#include "stepmill/digest.h"
#include "stepmill/secret.h"

enum { TOKENS_MAX = 1000, LOOK_MS = 30000, FETCH_MS = 300000, FETCH_AGAIN_MS = 5000, UNKNOWN_MS = 30000, LEEWAY_MS = 30000 };
enum { TOKEN_TEXT_MAX = JWT_SIZE_MAX, JWKS_BYTES_MAX = 1 << 20 };

struct token {
    char digest[65], name[WHO_NAME_MAX + 1];
    enum config_role role;
};

/* A request for keys, which may outlive who made it. */
struct fetch {
    struct access *access; /* NULL: it is gone */
};

struct access {
    struct loop *loop;
    const struct config *config;
    const struct log *log;
    struct http_client *http;
    struct token *tokens;
    size_t ntokens;
    struct jwt_keys *keys; /* NULL: none yet */
    struct http_endpoint *issuer;
    struct fetch *fetching; /* NULL: none under way */
    struct timespec tokens_changed, jwks_changed;
    int64_t renewed_ms; /* when an unknown kid last had the keys read; monotonic */
    struct loop_timer look, fetch;
    void (*came)(void *ctx);
    void *came_ctx;
};

static const char *const role_names[] = {"none", "view", "redrive", "edit", "discard", "admin"};

const char *role_name(enum config_role role) { return role_names[role]; }

enum config_role role_of(struct slice name)
{
    for (enum config_role r = CONFIG_ROLE_VIEW; r <= CONFIG_ROLE_ADMIN; r++)
        if (slice_is(name, role_names[r]))
            return r;
    return CONFIG_ROLE_NONE;
}

const char *who_kind_name(const struct who *w)
{
    return w->kind == WHO_TOKEN ? "token" : w->kind == WHO_USER ? "user" : "anonymous";
}

/* ---- Files */

static bool take_token(const json_t *item, struct token *t)
{
    const char *name = json_string_value(json_object_get(item, "name"));
    const char *role = json_string_value(json_object_get(item, "role"));
    const char *digest = json_string_value(json_object_get(item, "sha256"));
    unsigned char bytes[32];

    if (!name || !*name || strlen(name) > WHO_NAME_MAX || !role || !digest || json_object_size(item) != 3)
        return false;
    t->role = role_of(slice_of(role));
    if (t->role == CONFIG_ROLE_NONE || !hex_decode(bytes, sizeof bytes, slice_of(digest)))
        return false;
    hex_encode(t->digest, bytes, sizeof bytes);
    memcpy(t->name, name, strlen(name) + 1);
    return true;
}

static struct error bad_tokens(void)
{
    return error_make(CLASS_CONFIG, "bad_tokens_file",
                      "dlq.access.tokens_file must be a JSON list of {\"name\", \"role\", \"sha256\"}, each role one of view, "
                      "redrive, edit, discard, admin");
}

static struct error parse_tokens(struct slice text, struct token **out, size_t *n)
{
    json_t *list = json_loadb(text.at, text.len, JSON_REJECT_DUPLICATES, NULL);
    size_t count = json_array_size(list);
    struct token *tokens = count <= TOKENS_MAX ? calloc(count + 1, sizeof *tokens) : NULL;
    bool good = json_is_array(list) && tokens;

    for (size_t i = 0; good && i < count; i++)
        good = take_token(json_array_get(list, i), &tokens[i]);
    json_decref(list);
    if (!good) {
        free(tokens);
        return bad_tokens();
    }
    *out = tokens;
    *n = count;
    return error_none();
}

static struct error read_tokens(struct access *a)
{
    struct buf text = BUF(SECRET_MAX);
    struct token *tokens = NULL;
    size_t n = 0;
    struct error e = secret_read_file(a->config->dlq.access.tokens_file, &text);

    if (!failed(e))
        e = parse_tokens(buf_slice(&text), &tokens, &n);
    buf_free(&text);
    if (failed(e))
        return e;
    free(a->tokens);
    a->tokens = tokens;
    a->ntokens = n;
    return e;
}

static struct error take_keys(struct access *a, struct slice jwks)
{
    struct jwt_keys *keys;
    struct error e = jwt_keys_read(jwks, &keys);

    if (failed(e))
        return e;
    jwt_keys_free(a->keys);
    a->keys = keys;
    return e;
}

static struct error read_jwks(struct access *a)
{
    struct buf text = BUF(SECRET_MAX);
    struct error e = secret_read_file(a->config->dlq.access.jwks_file, &text);

    if (!failed(e))
        e = take_keys(a, buf_slice(&text));
    buf_free(&text);
    return e;
}

static void log_trouble(const struct access *a, const char *what, const char *where, struct error e)
{
    log_error(a->log, "dlq.access.trouble", LOG_TEXT("what", what), LOG_TEXT("where", where), LOG_ERROR(e));
}

static bool has_changed(const char *path, const struct timespec *last, struct timespec *now)
{
    struct stat st;

    if (!path || stat(path, &st) < 0)
        return false;
    *now = st.st_mtim;
    return memcmp(now, last, sizeof *last) != 0;
}

/* Reads what changed on disk; the first trouble is returned, all is logged. */
static struct error look_at_files(struct access *a, bool all)
{
    const char *tokens = a->config->dlq.access.tokens_file, *jwks = a->config->dlq.access.jwks_file;
    struct timespec tokens_at = {0, 0}, jwks_at = {0, 0};
    struct error first = error_none(), e;
    bool tokens_new = has_changed(tokens, &a->tokens_changed, &tokens_at),
         jwks_new = has_changed(jwks, &a->jwks_changed, &jwks_at);

    if (tokens && (all || tokens_new)) {
        first = read_tokens(a);
        if (failed(first))
            log_trouble(a, "tokens", tokens, first);
        else /* what could not be read is read again, changed or not: rights do not show in the time */
            a->tokens_changed = tokens_at;
    }
    if (jwks && (all || jwks_new)) {
        e = read_jwks(a);
        if (failed(e))
            log_trouble(a, "keys", jwks, e);
        else
            a->jwks_changed = jwks_at;
        first = failed(first) ? first : e;
    }
    return first;
}

static void on_look(void *ctx)
{
    struct access *a = ctx;

    if (failed(look_at_files(a, false)))
        log_warn(a->log, "dlq.access.kept", LOG_TEXT("reason", "what was read before stays in force"));
    loop_timer_set(&a->look, LOOK_MS);
}

/* ---- Keys by URL */

static void on_keys(void *ctx, const struct http_answer *answer)
{
    struct fetch *f = ctx;
    struct access *a = f->access;
    struct error e = answer->error;

    free(f);
    if (!a)
        return;
    a->fetching = NULL;
    if (!failed(e) && answer->status != 200)
        e = error_make(CLASS_AGAIN, "jwks_refused", "the issuer's keys were answered with another status than 200");
    if (!failed(e))
        e = take_keys(a, answer->body);
    if (failed(e))
        log_warn(a->log, "dlq.access.keys", LOG_TEXT("url", a->config->dlq.access.jwks_url), LOG_INT("status", answer->status),
                 LOG_TEXT("detail", answer->detail), LOG_ERROR(e));
    loop_timer_set(&a->fetch, failed(e) ? FETCH_AGAIN_MS : FETCH_MS);
    if (a->came)
        a->came(a->came_ctx);
}

static void on_fetch(void *ctx)
{
    struct access *a = ctx;

    loop_timer_cancel(&a->fetch);
    a->fetching = calloc(1, sizeof *a->fetching);
    if (!a->fetching) {
        loop_timer_set(&a->fetch, FETCH_AGAIN_MS);
        return;
    }
    a->fetching->access = a;
    http_send(a->issuer,
              &(struct http_request){
                  .method = "GET", .timeout_ms = 10000, .max_body = JWKS_BYTES_MAX, .done = on_keys, .ctx = a->fetching});
}

static struct error start_fetching(struct access *a)
{
    struct error e;

    if (!a->config->dlq.access.jwks_url)
        return error_none();
    e = http_endpoint_new(a->http, &(struct http_endpoint_options){.url = a->config->dlq.access.jwks_url}, &a->issuer);
    if (!failed(e))
        loop_timer_set(&a->fetch, 0);
    return e;
}

/* ---- Life */

struct error access_new(struct loop *l, const struct config *config, const struct log *log, struct http_client *http,
                        struct access **out)
{
    struct access *a = calloc(1, sizeof *a);
    struct error e;

    *out = NULL;
    if (!a)
        return error_make(CLASS_INTERNAL, "out_of_memory", "no memory for access control");
    *a = (struct access){.loop = l, .config = config, .log = log, .http = http, .renewed_ms = clock_mono_ms() - UNKNOWN_MS};
    loop_timer_init(&a->look, l, on_look, a);
    loop_timer_init(&a->fetch, l, on_fetch, a);
    e = look_at_files(a, true);
    if (!failed(e))
        e = start_fetching(a);
    if (failed(e)) {
        access_free(a);
        return e;
    }
    loop_timer_set(&a->look, LOOK_MS);
    *out = a;
    return e;
}

void access_free(struct access *a)
{
    if (!a)
        return;
    loop_timer_cancel(&a->look);
    loop_timer_cancel(&a->fetch);
    if (a->fetching)
        a->fetching->access = NULL;
    http_endpoint_free(a->issuer);
    jwt_keys_free(a->keys);
    free(a->tokens);
    free(a);
}

void access_reload(struct access *a, const struct config *config)
{
    a->config = config;
    on_look(a);
}

bool access_fetches(const struct access *a) { return a->fetching != NULL; }

void access_on_keys(struct access *a, void (*came)(void *ctx), void *ctx)
{
    a->came = came;
    a->came_ctx = ctx;
}

/* ---- The question */

static struct error refuse(const char *code, const char *text) { return error_make(CLASS_REJECTED, code, text); }

static bool find_token(const struct access *a, struct slice token, struct who *who)
{
    char digest[65];

    sha256_text(digest, token);
    for (size_t i = 0; i < a->ntokens; i++) {
        if (strcmp(a->tokens[i].digest, digest) != 0)
            continue;
        who->kind = WHO_TOKEN;
        who->role = a->tokens[i].role;
        memcpy(who->name, a->tokens[i].name, sizeof who->name);
        return true;
    }
    return false;
}

/* A kid that nobody knows may be of a key that is newer than ours. True: the keys have been read anew. Each stranger can ask for
 * this, so it is done only now and then. */
static bool renew_keys(struct access *a)
{
    if (a->fetching || clock_mono_ms() - a->renewed_ms < UNKNOWN_MS)
        return false;
    a->renewed_ms = clock_mono_ms();
    if (a->issuer) {
        on_fetch(a);
        return false;
    }
    return !failed(read_jwks(a));
}

static struct error check_signed(struct access *a, struct slice token, const struct jwt_rules *rules, int64_t now_ms,
                                 struct jwt_claims *claims)
{
    struct error e;

    if (!a->keys)
        return error_make(CLASS_WAIT, "keys_pending", "the issuer's keys were not fetched yet: try again in a few seconds");
    e = jwt_check(a->keys, token, rules, now_ms, claims);
    if (!failed(e) || strcmp(e.code, "token_unknown_kid") != 0)
        return e;
    if (renew_keys(a))
        return jwt_check(a->keys, token, rules, now_ms, claims);
    return a->fetching ? error_make(CLASS_WAIT, "keys_pending", "the token's key is asked for at its issuer: try again") : e;
}

static struct error check_jwt(struct access *a, struct slice token, int64_t now_ms, struct who *who)
{
    const struct jwt_rules rules = {a->config->dlq.access.issuer, a->config->dlq.access.audience,
                                    a->config->dlq.access.roles_claim, LEEWAY_MS};
    struct jwt_claims claims;
    struct error e;

    e = check_signed(a, token, &rules, now_ms, &claims);
    if (failed(e))
        return e;
    who->kind = WHO_USER;
    memcpy(who->name, claims.subject, sizeof who->name);
    who->role = CONFIG_ROLE_NONE;
    for (size_t i = 0; i < claims.nroles; i++) {
        enum config_role role = role_of(slice_of(claims.roles[i]));

        who->role = role > who->role ? role : who->role;
    }
    if (who->role == CONFIG_ROLE_NONE)
        return error_make(CLASS_LIMIT, "no_role",
                          "the token is good, but names none of the roles view, redrive, edit, discard, admin");
    return e;
}

struct error access_check(struct access *a, struct slice authorization, int64_t now_ms, struct who *who)
{
    static const char scheme[] = "Bearer ";
    struct slice token;

    *who = (struct who){.kind = WHO_ANONYMOUS, .role = a->config->dlq.access.anonymous, .name = "anonymous"};
    if (!authorization.at)
        return who->role != CONFIG_ROLE_NONE ? error_none()
                                             : refuse("no_token", "a token is needed: Authorization: Bearer <token>");
    if (authorization.len < sizeof scheme || strncasecmp(authorization.at, scheme, sizeof scheme - 1) != 0)
        return refuse("token_malformed", "the header must be Authorization: Bearer <token>");
    token = (struct slice){authorization.at + sizeof scheme - 1, authorization.len - (sizeof scheme - 1)};
    if (token.len > TOKEN_TEXT_MAX)
        return refuse("token_too_large", "the token is larger than 8 KiB");
    if (find_token(a, token, who))
        return error_none();
    if (memchr(token.at, '.', token.len) && (a->config->dlq.access.jwks_url || a->config->dlq.access.jwks_file))
        return check_jwt(a, token, now_ms, who);
    return refuse("token_unknown", "nobody here knows this token");
}
