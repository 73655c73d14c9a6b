/* WebSocket (RFC 6455) for a listener that serves HTTP and another protocol: the opening handshake,
 * asked by the HTTP server for each request that wants an upgrade, and the framing that the
 * connection speaks from then on. Data frames are binary and carry the protocol's stream, however
 * it is cut.
 *
 * Taken is an HTTP/1.1 GET of one of `paths` with version 13, a key of 16 bytes and one of
 * `subprotocols`. The one that the client named first is echoed exactly as it was offered. A
 * browser says in Origin whose page it is: the server's own origin may, others only when `origins`
 * names them; a client that sends no Origin is no browser. Compression and other extensions are not
 * agreed to. Threads: the loop's. */
#ifndef GH_IO_WEBSOCKET_H
#define GH_IO_WEBSOCKET_H

#include "io/conn.h"
#include "wire/http/head.h"

enum { GH_WEBSOCKET_FRAME_BYTES_MAX = 16 * 1024 * 1024 }; /* 1009 above it; nothing is buffered */

/* Borrowed by whoever has it; outlives the server. */
struct gh_websocket_config {
    const struct gh_protocol *protocol;
    void *context; /* for its open */
    const char *const *paths, *const *subprotocols;
    size_t paths_count, subprotocols_count;
    /* "https://console.example", without a path; "*" is any. */
    const char *const *origins;
    size_t origins_count;
};

struct gh_websocket_refusal {
    int status; /* 0: upgraded */
    const char *why;
};

/* Whether the request asks for a WebSocket. */
bool gh_websocket_is_asked(const struct gh_http_head *head);
/* Within the HTTP protocol's input: writes 101 and upgrades the connection, or says what to answer.
 */
GH_MUST_USE struct gh_websocket_refusal
gh_websocket_upgrade(struct gh_conn *conn, const struct gh_websocket_config *config,
                     const struct gh_http_head *head);
#endif
