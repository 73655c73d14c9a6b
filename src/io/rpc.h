/* gRPC server over HTTP/2 (RFC 9113, "gRPC over HTTP2") as a protocol for io/http_server.h's
 * `http2`: calls with one answer and calls with streams both ways. HTTP/2's framing is nghttp2's,
 * which has no sockets; what it is fed and what it says goes through the connection.
 *
 * A call is counted: the connection holds it until it is over; whoever works on it longer takes a
 * reference of its own. Its arena and head live until the last reference goes. What the client
 * sends is told to its taker on the loop, message by message; what is sent back may come from any
 * thread. Every call ends with a status: gh_rpc_end, or the connection's own (a deadline, a message
 * over the limit, an encoding that was not agreed on).
 *
 * Bounds. Calls of a connection at a time: GH_RPC_STREAMS_MAX (HTTP/2 refuses more). Bytes of
 * messages that have not arrived whole: one message per call, GH_RPC_HELD_BYTES_MAX per connection;
 * a call that would go past them ends with RESOURCE_EXHAUSTED. Bytes to a client that does not
 * read: GH_RPC_SEND_BYTES_MAX per call, beyond which gh_rpc_send refuses. Fields of a request:
 * GH_RPC_FIELDS_BYTES_MAX. Frames that carry nothing (pings, settings, resets, window updates
 * beyond what data earned): a budget per connection; who exceeds it is disconnected, and the log
 * says why. A peer that does not answer a ping within a minute is disconnected.
 *
 * Not here: which services there are, protobuf, authentication. Requests that are not gRPC's are
 * answered 415. */
#ifndef GH_IO_RPC_H
#define GH_IO_RPC_H

#include "base/arena.h"
#include "io/conn.h"
#include "wire/grpc.h"
#include "wire/http/head.h"

enum {
    GH_RPC_STREAMS_MAX = 100,
    GH_RPC_FIELDS_BYTES_MAX = 16 * 1024,
    GH_RPC_HELD_BYTES_MAX = 32 * 1024 * 1024,
    GH_RPC_SEND_BYTES_MAX = 20 * 1024 * 1024,
    GH_RPC_ARENA_BYTES_MAX = 32 * 1024 * 1024,
};

struct gh_rpc;

/* How a call is taken; all on the loop's thread, none may block. */
struct gh_rpc_taker {
    /* A message of the client, valid during the call only. */
    void (*message)(void *context, struct gh_rpc *rpc, struct gh_slice body);
    /* The client sends no more. */
    void (*ended)(void *context, struct gh_rpc *rpc);
    /* Everything that was sent has been handed to the connection. May be NULL. */
    void (*drained)(void *context, struct gh_rpc *rpc);
    /* The call is over; exactly once, and the last that is told. May be NULL. */
    void (*gone)(void *context, struct gh_rpc *rpc);
};

struct gh_rpc_head {
    struct gh_slice path; /* "/package.Service/Method" */
    const struct gh_http_header *headers;
    size_t headers_count;
    const char *peer;
    bool secure;
    /* As in a request of io/http_server.h. */
    const struct gh_slice *certificates;
    size_t certificates_count;
};

struct gh_rpc_config {
    /* A call has begun: gh_rpc_take or gh_rpc_end. On the loop's thread; must not block. */
    void (*begin)(void *context, struct gh_rpc *rpc);
    void *context;
    size_t message_max; /* bytes of one message; 0: 1 MiB */
    int answer_ms;      /* 0: 120 s for calls whose client names no deadline; streams have none */
    int idle_ms;        /* 0: 300 s without a call */
};

struct gh_rpc_server;
GH_MUST_USE struct gh_rpc_server *gh_rpc_server_open(const struct gh_rpc_config *config,
                                                     struct gh_error *error);
/* After the loops of its connections have ended. */
void gh_rpc_server_close(struct gh_rpc_server *server);

/* With the server as context. */
extern const struct gh_protocol gh_rpc_protocol;

/* Within `begin`: the call is served by `taker` (static). */
void gh_rpc_take(struct gh_rpc *rpc, const struct gh_rpc_taker *taker, void *context,
                 bool is_stream);

/* Any thread that holds the call. */
const struct gh_rpc_head *gh_rpc_head_of(const struct gh_rpc *rpc);
/* The value of the first field of that name; empty when there is none. */
struct gh_slice gh_rpc_header(const struct gh_rpc *rpc, const char *name);
/* Whoever works on the call, one thread at a time. */
struct gh_arena *gh_rpc_arena(struct gh_rpc *rpc);
struct gh_rpc *gh_rpc_ref(struct gh_rpc *rpc);
void gh_rpc_unref(struct gh_rpc *rpc);

/* Any thread. Copies one message; false, and nothing taken, when the call is over or too much is
 * waiting to be read. */
GH_MUST_USE bool gh_rpc_send(struct gh_rpc *rpc, struct gh_slice body);
/* Any thread. The first end counts; what was sent before is still delivered. `status` is of
 * google.rpc.Code. */
void gh_rpc_end(struct gh_rpc *rpc, int status, struct gh_slice text);
/* Any thread: whether nobody waits for anything of it any more. */
bool gh_rpc_is_over(struct gh_rpc *rpc);
#endif
