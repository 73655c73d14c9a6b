/* One request and its answer: what http_server.c (the connection's side, on the loop) and
 * exchange.c (the answerer's side, any thread) share. Under the lock is what both touch: how far
 * the answer is, and the bytes between them. Nobody outside the folder includes this. */
#ifndef GH_IO_EXCHANGE_INTERNAL_H
#define GH_IO_EXCHANGE_INTERNAL_H

#include "io/http_server.h"
#include <pthread.h>
#include <stdatomic.h>

enum exchange_progress {
    EXCHANGE_WAITING,   /* for an answer */
    EXCHANGE_STREAMING, /* its head is there, its body comes in pieces */
    EXCHANGE_COMPLETE,  /* nothing more comes */
};

struct gh_exchange {
    atomic_size_t references;
    struct gh_arena arena;
    struct gh_http_request request;
    struct gh_buffer body; /* of the request */
    const struct gh_http_server_config *config;
    struct gh_loop *loop;
    /* What the request said about the answer. */
    bool is_head, keep_alive;
    unsigned minor;

    /* The loop's. */
    struct http_conn *owner; /* NULL once the exchange is over */

    pthread_mutex_t lock; /* around what follows */
    enum exchange_progress progress;
    bool is_chunked, is_over, letter_is_away;
    struct gh_buffer head, pending; /* to be written: first as it is, then as the body */
    void (*on_gone)(void *context);
    void *on_gone_context;
    struct gh_letter letter; /* holds a reference while it is away */
};

/* For `size_max` bytes of body; one reference, the connection's. NULL when there is no memory. */
GH_MUST_USE struct gh_exchange *exchange_open(const struct gh_http_server_config *config,
                                              struct gh_loop *loop, struct http_conn *owner);
/* On the loop: copies the head and what belongs to it. False at the arena's ceiling. */
GH_MUST_USE bool exchange_set_head(struct gh_exchange *exchange, const struct gh_http_head *head,
                                   struct gh_slice bytes, const struct gh_conn *conn);
/* On the loop: moves what there is to `out`; true when that was the last of it. */
GH_MUST_USE bool exchange_take(struct gh_exchange *exchange, struct gh_buffer *out);
/* On the loop: tells whoever waits for it, and gives the connection's reference back. */
void exchange_end(struct gh_exchange *exchange);
enum exchange_progress exchange_progress(struct gh_exchange *exchange);
/* Head and body of an answer. */
void exchange_write(struct gh_buffer *out, const struct gh_http_server_config *config,
                    const struct gh_http_answer *answer, bool is_head, bool keep_alive,
                    unsigned minor);
/* http_server.c: there is something to take; on the loop, with an owner. */
void http_conn_take(struct http_conn *http);
#endif
