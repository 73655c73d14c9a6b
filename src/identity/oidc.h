/* Sign-in by an outside provider (OpenID Connect Core 1.0): the authorization code flow with PKCE
 * S256, where Gatehouse is the client. Who comes back is known by issuer and `sub`, or, where that
 * is allowed, by an e-mail address that the provider says it has verified, once; then the subject
 * is remembered. Nobody is made an operator by it: the operator is there before, with a role that
 * somebody gave.
 *
 * Between the two halves the browser keeps a sealed cookie with state, nonce and verifier, which is
 * good for ten minutes and for this process. Everything else is checked at the return: state,
 * issuer (RFC 9207), signature by a key of the provider, exact `iss` and `aud`, times, nonce.
 *
 * The provider's document and keys are fetched over HTTPS when they are needed and kept for an
 * hour; for an unknown key they are fetched again, once a minute at most. Memory: texts are the
 * arena's. Threads: any; blocks on the provider, at most GH_OIDC_CALL_MS each call, so worker
 * threads only. */
#ifndef GH_IDENTITY_OIDC_H
#define GH_IDENTITY_OIDC_H

#include "base/arena.h"
#include "base/error.h"
#include "store/records.h"

struct gh_store;
struct gh_oidc;

enum {
    GH_OIDC_CALL_MS = 5000,
    GH_OIDC_COOKIE_MAX = 160,
    GH_OIDC_MINUTES = 10,
};

struct gh_oidc_options {
    struct gh_store *store; /* outlives it */
    const char *issuer;     /* https://…, as the provider spells it */
    const char *client_id;
    struct gh_slice secret; /* client_secret_basic; empty: a public client */
    const char *ca_path;    /* trust anchors of the provider; NULL: the system's */
    bool by_email;          /* a verified address may name an operator that has no subject yet */
};
/* Texts are copied. NULL with the cause; nothing is fetched yet. */
GH_MUST_USE struct gh_oidc *gh_oidc_open(const struct gh_oidc_options *options,
                                         struct gh_error *error);
void gh_oidc_close(struct gh_oidc *oidc); /* NULL is fine */

/* Where the browser is sent, and what it keeps meanwhile. */
struct gh_oidc_start {
    struct gh_slice location;
    char cookie[GH_OIDC_COOKIE_MAX];
};
GH_MUST_USE enum gh_error_code gh_oidc_begin(struct gh_oidc *oidc, struct gh_slice redirect_uri,
                                             int64_t now_ms, struct gh_arena *arena,
                                             struct gh_oidc_start *out, struct gh_error *error);

/* With what it comes back. */
struct gh_oidc_return {
    struct gh_slice cookie, redirect_uri; /* as of the beginning */
    struct gh_slice code, state, issuer;  /* of the query; `iss` may be empty */
};
/* The operator whom it names. UNAUTHENTICATED with the exact cause, which is for the log and not
 * for the browser. */
GH_MUST_USE enum gh_error_code gh_oidc_finish(struct gh_oidc *oidc,
                                              const struct gh_oidc_return *back, int64_t now_ms,
                                              struct gh_arena *arena, struct gh_operator_row *out,
                                              struct gh_error *error);
#endif
