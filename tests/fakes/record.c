/* The last requests, as they came, for GET /fakes/requests: what a test looks at to see what a worker really sends. */
#include <string.h>

#include "fakes.h"

enum { KEPT_BODY_MAX = 256 << 10 };

struct kept {
    struct ring_item item;
    int64_t at_us;
    uint32_t method, path, key, headers, body; /* lengths */
    uint32_t body_cut;
    char bytes[];
};

void record_request(struct fakes *f, const struct http_request *r)
{
    struct ring *ring = &f->shared->requests;
    size_t body = r->body.len < KEPT_BODY_MAX ? r->body.len : KEPT_BODY_MAX;
    const struct span parts[] = {r->method, r->path, r->key, r->headers, {r->body.at, body}};
    struct kept *k;
    uint64_t position;
    char *at;

    if (!ring->room || span_has_prefix(r->path, "/fakes/"))
        return;
    shared_lock(f->shared);
    k = ring_add(ring, 1, sizeof *k + r->method.len + r->path.len + r->key.len + r->headers.len + body, &position);
    if (k) {
        k->at_us = wall_us();
        k->method = (uint32_t)r->method.len;
        k->path = (uint32_t)r->path.len;
        k->key = (uint32_t)r->key.len;
        k->headers = (uint32_t)r->headers.len;
        k->body = (uint32_t)body;
        k->body_cut = body < r->body.len;
        at = k->bytes;
        for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
            if (parts[i].len)
                memcpy(at, parts[i].at, parts[i].len);
            at += parts[i].len;
        }
    }
    shared_unlock(f->shared);
}

static void put_string(struct text *out, const char *name, struct span value)
{
    text_printf(out, "\"%s\":\"", name);
    text_json(out, value);
    text_put(out, "\"");
}

/* Names in lower case; a header that came twice shows up twice. */
static void put_headers(struct text *out, struct span rest)
{
    const char *comma = "";

    text_put(out, ",\"headers\":{");
    while (rest.len) {
        const char *end = memchr(rest.at, '\n', rest.len), *colon = memchr(rest.at, ':', rest.len);
        size_t line = end ? (size_t)(end + 1 - rest.at) : rest.len;
        struct span value;

        if (!end || !colon || colon > end)
            break;
        value = (struct span){colon + 1, (size_t)(end - colon - 1)};
        while (value.len && (value.at[0] == ' ' || value.at[0] == '\t'))
            value.at++, value.len--;
        while (value.len && (value.at[value.len - 1] == '\r' || value.at[value.len - 1] == ' '))
            value.len--;
        text_printf(out, "%s\"", comma);
        for (const char *c = rest.at; c < colon; c++)
            text_add(out, (char[]){(char)(*c >= 'A' && *c <= 'Z' ? *c | 0x20 : *c)}, 1);
        text_put(out, "\":\"");
        text_json(out, value);
        text_put(out, "\"");
        comma = ",";
        rest.at += line;
        rest.len -= line;
    }
    text_put(out, "}");
}

static void put_kept(struct text *out, const struct kept *k)
{
    const char *path = k->bytes + k->method, *key = path + k->path, *headers = key + k->key, *body = headers + k->headers;
    struct scan s = scan_start((struct span){body, k->body});
    struct span value;

    text_printf(out, "{\"at\":%.6f,", (double)k->at_us / 1e6);
    put_string(out, "method", (struct span){k->bytes, k->method});
    text_put(out, ",");
    put_string(out, "path", (struct span){path, k->path});
    text_put(out, ",");
    put_string(out, "key", (struct span){key, k->key});
    put_headers(out, (struct span){headers, k->headers});
    text_put(out, k->body_cut ? ",\"body_cut\":true,\"body\":" : ",\"body_cut\":false,\"body\":");
    if (scan_value(&s, &value) && scan_done(&s)) {
        text_add(out, value.at, value.len);
    } else {
        text_put(out, "\"");
        text_json(out, (struct span){body, k->body});
        text_put(out, "\"");
    }
    text_put(out, "}");
}

void record_list(struct fakes *f, struct span prefix, size_t last, struct text *out)
{
    struct ring *ring = &f->shared->requests;
    uint64_t position = 0;
    size_t found = 0, passed = 0;
    const char *comma = "";

    text_put(out, "[");
    shared_lock(f->shared);
    for (int round = 0; ring->room && round < 2; round++) { /* count, then write the last ones */
        const struct kept *k;

        position = 0;
        while ((k = ring_next(ring, &position))) {
            const char *key = k->bytes + k->method + k->path;

            if (k->key < prefix.len || (prefix.len && memcmp(key, prefix.at, prefix.len) != 0))
                continue;
            if (round == 0) {
                found++;
            } else if (passed++ + last >= found) {
                text_put(out, comma);
                put_kept(out, k);
                comma = ",\n ";
            }
        }
    }
    shared_unlock(f->shared);
    text_put(out, "]");
}
