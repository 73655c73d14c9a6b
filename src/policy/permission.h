/* Permission: may this caller do that, here. The rights are a table, permission.def: a row for each
 * permission, a column for each role of role.def; what the table does not grant is denied. A caller
 * that comes with a role has that role's rights, in its own tenant or, without one, in all. A
 * caller that comes as a member and without a role has what bindings give that member: those of the
 * tenant and those of the registry, added up; a binding on one registry says nothing about another.
 * There are no rights on single devices, and no negative ones.
 *
 * Not for what a device may publish or subscribe to; that is its dialect's. Pure functions: whoever
 * calls reads the policies from the directory first. Memory: everything is borrowed. Threads: any.
 */
#ifndef GH_POLICY_PERMISSION_H
#define GH_POLICY_PERMISSION_H

#include "registry/principal.h"

enum gh_permission {
#define GH_PERMISSION(name, spelling, grants) GH_PERMISSION_##name,
#include "policy/permission.def"
#undef GH_PERMISSION
    GH_PERMISSION_COUNT
};

enum gh_role {
#define GH_ROLE(name, spelling) GH_ROLE_##name,
#include "policy/role.def"
#undef GH_ROLE
    GH_ROLE_COUNT
};

/* "devices.create"; static. */
const char *gh_permission_name(enum gh_permission permission);
GH_MUST_USE bool gh_permission_find(struct gh_slice name, enum gh_permission *out);
const char *gh_role_name(enum gh_role role);
GH_MUST_USE bool gh_role_find(struct gh_slice name, enum gh_role *out);
/* True for the roles that a token or an operator may have: not the ones that begin with "roles/",
 * which only bindings give. */
bool gh_role_is_own(enum gh_role role);
bool gh_role_grants(enum gh_role role, enum gh_permission permission);

/* Where something is to be done. */
struct gh_policy_scope {
    int64_t tenant;                  /* 0: the server as a whole, for callers of all tenants only */
    struct gh_slice tenant_policy;   /* the bindings' JSON (policy/binding.h), or empty */
    struct gh_slice registry_policy; /* empty when the question is not about one registry */
};

enum { GH_POLICY_WHY_MAX = 192 };

/* `why` (NULL: not asked for) gets a sentence for the operator in either case: which role or
 * binding gave the right, or what is missing. It is not for the peer. */
GH_MUST_USE bool gh_policy_may(const struct gh_caller *caller, enum gh_permission permission,
                               const struct gh_policy_scope *scope, char why[GH_POLICY_WHY_MAX]);
#endif
