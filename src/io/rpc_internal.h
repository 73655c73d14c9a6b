/* One call: what http2.c (the connection's side, on the loop) and rpc.c (the side of whoever
 * answers, any thread) share. Under the lock is what both touch. Nobody outside the folder includes
 * this. */
#ifndef GH_IO_RPC_INTERNAL_H
#define GH_IO_RPC_INTERNAL_H

#include "io/rpc.h"
#include <pthread.h>
#include <stdatomic.h>

struct http2;

struct gh_rpc {
    atomic_size_t references;
    struct gh_arena arena;
    struct gh_rpc_head head;
    struct gh_loop *loop;

    /* The loop's. */
    struct http2 *owner; /* NULL once the call is over */
    struct gh_rpc *next; /* of its connection's calls */
    int32_t stream;
    const struct gh_rpc_taker *taker;
    void *context;
    struct gh_http_header *headers; /* room for RPC_HEADERS_MAX */
    size_t headers_bytes;
    struct gh_buffer in; /* of a message that has not arrived whole */
    int64_t deadline_ns; /* 0: none */
    bool is_headed;      /* all fields of the request are there */
    bool is_answered;    /* the answer's head was submitted */
    bool is_deferred;    /* its body waits for more */
    bool is_deaf;        /* what the client still says is dropped */
    bool peer_ended;
    bool is_post, is_grpc;

    pthread_mutex_t lock; /* around what follows */
    bool is_ended, is_over, letter_is_away;
    int status;
    struct gh_buffer out; /* sent, from `out_at` on not yet taken */
    size_t out_at;
    char text[GH_GRPC_STATUS_TEXT_MAX];
    size_t text_size;
    struct gh_letter letter; /* holds a reference while it is away */
};

enum { RPC_HEADERS_MAX = 64 };

/* One reference, the connection's. NULL when there is no memory. */
GH_MUST_USE struct gh_rpc *rpc_open(struct gh_loop *loop, struct http2 *owner, size_t message_max);
/* What waits to be written. */
struct rpc_progress {
    size_t waiting;
    bool is_ended;
};
struct rpc_progress rpc_progress(struct gh_rpc *rpc);
/* Moves up to `size` bytes to `out`; the progress is what is left. */
struct rpc_progress rpc_take_bytes(struct gh_rpc *rpc, uint8_t *out, size_t size, size_t *taken);
/* On the loop, after it has left its connection's calls. */
void rpc_over(struct gh_rpc *rpc);

/* ---- http2.c: HTTP/2 without I/O: bytes and time in, bytes out. One thread. */

struct http2_setup {
    const struct gh_rpc_config *config; /* without zeros */
    struct gh_loop *loop;               /* for letters; NULL: none are sent */
    struct gh_metrics *metrics;
    const char *peer;         /* borrowed, as what follows */
    const struct gh_tls *tls; /* NULL: none */
    /* A letter came and there may be something to write. */
    void (*wake)(void *context);
    void *context;
};
GH_MUST_USE struct http2 *http2_open(const struct http2_setup *setup, int64_t now_ns);
/* Ends every call. */
void http2_close(struct http2 *http2);
/* Takes all of `bytes`. */
void http2_read(struct http2 *http2, struct gh_slice bytes, int64_t now_ns);
/* Appends what there is to say, while `out` holds less than `high` bytes. */
void http2_write(struct http2 *http2, struct gh_buffer *out, size_t high);
/* When http2_tick wants to be called. */
int64_t http2_deadline(const struct http2 *http2);
/* `unwritten` bytes of what was said are still with us. */
void http2_tick(struct http2 *http2, size_t unwritten, int64_t now_ns);
/* Ends every call with UNAVAILABLE and says GOAWAY: the client may repeat elsewhere. */
void http2_stop(struct http2 *http2);
/* NULL, or why the connection is to be closed once everything is written; static text. */
const char *http2_why(const struct http2 *http2);
/* The call has something to say. */
void http2_take(struct http2 *http2, struct gh_rpc *rpc);
/* The same from its letter. */
void http2_wake(struct http2 *http2, struct gh_rpc *rpc);
#endif
