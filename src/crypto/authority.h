/* The built-in certification authority: makes the root, certifies the intermediate CA below it and
 * signs the server's leaf. Everything in a certificate comes from the template here and from the
 * arguments; nothing but the public key is taken from the requester (RFC 5280 profile: serial of 16
 * random bytes, key identifiers; of a leaf CA:FALSE, digitalSignature, serverAuth, subjectAltName).
 * Holds the CA's private key while open, so it runs in the `keys` process or in the command line,
 * never in the process that reads the network. Where the keys lie is vault/ca.h's to say.
 *
 * All of them are P-256: every TLS stack of a small device has the curve, P-384 costs such a
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

/* A new root: a fresh P-256 key, self-signed, CA:TRUE with path length 2 (an intermediate CA and
 * the tenants' issuing CAs stand below it), keyCertSign and cRLSign. `name` is its common name, 1
 * to 64 bytes. PKCS#8 and certificate PEM are appended. */
GH_MUST_USE enum gh_error_code
gh_authority_create(struct gh_slice name, struct gh_validity validity, struct gh_buffer *key_pem,
                    struct gh_buffer *certificate_pem, struct gh_error *error);

struct gh_authority;
/* NULL with the cause when the two do not belong together or the certificate is no CA. */
GH_MUST_USE struct gh_authority *gh_authority_open(struct gh_slice certificate_pem,
                                                   struct gh_slice key_pem, struct gh_error *error);
void gh_authority_close(struct gh_authority *authority);
struct gh_validity gh_authority_validity(const struct gh_authority *authority);

/* Whether its certificate lets an intermediate CA and one below that stand under it. A root that
 * was made before there were intermediates does not. */
bool gh_authority_is_deep(const struct gh_authority *authority);
/* Appends the root's certificate anew with the path length of today: the same name, key and dates,
 * so that whoever trusts the one before needs no other. */
GH_MUST_USE enum gh_error_code gh_authority_deepen(const struct gh_authority *root,
                                                   struct gh_buffer *out, struct gh_error *error);

/* An intermediate CA below the root, over a key whose private half is elsewhere: CA:TRUE with path
 * length 1, keyCertSign and cRLSign, digitalSignature as it answers OCSP itself, for servers and
 * clients. `name` as of a root; the validity is cut to the root's. Appends its PEM. */
GH_MUST_USE enum gh_error_code gh_authority_certify(const struct gh_authority *root,
                                                    struct gh_slice name,
                                                    struct gh_slice public_key_pem,
                                                    struct gh_validity validity,
                                                    struct gh_buffer *out, struct gh_error *error);

struct gh_leaf {
    struct gh_slice common_name;    /* may be empty */
    struct gh_slice public_key_pem; /* SubjectPublicKeyInfo, by the rules of crypto/key.h */
    const struct gh_slice *names;   /* at least one host name or address, in text */
    size_t names_count;             /* at most GH_AUTHORITY_NAMES_MAX */
    struct gh_validity validity;    /* inside the issuer's own */
};
/* Appends the leaf's PEM (the leaf alone; add what stands above it where a chain is wanted). */
GH_MUST_USE enum gh_error_code gh_authority_issue(const struct gh_authority *authority,
                                                  const struct gh_leaf *leaf, struct gh_buffer *out,
                                                  struct gh_error *error);
#endif
