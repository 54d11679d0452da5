/* User and password of a URL go to their own members, and a query is refused, so that the URL may be logged. */
#include <stdio.h>

#include "reader.h"

/* Where the userinfo of an URL lies: from `*at`, `*len` bytes, "@" excluded. False: none. */
static bool find_userinfo(const char *url, const char **at, size_t *len)
{
    const char *host = strstr(url, "://");
    size_t authority;
    const char *sign;

    if (!host)
        return false;
    host += 3;
    authority = strcspn(host, "/?#");
    sign = memrchr(host, '@', authority);
    *at = host;
    *len = sign ? (size_t)(sign - host) : 0;
    return sign != NULL;
}

/* Resolves %XX. NULL: not hex, or a NUL byte. */
static const char *percent_decode(struct arena *a, struct slice text)
{
    struct slice copy = arena_copy(a, text);
    char *to = (char *)copy.at; /* our own copy */
    size_t n = 0;

    for (size_t i = 0; to && i < text.len; i++, n++) {
        to[n] = text.at[i];
        if (text.at[i] != '%')
            continue;
        if (i + 2 >= text.len || !hex_decode(&to[n], 1, (struct slice){text.at + i + 1, 2}) || !to[n])
            return NULL;
        i += 2;
    }
    if (to)
        to[n] = '\0';
    return to;
}

static const char *without_userinfo(struct reader *r, const char *url, const char *at, size_t len)
{
    struct buf text = BUF(64 * 1024);
    struct slice copy;

    buf_put(&text, url, (size_t)(at - url));
    buf_put_text(&text, at + len + 1);
    copy = arena_copy(r->arena, buf_slice(&text));
    if (text.failed)
        problem_error(r->report, NULL, "out of memory");
    buf_free(&text);
    return copy.at;
}

/* What the URL says, set where its own option does not say it too. */
static void take_over(struct reader *r, const char *path, struct slice userinfo, const char **username,
                      struct config_secret *password)
{
    struct place place = place_of(r, path);
    const char *colon = userinfo.len ? memchr(userinfo.at, ':', userinfo.len) : NULL;
    size_t n = colon ? (size_t)(colon - userinfo.at) : userinfo.len;
    const char *user = percent_decode(r->arena, (struct slice){userinfo.at, n});
    const char *word = colon ? percent_decode(r->arena, (struct slice){colon + 1, userinfo.len - n - 1}) : "";

    if (!user || !word)
        problem_error(r->report, &place, "%s: user and password need %%XX for what is not a plain character", path);
    else if ((*user && *username) || (*word && password->value))
        problem_error(r->report, &place,
                      "%s: the URL holds user or password, and they are set on their own too: only one is allowed", path);
    else {
        if (*user)
            *username = user;
        if (*word)
            password->value = word;
    }
}

static void split(struct reader *r, const char *path, const char **url, const char **username, struct config_secret *password)
{
    struct node *n = tree_find(r->root, path);
    struct place place = place_of(r, path);
    const char *at;
    size_t len;

    if (!*url || !find_userinfo(*url, &at, &len))
        return;
    if (n && n->place.source != PLACE_ENVIRONMENT && !strstr(n->text.at, "${") && memchr(at, ':', len))
        problem_warning(r->report, &place,
                        "%s holds a password in plain text: write ${NAME} to take the URL from the environment", path);
    if (n)
        n->credentials = true;
    take_over(r, path, (struct slice){at, len}, username, password);
    *url = without_userinfo(r, *url, at, len);
}

/* Paths are put behind it, so a query would swallow them; and a key in it would be printed with it. */
static void refuse_query(struct reader *r, const char *path, const char *url, const char *instead)
{
    struct place place = place_of(r, path);

    if (url[strcspn(url, "?#")])
        problem_error(r->report, &place, "%s: a base URL ends before \"?\" and \"#\", for paths are put behind it; %s", path,
                      instead);
}

static void trim_slashes(struct reader *r, const char **url)
{
    struct slice text = slice_of(*url);

    while (text.len && text.at[text.len - 1] == '/')
        text.len--;
    *url = arena_copy(r->arena, text).at;
}

/* They are shown as they are, and nothing takes a password out of them. */
static void check_dlq_urls(struct reader *r)
{
    const struct config_dlq *d = &r->config->dlq;
    const struct {
        const char *path, *url;
    } urls[] = {{"dlq.public_url", d->public_url},
                {"dlq.trace_url", d->trace_url},
                {"dlq.access.jwks_url", d->access.jwks_url},
                {"dlq.alerts.pagerduty.url", d->alerts.pagerduty_url},
                {"dlq.alerts.webhook.url", d->alerts.webhook_url},
                {"dlq.alerts.slack.url", d->alerts.slack_url.value}};
    const char *at;
    size_t len;

    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
        struct place place = place_of(r, urls[i].path);

        if (urls[i].url && find_userinfo(urls[i].url, &at, &len))
            problem_error(r->report, &place, "%s: user and password do not belong in the URL", urls[i].path);
    }
}

void split_credentials(struct reader *r)
{
    struct config *c = r->config;
    char path[TREE_PATH_MAX];
    const char *at;
    size_t len;

    split(r, "schema_registry.url", &c->registry.url, &c->registry.username, &c->registry.password);
    split(r, "redis.url", &c->redis.url, &c->redis.username, &c->redis.password);
    if (c->registry.url) {
        refuse_query(r, "schema_registry.url", c->registry.url, "a token or password has an option of its own");
        trim_slashes(r, &c->registry.url);
    }
    for (size_t i = 0; i < c->nmodels; i++) {
        struct place place;

        if (!c->models[i].url)
            continue;
        snprintf(path, sizeof path, "models.%s.url", c->models[i].name);
        place = place_of(r, path);
        if (find_userinfo(c->models[i].url, &at, &len))
            problem_error(r->report, &place, "%s: user and password do not belong in the URL, set the model's key", path);
        refuse_query(r, path, c->models[i].url, "a key goes to the model's key, other parameters to its extra");
        trim_slashes(r, &c->models[i].url);
    }
    check_dlq_urls(r);
}
