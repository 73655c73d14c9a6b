/* Certification paths (RFC 5280 §6): does this chain lead from a leaf that may prove what it is
 * shown for to one of these anchors, now, without one of its certificates having been revoked? The
 * path is OpenSSL's, in its strict mode; every certificate of it then has to pass the linter
 * (crypto/lint.h), and revocation is looked up here, in the CRLs given. What was found sound
 * without CRLs is remembered for the same certificates (chain_internal.h).
 *
 * Not here: whose certificate it is (identity/), fetching CRLs, handshakes (crypto/tls.h). Reads no
 * clock and does no I/O. Memory: everything is borrowed during the call. Threads: any. */
#ifndef GH_CRYPTO_CHAIN_H
#define GH_CRYPTO_CHAIN_H

#include "crypto/certificate.h"
#include "crypto/crl.h"

enum {
    GH_CHAIN_OTHERS_MAX = 128, /* shown beside the leaf; a handshake allows fewer (crypto/tls.h) */
    GH_CHAIN_ATTEMPTS_MAX = 8, /* ways that are tried */
    GH_CHAIN_INTERMEDIATES_MAX = 4,
    GH_CHAIN_DETAIL_MAX = 256,
    GH_CHAIN_SERIAL_MAX = 41,
};

enum gh_chain_purpose { GH_CHAIN_CLIENT, GH_CHAIN_SERVER };

struct gh_chain_question {
    const struct gh_certificate *leaf;
    const struct gh_certificate *const *others; /* what the peer showed beside it, in any order */
    size_t others_count;
    const struct gh_certificate *const *anchors; /* roots, or intermediates trusted by themselves */
    size_t anchors_count;
    const struct gh_crl *const *crls; /* an issuer without one is not asked about revocation */
    size_t crls_count;
    enum gh_chain_purpose purpose;
    const char *host; /* SERVER: the name or address that the leaf must prove; NULL: not asked */
    int intermediates_max; /* 0: GH_CHAIN_INTERMEDIATES_MAX; -1: none */
    int64_t now_s;
};

enum gh_chain_reason {
    GH_CHAIN_SOUND,
    GH_CHAIN_UNTRUSTED, /* it leads to none of the anchors */
    GH_CHAIN_EXPIRED,
    GH_CHAIN_NOT_YET_VALID,
    GH_CHAIN_UNSOUND, /* a rule of RFC 5280 or of the linter is broken */
    GH_CHAIN_HOST,    /* it is another server's */
    GH_CHAIN_REVOKED,
    GH_CHAIN_CRL_EXPIRED, /* revocation cannot be ruled out */
    GH_CHAIN_MEMORY,
    GH_CHAIN_REASON_COUNT,
};

struct gh_chain_verdict {
    enum gh_chain_reason reason;
    size_t anchor; /* SOUND: which one it leads to, and which certificate of the path it signed */
    int64_t from_s, to_s; /* SOUND: when all certificates of the path hold, both inclusive */
    char serial[GH_CHAIN_SERIAL_MAX]; /* lower-case hex; empty when the leaf is the anchor */
    char detail[GH_CHAIN_DETAIL_MAX]; /* which certificate, and what is wrong with it */
};

GH_MUST_USE enum gh_chain_reason gh_chain_verify(const struct gh_chain_question *question,
                                                 struct gh_chain_verdict *out);
#endif
