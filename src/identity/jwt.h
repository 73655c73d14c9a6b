/* Device tokens: the verifier and the signer of JSON Web Tokens (RFC 7519, RFC 7515, hardened as
 * RFC 8725 asks). One function decides about a token: form and header, then the signature under
 * keys that the caller took from the registry, and only after a good signature what the claims
 * say. The token never chooses: a key has one algorithm and is tried only when `alg` names exactly
 * that; `jwk`, `jku`, `x5c`, `x5u` and `kid` are not looked at. Reads no clock, finds no key, does
 * no I/O: who the device is and whether it may connect is identity/device.h.
 *
 * Memory: texts in the outcome are the arena's. Threads: any; one arena each. A verification costs
 * some 0.1 ms, so it runs on worker threads. */
#ifndef GH_IDENTITY_JWT_H
#define GH_IDENTITY_JWT_H

#include "crypto/key.h"
#include "wire/jose.h"

struct gh_jwt_policy {
    struct gh_slice audience; /* exact; empty refuses every token */
    struct gh_slice subject;  /* exact when not empty */
    struct gh_slice issuer;   /* exact when not empty */
    struct gh_slice type;     /* `typ` must be this; empty: it may be JWT or absent */
    bool token_id_needed;     /* `jti` must be there */
    bool audience_any;        /* `aud` is the caller's to look at */
    int64_t skew_s;           /* both ways */
    int64_t lifetime_max_s;   /* exp - iat */
    /* What Google IoT Core took and its devices rely on; false everywhere else. */
    bool lenient_base64;     /* padding and the standard alphabet */
    bool audience_text_only; /* an array is refused */
    bool others_ignored;     /* typ, kid, nbf, sub and iss may be anything */
    bool bounds_inside;      /* valid exactly `skew_s` after `exp` still; `exp` may equal `iat` */
    bool payload_first;      /* MALFORMED (CONNACK 4) without a JSON payload, whoever signed it */
};

/* Skew 600 s, at most 24 h: facts of the native dialect. Set the audience. */
extern const struct gh_jwt_policy gh_jwt_native;
/* Skew 60 s, at most 5 minutes, one audience, `jti` needed: a client's assertion about itself (RFC
 * 7523). Set audience, subject and issuer. */
extern const struct gh_jwt_policy gh_jwt_assertion;
/* Skew 600 s both ends inside, at most 24 h and the skew, all leniencies. Set the audience. */
extern const struct gh_jwt_policy gh_jwt_google;

enum gh_jwt_verdict {
    GH_JWT_ACCEPTED,
    GH_JWT_MALFORMED, /* too large, or not three base64url parts, two of them JSON objects */
    GH_JWT_HEADER,    /* `crit`, `b64`, or a `typ` or `kid` that is not for us */
    GH_JWT_ALGORITHM, /* `alg` is none that the keys have */
    GH_JWT_SIGNATURE, /* none of the keys verifies it */
    GH_JWT_CLAIMS,    /* a claim is missing or has a type or value that the rules refuse */
    GH_JWT_AUDIENCE,
    GH_JWT_SUBJECT,
    GH_JWT_ISSUER,
    GH_JWT_LIFETIME, /* exp - iat is over the policy's maximum or negative */
    GH_JWT_EXPIRED,
    GH_JWT_NOT_YET_VALID,
    GH_JWT_MEMORY, /* the arena is full: nothing was decided */
    GH_JWT_VERDICT_COUNT,
};
/* "EXPIRED": for logs and tables of tests. Static. */
const char *gh_jwt_verdict_name(enum gh_jwt_verdict verdict);

enum { GH_JWT_DETAIL_MAX = 256 };

struct gh_jwt_outcome {
    enum gh_jwt_verdict verdict;
    char
        detail[GH_JWT_DETAIL_MAX]; /* for the operator: "token expired 712 s ago, server clock …" */
    size_t key;                    /* which key verified; ACCEPTED and what follows the signature */
    int64_t issued_at_s, expires_at_s; /* as claimed; valid when ACCEPTED */
    int64_t valid_until_s;             /* expires_at_s and the skew: when a connection must end */
    struct gh_slice subject, issuer, token_id; /* empty when absent */
};

/* The form alone, before any key is known: ACCEPTED and `*jose`, or MALFORMED, HEADER, MEMORY. */
GH_MUST_USE enum gh_jwt_verdict gh_jwt_check_form(struct gh_slice token,
                                                  const struct gh_jwt_policy *policy,
                                                  struct gh_arena *arena, struct gh_jose *jose,
                                                  struct gh_jwt_outcome *out);
/* Decides. `keys` are the keys of the one device, none of them NULL; with no key at all the token
 * is refused as SIGNATURE. Returns `out->verdict`. */
GH_MUST_USE enum gh_jwt_verdict gh_jwt_verify(struct gh_slice token,
                                              const struct gh_key *const *keys, size_t keys_count,
                                              const struct gh_jwt_policy *policy, int64_t now_s,
                                              struct gh_arena *arena, struct gh_jwt_outcome *out);

/* Appends a token, signed by the key's own algorithm; `out` is empty before. False when the buffer
 * is full, memory is short or a text is not UTF-8. Programs that do not link this room do the same
 * with gh_jose_begin, gh_private_key_sign and gh_jose_finish. */
GH_MUST_USE bool gh_jwt_sign(const struct gh_private_key *key, const struct gh_jose_issue *issue,
                             struct gh_buffer *out);
#endif
