/* A connection: OpenSSL's until its handshake is done, and then perhaps its keys alone. tls.c has
 * contexts and handshakes, tls_keys.c what follows when OpenSSL is gone. Nobody outside the folder
 * includes this. */
#ifndef GH_CRYPTO_TLS_INTERNAL_H
#define GH_CRYPTO_TLS_INTERNAL_H

#include "crypto/record.h"
#include "crypto/tls.h"
#include <openssl/ssl.h>

struct tls_secrets;
struct tls_shown;
struct tls_rest;
struct tls_unsent;

struct gh_tls {
    SSL *native;                 /* NULL: the keys are here */
    struct gh_tls_desk *desk;    /* NULL: they never will be */
    struct tls_secrets *secrets; /* of a handshake under way */
    struct gh_record *record;    /* the keys; the rest is for this */
    struct tls_shown *shown;     /* what the handshake said of the client; NULL: nothing */
    const char *alpn;            /* static */
    struct tls_rest *rest;       /* read and not yet handed out, or not a whole record yet */
    struct tls_unsent *unsent;   /* what the socket has not taken yet */
    int fd;
    bool is_resumed : 1;
    bool is_drained : 1, has_ended : 1, is_broken : 1;
};

/* Before all handshakes of a context: has OpenSSL tell the secrets. */
void tls_keys_watch(SSL_CTX *native);
/* Before one: makes room for them. False without memory. */
GH_MUST_USE bool tls_keys_begin(struct gh_tls *tls);
/* After it: takes the keys over and frees OpenSSL's state, if that can be done (TLS 1.3, a desk,
 * memory); else nothing changes. */
void tls_keys_take(struct gh_tls *tls);
/* All that is here and not OpenSSL's. */
void tls_keys_free(struct gh_tls *tls);

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
#endif
