/* HTTP/1.1 server (RFC 9110, RFC 9112) as a protocol for io/listener.h. Reads one request after the
 * other, hands each to the handler on the loop's thread, and writes the answer, which may come from
 * any thread, at once or later, whole or as a stream. Pipelined requests wait their turn. What is
 * malformed, too large or too slow is answered here (400, 408, 413, 414, 431, 501, 505) and the
 * connection closed.
 *
 * An exchange is one request and its answer. It is counted: the server holds it while the handler
 * runs and the connection waits for its answer; whoever keeps it longer (a job, a subscriber) takes
 * a reference of its own. Its arena and everything in its request live until the last reference
 * goes. Exactly one of gh_exchange_answer or gh_exchange_stream … gh_exchange_finish is called per
 * exchange; an exchange that nobody keeps and nobody answers is answered 500, one that takes longer
 * than answer_ms 504.
 *
 * Not here: routing (wire/http/path.h), JSON, authentication. Threads: said at each function. */
#ifndef GH_IO_HTTP_SERVER_H
#define GH_IO_HTTP_SERVER_H

#include "base/arena.h"
#include "io/conn.h"
#include "io/websocket.h"
#include "wire/http/head.h"

enum {
    GH_EXCHANGE_CERTIFICATES_MAX = 8,
    GH_EXCHANGE_ARENA_BYTES_MAX = 8 * 1024 * 1024,
    GH_EXCHANGE_ANSWER_BYTES_MAX = 16 * 1024 * 1024,
    GH_EXCHANGE_STREAM_BYTES_MAX =
        256 * 1024, /* of a stream, sent but not yet taken by the connection */
};

struct gh_exchange;
/* On the loop's thread; must not block. */
typedef void gh_http_handler(void *context, struct gh_exchange *exchange);

struct gh_http_server_config {
    gh_http_handler *handler;
    void *context;
    size_t head_max; /* bytes; 0: 16 KiB */
    size_t body_max; /* bytes; 0: 1 MiB */
    const struct gh_http_header
        *headers; /* added to every answer (security headers); borrowed, outlives the server */
    size_t headers_count;
    /* Requests that ask for a WebSocket are upgraded or refused (400, 403, 404, 426). NULL: the
     * wish is ignored, as every other upgrade is (RFC 9110 §7.8), and the handler sees the request.
     */
    const struct gh_websocket_config *websocket;
    /* Takes over a connection that begins with HTTP/2's preface (RFC 9113 §3.4): over TLS only when
     * ALPN agreed on h2, and then nothing else may come. NULL: refused, as any other version is.
     * Borrowed. */
    const struct gh_listener_protocol *http2;
    int head_ms;   /* 0: 10 s from the first byte of a request to its empty line */
    int body_ms;   /* 0: 30 s from there to the end of the body */
    int idle_ms;   /* 0: 60 s between requests */
    int answer_ms; /* 0: 120 s for the handler; streams have no limit */
};

struct gh_http_server;
GH_MUST_USE struct gh_http_server *gh_http_server_open(const struct gh_http_server_config *config,
                                                       struct gh_error *error);
/* After the loops of its listeners have ended. */
void gh_http_server_close(struct gh_http_server *server);

/* For gh_listener_config.protocols, with the server as context. Claims a capital letter, with which
 * every method begins; MQTT's CONNECT begins with 0x10. */
extern const struct gh_protocol gh_http_protocol;

struct gh_http_request {
    struct gh_slice method, path, query; /* the path and query as they were sent, still encoded */
    const struct gh_http_header *headers;
    size_t headers_count;
    struct gh_slice body;
    const char *peer;
    bool secure;
    /* The certificates that the peer showed in its handshake, DER, the leaf first; it proved to
     * hold the leaf's key, and nothing else about them was checked. */
    const struct gh_slice *certificates;
    size_t certificates_count;
};

/* Any thread that holds the exchange. */
const struct gh_http_request *gh_exchange_request(const struct gh_exchange *exchange);
/* The value of the first field of that name (any case); empty when there is none. */
struct gh_slice gh_http_header_get(const struct gh_http_request *request, const char *name);
/* Whoever works on the exchange, one thread at a time. */
struct gh_arena *gh_exchange_arena(struct gh_exchange *exchange);
struct gh_exchange *gh_exchange_ref(struct gh_exchange *exchange);
void gh_exchange_unref(struct gh_exchange *exchange);

struct gh_http_answer {
    int status;
    const char *content_type; /* NULL: none */
    struct gh_slice body;
    const struct gh_http_header
        *headers; /* more fields; cache-control: no-store is sent unless it is among them */
    size_t headers_count;
};

/* Any thread. Copies the answer; the caller keeps its reference. A second answer is dropped. To
 * HEAD the length is sent without the body. */
void gh_exchange_answer(struct gh_exchange *exchange, const struct gh_http_answer *answer);

/* Any thread. Begins an answer whose body comes in pieces (server-sent events): sent as chunks, or
 * until the connection closes for HTTP/1.0. False when the exchange is over already. */
bool gh_exchange_stream(struct gh_exchange *exchange, int status, const char *content_type);
/* Any thread, after gh_exchange_stream. Copies. False when the peer is gone, the stream is
 * finished, or the peer reads so slowly that GH_EXCHANGE_STREAM_BYTES_MAX are waiting: nothing of
 * `bytes` was taken then. */
GH_MUST_USE bool gh_exchange_send(struct gh_exchange *exchange, struct gh_slice bytes);
/* Any thread. The end of the stream; what was sent before is still delivered. */
void gh_exchange_finish(struct gh_exchange *exchange);
/* Any thread, once per exchange. `fn` is called exactly once when the exchange is over: the peer
 * has gone, or the answer or the whole stream has been handed to the connection. On the loop's
 * thread, or in this call when it is over already. */
void gh_exchange_on_gone(struct gh_exchange *exchange, void (*fn)(void *context), void *context);
#endif
