/* Where a request comes from, as far as its headers tell: loopback, our own name, or a page of another site. */
#include <strings.h>

#include "access.h"

/* "host:port", "[v6]:port" or "host" → host, without brackets. */
static struct slice host_of(struct slice address)
{
    const char *end;

    if (address.len && address.at[0] == '[') {
        end = memchr(address.at, ']', address.len);
        return end ? (struct slice){address.at + 1, (size_t)(end - address.at - 1)} : address;
    }
    end = memchr(address.at ? address.at : "", ':', address.len);
    return (struct slice){address.at, end ? (size_t)(end - address.at) : address.len};
}

static bool same_text(struct slice a, struct slice b) { return a.len == b.len && a.len && !strncasecmp(a.at, b.at, a.len); }

static bool is_loopback_name(struct slice host)
{
    return same_text(host, SLICE("localhost")) || slice_is(host, "::1") ||
           (slice_starts_with(host, "127.") && strspn(host.at, "0123456789.") >= host.len);
}

bool listen_is_loopback(const char *listen) { return is_loopback_name(host_of(slice_of(listen))); }

/* "https://host:port/path" → "host:port". */
static struct slice authority_of(const char *url)
{
    const char *begin = url ? strstr(url, "://") : NULL;

    return begin ? (struct slice){begin + 3, strcspn(begin + 3, "/?#")} : (struct slice){NULL, 0};
}

bool host_is_ours(struct slice host, const char *listen, const char *public_url)
{
    struct slice name = host_of(host);

    return is_loopback_name(name) || same_text(name, host_of(slice_of(listen))) ||
           same_text(name, host_of(authority_of(public_url)));
}

bool is_cross_site(struct slice host, struct slice origin, struct slice fetch_site)
{
    const char *authority;

    if (fetch_site.at && !slice_is(fetch_site, "same-origin") && !slice_is(fetch_site, "none"))
        return true;
    if (!origin.at)
        return false; /* no browser, or one so old that Content-Type must do */
    authority = memmem(origin.at, origin.len, "://", 3);
    return !authority || !same_text(host, (struct slice){authority + 3, origin.len - (size_t)(authority + 3 - origin.at)});
}
