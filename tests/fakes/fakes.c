/* From a request to the part that answers it; settings, chance and common answers. */
#include "fakes.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

/* Settings made at run time reach every process by their version. */
static bool read_settings(struct fakes *f, struct text *why)
{
    struct text rules = {0}, outages = {0};
    unsigned rules_version, outages_version;

    shared_lock(f->shared);
    f->settings_seen = atomic_load(&f->shared->settings_version);
    rules_version = f->shared->rules_version;
    outages_version = f->shared->outages_version;
    text_put(&rules, f->shared->rules);
    text_put(&outages, f->shared->outages);
    shared_unlock(f->shared);

    rules_free(f->rules);
    rules_free(f->outages);
    f->rules = f->outages = NULL;
    if (rules.len || f->script.len)
        f->rules = rules_read(rules.len ? span_text(&rules) : f->script, why);
    if (outages.len && !why->len)
        f->outages = outages_read(span_text(&outages), why);
    for (struct rule *r = f->rules; r; r = r->next)
        r->version = rules_version;
    for (struct rule *r = f->outages; r; r = r->next)
        r->version = outages_version;
    text_free(&rules);
    text_free(&outages);
    return why->len == 0;
}

bool fakes_init(struct fakes *f, struct text *why)
{
    f->random = f->options->seed * 2 + 1;
    return read_settings(f, why);
}

void fakes_free(struct fakes *f)
{
    rules_free(f->rules);
    rules_free(f->outages);
    toolbox_free(&f->toolbox);
}

static uint64_t next_random(struct fakes *f)
{
    f->random ^= f->random << 13;
    f->random ^= f->random >> 7;
    f->random ^= f->random << 17;
    return f->random;
}

bool fakes_lucky(struct fakes *f, double chance) { return chance >= 1 || (double)(next_random(f) >> 11) * 0x1p-53 < chance; }

int64_t fakes_pick(struct fakes *f, struct duration d)
{
    return d.from == d.to ? d.from : d.from + (int64_t)(next_random(f) % (uint64_t)(d.to - d.from + 1));
}

void answer_put(struct answer *a, int status, const char *type, struct span body, const char *extra)
{
    a->status = status;
    a->bytes.len = 0;
    text_reserve(&a->bytes, body.len + 256);
    http_head(&a->bytes, status, type, body.len, extra);
    a->head = a->bytes.len;
    text_add(&a->bytes, body.at, body.len);
}

void answer_error(struct answer *a, int status, const char *code, const char *message, const char *extra)
{
    struct text body = {0};

    text_put(&body, "{\"error\":{\"message\":\"");
    text_json(&body, span_of(message));
    text_printf(&body, "\",\"type\":\"%s\",\"param\":null,\"code\":\"%s\"}}",
                status >= 500 ? "server_error" : "invalid_request_error", code);
    answer_put(a, status, "application/json", span_text(&body), extra);
    text_free(&body);
}

/* "date+5" is an HTTP date five seconds from now; anything else goes out as it is. */
static void put_retry_after(struct text *out, const char *words)
{
    int64_t seconds;
    struct tm tm;
    char date[64];
    time_t at;

    if (!*words)
        return;
    if (strncmp(words, "date+", 5) == 0 && span_number(span_of(words + 5), &seconds)) {
        at = time(NULL) + (time_t)seconds;
        strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&at, &tm));
        words = date;
    }
    text_printf(out, "Retry-After: %s\r\n", words);
}

static void error_status(struct answer *a, const struct fault *fault)
{
    struct text extra = {0};
    const char *code = fault->status == 429   ? "rate_limit_exceeded"
                       : fault->status == 401 ? "invalid_api_key"
                       : fault->status == 404 ? "not_found"
                       : fault->status >= 500 ? "server_error"
                                              : "injected";

    put_retry_after(&extra, fault->retry_after);
    if (fault->kind == FAULT_QUOTA)
        answer_error(a, 429, "insufficient_quota", "You exceeded your current quota (injected).", extra.at);
    else if (fault->kind == FAULT_CONTEXT)
        answer_error(a, 400, "context_length_exceeded", "This model's maximum context length is exceeded (injected).", NULL);
    else if (fault->body)
        answer_put(a, fault->status, "application/json", span_of(fault->body), extra.at);
    else
        answer_error(a, fault->status, code, "This error was injected by stepmill-fakes.", extra.at);
    text_free(&extra);
}

/* The answer as it is, but with so many header lines more. */
static void add_headers(struct answer *a, int64_t count)
{
    struct text whole = {0};

    text_add(&whole, a->bytes.at, a->head - 2);
    for (int64_t i = 0; i < count; i++)
        text_printf(&whole, "X-Fake-%lld: %lld\r\n", (long long)i, (long long)i);
    text_add(&whole, a->bytes.at + a->head - 2, a->bytes.len - a->head + 2);
    a->head += whole.len - a->bytes.len;
    text_free(&a->bytes);
    a->bytes = whole;
}

/* A head, and one chunk that is sent again and again. */
static void make_endless(struct answer *a)
{
    enum { CHUNK = 0x8000 };

    a->bytes.len = 0;
    text_put(&a->bytes, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n");
    a->head = a->bytes.len;
    text_printf(&a->bytes, "%x\r\n%*s\r\n", CHUNK, CHUNK, "");
    a->delivery = DELIVER_ENDLESSLY;
}

static void make_raw(struct answer *a, const struct fault *fault)
{
    a->bytes.len = a->head = 0;
    a->status = 0;
    a->close = true;
    text_put(&a->bytes, fault->body);
    a->delivery = fault->interval_us ? DELIVER_SLOWLY : DELIVER;
    a->interval_us = fault->interval_us;
}

void answer_fault(struct fakes *f, struct answer *a, const struct fault *fault)
{
    static const char garbage[] =
        "{\"id\":\"chatcmpl-\x01\x02\xff\xfe\",\"choices\":[{\"message\":{\"role\"::::]]}\n\0<<< not JSON";

    if (fault->kind == FAULT_NONE)
        return;
    atomic_fetch_add(&f->shared->stats.faults, 1);
    switch (fault->kind) {
    case FAULT_STATUS:
    case FAULT_QUOTA:
    case FAULT_CONTEXT:
        error_status(a, fault);
        break;
    case FAULT_GARBAGE:
        answer_put(a, 200, "application/json", (struct span){garbage, sizeof garbage - 1}, NULL);
        break;
    case FAULT_HTML:
        answer_put(a, 502, "text/html",
                   span_of("<html><head><title>502 Bad Gateway</title></head><body><center><h1>502 Bad "
                           "Gateway</h1></center></body></html>\r\n"),
                   NULL);
        break;
    case FAULT_HANG:
        a->delivery = DELIVER_NEVER;
        break;
    case FAULT_RESET:
        a->delivery = DELIVER_RESET;
        break;
    case FAULT_CLOSE:
        a->delivery = DELIVER_CLOSE;
        break;
    case FAULT_TRUNCATED:
        a->delivery = DELIVER_HALF;
        break;
    case FAULT_SLOW:
        a->delivery = DELIVER_SLOWLY;
        a->interval_us = fault->interval_us;
        break;
    case FAULT_HEADERS:
        add_headers(a, fault->bytes);
        break;
    case FAULT_ENDLESS:
        make_endless(a);
        break;
    case FAULT_RAW:
        make_raw(a, fault);
        break;
    default:
        break;
    }
}

static void list_models(struct fakes *f, struct answer *a)
{
    struct span rest = span_of(f->options->models);
    struct text body = {0};
    const char *comma = "";

    text_put(&body, "{\"object\":\"list\",\"data\":[");
    while (rest.len) {
        const char *end = memchr(rest.at, ',', rest.len);
        struct span name = {rest.at, end ? (size_t)(end - rest.at) : rest.len};

        text_printf(&body, "%s{\"id\":\"", comma);
        text_json(&body, name);
        text_put(&body, "\",\"object\":\"model\",\"created\":0,\"owned_by\":\"stepmill-fakes\"}");
        comma = ",";
        rest.at += name.len + (end != NULL);
        rest.len -= name.len + (end != NULL);
    }
    text_put(&body, "]}");
    answer_put(a, 200, "application/json", span_text(&body), NULL);
    text_free(&body);
}

static bool ends_with(struct span s, const char *tail)
{
    size_t n = strlen(tail);

    return s.len >= n && memcmp(s.at + s.len - n, tail, n) == 0;
}

static bool authorized(const struct fakes *f, const struct http_request *r)
{
    struct span given;

    if (!f->options->api_key)
        return true;
    return http_header(r, "authorization", &given) && span_has_prefix(given, "Bearer ") &&
           span_is((struct span){given.at + 7, given.len - 7}, f->options->api_key);
}

void fakes_answer(struct fakes *f, const struct http_request *r, struct answer *a)
{
    struct text why = {0};
    bool post = span_is(r->method, "POST");

    if (atomic_load_explicit(&f->shared->settings_version, memory_order_relaxed) != f->settings_seen && !read_settings(f, &why))
        fprintf(stderr, "stepmill-fakes: BUG: settings that were checked before do not read: %s\n", why.at);
    text_free(&why);
    atomic_fetch_add_explicit(&f->shared->stats.requests, 1, memory_order_relaxed);
    if (post && ends_with(r->path, "/chat/completions")) {
        if (authorized(f, r))
            model_answer(f, r, a);
        else
            answer_error(a, 401, "invalid_api_key", "Incorrect API key provided (see --api-key).", NULL);
    } else if (span_has_prefix(r->path, "/tools/")) {
        tool_answer(f, r, a);
    } else if (span_has_prefix(r->path, "/fakes/")) {
        atomic_fetch_add(&f->shared->stats.control, 1);
        control_answer(f, r, a);
    } else if (ends_with(r->path, "/models") && !post) {
        list_models(f, a);
    } else if (span_is(r->path, "/health") || span_is(r->path, "/livez") || span_is(r->path, "/readyz")) {
        answer_put(a, 200, "application/json", span_of("{\"status\":\"ok\"}"), NULL);
    } else {
        answer_error(a, 404, "not_found",
                     "Nothing lives here: POST /v1/chat/completions, GET /v1/models, POST /tools/NAME, GET /fakes/stats, GET "
                     "/fakes/calls.",
                     NULL);
    }
}
