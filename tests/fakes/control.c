/* The fakes' own API, /fakes/...: what was called, and what to do from now on. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fakes.h"

typedef unsigned long long ull;

static void put_json(struct answer *a, int status, struct text *body)
{
    text_put(body, "\n");
    answer_put(a, status, "application/json", span_text(body), NULL);
    text_free(body);
}

static void show_stats(struct fakes *f, struct answer *a)
{
    struct stats *s = &f->shared->stats;
    struct text body = {0};
    uint64_t known, forgotten;

    calls_known(f->shared, &known, &forgotten);
    text_printf(&body,
                "{\"processes\":%d,\"uptime_s\":%.3f,\n"
                " \"connections\":{\"now\":%lld,\"max\":%lld,\"accepted\":%llu,\"refused\":%llu},\n"
                " \"requests\":%llu,\"control\":%llu,\"bad_requests\":%llu,\"faults\":%llu,\"abandoned\":%llu,\"pending\":%lld,"
                "\"without_key\":%llu,\n"
                " \"model\":{\"calls\":%llu,\"answered\":%llu},\n"
                " \"tool\":{\"calls\":%llu,\"answered\":%llu,\"effects\":%llu},\n"
                " \"keys\":{\"known\":%llu,\"forgotten\":%llu},\"bytes\":{\"in\":%llu,\"out\":%llu}}",
                f->options->processes, (double)(wall_us() - f->shared->started_us) / 1e6, (long long)s->connections,
                (long long)s->connections_max, (ull)s->accepted, (ull)s->refused, (ull)s->requests, (ull)s->control,
                (ull)s->bad_requests, (ull)s->faults, (ull)s->abandoned, (long long)s->pending, (ull)s->no_key,
                (ull)s->model_calls, (ull)s->model_answered, (ull)s->tool_calls, (ull)s->tool_answered, (ull)s->tool_effects,
                (ull)known, (ull)forgotten, (ull)s->bytes_in, (ull)s->bytes_out);
    put_json(a, 200, &body);
}

static void show_calls(struct fakes *f, const struct http_request *r, struct answer *a)
{
    struct text prefix = {0}, kind = {0}, name = {0}, body = {0};

    http_query(r, "prefix", &prefix);
    http_query(r, "kind", &kind);
    http_query(r, "name", &name);
    text_put(&body, "{\"calls\":");
    calls_list(f->shared, span_text(&prefix), span_text(&kind), span_text(&name), &body);
    text_put(&body, "}");
    put_json(a, 200, &body);
    text_free(&prefix);
    text_free(&kind);
    text_free(&name);
}

static void show_requests(struct fakes *f, const struct http_request *r, struct answer *a)
{
    struct text prefix = {0}, last = {0}, body = {0};
    int64_t n;

    if (!f->shared->requests.room) {
        answer_error(a, 409, "not_recorded", "Requests are not kept: start stepmill-fakes without --record 0.", NULL);
        return;
    }
    http_query(r, "prefix", &prefix);
    if (!http_query(r, "last", &last) || !span_number(span_text(&last), &n))
        n = 100;
    text_put(&body, "{\"requests\":");
    record_list(f, span_text(&prefix), (size_t)n, &body);
    text_put(&body, "}");
    put_json(a, 200, &body);
    text_free(&prefix);
    text_free(&last);
}

/* Makes a checked JSON text the one that all processes use. */
static bool publish(struct fakes *f, char *where, unsigned *version, struct span text)
{
    if (text.len >= RULES_TEXT_MAX)
        return false;
    shared_lock(f->shared);
    memcpy(where, text.at, text.len);
    where[text.len] = '\0';
    ++*version;
    atomic_fetch_add(&f->shared->settings_version, 1);
    shared_unlock(f->shared);
    return true;
}

static void done(struct answer *a) { answer_put(a, 200, "application/json", span_of("{\"ok\":true}\n"), NULL); }

static void set_rules(struct fakes *f, const struct http_request *r, struct answer *a)
{
    struct text why = {0};

    rules_free(rules_read(r->body, &why));
    if (why.len)
        answer_error(a, 400, "bad_rules", why.at, NULL);
    else if (!publish(f, f->shared->rules, &f->shared->rules_version, r->body))
        answer_error(a, 413, "bad_rules", "Rules are limited to 1 MiB.", NULL);
    else
        done(a);
    text_free(&why);
}

/* Puts one switch of the request among those that are on; null takes it off. */
static bool merge_outage(json_t *on, const char *key, json_t *value, const char **why)
{
    const json_t *lasts = json_object_get(value, "for");
    struct duration d;

    if (json_is_null(value)) {
        json_object_del(on, key);
        return true;
    }
    if (lasts && !duration_parse(span_of(json_string_value(lasts)), &d)) {
        *why = "\"for\" must be a duration such as \"60s\"";
        return false;
    }
    if (!json_is_object(value)) { /* "503" is short for {"kind": "503"} */
        json_object_set_new(on, key, json_pack("{s:O}", "kind", value));
        return true;
    }
    json_object_set_new(on, key, json_deep_copy(value));
    if (lasts)
        json_object_set_new(json_object_get(on, key), "until_us", json_integer(clock_us() + d.from));
    return true;
}

static void set_faults(struct fakes *f, const struct http_request *r, struct answer *a)
{
    json_t *asked = json_loadb(r->body.at, r->body.len, JSON_REJECT_DUPLICATES, NULL), *on, *value;
    struct text why = {0};
    const char *key, *what = "expected {\"model\": FAULT, \"model:NAME\": FAULT, \"tool\": FAULT, \"tool:NAME\": FAULT}";
    bool ok = json_is_object(asked);
    char *dump;

    shared_lock(f->shared);
    on = json_loads(f->shared->outages, 0, NULL);
    shared_unlock(f->shared);
    on = on ? on : json_object();
    json_object_foreach(asked, key, value) ok = ok && merge_outage(on, key, value, &what);
    dump = json_dumps(on, JSON_COMPACT);
    if (ok)
        rules_free(outages_read(span_of(dump), &why));
    if (!ok || why.len)
        answer_error(a, 400, "bad_faults", why.len ? why.at : what, NULL);
    else if (!publish(f, f->shared->outages, &f->shared->outages_version, span_of(dump)))
        answer_error(a, 413, "bad_faults", "Faults are limited to 1 MiB.", NULL);
    else
        done(a);
    free(dump);
    text_free(&why);
    json_decref(on);
    json_decref(asked);
}

static void show_text(struct fakes *f, const char *from, struct span otherwise, struct answer *a)
{
    struct text body = {0};

    shared_lock(f->shared);
    text_put(&body, from);
    shared_unlock(f->shared);
    if (!body.len)
        text_add(&body, otherwise.at, otherwise.len);
    put_json(a, 200, &body);
}

void control_answer(struct fakes *f, const struct http_request *r, struct answer *a)
{
    bool post = span_is(r->method, "POST"), get = span_is(r->method, "GET");
    struct span what = {r->path.at + 7, r->path.len - 7};

    if (get && span_is(what, "stats")) {
        show_stats(f, a);
    } else if (get && span_is(what, "calls")) {
        show_calls(f, r, a);
    } else if (get && span_is(what, "requests")) {
        show_requests(f, r, a);
    } else if (get && span_is(what, "rules")) {
        show_text(f, f->shared->rules, f->script.len ? f->script : span_of("{\"rules\":[]}"), a);
    } else if (get && span_is(what, "faults")) {
        show_text(f, f->shared->outages, span_of("{}"), a);
    } else if (post && span_is(what, "rules")) {
        set_rules(f, r, a);
    } else if (post && span_is(what, "faults")) {
        set_faults(f, r, a);
    } else if (post && span_is(what, "reset")) {
        shared_reset(f->shared);
        done(a);
    } else {
        answer_error(a, 404, "not_found", "GET /fakes/stats, calls, requests, rules, faults; POST /fakes/rules, faults, reset.",
                     NULL);
    }
}
