/* Bindings: the JSON document that gives roles to members on a tenant, a registry, a group of
 * devices or a device,
 *   {"version":1,"bindings":[{"role":"roles/…","members":["user:a@b.c","serviceAccount:x"],
 *    "condition":{"until":"2027-01-01T00:00:00Z"}}]}
 * (google.iam.v1.Policy, with conditions of policy/condition.h). Reads it, and checks it before it
 * is stored. A stored document that cannot be read gives nothing to anybody.
 *
 * A role is any of role.def or a custom one, "custom/NAME" of the tenant or "house/NAME". IAM's own
 * grammar, which a dialect's face speaks, knows only the roles that begin with "roles/" and no
 * conditions.
 *
 * Members are compared byte by byte; `group:` and `domain:` members are names like any other,
 * nobody looks into a group;
 * `device:TENANT/REGISTRY/DEVICE` is a device with an access token. `allUsers` and
 * `allAuthenticatedUsers` are refused: nothing here is for everybody. Memory: borrowed, or as said.
 * Threads: any. */
#ifndef GH_POLICY_BINDING_H
#define GH_POLICY_BINDING_H

#include "base/error.h"
#include "policy/condition.h"
#include "policy/permission.h"
#include <jansson.h>

enum {
    GH_BINDINGS_MEMBERS_MAX = 1500, /* of a policy, over all its bindings */
    GH_BINDINGS_MEMBER_BYTES_MAX = 320,
};

struct gh_bindings_question {
    struct gh_slice member;
    enum gh_permission permission;
    struct gh_policy_roles roles;
    struct gh_condition_facts facts;
};
struct gh_bindings_answer {
    char role[GH_ROLE_NAME_MAX];      /* that gives it, or would but for its condition */
    char unmet[GH_CONDITION_WHY_MAX]; /* not given: what a condition said; else empty */
};

/* Whether a binding of `policy` (empty: there is none) gives the member a role that has the
 * permission. `answer` is filled in either case. */
GH_MUST_USE bool gh_bindings_grant(struct gh_slice policy,
                                   const struct gh_bindings_question *question,
                                   struct gh_bindings_answer *answer);

/* Whether IAM's grammar has no words for this binding. */
bool gh_binding_is_native(const json_t *binding);

/* Checks a policy from outside (an object; its etag is the caller's to look at) and makes a new
 * value of what is kept of it: version and bindings. `roles` NULL: in IAM's grammar; else custom
 * roles must be among these. NULL with GH_ERROR_INVALID naming the field, or GH_ERROR_MEMORY. The
 * caller's to json_decref. */
GH_MUST_USE json_t *gh_bindings_check(const json_t *policy, const struct gh_policy_roles *roles,
                                      struct gh_error *error);
#endif
