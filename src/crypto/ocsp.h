/* OCSP (RFC 6960): requests and answers about one certificate. Answers that are made here are
 * signed by the CA itself, which §4.2.2.2 allows and which every client can check with nothing but
 * the CA; so the signing half belongs in the process that holds the CA's key. Answers of others are
 * taken from their CA or from a responder to whom it has delegated that: a certificate in the
 * answer, signed by the CA and valid, with id-kp-OCSPSigning. Memory: nothing is kept. Threads:
 * any. */
#ifndef GH_CRYPTO_OCSP_H
#define GH_CRYPTO_OCSP_H

#include "crypto/authority.h"

enum {
    GH_OCSP_REQUEST_MAX = 4096,
    GH_OCSP_SERIAL_MAX = 41,
    GH_OCSP_ANSWER_MAX = 64 * 1024,
    GH_OCSP_SKEW_S = 300,       /* a responder's clock may be wrong by this much */
    GH_OCSP_UNSAID_LIFE_S = 300 /* of an answer that does not say when there is a newer one */
};

/* Reads a request, DER, about exactly one certificate of `issuer_pem`: its serial number in
 * lower-case hex. INVALID for anything else, NOT_FOUND for another issuer's. */
GH_MUST_USE enum gh_error_code gh_ocsp_read(struct gh_slice request, struct gh_slice issuer_pem,
                                            char serial[GH_OCSP_SERIAL_MAX],
                                            struct gh_error *error);
/* Appends a request about `certificate_pem`, without a nonce. */
GH_MUST_USE enum gh_error_code gh_ocsp_ask(struct gh_slice certificate_pem,
                                           struct gh_slice issuer_pem, struct gh_buffer *out,
                                           struct gh_error *error);

/* The same about the certificate of that serial number, in hex. */
GH_MUST_USE enum gh_error_code gh_ocsp_ask_serial(struct gh_slice serial,
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
/* What an answer, DER, says at `now_s` about the certificate of `issuer_pem` with that serial
 * number: INVALID when it says nothing about it, is not signed by whom it has to be, or is not
 * valid now. */
GH_MUST_USE enum gh_error_code gh_ocsp_check(struct gh_slice response, struct gh_slice issuer_pem,
                                             struct gh_slice serial, int64_t now_s,
                                             struct gh_ocsp_answer *out, struct gh_error *error);
/* Appends the unsigned answer to what is no request (malformedRequest) or cannot be answered now
 * (tryLater). */
GH_MUST_USE bool gh_ocsp_refuse(bool malformed, struct gh_buffer *out);
#endif
