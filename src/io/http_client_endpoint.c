/* An endpoint of the HTTP client: its URL checked, its files readable, its shards and idle handles. */
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

#include "http_client_private.h"

enum { DEFAULT_CONNECT_TIMEOUT_MS = 10 * 1000 };

static bool is_loopback(const char *host)
{
    size_t len = strlen(host);

    return !strcasecmp(host, "localhost") || (len > 10 && !strcasecmp(host + len - 10, ".localhost")) ||
           !strncmp(host, "127.", 4) || !strcmp(host, "[::1]");
}

static bool has_part(CURLU *url, CURLUPart part)
{
    char *text = NULL;
    bool has = curl_url_get(url, part, &text, 0) == CURLUE_OK;

    curl_free(text);
    return has;
}

/* Reads what the URL says into the endpoint: TLS or not, loopback or not. */
static bool read_url(struct http_endpoint *e)
{
    CURLU *url = curl_url();
    char *scheme = NULL, *host = NULL;
    bool right = url && curl_url_set(url, CURLUPART_URL, e->url, 0) == CURLUE_OK &&
                 curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
                 curl_url_get(url, CURLUPART_HOST, &host, 0) == CURLUE_OK && !has_part(url, CURLUPART_USER) &&
                 !has_part(url, CURLUPART_PASSWORD) && !has_part(url, CURLUPART_FRAGMENT);

    right = right && (!strcmp(scheme, "https") || !strcmp(scheme, "http"));
    if (right) {
        e->is_tls = !strcmp(scheme, "https");
        if (!e->proxy && (!e->is_tls || is_loopback(host)))
            e->proxy = strdup("");
    }
    curl_free(scheme);
    curl_free(host);
    curl_url_cleanup(url);
    return right;
}

static bool is_readable(const char *file) { return !file || access(file, R_OK) == 0; }

/* A copy, or NULL for NULL; `*failed` is set when there is no memory. */
static char *copy(const char *text, bool *no_memory)
{
    char *t = text ? strdup(text) : NULL;

    *no_memory |= text && !t;
    return t;
}

static void release(struct http_endpoint *e)
{
    struct list_node *n;

    while ((n = e->shards.first))
        shard_free(list_entry(n, struct shard, node));
    while (e->pooled)
        curl_easy_cleanup(e->pool[--e->pooled]);
    list_remove(&e->node);
    list_remove(&e->hungry);
    curl_url_cleanup(e->parsed);
    free(e->usual_url);
    free(e->url);
    free(e->ca_file);
    free(e->cert_file);
    free(e->key_file);
    free(e->proxy);
    free(e);
}

struct error http_endpoint_new(struct http_client *c, const struct http_endpoint_options *options, struct http_endpoint **out)
{
    struct http_endpoint *e = calloc(1, sizeof *e);
    bool no_memory = !e;

    *out = NULL;
    if (no_memory)
        return error_make(CLASS_INTERNAL, "out_of_memory", "no memory for an HTTP endpoint");
    e->client = c;
    e->url = copy(options->url, &no_memory);
    e->ca_file = copy(options->ca_file, &no_memory);
    e->cert_file = copy(options->cert_file, &no_memory);
    e->key_file = copy(options->key_file, &no_memory);
    e->proxy = copy(options->proxy, &no_memory);
    e->connect_timeout_ms = options->connect_timeout_ms ? options->connect_timeout_ms : DEFAULT_CONNECT_TIMEOUT_MS;
    e->max_connections = options->max_connections ? options->max_connections : c->max_connections;
    e->http1_only = options->http1_only;
    if (no_memory) {
        release(e);
        return error_make(CLASS_INTERNAL, "out_of_memory", "no memory for an HTTP endpoint");
    }
    if (!e->url || !read_url(e)) {
        release(e);
        return error_make(CLASS_CONFIG, "bad_url", "not an http or https URL without user, password and fragment");
    }
    if (!is_readable(e->ca_file) || !is_readable(e->cert_file) || !is_readable(e->key_file)) {
        release(e);
        return error_make(CLASS_CONFIG, "bad_tls_file", "a CA, certificate or key file is missing or can't be read");
    }
    list_append(&c->endpoints, &e->node);
    *out = e;
    return error_none();
}

static void finish_running(struct list *shards, struct error error)
{
    struct list_node *r;

    for (struct list_node *n = shards->first, *next; n; n = next) {
        struct shard *s = list_entry(n, struct shard, node);

        next = n->next;
        while ((r = s->running.first))
            request_finish(list_entry(r, struct request, node), error);
    }
}

void http_endpoint_free(struct http_endpoint *e)
{
    const struct error cancelled = error_make(CLASS_LOST, "cancelled", "the request was cancelled");
    struct list_node *n;

    if (!e)
        return;
    e->closing = true;
    while ((n = e->waiting.first))
        request_finish(list_entry(n, struct request, node), cancelled);
    finish_running(&e->full, cancelled); /* first: its shards move over to the others */
    finish_running(&e->shards, cancelled);
    if (!e->outstanding)
        release(e);
}
