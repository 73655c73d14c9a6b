/* OCSP (RFC 6960): requests and answers about one certificate. The answer is signed by the CA
 * itself, which RFC 6960 §4.2.2.2 allows and which every client can check with nothing but the CA;
 * so the signing half belongs in the process that holds the CA's key. Memory: nothing is kept.
 * Threads: any. */
#ifndef GH_CRYPTO_OCSP_H
#define GH_CRYPTO_OCSP_H

#include "crypto/authority.h"

enum { GH_OCSP_REQUEST_MAX = 4096, GH_OCSP_SERIAL_MAX = 41 };

/* Reads a request, DER, about exactly one certificate of `issuer_pem`: its serial number in
 * lower-case hex. INVALID for anything else, NOT_FOUND for another issuer's. */
GH_MUST_USE enum gh_error_code gh_ocsp_read(struct gh_slice request, struct gh_slice issuer_pem,
                                            char serial[GH_OCSP_SERIAL_MAX],
                                            struct gh_error *error);
/* Appends a request about `certificate_pem`, without a nonce. */
GH_MUST_USE enum gh_error_code gh_ocsp_ask(struct gh_slice certificate_pem,
                                           struct gh_slice issuer_pem, struct gh_buffer *out,
                                           struct gh_error *error);

enum gh_ocsp_status { GH_OCSP_GOOD, GH_OCSP_REVOKED, GH_OCSP_UNKNOWN };
struct gh_ocsp_answer {
    enum gh_ocsp_status status;
    int reason;           /* REVOKED: CRLReason */
    int64_t revoked_at_s; /* REVOKED */
    struct gh_validity validity;
};
/* Appends the signed answer to `request`, with its nonce, DER. */
GH_MUST_USE enum gh_error_code gh_ocsp_sign(const struct gh_authority *authority,
                                            struct gh_slice request,
                                            const struct gh_ocsp_answer *answer,
                                            struct gh_buffer *out, struct gh_error *error);
/* Appends the unsigned answer to what is no request (malformedRequest) or cannot be answered now
 * (tryLater). */
GH_MUST_USE bool gh_ocsp_refuse(bool malformed, struct gh_buffer *out);
#endif
