/* The built-in certification authority: makes the root and signs the server's leaf. Everything in a
 * leaf comes from the template here and from the arguments; nothing but the public key is taken
 * from the requester (RFC 5280 profile: serial of 16 random bytes, CA:FALSE, digitalSignature,
 * serverAuth, key identifiers, subjectAltName). Holds the CA's private key while open, so it runs
 * in the `keys` process or in `gatehouse init`, never in the process that reads the network.
 *
 * Root and leaf are P-256: every TLS stack of a small device has the curve, P-384 costs such a
 * device several times the work for each handshake and buys nothing while the leaf and the key
 * exchange stay at 128 bits. Memory: PEM goes to the caller's buffers; a private key's buffer is
 * the caller's to wipe. Threads: one at a time. */
#ifndef GH_CRYPTO_AUTHORITY_H
#define GH_CRYPTO_AUTHORITY_H

#include "base/buffer.h"
#include "base/error.h"

struct gh_validity {
    int64_t from_s, to_s; /* Unix seconds, both inside */
};

enum { GH_AUTHORITY_NAMES_MAX = 64 };

/* A new root: a fresh P-256 key, self-signed, CA:TRUE with path length 1, keyCertSign and cRLSign.
 * `name` is its common name, 1 to 64 bytes. PKCS#8 and certificate PEM are appended. */
GH_MUST_USE enum gh_error_code
gh_authority_create(struct gh_slice name, struct gh_validity validity, struct gh_buffer *key_pem,
                    struct gh_buffer *certificate_pem, struct gh_error *error);

struct gh_authority;
/* NULL with the cause when the two do not belong together or the certificate is no CA. */
GH_MUST_USE struct gh_authority *gh_authority_open(struct gh_slice certificate_pem,
                                                   struct gh_slice key_pem, struct gh_error *error);
void gh_authority_close(struct gh_authority *authority);

struct gh_leaf {
    struct gh_slice common_name;    /* may be empty */
    struct gh_slice public_key_pem; /* SubjectPublicKeyInfo, by the rules of crypto/key.h */
    const struct gh_slice *names;   /* at least one host name or address, in text */
    size_t names_count;             /* at most GH_AUTHORITY_NAMES_MAX */
    struct gh_validity validity;    /* inside the root's own */
};
/* Appends the leaf's PEM (the leaf alone; add the root where a chain is wanted). */
GH_MUST_USE enum gh_error_code gh_authority_issue(const struct gh_authority *authority,
                                                  const struct gh_leaf *leaf, struct gh_buffer *out,
                                                  struct gh_error *error);
#endif
