/* Permission: may this caller do that, here. The rights are a table, permission.def: a row for each
 * permission, a column for each role of role.def; what the table does not grant is denied. Beside
 * these stand custom roles, made of permissions: "custom/NAME" of a tenant, "house/NAME" for all. A
 * caller that comes with a role has that role's rights, in its own tenant or, without one, in all.
 * A caller that comes as a member and without a role has what bindings give that member: those of
 * the house, which hold in every tenant, of the tenant, of the registry, of the groups of the
 * device and of the device, added up; a binding on one of them says nothing about another. There
 * are no negative rights.
 *
 * Not for what a device may publish or subscribe to; that is policy/statement.h. Pure functions:
 * whoever calls reads policies and roles from the directory first, and the clock. Memory:
 * everything is borrowed. Threads: any.
 */
#ifndef GH_POLICY_PERMISSION_H
#define GH_POLICY_PERMISSION_H

#include "registry/principal.h"
#include "store/records.h"

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

/* --- roles by name, custom ones too --- */

enum { GH_ROLE_NAME_MAX = 160 };

/* The custom roles that may be meant: those of one tenant, and the house's. */
struct gh_policy_roles {
    const struct gh_custom_role *items;
    size_t count;
};
/* NULL for a role of role.def, and for one that is not there. */
const struct gh_custom_role *gh_role_custom(const struct gh_policy_roles *roles,
                                            struct gh_slice name);
bool gh_role_exists(const struct gh_policy_roles *roles, struct gh_slice name);
/* False for a role that does not exist. */
bool gh_role_has(const struct gh_policy_roles *roles, struct gh_slice name,
                 enum gh_permission permission);
/* "custom/NAME" or "house/NAME". */
void gh_role_print(const struct gh_custom_role *role, char out[GH_ROLE_NAME_MAX]);

/* Bindings below the registry: of a group that the device is in, or of the device itself. */
struct gh_policy_grant {
    const char *level;    /* "group", "device"; static */
    struct gh_slice name; /* of the group or device */
    struct gh_slice policy;
};

/* Where, when and from where something is to be done. */
struct gh_policy_scope {
    int64_t tenant;                  /* 0: the server as a whole, for callers of all tenants only */
    bool tenant_disabled;            /* then only what a caller has in all tenants counts */
    struct gh_slice house_policy;    /* the bindings that hold in every tenant, or empty */
    struct gh_slice tenant_policy;   /* the bindings' JSON (policy/binding.h), or empty */
    struct gh_slice registry_policy; /* empty when the question is not about one registry */
    const struct gh_policy_grant *grants; /* when it is about one group or device */
    size_t grants_count;
    struct gh_policy_roles roles;
    int64_t now_ms;          /* UTC, for conditions */
    struct gh_slice address; /* of the peer, without its port; empty: not known */
};

enum { GH_POLICY_WHY_MAX = 512 };

/* `why` (NULL: not asked for) gets a sentence for the operator in either case: which role or
 * binding gave the right, or what is missing. It is not for the peer. */
GH_MUST_USE bool gh_policy_may(const struct gh_caller *caller, enum gh_permission permission,
                               const struct gh_policy_scope *scope, char why[GH_POLICY_WHY_MAX]);
/* Whether the caller may there all that the role may: who gives a role gives what is his own.
 * `*missing` is the first permission that he lacks. */
GH_MUST_USE bool gh_policy_covers(const struct gh_caller *caller, struct gh_slice role,
                                  const struct gh_policy_scope *scope, enum gh_permission *missing);
#endif
