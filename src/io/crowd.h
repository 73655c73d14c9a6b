/* Crowd: how many connections each peer address has open on a server, over all its listeners, so
 * that one address cannot take the places of all. IPv6 is counted by /64, which is what one
 * subscriber is given. Loopback and Unix peers are not counted: behind them stands a proxy on the
 * same host, for many. Threads: any; a lock is held for one look-up. */
#ifndef GH_IO_CROWD_H
#define GH_IO_CROWD_H

#include "io/socket.h"

struct gh_crowd;

enum { GH_CROWD_PER_ADDRESS_MAX = 10 * 1000 }; /* the default */

/* `per_address_max` 0: the default. NULL when there is no memory. */
GH_MUST_USE struct gh_crowd *gh_crowd_open(size_t per_address_max, struct gh_error *error);
/* After all have left. */
void gh_crowd_close(struct gh_crowd *crowd);

enum gh_crowd_verdict {
    GH_CROWD_FREE,    /* not counted: need not leave */
    GH_CROWD_COUNTED, /* has to leave */
    GH_CROWD_FULL,    /* the address has its share, or there is no memory to count it */
};
GH_MUST_USE enum gh_crowd_verdict gh_crowd_enter(struct gh_crowd *crowd,
                                                 const struct gh_address *peer);
/* Once for each COUNTED, with the same address; the port does not matter. */
void gh_crowd_leave(struct gh_crowd *crowd, const struct gh_address *peer);
/* Addresses that have a connection open. */
size_t gh_crowd_addresses(struct gh_crowd *crowd);
#endif
