/* Networks of addresses in CIDR notation (RFC 4632, RFC 4291 §2.3): who may stand before a
 * listener. Threads: any. */
#ifndef GH_IO_NETWORK_H
#define GH_IO_NETWORK_H

#include "io/socket.h"

struct gh_network {
    uint8_t bytes[16];
    unsigned size; /* 4 or 16 */
    unsigned bits; /* of the prefix */
};

/* "10.0.0.0/8", "2001:db8::/32", or one address. Bits behind the prefix have to be zero: they show
 * a slip of the pen. */
GH_MUST_USE bool gh_network_parse(const char *text, struct gh_network *out);
/* False for a Unix socket. */
bool gh_network_has(const struct gh_network *network, const struct gh_address *address);

/* 4 or 16 bytes in network order; others give false. An IPv4 address in IPv6's clothes
 * (::ffff:192.0.2.1) becomes what it is. */
GH_MUST_USE bool gh_address_set(struct gh_slice bytes, uint16_t port, struct gh_address *out);
/* The bytes of an address, 4 or 16 of them; empty for a Unix socket. */
struct gh_slice gh_address_bytes(const struct gh_address *address);
#endif
