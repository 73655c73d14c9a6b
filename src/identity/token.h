/* Bearer tokens for programs: 256 random bits, "ght_" and 43 characters of base64url. The store
 * keeps their SHA-256 only, so that whoever reads the database has no token; lookup is by digest,
 * which leaks no time about the token. A token stands for itself, with a role of its own, or for
 * an operator: then it has his role of the moment, never more, and goes or sleeps with him. Not for
 * devices (identity/device.h) and not for people (identity/operator.h). Memory: texts of a caller
 * are the arena's. Threads: any; blocks on the store. */
#ifndef GH_IDENTITY_TOKEN_H
#define GH_IDENTITY_TOKEN_H

#include "base/arena.h"
#include "base/error.h"
#include "registry/principal.h"

struct gh_store;

enum { GH_TOKEN_TEXT_MAX = 4 + 43 + 1, GH_TOKEN_TTL_S_MAX = 366 * 24 * 3600 };

struct gh_token_grant {
    struct gh_slice role; /* checked by the caller against policy's list; empty: what bindings give
                             the member */
    struct gh_slice member;      /* IAM member, or empty */
    int64_t tenant;              /* 0: all */
    int64_t ttl_s;               /* 1 … GH_TOKEN_TTL_S_MAX */
    int64_t operator_number;     /* 0: nobody's; otherwise without role and member */
    struct gh_slice label;       /* what its owner calls it */
    struct gh_slice permissions; /* limited to these, names with a space between; empty: no limit */
    int64_t service_key;         /* the key of a service account with which it ends; 0: none */
};
/* The token's text is shown once and is a secret; wipe it after use. */
GH_MUST_USE enum gh_error_code gh_token_mint(struct gh_store *store,
                                             const struct gh_token_grant *grant, int64_t now_ms,
                                             char out[GH_TOKEN_TEXT_MAX], struct gh_error *error);
/* GH_OK, and it counts as used now; or GH_ERROR_UNAUTHENTICATED for every reason alike (another
 * code when the store failed). */
GH_MUST_USE enum gh_error_code gh_token_check(struct gh_store *store, struct gh_slice text,
                                              int64_t now_ms, struct gh_arena *arena,
                                              struct gh_caller *out, struct gh_error *error);
/* Takes a token back. GH_OK also when there is no such token. */
GH_MUST_USE enum gh_error_code gh_token_revoke(struct gh_store *store, struct gh_slice text,
                                               struct gh_error *error);
#endif
