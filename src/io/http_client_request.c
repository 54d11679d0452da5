/* A request of the HTTP client as one allocation: itself, its URL and its header lines. */
#include <stdlib.h>

#include "http_client_private.h"
#include "stepmill/clock.h"

enum {
    OWN_HEADERS = 3, /* Expect, Content-Type, User-Agent */
    DEFAULT_MAX_BODY = 1 << 20,
    DEFAULT_MAX_HEAD = 64 << 10,
    JOINED_MAX = 60 << 10, /* curl sends head and body in one piece below 64 KiB, from where the body lies */
};

/* What curl would add by itself: an empty line of that name tells it not to. */
static const char no_expect[] = "Expect:", no_type[] = "Content-Type:";

/* A name of a header: RFC 9110 §5.6.2. */
static bool is_token(struct slice s)
{
    static const bool separators[128] = {
        ['('] = true, [')'] = true, ['<'] = true,  ['>'] = true, ['@'] = true, [','] = true,
        [';'] = true, [':'] = true, ['\\'] = true, ['"'] = true, ['/'] = true, ['['] = true,
        [']'] = true, ['?'] = true, ['='] = true,  ['{'] = true, ['}'] = true,
    };

    for (size_t i = 0; i < s.len; i++) {
        unsigned char b = (unsigned char)s.at[i];

        if (b <= ' ' || b > '~' || separators[b])
            return false;
    }
    return s.len > 0;
}

/* Whether one of these 8 bytes is a control character, a tab too. */
static bool has_control(const char *at)
{
    const uint64_t ones = UINT64_C(0x0101010101010101), tops = UINT64_C(0x8080808080808080);
    uint64_t word, other;

    memcpy(&word, at, 8);
    other = word ^ ones * 0x7f;
    return (((word - ones * ' ') & ~word) | ((other - ones) & ~other)) & tops;
}

static bool is_field_value(struct slice s)
{
    const char *at = s.at, *end = at + s.len;

    while (at < end) {
        unsigned char b = (unsigned char)*at;

        if (end - at >= 8 && !has_control(at)) {
            at += 8;
            continue;
        }
        if ((b < ' ' && b != '\t') || b == 0x7f)
            return false;
        at++;
    }
    return true;
}

static bool is_path(struct slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.at[i] <= ' ' || s.at[i] > '~' || s.at[i] == '#')
            return false;
    return s.len == 0 || s.at[0] == '/' || s.at[0] == '?';
}

static struct error check(const struct http_request *q)
{
    if (!is_path(q->path))
        return error_make(CLASS_CONFIG, "bad_url",
                          "the path of a request must be empty or begin with / or ?, and hold no blanks");
    for (size_t i = 0; i < q->header_count; i++)
        if (!is_token(q->headers[i].name) || !is_field_value(q->headers[i].value))
            return error_make(CLASS_CONFIG, "bad_header", "a request header has a forbidden character in its name or value");
    return error_none();
}

static char *put(char *at, struct slice s)
{
    if (s.len)
        memcpy(at, s.at, s.len);
    return at + s.len;
}

/* "Name: value"; curl wants "Name;" for an empty value and takes "Name:" as "leave this header out". */
static char *put_header(char *at, const struct http_header *h)
{
    at = put(at, h->name);
    at = put(at, h->value.len ? SLICE(": ") : SLICE(";"));
    at = put(at, h->value);
    *at = '\0';
    return at + 1;
}

static size_t text_size(const struct http_endpoint *e, const struct http_request *q)
{
    size_t size = strlen(e->url) + q->path.len + 1 + sizeof no_expect + sizeof no_type;

    for (size_t i = 0; i < q->header_count; i++)
        size += q->headers[i].name.len + q->headers[i].value.len + 3;
    return size;
}

static bool names(const struct http_request *q, struct slice name)
{
    for (size_t i = 0; i < q->header_count; i++)
        if (q->headers[i].name.len == name.len && !strncasecmp(q->headers[i].name.at, name.at, name.len))
            return true;
    return false;
}

/* A line of our own; curl's list has no const, so it gets a copy. */
static char *put_line(char *at, const char *line)
{
    at = put(at, slice_of(line));
    *at = '\0';
    return at + 1;
}

/* Links header lines into curl's list; `nodes` has room for all. */
static void put_headers(struct request *r, const struct http_request *q, struct curl_slist *nodes, char *text)
{
    size_t n = 0;

    for (size_t i = 0; i < q->header_count; i++) {
        nodes[n++].data = text;
        text = put_header(text, &q->headers[i]);
    }
    if (r->body_size > JOINED_MAX) { /* below 1 MiB curl never adds it, and each line costs it a look for each of its own */
        nodes[n++].data = text;
        text = put_line(text, no_expect);
    }
    if (!names(q, SLICE("Content-Type"))) {
        nodes[n++].data = text;
        put_line(text, no_type);
    }
    if (!names(q, SLICE("User-Agent"))) /* what curl is told as its own User-Agent it prints twice */
        nodes[n++].data = r->endpoint->client->user_agent;
    for (size_t i = 0; i + 1 < n; i++)
        nodes[i].next = &nodes[i + 1];
    if (n)
        nodes[n - 1].next = NULL;
    r->headers = n ? nodes : NULL;
}

/* One part is what curl takes without a buffer of its own (16 KiB) and a second system call: parts of a small body are joined. */
static void put_body(struct request *r, const struct http_request *q, char *joined)
{
    for (size_t i = 0; i < q->body_parts; i++)
        r->body_size += q->body[i].len;
    if (!joined) {
        for (size_t i = 0; i < q->body_parts; i++)
            r->body[i] = q->body[i];
        r->body_parts = q->body_parts;
        return;
    }
    r->body[0] = (struct slice){joined, r->body_size};
    r->body_parts = 1;
    for (size_t i = 0; i < q->body_parts; i++)
        joined = put(joined, q->body[i]);
}

/* 0: the body is sent from where it is. */
static size_t joined_size(const struct http_request *q)
{
    size_t size = 0;

    for (size_t i = 0; i < q->body_parts; i++)
        size += q->body[i].len < JOINED_MAX ? q->body[i].len : JOINED_MAX;
    return q->body_parts > 1 && size < JOINED_MAX ? size : 0;
}

struct request *request_new(struct http_endpoint *e, const struct http_request *q)
{
    struct error error = check(q);
    size_t headers = failed(error) ? 0 : q->header_count;
    struct http_request checked = *q;
    struct curl_slist *nodes;
    size_t joined = joined_size(q), texts;
    struct request *r;
    char *text;

    if (q->body_parts > HTTP_BODY_PARTS_MAX)
        bug("%zu body parts in a request to %s", q->body_parts, e->url);
    checked.header_count = headers;
    if (failed(error))
        checked.path = SLICE("");
    texts = text_size(e, &checked);
    r = malloc(sizeof *r + (headers + OWN_HEADERS) * sizeof *nodes + texts + joined);
    if (!r)
        return NULL;
    *r = (struct request){.endpoint = e};
    nodes = (struct curl_slist *)(void *)(r + 1);
    text = (char *)(nodes + headers + OWN_HEADERS);
    put_body(r, q, joined ? text + texts : NULL);
    r->url = text;
    text = put(put(text, slice_of(e->url)), checked.path);
    *text++ = '\0';
    put_headers(r, &checked, nodes, text);
    r->error = error;
    r->ticket = q->ticket;
    r->done = q->done;
    r->ctx = q->ctx;
    r->began_us = clock_mono_us();
    r->method = q->method;
    r->gzip = q->gzip;
    r->once = q->once;
    r->may_send = q->may_send;
    r->head = BUF(q->max_head ? q->max_head : DEFAULT_MAX_HEAD);
    r->answer = BUF(q->max_body ? q->max_body : DEFAULT_MAX_BODY);
    return r;
}

void request_free(struct request *r)
{
    loop_timer_cancel(&r->timeout);
    buf_free(&r->head);
    buf_free(&r->answer);
    free(r);
}
