/* Bearer tokens at the HTTP faces: a program's (identity/token.h), one that a service account
 * signed itself (identity/service_account.h) or a device's own access token (identity/access.h),
 * told apart by their form. Memory: the arena's. Threads: any; blocks on the store. */
#ifndef GH_IDENTITY_BEARER_H
#define GH_IDENTITY_BEARER_H

#include "identity/device.h"

struct gh_bearer_services {
    struct gh_store *store;
    struct gh_directory *directory;
    struct gh_access *access; /* NULL: devices and service accounts are not let in */
};

struct gh_bearer {
    struct gh_slice token; /* a secret, never to be logged */
    /* What the peer showed in its handshake, DER, the leaf first: tokens may be bound to it. */
    const struct gh_slice *chain;
    size_t chain_count;
    int64_t now_ms;
};

/* GH_OK with the caller; of a device: its member "device:TENANT/REGISTRY/DEVICE", no role, and
 * `*verdict` filled; of a service account: its member and no role. UNAUTHENTICATED for every reason
 * alike; which one it was stands in `*verdict` when the token was a device's or an account's (its
 * reason is ACCEPTED otherwise). Another code when the store failed. */
GH_MUST_USE enum gh_error_code gh_bearer_check(const struct gh_bearer_services *services,
                                               const struct gh_bearer *bearer,
                                               struct gh_arena *arena, struct gh_caller *out,
                                               struct gh_identity_verdict *verdict,
                                               struct gh_error *error);

/* Fills kind, reason, detail and what was found of tenant and device; borrowed from the verdict.
 * False when there is nothing to note: the token was no device's or account's, or was taken. */
GH_MUST_USE bool gh_bearer_refusal(const struct gh_identity_verdict *verdict,
                                   struct gh_trail_entry *out);
#endif
