/* Addresses as text: their host, and whether it is this machine's own. */
#include "stepmill/address.h"

#include <strings.h>

struct slice address_host(struct slice address)
{
    const char *end;

    if (address.len && address.at[0] == '[') {
        end = memchr(address.at, ']', address.len);
        return end ? (struct slice){address.at + 1, (size_t)(end - address.at - 1)} : address;
    }
    end = memchr(address.at ? address.at : "", ':', address.len);
    return (struct slice){address.at, end ? (size_t)(end - address.at) : address.len};
}

bool address_is_loopback(struct slice address)
{
    struct slice host = address_host(address), name = SLICE("localhost");
    bool number = slice_starts_with(host, "127."); /* 127.0.0.1.example.com is a name, and anybody's */

    for (size_t i = 0; number && i < host.len; i++)
        number = host.at[i] == '.' || (host.at[i] >= '0' && host.at[i] <= '9');
    return number || (host.len == name.len && !strncasecmp(host.at, name.at, name.len)) || slice_is(host, "::1");
}
