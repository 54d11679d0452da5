/* Which route takes a path, and what a request asks for: parameters of the path and of the query. */
#include <event2/http.h>
#include <stdlib.h>
#include <string.h>

#include "http_server_parts.h"

void call_forget_params(struct http_server_call *call)
{
    while (call->nparams)
        free(call->params[--call->nparams].value);
}

static bool is_param(struct slice segment)
{
    return segment.len > 2 && segment.at[0] == '{' && segment.at[segment.len - 1] == '}';
}

static struct slice cut_segment(const char **at)
{
    const char *end = strchrnul(*at, '/');
    struct slice segment = {*at, (size_t)(end - *at)};

    *at = *end ? end + 1 : NULL;
    return segment;
}

/* The segment's bytes, decoded; NULL: out of memory. */
static char *decoded(struct slice segment, size_t *len)
{
    char *raw = strndup(segment.at, segment.len), *out = raw ? evhttp_uridecode(raw, 0, len) : NULL;

    free(raw);
    return out;
}

static bool segment_fits(struct http_server_call *call, struct slice pattern, struct slice raw)
{
    size_t len = 0;
    char *value = decoded(raw, &len);
    bool fits = false;

    if (value && !is_param(pattern)) {
        fits = slice_equal(pattern, (struct slice){value, len});
    } else if (value && len && call->nparams < PARAMS_MAX) {
        call->params[call->nparams++] = (struct call_param){{pattern.at + 1, pattern.len - 2}, value, len};
        return true;
    }
    free(value);
    return fits;
}

bool route_fits(struct http_server_call *call, const char *pattern, const char *raw)
{
    size_t n = strlen(pattern);

    call_forget_params(call);
    if (n >= 2 && !strcmp(pattern + n - 2, "/*"))
        return call->path.len >= n - 1 && !memcmp(call->path.at, pattern, n - 1);
    if (!strchr(pattern, '{'))
        return slice_is(call->path, pattern);
    while (pattern && raw)
        if (!segment_fits(call, cut_segment(&pattern), cut_segment(&raw)))
            return false;
    return !pattern && !raw;
}

struct slice http_server_param(const struct http_server_call *call, const char *name)
{
    for (size_t i = 0; i < call->nparams; i++)
        if (slice_is(call->params[i].name, name))
            return (struct slice){call->params[i].value, call->params[i].len};
    return (struct slice){NULL, 0};
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool put_decoded(struct buf *to, struct slice raw)
{
    buf_clear(to);
    for (size_t i = 0; i < raw.len; i++) {
        char c = raw.at[i];

        if (c == '%') {
            bool whole = raw.len - i > 2;
            int high = whole ? hex_digit(raw.at[i + 1]) : -1, low = whole ? hex_digit(raw.at[i + 2]) : -1;

            if (high < 0 || low < 0)
                return false;
            c = (char)(high << 4 | low);
            i += 2;
        } else if (c == '+') {
            c = ' ';
        }
        buf_put_byte(to, c);
    }
    return !to->failed;
}

bool http_server_query_next(const struct http_server_call *call, size_t *at, struct buf *name, struct buf *value, bool *bad)
{
    struct slice q = call->query;

    *bad = false;
    while (*at < q.len) {
        const char *begin = q.at + *at, *end = memchr(begin, '&', q.len - *at), *equals;
        size_t len = end ? (size_t)(end - begin) : q.len - *at;

        *at += len + 1;
        if (!len)
            continue; /* "a=1&&b=2" */
        equals = memchr(begin, '=', len);
        *bad = !put_decoded(name, (struct slice){begin, equals ? (size_t)(equals - begin) : len}) ||
               !put_decoded(value, equals ? (struct slice){equals + 1, len - (size_t)(equals + 1 - begin)} : SLICE(""));
        return !*bad;
    }
    return false;
}

bool http_server_query_value(const struct http_server_call *call, const char *name, struct buf *out)
{
    struct buf key = BUF(256);
    size_t at = 0;
    bool bad = false, found = false;

    while (!found && (http_server_query_next(call, &at, &key, out, &bad) || bad))
        found = !bad && slice_is(buf_slice(&key), name);
    buf_free(&key);
    if (!found)
        buf_clear(out);
    return found;
}
