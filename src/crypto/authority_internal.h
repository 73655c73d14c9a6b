/* What the files of the authority share. Nobody outside the folder includes this. */
#ifndef GH_CRYPTO_AUTHORITY_INTERNAL_H
#define GH_CRYPTO_AUTHORITY_INTERNAL_H

#include "crypto/authority.h"
#include "crypto/openssl_internal.h"

struct gh_authority {
    X509 *certificate;
    EVP_PKEY *key;
    struct gh_validity validity; /* of its certificate */
};

struct authority_extension {
    int nid;
    const char *value; /* in OpenSSL's configuration language: a constant of ours */
};

/* Version, a fresh serial number, validity, subject, issuer and key. False without memory. */
GH_MUST_USE bool authority_fill(X509 *made, X509 *issuer, struct gh_slice name,
                                struct gh_validity validity, EVP_PKEY *key);
/* Appends the common name of its certificate; false when there is none. */
enum { AUTHORITY_NAME_BYTES_MAX = 64 }; /* RFC 5280 A.1 */
GH_MUST_USE bool authority_name(const struct gh_authority *authority, struct gh_buffer *out);
/* What is asked for, as far as the issuer's own validity goes. */
struct gh_validity authority_cut(struct gh_validity asked, struct gh_validity outer);
/* Signs it with the issuer's key and appends its PEM. */
GH_MUST_USE enum gh_error_code authority_finish(X509 *made, EVP_PKEY *key, struct gh_buffer *out,
                                                struct gh_error *error);
GH_MUST_USE bool authority_extend(X509 *certificate, X509 *issuer,
                                  const struct authority_extension *rows, size_t count);
#endif
