/* "host:port" → a listening socket. Names are resolved here, blocking: it happens once, before the loop turns. */
#include "http_server_listen.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { HOST_MAX = 256, BACKLOG = 128 };

/* Splits "host:port", "[v6]:port" and ":port"; `host` gets no brackets. */
static bool split(const char *listen, char host[HOST_MAX], const char **port)
{
    const char *colon = strrchr(listen, ':');
    struct slice name, number;
    int64_t value;

    if (!colon)
        return false;
    *port = colon + 1;
    number = slice_of(*port);
    name = (struct slice){listen, (size_t)(colon - listen)};
    if (!slice_to_int(number, 0, 65535, &value) || name.len >= HOST_MAX)
        return false;
    if (name.len >= 2 && name.at[0] == '[' && name.at[name.len - 1] == ']')
        name = (struct slice){name.at + 1, name.len - 2};
    else if (memchr(name.at, ':', name.len)) /* an IPv6 address needs its brackets */
        return false;
    memcpy(host, name.at, name.len);
    host[name.len] = '\0';
    return true;
}

static int open_socket(const struct addrinfo *a, int *why)
{
    const int on = 1, off = 0;
    int fd = socket(a->ai_family, a->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, a->ai_protocol);

    if (fd >= 0) {
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        /* Connections inherit it. evhttp writes 16 KB at a time: the rest of a larger answer would wait 40 ms for an ACK. */
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        if (a->ai_family == AF_INET6) /* ":port" means IPv4 too */
            setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
        if (bind(fd, a->ai_addr, a->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0)
            return fd;
    }
    *why = errno;
    if (fd >= 0)
        close(fd);
    return -1;
}

static unsigned port_of(int fd)
{
    struct sockaddr_storage address;
    socklen_t size = sizeof address;

    if (getsockname(fd, (struct sockaddr *)&address, &size) < 0)
        return 0;
    if (address.ss_family == AF_INET6)
        return ntohs(((struct sockaddr_in6 *)&address)->sin6_port);
    return ntohs(((struct sockaddr_in *)&address)->sin_port);
}

static struct error refuse(const struct log *log, const char *listen, int why)
{
    log_error(log, "http.listen.failed", LOG_TEXT("address", listen), LOG_TEXT("reason", strerror(why)));
    if (why == EADDRINUSE)
        return error_make(CLASS_CONFIG, "address_in_use",
                          "another process listens on the HTTP address: stop it or change http.listen");
    if (why == EADDRNOTAVAIL)
        return error_make(CLASS_CONFIG, "bad_listen", "the HTTP address does not belong to this machine");
    return error_make(CLASS_CONFIG, "listen_failed", "the HTTP address could not be opened");
}

struct error http_listen(const struct log *log, const char *listen, int *fd, unsigned *port)
{
    struct addrinfo want = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV}, *found = NULL;
    const char *service;
    char host[HOST_MAX];
    int why = EADDRNOTAVAIL;

    *fd = -1;
    if (!split(listen, host, &service)) {
        log_error(log, "http.listen.failed", LOG_TEXT("address", listen), LOG_TEXT("reason", "not host:port"));
        return error_make(CLASS_CONFIG, "bad_listen", "the HTTP address must be host:port, [IPv6 address]:port or :port");
    }
    if (getaddrinfo(*host ? host : NULL, service, &want, &found) != 0)
        return refuse(log, listen, EADDRNOTAVAIL);
    /* ":port": the IPv6 socket takes both families, so it goes first; IPv4 alone is for machines without IPv6. */
    for (int pass = 0; pass < 2 && *fd < 0; pass++)
        for (const struct addrinfo *a = found; a && *fd < 0; a = a->ai_next)
            if ((a->ai_family == AF_INET6) == (pass == (*host ? 1 : 0)))
                *fd = open_socket(a, &why);
    freeaddrinfo(found);
    if (*fd < 0)
        return refuse(log, listen, why);
    *port = port_of(*fd);
    return error_none();
}
