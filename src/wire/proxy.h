/* PROXY protocol, version 2 (haproxy's specification "The PROXY protocol", §2.2): the header that a
 * load balancer sends before the first byte of a connection, so that the server knows whose it is.
 * Read here, never written. Type-length-values are walked to their end and passed over, but for the
 * CRC-32C of the whole header, which is checked when it is there. Version 1, the line of text, is
 * refused.
 *
 * No I/O and no state: the caller keeps the bytes until the header is whole. Memory: the address
 * borrows from the input. Threads: any. */
#ifndef GH_WIRE_PROXY_H
#define GH_WIRE_PROXY_H

#include "base/slice.h"

/* The specification lets a header be 64 KiB long; what balancers send is below 1 KiB. */
enum { GH_PROXY_HEADER_MAX = 4096 };

enum gh_proxy_status {
    GH_PROXY_OK,
    GH_PROXY_MORE,    /* a valid start; nothing was consumed */
    GH_PROXY_REFUSED, /* close; `why` says it to a log */
};

enum gh_proxy_family {
    GH_PROXY_UNKNOWN, /* LOCAL, a check of the balancer's own, or a family it does not tell: the
                         connection's own address stands */
    GH_PROXY_IP4,
    GH_PROXY_IP6,
    GH_PROXY_UNIX, /* the path is not told further: whatever it is, it is on the balancer's host */
};

struct gh_proxy_header {
    size_t size; /* on the wire; what follows is the client's */
    enum gh_proxy_family family;
    struct gh_slice address; /* of the client, in network order: 4 or 16 bytes, else empty */
    uint16_t port;
    const char *why; /* static text when REFUSED */
};

/* A header of more than `size_max` bytes is refused once its length is known. `out` is whole on OK.
 */
GH_MUST_USE enum gh_proxy_status gh_proxy_read(struct gh_slice in, size_t size_max,
                                               struct gh_proxy_header *out);
#endif
