/* What signing in takes beside the password: whether a second factor is demanded, by the house of
 * all operators or by a tenant of its own. Who belongs to all tenants shows one where any of them
 * demands it. Memory: none kept. Threads: any; blocks on the store. */
#ifndef GH_IDENTITY_SIGN_IN_POLICY_H
#define GH_IDENTITY_SIGN_IN_POLICY_H

#include "base/error.h"
#include <stdbool.h>

struct gh_store;

struct gh_sign_in_policy {
    bool second_factor;
};
/* `tenant` 0: the house's own. Nothing is demanded where nothing was ever put. */
GH_MUST_USE enum gh_error_code gh_sign_in_policy_get(struct gh_store *store, int64_t tenant,
                                                     struct gh_sign_in_policy *out,
                                                     struct gh_error *error);
GH_MUST_USE enum gh_error_code gh_sign_in_policy_put(struct gh_store *store, int64_t tenant,
                                                     const struct gh_sign_in_policy *policy,
                                                     int64_t now_ms, struct gh_error *error);
/* What holds for an operator of `tenant` (0: of all). */
GH_MUST_USE enum gh_error_code gh_sign_in_policy_for(struct gh_store *store, int64_t tenant,
                                                     struct gh_sign_in_policy *out,
                                                     struct gh_error *error);
#endif
