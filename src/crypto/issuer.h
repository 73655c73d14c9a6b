/* Issuing CAs for devices, below the intermediate CA of crypto/authority.h: one for each tenant,
 * for clients alone. Devices trust the root for servers, so an issuing CA must not be able to make
 * a server: its certificate says clientAuth and, critically, excludes every host name and every
 * address.
 *
 * An issuer is a gh_authority of its own. Its key leaves the keys process sealed under a key that
 * stays there (AES-256-GCM, the CA's certificate as associated data), so that it can lie in the
 * database and is of no use without that process. What stands in a leaf comes from the template
 * here and from the arguments; of a request only the key is taken.
 *
 * Memory and threads: as crypto/authority.h. */
#ifndef GH_CRYPTO_ISSUER_H
#define GH_CRYPTO_ISSUER_H

#include "crypto/authority.h"

enum { GH_ISSUER_SEALED_MAX = 1024, GH_ISSUER_REVOKED_MAX = 600, GH_ISSUER_KEY_BYTES = 32 };

/* Who certifies issuing CAs, and under what their keys are sealed. */
struct gh_issuer_parent {
    const struct gh_authority *authority;
    const uint8_t *sealing_key; /* GH_ISSUER_KEY_BYTES */
};

/* A new issuing CA: P-256, CA:TRUE with path length 0. Appends its certificate's PEM and its sealed
 * key. */
GH_MUST_USE enum gh_error_code gh_issuer_create(const struct gh_issuer_parent *parent,
                                                struct gh_slice name, struct gh_validity validity,
                                                struct gh_buffer *certificate_pem,
                                                struct gh_buffer *sealed_key,
                                                struct gh_error *error);
/* The same CA anew, over the same key and with the same name, below the parent of now and for a
 * time of its own: what it issued before is as good as ever. */
GH_MUST_USE enum gh_error_code
gh_issuer_renew(const struct gh_issuer_parent *parent, const struct gh_authority *issuer,
                struct gh_validity validity, struct gh_buffer *certificate_pem,
                struct gh_buffer *sealed_key, struct gh_error *error);
/* NULL with INVALID when the key was sealed under another key or for another certificate. */
GH_MUST_USE struct gh_authority *gh_issuer_open(const uint8_t sealing_key[GH_ISSUER_KEY_BYTES],
                                                struct gh_slice certificate_pem,
                                                struct gh_slice sealed_key, struct gh_error *error);
/* The sealing key that versions before intermediate CAs made out of the root's private key,
 * whenever they needed it. Kept by itself it opens what they sealed, and tells nothing of the
 * root's key. False without memory. */
GH_MUST_USE bool gh_issuer_key_of_root(const struct gh_authority *root,
                                       uint8_t out[GH_ISSUER_KEY_BYTES]);

struct gh_device_leaf {
    struct gh_slice common_name; /* the device's id */
    struct gh_slice uri;         /* its one alternative name */
    struct gh_slice public_key_pem;
    struct gh_slice pki; /* where the CA publishes, "https://host/pki/acme": the leaf then names
                          * pki/ocsp, pki/ca.cer and pki/ca.crl; empty: it names nothing */
    struct gh_validity validity; /* cut to the issuer's own */
};
/* Appends the leaf's PEM. */
GH_MUST_USE enum gh_error_code gh_issuer_issue(const struct gh_authority *issuer,
                                               const struct gh_device_leaf *leaf,
                                               struct gh_buffer *out, struct gh_error *error);

struct gh_revoked {
    struct gh_slice serial; /* lower-case hex */
    int reason;
    int64_t at_s;
};
/* Appends the CRL, DER: at most GH_ISSUER_REVOKED_MAX entries (LIMIT). */
GH_MUST_USE enum gh_error_code gh_issuer_crl(const struct gh_authority *issuer, int64_t number,
                                             struct gh_validity validity,
                                             const struct gh_revoked *revoked, size_t count,
                                             struct gh_buffer *out, struct gh_error *error);
#endif
