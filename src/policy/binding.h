/* Bindings: the JSON document that gives roles to members on a tenant or a registry,
 *   {"version":1,"bindings":[{"role":"roles/…","members":["user:a@b.c","serviceAccount:x"]}]}
 * (google.iam.v1.Policy without conditions). Reads it, and checks it before it is stored. A stored
 * document that cannot be read gives nothing to anybody.
 *
 * Members are compared byte by byte; `group:` and `domain:` members are names like any other,
 * nobody looks into a group;
 * `device:TENANT/REGISTRY/DEVICE` is a device with an access token. `allUsers` and
 * `allAuthenticatedUsers` are refused: nothing here is for everybody. Memory: borrowed, or as said.
 * Threads: any. */
#ifndef GH_POLICY_BINDING_H
#define GH_POLICY_BINDING_H

#include "base/error.h"
#include "policy/permission.h"
#include <jansson.h>

enum {
    GH_BINDINGS_MEMBERS_MAX = 1500, /* of a policy, over all its bindings */
    GH_BINDINGS_MEMBER_BYTES_MAX = 320,
};

/* Whether a binding of `policy` (empty: there is none) gives `member` a role that has `permission`;
 * that role goes to `*role`. */
GH_MUST_USE bool gh_bindings_grant(struct gh_slice policy, struct gh_slice member,
                                   enum gh_permission permission, enum gh_role *role);

/* Checks a policy from outside (an object; its etag is the caller's to look at) and makes a new
 * value of what is kept of it: version and bindings. NULL with GH_ERROR_INVALID naming the field,
 * or GH_ERROR_MEMORY. The caller's to json_decref. */
GH_MUST_USE json_t *gh_bindings_check(const json_t *policy, struct gh_error *error);
#endif
