/* Where a request comes from, as far as its headers tell: loopback, our own name, or a page of another site. */
#include <strings.h>

#include "access.h"
#include "stepmill/address.h"

static bool same_text(struct slice a, struct slice b) { return a.len == b.len && a.len && !strncasecmp(a.at, b.at, a.len); }

/* "https://host:port/path" → "host:port". */
static struct slice authority_of(const char *url)
{
    const char *begin = url ? strstr(url, "://") : NULL;

    return begin ? (struct slice){begin + 3, strcspn(begin + 3, "/?#")} : (struct slice){NULL, 0};
}

bool host_is_ours(struct slice host, const char *listen, const char *public_url)
{
    struct slice name = address_host(host);

    return address_is_loopback(host) || same_text(name, address_host(slice_of(listen))) ||
           same_text(name, address_host(authority_of(public_url)));
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
