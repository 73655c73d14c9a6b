/* Connection: one stream, plain or TLS, on one loop, and the protocol that is spoken on it. Reads,
 * holds what the protocol did not consume, queues what it says, writes once a turn, enforces limits
 * in bytes and time, and closes in order. Knows nothing of any protocol: those hand in a table.
 *
 * Life: accepted by a listener (or dialled by gh_conn_connect) -> a balancer's header, where one is
 * expected -> TLS handshake -> first byte picks the protocol -> open -> input, tick, drained … ->
 * closed, exactly once if open gave a state, and never from inside another call on the connection.
 * An idle connection holds no buffer. A protocol may hand over to another, with a framing between
 * it and the stream (gh_conn_upgrade).
 *
 * When a queue is full. Input: at `input_max` unconsumed bytes reading stops until the protocol
 * takes some (at more input or gh_conn_resume); if it takes none for `stuck_ms` the connection is
 * closed. Output: an append beyond `output_max` closes the connection, because its peer does not
 * read.
 *
 * Memory: the connection is the loop's; a protocol must not touch it after `closed`. Threads: the
 * loop's. */
#ifndef GH_IO_CONN_H
#define GH_IO_CONN_H

#include "base/buffer.h"
#include "base/metric.h"
#include "crypto/tls.h"
#include "io/framing.h"
#include "io/loop.h"

struct gh_conn;
struct gh_listener_protocol; /* io/listener.h */

enum {
    GH_CONN_INPUT_MAX = 64 * 1024, /* defaults for a protocol that says 0 */
    GH_CONN_OUTPUT_MAX = 1024 * 1024,
};

struct gh_protocol {
    const char *name;
    size_t input_max, output_max; /* bytes; 0 means the defaults above */
    /* Whether a connection whose first byte this is speaks the protocol. NULL: opened right after
     * the handshake, without a byte from the peer. */
    bool (*claims)(uint8_t first_byte);
    /* The state of this connection; NULL refuses it. */
    void *(*open)(void *context, struct gh_conn *conn);
    /* Says how many of `bytes` it consumed; they are valid during the call only. What is left is
     * offered again in front of what comes next, or after gh_conn_resume. Not called after
     * gh_conn_close. */
    size_t (*input)(void *state, struct gh_slice bytes);
    /* The deadline of gh_conn_set_deadline has come; it is cleared before. NULL when none is ever
     * set. */
    void (*tick)(void *state);
    /* All output is written. May be NULL. */
    void (*drained)(void *state);
    /* The handshake is done (dialled connections only, whose open comes before it). May be NULL. */
    void (*established)(void *state);
    /* The peer will send no more but may still read. NULL: the connection is closed then. */
    void (*ended)(void *state);
    /* The loop is stopping: last words, after which the connection is closed. May be NULL. */
    void (*stopping)(void *state);
    /* The end: the state is to be freed. `why` is static text for a log. */
    void (*closed)(void *state, const char *why);
};

/* Time limits in milliseconds; 0 means the default. */
struct gh_conn_limits {
    int handshake_ms;  /* 10 s: from accept (or dial) to the end of the handshake */
    int first_byte_ms; /* 10 s: from there to the first byte */
    int stuck_ms;      /* 30 s: a full input of which nothing is consumed */
    int close_ms;      /* 5 s: for the last bytes of a closing connection */
};

/* The output queue: append, then say gh_conn_dirty. Its `size` is what has not been written yet. */
struct gh_buffer *gh_conn_out(struct gh_conn *conn);
void gh_conn_dirty(struct gh_conn *conn);
/* Writes what is queued (within close_ms), then close_notify and FIN, then `closed`. May be called
 * twice. */
void gh_conn_close(struct gh_conn *conn);
/* The same with the reason that `closed` is to see; static text. */
void gh_conn_close_why(struct gh_conn *conn, const char *why);
/* Drops what is queued; `closed` at the end of the turn. */
void gh_conn_abort(struct gh_conn *conn, const char *why);
/* Offers the held input again, in this turn or at once in the next. */
void gh_conn_resume(struct gh_conn *conn);
/* One deadline per connection; `tick` comes at or shortly after it. 0 clears it. Cheap: may be
 * moved at every packet. */
void gh_conn_set_deadline(struct gh_conn *conn, int64_t at_ns);

/* Within `input` only: when it has returned, the protocol is told `closed` ("upgraded"), and the
 * connection speaks `protocol` through `framing` (given, also when the new protocol refuses).
 * What was appended to the output before is sent as it is. The bytes of the stream that `input`
 * leaves unconsumed end the connection: the peer was to wait for the answer. `protocol` is opened
 * at once; its first byte has to come within first_byte_ms and has to be one that it claims. */
void gh_conn_upgrade(struct gh_conn *conn, struct gh_framing *framing,
                     const struct gh_protocol *protocol, void *context);

/* Within `input` only, without a framing and without waiting: when it has returned, the protocol is
 * told `closed` ("handed over"), and `heir` (borrowed until then) is opened at once and offered the
 * bytes that `input` left unconsumed. */
void gh_conn_hand_over(struct gh_conn *conn, const struct gh_listener_protocol *heir);

/* "127.0.0.1:4242", "[::1]:4242" or "unix"; lives as long as the connection. */
const char *gh_conn_peer(const struct gh_conn *conn);
struct gh_loop *gh_conn_loop(const struct gh_conn *conn);
bool gh_conn_is_secure(const struct gh_conn *conn);
/* What lies between the transport and the protocol ("websocket"), or NULL. Static. */
const char *gh_conn_framing(const struct gh_conn *conn);
/* NULL on a plain connection. */
const struct gh_tls *gh_conn_tls(const struct gh_conn *conn);
/* The server's, from its listener; NULL when nothing is counted. */
struct gh_metrics *gh_conn_metrics(const struct gh_conn *conn);

/* Dials. `host` is an address ("127.0.0.1", "::1") or "localhost": names would block (io/socket.h
 * resolves them beforehand). `tls` NULL is plain; `server_name` (NULL: `host`) is whom the
 * certificate must name. The protocol is opened before this returns and may queue its first bytes
 * at once; later failures reach its `closed`. NULL when the socket cannot be made or the protocol
 * refuses; then `closed` does not come. */
GH_MUST_USE struct gh_conn *gh_conn_connect(struct gh_loop *loop, const char *host, uint16_t port,
                                            struct gh_tls_context *tls, const char *server_name,
                                            const struct gh_protocol *protocol, void *context,
                                            struct gh_error *error);
#endif
