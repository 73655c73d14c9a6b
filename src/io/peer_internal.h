/* What a peer showed of itself, copied to what outlives its connection. Nobody outside the folder
 * includes this. */
#ifndef GH_IO_PEER_INTERNAL_H
#define GH_IO_PEER_INTERNAL_H

#include "crypto/tls.h"

/* The certificates of its handshake, DER, the leaf first: none without TLS (NULL) or when it showed
 * none. False when the arena is full or there are more than an exchange may have. */
GH_MUST_USE bool peer_certificates(const struct gh_tls *tls, struct gh_arena *arena,
                                   const struct gh_slice **out, size_t *count);
#endif
