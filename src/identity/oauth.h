/* The authentication service (RFC 6749, 7523, 8693, 8707): a device shows what it has and gets an
 * access token (identity/access.h), and a service account one for its assertion
 * (identity/service_account.h). Here is what a request means and what comes out of it; HTTP and
 * JSON are api/oauth.h's.
 *
 * A client is a device, its id TENANT/REGISTRY/DEVICE. It proves itself with exactly one of
 *   its secret           HTTP Basic, id and secret form-encoded (client_secret_basic)
 *   an assertion         a JWT by its key, iss = sub = its id, aud = our issuer alone, at most five
 *                        minutes, each `jti` once (private_key_jwt)
 *   its certificate      shown in the TLS handshake, registered itself
 *                        (self_signed_tls_client_auth) or by a CA's word (tls_client_auth)
 *   a cloud's token      in a token exchange: the JWT with which it signs in to MQTT, natively or
 *                        as Google's devices do, or the token that it makes from a symmetric key
 * A token that is asked for over a connection that showed a certificate is bound to it, whatever
 * the proof was (RFC 8705 §3).
 *
 * The peer gets one word of the standard's; the exact reason is in the outcome, for the trail. Who
 * guesses waits longer and longer, by source address and client id together, so that a stranger
 * cannot lock a device out.
 *
 * Memory: the arena's. Threads: any; blocks on the store and on the signer. */
#ifndef GH_IDENTITY_OAUTH_H
#define GH_IDENTITY_OAUTH_H

#include "identity/access.h"

/* A shared access signature (identity/sas.h) as `subject_token_type`; no standard has one. */
#define GH_OAUTH_TOKEN_TYPE_SAS "urn:gatehouse:params:oauth:token-type:sas"

enum gh_oauth_error {
    GH_OAUTH_OK,
    GH_OAUTH_INVALID_REQUEST,
    GH_OAUTH_INVALID_CLIENT,
    GH_OAUTH_UNAUTHORIZED_CLIENT,
    GH_OAUTH_UNSUPPORTED_GRANT_TYPE,
    GH_OAUTH_INVALID_GRANT, /* a service account's assertion that is not good */
    GH_OAUTH_INVALID_SCOPE,
    GH_OAUTH_INVALID_TARGET, /* RFC 8707 §2 */
    GH_OAUTH_SLOW_DOWN,      /* wrong proofs came from there: wait */
    GH_OAUTH_UNAVAILABLE,
    GH_OAUTH_ERROR_COUNT,
};
struct gh_oauth_error_info {
    const char *name; /* "invalid_client" */
    int status;       /* of HTTP */
};
const struct gh_oauth_error_info *gh_oauth_error_info(enum gh_oauth_error error);

struct gh_oauth_services {
    struct gh_directory *directory;
    struct gh_access *access;
    struct gh_store *store; /* of service accounts; NULL: there are none */
};

struct gh_oauth_request {
    struct gh_slice body, content_type, authorization;
    struct gh_slice source; /* the peer's address, without its port */
    /* What the peer showed in its handshake, DER, the leaf first, with proof of the leaf's key. */
    const struct gh_slice *chain;
    size_t chain_count;
    int64_t now_ms;
};

/* How a request ended. `reason` is stable and, as `detail`, for the trail alone. */
struct gh_oauth_outcome {
    enum gh_oauth_error error;
    const char *reason;
    char detail[GH_IDENTITY_DETAIL_MAX];
    struct gh_slice tenant, registry, device; /* as claimed */
    struct gh_identity_verdict verdict;       /* what was found out about the device */
    const char *method;                       /* "client_secret_basic"; "" before it is known */
    int64_t retry_after_s;                    /* SLOW_DOWN */
    /* OK at the token endpoint; a service account's token has neither scope nor id */
    struct gh_slice token, scope;
    char token_id[GH_ACCESS_ID_MAX];
    int64_t expires_in_s;
    bool exchanged;
};

/* POST /oauth2/token. Returns `out->error`. */
GH_MUST_USE enum gh_oauth_error gh_oauth_token(const struct gh_oauth_services *services,
                                               const struct gh_oauth_request *request,
                                               struct gh_arena *arena,
                                               struct gh_oauth_outcome *out);

/* The client of an introspection or a revocation, and the token that it asks about (`*token`, empty
 * when it named none). */
GH_MUST_USE enum gh_oauth_error gh_oauth_client(const struct gh_oauth_services *services,
                                                const struct gh_oauth_request *request,
                                                struct gh_arena *arena, struct gh_slice *token,
                                                struct gh_oauth_outcome *out);
/* The same request without a client: who asks was found out elsewhere. INVALID_REQUEST for a form
 * that is none. */
GH_MUST_USE enum gh_oauth_error gh_oauth_form(const struct gh_oauth_request *request,
                                              struct gh_arena *arena, struct gh_slice *token,
                                              struct gh_oauth_outcome *out);

/* Whether `token` is an access token that would be taken now, for its scope; `*claims` and the
 * verdict about its device. */
GH_MUST_USE bool gh_oauth_inspect(const struct gh_oauth_services *services, struct gh_slice token,
                                  int64_t now_ms, struct gh_arena *arena,
                                  struct gh_access_claims *claims,
                                  struct gh_identity_verdict *verdict);
/* Takes the token back. `*claims` are those of the token, empty when it is none of ours or has
 * expired: then there was nothing to do. `owner`: only when it is this device's, else
 * UNAUTHORIZED_CLIENT (0: whoever it belongs to). */
GH_MUST_USE enum gh_oauth_error gh_oauth_revoke(const struct gh_oauth_services *services,
                                                struct gh_slice token, uint64_t owner,
                                                int64_t now_ms, struct gh_arena *arena,
                                                struct gh_access_claims *claims);
#endif
