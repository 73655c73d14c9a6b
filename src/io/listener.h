/* Listener: a bound socket whose connections are dealt out to loops in turn. The first byte after
 * the handshake decides the protocol; nobody's byte closes the connection.
 *
 * Ceilings. Connections: past it a new one is closed at once. Connections of one address
 * (io/crowd.h): likewise, once the address is known. Connections on their way, whose handshake has
 * not ended: past it the one is closed that has waited longest for its peer, so that half-open ones
 * make room and a crowd that comes back does not lose its place. Handshakes that wait for the
 * server: with some hundred of them nothing is accepted until they are done, and the kernel's queue
 * holds the others back. Work: so many accepts and so much time for handshakes in each turn of a
 * loop. Each has its counter.
 *
 * Plain listeners (no TLS) are for proxies on the same host: any address but a loopback one or a
 * Unix socket is refused. A listener behind a load balancer may expect the PROXY protocol
 * (wire/proxy.h): then every connection has to come from one of `proxy_from` (or over a Unix
 * socket) and to begin with its header, before TLS; gh_conn_peer is the client that it names.
 *
 * "[::]:8883" listens on IPv6 alone: IPv4 has its own listener, so that an address is written in
 * one way only. Threads: any, except where said. */
#ifndef GH_IO_LISTENER_H
#define GH_IO_LISTENER_H

#include "io/conn.h"
#include "io/crowd.h"
#include "io/network.h"
#include "io/worker.h"

struct gh_listener;

enum {
    GH_LISTENER_PROTOCOLS_MAX = 4,
    GH_LISTENER_CONNECTIONS_MAX = 100 * 1000, /* the default ceiling */
    GH_LISTENER_HANDSHAKES_MAX = 10 * 1000,   /* likewise; about 50 KB each */
};

struct gh_listener_protocol {
    const struct gh_protocol *protocol;
    void *context; /* for its open */
};

struct gh_listener_config {
    struct gh_loop *const *loops;
    size_t loops_count;
    int socket; /* a listening, non-blocking stream socket of somebody else's making, which is given
                   (also when opening fails): `address` is then not used; 0: none */
    const char *address; /* "127.0.0.1:8883", "[::1]:0", "0.0.0.0:8883", or a path: a Unix socket,
                            mode 0600 */
    struct gh_tls_context *tls; /* the listener takes its own reference; NULL: plain */
    bool keeps_openssl;         /* connections keep its state beyond the handshake (crypto/tls.h) */
    const struct gh_listener_protocol *protocols; /* asked in this order; copied */
    size_t protocols_count;
    bool expects_proxy;
    const struct gh_network *proxy_from; /* copied */
    size_t proxy_from_count;
    struct gh_conn_limits limits;
    size_t connections_max;     /* 0: the default */
    size_t handshakes_max;      /* connections on their way, on all its loops; 0: the default */
    struct gh_crowd *crowd;     /* counts addresses; may be NULL; outlives the loops */
    struct gh_workers *workers; /* take the steps of TLS handshakes; NULL: the loops do. Closed when
                                   the loops have ended and before gh_loop_close */
    struct gh_metrics *metrics; /* may be NULL; outlives the loops */
};

/* Listens when it returns. The loops may run already or start later. NULL with GH_ERROR_LISTEN when
 * the address is not understood, taken or not allowed. */
GH_MUST_USE struct gh_listener *gh_listener_open(const struct gh_listener_config *config,
                                                 struct gh_error *error);
/* Accepts no more; its connections live on. Before its loops are closed. A Unix socket's path is
 * removed. */
void gh_listener_close(struct gh_listener *listener);
/* Handshakes that begin from now on use it; takes its own reference. */
void gh_listener_set_tls(struct gh_listener *listener, struct gh_tls_context *tls);
/* The port that was bound; 0 for a Unix socket. */
uint16_t gh_listener_port(const struct gh_listener *listener);
/* "127.0.0.1:8883" with the real port, or the path. */
const char *gh_listener_address(const struct gh_listener *listener);
/* Connections of this listener that are open. */
size_t gh_listener_connections(const struct gh_listener *listener);
#endif
