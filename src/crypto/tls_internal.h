/* A connection: OpenSSL's until its handshake is done, and then perhaps its keys alone. tls.c has
 * contexts and handshakes, tls_socket.c what they read and write, tls_keys.c what follows when
 * OpenSSL is gone, tls_tickets.c what lets a connection be resumed. Nobody outside the folder
 * includes this. */
#ifndef GH_CRYPTO_TLS_INTERNAL_H
#define GH_CRYPTO_TLS_INTERNAL_H

#include "crypto/record.h"
#include "crypto/ticket.h"
#include "crypto/tls.h"
#include <openssl/ssl.h>

struct tls_rest;
struct tls_unsent;

/* Of a handshake under way that is to be taken over. */
struct tls_shaking {
    struct gh_schedule_secrets secrets;
    struct gh_tickets *tickets; /* NULL: none are given or taken */
    bool takes_ticket;          /* the client can resume by ECDHE */
};

/* What a client has shown. One block, the bytes behind the chain. */
struct tls_shown {
    struct gh_slice server_name;
    size_t count;
    struct gh_slice chain[]; /* DER, the leaf first */
};

/* A NewSessionTicket, whole, that goes out before the first text. */
struct tls_ticket {
    size_t size;
    uint8_t bytes[];
};

struct gh_tls {
    SSL *native;                 /* NULL: the keys are here */
    struct gh_tls_desk *desk;    /* NULL: they never will be */
    struct tls_shaking *shaking; /* NULL: OpenSSL keeps it, or it is done */
    struct gh_record *record;    /* the keys; the rest is for this */
    struct tls_shown *shown;     /* what the handshake said of the client; NULL: nothing */
    const char *alpn;            /* static */
    struct tls_ticket *ticket;   /* NULL: there is none, or it is sent */
    struct tls_rest *rest;       /* read and not yet handed out, or not a whole record yet */
    struct tls_unsent *unsent;   /* what the socket has not taken yet */
    int fd;
    bool is_resumed : 1;
    bool is_drained : 1, has_ended : 1, is_broken : 1;
};

/* Before a handshake: makes room for what is to be taken over. False without memory. */
GH_MUST_USE bool tls_keys_begin(struct gh_tls *tls, struct gh_tickets *tickets);
/* After each of its steps that is not the last: a client that takes its time holds no record
 * buffers. */
void tls_keys_rest(struct gh_tls *tls);
/* After it: takes the keys over and frees OpenSSL's state, if that can be done (TLS 1.3, a desk,
 * memory); else nothing changes. False when the connection cannot go on: it was resumed, and only
 * what is here knows what its ticket said. */
GH_MUST_USE bool tls_keys_take(struct gh_tls *tls);
/* All that is here and not OpenSSL's. */
void tls_keys_free(struct gh_tls *tls);

/* Lets OpenSSL read the socket ahead, and write it. False without memory. */
GH_MUST_USE bool tls_socket_attach(SSL *ssl, int fd);
/* Of one that is attached: what has come and OpenSSL has not asked for; valid until it reads. */
struct gh_slice tls_socket_held(const SSL *ssl);
/* OpenSSL keeps it: what is held is for its next reads, and nothing more will be. */
void tls_socket_look_no_further(SSL *ssl);

/* As their namesakes of tls.h. */
GH_MUST_USE enum gh_tls_status tls_keys_read(struct gh_tls *tls, uint8_t *block, size_t size,
                                             size_t *got);
GH_MUST_USE enum gh_tls_status tls_keys_write(struct gh_tls *tls, struct gh_slice bytes,
                                              size_t *sent);
void tls_keys_shutdown(struct gh_tls *tls);
GH_MUST_USE bool tls_keys_peer_chain(const struct gh_tls *tls, size_t max, struct gh_arena *arena,
                                     struct gh_slice *out, size_t *count);
bool tls_keys_has_peer_certificate(const struct gh_tls *tls);
struct gh_slice tls_keys_server_name(const struct gh_tls *tls);

/* Before all handshakes of a context: shows its connections' tickets to tls_tickets.c. */
GH_MUST_USE bool tls_tickets_watch(SSL_CTX *native);
/* The evidence of the ticket that a resumed connection was opened with. */
GH_MUST_USE bool tls_tickets_evidence(const SSL *ssl, struct gh_slice chain[GH_TICKET_CHAIN_MAX],
                                      struct gh_evidence *out);
/* Makes the connection's ticket, if its client takes one and there is evidence for it: what was
 * shown, or the ticket of before. */
void tls_tickets_make(struct gh_tls *tls);
#endif
