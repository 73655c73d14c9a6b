/* Service accounts: programs that prove who they are by tokens which they sign themselves, with the
 * key of a file that Google's client libraries read. A member of bindings is
 * "serviceAccount:EMAIL"; an account has no right of its own.
 *
 * Two ways, as these libraries go:
 *   the token itself as bearer   iss = sub = the address, at most an hour; either `aud` is one of
 * the addresses that are served here, or there is none and `scope` names one of Google's for these
 * services (gh_service_check) a grant (RFC 7523)           iss = the address, `aud` the token
 * endpoint; an access token is given for it (gh_service_grant) Because a token without an audience
 * is good anywhere, it must have come over TLS; so does everything here, or from a proxy on this
 * host.
 *
 * Private keys are never kept: one that is made here leaves in its file, once, and a public key (or
 * certificate) of an existing file can be registered instead, so that the file keeps working.
 *
 * Memory: texts are the arena's. Threads: any; it blocks on the store and makes RSA keys (some
 * 0.2 s), so it runs on worker threads. */
#ifndef GH_IDENTITY_SERVICE_ACCOUNT_H
#define GH_IDENTITY_SERVICE_ACCOUNT_H

#include "identity/device.h"
#include "identity/token.h"
#include "store/service.h"

enum {
    GH_SERVICE_EMAIL_MAX = 200,
    GH_SERVICE_NAME_MAX = 63,
    GH_SERVICE_TITLE_MAX = 100,
    GH_SERVICE_KEY_ID_MAX = 64,
    GH_SERVICE_ACCOUNTS_MAX = 1000,         /* of a tenant */
    GH_SERVICE_KEYS_MAX = 10,               /* of an account, as Google's */
    GH_SERVICE_TTL_S = 3600,                /* of an access token, and of a token that is signed */
    GH_SERVICE_USE_INTERVAL_MS = 60 * 1000, /* between two writes of a key's last use */
};

/* The address that `name` means in the tenant: itself when it is one, else
 * NAME@PROJECT.iam.gserviceaccount.com. INVALID when it cannot be an address. */
GH_MUST_USE enum gh_error_code gh_service_email(const struct gh_tenant *tenant,
                                                struct gh_slice name, struct gh_arena *arena,
                                                struct gh_slice *out, struct gh_error *error);
/* Takes tenant, email, title, created_at_ms; fills the rest. INVALID also for the address of
 * another project. */
GH_MUST_USE enum gh_error_code gh_service_create(struct gh_store *store,
                                                 const struct gh_tenant *tenant,
                                                 struct gh_service_account *account,
                                                 struct gh_error *error);

/* Takes account, id (empty: made), public_key (a PEM of an RSA or P-256 key or certificate; empty:
 * an RSA key is made and its private half appended to `private_pem`, a secret), expires_at_ms and
 * created_at_ms; fills the rest. */
GH_MUST_USE enum gh_error_code gh_service_key_create(struct gh_store *store,
                                                     struct gh_service_key *key,
                                                     struct gh_buffer *private_pem,
                                                     struct gh_arena *arena,
                                                     struct gh_error *error);

/* Whether a bearer token says that it is a service account's: a JWT that is no access token of ours
 * and whose `iss` is an address. Nothing is verified. */
bool gh_service_is_token(struct gh_slice token, struct gh_arena *arena);

struct gh_service_proof {
    struct gh_slice token;  /* a secret, never to be logged */
    struct gh_slice issuer; /* our own address, "https://host:port" */
    int64_t now_ms;
};

/* Of a bearer token. ACCEPTED: `*out` is the caller. Refused: reason, detail and, once the account
 * is known, principal.tenant_name are in `*verdict`. Returns `verdict->reason`. */
GH_MUST_USE enum gh_identity_reason gh_service_check(struct gh_store *store,
                                                     const struct gh_service_proof *proof,
                                                     struct gh_arena *arena, struct gh_caller *out,
                                                     struct gh_identity_verdict *verdict);
/* The same of an assertion at the token endpoint; ACCEPTED: the access token stands in `token`, a
 * secret, and holds for `*ttl_s`. */
GH_MUST_USE enum gh_identity_reason gh_service_grant(struct gh_store *store,
                                                     const struct gh_service_proof *proof,
                                                     struct gh_arena *arena,
                                                     char token[GH_TOKEN_TEXT_MAX], int64_t *ttl_s,
                                                     struct gh_identity_verdict *verdict);
#endif
