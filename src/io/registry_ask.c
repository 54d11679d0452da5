/* One request to the schema registry, and its answer as JSON. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "registry_private.h"
#include "stepmill/json.h"

enum { BEGIN = 4096 }; /* of an answer: its first members */

/* Lives from http_send to its completion, which may come when the registry is gone. */
struct request {
    struct list_node node;
    struct registry *registry; /* NULL: gone */
    const char *method;
    struct buf path, body;
    struct slice body_part;
    registry_reply_fn *done;
    void *ctx;
};

void registry_put_subject(struct buf *path, const char *subject, const char *rest)
{
    buf_put_text(path, "/subjects/");
    for (const char *c = subject; *c; c++)
        if (isalnum((unsigned char)*c) || strchr("-._~", *c))
            buf_put_byte(path, *c);
        else
            buf_printf(path, "%%%02X", (unsigned)(unsigned char)*c);
    buf_put_text(path, rest);
}

void registry_put_schema(struct buf *body, struct slice text)
{
    buf_put_text(body, "{\"schema\":");
    json_put_string(body, text);
    buf_put_byte(body, '}');
}

static struct error classify(const struct http_answer *a, const json_t *body)
{
    json_int_t code = json_integer_value(json_object_get(body, "error_code"));

    if (failed(a->error))
        return error_make(CLASS_WAIT, "registry_unreachable", "the schema registry can't be reached");
    if (a->status == 401 || a->status == 403)
        return error_make(CLASS_WAIT, "registry_refused", "the schema registry refuses our credentials");
    if (a->status == 200 && body)
        return error_none();
    if (a->status == 404 && code >= 40400 &&
        code <= 40499) /* any other 404 is a wrong url or a proxy: an outage, not an answer */
        return error_make(CLASS_POISON, "unknown_schema", "the schema registry does not know it");
    return error_make(CLASS_WAIT, "registry_failed", "the schema registry gave an answer that is none");
}

/* The registry's own answer, but longer than any schema that we take; what somebody else says without end is an outage. */
static bool is_too_large(const struct http_answer *a)
{
    size_t begin = a->body.len < BEGIN ? a->body.len : BEGIN;

    return a->error.code && !strcmp(a->error.code, "too_large") && a->status == 200 && begin && a->body.at[0] == '{' &&
           memmem(a->body.at, begin, "\"schema\"", 8);
}

static void tell(struct request *q, const struct http_answer *a)
{
    struct registry_reply reply = {.status = a->status, .too_large = is_too_large(a)};
    const char *words;
    char text[512];

    if (!failed(a->error))
        reply.body = json_loadb(a->body.at ? a->body.at : "", a->body.len, JSON_REJECT_DUPLICATES, NULL);
    if (reply.body && !json_is_object(reply.body) && a->status != 200) {
        json_decref(reply.body);
        reply.body = NULL;
    }
    reply.error = classify(a, reply.body);
    words = json_string_value(json_object_get(reply.body, "message"));
    snprintf(text, sizeof text, "%s %s: %d %s", q->method, buf_text(&q->path), a->status,
             failed(a->error) ? a->detail
             : words          ? words
                              : "");
    reply.text = text;
    list_remove(&q->node);
    q->done(q->ctx, &reply);
    json_decref(reply.body);
}

static void answered(void *ctx, const struct http_answer *a)
{
    struct request *q = ctx;

    if (q->registry)
        tell(q, a);
    buf_free(&q->path);
    buf_free(&q->body);
    free(q);
}

void registry_ask(struct registry *r, const char *method, struct buf *path, struct buf *body, registry_reply_fn *done, void *ctx)
{
    struct http_header headers[3] = {{SLICE("Accept"), SLICE("application/vnd.schemaregistry.v1+json, application/json")}};
    struct request *q = calloc(1, sizeof *q);
    size_t n = 1;

    if (!q)
        bug("out of memory while asking the schema registry");
    *q = (struct request){.registry = r, .method = method, .path = *path, .done = done, .ctx = ctx};
    if (body) {
        q->body = *body;
        q->body_part = buf_slice(&q->body);
        headers[n++] = (struct http_header){SLICE("Content-Type"), SLICE("application/vnd.schemaregistry.v1+json")};
    }
    if (r->authorization)
        headers[n++] = (struct http_header){SLICE("Authorization"), slice_of(r->authorization)};
    list_append(&r->requests, &q->node);
    http_send(r->endpoint, &(struct http_request){.method = method,
                                                  .path = buf_slice(&q->path),
                                                  .headers = headers,
                                                  .header_count = n,
                                                  .body = body ? &q->body_part : NULL,
                                                  .body_parts = body ? 1 : 0,
                                                  .timeout_ms = r->timeout_ms,
                                                  .max_body = r->longest_answer,
                                                  .done = answered,
                                                  .ctx = q});
}

void registry_forget_requests(struct registry *r)
{
    struct list_node *n;

    while ((n = list_take_first(&r->requests)))
        list_entry(n, struct request, node)->registry = NULL;
}
