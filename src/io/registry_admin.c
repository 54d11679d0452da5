/* What commands ask of the schema registry: one request at a time, the loop turning until its answer is there. */
#include "stepmill/registry_admin.h"

#include <stdio.h>

#include "registry_private.h"

enum { BODY_MAX = 1024 * 1024, LISTS_MAX = 4 * 1024 * 1024 };

struct wait {
    bool done;
    struct error error;
    int status;
    json_t *body; /* kept: json_decref it */
    struct detail *detail;
};

static void take_answer(void *ctx, const struct registry_reply *reply)
{
    struct wait *w = ctx;

    w->done = true;
    w->error = reply->error;
    w->status = reply->status;
    w->body = json_incref(reply->body);
    if (w->detail)
        snprintf(w->detail->text, sizeof w->detail->text, "%.190s", reply->text);
}

/* What a registry's answer means to a command, which does not wait for an outage to end. */
static struct error meaning(const struct wait *w)
{
    if (!failed(w->error))
        return error_none();
    if (w->status == 401 || w->status == 403)
        return error_make(CLASS_CONFIG, "registry_refused", "The schema registry refuses our credentials.");
    if (w->error.class == CLASS_POISON)
        return error_make(CLASS_CONFIG, "schema_not_registered", "The schema registry does not have it.");
    if (w->status == 409)
        return error_make(CLASS_CONFIG, "schema_incompatible", "The schema can't read what the version before wrote.");
    if (w->status == 422)
        return error_make(CLASS_CONFIG, "schema_invalid", "The schema registry says that it is not a valid schema or setting.");
    if (w->status == 0 || w->status >= 500 || w->status == 429)
        return error_make(CLASS_AGAIN, "registry_unreachable", "The schema registry can't be reached, or is in trouble.");
    return error_make(CLASS_CONFIG, "registry_bad_answer",
                      "The schema registry's answer can't be understood: is schema_registry.url right?");
}

/* Takes over path and body. On success *answer is the JSON, to be given to json_decref. */
static struct error call(struct registry *r, const char *method, struct buf *path, struct buf *body, json_t **answer,
                         struct detail *detail)
{
    struct wait w = {.detail = detail};
    struct error error;

    *answer = NULL;
    if (r->longest_answer < LISTS_MAX)
        r->longest_answer = LISTS_MAX;
    registry_ask(r, method, path, body, take_answer, &w);
    while (!w.done)
        loop_turn(r->loop, true);
    error = meaning(&w);
    if (failed(error))
        json_decref(w.body);
    else
        *answer = w.body;
    return error;
}

static struct error bad_answer(void)
{
    return error_make(CLASS_CONFIG, "registry_bad_answer",
                      "The schema registry's answer can't be understood: is schema_registry.url right?");
}

/* Sends the schema's text and reads the id. */
static struct error ask_id(struct registry *r, const char *subject, const char *rest, struct slice text, uint32_t *id,
                           struct detail *detail)
{
    struct buf path = BUF(1024), body = BUF(BODY_MAX);
    json_t *answer;
    struct error error;
    json_int_t n;

    registry_put_subject(&path, subject, rest);
    registry_put_schema(&body, text);
    error = call(r, "POST", &path, &body, &answer, detail);
    if (failed(error))
        return error;
    n = json_integer_value(json_object_get(answer, "id"));
    json_decref(answer);
    if (n <= 0 || n > UINT32_MAX)
        return bad_answer();
    *id = (uint32_t)n;
    return error_none();
}

struct error registry_lookup(struct registry *r, const char *subject, struct slice text, uint32_t *id, struct detail *detail)
{
    return ask_id(r, subject, "", text, id, detail);
}

struct error registry_register(struct registry *r, const char *subject, struct slice text, uint32_t *id, struct detail *detail)
{
    return ask_id(r, subject, "/versions", text, id, detail);
}

struct error registry_latest(struct registry *r, const char *subject, uint32_t *id, int64_t *version, struct buf *text,
                             struct detail *detail)
{
    struct buf path = BUF(1024);
    struct error error;
    json_t *answer, *schema;
    json_int_t n;

    registry_put_subject(&path, subject, "/versions/latest");
    error = call(r, "GET", &path, NULL, &answer, detail);
    if (failed(error))
        return error;
    n = json_integer_value(json_object_get(answer, "id"));
    schema = json_object_get(answer, "schema");
    if (n <= 0 || n > UINT32_MAX || !json_is_string(schema)) {
        error = bad_answer();
    } else {
        *id = (uint32_t)n;
        *version = json_integer_value(json_object_get(answer, "version"));
        buf_put(text, json_string_value(schema), json_string_length(schema));
    }
    json_decref(answer);
    return error;
}

/* "/config" or "/config/<subject>". */
static struct buf config_path(const char *subject)
{
    struct buf path = BUF(1024), quoted = BUF(1024);

    buf_put_text(&path, "/config");
    if (subject) {
        registry_put_subject(&quoted, subject, "");
        buf_put_slice(&path, (struct slice){quoted.at + sizeof "/subjects" - 1, quoted.len - (sizeof "/subjects" - 1)});
        buf_free(&quoted);
    }
    return path;
}

static struct error get_level(struct registry *r, const char *subject, char level[32], struct detail *detail)
{
    struct buf path = config_path(subject);
    json_t *answer;
    const char *text;
    struct error error = call(r, "GET", &path, NULL, &answer, detail);

    if (failed(error))
        return error;
    text = json_string_value(json_object_get(answer, "compatibilityLevel"));
    if (text)
        snprintf(level, 32, "%s", text);
    json_decref(answer);
    return text ? error_none() : bad_answer();
}

struct error registry_compatibility(struct registry *r, const char *subject, char level[32], bool *own, struct detail *detail)
{
    struct error error = get_level(r, subject, level, detail);

    *own = !failed(error);
    if (failed(error) && !strcmp(error.code, "schema_not_registered"))
        error = get_level(r, NULL, level, detail);
    return error;
}

struct error registry_set_compatibility(struct registry *r, const char *subject, const char *level, struct detail *detail)
{
    struct buf path = config_path(subject), body = BUF(128);
    json_t *answer;
    struct error error;

    buf_printf(&body, "{\"compatibility\":\"%s\"}", level);
    error = call(r, "PUT", &path, &body, &answer, detail);
    json_decref(answer);
    return error;
}
