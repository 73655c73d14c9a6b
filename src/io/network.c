#include "io/network.h"
#include <arpa/inet.h>
#include <assert.h>
#include <stdio.h>
#include <string.h>

struct gh_slice gh_address_bytes(const struct gh_address *address)
{
    switch (address->name.any.sa_family) {
    case AF_INET:
        return gh_slice(&address->name.ip4.sin_addr, sizeof address->name.ip4.sin_addr);
    case AF_INET6:
        return gh_slice(&address->name.ip6.sin6_addr, sizeof address->name.ip6.sin6_addr);
    default:
        return (struct gh_slice){0};
    }
}

bool gh_address_set(struct gh_slice bytes, uint16_t port, struct gh_address *out)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

    if (bytes.size == 16 && gh_slice_starts(bytes, gh_slice(mapped, sizeof mapped)))
        bytes = gh_slice_sub(bytes, sizeof mapped, bytes.size);
    *out = (struct gh_address){0};
    if (bytes.size == sizeof out->name.ip4.sin_addr) {
        out->name.ip4.sin_family = AF_INET;
        out->name.ip4.sin_port = htons(port);
        memcpy(&out->name.ip4.sin_addr, bytes.data, bytes.size);
        out->size = sizeof out->name.ip4;
        return true;
    }
    if (bytes.size == sizeof out->name.ip6.sin6_addr) {
        out->name.ip6.sin6_family = AF_INET6;
        out->name.ip6.sin6_port = htons(port);
        memcpy(&out->name.ip6.sin6_addr, bytes.data, bytes.size);
        out->size = sizeof out->name.ip6;
        return true;
    }
    return false;
}

/* The byte at `index` as far as the prefix covers it. */
static uint8_t prefix_byte(const struct gh_network *network, const uint8_t *bytes, unsigned index)
{
    unsigned before = 8 * index;
    unsigned bits = network->bits <= before       ? 0
                    : network->bits - before >= 8 ? 8
                                                  : network->bits - before;
    return (uint8_t)(bytes[index] & (0xff00u >> bits));
}

bool gh_network_parse(const char *text, struct gh_network *out)
{
    char address[INET6_ADDRSTRLEN];
    struct gh_slice rest = gh_slice_text(text);
    bool has_prefix = gh_slice_find(rest, '/') < rest.size;
    struct gh_slice host = gh_slice_split(&rest, '/');
    uint64_t bits = 0;

    *out = (struct gh_network){0};
    if (host.size >= sizeof address)
        return false;
    snprintf(address, sizeof address, "%.*s", GH_PRINT(host));
    if (inet_pton(AF_INET, address, out->bytes) == 1)
        out->size = 4;
    else if (inet_pton(AF_INET6, address, out->bytes) == 1)
        out->size = 16;
    else
        return false;
    if (has_prefix && (!gh_slice_to_u64(rest, &bits) || bits > 8 * out->size))
        return false;
    out->bits = has_prefix ? (unsigned)bits : 8 * out->size;
    for (unsigned i = 0; i < out->size; i++)
        if (prefix_byte(out, out->bytes, i) != out->bytes[i])
            return false;
    return true;
}

bool gh_network_has(const struct gh_network *network, const struct gh_address *address)
{
    struct gh_slice bytes = gh_address_bytes(address);

    if (bytes.size != network->size)
        return false;
    for (unsigned i = 0; i < network->size; i++)
        if (prefix_byte(network, bytes.data, i) != network->bytes[i])
            return false;
    return true;
}
