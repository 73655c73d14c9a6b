/* What listener.c and conn.c share: where a connection comes from, and how it begins. */
#ifndef GH_IO_CONN_INTERNAL_H
#define GH_IO_CONN_INTERNAL_H

#include "io/conn.h"
#include "io/crowd.h"
#include "io/listener.h"
#include "io/socket.h"

/* Outlives its connections. */
struct conn_origin {
    struct gh_conn_limits limits; /* without zeros */
    struct gh_metrics *metrics;
    struct gh_listener_protocol protocols[GH_LISTENER_PROTOCOLS_MAX];
    size_t protocols_count;
    size_t handshakes_max;  /* on one loop */
    struct gh_crowd *crowd; /* may be NULL */
    bool is_secure;         /* TLS */
    bool expects_proxy;     /* a header of the PROXY protocol comes first */
    /* A reference to the context of now. On the connection's loop's thread; NULL when plain. */
    struct gh_tls_context *(*tls)(struct conn_origin *origin);
    void (*gone)(struct conn_origin *origin); /* a connection has ended; on its loop's thread */
};

/* Zeros become the defaults. */
struct gh_conn_limits conn_limits_whole(struct gh_conn_limits limits);

/* Takes `fd`, also when it fails; `origin->gone` is called in either case at the end. */
void conn_accept(struct gh_loop *loop, int fd, struct conn_origin *origin,
                 const struct gh_address *peer);
/* For measurements. */
size_t conn_bytes(void);
#endif
