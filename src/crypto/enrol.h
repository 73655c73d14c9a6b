/* What an enrolling device sends and gets (RFC 7030, RFC 2986): a certification request, of which
 * only the key and the common name are read, and a bag of certificates (PKCS #7, certs-only).
 * Threads: any; nothing is kept. */
#ifndef GH_CRYPTO_ENROL_H
#define GH_CRYPTO_ENROL_H

#include "base/buffer.h"
#include "base/error.h"

enum { GH_ENROL_REQUEST_MAX = 16 * 1024 };

/* A request, DER. Its own signature proves that the key is the sender's. Appends the key as PEM by
 * the rules of crypto/key.h, and the common name (nothing when there is none). INVALID for a
 * request that is damaged, not signed by its key, or over a key that no certificate gets. */
GH_MUST_USE enum gh_error_code gh_enrol_read(struct gh_slice der, struct gh_buffer *public_key_pem,
                                             struct gh_buffer *common_name, struct gh_error *error);
/* Appends the certificates (PEM, one each) as one degenerate SignedData, DER. */
GH_MUST_USE enum gh_error_code gh_enrol_write(const struct gh_slice *certificates, size_t count,
                                              struct gh_buffer *out, struct gh_error *error);
#endif
