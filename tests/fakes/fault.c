/* Reading faults. */
#include "fault.h"

#include <stdlib.h>
#include <string.h>

enum { MANY_HEADERS = 10000 };

static const char *const names[FAULT_KINDS] = {
    [FAULT_NONE] = "none",
    [FAULT_STATUS] = "status",
    [FAULT_QUOTA] = "quota",
    [FAULT_CONTEXT] = "context",
    [FAULT_HANG] = "hang",
    [FAULT_RESET] = "reset",
    [FAULT_CLOSE] = "close",
    [FAULT_GARBAGE] = "garbage",
    [FAULT_TRUNCATED] = "truncated",
    [FAULT_HTML] = "html",
    [FAULT_HUGE] = "huge",
    [FAULT_SLOW] = "slow",
    [FAULT_EMPTY] = "empty",
    [FAULT_NO_CHOICES] = "no_choices",
    [FAULT_CONTENT_FILTER] = "content_filter",
    [FAULT_REFUSAL] = "refusal",
    [FAULT_HEADERS] = "headers",
    [FAULT_ENDLESS] = "endless",
    [FAULT_RAW] = "raw",
};

const char *fault_name(enum fault_kind kind) { return names[kind]; }

static bool set_kind(struct fault *f, struct span name)
{
    int64_t number;

    if (span_number(name, &number) && number >= 200 && number <= 599) {
        f->kind = FAULT_STATUS;
        f->status = (int)number;
        return true;
    }
    for (int i = FAULT_STATUS + 1; i < FAULT_KINDS; i++) {
        if (span_is(name, names[i])) {
            f->kind = (enum fault_kind)i;
            return true;
        }
    }
    return false;
}

static bool set_argument(struct fault *f, struct span a)
{
    struct duration d;

    switch (f->kind) {
    case FAULT_STATUS:
    case FAULT_QUOTA:
        if (a.len >= sizeof f->retry_after)
            return false;
        memcpy(f->retry_after, a.at, a.len);
        return true;
    case FAULT_HUGE:
    case FAULT_HEADERS:
        return span_number(a, &f->bytes) && f->bytes <= 1 << 30;
    case FAULT_SLOW:
        if (!duration_parse(a, &d) || d.from <= 0)
            return false;
        f->interval_us = d.from;
        return true;
    default:
        return false;
    }
}

/* Cuts `mark` and what follows off `*words`, when what follows is a number. */
static bool cut_number(struct span *words, char mark, int64_t *number)
{
    const char *at = words->len ? memrchr(words->at, mark, words->len) : NULL;

    if (!at || !span_number((struct span){at + 1, (size_t)(words->at + words->len - at - 1)}, number))
        return false;
    words->len = (size_t)(at - words->at);
    return true;
}

static void set_defaults(struct fault *f) { *f = (struct fault){.bytes = 8 << 20, .interval_us = 100000, .chance = 1}; }

static bool parse_words(struct span words, struct fault *f, const char **why)
{
    const char *colon;
    int64_t percent;

    set_defaults(f);
    if (cut_number(&words, '%', &percent)) {
        if (percent > 100) {
            *why = "a fault's percentage must be 0 to 100";
            return false;
        }
        f->chance = (double)percent / 100;
    }
    cut_number(&words, 'x', &f->times);
    f->effect = words.len && words.at[words.len - 1] == '!';
    words.len -= f->effect;
    colon = words.len ? memchr(words.at, ':', words.len) : NULL;
    if (!set_kind(f, (struct span){words.at, colon ? (size_t)(colon - words.at) : words.len})) {
        *why = "unknown fault: it is a status from 200 to 599 or quota, context, hang, reset, close, truncated, garbage, html, "
               "huge, slow, empty, no_choices, content_filter, refusal, headers, endless, raw";
        return false;
    }
    if (colon && !set_argument(f, (struct span){colon + 1, words.len - (size_t)(colon + 1 - words.at)})) {
        *why = "a fault's argument is wrong: 429:SECONDS, huge:BYTES, slow:INTERVAL and headers:COUNT take one, the others none";
        return false;
    }
    if (f->kind == FAULT_HEADERS && !colon)
        f->bytes = MANY_HEADERS;
    return true;
}

bool fault_parse(struct span words, struct fault *f, const char **why)
{
    if (!parse_words(words, f, why))
        return false;
    if (f->kind == FAULT_RAW)
        *why = "the fault raw is written as JSON: {\"kind\": \"raw\", \"body\": TEXT}";
    return f->kind != FAULT_RAW;
}

static bool from_string(const json_t *from, struct fault *f, const char **why)
{
    char number[32];

    if (json_is_string(from))
        return parse_words(span_of(json_string_value(from)), f, why);
    snprintf(number, sizeof number, "%lld", (long long)json_integer_value(from));
    return parse_words(span_of(number), f, why);
}

static void set_body(struct fault *f, const json_t *body)
{
    f->body =
        json_is_string(body) ? must_copy(span_of(json_string_value(body))) : json_dumps(body, JSON_COMPACT | JSON_ENCODE_ANY);
}

bool fault_from_json(const json_t *from, struct fault *f, const char **why)
{
    const json_t *kind, *after = json_object_get(from, "retry_after"), *bytes = json_object_get(from, "bytes");
    const json_t *interval = json_object_get(from, "interval"), *times = json_object_get(from, "times");
    const json_t *chance = json_object_get(from, "probability"), *body = json_object_get(from, "body");
    struct duration d;

    if (!json_is_object(from))
        return from_string(from, f, why) && (f->kind != FAULT_RAW || (*why = "the fault raw needs a body", false));
    kind = json_object_get(from, "status") ? json_object_get(from, "status") : json_object_get(from, "kind");
    set_defaults(f);
    if (kind && !from_string(kind, f, why))
        return false;
    f->effect |= json_is_true(json_object_get(from, "effect"));
    if (json_is_string(after))
        snprintf(f->retry_after, sizeof f->retry_after, "%s", json_string_value(after));
    else if (json_is_number(after))
        snprintf(f->retry_after, sizeof f->retry_after, "%g", json_number_value(after));
    if (json_is_integer(bytes))
        f->bytes = json_integer_value(bytes);
    if (interval && (!duration_parse(span_of(json_string_value(interval)), &d) || d.from <= 0)) {
        *why = "interval must be a duration such as \"50ms\"";
        return false;
    }
    if (interval || f->kind == FAULT_RAW)
        f->interval_us = interval ? d.from : 0;
    if (f->kind == FAULT_RAW && !body) {
        *why = "the fault raw needs a body";
        return false;
    }
    if (json_is_integer(times))
        f->times = json_integer_value(times);
    if (json_is_number(chance))
        f->chance = json_number_value(chance);
    if (f->bytes < 0 || f->bytes > 1 << 30 || f->times < 0 || f->chance < 0 || f->chance > 1) {
        *why = "bytes must be 0 to 1073741824, times 0 or more, probability 0 to 1";
        return false;
    }
    if (body)
        set_body(f, body);
    return true;
}

void fault_free(struct fault *f)
{
    free(f->body);
    f->body = NULL;
}
