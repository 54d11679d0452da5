/* Reads redis:// and rediss:// URLs. */
#include <string.h>

#include "redis_private.h"

enum { DEFAULT_PORT = 6379, DB_MAX = 1 << 20 };

static int hex(char c)
{
    uint8_t value;

    return hex_decode(&value, 1, (struct slice){(char[]){'0', c}, 2}) ? value : -1;
}

/* Undoes %XX into a terminated text. */
static bool unescape(struct slice from, char *to, size_t room)
{
    size_t n = 0;

    for (size_t i = 0; i < from.len; i++, n++) {
        char c = from.at[i];

        if (c == '%') {
            int high = i + 2 < from.len ? hex(from.at[i + 1]) : -1, low = i + 2 < from.len ? hex(from.at[i + 2]) : -1;

            if (high < 0 || low < 0)
                return false;
            c = (char)(high << 4 | low);
            i += 2;
        }
        if (c == '\0' || n + 1 >= room)
            return false;
        to[n] = c;
    }
    to[n] = '\0';
    return true;
}

/* Cuts off what lies behind the first (or last) `mark`; absent when there is none. */
static struct slice cut(struct slice *s, char mark, bool last)
{
    const char *at = !s->len ? NULL : last ? memrchr(s->at, mark, s->len) : memchr(s->at, mark, s->len);
    struct slice behind = {NULL, 0};

    if (at) {
        behind = (struct slice){at + 1, (size_t)(s->at + s->len - at - 1)};
        s->len = (size_t)(at - s->at);
    }
    return behind;
}

static bool read_credentials(struct slice s, struct redis_address *out)
{
    struct slice password = cut(&s, ':', false);

    return unescape(s, out->user, sizeof out->user) && unescape(password, out->password, sizeof out->password);
}

static bool read_host(struct slice s, struct redis_address *out)
{
    struct slice port = {NULL, 0};
    int64_t number = DEFAULT_PORT;

    if (s.len && s.at[0] == '[') {
        struct slice rest;

        s = (struct slice){s.at + 1, s.len - 1};
        rest = cut(&s, ']', false);
        if (!rest.at || (rest.len && rest.at[0] != ':'))
            return false;
        if (rest.len)
            port = (struct slice){rest.at + 1, rest.len - 1};
    } else {
        port = cut(&s, ':', false);
    }
    if (s.len == 0 || s.len >= sizeof out->host || memchr(s.at, '\0', s.len))
        return false;
    if (port.at && !slice_to_int(port, 1, UINT16_MAX, &number))
        return false;
    memcpy(out->host, s.at, s.len);
    out->port = (uint16_t)number;
    return true;
}

struct error redis_url_parse(const char *url, struct redis_address *out)
{
    struct error bad =
        error_make(CLASS_CONFIG, "redis_url", "redis.url must be redis://[user[:password]@]host[:port][/db] or rediss://…");
    struct slice s = slice_of(url), db, host;
    int64_t number = 0;

    *out = (struct redis_address){.tls = slice_starts_with(s, "rediss://")};
    if (!out->tls && !slice_starts_with(s, "redis://"))
        return bad;
    s = (struct slice){s.at + (out->tls ? 9 : 8), s.len - (out->tls ? 9 : 8)};
    host = cut(&s, '@', true);
    if (host.at && !read_credentials(s, out))
        return bad;
    if (!host.at)
        host = s;
    db = cut(&host, '/', false);
    if (db.len && !slice_to_int(db, 0, DB_MAX, &number))
        return bad;
    out->db = (int32_t)number;
    return read_host(host, out) ? error_none() : bad;
}
