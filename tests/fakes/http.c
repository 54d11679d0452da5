/* Reading HTTP/1.1 requests, Content-Length or chunked. */
#include "http.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static enum http_state bad(struct http_request *r, int status, const char *why)
{
    r->bad_status = status;
    r->bad_why = why;
    return HTTP_BAD;
}

static struct span trim(struct span s)
{
    while (s.len && (s.at[0] == ' ' || s.at[0] == '\t'))
        s.at++, s.len--;
    while (s.len && (s.at[s.len - 1] == ' ' || s.at[s.len - 1] == '\t' || s.at[s.len - 1] == '\r'))
        s.len--;
    return s;
}

static bool same_word(struct span s, const char *word) { return s.len == strlen(word) && strncasecmp(s.at, word, s.len) == 0; }

/* The next line of `*rest`, split at the colon. */
static bool next_header(struct span *rest, struct span *name, struct span *value)
{
    const char *end = rest->len ? memchr(rest->at, '\n', rest->len) : NULL;
    const char *colon = end ? memchr(rest->at, ':', (size_t)(end - rest->at)) : NULL;

    if (!colon)
        return false;
    *name = (struct span){rest->at, (size_t)(colon - rest->at)};
    *value = trim((struct span){colon + 1, (size_t)(end - colon - 1)});
    rest->len -= (size_t)(end + 1 - rest->at);
    rest->at = end + 1;
    return true;
}

static bool read_headers(struct http_request *r)
{
    struct span rest = r->headers, name, value;

    while (next_header(&rest, &name, &value)) {
        switch (name.at[0] | 0x20) {
        case 'c':
            if (same_word(name, "content-length") && !span_number(value, &r->length))
                return false;
            if (same_word(name, "connection") && same_word(value, "close"))
                r->close = true;
            break;
        case 'e':
            r->expects_continue |= same_word(name, "expect") && same_word(value, "100-continue");
            break;
        case 'i':
            if (same_word(name, "idempotency-key")) {
                bool quoted = value.len >= 2 && value.at[0] == '"' && value.at[value.len - 1] == '"';

                r->key = quoted ? (struct span){value.at + 1, value.len - 2} : value;
            }
            break;
        case 't':
            r->chunked |= same_word(name, "transfer-encoding") && same_word(value, "chunked");
            break;
        default:
            break;
        }
    }
    return rest.len == 0;
}

/* METHOD SP target SP HTTP/1.x */
static bool read_request_line(struct http_request *r, struct span line)
{
    const char *space = memchr(line.at, ' ', line.len);
    const char *second = space ? memchr(space + 1, ' ', line.len - (size_t)(space + 1 - line.at)) : NULL;
    const char *mark;
    struct span version;

    if (!second)
        return false;
    r->method = (struct span){line.at, (size_t)(space - line.at)};
    r->path = (struct span){space + 1, (size_t)(second - space - 1)};
    version = trim((struct span){second + 1, line.len - (size_t)(second + 1 - line.at)});
    r->old = span_is(version, "HTTP/1.0");
    r->close = r->old;
    mark = r->path.len ? memchr(r->path.at, '?', r->path.len) : NULL;
    if (mark) {
        r->query = (struct span){mark + 1, r->path.len - (size_t)(mark + 1 - r->path.at)};
        r->path.len = (size_t)(mark - r->path.at);
    }
    return r->path.len && r->path.at[0] == '/' && (r->old || span_is(version, "HTTP/1.1"));
}

/* Decodes chunks until the empty one; trailers are skipped. `*at` moves behind the body when it is whole. */
static enum http_state read_chunks(struct http_request *r, const char **at, const char *end)
{
    for (;;) {
        const char *line = memchr(*at, '\n', (size_t)(end - *at));
        char *stop;
        unsigned long n;

        if (!line)
            return end - *at > 1024 ? bad(r, 400, "a chunk size without an end") : HTTP_MORE;
        n = strtoul(*at, &stop, 16);
        if (stop == *at || stop > line || n > HTTP_BODY_MAX || r->decoded.len + n > HTTP_BODY_MAX)
            return bad(r, 400, "a chunk size that is no number, or too large");
        *at = line + 1;
        if (n == 0)
            break;
        if ((size_t)(end - *at) < n + 2)
            return HTTP_MORE;
        text_add(&r->decoded, *at, n);
        *at += n + 2;
    }
    for (;;) {
        const char *line = memchr(*at, '\n', (size_t)(end - *at));
        bool empty = line && line - *at <= 1;

        if (!line)
            return HTTP_MORE;
        *at = line + 1;
        if (empty)
            break;
    }
    r->body = span_text(&r->decoded);
    return HTTP_WHOLE;
}

enum http_state http_parse(struct http_request *r, struct span bytes)
{
    const char *end = bytes.at + bytes.len, *body, *blank, *line;
    enum http_state state = HTTP_WHOLE;

    *r = (struct http_request){0};
    blank = span_find(bytes, "\r\n\r\n");
    if (!blank)
        return bytes.len > HTTP_HEAD_MAX ? bad(r, 431, "the head of the request is larger than 64 KiB") : HTTP_MORE;
    body = blank + 4;
    line = memchr(bytes.at, '\n', (size_t)(body - bytes.at));
    if (!read_request_line(r, (struct span){bytes.at, (size_t)(line - bytes.at)}))
        return bad(r, 400, "not an HTTP/1.1 request line");
    r->headers = (struct span){line + 1, (size_t)(blank + 2 - (line + 1))};
    if (!read_headers(r))
        return bad(r, 400, "a malformed header line or Content-Length");
    if (r->length > HTTP_BODY_MAX)
        return bad(r, 413, "the body is larger than 64 MiB");
    if (r->chunked) {
        state = read_chunks(r, &body, end);
    } else if (end - body < r->length) {
        state = HTTP_MORE;
    } else {
        r->body = (struct span){body, (size_t)r->length};
        body += r->length;
    }
    r->size = (size_t)(body - bytes.at);
    if (state == HTTP_MORE)
        text_free(&r->decoded);
    return state;
}

void http_request_free(struct http_request *r) { text_free(&r->decoded); }

bool http_header(const struct http_request *r, const char *name, struct span *value)
{
    struct span rest = r->headers, found;

    while (next_header(&rest, &found, value))
        if (same_word(found, name))
            return true;
    return false;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool http_query(const struct http_request *r, const char *name, struct text *value)
{
    struct span q = r->query;
    size_t n = strlen(name);

    while (q.len) {
        const char *end = memchr(q.at, '&', q.len);
        size_t len = end ? (size_t)(end - q.at) : q.len;

        if (len > n && memcmp(q.at, name, n) == 0 && q.at[n] == '=') {
            for (size_t i = n + 1; i < len; i++) {
                if (q.at[i] == '%' && i + 2 < len && hex_digit(q.at[i + 1]) >= 0 && hex_digit(q.at[i + 2]) >= 0) {
                    text_add(value, (char[]){(char)(hex_digit(q.at[i + 1]) << 4 | hex_digit(q.at[i + 2]))}, 1);
                    i += 2;
                } else {
                    text_add(value, q.at[i] == '+' ? " " : &q.at[i], 1);
                }
            }
            return true;
        }
        len += end != NULL;
        q.at += len;
        q.len -= len;
    }
    return false;
}

static const char *reason(int status)
{
    static const struct {
        int status;
        const char *words;
    } reasons[] = {{200, "OK"},
                   {202, "Accepted"},
                   {400, "Bad Request"},
                   {401, "Unauthorized"},
                   {403, "Forbidden"},
                   {404, "Not Found"},
                   {405, "Method Not Allowed"},
                   {408, "Request Timeout"},
                   {409, "Conflict"},
                   {413, "Content Too Large"},
                   {422, "Unprocessable Content"},
                   {429, "Too Many Requests"},
                   {431, "Request Header Fields Too Large"},
                   {500, "Internal Server Error"},
                   {502, "Bad Gateway"},
                   {503, "Service Unavailable"},
                   {504, "Gateway Timeout"},
                   {529, "Overloaded"}};

    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++)
        if (reasons[i].status == status)
            return reasons[i].words;
    return "Injected";
}

void http_head(struct text *out, int status, const char *type, size_t length, const char *extra)
{
    text_printf(out, "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n%s\r\n", status, reason(status), type, length,
                extra ? extra : "");
}
