/* Finds the addresses of the Redis host without blocking the loop: hiredis itself would sit in getaddrinfo. */
#include <arpa/inet.h>
#include <event2/dns.h>
#include <event2/util.h>
#include <stdlib.h>
#include <string.h>

#include "redis_private.h"

/* Lives until the resolver calls back, which may be after the client has lost interest, or is gone. */
struct lookup {
    struct redis *redis; /* NULL: nobody waits any more */
    struct evdns_getaddrinfo_request *request;
};

static void keep_address(struct redis *r, const struct sockaddr *at)
{
    const void *from = NULL;

    if (at->sa_family == AF_INET)
        from = &((const struct sockaddr_in *)(const void *)at)->sin_addr;
    else if (at->sa_family == AF_INET6)
        from = &((const struct sockaddr_in6 *)(const void *)at)->sin6_addr;
    if (from && r->naddresses < ADDRESSES_MAX && inet_ntop(at->sa_family, from, r->addresses[r->naddresses], INET6_ADDRSTRLEN))
        r->naddresses++;
}

static void on_addresses(int failure, struct evutil_addrinfo *found, void *ctx)
{
    struct lookup *lookup = ctx;
    struct redis *r = lookup->redis;

    free(lookup);
    if (r) {
        r->lookup = NULL;
        r->naddresses = 0;
        for (const struct evutil_addrinfo *a = found; a; a = a->ai_next)
            keep_address(r, a->ai_addr);
    }
    if (found)
        evutil_freeaddrinfo(found);
    if (r)
        redis_link_resolved(r, failure ? evutil_gai_strerror(failure) : NULL);
}

/* The files are read again for each look-up: in a container they may change while we run. */
static bool read_settings(struct redis *r)
{
    if (r->dns) {
        evdns_base_clear_nameservers_and_suspend(r->dns);
        evdns_base_clear_host_addresses(r->dns);
    } else {
        r->dns = evdns_base_new(loop_base(r->loop), EVDNS_BASE_DISABLE_WHEN_INACTIVE);
    }
    if (!r->dns)
        return false;
    (void)evdns_base_resolv_conf_parse(r->dns, DNS_OPTIONS_ALL, "/etc/resolv.conf"); /* without it /etc/hosts still counts */
    evdns_base_resume(r->dns);
    return true;
}

static bool is_address(const char *host)
{
    struct in6_addr room;

    return inet_pton(AF_INET, host, &room) == 1 || inet_pton(AF_INET6, host, &room) == 1;
}

void redis_resolve(struct redis *r)
{
    struct evutil_addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct evdns_getaddrinfo_request *request;
    struct lookup *lookup;

    if (is_address(r->address.host) && strlen(r->address.host) < INET6_ADDRSTRLEN) {
        memcpy(r->addresses[0], r->address.host, strlen(r->address.host) + 1);
        r->naddresses = 1;
        redis_link_resolved(r, NULL);
        return;
    }
    lookup = calloc(1, sizeof *lookup);
    if (!lookup || !read_settings(r)) {
        free(lookup);
        redis_link_resolved(r, "no memory for the resolver");
        return;
    }
    lookup->redis = r;
    r->lookup = lookup;
    request = evdns_getaddrinfo(r->dns, r->address.host, NULL, &hints, on_addresses, lookup);
    if (request && r->lookup == lookup) /* else it has called back already */
        lookup->request = request;
}

void redis_resolve_cancel(struct redis *r)
{
    struct lookup *lookup = r->lookup;

    r->lookup = NULL;
    if (!lookup)
        return;
    lookup->redis = NULL;
    if (lookup->request)
        evdns_getaddrinfo_cancel(lookup->request);
}

void redis_resolve_free(struct redis *r)
{
    if (r->dns)
        evdns_base_free(r->dns, 1);
    r->dns = NULL;
}
