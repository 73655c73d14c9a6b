/* Sockets: addresses as text, listening, dialling. What blocks says so. All descriptors are
 * close-on-exec. Threads: any. */
#ifndef GH_IO_SOCKET_H
#define GH_IO_SOCKET_H

#include "base/error.h"
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

struct gh_address {
    union {
        struct sockaddr any;
        struct sockaddr_in ip4;
        struct sockaddr_in6 ip6;
        struct sockaddr_un local;
        struct sockaddr_storage storage;
    } name;
    socklen_t size;
};

enum { GH_ADDRESS_TEXT_MAX = 112 };

/* "127.0.0.1:8883", "[::1]:0", "localhost:8443" (127.0.0.1) or a path that begins with '/' or '.'.
 * No names: they would block. */
GH_MUST_USE bool gh_address_parse(const char *text, struct gh_address *out);
/* 127.0.0.0/8, ::1 and Unix sockets. */
bool gh_address_is_loopback(const struct gh_address *address);
uint16_t gh_address_port(const struct gh_address *address);
/* "127.0.0.1:4242", "[::1]:4242", or the path ("unix" for a peer without one). Returns `out`. */
char *gh_address_print(const struct gh_address *address, char out[GH_ADDRESS_TEXT_MAX]);

/* A listening, non-blocking socket; -1 with GH_ERROR_LISTEN. A Unix socket gets mode 0600; a stale
 * one, which nobody listens on, is replaced. */
GH_MUST_USE int gh_socket_listen(const struct gh_address *address, struct gh_error *error);
/* A non-blocking socket whose connect has begun or is done; -1 with GH_ERROR_CONNECT. */
GH_MUST_USE int gh_socket_dial(const struct gh_address *address, struct gh_error *error);
/* Blocks: resolves `host` and connects, within `timeout_ms` for each address. A blocking socket; -1
 * with GH_ERROR_CONNECT or GH_ERROR_TIMEOUT. */
GH_MUST_USE int gh_connect_tcp(const char *host, uint16_t port, int timeout_ms,
                               struct gh_error *error);
/* Blocks: the first address of a name, to dial it later. False with GH_ERROR_CONNECT. */
GH_MUST_USE bool gh_address_resolve(const char *host, uint16_t port, struct gh_address *out,
                                    struct gh_error *error);
#endif
